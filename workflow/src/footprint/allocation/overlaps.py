"""Jobs that hold the same cores at the same time: shared, trimmed, or refused.

OAR gives a core to one job at a time, but for containers and for jobs of the type `timesharing`.
Overlaps of seconds come from clocks, epilogues and killed jobs that take time to end. Longer
overlaps are contradictions in the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from footprint.allocation.shares import SHARE_COLUMNS
from footprint.core.errors import InputError
from footprint.core.sums import exact_sum, sum_or_zero

LONGEST_TRIM = timedelta(seconds=60)
"""Longest overlap of two jobs that is trimmed, and longest time that a job loses of a node in all.

An epilogue, or the end of a killed job, lasts seconds. 60 s of a job of an hour move below 2 % of
its energy, and nothing of the node's total. A choice of this project, not of OAR.
"""

MAX_NODES_LISTED = 200
"""Most nodes in the message about contradicting records."""

MAX_JOBS_LISTED = 20
"""Most jobs of a node in that message."""

UTC_TIMESTAMP = pl.Datetime("us", "UTC")
LOSSES_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "started_at": UTC_TIMESTAMP,
        "stopped_at": UTC_TIMESTAMP,
        "kind": pl.String(),
        "other": pl.Int64(),
        "share": pl.Float64(),
        "gpus": pl.Float64(),
        "cores": pl.Float64(),
    }
)
"""Parts that jobs lose: kind of the loss, the job that has them (`other`), and their amounts."""

OVERLAPS_SCHEMA = pl.Schema({"job_id": pl.Int64(), "node": pl.String(), "kind": pl.String()})
"""Jobs that hold less of a node than they reserved, for a time. `kind`: `trimmed` or `shared`."""

HeldInterval = tuple[datetime, int, datetime, bool]
"""Start, job, end, and whether the job is of the type `timesharing`.

