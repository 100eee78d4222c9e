"""Jobs that hold the same cores at the same time: shared, trimmed, or refused.

OAR gives a core to one job at a time, but for containers and for jobs of the type `timesharing`.
Records that say otherwise by seconds come from clocks, epilogues and killed jobs that take time to
end. Records that say otherwise for longer contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from footprint.errors import InputError
from footprint.summation import total

LONGEST_TRIM = timedelta(seconds=60)
"""Overlap of two jobs that is trimmed: an epilogue, or what a killed job takes to end, lasts
seconds. 60 s of a job of an hour move below 2 % of its energy, and nothing of the node's total. A
choice of this project, not of OAR."""

MOST_NODES = 200
MOST_JOBS = 20
"""Nodes, and jobs of each, that the message about contradicting records lists."""

UTC = pl.Datetime("us", "UTC")
TAKEN = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "started_at": UTC,
        "stopped_at": UTC,
        "kind": pl.String(),
        "other": pl.Int64(),
        "share": pl.Float64(),
        "gpus": pl.Float64(),
        "cores": pl.Float64(),
    }
)
OVERLAPS = pl.Schema({"job_id": pl.Int64(), "node": pl.String(), "kind": pl.String()})
"""Jobs that hold less of a node than they reserved, for a time. `kind`: `trimmed` or `shared`."""

Interval = tuple[datetime, int, datetime, bool]
"""Start, job, end, and whether the job is of the type `timesharing`; in this order, the greatest
is the job that started last."""


class Loss(NamedTuple):
    """A part of its cores that a job does not have from `started_at` to `stopped_at`."""

    job_id: int
    started_at: datetime
    stopped_at: datetime
    kind: str
    other: int | None
    fraction: float


def losses(intervals: Iterable[Interval]) -> Iterator[Loss]:
    """What each job loses of cores that all of `intervals` hold.

    While several hold them, the job that started last has them alone, and where it is of the type
    `timesharing`, it shares them equally with the others of that type. Equal starts are ordered by
    job id. `kind` is `shared`, `trimmed`, or, where two jobs overlap for longer than
    `LONGEST_TRIM`, `conflict`; `other` is the job that has what a trimmed job loses.
    """
    waiting = sorted(intervals, reverse=True)
    bounds = sorted({bound for start, _, stop, _ in waiting for bound in (start, stop)})
    active: list[Interval] = []
    for since, until in pairwise(bounds):
        active = [each for each in active if each[2] > since]
        while waiting and waiting[-1][0] <= since:
            active.append(waiting.pop())
        if len(active) < 2:
            continue
        last = max(active)
        n_sharing = sum(each[3] for each in active) if last[3] else 1
        for each in active:
            if last[3] and each[3]:
                if n_sharing > 1:
                    yield Loss(each[1], since, until, "shared", None, 1 - 1 / n_sharing)
            elif each is not last:
                overlap = min(each[2], last[2]) - last[0]
                kind = "trimmed" if overlap <= LONGEST_TRIM else "conflict"
                yield Loss(each[1], since, until, kind, last[1], 1.0)


def taken(
    held: pl.LazyFrame,
    cores: pl.LazyFrame,
    jobs: pl.LazyFrame,
    inner: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """What jobs lose of what they reserved, since others hold the same cores (`TAKEN`).

    Args:
        held: Intervals in which jobs hold their nodes: `job_id`, `node`, `started_at`,
            `stopped_at`.
        cores: Cores of each job: `job_id`, `node`, `core`, `share`, `gpus`, `cores`, the last three
            being what the core stands for.
        jobs: `tables.Jobs`.
        inner: Result of `gates.inner_jobs`. A job inside a container is compared with all but
            containers, and a container with all but jobs inside one.
        start: Start of the study.
        end: End of the study, excluded; other overlaps do not matter.
    """
    window = (pl.col("started_at") < end) & (pl.col("stopped_at") > start)
    sharing = pl.col("types").list.eval(pl.element().str.contains("^timesharing(=|$)")).list.any()
    spans = (
        held.select("job_id", "node", "started_at", "stopped_at")
        .filter(window)
        .join(jobs.select("job_id", is_shared=sharing.fill_null(False)), on="job_id")
        .collect()
        .sort("node", "started_at", "stopped_at", "job_id")
        .with_row_index("span")
    )
    containers = inner.select(job_id="container_id").unique().collect()
    inside = inner.select("job_id").unique().collect()
    single = _colliding(spans.join(containers, on="job_id", how="anti"), cores)
    found = [_losses(single)]
    outer = _colliding(spans.join(inside, on="job_id", how="anti"), cores)
    if len(outer) and len(containers):
        by_core = ["node", "core"]
        touched = outer.join(containers, on="job_id", how="semi").select(by_core).unique()
        found.append(_losses(outer.join(touched, on=by_core, how="semi")))
    return (
        pl.concat(found)
        .filter(window)
        .unique(maintain_order=True)
        .sort("node", "started_at", "job_id")
    )


def _colliding(spans: pl.DataFrame, cores: pl.LazyFrame) -> pl.DataFrame:
    """Intervals by core that overlap with another of the same core, with what the core is."""
    on_node = spans.filter(_overlaps_another(spans, ["node"]))
    by_core = (
        on_node.lazy()
        .join(cores, on=["job_id", "node"])
        .select(*spans.columns, "core", "share", "gpus", "cores")
        .collect()
    )
    return by_core.filter(_overlaps_another(by_core, ["node", "core"]))


def _overlaps_another(rows: pl.DataFrame, by: list[str]) -> pl.Series:
    """Whether each interval overlaps with another of its group."""
    order = rows.with_row_index("row").sort(*by, "started_at", "stopped_at", "job_id")
    before = pl.col("stopped_at").cum_max().shift(1).over(by)
    after = pl.col("started_at").shift(-1).over(by)
    overlaps = (pl.col("started_at") < before).fill_null(False)
    overlaps |= (pl.col("stopped_at") > after).fill_null(False)
    return order.select("row", found=overlaps).sort("row")["found"]


def _losses(rows: pl.DataFrame) -> pl.DataFrame:
    """`losses` on each set of cores of a node that the same intervals hold."""
    if rows.is_empty():
        return pl.DataFrame(schema=TAKEN)
    spans = rows.unique("span", maintain_order=True)
    of_span: dict[int, Interval] = {
        span: (start, job_id, stop, is_shared)
        for span, start, job_id, stop, is_shared in spans.select(
            "span", "started_at", "job_id", "stopped_at", "is_shared"
        ).iter_rows()
    }
    sets = (
        rows.sort("node", "core", "span")
        .group_by("node", "core", maintain_order=True)
        .agg("span")
        .with_columns(key=pl.col("span").cast(pl.List(pl.String)).list.join(" "))
        .group_by("node", "key", maintain_order=True)
        .agg("core", pl.col("span").first())
        .with_row_index("set")
    )
    what = ("share", "gpus", "cores")
    sizes = (
        rows.unique(["node", "core", "job_id"], maintain_order=True)
        .join(sets.select("set", "node", "core").explode("core"), on=["node", "core"])
        .group_by("set", "job_id")
        .agg(total(pl.col(what)))
    )
    lost = [
        (number, node, *loss)
        for number, node, members in sets.select("set", "node", "span").iter_rows()
        for loss in losses(of_span[span] for span in members)
    ]
    schema = {"set": pl.UInt32(), "node": pl.String(), "job_id": pl.Int64()}
    schema |= {name: TAKEN[name] for name in ("started_at", "stopped_at", "kind", "other")}
    by = ["job_id", "node", "started_at", "stopped_at", "kind", "other"]
    return (
        pl.DataFrame(lost, schema=schema | {"fraction": pl.Float64()}, orient="row")
        .join(sizes, on=["set", "job_id"])
        .group_by(by)
        .agg(total(pl.col(name) * pl.col("fraction")).alias(name) for name in what)
    )


def of_jobs(lost: pl.DataFrame) -> pl.DataFrame:
    """Jobs and nodes with an overlap that was settled (`OVERLAPS`), sorted.

    Args:
        lost: Result of `taken`.
    """
    return lost.select(OVERLAPS.names()).unique().sort(OVERLAPS.names())


def check(lost: pl.DataFrame) -> None:
    """Refuse records of jobs that hold the same cores for longer than `LONGEST_TRIM`.

    Args:
        lost: Result of `taken`.

    Raises:
        InputError: There are such jobs; all nodes are listed with theirs.
    """
    conflicts = lost.filter(pl.col("kind") == "conflict")
    if conflicts.is_empty():
        return
    of_node = (
        conflicts.group_by("node")
        .agg(
            pl.col("started_at").min(),
            jobs=pl.concat_list("job_id", "other").explode().unique().sort(),
        )
        .sort("node")
    )
    listed = [
        f"{node}: jobs {_first(jobs, MOST_JOBS)} hold the same cores"
        f" from {since:%Y-%m-%d %H:%M:%S} UTC"
        for node, since, jobs in of_node.iter_rows()
    ]
    raise InputError(
        f"{_first(listed, MOST_NODES)} (for more than {LONGEST_TRIM.total_seconds():.0f} s)",
        do="correct the jobs' times or cores, or set integration.gate to binary",
    )


def _first(values: Sequence[object], most: int) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(str(value) for value in values[:most]) + more
