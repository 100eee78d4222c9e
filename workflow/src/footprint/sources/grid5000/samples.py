"""Readings of one metric from Kwollect: chunks in parallel requests, each kept on arrival."""

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

from footprint.core.errors import InputError
from footprint.sources import indexed_readings
from footprint.sources.grid5000.chunks import Chunk, group_nodes, split_window
from footprint.sources.grid5000.progress import Progress
from footprint.sources.grid5000.refusals import Refused, RequestTooLarge, RetriesExhausted
from footprint.sources.grid5000.service import Request, Service, epoch_text, is_settled
from footprint.sources.kwollect import answers
from footprint.sources.kwollect import means as means_of
from footprint.sources.node_names import cluster_of

MAX_TOO_LARGE_IN_A_ROW = 3
"""Chunks of one size that were too large, after which the next ones are cut without a try."""

MAX_FAILED_IN_A_ROW = 5
"""Nodes that failed without a success in between, after which the service is taken to fail."""

ENDS_EARLY_AFTER = timedelta(minutes=1)
"""Time without any reading at the end of a chunk from which on its answer may be cut: PostgREST
leaves out the rows after its `db-max-rows` without a word, and Kwollect's rows are in order of
time."""

SUMMARY_HOURS = 31 * 24.0
"""Longest request for means over 5 minutes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampleQuery:
    """Parameters that the requests for all nodes share.

    Attributes:
        site: Site.
        metric: Metric.
        former_name: Name of the metric before `former_until`; None: it never had another.
        former_until: Chunks that start before it are requested by both names.
        missing: Nodes that are not requested.
        summaries: Whether means over 5 minutes replace readings if a node has none in a chunk.
        hours: Longest chunk.
        n_nodes: Maximum number of nodes in a chunk.
        concurrency: Number of simultaneous requests.
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

    def metric_names(self, chunk: Chunk) -> list[str]:
        """Return the names by which a chunk is requested."""
        is_early = self.former_until is not None and chunk.start < self.former_until
        return [self.metric, self.former_name] if is_early and self.former_name else [self.metric]

    def chunk_groups(
        self, nodes: Sequence[str], start: datetime, end: datetime
    ) -> list[list[Chunk]]:
        """Return the chunks of [start, end), a list for each group of nodes."""
        return [
            [Chunk(group, *window) for window in split_window(start, end, self.hours)]
            for group in group_nodes(sorted(nodes), self.n_nodes)
        ]


