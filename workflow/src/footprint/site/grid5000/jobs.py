"""Lists of OAR jobs: by date from OAR's own API, else page by page from the Grid'5000 API."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import polars as pl

from footprint.site import oar
from footprint.site.grid5000.chunks import spans
from footprint.site.grid5000.progress import Progress
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.service import Service, epoch, settled

OARAPI_PAGE = 100
"""Jobs a page: OAR's API makes several queries for each."""

API_PAGE = 500
"""The most that the Grid'5000 API gives."""

OVERLAP = 10
"""Jobs that are read again with the next page, where the list may change in between."""

OARAPI = "oarapi jobs/details"
NOT_OPEN = frozenset([401, 403, 404])
WINDOW_HOURS = 24.0

log = logging.getLogger(__name__)


def records(
    service: Service,
    *,
    site: str,
    start: datetime,
    end: datetime,
    listing: str,
    history: timedelta,
    concurrency: int,
) -> pl.DataFrame:
    """Records (`oar.RECORD`) of all jobs that may have held a node in [start, end).

    A job has several records where the service said different things of it.

    Args:
        service: The API.
        site: Site.
        start: Start of the study.
        end: End of the study, excluded.
        listing: `oarapi`: by date; `jobs`: the list of the Grid'5000 API, which knows no dates;
            `auto`: the first, and the second where that is not open to the user.
        history: For `jobs`: how long before the study jobs were submitted that may run in it.
        concurrency: Requests at once.

    Raises:
        InputError: The service refuses, or an answer cannot be understood.
    """
    if listing != "jobs":
        try:
            return _once(
                _by_date(service, site=site, start=start, end=end, concurrency=concurrency)
            )
        except Refused as refusal:
            if listing == "oarapi" or refusal.status not in NOT_OPEN:
                raise
            log.info("%s; listing /sites/%s/jobs instead", refusal, site)
    return _once(_newest_first(service, site=site, end=end, oldest=start - history))


def count_by_date(service: Service, *, site: str, start: datetime, end: datetime) -> int | None:
    """How many jobs OAR's API lists for [start, end); None: it is not open or not there."""
    params = {"from": epoch(start), "to": epoch(end), "limit": "1", "offset": "0"}
    path = f"/sites/{site}/internal/oarapi/jobs.json"
    with suppress(Refused):
        return int(service.document(path, params, final=_never).get("total", 0))
    return None


