"""Allocations of each job on each node: a constant share, GPUs and cores over an interval.

All later sums are linear in allocations. A container has its own share less the shares of its inner
jobs (`remainders`), and a suspension splits an allocation in two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint.allocation import overlaps
from footprint.allocation.containers import inner_jobs
from footprint.allocation.remainders import (
    INTERVAL_COLUMNS,
    without_inner_jobs,
    without_overlaps,
)
from footprint.allocation.shares import (
    SHARE_TOLERANCE,
    held_cores,
    reserved_shares,
    without_residue,
)
from footprint.core.errors import InputError
from footprint.core.step_functions import sums_over_time

ALLOCATION_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "stopped_at": pl.Datetime("us", "UTC"),
        "share": pl.Float64(),
        "gpus": pl.Float64(),
        "cores": pl.Float64(),
        "opens": pl.Boolean(),
        "closes": pl.Boolean(),
    }
)
"""Allocations. `opens` and `closes`: whether the job itself starts or stops at the bound."""

OCCUPANCY_SCHEMA = pl.Schema(
    {"node": pl.String(), "at": pl.Datetime("us", "UTC"), "share": pl.Float64()}
)
"""Share of a node that is held from `at` until the node's next row."""


def latest_end() -> pl.Expr:
    """End of a job, else start plus walltime; null where neither is known."""
    return pl.col("stopped_at").fill_null(
        pl.col("started_at") + pl.duration(seconds=pl.col("walltime_s"))
    )


def held_until(end: datetime) -> pl.Expr:
    """Time at which a job releases its nodes: its end, else `latest_end` or, if earlier, `end`."""
    return (
        pl.col("stopped_at")
        .fill_null(pl.min_horizontal(latest_end(), pl.lit(end)))
        .cast(pl.Datetime("us", "UTC"))
    )


def unclipped_allocations(
    jobs: pl.LazyFrame, shares: pl.LazyFrame, *, end: datetime
) -> pl.LazyFrame:
    """Intervals in which each job holds its shares: without suspensions, not yet clipped.

    Args:
        jobs: `schemas.Jobs`.
        shares: Result of `reserved_shares`.
        end: End of the study, which bounds jobs without an end or a walltime.

    Returns:
        `remainders.INTERVAL_COLUMNS`.
    """
    bounded = jobs.filter(pl.col("started_at").is_not_null()).select(
        "job_id", "started_at", "suspensions", stopped_at=held_until(end)
    )
    is_suspended = pl.col("suspensions").list.len().fill_null(0) > 0
    # Without its suspensions a job holds its nodes from its start, or the end of a suspension, to
    # the start of the next one, or its end. A suspension without an end lasts as long as the job.
    ordered = pl.element().sort_by(pl.element().struct.field("started_at"))
    pause = pl.col("suspensions").list.eval(ordered.struct.field("started_at"))
    resume = pl.col("suspensions").list.eval(ordered.struct.field("stopped_at"))
    active = (
        bounded.filter(is_suspended)
        .with_columns(
            started_at=pl.concat_list("started_at", resume),
            until=pl.concat_list(pause, "stopped_at"),
        )
        .explode("started_at", "until", empty_as_null=False, keep_nulls=True)
        .with_columns(stopped_at=pl.min_horizontal("until", "stopped_at"))
    )
    steady = bounded.filter(~is_suspended)
    return (
        pl.concat([steady, active.select(steady.collect_schema().names())])
        .filter(pl.col("stopped_at") > pl.col("started_at"))
        .join(shares, on="job_id")
        .select(INTERVAL_COLUMNS)
    )


def clip_allocations(held: pl.LazyFrame, *, start: datetime, end: datetime) -> pl.LazyFrame:
    """Allocations (`ALLOCATION_SCHEMA`) inside [start, end), sorted by node and start.

    `opens` or `closes` is false where `start` or `end` bounds the allocation, and where the job
    holds another part of the node directly before or after it.

    Args:
        held: `remainders.INTERVAL_COLUMNS`; intervals of the same job and node do not overlap.
        start: Start of the study.
        end: End of the study, excluded.
    """
    low, high = (pl.lit(bound).cast(pl.Datetime("us", "UTC")) for bound in (start, end))
    continues = continues_previous_row()
    return (
        held.sort("job_id", "node", "started_at")
        .with_columns(opens=~continues, closes=~continues.shift(-1, fill_value=False))
        .filter((pl.col("started_at") < high) & (pl.col("stopped_at") > low))
        .with_columns(
            opens=pl.col("opens") & (pl.col("started_at") >= low),
            closes=pl.col("closes") & (pl.col("stopped_at") <= high),
            started_at=pl.max_horizontal("started_at", low),
            stopped_at=pl.min_horizontal("stopped_at", high),
        )
        .sort("node", "started_at", "job_id", "stopped_at", "share")
    )


def continues_previous_row() -> pl.Expr:
    """Whether a row starts when the row before ends, for the same job and node.

    Rows are sorted by job, node and start, or by node, job and start. A job has no start or end of
    its own between two such rows.
    """
    return pl.all_horizontal(
        pl.col(name) == pl.col(before).shift(1)
        for name, before in [("job_id", "job_id"), ("node", "node"), ("started_at", "stopped_at")]
    ).fill_null(False)