def download_samples(
    service: Service, query: SampleQuery, *, nodes: Sequence[str], start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """Yield the readings in [start, end), one frame for each node that has some, by name.

    Columns `node`, `labels`, `timestamp` (UTC), `value` (unit of the metric), `from_summary`.
    Memory is bounded by a few chunks and the readings of one node: answers are written to disk, and
    read again node by node.

    Raises:
        InputError: Readings of some nodes are not available (all others are kept), or the service
            refuses or does not answer at all.
    """
    chunk_groups = query.chunk_groups(nodes, start, end)
    n_requests = sum(len(query.metric_names(chunk)) for group in chunk_groups for chunk in group)
    clusters = " ".join(sorted({cluster_of(node) for node in nodes}))
    progress = Progress(f"{clusters} {query.metric} from {start:%Y-%m-%d}", n_requests)
    with (
        service.answers.workspace() as folder,
        ThreadPoolExecutor(query.concurrency) as pool,
    ):
        fetcher = _Fetcher(service, query, folder, progress)
        fetches = [
            [
                (chunk, pool.submit(fetcher.fetch_chunk, chunk, query.metric_names(chunk)))
                for chunk in group
            ]
            for group in chunk_groups
        ]
        try:
            for group in fetches:
                index = _joined_index(future for _, future in group)
                silent = _silent_chunks(group, query)
                means = fetcher.fetch_means(silent)
                if not (fetcher.failed or fetcher.is_stopped):
                    yield from _frames_by_node(folder, index, means, silent, start=start, end=end)
        except BaseException:
            fetcher.stop()
            pool.shutdown(cancel_futures=True)
            raise
        progress.finish()
        if fetcher.failed:
            raise _failed_nodes_error(fetcher.failed, query)


def is_chunk_kept(service: Service, query: SampleQuery, chunk: Chunk, name: str) -> bool:
    """Whether the answer for a chunk by a name of the metric, or for all its parts, is kept."""
    if set(chunk.nodes) <= query.missing:
        return True
    request = service.request_key(query.path, request_parameters(chunk, {"metrics": name}))
    parts = [Chunk.from_json(part) for part in service.answers.read_parts(request) or []]
    if parts:
        return all(is_chunk_kept(service, query, part, name) for part in parts)
    return service.answers.has_content(request)


class _Fetcher:
    """Fetches chunks into files of one folder. Used by several threads.

    Attributes:
        is_stopped: Whether no further request is made.
        failed: Error of each node that failed.
    """

    def __init__(
        self, service: Service, query: SampleQuery, folder: Path, progress: Progress
    ) -> None:
        self._service, self._query, self._folder = service, query, folder
        self._progress = progress
        self._path = query.path
        self._file_numbers = count()
        self._parsing = threading.Lock()  # one answer at a time, to bound the memory
        self._failing = threading.Lock()
        self._n_too_large: Counter[float] = Counter()
        self._failed_in_a_row = 0
        self.is_stopped = False
        self.failed: dict[str, str] = {}

    def stop(self) -> None:
        """Make no further request."""
        self.is_stopped = True

    def fetch_chunk(self, chunk: Chunk, names: Sequence[str]) -> pl.DataFrame:
        """Fetch a chunk by names of the metric; return the index of its files.

        The index (`indexed_readings.INDEX_COLUMNS`) has the nodes and times of each file.
        """
        indexes = [pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS)]
        try:
            for name in names:
                indexes += self._fetch_parts(chunk, {"metrics": name})
        except BaseException:
            self.stop()  # at once, as a caller that waits for another chunk would stop too late
            raise
        return pl.concat(indexes)

    def fetch_means(self, silent: Sequence[Chunk]) -> pl.DataFrame:
        """Fetch means over 5 minutes of the nodes of some chunks; return the index of their files.

        The index (`indexed_readings.INDEX_COLUMNS`) has the nodes and times of each file.
        """
        nodes = sorted({node for chunk in silent for node in chunk.nodes} - self._skipped_nodes())
        indexes = [pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS)]
        if nodes:
            first, last = min(chunk.start for chunk in silent), max(chunk.end for chunk in silent)
            windows = split_window(first, last, SUMMARY_HOURS)
            chunks = [Chunk(tuple(nodes), *window) for window in windows]
            requests = [
                (chunk, name) for chunk in chunks for name in self._query.metric_names(chunk)
            ]
            self._progress.add_requests(len(requests))
            for chunk, name in requests:
                indexes += self._fetch_parts(chunk, {"metrics": name, "summary": "true"})
        return pl.concat(indexes)

    def _skipped_nodes(self) -> frozenset[str]:
        return self._query.missing | self.failed.keys()

    def _fetch_parts(self, chunk: Chunk, params: dict[str, str]) -> Iterator[pl.DataFrame]:
        """Fetch a chunk, in parts if it is too large or a node fails; yield the index of each."""
        if self.is_stopped:
            return
        if set(chunk.nodes) <= self._skipped_nodes():
            self._progress.count_answer(0, is_kept=True)
            return
        all_params = request_parameters(chunk, params)
        request = self._service.request_key(self._path, all_params)
        is_kept = self._service.answers.has_content(request)
        parts = [] if is_kept else self._parts_before_request(request, chunk)
        if not parts:
            try:
                yield self._fetch_whole(chunk, all_params, is_kept=is_kept)
            except RequestTooLarge as error:
                self._n_too_large[chunk.node_seconds] += 1
                parts = self._parts_after_failure(request, chunk, str(error), in_time_first=True)
            except RetriesExhausted as error:
                parts = self._parts_after_failure(request, chunk, str(error), in_time_first=False)
        if parts:
            self._progress.add_requests(len(parts) - 1)
        for part in parts:
            yield from self._fetch_parts(part, params)

    def _fetch_whole(self, chunk: Chunk, params: dict[str, str], *, is_kept: bool) -> pl.DataFrame:
        found = self._fetch_readings(chunk, params)
        if not is_kept:
            self._failed_in_a_row = self._n_too_large[chunk.node_seconds] = 0
        found = self._with_rest(found, chunk, params)
        self._progress.count_answer(len(found), is_kept=is_kept)
        # the API includes both bounds; the last moment belongs to the next chunk
        inside = pl.col("timestamp").is_between(chunk.start, chunk.end, closed="left")
        wanted = [node for node in chunk.nodes if node not in self._query.missing]
        readings = found.filter(inside & pl.col("device").is_in(wanted)).select(
            pl.col("device").alias("node"), "labels", "timestamp", "value"
        )
        target = self._folder / f"{next(self._file_numbers):07d}.parquet"
        return indexed_readings.write_readings(readings, target)

    def _fetch_readings(self, chunk: Chunk, params: dict[str, str]) -> pl.DataFrame:
        def parse(content: bytes) -> pl.DataFrame:
            with self._parsing:
                found = answers.parse_answer(content)
            self._check_series(found, chunk, params["metrics"])
            return found

        return self._service.fetch_answer(
            Request(self._path, params, is_divisible=True),
            parse=parse,
            is_final=lambda _: is_settled(chunk.end),
        )

    def _with_rest(self, found: pl.DataFrame, chunk: Chunk, params: dict[str, str]) -> pl.DataFrame:
        """Readings of an answer, and those after it if the answer was cut.

        Where the readings of all nodes end early at once, those from the last second on are
        requested again. A cut answer has as many rows as the service gives at most.
        """
        period = timedelta(seconds=means_of.BUCKET_S if "summary" in params else 0)
        n_max, last_answer = len(found), found
        while n_max and len(last_answer) >= n_max:
            last = last_answer["timestamp"].max()
            assert isinstance(last, datetime)
            since = max(chunk.start, last.replace(microsecond=0))
            if chunk.end - since <= ENDS_EARLY_AFTER + period:
                break
            self._progress.add_requests(1)
            rest = Chunk(chunk.nodes, since, chunk.end)
            last_answer = self._fetch_readings(rest, params | request_parameters(rest, {}))
            self._progress.count_answer(0, is_kept=False)
            if last_answer.is_empty() or last_answer["timestamp"].max() == last:
                break
            log.info("%s: the answer ended at %s, and there is more", chunk, last)
            found = pl.concat([found.filter(pl.col("timestamp") < since), last_answer])
        return found

    def _check_series(self, found: pl.DataFrame, chunk: Chunk, metric: str) -> None:
        other = ~pl.col("device").is_in(chunk.nodes) | (pl.col("metric") != metric)
        for row in found.filter(other).head(1).iter_rows(named=True):
            what = f"returned {row['metric']} of {row['device']}, which was not requested"
            do = "set source.url to the address of the Grid'5000 API"
            raise InputError(what, where=self._path, do=do)

    def _parts_before_request(self, request: str, chunk: Chunk) -> list[Chunk]:
        """Parts that replace a chunk which need not be tried whole; none otherwise."""
        saved = self._service.answers.read_parts(request)
        if saved is not None:
            return [Chunk.from_json(part) for part in saved]
        skipped = self._skipped_nodes() & set(chunk.nodes)
        if skipped:
            return self._save_parts(request, chunk.separate_nodes(skipped))
        halves = chunk.halves(in_time_first=True)
        if len(halves) > 1 and self._n_too_large[chunk.node_seconds] >= MAX_TOO_LARGE_IN_A_ROW:
            return self._save_parts(request, halves)
        return []

    def _parts_after_failure(
        self, request: str, chunk: Chunk, error: str, *, in_time_first: bool
    ) -> list[Chunk]:
        """Parts that replace a chunk after it failed; none if it cannot be cut."""
        halves = chunk.halves(in_time_first=in_time_first)
        if len(halves) > 1 and (in_time_first or len(chunk.nodes) > 1):
            log.info("%s: requested in halves (%s)", chunk, error)
            return self._save_parts(request, halves)
        with self._failing:
            # several chunks of a node may fail at the same time: the node counts once
            self._failed_in_a_row += not set(chunk.nodes) <= self.failed.keys()
            self.failed = dict.fromkeys(chunk.nodes, error) | self.failed
        self._progress.count_answer(0, is_kept=False)
        log.info("%s: not available (%s)", chunk, error)
        if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW:
            names = ", ".join(sorted(self.failed))
            what = f"does not answer for {names} ({error}); received answers are kept"
            do = "try again later, or add them to download.allow_missing"
            raise Refused(what, where=self._path, do=do)
        return []

    def _save_parts(self, request: str, parts: list[Chunk]) -> list[Chunk]:
        self._service.answers.save_parts(request, [part.to_json() for part in parts])
        return parts