def _once(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """Records without those that say the very same as another."""
    listed = pl.concat([pl.DataFrame(schema=oar.RECORD), *parts])
    log.info("%d jobs, listed %d times", listed["job_id"].n_unique(), len(listed))
    return listed.unique(maintain_order=True)


def _by_date(
    service: Service, *, site: str, start: datetime, end: datetime, concurrency: int
) -> Iterator[pl.DataFrame]:
    """Records of the jobs of each day, days in order."""
    days = [*spans(start, end, WINDOW_HOURS)]
    progress = Progress(f"jobs of {site}", len(days), unit="jobs")
    parsing = threading.Lock()  # a page is large once it is unfolded: one at a time

    def of_day(day: tuple[datetime, datetime]) -> pl.DataFrame:
        return pl.concat(_pages(service, site, *day, progress, parsing))

    with ThreadPoolExecutor(concurrency) as pool:
        try:
            yield from pool.map(of_day, days)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress.finish()


class _Page(NamedTuple):
    """A page of OAR's list: its jobs, whether all of them have ended, whether others may follow."""

    records: pl.DataFrame
    ended: bool
    goes_on: bool


def _pages(
    service: Service,
    site: str,
    start: datetime,
    end: datetime,
    progress: Progress,
    parsing: threading.Lock,
) -> Iterator[pl.DataFrame]:
    """Pages of one window. `total` is not to be trusted: paging ends where no new job comes.

    A page is final when it and all before it have ended jobs alone: a job that leaves an earlier
    page, or comes into it, shifts those that follow. From then on pages overlap, so that no job is
    missed where some leave while one reads.
    """
    path = f"/sites/{site}/internal/oarapi/jobs/details.json"

    def check(content: bytes) -> _Page:
        with parsing:
            page = _collection(content)
            links = page.get("links")
            follows = not links or any(link.get("rel") == "next" for link in links)
            return _Page(
                oar.parse_jobs(page, file=OARAPI, resources={}),
                all(map(_has_ended, page["items"])),
                follows or len(page["items"]) >= OARAPI_PAGE,
            )

    offset, goes_on, seen = 0, True, set[int]()
    stays = settled(end)
    while goes_on:
        # `to` counts jobs that start before it, `from` those that stop at it or later
        params = {"from": epoch(start), "to": epoch(end)}
        params |= {"limit": str(OARAPI_PAGE), "offset": str(offset)}
        kept = service.answers.has(service.request(path, params))
        final = attrgetter("ended") if stays else _never
        page = service.ask(path, params, check=check, final=final)
        yield page.records
        new = set(page.records["job_id"]) - seen
        seen |= new
        stays = stays and page.ended
        offset += max(1, len(page.records) - (0 if stays else OVERLAP))
        goes_on = bool(new) and page.goes_on
        progress.more(int(goes_on))
        progress.done(len(new), kept=kept)


def _newest_first(
    service: Service, *, site: str, end: datetime, oldest: datetime
) -> Iterator[pl.DataFrame]:
    """Records of the pages of `/sites/<site>/jobs` down to jobs submitted before `oldest`.

    New jobs push older ones to later pages while one reads: jobs may come twice, none is missed.
    Jobs submitted after the study do not matter to it, so that a page read an hour after its end
    need not be read again; only jobs that had not ended are asked for once more, one by one.
    """
    path = f"/sites/{site}/jobs"
    progress = Progress(f"jobs of {site}", 1, unit="jobs")

    offset, newest, seen = 0, 0.0, set[Any]()
    while True:
        params = {"limit": str(API_PAGE), "offset": str(offset), "resources": "yes"}
        # the same offset shows other jobs to a study that ends later
        name = f"{service.request(path, params)}#until={epoch(end)}"
        kept = service.answers.has(name)
        page = service.ask(path, params, check=_collection, final=lambda _: settled(end), name=name)
        items = page["items"]
        progress.done(len(items), kept=kept)
        new = {job.get("uid") for job in items} - seen
        if not new and len(items) < API_PAGE:
            break  # the end, which new jobs may push further with every request
        seen |= new
        if kept:
            items = [_as_it_is_now(service, path, job, end) for job in items]
        yield oar.parse_jobs(items, file="/jobs", resources={})
        offset += len(items)
        submitted = [_submitted(job) for job in items]
        if all(0 < at < oldest.timestamp() for at in submitted):
            break
        newest, reached = max(newest, *submitted), min(submitted)
        # as if jobs had been submitted at the same pace all the time
        left = progress.n_done * (reached - oldest.timestamp()) / max(newest - reached, 1.0)
        progress.more(max(1, round(left)) - (progress.n_requests - progress.n_done))
    progress.finish()


def _as_it_is_now(
    service: Service, path: str, job: dict[str, Any], end: datetime
) -> dict[str, Any]:
    """A job that may have gone on since the list was read."""
    matters = (job.get("started_at") or 0) < end.timestamp() and _submitted(job) < end.timestamp()
    if _has_ended(job) or not matters:
        return job
    try:
        return service.document(f"{path}/{job['uid']}", {}, final=_has_ended)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return job


def _collection(content: bytes) -> dict[str, Any]:
    """A page of a collection; ValueError: it is none."""
    page = json.loads(content)
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("no list of jobs")
    return dict(page)


def _never(_: Any) -> bool:
    return False


def _has_ended(job: Mapping[str, Any]) -> bool:
    return str(job.get("state")).lower() in oar.ENDED


def _submitted(job: Mapping[str, Any]) -> float:
    """When a job was submitted; 0: it does not say."""
    return float(job.get("submitted_at") or 0)
