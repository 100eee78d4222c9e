"""The jobs of one day from OAR's own API, page by page."""

from __future__ import annotations

import threading
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import polars as pl

from footprint.sources.grid5000.job_pages import (
    SMALLEST_PAGE,
    JobPage,
    fetch_page,
    kept_page_size,
    never_final,
    smaller_page,
)
from footprint.sources.grid5000.oarapi import DETAILS_LIST_NAME, OARAPI_PAGE, details_path
from footprint.sources.grid5000.overdue_jobs import OverdueJobs
from footprint.sources.grid5000.progress import Progress
from footprint.sources.grid5000.refusals import RequestTooLarge
from footprint.sources.grid5000.service import Request, Service, epoch_text, is_settled
from footprint.sources.oar import job_records
from footprint.sources.oar.list_damage import page_doubt

PAGE_OVERLAP = 10
"""Jobs that are read again with the next page, if the list may change in between."""


class DayList(NamedTuple):
    """The jobs of one day.

    Attributes:
        records: Undamaged jobs (`job_records.RECORD_SCHEMA`).
        damaged: Reason of each damaged job, by id.
        is_final: Whether OAR will always give this list.
        has_empty_page: Whether a page was empty although it may have had jobs.
        n_missing: Jobs that are missing by the totals of the day's own pages.
    """

    records: pl.DataFrame
    damaged: dict[int, str]
    is_final: bool
    has_empty_page: bool
    n_missing: int

    @property
    def job_ids(self) -> set[int]:
        """Distinct jobs of the list, damaged ones included."""
        return {*self.records["job_id"], *self.damaged}


class DayLister:
    """Lists the jobs of days of one site. May be used by several threads."""

    def __init__(
        self, service: Service, site: str, *, progress: Progress, overdue: OverdueJobs
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            service: The API.
            site: Site.
            progress: Counts the requests.
            overdue: Jobs that OAR counts and does not list.
        """
        self._service, self._path = service, details_path(site)
        self._progress, self._overdue = progress, overdue
        self._parsing = threading.Lock()  # one page at a time: parsed, it takes much memory

    def list_day(self, start: datetime, end: datetime, *, refresh: bool) -> DayList:
        """Return the jobs of [start, end), page by page until a page brings no new job.

        A page is final if it is not in doubt, and it and all before it have ended jobs alone: a job
        that leaves or joins an earlier page shifts the later ones. After the first page that is not
        final, pages overlap, so that no job is missed when others leave meanwhile.

        Args:
            start: Start of the day.
            end: End of the day, excluded.
            refresh: Whether answers of this process are requested again if they are not final.
        """
        parts, damaged = [pl.DataFrame(schema=job_records.RECORD_SCHEMA)], dict[int, str]()
        seen = set[int]()
        offset, has_next, has_empty_page = 0, True, False
        limit = OARAPI_PAGE
        total, any_doubt = 0, False
        is_final = is_settled(end)

        def parse(content: bytes) -> JobPage:
            with self._parsing:
                return JobPage.parse(content, file=DETAILS_LIST_NAME)

        def find_doubt(page: JobPage) -> str | None:
            return page.find_doubt() or page_doubt(
                len(page.records),
                page.total,
                offset=offset,
                limit=limit,
                n_seen=len(seen),
                n_overdue=partial(self._overdue.count_in_window, start, end),
            )

        while has_next:
            # `to` counts jobs that start before it, `from` those that stop at it or later
            params = {"from": epoch_text(start), "to": epoch_text(end)}
            params |= {"limit": str(limit), "offset": str(offset)}
            key = self._service.request_key(self._path, params)
            is_kept = self._service.answers.has_content(key)
            if kept_size := kept_page_size(self._service, key):
                limit = kept_size
                continue
            try:
                page, undamaged = fetch_page(
                    self._service,
                    Request(self._path, params, is_divisible=limit > SMALLEST_PAGE),
                    parse=parse,
                    is_final=attrgetter("has_ended") if is_final else never_final,
                    find_doubt=find_doubt,
                    refresh=refresh,
                )
            except RequestTooLarge as error:
                limit = smaller_page(self._service, key, limit, error)
                continue
            n_items = len(page.records)
            is_doubtful = find_doubt(page) is not None
            parts.append(undamaged)
            new = {*undamaged["job_id"], *page.damaged} - seen
            seen |= new
            damaged |= page.damaged
            is_final = is_final and page.has_ended and not is_doubtful
            has_empty_page = has_empty_page or (n_items == 0 and is_doubtful)
            any_doubt, total = any_doubt or is_doubtful, max(total, page.total or 0)
            offset += max(1, n_items - (0 if is_final else min(PAGE_OVERLAP, limit // 2)))
            has_next = bool(new) and (page.has_link or n_items >= limit)
            self._progress.add_requests(int(has_next))
            self._progress.count_answer(len(new), is_kept=is_kept)
        n_missing = total - len(seen) if any_doubt else 0
        if n_missing > 0:
            n_missing = max(0, n_missing - self._overdue.count_in_window(start, end))
        return DayList(pl.concat(parts), damaged, is_final, has_empty_page, max(0, n_missing))
