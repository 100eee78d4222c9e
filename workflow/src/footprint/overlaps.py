"""Jobs that hold the same cores at the same time: shared, trimmed, or refused.

OAR gives a core to one job at a time, but for containers and for jobs of the type `timesharing`.
Records that say otherwise by seconds come from clocks, epilogues and killed jobs that take time to
end. Records that say otherwise for longer contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from footprint.errors import InputError
from footprint.summation import exact_sum, total

LONGEST_TRIM = timedelta(seconds=60)
"""Longest overlap of two jobs that is trimmed, and longest time that a job loses of a node to all
others: an epilogue, or what a killed job takes to end, lasts
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

NOT_INSIDE: Mapping[int, Iterable[int]] = MappingProxyType({})
"""Containers of each job where there are none."""


class Loss(NamedTuple):
    """A part of its cores that a job does not have from `started_at` to `stopped_at`."""

    job_id: int
    started_at: datetime
    stopped_at: datetime
    kind: str
    other: int | None
    fraction: float


def losses(
    intervals: Iterable[Interval], inside: Mapping[int, Iterable[int]] = NOT_INSIDE
) -> Iterator[Loss]:
    """What each job loses of cores that all of `intervals` hold.

    While several jobs hold them, the job that started last has them alone. Where it is of the type
    `timesharing`, it shares them equally with the others of that type. Equal starts are ordered by
    job id. A container and the jobs inside it hold the cores together: they have them while one of
    them started last, and the jobs inside it share them by the same rule. A container does not
    lose what a job inside it has. A job has at most one loss at any moment.

    Args:
        intervals: Intervals of different jobs, or of the same job at different times.
        inside: Containers of each job that is inside one. A container counts while it holds the
            cores too; of several, the one that started last counts.

    Returns:
        Losses. `kind` is `shared`, `trimmed`, or, where two jobs overlap for longer than
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
        for holder, kind, other, fraction in _Holders(active, inside).lost():
            yield Loss(holder[1], since, until, kind, other, fraction)


class _Holders:
    """Jobs that hold the same cores at one moment, as a tree of containers."""

    def __init__(self, active: list[Interval], inside: Mapping[int, Iterable[int]]) -> None:
        by_job = {each[1]: each for each in active}
        self.children: dict[int, list[Interval]] = {}
        self.roots: list[Interval] = []
        container: dict[int, Interval | None] = {}
        for each in sorted(active):
            around = [by_job[job] for job in inside.get(each[1], ()) if job in by_job]
            container[each[1]] = max(around, default=None)
            above, met = container[each[1]], {each[1]}
            while above is not None and above[1] not in met:
                met.add(above[1])
                above = container.get(above[1])
            if above is not None:  # containers inside each other are none
                container[each[1]] = None
            if (parent := container[each[1]]) is None:
                self.roots.append(each)
            else:
                self.children.setdefault(parent[1], []).append(each)

    def latest(self, holder: Interval) -> Interval:
        """The job that started last, of a job and those inside it."""
        return max([holder, *map(self.latest, self.children.get(holder[1], ()))])

    def lost(self) -> Iterator[tuple[Interval, str, int | None, float]]:
        """Job, kind of its loss, the job that has the cores, and the fraction of them lost."""
        yield from self._settled(self.roots, 1.0)

    def _settled(
        self, rivals: list[Interval], had: float
    ) -> Iterator[tuple[Interval, str, int | None, float]]:
        """Losses of jobs, and of those inside them, that are rivals for a fraction of the cores."""
        if not rivals:
            return
        last = max(rivals, key=self.latest)
        winners = [each for each in rivals if each[3]] if last[3] else [last]
        kept = had / len(winners)
        for each in rivals:
            if each in winners:
                if kept < 1:
                    yield each, "shared", None, 1 - kept
                yield from self._settled(self.children.get(each[1], []), kept)
            else:
                yield from self._trimmed(each, self.latest(last))

    def _trimmed(
        self, loser: Interval, winner: Interval
    ) -> Iterator[tuple[Interval, str, int | None, float]]:
        """Losses of a job, and of those inside it, that another job takes the cores from."""
        overlap = min(loser[2], winner[2]) - winner[0]
        kind = "trimmed" if overlap <= LONGEST_TRIM else "conflict"
        yield loser, kind, winner[1], 1.0
        for each in self.children.get(loser[1], ()):
            yield from self._trimmed(each, winner)


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
        inner: Result of `gates.inner_jobs`.
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
    inside: dict[int, list[int]] = {}
    for job_id, container_id in inner.collect().sort("job_id", "container_id").iter_rows():
        inside.setdefault(job_id, []).append(container_id)
    lost = _losses(_colliding(spans, cores), inside).filter(window)
    return _bounded(lost).sort("node", "started_at", "job_id")


def _bounded(lost: pl.DataFrame) -> pl.DataFrame:
    """Losses in which no job is trimmed for longer than `LONGEST_TRIM` of a node in all."""
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


def _losses(rows: pl.DataFrame, inside: Mapping[int, Iterable[int]]) -> pl.DataFrame:
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
        for loss in losses((of_span[span] for span in members), inside)
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
    """Refuse records of jobs that hold the same cores for longer than `LONGEST_TRIM` in all.

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
        f"{_first(listed, MOST_NODES)} (for more than {LONGEST_TRIM.total_seconds():.0f} s in all)",
        do="correct the jobs' times or cores, or set integration.gate to binary",
    )


def _first(values: Sequence[object], most: int) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(str(value) for value in values[:most]) + more