class NodeAllocations(NamedTuple):
    """Allocations on nodes, and the overlaps that were settled.

    Attributes:
        allocations: Allocations (`ALLOCATION_SCHEMA`), sorted by node and start.
        overlaps: Jobs that hold less of a node than they reserved (`overlaps.OVERLAPS_SCHEMA`).
    """

    allocations: pl.DataFrame
    overlaps: pl.DataFrame


def build_allocations(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
    gate: str,
) -> NodeAllocations:
    """Allocations of every job on every node of the study, and the overlaps that were settled.

    A container has the rest that its inner jobs leave, or share 0. `overlaps` settles jobs that
    hold the same cores at the same time, but under `binary`, where every job holds the whole node.

    Args:
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes` of the study's clusters; allocations on other nodes are left out.
        start: Start of the study.
        end: End of the study, excluded.
        gate: The gate, one of `vocabulary.GATES`.

    Raises:
        InputError: A job holds a core that its node lacks, inner jobs hold more than their
            container, or (but under `binary`) jobs hold the same cores.
    """
    shares = reserved_shares(jobs, allocations, nodes)
    is_binary = gate == "binary"
    cores = None if is_binary else held_cores(jobs, allocations, nodes).with_columns(cores=1.0)
    built = settle_allocations(jobs, shares, cores, start=start, end=end)
    if is_binary:
        return built._replace(allocations=built.allocations.with_columns(share=pl.lit(1.0)))
    check_shares(built.allocations)
    return built


def settle_allocations(
    jobs: pl.LazyFrame,
    shares: pl.LazyFrame,
    cores: pl.LazyFrame | None,
    *,
    start: datetime,
    end: datetime,
) -> NodeAllocations:
    """Allocations of reserved shares, less overlaps on the same cores and less inner jobs.

    Args:
        jobs: `schemas.Jobs`.
        shares: Result of `reserved_shares`.
        cores: Cores of each job, as for `overlaps.losses_of_jobs`. None: overlaps are allowed.
        start: Start of the study.
        end: End of the study, excluded.

    Raises:
        InputError: Inner jobs hold more than their container, or jobs hold the same cores.
    """
    held = unclipped_allocations(jobs, shares, end=end).collect().lazy()
    inner = inner_jobs(jobs)
    lost = pl.DataFrame(schema=overlaps.LOSSES_SCHEMA)
    if cores is not None:
        lost = overlaps.losses_of_jobs(held, cores, jobs, inner, start=start, end=end)
        overlaps.check_conflicts(lost)
    left = without_inner_jobs(without_overlaps(held, lost), inner)
    settled = clip_allocations(left, start=start, end=end).collect()
    check_containers(settled)
    return NodeAllocations(settled, overlaps.settled_overlaps(lost))


def occupancy(allocations: pl.LazyFrame) -> pl.LazyFrame:
    """Share of each node that is held, as a step function of time (`OCCUPANCY_SCHEMA`).

    Args:
        allocations: `node`, `started_at`, `stopped_at`, `share`.

    Returns:
        `node`, `at`, `share`, sorted by node and time.
    """
    return sums_over_time(allocations, ["share"], by=["node"]).select(
        "node", at="started_at", share=without_residue(pl.col("share"))
    )


def check_containers(allocations: pl.DataFrame) -> None:
    """Refuse inner jobs that hold more of a node than their container.

    Args:
        allocations: Allocations less those of inner jobs.

    Raises:
        InputError: The share of a container is below 0.
    """
    exceeded = allocations.filter(pl.col("share") < 0).sort("started_at", "job_id", "node")
    if exceeded.is_empty():
        return
    listed = [
        f"container job {row['job_id']}: its inner jobs hold more of {row['node']} than it does"
        f" from {row['started_at']:%Y-%m-%d %H:%M:%S} UTC"
        for row in exceeded.unique(["job_id", "node"], keep="first", maintain_order=True).iter_rows(
            named=True
        )
    ]
    raise InputError(", ".join(listed), do="fix the cores of the jobs")


def check_shares(allocations: pl.DataFrame, *, of: str = "node") -> None:
    """Refuse nodes whose jobs hold more than the whole node.

    Args:
        allocations: Allocations of every job.
        of: Word for the message: what the shares are parts of.

    Raises:
        InputError: Shares of a node add up to more than 1; the message lists each such node with
            its jobs and the time.
    """
    over = (
        occupancy(allocations.lazy())
        .filter(pl.col("share") > 1 + SHARE_TOLERANCE)
        .sort("at", "node")
        .collect()
    )
    if over.is_empty():
        return
    first = over.unique("node", keep="first", maintain_order=True)
    listed = [_describe_excess(allocations, row, of) for row in first.iter_rows(named=True)]
    raise InputError(
        ", ".join(listed), do="fix the jobs' times or cores, or set integration.gate to binary"
    )


def _describe_excess(allocations: pl.DataFrame, row: dict[str, Any], of: str) -> str:
    """Overallocated node with its jobs, the share and the time."""
    there = allocations.filter(
        (pl.col("node") == row["node"])
        & (pl.col("started_at") <= row["at"])
        & (pl.col("stopped_at") > row["at"])
    )
    names = ", ".join(str(job) for job in there["job_id"].unique().sort())
    return (
        f"{row['node']}: jobs {names} together hold {row['share']:.3g} of the {of}"
        f" from {row['at']:%Y-%m-%d %H:%M:%S} UTC"
    )