def _joined_index(futures: Iterable[Future[pl.DataFrame]]) -> pl.DataFrame:
    return pl.concat(
        [pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS), *(each.result() for each in futures)]
    )


def _silent_chunks(
    group: Sequence[tuple[Chunk, Future[pl.DataFrame]]], query: SampleQuery
) -> list[Chunk]:
    """Chunks reduced to nodes without a reading in them; chunks under 5 minutes are left out."""
    silent = []
    for chunk, future in group:
        nodes = set(chunk.nodes) - query.missing - set(future.result()["node"])
        is_long = chunk.end - chunk.start >= timedelta(seconds=means_of.BUCKET_S)
        if query.summaries and nodes and is_long:
            silent.append(Chunk(tuple(sorted(nodes)), chunk.start, chunk.end))
    return silent


def _frames_by_node(
    folder: Path,
    index: pl.DataFrame,
    means: pl.DataFrame,
    silent: Sequence[Chunk],
    *,
    start: datetime,
    end: datetime,
) -> Iterator[pl.DataFrame]:
    """Readings of each node by name, with means in its silent chunks."""
    nodes = sorted({*index["node"], *means["node"]})
    for node in nodes:
        own = [
            *indexed_readings.readings_by_node(folder, index, nodes=[node], start=start, end=end)
        ]
        frames = [frame.with_columns(from_summary=pl.lit(False)) for frame in own]
        for frame in indexed_readings.readings_by_node(
            folder, means, nodes=[node], start=start, end=end
        ):
            frames += [
                means_of.expand_means(frame, start=chunk.start, end=chunk.end, value="value")
                for chunk in silent
                if node in chunk.nodes
            ]
        if frames:
            yield pl.concat(frames)


def _failed_nodes_error(failed: dict[str, str], query: SampleQuery) -> InputError:
    nodes = sorted(failed)
    named = f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {', '.join(nodes)}"
    without = ", ".join(sorted({*nodes, *query.missing}))
    return InputError(
        f"no {query.metric} of {named} ({failed[nodes[0]]}); all other answers are kept",
        where=query.path,
        do=f"try again later, or set download: {{allow_missing: [{without}]}}",
    )


def request_parameters(chunk: Chunk, params: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a request for a chunk; the API includes both bounds of its window.

    Args:
        chunk: Nodes and window.
        params: Further parameters.
    """
    return params | {
        "nodes": ",".join(chunk.nodes),
        "start_time": epoch_text(chunk.start),
        "end_time": epoch_text(chunk.end),
    }
