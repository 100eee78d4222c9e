"""The list `/sites/<site>/jobs` of the Grid'5000 API: all jobs, newest first, without dates.

The list has every job since the site began, so that it is never empty, and its total never falls.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint.site import oar
from footprint.site.grid5000 import completeness
from footprint.site.grid5000.by_date import collection, has_ended, once
from footprint.site.grid5000.damage import (
    damaged_jobs,
    item_records,
    page_doubt,
    unreadable,
    whole_total,
)
from footprint.site.grid5000.progress import Progress
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.service import Service, epoch, settled

API_PAGE = 500
"""The most that the Grid'5000 API gives."""

LIST = "/jobs"


class _Page(NamedTuple):
    """A page of the list, or one job.

    Attributes:
        items: Its jobs as they came.
        records: Their records, in the same order.
        damaged: The reason of each damaged job that may have run in the study, by id.
        total: Its `total`; None where that is no whole number.
    """

    items: list[dict[str, Any]]
    records: pl.DataFrame
    damaged: dict[int, str]
    total: int | None

    @property
    def whole(self) -> pl.DataFrame:
        """Records of the jobs that are not damaged."""
        return self.records.filter(~self.is_damaged())

    def is_damaged(self) -> pl.Expr:
        """Whether a job is damaged on this page."""
        return pl.col("job_id").is_in(list(self.damaged)).fill_null(value=False)

    def doubt(self) -> str | None:
        """Return why its jobs may be damaged, or None."""
        if self.damaged:
            job_id, reason = min(self.damaged.items())
            return f"{len(self.damaged)} damaged jobs: job {job_id} {reason}"
        return unreadable(self.records)


