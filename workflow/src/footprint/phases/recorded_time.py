"""Compute the node time that each job held by its record, and the part with known energy.

A study measures its own nodes inside its window. A job may have held nodes of other clusters, may
have started before the window, and may have ended after it.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint.allocation import held_intervals
from footprint.core.sums import exact_sum
from footprint.core.units import S_PER_H

_INTERVAL_SUMS = ("recorded_us", "inside_us")


def recorded_time_of_jobs(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.LazyFrame:
    """Share x time of each job on each of its nodes, from its start to its end.

    `node_allocations.held_until` gives the end of a job without one. Suspended jobs hold nothing.
    On nodes of the study inside the window, `job_nodes` gives the time held and the share. Outside
    the window the share is the mean share inside it. A node whose share is unknown (a node outside
    the study, or of a job that was never inside the window) counts as held whole. A job that
    started and has no known node counts as one node, held whole.

    Args:
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`, including those on nodes outside the study.
        job_nodes: `schemas.JobNodeEnergy` with `unknown_node_h`.
        start: Start of the study.
        end: End of the study, excluded.

    Returns:
        `job_id`, `held_s` and `known_s` (node seconds; energy is measured or estimated), one row a
        job and node.
    """
    low, high = (pl.lit(bound).cast(pl.Datetime("us", "UTC")) for bound in (start, end))
    without_node = jobs.join(allocations, on="job_id", how="anti")
    job_on_node = pl.concat(
        [
            allocations.select("job_id", "node"),
            without_node.select("job_id", pl.lit(None, pl.String).alias("node")),
        ]
    )
    inside = pl.min_horizontal("stopped_at", high) - pl.max_horizontal("started_at", low)
    recorded = (
        held_intervals.held_intervals_of_jobs(jobs, job_on_node, end=end)
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
    outside_us = (
        pl.when(pl.col("is_of_study")).then(pl.col("recorded_us") - pl.col("inside_us"))
    ).fill_null(pl.col("recorded_us"))
    studied_s = (pl.col("share") * pl.col("duration_s")).fill_null(0.0)
    unknown_s = (pl.col("unknown_node_h") * S_PER_H).fill_null(0.0)
    return (
        recorded.join(
            job_nodes.select("job_id", "node", "share", "duration_s", "unknown_node_h"),
            on=["job_id", "node"],
            how="full",
            coalesce=True,
        )
        .join(of_study, on="node", how="left")
        .select(
            "job_id",
            held_s=studied_s + (share * outside_us.cast(pl.Float64) * 1e-6).fill_null(0.0),
            known_s=(studied_s - unknown_s).clip(lower_bound=0.0),
        )
    )