In this order, the greatest is the job that started last.
"""

NO_CONTAINERS: Mapping[int, Iterable[int]] = MappingProxyType({})
"""No job is inside a container."""


class Loss(NamedTuple):
    """Fraction of a set of cores that a job loses from `started_at` to `stopped_at`."""

    job_id: int
    started_at: datetime
    stopped_at: datetime
    kind: str
    other: int | None
    fraction: float


def losses_on_cores(
    intervals: Iterable[HeldInterval], inside: Mapping[int, Iterable[int]] = NO_CONTAINERS
) -> Iterator[Loss]:
    """Losses of each job on a set of cores that all of `intervals` hold.

    While several jobs hold the cores, the job that started last has them alone. If it is of the
    type `timesharing`, it shares them equally with the others of that type. Equal starts are
    ordered by job id. A container and the jobs inside it hold the cores together: they have them
    while one of them started last, and the jobs inside share them by the same rule. A container
    does not lose the cores that a job inside it has. A job has at most one loss at any moment.

    Args:
        intervals: Intervals of different jobs, or of the same job at different times.
        inside: Containers of each job that is inside one. A container counts while it holds the
            cores too; the container that started last counts where there are several.

    Returns:
        Losses. `kind` is `shared`, `trimmed`, or, where two jobs overlap for longer than
        `LONGEST_TRIM`, `conflict`; `other` is the job that has the cores of a trimmed job.
    """
    waiting = sorted(intervals, reverse=True)
    bounds = sorted({bound for start, _, stop, _ in waiting for bound in (start, stop)})
    active: list[HeldInterval] = []
    for since, until in pairwise(bounds):
        active = [each for each in active if each[2] > since]
        while waiting and waiting[-1][0] <= since:
            active.append(waiting.pop())
        if len(active) < 2:
            continue
        for holder, kind, other, fraction in _Holders(active, inside).losses():
            yield Loss(holder[1], since, until, kind, other, fraction)


class _Holders:
    """Jobs that hold the same cores at one moment, as a tree of containers.

    Attributes:
        children: Jobs inside each container.
        roots: Jobs that are inside no other.
    """

    def __init__(self, active: list[HeldInterval], inside: Mapping[int, Iterable[int]]) -> None:
        by_job = {each[1]: each for each in active}
        self.children: dict[int, list[HeldInterval]] = {}
        self.roots: list[HeldInterval] = []
        container: dict[int, HeldInterval | None] = {}
        for each in sorted(active):
            around = [by_job[job] for job in inside.get(each[1], ()) if job in by_job]
            container[each[1]] = max(around, default=None)
            above, visited = container[each[1]], {each[1]}
            while above is not None and above[1] not in visited:
                visited.add(above[1])
                above = container.get(above[1])
            if above is not None:  # in a circle of containers, none counts
                container[each[1]] = None
            if (parent := container[each[1]]) is None:
                self.roots.append(each)
            else:
                self.children.setdefault(parent[1], []).append(each)

    def latest_inside(self, holder: HeldInterval) -> HeldInterval:
        """Interval of the job that started last among a job and the jobs inside it."""
        return max([holder, *map(self.latest_inside, self.children.get(holder[1], ()))])

    def losses(self) -> Iterator[tuple[HeldInterval, str, int | None, float]]:
        """Interval of each losing job, kind, the job that has the cores, and fraction lost."""
        yield from self._losses_of_rivals(self.roots, 1.0)

    def _losses_of_rivals(
        self, rivals: list[HeldInterval], fraction: float
    ) -> Iterator[tuple[HeldInterval, str, int | None, float]]:
        """Losses of rivals for a fraction of the cores, and of the jobs inside them."""
        if not rivals:
            return
        last = max(rivals, key=self.latest_inside)
        winners = [each for each in rivals if each[3]] if last[3] else [last]
        kept = fraction / len(winners)
        for each in rivals:
            if each in winners:
                if kept < 1:
                    yield each, "shared", None, 1 - kept
                yield from self._losses_of_rivals(self.children.get(each[1], []), kept)
            else:
                yield from self._losses_to(each, self.latest_inside(last))

    def _losses_to(
        self, loser: HeldInterval, winner: HeldInterval
    ) -> Iterator[tuple[HeldInterval, str, int | None, float]]:
        """Losses of a job, and of the jobs inside it, to another job that takes all cores."""
        overlap = min(loser[2], winner[2]) - winner[0]
        kind = "trimmed" if overlap <= LONGEST_TRIM else "conflict"
        yield loser, kind, winner[1], 1.0
        for each in self.children.get(loser[1], ()):
            yield from self._losses_to(each, winner)


def losses_of_jobs(
    held: pl.LazyFrame,
    cores: pl.LazyFrame,
    jobs: pl.LazyFrame,
    inner: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Parts that jobs lose of their reservations to others on the same cores (`LOSSES_SCHEMA`).

    Args:
        held: Intervals in which jobs hold their nodes: `job_id`, `node`, `started_at`,
            `stopped_at`.
        cores: Cores of each job: `job_id`, `node`, `core`, and the amounts that the core stands
            for, `share`, `gpus` and `cores`.
        jobs: `schemas.Jobs`.
        inner: Result of `containers.inner_jobs`.
        start: Start of the study.
        end: End of the study, excluded; overlaps outside the study are left out.
    """
    window = (pl.col("started_at") < end) & (pl.col("stopped_at") > start)
    sharing = pl.col("types").list.eval(pl.element().str.contains("^timesharing(=|$)")).list.any()
    intervals = (
        held.select("job_id", "node", "started_at", "stopped_at")
        .filter(window)
        .join(jobs.select("job_id", is_shared=sharing.fill_null(False)), on="job_id")
        .collect()
        .sort("node", "started_at", "stopped_at", "job_id")
        .with_row_index("interval")
    )
    inside: dict[int, list[int]] = {}
    for job_id, container_id in inner.collect().sort("job_id", "container_id").iter_rows():
        inside.setdefault(job_id, []).append(container_id)
    lost = _losses_on_cores(_colliding_intervals(intervals, cores), inside).filter(window)
    return _with_bounded_trims(lost).sort("node", "started_at", "job_id")


