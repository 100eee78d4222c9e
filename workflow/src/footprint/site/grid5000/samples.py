"""Samples of one metric from Kwollect: in chunks, at once, each kept when it comes."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import polars as pl

from footprint.errors import InputError
from footprint.node_names import cluster_of
from footprint.site import kwollect, pieces
from footprint.site import means as means_of
from footprint.site.grid5000.chunks import Chunk, groups, spans
from footprint.site.grid5000.progress import Progress
from footprint.site.grid5000.refusals import Refused, TooMuch, Unanswered
from footprint.site.grid5000.service import Service, epoch, settled

TOO_MUCH_IN_A_ROW = 3
"""So many chunks of a size that were too much, and the next ones are cut without asking."""

FAILED_IN_A_ROW = 5
"""So many nodes that failed and none that did not, and the service is what fails."""

SUMMARY_HOURS = 31 * 24.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Query:
    """What to ask of each node.

    Attributes:
        site: Site.
        metric: Metric.
        former_name: What the metric was called before `former_until`; None: always the same.
        former_until: Chunks that start before are asked for by both names.
        missing: Nodes not to ask for.
        summaries: Whether means over 5 minutes stand in where a node has no sample in a chunk.
        hours: Longest chunk.
        n_nodes: Most nodes in a chunk.
        concurrency: Requests at once.
    """

    site: str
    metric: str
    former_name: str | None = None
    former_until: datetime | None = None
    missing: frozenset[str] = frozenset()
    summaries: bool = False
    hours: float = 24.0
    n_nodes: int = 20
    concurrency: int = 4

    @property
    def path(self) -> str:
        """Path of Kwollect below the service's address."""
        return f"/sites/{self.site}/metrics"

    def names(self, chunk: Chunk) -> list[str]:
        """Names by which to ask for a chunk."""
        former = self.former_until is not None and chunk.start < self.former_until
        return [self.metric, self.former_name] if former and self.former_name else [self.metric]

    def chunks(self, nodes: Sequence[str], start: datetime, end: datetime) -> list[list[Chunk]]:
        """Chunks of [start, end), a list for each group of nodes."""
        return [
            [Chunk(group, *span) for span in spans(start, end, self.hours)]
            for group in groups(sorted(nodes), self.n_nodes)
        ]


