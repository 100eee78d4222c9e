"""Concentration of energy over jobs or runs: Lorenz curve, Gini index, and jobs by duration.

Curve: Lorenz, *Methods of measuring the concentration of wealth*, Publications of the American
Statistical Association 9 (1905) 209-219. Index: Gini, *Variabilita e mutabilita* (1912), in the
form for sorted values of Damgaard and Weiner, Ecology 81 (2000) 1139-1142, without their
correction for few values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from footprint.core.sums import exact_sum, known_sum, quotient, sum_or_zero

SHORT_JOB_S: Final = 600.0
"""Jobs under 10 minutes are too short for a training, as in the rule of phases for `debug`."""

DURATION_BOUNDS_S: Final[Mapping[str, float]] = {
    "under 10 min": SHORT_JOB_S,
    "10 min to 1 h": 3600.0,
    "1 to 6 h": 6 * 3600.0,
    "6 h to 1 day": 86400.0,
    "1 to 3 days": 3 * 86400.0,
    "over 3 days": float("inf"),
}
"""Upper bounds in seconds of the groups by duration; a bound belongs to the next group."""

LARGEST_JOB_PERCENTS: Final = (1, 5, 10, 20, 50)
"""Largest jobs, in per cent of all jobs, for which the part of the energy is reported."""


def lorenz_curve(energies_kwh: pl.Series) -> pl.DataFrame:
    """Lorenz curve: part of the energy in the smallest jobs, by their part of all jobs.

    Point i of n is (i / n, sum of the i smallest energies / sum of all); the first is (0, 0). Jobs
    of equal energy give the diagonal (Lorenz 1905).

    Args:
        energies_kwh: Energies of jobs or of runs; nulls (unknown) are left out.

    Returns:
        `item_frac`, `energy_frac`; no row where no energy is known or all are 0.
    """
    sums = energies_kwh.drop_nulls().sort().cum_sum()
    if sums.is_empty() or not sums[-1]:
        return pl.DataFrame(schema={"item_frac": pl.Float64, "energy_frac": pl.Float64})
    items = pl.int_range(0, len(sums) + 1, eager=True)
    return pl.DataFrame(
        {
            "item_frac": items / len(sums),
            "energy_frac": pl.concat([pl.Series([0.0]), sums / sums[-1]]),
        }
    )


def gini_index(energies_kwh: pl.Series) -> float | None:
    """Gini index: 0 where all energies are equal, near 1 where one job has all energy.

    G = sum over i of (2 i - n - 1) x_i / (n sum of x), with x ascending and i from 1 (Damgaard and
    Weiner 2000). The largest value for n jobs is 1 - 1/n.

    Args:
        energies_kwh: As in `lorenz_curve`; the index is None where the curve has no row.
    """
    known = energies_kwh.drop_nulls().sort()
    whole = known.to_frame("kwh").select(sum_or_zero(pl.col("kwh"))).item()
    if not whole:
        return None
    rank = 2 * pl.int_range(1, len(known) + 1, eager=True) - len(known) - 1
    weighted = (rank * known).to_frame("kwh").select(sum_or_zero(pl.col("kwh"))).item()
    return float(weighted / (len(known) * whole))


def n_jobs_with_energy_frac(energies_kwh: pl.Series, *, energy_frac: float = 0.5) -> int:
    """Smallest number of jobs that together have at least a part of the energy.

    Args:
        energies_kwh: As in `lorenz_curve`; the number is 0 where the curve has no row.
        energy_frac: Part of the energy, over 0 and up to 1.
    """
    curve = lorenz_curve(energies_kwh)
    if curve.is_empty():
        return 0
    # the n - k smallest leave this part to the k largest; 1e-12 allows for rounding in the sums
    smallest = curve.filter(pl.col("energy_frac") <= 1 - energy_frac + 1e-12)
    return len(curve) - len(smallest)


def energy_frac_of_largest(energies_kwh: pl.Series, counts: Iterable[int]) -> list[float | None]:
    """Part of the energy in the largest jobs, for each number of jobs.

    Args:
        energies_kwh: As in `lorenz_curve`; all parts are None where the curve has no row.
        counts: Numbers of jobs, each at most the number of jobs of known energy.
    """
    fractions = lorenz_curve(energies_kwh)["energy_frac"]
    return [1 - fractions[-1 - count] if len(fractions) else None for count in counts]


def jobs_by_duration(jobs: pl.LazyFrame) -> pl.DataFrame:
    """Jobs and their energy by the time that they held nodes.

    Jobs that held nothing are left out. A job that began before the study or ended after it counts
    with its time inside the study.

    Args:
        jobs: `schemas.JobEnergy`, or any table with its `duration_s`, `total_kwh`, `gpu_hours`.

    Returns:
        A row for each of `DURATION_BOUNDS_S`, in their order: `duration`, `n_jobs`, `n_known` (of
        known energy), `total_kwh` (null: none is known), `job_frac`, `known_frac` (both of all
        jobs), `energy_frac` (of the known energy), `gpu_hour_frac` (of all GPU hours); a part is
        null where the whole is 0.
    """
    names = list(DURATION_BOUNDS_S)
    labels = pl.Enum(names)
    group_of_job = pl.coalesce(
        pl.when(pl.col("duration_s") < end).then(pl.lit(name, labels))
        for name, end in DURATION_BOUNDS_S.items()
    )
    energy, known = pl.col("total_kwh"), pl.col("n_known")
    found = (
        jobs.filter(pl.col("duration_s") > 0)
        .group_by(group_of_job.alias("duration"))
        .agg(
            pl.len().cast(pl.Int64).alias("n_jobs"),
            energy.count().cast(pl.Int64).alias("n_known"),
            known_sum(energy),
            sum_or_zero(pl.col("gpu_hours")),
        )
    )
    return (
        pl.LazyFrame({"duration": pl.Series(names, dtype=labels)})
        .join(found, on="duration", how="left")
        .with_columns(pl.col("n_jobs", "n_known").fill_null(0), pl.col("gpu_hours").fill_null(0))
        .with_columns(
            quotient(pl.col("n_jobs"), exact_sum(pl.col("n_jobs"))).alias("job_frac"),
            quotient(known, exact_sum(pl.col("n_jobs"))).alias("known_frac"),
            # no jobs: the energy is 0; no known energy: it is unknown
            quotient(
                pl.when(pl.col("n_jobs") == 0).then(0.0).otherwise(energy), sum_or_zero(energy)
            ).alias("energy_frac"),
            quotient(pl.col("gpu_hours"), sum_or_zero(pl.col("gpu_hours"))).alias("gpu_hour_frac"),
        )
        .drop("gpu_hours")
        .sort("duration")
        .collect()
    )
