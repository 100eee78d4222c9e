"""The list `/sites/<site>/jobs` of the Grid'5000 API: all jobs, newest first, without dates.

The list has every job since the site began. So it is never empty, and its total never falls.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from operator import attrgetter
from typing import Any

import polars as pl

from footprint.sources.grid5000 import list_completeness
from footprint.sources.grid5000.job_pages import (
    SMALLEST_PAGE,
    JobPage,
    distinct_records,
    fetch_page,
    kept_page_size,
    smaller_page,
)
from footprint.sources.grid5000.progress import Progress
from footprint.sources.grid5000.refusals import Refused, RequestTooLarge
from footprint.sources.grid5000.service import Request, Service, epoch_text, is_settled
from footprint.sources.oar import job_records
from footprint.sources.oar.list_damage import page_doubt

API_PAGE = 500
"""Jobs of a page: the maximum of the Grid'5000 API."""

API_LIST_NAME = "/jobs"
"""Name of the list in counts of rejected rows."""


def list_newest_first(
    service: Service, *, site: str, start: datetime, end: datetime, oldest: datetime
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """List jobs down to those submitted before `oldest`.

    New jobs push older ones to later pages meanwhile: a job may come twice, and none is missed.
    Jobs submitted after the study do not matter to it. So a page that was read an hour after the
    study's end need not be read again; only its jobs that had not ended are requested again, one by
    one. A page is kept under the last job before it, so that no kept page follows a shifted one.

    Returns:
        Records (`job_records.RECORD_SCHEMA`), and tables (`schemas.RejectedRows`) of what the list
        lacks.

    Raises:
        InputError: The service refuses, an answer cannot be parsed, or a page stays empty although
            the list has more jobs.
    """
    reader = _Reader(service, site, start, end)
    progress = Progress(f"jobs of {site}", 1, unit="jobs")
    newest = 0.0
    while True:
        submitted, has_next = reader.read_page(progress)
        if not has_next:
            break
        if all(0 < at < oldest.timestamp() for at in submitted):
            reader.reached_end = False
            break
        newest, reached = max(newest, *submitted), min(submitted)
        # assumes a constant rate of submission
        n_left = progress.n_done * (reached - oldest.timestamp()) / max(newest - reached, 1.0)
        progress.add_requests(max(1, round(n_left)) - (progress.n_requests - progress.n_done))
    progress.finish()
    return distinct_records(reader.parts), reader.gaps()


class _Reader:
    """Reads the list page by page.

    Attributes:
        parts: Records of undamaged jobs.
        reached_end: Whether the list was read to its end, instead of to an old job.
    """

    def __init__(self, service: Service, site: str, start: datetime, end: datetime) -> None:
        self.parts: list[pl.DataFrame] = []
        self.reached_end = True
        self._service, self._start, self._end = service, start, end
        self._path = f"/sites/{site}/jobs"
        self._offset = 0
        self._limit = API_PAGE
        self._last_id: int | None = None
        self._seen = set[Any]()
        self._newest_id = 0
        self._n_rows: dict[Any, int] = {}
        self._damaged: dict[int, str] = {}
        self._totals: list[int] = []
        self._is_short = False
        self._wrong_totals: list[str] = []

    def read_page(self, progress: Progress) -> tuple[list[float], bool]:
        """Read a page.

        Returns:
            Times (s since 1970) at which its jobs were submitted, 0 if unknown, and whether another
            page follows.
        """
        params = {"limit": str(self._limit), "offset": str(self._offset), "resources": "yes"}
        # an offset has other jobs in a study that ends later, and after other jobs
        request = self._service.request_key(self._path, params)
        key = f"{request}#until={epoch_text(self._end)}&after={self._last_id}"
        is_kept = self._service.answers.has_content(key)
        if kept_size := kept_page_size(self._service, key):
            self._limit = kept_size
            return self.read_page(progress)
        try:
            page, undamaged = fetch_page(
                self._service,
                Request(self._path, params, key, is_divisible=self._limit > SMALLEST_PAGE),
                parse=lambda content: self._of_study(JobPage.parse(content, file=API_LIST_NAME)),
                is_final=lambda _: is_settled(self._end),
                find_doubt=lambda page: self._find_count_doubt(page) or page.find_doubt(),
            )
        except RequestTooLarge as error:
            self._limit = smaller_page(self._service, key, self._limit, error)
            return self.read_page(progress)
        n_items = len(page.records)
        self._record_counts(page, self._find_count_doubt(page))
        progress.count_answer(n_items, is_kept=is_kept)
        ids = page.records["job_id"]
        new = set(ids) - self._seen
        is_last = n_items < self._limit or self._offset >= (page.total or 0)
        self._seen |= new
        outdated = self._unended_jobs(page.records) if is_kept else []
        is_outdated = pl.col("job_id").is_in(outdated).fill_null(value=False)
        self.parts.append(undamaged.filter(~is_outdated))
        self._damaged |= page.damaged
        for job_id in outdated:
            self._add_current_job(job_id, page)
        if not new and is_last:
            return [], False  # the end, which new jobs may shift with every request
        self._offset += n_items
        self._last_id = min(ids.drop_nulls().to_list(), default=self._last_id)
        return [float(at or 0) for at in page.records["submitted_at"]], True

    def gaps(self) -> list[pl.DataFrame]:
        """Return tables (`schemas.RejectedRows`) of damaged jobs, missing jobs and wrong totals."""
        undamaged = {job_id for part in self.parts for job_id in part["job_id"]}
        damaged = {
            job_id: reason for job_id, reason in self._damaged.items() if job_id not in undamaged
        }
        n_listed = sum(self._n_rows.values())
        return [
            list_completeness.rejected_jobs(damaged, source=API_LIST_NAME),
            list_completeness.missing_by_total(
                n_listed, self._n_expected() if self._is_short else 0, source=API_LIST_NAME
            ),
            list_completeness.wrong_totals(self._wrong_totals, source=API_LIST_NAME),
        ]

    def _n_expected(self) -> int:
        """Rows of the list down to the last one read, less those that came after the first page."""
        if not self._totals:
            return 0
        first, last = self._totals[0], self._totals[-1]
        return first if self.reached_end else self._offset - max(0, last - first)

    def _find_count_doubt(self, page: JobPage) -> str | None:
        """Return why the counts of a page may be wrong, or None."""
        highest = max(self._totals, default=0)
        if page.total is not None and page.total < highest:
            return f"a total of {page.total} after one of {highest}"
        return page_doubt(
            len(page.records),
            page.total,
            offset=self._offset,
            limit=self._limit,
            n_seen=len(self._seen),
        )

    def _record_counts(self, page: JobPage, doubt: str | None) -> None:
        """Record the counts of a page; refuse a page without jobs if the list has more."""
        n_items = len(page.records)
        total = max([*self._totals, page.total or 0])
        if doubt and n_items == 0 and (self._offset == 0 or total > self._offset):
            what = f"lists {len(self._seen)} jobs where its total is {total}"
            if total == 0:
                what = "lists 0 jobs with a total of 0, though it has all jobs of the site"
            do = "try again later; if its total has fallen for good, remove the folder of answers"
            raise Refused(f"{what}; received answers are kept", where=self._path, do=do)
        if page.total is not None and page.total >= max(self._totals, default=0):
            self._totals.append(page.total)
        self._is_short |= doubt is not None and n_items < min(self._limit, total - self._offset)
        if doubt and (page.total is None or page.total < max(total, self._offset + n_items)):
            self._wrong_totals.append(f"offset {self._offset}: {doubt}")
        rows = Counter(page.records.select("job_id", "walltime_s").iter_rows())
        if self._offset == 0:
            self._newest_id = max((job_id for job_id, _ in rows if job_id is not None), default=0)
        for row, n_rows in rows.items():  # a moldable job has several, mostly of other walltimes
            if (row[0] or 0) <= self._newest_id:
                self._n_rows[row] = max(n_rows, self._n_rows.get(row, 0))

    def _of_study(self, page: JobPage) -> JobPage:
        """A page on which only jobs that may have run in the study count as damaged."""
        relevant = set(page.records.filter(self._may_run_in_study())["job_id"])
        damaged = {job_id: page.damaged[job_id] for job_id in page.damaged if job_id in relevant}
        return page._replace(damaged=damaged)

    def _may_run_in_study(self) -> pl.Expr:
        """Whether a job may have run in the study, or may run in it later."""
        first, last = self._start.timestamp(), self._end.timestamp()
        began, stop = pl.coalesce("started_at", "submitted_at"), pl.col("stopped_at")
        return (began.fill_null(0) < last) & (stop.is_null() | (stop > first))

    def _unended_jobs(self, records: pl.DataFrame) -> list[int]:
        """Ids of the study's jobs that had not ended when a kept page was read, sorted."""
        last = self._end.timestamp()
        found = records.filter(
            pl.col("fault").is_null(),
            ~pl.col("state").is_in(job_records.ENDED_STATES),
            pl.col("started_at").fill_null(0) < last,
            pl.col("submitted_at").fill_null(0) < last,
        )
        return found["job_id"].unique().sort().to_list()

    def _add_current_job(self, job_id: int, kept: JobPage) -> None:
        """Add a job as it is now, or as it is on the kept page if it no longer exists."""

        def parse(content: bytes) -> JobPage:
            document = json.loads(content)
            if not isinstance(document, dict):
                raise ValueError("no JSON object")
            return self._of_study(JobPage.of_jobs([document], file=API_LIST_NAME))

        try:
            page, undamaged = fetch_page(
                self._service,
                Request(f"{self._path}/{job_id}", {}),
                parse=parse,
                is_final=attrgetter("has_ended"),
                find_doubt=JobPage.find_doubt,
            )
        except Refused as refusal:
            if refusal.status != 404:
                raise
            self.parts.append(kept.undamaged.filter(pl.col("job_id") == job_id))
        else:
            self.parts.append(undamaged)
            self._damaged |= page.damaged
