"""Who held which share of which node, and when.

A gate is a set of pieces: intervals in which a job holds a constant share of a node. Everything
after this module is linear in the pieces, so that a container's remainder is its own share minus a
piece for each inner job, and a suspension simply splits a piece in two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint import containers, overlaps
from footprint.errors import InputError
from footprint.shares import SHARE_TOLERANCE, held_cores, reserved_shares, without_residue
from footprint.summation import exact_sum, total

POLICIES = ("binary", "reserved", "active", "two_part")

PIECES = pl.Schema(
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
OCCUPANCY = pl.Schema({"node": pl.String(), "at": pl.Datetime("us", "UTC"), "share": pl.Float64()})


def latest_end() -> pl.Expr:
    """When a job ended, or for one without an end must end by its walltime; null: who knows."""
    return pl.col("stopped_at").fill_null(
        pl.col("started_at") + pl.duration(seconds=pl.col("walltime_s"))
    )


def held_until(end: datetime) -> pl.Expr:
    """When a job let go of its nodes: its end, and for one without an end its walltime or `end`."""
    return (
        pl.col("stopped_at")
        .fill_null(pl.min_horizontal(latest_end(), pl.lit(end)))
        .cast(pl.Datetime("us", "UTC"))
    )


def holds(jobs: pl.LazyFrame, shares: pl.LazyFrame, *, end: datetime) -> pl.LazyFrame:
    """Intervals in which each job holds its nodes, without its suspensions.

    Args:
        jobs: `tables.Jobs`.
        shares: Result of `reserved_shares`.
        end: End of the study, which bounds jobs without an end or a walltime.

    Returns:
        Pieces (`PIECES`), not yet clipped to the study.
    """
    bounded = (
        jobs.filter(pl.col("started_at").is_not_null())
        .with_columns(stopped_at=held_until(end))
        .select("job_id", "started_at", "stopped_at", "suspensions")
    )
    steady = bounded.filter(pl.col("suspensions").list.len().fill_null(0) == 0).drop("suspensions")
    suspended = bounded.filter(pl.col("suspensions").list.len() > 0)
    # The complement of the suspensions: from each end of one (or the start) to the next start (or
    # the end).
    ordered = pl.element().sort_by(pl.element().struct.field("started_at"))
    pause = pl.col("suspensions").list.eval(ordered.struct.field("started_at"))
    resume = pl.col("suspensions").list.eval(ordered.struct.field("stopped_at"))
    active = (
        suspended.select(
            "job_id",
            "stopped_at",
            since=pl.concat_list("started_at", resume),
            until=pl.concat_list(pause, "stopped_at"),
        )
        .explode("since", "until", empty_as_null=False, keep_nulls=True)
        .select(
            "job_id",
            # a suspension without an end lasts as long as the job
            started_at=pl.col("since").fill_null(pl.col("stopped_at")),
            stopped_at=pl.min_horizontal("until", "stopped_at"),
        )
    )
    return (
        pl.concat([steady, active])
        .filter(pl.col("stopped_at") > pl.col("started_at"))
        .join(shares, on="job_id")
        .with_columns(opens=pl.lit(True), closes=pl.lit(True))
        .select(PIECES.names())
    )


def inner_jobs(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Pairs of a container job and a job inside it, but those of `containers.inside_themselves`.

    Returns:
        `job_id` (the inner job), `container_id`.
    """
    pairs = containers.pairs(jobs)
    circular = pl.LazyFrame(
        {"job_id": containers.inside_themselves(jobs)}, schema={"job_id": pl.Int64}
    )
    by_container = circular.rename({"job_id": "container_id"})
    both = pairs.join(circular, on="job_id", how="semi").join(
        by_container, on="container_id", how="semi"
    )
    return pairs.join(both, on=["job_id", "container_id"], how="anti")


def without_inner_jobs(pieces: pl.LazyFrame, inner: pl.LazyFrame) -> pl.LazyFrame:
    """Pieces with the share of each inner job taken from its container while both are there.

    A container with nothing left keeps a piece of share 0: it still holds the node.
    """
    inside = pieces.join(inner, on="job_id").select(
        pl.col("container_id").alias("job_id"),
        "node",
        *(pl.col(name).alias(f"{name}_inner") for name in ("started_at", "stopped_at")),
        *(-pl.col(name).alias(name) for name in ("share", "gpus", "cores")),
    )
    taken = (
        pieces.drop("share", "gpus", "cores")
        .join(inside, on=["job_id", "node"])
        .with_columns(
            started_at=pl.max_horizontal("started_at", "started_at_inner"),
            stopped_at=pl.min_horizontal("stopped_at", "stopped_at_inner"),
        )
        .filter(pl.col("stopped_at") > pl.col("started_at"))
        .select(PIECES.names())
    )
    emptied = taken.select("job_id", "node").unique()
    untouched = pieces.join(emptied, on=["job_id", "node"], how="anti")
    containers = pieces.join(emptied, on=["job_id", "node"], how="semi")
    return pl.concat([untouched, net(containers, taken)])


