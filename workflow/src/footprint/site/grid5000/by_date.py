"""Lists of OAR jobs by date, from OAR's own API, held against its own count of jobs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import polars as pl

from footprint.site import oar
from footprint.site.grid5000 import completeness
from footprint.site.grid5000.chunks import spans
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

OARAPI_PAGE = 100
"""Jobs a page: OAR's API makes several queries for each."""

OVERLAP = 10
"""Jobs that are read again with the next page, where the list may change in between."""

RECOUNTS = 2
"""How often days are listed again because OAR counts more jobs than it lists."""

OARAPI = "oarapi jobs/details"
NOT_OPEN = frozenset([401, 403, 404])
WINDOW_HOURS = 24.0
DAYS_SHOWN = 5

log = logging.getLogger(__name__)


def list_by_date(
    service: Service, *, site: str, start: datetime, end: datetime, concurrency: int
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """List the jobs of each day of [start, end): records, and tables of what the lists lack.

    Raises:
        InputError: The service refuses, an answer cannot be understood, or days stay empty while
            OAR, or a total of their own pages, counts more jobs than they list.
    """
    days = [*spans(start, end, WINDOW_HOURS)]
    progress = Progress(f"jobs of {site}", len(days), unit="jobs")
    parsing = threading.Lock()  # a page is large once it is unfolded: one at a time

    overdue = Overdue(service, site)

    def of_days(numbers: list[int], *, again: bool) -> Iterator[tuple[int, _Day]]:
        def of_day(number: int) -> tuple[int, _Day]:
            return number, _day(
                service, site, *days[number], progress, parsing, overdue, again=again
            )

        with ThreadPoolExecutor(concurrency) as pool:
            try:
                yield from pool.map(of_day, numbers)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    lists = dict(of_days([*range(len(days))], again=False))
    n_listed, n_counted = _compare(service, site, start, end, [*lists.values()], overdue)
    for _ in range(RECOUNTS):
        changing = [number for number, day in lists.items() if not day.final]
        if n_counted is None or n_counted <= n_listed or not changing:
            break
        log.info("OAR counts %d jobs and lists %d: days listed again", n_counted, n_listed)
        progress.more(len(changing))
        lists |= dict(of_days(changing, again=True))
        n_listed, n_counted = _compare(service, site, start, end, [*lists.values()], overdue)
    progress.finish()
    if n_counted is not None and n_counted > n_listed:
        _check_none_empty(
            [days[number][0] for number, day in lists.items() if day.has_empty_page],
            n_listed=n_listed,
            n_counted=n_counted,
            path=_details_path(site),
        )
    n_missing = sum(day.n_missing for day in lists.values())
    _check_none_empty(
        [days[number][0] for number, day in lists.items() if day.has_empty_page and day.n_missing],
        n_listed=n_listed,
        n_counted=n_listed + n_missing,
        path=_details_path(site),
        counted_by="their own totals count",
    )
    if n_counted is not None and n_counted >= n_listed + max(
        day.n_missing for day in lists.values()
    ):
        n_missing = 0  # the comparison of counts has them
    found = once(day.records for day in lists.values())
    whole = set(found["job_id"])
    damaged = {
        job_id: reason
        for day in lists.values()
        for job_id, reason in day.damaged.items()
        if job_id not in whole
    }
    n_counted = n_listed if n_counted is None else n_counted
    return found, [
        completeness.rejected_jobs(damaged, source=OARAPI),
        completeness.compared_counts(n_listed=n_listed, n_counted=n_counted, source=OARAPI),
        completeness.missing_by_total(n_listed, n_listed + n_missing, source=OARAPI),
    ]


class Overdue:
    """Running jobs whose walltime is over: OAR's total counts them on each day, its list does not.

    Source: `OAR::IO::count_jobs_for_user_query` of OAR 2.5 has no condition on the walltime of
    running jobs, and `get_jobs_for_user_query` has one. They are requested once, if a total is
    larger than its list.
    """

    def __init__(self, service: Service, site: str) -> None:
        self._service, self._site = service, site
        self._lock = threading.Lock()
        self._jobs: list[tuple[int, int]] | None = None

    def count(self, start: datetime, end: datetime) -> int:
        """Return how many jobs OAR counts in [start, end) and does not list."""
        with self._lock:
            if self._jobs is None:
                self._jobs = self._running()
        first, last = start.timestamp(), end.timestamp()
        return sum(began < last and over < first for began, over in self._jobs)

    def _running(self) -> list[tuple[int, int]]:
        """Start of each running job, and the end of its walltime; none where it is not open."""
        found: dict[int, tuple[int, int]] = {}
        n_items = 1
        while n_items:
            params = {"state": "Running", "limit": str(OARAPI_PAGE), "offset": str(len(found))}
            page: dict[str, Any] = {"items": []}
            with suppress(Refused):
                path = _details_path(self._site)
                page = self._service.ask(path, params, check=collection, final=never)
            records = item_records(page["items"], file=OARAPI)
            n_before = len(found)
            for job, began, walltime in records.select(
                "job_id", "started_at", "walltime_s"
            ).iter_rows():
                found[job] = (began or 2**62, (began or 0) + (walltime or 2**62))
            n_items = len(found) - n_before
        return list(found.values())


def _compare(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    lists: list[_Day],
    overdue: Overdue,
) -> tuple[int, int | None]:
    """Number of distinct jobs in the lists of all days, and OAR's own; None: it is not open.

    OAR's number lacks the jobs that it counts and does not list. It is final where it equals that
    of lists that are all final.
    """
    n_listed = len({job for day in lists for job in (*day.records["job_id"], *day.damaged)})
    stays = settled(end) and all(day.final for day in lists)

    def final(n_counted: int) -> bool:
        return stays and n_counted == n_listed

    try:
        n_counted = _count(service, site, start, end, final=final, n_listed=n_listed)
    except Refused as refusal:
        if refusal.status not in NOT_OPEN:
            raise
        log.warning("%s; the number of jobs listed is not compared with OAR's own", refusal)
        return n_listed, None
    if n_counted > n_listed:
        n_counted = max(n_listed, n_counted - overdue.count(start, end))
    return n_listed, n_counted


def _check_none_empty(
    empty: list[datetime],
    *,
    n_listed: int,
    n_counted: int,
    path: str,
    counted_by: str = "OAR counts",
) -> None:
    """Refuse lists that are short of jobs, if there are days that came without a job."""
    if empty:
        shown = ", ".join(f"{day:%Y-%m-%d}" for day in empty[:DAYS_SHOWN])
        more = f" and {len(empty) - DAYS_SHOWN} more" if len(empty) > DAYS_SHOWN else ""
        what = (
            f"lists {n_listed} of the {n_counted} jobs that {counted_by}, and lacks jobs of {shown}"
            f"{more}; what came is kept"
        )
        do = "try again later, or set download.jobs to `jobs`, which lists them without OAR's API"
        raise Refused(what, where=path, do=do)


class _Page(NamedTuple):
    """A page of OAR's list.

    Attributes:
        records: Its whole jobs.
        damaged: The reason of each other one, by id.
        n_items: How many there are of both.
        total: Its `total`; None where that is no whole number.
        ended: Whether all of them have ended.
        unreadable: Why a record cannot be read; None where all can.
        goes_on: Whether other pages may follow.
    """

    records: pl.DataFrame
    damaged: dict[int, str]
    n_items: int
    total: int | None
    ended: bool
    unreadable: str | None
    goes_on: bool


class _Day(NamedTuple):
    """The jobs of one window.

    Attributes:
        records: Its whole jobs.
        damaged: The reason of each other one, by id.
        final: Whether OAR will always answer so.
        has_empty_page: Whether a page without jobs came where there may be some.
        n_missing: Jobs that it lacks by the totals of its own pages.
    """

    records: pl.DataFrame
    damaged: dict[int, str]
    final: bool
    has_empty_page: bool
    n_missing: int


def _details_path(site: str) -> str:
    return f"/sites/{site}/internal/oarapi/jobs/details.json"


def _day(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    progress: Progress,
    parsing: threading.Lock,
    overdue: Overdue,
    *,
    again: bool,
) -> _Day:
    """Jobs of one window, page by page until no new job comes.

    A page is final when it is not in doubt, and it and all before it have ended jobs alone: a job
    that leaves an earlier page, or comes into it, shifts those that follow. From then on pages
    overlap, so that no job is missed where some leave while one reads.
    """
    path = _details_path(site)
    parts, damaged, seen = [pl.DataFrame(schema=oar.RECORD)], dict[int, str](), set[int]()
    tries: list[pl.DataFrame] = []
    offset, goes_on, has_empty_page = 0, True, False
    total, any_doubt = 0, False
    stays = settled(end)

    def check(content: bytes) -> _Page:
        with parsing:
            page = collection(content)
            items, links = page["items"], page.get("links")
            found = item_records(items, file=OARAPI)
            broken = damaged_jobs(items, found)
            in_damage = pl.col("job_id").is_in(list(broken)).fill_null(value=False)
            whole = found.filter(~in_damage)
            tries.append(whole)
            follows = not links or any(link.get("rel") == "next" for link in links)
            return _Page(
                whole,
                broken,
                len(items),
                whole_total(page),
                all(map(has_ended, items)),
                unreadable(whole),
                follows or len(items) >= OARAPI_PAGE,
            )

    def doubt(page: _Page) -> str | None:
        if page.damaged:
            job_id, reason = min(page.damaged.items())
            return f"{len(page.damaged)} damaged jobs: job {job_id} {reason}"
        return page.unreadable or page_doubt(
            page.n_items,
            page.total,
            offset=offset,
            limit=OARAPI_PAGE,
            n_seen=len(seen),
            n_overdue=partial(overdue.count, start, end),
        )

    while goes_on:
        # `to` counts jobs that start before it, `from` those that stop at it or later
        params = {"from": epoch(start), "to": epoch(end)}
        params |= {"limit": str(OARAPI_PAGE), "offset": str(offset)}
        kept = service.answers.has(service.request(path, params))
        page = service.ask(
            path,
            params,
            check=check,
            final=attrgetter("ended") if stays else never,
            doubt=doubt,
            again=again,
        )
        is_doubtful = doubt(page) is not None
        # another try may have damaged other jobs
        in_doubt = pl.col("job_id").is_in(list(page.damaged))
        parts += [page.records, *(each.filter(in_doubt) for each in tries if page.damaged)]
        tries.clear()
        new = {*page.records["job_id"], *page.damaged} - seen
        seen |= new
        damaged |= page.damaged
        stays = stays and page.ended and not is_doubtful
        has_empty_page = has_empty_page or (page.n_items == 0 and is_doubtful)
        any_doubt, total = any_doubt or is_doubtful, max(total, page.total or 0)
        offset += max(1, page.n_items - (0 if stays else OVERLAP))
        goes_on = bool(new) and page.goes_on
        progress.more(int(goes_on))
        progress.done(len(new), kept=kept)
    n_missing = total - len(seen) if any_doubt else 0
    if n_missing > 0:
        n_missing = max(0, n_missing - overdue.count(start, end))
    return _Day(pl.concat(parts), damaged, stays, has_empty_page, max(0, n_missing))


def count_by_date(service: Service, *, site: str, start: datetime, end: datetime) -> int | None:
    """How many jobs OAR's API lists for [start, end); None: it is not open or not there."""
    with suppress(Refused):
        return _count(service, site, start, end, final=never)
    return None


def _count(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    *,
    final: Callable[[int], bool],
    n_listed: int = 0,
) -> int:
    """OAR's own count of the jobs in [start, end); a count below `n_listed` is in doubt."""

    def check(content: bytes) -> int:
        total = whole_total(collection(content))
        if total is None:
            raise ValueError("no total")
        return total

    def doubt(total: int) -> str | None:
        return f"a total of {total} where {n_listed} are listed" if total < n_listed else None

    params = {"from": epoch(start), "to": epoch(end), "limit": "1", "offset": "0"}
    path = f"/sites/{site}/internal/oarapi/jobs.json"
    return service.ask(path, params, check=check, final=final, doubt=doubt, again=True)


def once(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Records without those that say the very same as another."""
    listed = pl.concat([pl.DataFrame(schema=oar.RECORD), *parts])
    log.info("%d jobs, listed %d times", listed["job_id"].n_unique(), len(listed))
    return listed.unique(maintain_order=True)


def collection(content: bytes) -> dict[str, Any]:
    """A page of a collection; ValueError: it is none."""
    page = json.loads(content)
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("no list of jobs")
    links = page.get("links") or []
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise ValueError(f"`links` is no list of links: {links!r:.60}")
    return dict(page)


def never(_: Any) -> bool:
    """Return that an answer is not final."""
    return False


def has_ended(job: Mapping[str, Any]) -> bool:
    """Return whether a job has ended, by its state."""
    return str(job.get("state")).lower() in oar.ENDED
