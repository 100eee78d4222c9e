"""Energy counters of the devices while the job ran, as `footprint track` read them.

NVML counts the GPUs that the job saw. RAPL counts the processors and the memory of the whole node;
a job gets the part of its cores. The ratio of these estimates to the measured energy is the part of
a node's energy that its devices account for (`docs/tracker.md`).
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.core.sums import known_sum
from footprint.core.units import H_PER_S
from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import AMOUNT_COLUMNS, ESTIMATE_COLUMNS, mean_powers
from footprint.estimators.recorded import MIN_RECORDED_FRAC

WHOLE_NODE_PARTS = ("cpu", "memory")
"""Parts whose counters are of the whole node."""


def energy_of_tracked_jobs(
    inputs: EstimatorInputs, *, parts: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pl.LazyFrame:
    """Device energy of the jobs that were tracked; other jobs have no row.

    `energy_kwh` is null where a part is unknown or a node of the job was not tracked.
    `covered_kwh` is also null where less than 90 % of the job's time was tracked.

    Args:
        inputs: Inputs of the jobs.
        parts: Parts that are counted, of `gpu`, `cpu`, `memory`; the others are 0.
        optional: Parts of these that count as 0 where no node reports them: many processors have
            no counter of their memory.

    Returns:
        `rates.ESTIMATE_COLUMNS`, `energy_kwh` and `covered_kwh`, in kWh and W.
    """
    by_job = _sum_by_job(inputs)
    energies = {
        f"{part}_kwh": _part_kwh(part, is_counted=part in parts, is_optional=part in optional)
        for part in AMOUNT_COLUMNS
    }
    duration_s = pl.col("duration_s")
    is_compared = (pl.col("least_s") >= duration_s * MIN_RECORDED_FRAC) & (
        pl.col("most_s") * MIN_RECORDED_FRAC <= duration_s
    )
    return (
        inputs.jobs.join(by_job, on="job_id")
        .with_columns(**energies)
        .with_columns(energy_kwh=pl.sum_horizontal(*energies, ignore_nulls=False))
        .with_columns(
            *mean_powers(),
            basis=pl.lit("recorded"),
            covered_kwh=pl.when(is_compared).then(pl.col("energy_kwh") * pl.col("coverage_frac")),
        )
        .select(*ESTIMATE_COLUMNS, "energy_kwh", "covered_kwh")
    )


def _part_kwh(part: str, *, is_counted: bool, is_optional: bool) -> pl.Expr:
    if not is_counted:
        return pl.lit(0.0)
    energy = pl.col(f"{part}_kwh")
    return energy.fill_null(0.0) if is_optional else energy


def _sum_by_job(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Energies of each tracked job over its nodes; null where the energy on a node is unknown.

    Returns:
        `job_id`, `gpu_kwh`, `cpu_kwh`, `memory_kwh`, and `least_s` and `most_s`: shortest and
        longest tracked time among the nodes.
    """
    hours = pl.col("duration_s") * H_PER_S
    share = pl.when(hours > 0).then(pl.col("core_hours") / (pl.col("n_cores") * hours))
    held = inputs.job_nodes.select("job_id", "node", "core_hours", "n_cores").join(
        inputs.jobs.select("job_id", "duration_s"), on="job_id"
    )
    shares = held.select("job_id", "node", share=share.clip(0.0, 1.0))
    tracked = inputs.tracked.select(
        "job_id", "node", "gpu_kwh", "cpu_kwh", "memory_kwh", tracked_s="duration_s"
    )
    rows = shares.join(tracked.select("job_id").unique(), on="job_id", how="semi").join(
        tracked, on=["job_id", "node"], how="left"
    )
    energies = {
        part: pl.col(f"{part}_kwh") * (pl.col("share") if part in WHOLE_NODE_PARTS else 1.0)
        for part in AMOUNT_COLUMNS
    }
    return rows.group_by("job_id").agg(
        *(
            pl.when(kwh.is_not_null().all()).then(known_sum(kwh)).alias(f"{part}_kwh")
            for part, kwh in energies.items()
        ),
        pl.col("tracked_s").fill_null(0.0).min().alias("least_s"),
        pl.col("tracked_s").max().alias("most_s"),
    )


_estimator = partial(Estimator, version="1", tool="footprint track", covers_all_jobs=False)

ESTIMATORS = (
    _estimator(
        name="tracker_nvml",
        description="energy counters of the GPUs that the job saw",
        parts=("gpu",),
        estimate=partial(energy_of_tracked_jobs, parts=("gpu",)),
    ),
    _estimator(
        name="tracker_rapl",
        description="energy counters of processors and memory × part of the node’s cores",
        parts=("cpu", "memory"),
        estimate=partial(energy_of_tracked_jobs, parts=("cpu", "memory"), optional=("memory",)),
    ),
    _estimator(
        name="tracker_devices",
        description="both together, where both were read",
        estimate=partial(
            energy_of_tracked_jobs, parts=("gpu", "cpu", "memory"), optional=("memory",)
        ),
    ),
)
