"""What the devices counted while the job ran, as `footprint track` read them (`docs/tracker.md`).

NVML counts the GPUs that the job saw, RAPL the processors and the memory of the whole node, of
which a job has the part of its cores. Over the measured energy of the same jobs they say how much
of what a node draws its devices explain.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import AMOUNTS, PARTS, mean_powers
from footprint.estimators.recorded import COMPARED_FRAC
from footprint.summation import known_sum
from footprint.units import H_PER_S

WHOLE_NODE = ("cpu", "memory")
"""Parts that are counted for the whole node."""


def as_tracked(
    facts: Facts, *, sees: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pl.LazyFrame:
    """Device energy of the jobs that were tracked; other jobs have no row.

    `energy_kwh` is null where a part is not known, or a node of the job was not tracked;
    `covered_kwh` also where less than 90 % of the job's time was.

    Args:
        facts: What jobs held.
        sees: Parts that are counted; the others are 0.
        optional: Parts of these that count as 0 where no node tells them: many processors have no
            counter of their memory.
    """
    by_job = _of_jobs(facts)
    energies = {
        f"{part}_kwh": _part(part, is_seen=part in sees, is_optional=part in optional)
        for part in AMOUNTS
    }
    duration_s = pl.col("duration_s")
    compared = (pl.col("least_s") >= duration_s * COMPARED_FRAC) & (
        pl.col("most_s") * COMPARED_FRAC <= duration_s
    )
    return (
        facts.jobs.join(by_job, on="job_id")
        .with_columns(**energies)
        .with_columns(energy_kwh=pl.sum_horizontal(*energies, ignore_nulls=False))
        .with_columns(
            *mean_powers(),
            basis=pl.lit("recorded"),
            covered_kwh=pl.when(compared).then(pl.col("energy_kwh") * pl.col("coverage_frac")),
        )
        .select(*PARTS, "energy_kwh", "covered_kwh")
    )


def _part(part: str, *, is_seen: bool, is_optional: bool) -> pl.Expr:
    if not is_seen:
        return pl.lit(0.0)
    energy = pl.col(f"{part}_kwh")
    return energy.fill_null(0.0) if is_optional else energy


def _of_jobs(facts: Facts) -> pl.LazyFrame:
    """Each tracked job's energies over its nodes, null where one node's is not known."""
    hours = pl.col("duration_s") * H_PER_S
    share = pl.when(hours > 0).then(pl.col("core_hours") / (pl.col("n_cores") * hours))
    held = facts.held.select("job_id", "node", "core_hours", "n_cores").join(
        facts.jobs.select("job_id", "duration_s"), on="job_id"
    )
    shares = held.select("job_id", "node", share=share.clip(0.0, 1.0))
    tracked = facts.tracked.select(
        "job_id", "node", "gpu_kwh", "cpu_kwh", "memory_kwh", tracked_s="duration_s"
    )
    rows = shares.join(tracked.select("job_id").unique(), on="job_id", how="semi").join(
        tracked, on=["job_id", "node"], how="left"
    )
    parts = {
        part: pl.col(f"{part}_kwh") * (pl.col("share") if part in WHOLE_NODE else 1.0)
        for part in AMOUNTS
    }
    return rows.group_by("job_id").agg(
        *(
            pl.when(kwh.is_not_null().all()).then(known_sum(kwh)).alias(f"{part}_kwh")
            for part, kwh in parts.items()
        ),
        pl.col("tracked_s").fill_null(0.0).min().alias("least_s"),
        pl.col("tracked_s").max().alias("most_s"),
    )


_of = partial(Estimator, version="1", tool="footprint track", of_all=False)

ESTIMATORS = (
    _of(
        name="tracker_nvml",
        says="energy counters of the GPUs that the job saw",
        sees=("gpu",),
        estimate=partial(as_tracked, sees=("gpu",)),
    ),
    _of(
        name="tracker_rapl",
        says="energy counters of processors and memory × part of the node’s cores",
        sees=("cpu", "memory"),
        estimate=partial(as_tracked, sees=("cpu", "memory"), optional=("memory",)),
    ),
    _of(
        name="tracker_devices",
        says="both together, where both were read",
        estimate=partial(as_tracked, sees=("gpu", "cpu", "memory"), optional=("memory",)),
    ),
)
