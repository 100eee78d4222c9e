"""Node time that each job held by its record, and the part of it that the study could not measure.

A study measures its own nodes inside its window. A job may have held nodes of other clusters, may
have started before the window, and may have ended after it.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint import held_time
from footprint.summation import exact_sum

_INTERVAL_SUMS = ("recorded_us", "inside_us")


def of_jobs(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.LazyFrame:
    """Share x time of each job on each of its nodes, from its start to its end.

    A job without an end is taken to end as `gates.held_until` says; suspensions hold nothing.
    Inside the window, on a node of the study, the time held and its share are those of `job_nodes`.
    Outside the window the share is the mean share inside it. A node whose share is unknown (a node
    outside the study, or of a job that was never inside the window) counts as held whole. A job
    that started and has no known node counts as one node, held whole.

    Args:
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`, those on nodes outside the study included.
        job_nodes: `tables.JobNodeEnergy`.
        start: Start of the study.
        end: End of the study, excluded.

    Returns:
        `job_id`, `held_s` and `measured_s` (node seconds), a row each job and node.
    """
    low, high = (pl.lit(at).cast(pl.Datetime("us", "UTC")) for at in (start, end))
    unplaced = jobs.join(allocations, on="job_id", how="anti")
    placed = pl.concat(
        [
            allocations.select("job_id", "node"),
            unplaced.select("job_id", pl.lit(None, pl.String).alias("node")),
        ]
    )
    inside = pl.min_horizontal("stopped_at", high) - pl.max_horizontal("started_at", low)
    recorded = (
        held_time.intervals(jobs, placed, end=end)
        .lazy()
        .select(
            "job_id",
            "node",
            recorded_us=(pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds(),
            inside_us=inside.dt.total_microseconds().clip(lower_bound=0),
        )
        .group_by("job_id", "node")
        .agg(exact_sum(pl.col(name)) for name in _INTERVAL_SUMS)
    )
    of_study = job_nodes.select("node", is_of_study=pl.lit(True)).unique()
    share = pl.col("share").fill_null(1.0)
    unseen_us = (
        pl.when(pl.col("is_of_study")).then(pl.col("recorded_us") - pl.col("inside_us"))
    ).fill_null(pl.col("recorded_us"))
    seen_s = (pl.col("share") * pl.col("duration_s")).fill_null(0.0)
    return (
        recorded.join(
            job_nodes.select("job_id", "node", "share", "duration_s", "coverage_frac"),
            on=["job_id", "node"],
            how="full",
            coalesce=True,
        )
        .join(of_study, on="node", how="left")
        .select(
            "job_id",
            held_s=seen_s + (share * unseen_us.cast(pl.Float64) * 1e-6).fill_null(0.0),
            measured_s=seen_s * pl.col("coverage_frac").fill_null(0.0),
        )
    )
