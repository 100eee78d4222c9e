"""Energy that a tool recorded while the job ran, from the files that users kept.

`footprint.estimators.recorded_runs` gives the recorded energy of each job.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum
from footprint.core.units import H_PER_S
from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import ESTIMATE_COLUMNS, mean_powers

MIN_RECORDED_FRAC = 0.9
"""Least part of a job's time that its record must cover to be compared with the measurement."""
WHOLE_NODE_FRAC = 0.999
"""Least part of the cores of its nodes that a job held, if it held whole nodes."""


def energy_of_recorded_jobs(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Energy of the jobs that have a record; other jobs have no row.

    Tools record the machine that they run on. `covered_kwh` is null where the job held only part of
    its nodes, where the records cover less than 90 % of its time in the study on one of its nodes,
    and where the job began before the study or ended after it, so that they cover more.

    Args:
        inputs: Inputs of the jobs.

    Returns:
        `rates.ESTIMATE_COLUMNS`, `energy_kwh` and `covered_kwh`, in kWh and W.
    """
    duration_s, recorded_s = pl.col("duration_s"), pl.col("duration_s_recorded")
    all_core_hours = pl.col("n_cores") * duration_s * H_PER_S
    is_compared = (
        (pl.col("core_hours") >= WHOLE_NODE_FRAC * all_core_hours)
        & (pl.col("least_node_s") >= MIN_RECORDED_FRAC * duration_s)
        & (recorded_s * MIN_RECORDED_FRAC <= duration_s * pl.col("n_nodes"))
    )
    nodes = inputs.job_nodes.group_by("job_id").agg(
        n_nodes=pl.len(), n_cores=exact_sum(pl.col("n_cores"))
    )
    jobs = inputs.jobs.join(inputs.recorded, on="job_id", suffix="_recorded").join(
        nodes, on="job_id", how="left", maintain_order="left"
    )
    return jobs.with_columns(
        *mean_powers(),
        basis=pl.lit("recorded"),
        covered_kwh=pl.when(is_compared).then(pl.col("energy_kwh") * pl.col("coverage_frac")),
    ).select(*ESTIMATE_COLUMNS, "energy_kwh", "covered_kwh")


ESTIMATORS = (
    Estimator(
        name="recorded",
        version="1",
        tool="CodeCarbon, carbontracker",
        description="what the tool recorded in the job, where its user kept it",
        estimate=energy_of_recorded_jobs,
        covers_all_jobs=False,
    ),
)
