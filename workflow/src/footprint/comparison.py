"""Estimates beside the measurement, over the same jobs and the same time."""

from __future__ import annotations

import polars as pl

from footprint import shares
from footprint.job_energy import WELL_COVERED_FRAC
from footprint.levels import METHOD
from footprint.summation import exact_sum, total

SHORTEST_S = 60.0
"""Shorter jobs have a dozen readings: their ratio says more of the sensor than of the tool."""

DURATIONS = {
    "under 10 min": 600.0,
    "10 min to 1 h": 3600.0,
    "1 to 12 h": 12 * 3600.0,
    "12 to 24 h": 24 * 3600.0,
    "over 24 h": float("inf"),
}
"""Upper bounds of the groups by duration."""

SEVERAL = "(several)"
NO_GPU = "(no GPU)"
UNKNOWN = "(not catalogued)"

FOUR_METHODS = {
    "mlco2": "MLCO2",
    "green_algorithms": "GA",
    "codecarbon_2": "CC",
    "bmc": "BMC",
}
"""The methods of the talk, from the simplest to the measured, with what it calls them."""

GROUPS = ("all", "cluster", "gpu_generation", "gpu_model", "duration")
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def ratios(
    estimates: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    hardware: pl.LazyFrame,
) -> pl.LazyFrame:
    """How far each estimator is from the measurement, by group of jobs (`tables.EstimateRatios`).

    Compared are jobs of a minute or more, of which 95 % or more was measured: what the estimator
    says of the measured time over the energy measured in it.

    Args:
        estimates: `tables.Estimates`.
        job_energy: `tables.JobEnergy`.
        job_nodes: `tables.JobNodeEnergy`.
        hardware: `tables.Hardware`.
    """
    compared = job_energy.filter(
        (pl.col("duration_s") >= SHORTEST_S)
        & (pl.col("coverage_frac") >= WELL_COVERED_FRAC)
        & (pl.col("energy_kwh") > 0)
    ).select("job_id", "duration_s", "started_at", measured_kwh="energy_kwh")
    own = (
        estimates.select("job_id", "estimator", "covered_kwh")
        .join(compared, on="job_id")
        .join(groups(compared, job_nodes, hardware), on="job_id")
        .with_columns(ratio=pl.col("covered_kwh") / pl.col("measured_kwh"))
    )
    known = pl.col("ratio").is_not_null()
    quantiles = {
        f"ratio_{name}": pl.col("ratio").quantile(part, "linear")
        for name, part in QUANTILES.items()
    }
    sums = {
        "n_jobs": exact_sum(known).cast(pl.Int64),
        "n_jobs_unknown": exact_sum(~known).cast(pl.Int64),
        "measured_kwh": total(pl.col("measured_kwh").filter(known)),
        "estimated_kwh": total(pl.col("covered_kwh")),
    }
    found = [
        own.group_by("estimator", pl.col(group).alias("name"))
        .agg(**sums, **quantiles)
        .with_columns(group=pl.lit(group))
        for group in GROUPS
    ]
    measured = pl.col("measured_kwh")
    return pl.concat(found).with_columns(
        total_ratio=pl.when(measured > 0).then(pl.col("estimated_kwh") / measured)
    )


def groups(jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, hardware: pl.LazyFrame) -> pl.LazyFrame:
    """Which of `GROUPS` each job belongs to, a column each.

    Args:
        jobs: `job_id`, `duration_s`, `started_at`.
        job_nodes: `tables.JobNodeEnergy`.
        hardware: `tables.Hardware`.
    """
    facts = hardware.select(
        "node",
        "valid_from",
        gpu_model=_only("gpu_models"),
        gpu_generation=_only("gpu_generations"),
    )
    held = shares.with_period(
        job_nodes.select("job_id", "node", "cluster", "gpu_hours").join(
            jobs.select("job_id", "started_at"), on="job_id"
        ),
        hardware.select("node", "valid_from"),
    ).join(facts, on=["node", "valid_from"])
    with_gpu = pl.col("gpu_hours") > 0

    def one(name: str) -> pl.Expr:
        return (
            pl.when(pl.col(name).n_unique() == 1)
            .then(pl.col(name).first())
            .otherwise(pl.lit(SEVERAL))
        )

    duration = pl.col("duration_s")
    length = pl.lit(None, pl.String)
    for name, below_s in reversed(DURATIONS.items()):
        length = pl.when(duration < below_s).then(pl.lit(name)).otherwise(length)
    return (
        held.with_columns(
            pl.when(with_gpu).then(name).otherwise(pl.lit(NO_GPU)).alias(name)
            for name in ("gpu_model", "gpu_generation")
        )
        .group_by("job_id")
        .agg(*(one(name) for name in ("cluster", "gpu_model", "gpu_generation")))
        .join(jobs.select("job_id", duration=length), on="job_id")
        .with_columns(all=pl.lit("all"))
    )


def _only(names: str) -> pl.Expr:
    """The one name of a list, `SEVERAL` where there are more; null names are not catalogued."""
    known = pl.col(names).list.eval(pl.element().fill_null(UNKNOWN)).list.unique()
    several = pl.when(known.list.len() > 1).then(pl.lit(SEVERAL))
    return several.otherwise(known.list.first())


def method_name() -> pl.Expr:
    """Name of a method, from a column `method` or `estimator` with its version."""
    return pl.col("method").str.split("@").list.first()


def relative(levels: pl.DataFrame, *, pue: float = 1.0) -> pl.DataFrame:
    """Every method at each level beside the measurement there, all multiplied by the PUE.

    Args:
        levels: `tables.Levels`.
        pue: Factor for every method alike.

    Returns:
        The columns of `tables.Levels`, `method_name`, and `ratio`: energy over that of the
        measurement, which is of the same jobs and time.
    """
    energies = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "imputed_kwh", "offset_kwh")
    measured = levels.filter(pl.col("method") == METHOD)
    kwh = pl.col("energy_kwh")
    return (
        levels.join(
            measured.select("level", "name", measured_kwh="energy_kwh"),
            on=["level", "name"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col(energies) * pue,
            ratio=pl.when(pl.col("measured_kwh") > 0).then(kwh / pl.col("measured_kwh")),
            method_name=method_name(),
        )
        .drop("measured_kwh")
    )