def net(held: pl.LazyFrame, taken: pl.LazyFrame) -> pl.LazyFrame:
    """Pieces of each job and node, less what is taken of them, cut wherever that changes.

    Args:
        held: Pieces.
        taken: What is taken, with negative shares.
    """
    what = ("share", "gpus", "cores")
    job_node = ["job_id", "node"]
    own = pl.col("share") > 0
    begin = pl.concat([held, taken]).select(
        *job_node,
        *what,
        at="started_at",
        n_held=own.cast(pl.Int64),
        opens=own & pl.col("opens"),
        closes=pl.lit(False),
    )
    end = pl.concat([held, taken]).select(
        *job_node,
        *(-pl.col(name) for name in what),
        at="stopped_at",
        n_held=-own.cast(pl.Int64),
        opens=pl.lit(False),
        closes=own & pl.col("closes"),
    )
    return (
        pl.concat([begin, end.select(begin.collect_schema().names())])
        .group_by(*job_node, "at")
        .agg(total(pl.col(what)), exact_sum(pl.col("n_held")), pl.col("opens", "closes").any())
        .sort(*job_node, "at")
        .with_columns(
            *(without_residue(pl.col(name).cum_sum().over(job_node)).alias(name) for name in what),
            pl.col("n_held").cum_sum().over(job_node),
            started_at="at",
            stopped_at=pl.col("at").shift(-1).over(job_node),
            closes=pl.col("closes").shift(-1).over(job_node),
        )
        .filter((pl.col("n_held") > 0) & pl.col("stopped_at").is_not_null())
        .select(PIECES.names())
    )


def clip(pieces: pl.LazyFrame, *, start: datetime, end: datetime) -> pl.LazyFrame:
    """The part of each piece inside [start, end); a bound moved by it is no bound of the job."""
    low, high = (
        pl.lit(start).cast(pl.Datetime("us", "UTC")),
        pl.lit(end).cast(pl.Datetime("us", "UTC")),
    )
    return (
        pieces.filter((pl.col("started_at") < high) & (pl.col("stopped_at") > low))
        .with_columns(
            opens=pl.col("opens") & (pl.col("started_at") >= low),
            closes=pl.col("closes") & (pl.col("stopped_at") <= high),
            started_at=pl.max_horizontal("started_at", low),
            stopped_at=pl.min_horizontal("stopped_at", high),
        )
        .sort("node", "started_at", "job_id", "stopped_at", "share")
    )


def build(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
    policy: str,
) -> pl.LazyFrame:
    """Gate pieces of every job on every node of the study.

    Args:
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`.
        nodes: `tables.Nodes` of the study's clusters; allocations on other nodes are left out.
        start: Start of the study.
        end: End of the study, excluded.
        policy: One of `POLICIES`. Under `binary` every job holds the whole node.

    Returns:
        Pieces (`PIECES`), sorted by node and start. Those of a container are what its inner jobs
        leave of it, 0 when they leave nothing.

    Raises:
        InputError: A core that a node does not have, inner jobs that hold more than their
            container, or jobs that hold the same cores (but under `binary`).
    """
    return build_with_overlaps(
        jobs, allocations, nodes, start=start, end=end, policy=policy
    ).pieces.lazy()


class Gates(NamedTuple):
    """Gate pieces (`PIECES`), and where jobs hold less than they reserved (`overlaps.OVERLAPS`)."""

    pieces: pl.DataFrame
    overlaps: pl.DataFrame


def build_with_overlaps(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
    policy: str,
) -> Gates:
    """Gate pieces as of `build`, and the jobs that were trimmed or share their cores.

    Jobs that hold the same cores at the same time are settled as `footprint.overlaps` says, but
    under `binary`, where every job holds the whole node.

    Args:
        jobs: As for `build`.
        allocations: As for `build`.
        nodes: As for `build`.
        start: As for `build`.
        end: As for `build`.
        policy: As for `build`.

    Raises:
        InputError: As for `build`.
    """
    pieces = holds(jobs, reserved_shares(jobs, allocations, nodes), end=end)
    lost = pl.DataFrame(schema=overlaps.TAKEN)
    inner = inner_jobs(jobs)
    if policy != "binary":
        cores = held_cores(jobs, allocations, nodes).with_columns(cores=pl.lit(1.0))
        lost = overlaps.taken(pieces, cores, jobs, inner, start=start, end=end)
        overlaps.check(lost)
        pieces = without_overlaps(pieces, lost)
    whole = clip(without_inner_jobs(pieces, inner), start=start, end=end).collect()
    check_containers(whole)
    if policy == "binary":
        return Gates(whole.with_columns(share=pl.lit(1.0)), overlaps.of_jobs(lost))
    check_shares(whole)
    return Gates(whole, overlaps.of_jobs(lost))