def download(
    service: Service, query: Query, *, nodes: Sequence[str], start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """Samples in [start, end), one frame a node that has some, by name.

    Columns `node`, `labels`, `timestamp`, `value`, `from_summary`. Memory is bounded by a few
    chunks and the samples of one node: what comes is put on disk, and read again node by node.

    Raises:
        InputError: Nodes whose samples cannot be had (all others are kept), or a service that
            refuses or does not answer at all.
    """
    chunks = query.chunks(nodes, start, end)
    n_requests = sum(len(query.names(chunk)) for group in chunks for chunk in group)
    clusters = " ".join(sorted({cluster_of(node) for node in nodes}))
    progress = Progress(f"{clusters} {query.metric} from {start:%Y-%m-%d}", n_requests)
    with (
        service.answers.workspace() as folder,
        ThreadPoolExecutor(query.concurrency) as pool,
    ):
        fetcher = _Fetcher(service, query, folder, progress)
        jobs = [
            [(chunk, pool.submit(fetcher.fetch, chunk, query.names(chunk))) for chunk in group]
            for group in chunks
        ]
        try:
            for group in jobs:
                index = _index(future for _, future in group)
                silent = _silent(group, query)
                means = fetcher.summaries(silent)
                if not (fetcher.failed or fetcher.stopped):
                    yield from _by_node(folder, index, means, silent, start=start, end=end)
        except BaseException:
            fetcher.stop()
            pool.shutdown(cancel_futures=True)
            raise
        progress.finish()
        if fetcher.failed:
            raise _cannot_be_had(fetcher.failed, query)


def is_kept(service: Service, query: Query, chunk: Chunk, name: str) -> bool:
    """Whether a chunk by a name of the metric, or all its parts, need not be asked for again."""
    if set(chunk.nodes) <= query.missing:
        return True
    request = service.request(query.path, parameters(chunk, {"metrics": name}))
    parts = [Chunk.from_json(part) for part in service.answers.parts(request) or []]
    if parts:
        return all(is_kept(service, query, part, name) for part in parts)
    return service.answers.has(request)


class _Fetcher:
    """Fetches chunks into files of one folder; used by several threads."""

    def __init__(self, service: Service, query: Query, folder: Path, progress: Progress) -> None:
        self._service, self._query, self._folder = service, query, folder
        self._progress = progress
        self._path = query.path
        self._numbers = count()
        self._parsing = threading.Lock()  # one answer at a time is unfolded: bounds the memory
        self._failing = threading.Lock()
        self._too_much: Counter[float] = Counter()
        self._failed_in_a_row = 0
        self.stopped = False
        self.failed: dict[str, str] = {}

    def stop(self) -> None:
        """Ask for nothing more than what is under way: nobody waits for it."""
        self.stopped = True

    def fetch(self, chunk: Chunk, names: Sequence[str]) -> pl.DataFrame:
        """Which nodes and times came for a chunk, by these names of the metric (pieces.PLACE)."""
        places = [pl.DataFrame(schema=pieces.PLACE)]
        try:
            for name in names:
                places += self._fetch(chunk, {"metrics": name})
        except BaseException:
            self.stop()  # at once: whoever waits for another chunk would let all others come
            raise
        return pl.concat(places)

    def summaries(self, silent: Sequence[Chunk]) -> pl.DataFrame:
        """The same for means over 5 minutes, of the nodes that have no sample in some chunks."""
        nodes = sorted({node for chunk in silent for node in chunk.nodes} - self._not_asked())
        places = [pl.DataFrame(schema=pieces.PLACE)]
        if nodes:
            first, last = min(chunk.start for chunk in silent), max(chunk.end for chunk in silent)
            whole = [Chunk(tuple(nodes), *span) for span in spans(first, last, SUMMARY_HOURS)]
            asked = [(chunk, name) for chunk in whole for name in self._query.names(chunk)]
            self._progress.more(len(asked))
            for chunk, name in asked:
                places += self._fetch(chunk, {"metrics": name, "summary": "true"})
        return pl.concat(places)

    def _not_asked(self) -> frozenset[str]:
        return self._query.missing | self.failed.keys()

    def _fetch(self, chunk: Chunk, asked: dict[str, str]) -> Iterator[pl.DataFrame]:
        """A chunk, or the parts that it has to be asked for in."""
        if self.stopped:
            return
        if set(chunk.nodes) <= self._not_asked():
            self._progress.done(0, kept=True)
            return
        params = parameters(chunk, asked)
        request = self._service.request(self._path, params)
        kept = self._service.answers.has(request)
        parts = [] if kept else self._known_parts(request, chunk)
        if not parts:
            try:
                yield self._ask(chunk, params, kept=kept)
            except TooMuch as error:
                self._too_much[chunk.node_seconds] += 1
                parts = self._smaller(request, chunk, str(error), in_time_first=True)
            except Unanswered as error:
                parts = self._smaller(request, chunk, str(error), in_time_first=False)
        if parts:
            self._progress.more(len(parts) - 1)
        for part in parts:
            yield from self._fetch(part, asked)

    def _ask(self, chunk: Chunk, params: dict[str, str], *, kept: bool) -> pl.DataFrame:
        def check(content: bytes) -> pl.DataFrame:
            with self._parsing:
                found = kwollect.answer(content)
            self._check_asked_for(found, chunk, params["metrics"])
            return found

        found = self._service.ask(
            self._path, params, check=check, final=lambda _: settled(chunk.end), divisible=True
        )
        if not kept:
            self._failed_in_a_row = self._too_much[chunk.node_seconds] = 0
        self._progress.done(len(found), kept=kept)
        # bounds are inclusive on both sides: the last moment belongs to the next chunk
        inside = pl.col("timestamp").is_between(chunk.start, chunk.end, closed="left")
        wanted = [node for node in chunk.nodes if node not in self._query.missing]
        readings = found.filter(inside & pl.col("device").is_in(wanted)).select(
            pl.col("device").alias("node"), "labels", "timestamp", "value"
        )
        return pieces.write(readings, self._folder / f"{next(self._numbers):07d}.parquet")

    def _check_asked_for(self, found: pl.DataFrame, chunk: Chunk, metric: str) -> None:
        other = ~pl.col("device").is_in(chunk.nodes) | (pl.col("metric") != metric)
        for row in found.filter(other).head(1).iter_rows(named=True):
            what = f"answers with {row['metric']} of {row['device']}, which was not asked for"
            raise InputError(what, where=self._path, do="check that source.url is a Kwollect")

    def _known_parts(self, request: str, chunk: Chunk) -> list[Chunk]:
        """Parts that a chunk is to be asked for in, as one knows before asking; else none."""
        told = self._service.answers.parts(request)
        if told is not None:
            return [Chunk.from_json(part) for part in told]
        known = self._not_asked() & set(chunk.nodes)
        if known:
            return self._split(request, chunk.apart(known))
        halves = _halves(chunk, in_time_first=True)
        if len(halves) > 1 and self._too_much[chunk.node_seconds] >= TOO_MUCH_IN_A_ROW:
            return self._split(request, halves)
        return []

    def _smaller(self, request: str, chunk: Chunk, why: str, *, in_time_first: bool) -> list[Chunk]:
        """Parts to ask for after a chunk was not answered; none where it cannot be cut."""
        halves = _halves(chunk, in_time_first=in_time_first)
        if len(halves) > 1 and (in_time_first or len(chunk.nodes) > 1):
            log.info("%s: asking for less (%s)", chunk, why)
            return self._split(request, halves)
        with self._failing:
            # several chunks of one node may be under way at once: it counts once
            self._failed_in_a_row += not set(chunk.nodes) <= self.failed.keys()
            self.failed = dict.fromkeys(chunk.nodes, why) | self.failed
        self._progress.done(0, kept=False)
        log.info("%s: cannot be had (%s)", chunk, why)
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            what = (
                f"does not answer for {', '.join(sorted(self.failed))} ({why}); what came is kept"
            )
            do = "try again later, or leave them out with download.allow_missing"
            raise Refused(what, where=self._path, do=do)
        return []

    def _split(self, request: str, parts: list[Chunk]) -> list[Chunk]:
        self._service.answers.split(request, [part.to_json() for part in parts])
        return parts


def _halves(chunk: Chunk, *, in_time_first: bool) -> list[Chunk]:
    """Halves of a chunk that is too large, or in which some node fails; itself: it has none."""
    cuts = [chunk.in_time, chunk.by_nodes] if in_time_first else [chunk.by_nodes, chunk.in_time]
    return next((halves for cut in cuts if len(halves := cut()) > 1), [chunk])


def _index(futures: Iterable[Future[pl.DataFrame]]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=pieces.PLACE), *(each.result() for each in futures)])