def _with_bounded_trims(lost: pl.DataFrame) -> pl.DataFrame:
    """Losses in which trims of a job on a node that exceed `LONGEST_TRIM` in all are conflicts."""
    by = ["job_id", "node"]
    order = lost.filter(pl.col("kind") == "trimmed").sort(*by, "started_at", "stopped_at")
    before = pl.col("stopped_at").cum_max().shift(1).over(by).fill_null(pl.col("started_at"))
    new = pl.col("stopped_at") - pl.max_horizontal("started_at", before)
    often = (
        order.with_columns(us=pl.max_horizontal(new.dt.total_microseconds(), 0))
        .group_by(by)
        .agg(exact_sum(pl.col("us")))
        .filter(pl.col("us") > LONGEST_TRIM // timedelta(microseconds=1))
        .select(*by, kind=pl.lit("trimmed"), is_often=True)
    )
    kind = pl.when("is_often").then(pl.lit("conflict")).otherwise("kind")
    return lost.join(often, on=[*by, "kind"], how="left").with_columns(kind=kind).drop("is_often")


def _colliding_intervals(intervals: pl.DataFrame, cores: pl.LazyFrame) -> pl.DataFrame:
    """Intervals by core that overlap with another of the same core, with the core's amounts."""
    on_node = intervals.filter(_overlaps_another(intervals, ["node"]))
    by_core = (
        on_node.lazy()
        .join(cores, on=["job_id", "node"])
        .select(*intervals.columns, "core", *SHARE_COLUMNS)
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


def _losses_on_cores(rows: pl.DataFrame, inside: Mapping[int, Iterable[int]]) -> pl.DataFrame:
    """Losses (`LOSSES_SCHEMA`) on each set of cores of a node that the same intervals hold."""
    if rows.is_empty():
        return pl.DataFrame(schema=LOSSES_SCHEMA)
    intervals: dict[int, HeldInterval] = {
        number: (start, job_id, stop, is_shared)
        for number, start, job_id, stop, is_shared in rows.unique("interval", maintain_order=True)
        .select("interval", "started_at", "job_id", "stopped_at", "is_shared")
        .iter_rows()
    }
    sets = (
        rows.sort("node", "core", "interval")
        .group_by("node", "core", maintain_order=True)
        .agg("interval")
        .with_columns(key=pl.col("interval").cast(pl.List(pl.String)).list.join(" "))
        .group_by("node", "key", maintain_order=True)
        .agg("core", pl.col("interval").first())
        .with_row_index("set")
    )
    sizes = (
        rows.unique(["node", "core", "job_id"], maintain_order=True)
        .join(sets.select("set", "node", "core").explode("core"), on=["node", "core"])
        .group_by("set", "job_id")
        .agg(sum_or_zero(pl.col(SHARE_COLUMNS)))
    )
    lost = [
        (number, node, *loss)
        for number, node, members in sets.select("set", "node", "interval").iter_rows()
        for loss in losses_on_cores((intervals[member] for member in members), inside)
    ]
    schema = {"set": pl.UInt32(), "node": pl.String(), "job_id": pl.Int64()}
    schema |= {name: LOSSES_SCHEMA[name] for name in ("started_at", "stopped_at", "kind", "other")}
    by = ["job_id", "node", "started_at", "stopped_at", "kind", "other"]
    return (
        pl.DataFrame(lost, schema=schema | {"fraction": pl.Float64()}, orient="row")
        .join(sizes, on=["set", "job_id"])
        .group_by(by)
        .agg(sum_or_zero(pl.col(name) * pl.col("fraction")).alias(name) for name in SHARE_COLUMNS)
    )


def settled_overlaps(lost: pl.DataFrame) -> pl.DataFrame:
    """Jobs and nodes with a settled overlap (`OVERLAPS_SCHEMA`), sorted.

    Args:
        lost: Result of `losses_of_jobs`.
    """
    return lost.select(OVERLAPS_SCHEMA.names()).unique().sort(OVERLAPS_SCHEMA.names())


def check_conflicts(lost: pl.DataFrame) -> None:
    """Refuse records of jobs that hold the same cores for longer than `LONGEST_TRIM` in all.

    Args:
        lost: Result of `losses_of_jobs`.

    Raises:
        InputError: There are such jobs; the message lists the nodes with their jobs.
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
        f"{node}: jobs {_join_first(jobs, MAX_JOBS_LISTED)} hold the same cores"
        f" from {since:%Y-%m-%d %H:%M:%S} UTC"
        for node, since, jobs in of_node.iter_rows()
    ]
    longest_s = LONGEST_TRIM.total_seconds()
    raise InputError(
        f"{_join_first(listed, MAX_NODES_LISTED)} (for more than {longest_s:.0f} s in all)",
        do="fix the jobs' times or cores, or set integration.gate to binary",
    )


def _join_first(values: Sequence[object], most: int) -> str:
    """The first values, comma-separated, and the number of further values."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(str(value) for value in values[:most]) + more
