"""Lists of OAR jobs: by date from OAR's own API, else page by page from the Grid'5000 API."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from footprint.site.grid5000 import completeness
from footprint.site.grid5000.by_date import NOT_OPEN, OARAPI, list_by_date
from footprint.site.grid5000.newest_first import LIST, list_newest_first
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.service import Service

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
    that stayed damaged and are rejected, a difference from OAR's own count of jobs, jobs that lists
    lack by their own totals, days without any job, and job ids that are missing across them.

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
        InputError: The service refuses, an answer cannot be understood, or days or pages stay empty
            while OAR counts more jobs than it lists.
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
    found, lacking = list_newest_first(
        service, site=site, start=start, end=end, oldest=start - history
    )
    return _with_empty_days(found, lacking, start=start, end=end, source=LIST)


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