def list_newest_first(
    service: Service, *, site: str, start: datetime, end: datetime, oldest: datetime
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """List jobs down to those submitted before `oldest`: records, and tables of what is missing.

    New jobs push older ones to later pages while one reads: jobs may come twice, none is missed.
    Jobs submitted after the study do not matter to it, so that a page read an hour after its end
    need not be read again; only jobs that had not ended are asked for once more, one by one. A page
    is kept by the last job before it, so that no kept page follows one that has shifted since.

    Raises:
        InputError: The service refuses, an answer cannot be understood, or a page stays empty where
            the list has more jobs.
    """
    reading = _Reading(service, site, start, end)
    progress = Progress(f"jobs of {site}", 1, unit="jobs")
    newest = 0.0
    while True:
        submitted, goes_on = reading.next_page(progress)
        if not goes_on:
            break
        if all(0 < at < oldest.timestamp() for at in submitted):
            reading.reached_end = False
            break
        newest, reached = max(newest, *submitted), min(submitted)
        # as if jobs had been submitted at the same pace all the time
        left = progress.n_done * (reached - oldest.timestamp()) / max(newest - reached, 1.0)
        progress.more(max(1, round(left)) - (progress.n_requests - progress.n_done))
    progress.finish()
    return once(reading.parts), reading.lacking()


class _Reading:
    """The pages read so far.

    Attributes:
        parts: Records of whole jobs.
        reached_end: Whether the list was read to its end, instead of to an old job.
    """

    def __init__(self, service: Service, site: str, start: datetime, end: datetime) -> None:
        self.parts: list[pl.DataFrame] = []
        self.reached_end = True
        self._service, self._start, self._end = service, start, end
        self._path = f"/sites/{site}/jobs"
        self._offset = 0
        self._last: int | None = None
        self._seen = set[Any]()
        self._newest = 0
        self._rows: dict[Any, int] = {}
        self._damaged: dict[int, str] = {}
        self._totals: list[int] = []
        self._is_short = False
        self._wrong_totals: list[str] = []

    def next_page(self, progress: Progress) -> tuple[list[float], bool]:
        """Read a page: when its jobs were submitted (0: not known), and whether others follow."""
        params = {"limit": str(API_PAGE), "offset": str(self._offset), "resources": "yes"}
        # the same offset shows other jobs to a study that ends later, and after other jobs
        request = self._service.request(self._path, params)
        name = f"{request}#until={epoch(self._end)}&after={self._last}"
        kept = self._service.answers.has(name)
        tries: list[_Page] = []

        def check(content: bytes) -> _Page:
            document = collection(content)
            tries.append(self._page(document["items"], whole_total(document)))
            return tries[-1]

        page = self._service.ask(
            self._path,
            params,
            check=check,
            final=lambda _: settled(self._end),
            name=name,
            doubt=lambda page: self._numbers_doubt(page) or page.doubt(),
        )
        n_items = len(page.items)
        doubt = self._numbers_doubt(page)
        self._note_numbers(page, doubt)
        progress.done(n_items, kept=kept)
        ids = page.records["job_id"]
        new = set(ids) - self._seen
        is_last = n_items < API_PAGE or self._offset >= (page.total or 0)
        self._seen |= new
        gone_on = self._may_have_gone_on(page.records) if kept else []
        self._add(page, tries, without=gone_on)
        for job in gone_on:
            self._add_present(job, page)
        if not new and is_last:
            return [], False  # the end, which new jobs may push further with every request
        self._offset += n_items
        self._last = min(ids.drop_nulls().to_list(), default=self._last)
        return [float(at or 0) for at in page.records["submitted_at"]], True

    def lacking(self) -> list[pl.DataFrame]:
        """Return tables (`tables.SetAside`) of damaged jobs, missing jobs and wrong totals."""
        whole = {job for part in self.parts for job in part["job_id"]}
        damaged = {job: why for job, why in self._damaged.items() if job not in whole}
        n_listed = sum(self._rows.values())
        return [
            completeness.rejected_jobs(damaged, source=LIST),
            completeness.missing_by_total(
                n_listed, self._n_expected() if self._is_short else 0, source=LIST
            ),
            completeness.wrong_totals(self._wrong_totals, source=LIST),
        ]

    def _n_expected(self) -> int:
        """Rows of the list down to the last one read, less those that came after the first page."""
        if not self._totals:
            return 0
        first, last = self._totals[0], self._totals[-1]
        return first if self.reached_end else self._offset - max(0, last - first)

    def _numbers_doubt(self, page: _Page) -> str | None:
        """Return why the numbers of a page may be wrong, or None."""
        highest = max(self._totals, default=0)
        if page.total is not None and page.total < highest:
            return f"a total of {page.total} after one of {highest}"
        return page_doubt(
            len(page.items),
            page.total,
            offset=self._offset,
            limit=API_PAGE,
            n_seen=len(self._seen),
        )

    def _note_numbers(self, page: _Page, doubt: str | None) -> None:
        """Note what a page counts; refuse one without jobs where the list has more."""
        n_items = len(page.items)
        total = max([*self._totals, page.total or 0])
        if doubt and n_items == 0 and (self._offset == 0 or total > self._offset):
            what = f"lists {len(self._seen)} jobs where its total is {total}"
            if total == 0:
                what = "lists 0 jobs with a total of 0, though it has all jobs of the site"
            do = "try again later; if its total has fallen for good, delete the folder of answers"
            raise Refused(f"{what}; what came is kept", where=self._path, do=do)
        if page.total is not None and page.total >= max(self._totals, default=0):
            self._totals.append(page.total)
        self._is_short |= doubt is not None and n_items < min(API_PAGE, total - self._offset)
        if doubt and (page.total is None or page.total < max(total, self._offset + n_items)):
            self._wrong_totals.append(f"offset {self._offset}: {doubt}")
        rows = Counter(page.records.select("job_id", "walltime_s").iter_rows())
        if self._offset == 0:
            self._newest = max((job for job, _ in rows if job is not None), default=0)
        for row, n_rows in rows.items():  # a moldable job has several, mostly of other walltimes
            if (row[0] or 0) <= self._newest:
                self._rows[row] = max(n_rows, self._rows.get(row, 0))

    def _page(self, items: list[dict[str, Any]], total: int | None = None) -> _Page:
        records = item_records(items, file=LIST)
        matters = set(records.filter(self._matters())["job_id"])
        damaged = {job: why for job, why in damaged_jobs(items, records).items() if job in matters}
        return _Page(items, records, damaged, total)

    def _matters(self) -> pl.Expr:
        """Whether a job may have run in the study, or may still."""
        first, last = self._start.timestamp(), self._end.timestamp()
        began, stop = pl.coalesce("started_at", "submitted_at"), pl.col("stopped_at")
        return (began.fill_null(0) < last) & (stop.is_null() | (stop > first))

    def _add(self, page: _Page, tries: list[_Page], *, without: list[int]) -> None:
        """Take the whole jobs of a page, and those damaged on it alone from other tries."""
        parts = [page.whole]
        if page.damaged:
            parts += [each.whole.filter(page.is_damaged()) for each in tries]
        left_out = pl.col("job_id").is_in(without).fill_null(value=False)
        self.parts += [part.filter(~left_out) for part in parts]
        self._damaged |= page.damaged

    def _may_have_gone_on(self, records: pl.DataFrame) -> list[int]:
        """Return jobs of the study that had not ended when a kept page was read."""
        last = self._end.timestamp()
        found = records.filter(
            pl.col("fault").is_null(),
            ~pl.col("state").is_in(oar.ENDED),
            pl.col("started_at").fill_null(0) < last,
            pl.col("submitted_at").fill_null(0) < last,
        )
        return found["job_id"].unique().sort().to_list()

    def _add_present(self, job: int, before: _Page) -> None:
        """Take a job as it is now, or as it was where it is gone."""
        tries: list[_Page] = []

        def check(content: bytes) -> _Page:
            document = json.loads(content)
            if not isinstance(document, dict):
                raise ValueError("no JSON object")
            tries.append(self._page([document]))
            return tries[-1]

        try:
            page = self._service.ask(
                f"{self._path}/{job}",
                {},
                check=check,
                final=lambda page: has_ended(page.items[0]),
                doubt=_Page.doubt,
            )
        except Refused as refusal:
            if refusal.status != 404:
                raise
            self.parts.append(before.whole.filter(pl.col("job_id") == job))
        else:
            self._add(page, tries, without=[])
