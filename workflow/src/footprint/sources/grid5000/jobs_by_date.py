"""Lists of OAR jobs by date, from OAR's own API, compared with its own count of jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import polars as pl

from footprint.sources.grid5000 import list_completeness
from footprint.sources.grid5000.chunks import split_window
from footprint.sources.grid5000.day_lists import DayList, DayLister
from footprint.sources.grid5000.job_pages import distinct_records, never_final, parse_collection
from footprint.sources.grid5000.oarapi import (
    DETAILS_LIST_NAME,
    NOT_OPEN_STATUSES,
    count_path,
    details_path,
)
from footprint.sources.grid5000.overdue_jobs import OverdueJobs
from footprint.sources.grid5000.progress import Progress
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.grid5000.service import Request, Service, epoch_text, is_settled
from footprint.sources.oar.list_damage import whole_total

MAX_RECOUNTS = 2
"""How often days are listed again because OAR counts more jobs than it lists."""

WINDOW_HOURS = 24.0

log = logging.getLogger(__name__)


def list_by_date(
    service: Service, *, site: str, start: datetime, end: datetime, concurrency: int
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """List the jobs of each day of [start, end).

    Returns:
        Records (`job_records.RECORD_SCHEMA`), and tables (`schemas.RejectedRows`) of what the lists
        lack.

    Raises:
        InputError: The service refuses, an answer cannot be parsed, or days stay empty while OAR,
            or a total of their own pages, counts more jobs than they list.
    """
    days = [*split_window(start, end, WINDOW_HOURS)]
    progress = Progress(f"jobs of {site}", len(days), unit="jobs")
    overdue = OverdueJobs(service, site)
    lister = DayLister(service, site, progress=progress, overdue=overdue)

    def list_days(numbers: Sequence[int], *, refresh: bool) -> Iterator[tuple[int, DayList]]:
        def list_day(number: int) -> tuple[int, DayList]:
            return number, lister.list_day(*days[number], refresh=refresh)

        with ThreadPoolExecutor(concurrency) as pool:
            try:
                yield from pool.map(list_day, numbers)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    lists = dict(list_days(range(len(days)), refresh=False))
    n_listed, n_counted = _compare_counts(service, site, start, end, lists.values(), overdue)
    for _ in range(MAX_RECOUNTS):
        changing = [number for number, day in lists.items() if not day.is_final]
        if n_counted is None or n_counted <= n_listed or not changing:
            break
        log.info("OAR counts %d jobs and lists %d: days listed again", n_counted, n_listed)
        progress.add_requests(len(changing))
        lists |= dict(list_days(changing, refresh=True))
        n_listed, n_counted = _compare_counts(service, site, start, end, lists.values(), overdue)
    progress.finish()
    empty = {days[number][0]: day for number, day in lists.items() if day.has_empty_page}
    n_missing = sum(day.n_missing for day in lists.values())
    doubtful = {days[number][0] for number, day in lists.items() if day.n_missing}
    if n_counted is not None and n_counted > n_listed:
        _refuse_empty_days([*empty], site=site, n_listed=n_listed, n_counted=n_counted)
        for number, day in lists.items():
            _, n_on_day = _compare_counts(service, site, *days[number], [day], overdue)
            if n_on_day is not None and n_on_day > len(day.job_ids):
                doubtful.add(days[number][0])
    _refuse_empty_days(
        [date for date, day in empty.items() if day.n_missing],
        site=site,
        n_listed=n_listed,
        n_counted=n_listed + n_missing,
        counted_by="their own totals count",
    )
    if n_counted is not None and n_counted >= n_listed + max(
        day.n_missing for day in lists.values()
    ):
        n_missing = 0  # the comparison of counts includes them
    found = distinct_records(day.records for day in lists.values())
    n_counted = n_listed if n_counted is None else n_counted
    return found, [
        list_completeness.rejected_jobs(
            _damaged_everywhere(lists.values(), found), source=DETAILS_LIST_NAME
        ),
        list_completeness.count_difference(
            n_listed=n_listed, n_counted=n_counted, source=DETAILS_LIST_NAME, days=sorted(doubtful)
        ),
        list_completeness.missing_by_total(
            n_listed, n_listed + n_missing, source=DETAILS_LIST_NAME, days=sorted(doubtful)
        ),
    ]


def _damaged_everywhere(lists: Collection[DayList], found: pl.DataFrame) -> dict[int, str]:
    """Reason of each job that is damaged in all lists that contain it, by its id."""
    undamaged = set(found["job_id"])
    return {
        job_id: reason
        for day in lists
        for job_id, reason in day.damaged.items()
        if job_id not in undamaged
    }


def _compare_counts(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    lists: Collection[DayList],
    overdue: OverdueJobs,
) -> tuple[int, int | None]:
    """Return the number of distinct jobs in the lists, and OAR's own; None: it is not open.

    Jobs that OAR counts and does not list are subtracted from its number. This number is final if
    all lists are final and have as many jobs.
    """
    n_listed = len({job for day in lists for job in day.job_ids})
    lists_are_final = is_settled(end) and all(day.is_final for day in lists)

    def is_final(n_counted: int) -> bool:
        return lists_are_final and n_counted == n_listed

    try:
        n_counted = _count_jobs(service, site, start, end, is_final=is_final, n_listed=n_listed)
    except Refused as refusal:
        if refusal.status not in NOT_OPEN_STATUSES:
            raise
        log.warning("%s; the number of jobs listed is not compared with OAR's own", refusal)
        return n_listed, None
    if n_counted > n_listed:
        n_counted = max(n_listed, n_counted - overdue.count_in_window(start, end))
    return n_listed, n_counted


def _refuse_empty_days(
    empty: list[datetime],
    *,
    site: str,
    n_listed: int,
    n_counted: int,
    counted_by: str = "OAR counts",
) -> None:
    """Raise an error that names days without a job, if there are any, and both counts."""
    if empty:
        what = (
            f"lists {n_listed} of the {n_counted} jobs that {counted_by}, and lacks jobs of "
            f"{list_completeness.days_text(empty)}; received answers are kept"
        )
        do = "try again later, or set download.jobs to `jobs`, which lists them without OAR's API"
        raise Refused(what, where=details_path(site), do=do)


def count_by_date(service: Service, *, site: str, start: datetime, end: datetime) -> int | None:
    """Return how many jobs OAR's API lists for [start, end); None if it is not available."""
    with suppress(Refused):
        return _count_jobs(service, site, start, end, is_final=never_final)
    return None


def _count_jobs(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    *,
    is_final: Callable[[int], bool],
    n_listed: int = 0,
) -> int:
    """OAR's own count of the jobs in [start, end); a count below `n_listed` is in doubt."""

    def parse(content: bytes) -> int:
        total = whole_total(parse_collection(content))
        if total is None:
            raise ValueError("no total")
        return total

    def find_doubt(total: int) -> str | None:
        return f"a total of {total} where {n_listed} are listed" if total < n_listed else None

    params = {"from": epoch_text(start), "to": epoch_text(end), "limit": "1", "offset": "0"}
    return service.fetch_answer(
        Request(count_path(site), params),
        parse=parse,
        is_final=is_final,
        find_doubt=find_doubt,
        refresh=True,
    )