def _silent(group: Sequence[tuple[Chunk, Future[pl.DataFrame]]], query: Query) -> list[Chunk]:
    """Chunks of the nodes that have no sample in them; margins of minutes do not count."""
    silent = []
    for chunk, future in group:
        nodes = set(chunk.nodes) - query.missing - set(future.result()["node"])
        long = chunk.end - chunk.start >= timedelta(seconds=means_of.BUCKET_S)
        if query.summaries and nodes and long:
            silent.append(Chunk(tuple(sorted(nodes)), chunk.start, chunk.end))
    return silent


def _by_node(
    folder: Path,
    index: pl.DataFrame,
    means: pl.DataFrame,
    silent: Sequence[Chunk],
    *,
    start: datetime,
    end: datetime,
) -> Iterator[pl.DataFrame]:
    """Samples of each node by name, with means where it has none."""
    nodes = sorted({*index["node"], *means["node"]})
    for node in nodes:
        own = [*pieces.read(folder, index, nodes=[node], start=start, end=end)]
        frames = [frame.with_columns(from_summary=pl.lit(False)) for frame in own]
        for frame in pieces.read(folder, means, nodes=[node], start=start, end=end):
            frames += [
                means_of.unfold(frame, start=chunk.start, end=chunk.end, value="value")
                for chunk in silent
                if node in chunk.nodes
            ]
        if frames:
            yield pl.concat(frames)


def _cannot_be_had(failed: dict[str, str], query: Query) -> InputError:
    """The error that names the nodes."""
    nodes = sorted(failed)
    named = f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {', '.join(nodes)}"
    without = ", ".join(sorted({*nodes, *query.missing}))
    return InputError(
        f"no {query.metric} of {named} ({failed[nodes[0]]}); all else that came is kept",
        where=query.path,
        do=f"try again later, or go on without: download: {{allow_missing: [{without}]}}",
    )


def parameters(chunk: Chunk, asked: dict[str, str]) -> dict[str, str]:
    """Parameters of a request for a chunk; the API's bounds are inclusive on both sides."""
    return asked | {
        "nodes": ",".join(chunk.nodes),
        "start_time": epoch(chunk.start),
        "end_time": epoch(chunk.end),
    }
