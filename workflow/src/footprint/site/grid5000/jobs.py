"""Lists of OAR jobs: by date from OAR's own API, else page by page from the Grid'5000 API."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from footprint.site import oar
from footprint.site.grid5000 import completeness
from footprint.site.grid5000.by_date import (
    NOT_OPEN,
    OARAPI,
    collection,
    has_ended,
    list_by_date,
    once,
)
from footprint.site.grid5000.progress import Progress
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.service import Service, epoch, settled

API_PAGE = 500
"""The most that the Grid'5000 API gives."""

LIST = "/jobs"

log = logging.getLogger(__name__)


class Listed(NamedTuple):
    """Records (`oar.RECORD`) of the jobs listed, and what the lists lack (`tables.SetAside`)."""

    records: pl.DataFrame
    set_aside: pl.DataFrame


def records(
    service: Service,
    *,
    site: str,
    start: datetime,
    end: datetime,
    listing: str,
    history: timedelta,
    concurrency: int,
) -> Listed:
    """Records of all jobs that may have held a node in [start, end), and what the lists lack.

    A job has several records where the service said different things of it. Counted are the jobs
    that stayed damaged and are rejected, a difference from OAR's own count of jobs, days without
    any job, and job ids that are missing across them.

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
        InputError: The service refuses, an answer cannot be understood, or days stay empty while
            OAR counts more jobs than it lists.
    """
    if listing != "jobs":
        try:
            found, lacking = list_by_date(
                service, site=site, start=start, end=end, concurrency=concurrency
            )
            return _with_empty_days(found, lacking, start=start, end=end, source=OARAPI)
        except Refused as refusal:
            if listing == "oarapi" or refusal.status not in NOT_OPEN:
                raise
            log.info("%s; listing /sites/%s/jobs instead", refusal, site)
    found = once(_newest_first(service, site=site, end=end, oldest=start - history))
    return _with_empty_days(found, [], start=start, end=end, source=LIST)


def _with_empty_days(
    found: pl.DataFrame,
    lacking: list[pl.DataFrame],
    *,
    start: datetime,
    end: datetime,
    source: str,
) -> Listed:
    empty = completeness.days_without_jobs(found, start=start, end=end, source=source)
    set_aside = pl.concat([*lacking, empty])
    for row in set_aside.iter_rows(named=True):
        log.warning("%s: %s: %d (%s)", source, row["reason"], row["n_rows"], row["example"])
    return Listed(found, set_aside)


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
        page = service.ask(path, params, check=collection, final=lambda _: settled(end), name=name)
        items = page["items"]
        progress.done(len(items), kept=kept)
        new = {job.get("uid") for job in items} - seen
        if not new and len(items) < API_PAGE:
            break  # the end, which new jobs may push further with every request
        seen |= new
        if kept:
            items = [_as_it_is_now(service, path, job, end) for job in items]
        yield oar.parse_jobs(items, file=LIST, resources={})
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
    if has_ended(job) or not matters:
        return job
    try:
        return service.document(f"{path}/{job['uid']}", {}, final=has_ended)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return job


def _submitted(job: Mapping[str, Any]) -> float:
    """When a job was submitted; 0: it does not say."""
    return float(job.get("submitted_at") or 0)
