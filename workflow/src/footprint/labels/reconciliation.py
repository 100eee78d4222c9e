"""Tracked runs without a job, and jobs that were not tracked, in numbers without names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import polars as pl

from footprint.core.sums import known_sum, sum_or_zero
from footprint.schemas.labels import Reconciliation
from footprint.schemas.writing import conform

RUNS_IN_JOBS = "in a job of the study"
TRACKED_JOBS = "tracked"
MISSED_JOBS = "not tracked, of people who track"
JOBS_OF_OTHERS = "of people who do not track"


def reconcile_ledgers(
    runs: pl.DataFrame,
    job_energy: pl.LazyFrame,
    rejected: pl.DataFrame,
    *,
    users: Collection[str] | Literal["all"],
    minimum_group: int,
) -> pl.DataFrame:
    """Tracked runs by job or reason, and jobs by whether they were tracked.

    If one of the groups of jobs has fewer people than the minimum, and not all of them asked to be
    shown, the numbers of all groups are null: the difference would disclose them.

    Args:
        runs: `schemas.Ledger`.
        job_energy: `schemas.JobEnergy`; its users are pseudonyms.
        rejected: `schemas.RejectedRows` of the ledgers.
        users: Pseudonyms of the people who asked to be shown; `all` selects none.
        minimum_group: Smallest number of people of a group that is shown.

    Returns:
        `schemas.Reconciliation`.
    """
    parts = [
        _count_runs(runs),
        _count_lines(runs, rejected),
        _count_jobs(runs, job_energy, users, minimum_group),
    ]
    found: pl.DataFrame = conform(
        Reconciliation,
        pl.concat([pl.DataFrame(Reconciliation.create_empty()), *parts], how="diagonal"),
    )
    return found


def _count_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """Outermost runs, in a job or by the reason for having none."""
    inside = pl.col("within").is_in(runs["run"].implode()).fill_null(False)
    return (
        runs.filter(~inside)
        .group_by(name=pl.col("reason").fill_null(RUNS_IN_JOBS))
        .agg(n_rows=pl.len().cast(pl.Int64))
        .with_columns(side=pl.lit("ledger"))
    )


def _count_lines(runs: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows with other reasons than runs have: lines of the files, and energies."""
    run_reasons = runs["reason"].drop_nulls().unique().to_list()
    return (
        rejected.filter(~pl.col("reason").is_in(run_reasons))
        .select(name="reason", n_rows="n_rows")
        .with_columns(side=pl.lit("lines"))
    )


def _count_jobs(
    runs: pl.DataFrame,
    job_energy: pl.LazyFrame,
    users: Collection[str] | Literal["all"],
    minimum_group: int,
) -> pl.DataFrame:
    """Jobs with their GPU hours and energy, by whether they were tracked."""
    ran = job_energy.filter(pl.col("duration_s") > 0).collect()
    is_tracked = pl.col("job_id").is_in(runs["job_id"].drop_nulls().unique().implode())
    trackers = ran.filter(is_tracked)["user"].unique().implode()
    group = (
        pl.when(is_tracked)
        .then(pl.lit(TRACKED_JOBS))
        .when(pl.col("user").is_in(trackers))
        .then(pl.lit(MISSED_JOBS))
        .otherwise(pl.lit(JOBS_OF_OTHERS))
    )
    asked = [] if users == "all" else sorted(users)
    groups = ran.group_by(name=group).agg(
        n_rows=pl.len().cast(pl.Int64),
        gpu_hours=sum_or_zero(pl.col("gpu_hours")),
        measured_kwh=known_sum(pl.col("measured_kwh")),
        is_shown=(pl.col("user").n_unique() >= minimum_group) | pl.col("user").is_in(asked).all(),
    )
    all_shown = bool(groups["is_shown"].all())
    return groups.with_columns(
        *(
            pl.when(pl.lit(all_shown)).then(name).alias(name)
            for name in ("n_rows", "gpu_hours", "measured_kwh")
        ),
        side=pl.lit("jobs"),
    ).drop("is_shown")
