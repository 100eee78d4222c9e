"""What a tool recorded while the job ran, as its user kept it (`footprint.recorded`)."""

from __future__ import annotations

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import PARTS, mean_powers

COMPARED_FRAC = 0.9
"""A record of less of its job's time is not compared with the job's measured energy."""


def as_recorded(facts: Facts) -> pl.LazyFrame:
    """Energy of the jobs that have a record; other jobs have no row.

    `covered_kwh` is null where the record is of less than 90 % of the job's time in the study, of a
    job that began before the study or went on after it, or of a job on several nodes: tools record
    the machine that they run on.
    """
    duration_s, of_record_s = pl.col("duration_s"), pl.col("duration_s_recorded")
    whole = (of_record_s >= COMPARED_FRAC * duration_s) & (
        of_record_s * COMPARED_FRAC <= duration_s
    )
    whole &= (pl.col("n_nodes") == 1).fill_null(False)
    n_nodes = facts.held.group_by("job_id").agg(n_nodes=pl.col("node").n_unique())
    jobs = facts.jobs.join(facts.recorded, on="job_id", suffix="_recorded").join(
        n_nodes, on="job_id", how="left", maintain_order="left"
    )
    return jobs.with_columns(
        *mean_powers(),
        basis=pl.lit("recorded"),
        covered_kwh=pl.when(whole).then(pl.col("energy_kwh") * pl.col("coverage_frac")),
    ).select(*PARTS, "energy_kwh", "covered_kwh")


ESTIMATORS = (
    Estimator(
        name="recorded",
        version="1",
        tool="CodeCarbon, carbontracker",
        says="what the tool recorded in the job, where its user kept it",
        estimate=as_recorded,
        of_all=False,
    ),
)