def without_overlaps(pieces: pl.LazyFrame, lost: pl.DataFrame) -> pl.LazyFrame:
    """Pieces without what jobs lose of them; a job holds nothing where it loses all.

    Args:
        pieces: Pieces of whole intervals.
        lost: Result of `overlaps.taken`.
    """
    if lost.is_empty():
        return pieces
    job_node = ["job_id", "node"]
    what = ("share", "gpus", "cores")
    losing = lost.lazy().select(job_node).unique()
    less = lost.lazy().select(
        *job_node,
        "started_at",
        "stopped_at",
        *(-pl.col(name) for name in what),
        opens=pl.lit(False),
        closes=pl.lit(False),
    )
    gone = pl.col("share") <= SHARE_TOLERANCE
    follows = pl.col("started_at") == pl.col("stopped_at").shift(1)
    precedes = pl.col("stopped_at") == pl.col("started_at").shift(-1)
    cut = (
        net(pieces.join(losing, on=job_node, how="semi"), less.select(PIECES.names()))
        .sort(*job_node, "started_at")
        .with_columns(
            # the job opens or closes where the part that is gone begins or ends
            opens=pl.col("opens") | (gone.shift(1) & follows).over(job_node).fill_null(False),
            closes=pl.col("closes") | (gone.shift(-1) & precedes).over(job_node).fill_null(False),
        )
        .filter(~gone)
    )
    return pl.concat([pieces.join(losing, on=job_node, how="anti"), cut])


def occupancy(pieces: pl.LazyFrame) -> pl.LazyFrame:
    """Share of each node that is held, as a step function of time.

    Returns:
        `node`, `at`, `share`: from `at` until the node's next row, `share` of it is held.
    """
    return (
        pl.concat(
            [
                pieces.select("node", at="started_at", share="share"),
                pieces.select("node", "stopped_at", -pl.col("share")).rename({"stopped_at": "at"}),
            ]
        )
        .group_by("node", "at")
        .agg(total(pl.col("share")))
        .sort("node", "at")
        .with_columns(share=without_residue(pl.col("share").cum_sum().over("node")))
    )


def check_containers(pieces: pl.DataFrame) -> None:
    """Refuse inner jobs that hold more of a node than their container.

    Raises:
        InputError: A container is left with less than nothing.
    """
    less = pieces.filter(pl.col("share") < 0).sort("started_at", "job_id", "node")
    if less.is_empty():
        return
    listed = [
        f"container job {row['job_id']}: its inner jobs hold more of {row['node']} than it does"
        f" from {row['started_at']:%Y-%m-%d %H:%M:%S} UTC"
        for row in less.unique(["job_id", "node"], keep="first", maintain_order=True).iter_rows(
            named=True
        )
    ]
    raise InputError(", ".join(listed), do="correct the cores of the jobs")


def check_shares(pieces: pl.DataFrame, *, of: str = "node") -> None:
    """Refuse nodes of which more than the whole is held; all are listed with time and jobs.

    Args:
        pieces: Pieces of every job.
        of: What they are pieces of, for the message.

    Raises:
        InputError: Shares of a node add up to more than 1.
    """
    over = (
        occupancy(pieces.lazy())
        .filter(pl.col("share") > 1 + SHARE_TOLERANCE)
        .sort("at", "node")
        .collect()
    )
    if over.is_empty():
        return
    first = over.unique("node", keep="first", maintain_order=True)
    listed = [_overfull(pieces, row, of) for row in first.iter_rows(named=True)]
    raise InputError(
        ", ".join(listed), do="correct the jobs' times or cores, or set integration.gate to binary"
    )


def _overfull(pieces: pl.DataFrame, row: dict[str, Any], of: str) -> str:
    """A node of which more than the whole is held, its jobs and since when."""
    there = pieces.filter(
        (pl.col("node") == row["node"])
        & (pl.col("started_at") <= row["at"])
        & (pl.col("stopped_at") > row["at"])
    )
    names = ", ".join(str(job) for job in there["job_id"].unique().sort())
    return (
        f"{row['node']}: jobs {names} together hold {row['share']:.3g} of the {of}"
        f" from {row['at']:%Y-%m-%d %H:%M:%S} UTC"
    )
