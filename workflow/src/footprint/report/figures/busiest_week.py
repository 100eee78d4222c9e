"""The week of a node with most jobs: its choice, and its samples."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import polars as pl

from footprint.core.sums import sum_or_zero

WEEK = timedelta(days=7)


class Week(NamedTuple):
    """A node and the week drawn, from `start` to before `end`, with the energies in it."""

    node: str
    start: datetime
    end: datetime
    measured_kwh: float
    jobs_kwh: float


def busiest_week(
    node_energy: pl.DataFrame, allocations: pl.LazyFrame, *, node: str | None = None
) -> Week | None:
    """The GPU node and week with most jobs of an hour or more; the most energy breaks ties.

    Weeks are seven UTC days from the first day of the study; a shorter study is one week. Only
    weeks measured for half of their time or more count. Nodes without GPUs are chosen only if no
    GPU node had a job.

    Args:
        node_energy: `schemas.NodeEnergy`.
        allocations: Allocations of the study: `job_id`, `node`, `started_at`, `stopped_at`.
        node: The node to choose a week of; None for any.

    Returns:
        None if no week has energy in jobs.
    """
    rows = node_energy if node is None else node_energy.filter(pl.col("node") == node)
    if rows.is_empty():
        return None
    days: tuple[date, date] = node_energy.select(
        pl.col("day").min().alias("first"), pl.col("day").max().alias("last")
    ).row(0)
    first, end = (datetime.combine(day, time.min, UTC) for day in days)
    of_class, day = pl.col("class"), pl.col("day")
    weeks = (
        rows.lazy()
        .group_by("node", ((day - days[0]).dt.total_days() // 7).alias("week"))
        .agg(
            pl.col("has_gpu").any(),
            sum_or_zero(pl.col("measured_kwh")),
            sum_or_zero(pl.col("measured_kwh").filter(of_class == "job")).alias("jobs_kwh"),
            sum_or_zero(pl.col("duration_s").filter(of_class == "no_data")).alias("unknown_s"),
            sum_or_zero(pl.col("duration_s")).alias("whole_s"),
        )
        .filter(pl.col("jobs_kwh") > 0, pl.col("unknown_s") <= pl.col("whole_s") / 2)
        .join(_long_jobs(allocations, first), on=["node", "week"], how="left")
        .sort(
            "has_gpu",
            pl.col("n_jobs").fill_null(0),
            "jobs_kwh",
            "node",
            "week",
            descending=[True, True, True, False, False],
        )
        .head(1)
        .collect()
    )
    if weeks.is_empty():
        return None
    chosen = weeks.row(0, named=True)
    start = first + chosen["week"] * WEEK
    end = min(start + WEEK, end + timedelta(days=1))
    return Week(chosen["node"], start, end, chosen["measured_kwh"], chosen["jobs_kwh"])


def _long_jobs(allocations: pl.LazyFrame, first: datetime) -> pl.LazyFrame:
    """Number of jobs that held a node for an hour or more of a week: `node`, `week`, `n_jobs`."""

    def week_of(moment: str) -> pl.Expr:
        return (pl.col(moment) - pl.lit(first)).dt.total_seconds() // int(WEEK.total_seconds())

    began = pl.lit(first) + pl.col("week") * pl.duration(days=7)
    inside = pl.min_horizontal("stopped_at", began + WEEK) - pl.max_horizontal("started_at", began)
    return (
        allocations.filter(pl.col("stopped_at") > pl.lit(first))
        .with_columns(
            pl.int_ranges(week_of("started_at").clip(0), week_of("stopped_at") + 1).alias("week")
        )
        .explode("week", empty_as_null=False, keep_nulls=False)
        .filter(inside >= timedelta(hours=1))
        .group_by("node", "week")
        .agg(pl.col("job_id").n_unique().alias("n_jobs"))
    )


def samples_of_week(power: pl.LazyFrame, week: Week) -> pl.DataFrame:
    """Samples of the node in the week: `timestamp`, `power_w`, sorted by time.

    Monthly files repeat the samples around their bounds; repeated samples are merged.
    """
    return (
        power.filter(
            pl.col("node") == week.node,
            pl.col("timestamp") >= week.start,
            pl.col("timestamp") < week.end,
        )
        .select("timestamp", "power_w")
        .unique("timestamp", keep="any")
        .sort("timestamp")
        .collect()
    )
