"""Records of OAR jobs: by date from OAR's own API, else page by page from the Grid'5000 API."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from footprint.sources.grid5000 import list_completeness
from footprint.sources.grid5000.jobs_by_date import list_by_date
from footprint.sources.grid5000.jobs_newest_first import API_LIST_NAME, list_newest_first
from footprint.sources.grid5000.oarapi import DETAILS_LIST_NAME, NOT_OPEN_STATUSES
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.grid5000.service import Service

log = logging.getLogger(__name__)


class ListedJobs(NamedTuple):
    """Jobs of the lists.

    Attributes:
        job_records: Records of the jobs (`job_records.RECORD_SCHEMA`).
        rejected: Counts of what the lists lack (`schemas.RejectedRows`).
    """

    job_records: pl.DataFrame
    rejected: pl.DataFrame


def list_job_records(
    service: Service,
    *,
    site: str,
    start: datetime,
    end: datetime,
    listing: str,
    history: timedelta,
    concurrency: int,
) -> ListedJobs:
    """Return all jobs that may have held a node in [start, end), and what the lists lack.

    A job has several records if the service described it differently at different times. Counted
    are jobs that stayed damaged and are rejected, a difference from OAR's own count of jobs, jobs
    that lists lack by their own totals, days without any job, and job ids that are missing across
    such days.

    Args:
        service: The API.
        site: Site.
        start: Start of the study.
        end: End of the study, excluded.
        listing: `oarapi`: by date; `jobs`: the list of the Grid'5000 API, which has no dates;
            `auto`: the first, and the second if the first is not open to the user.
        history: For `jobs`: how long before the study jobs were submitted that may run in it.
        concurrency: Number of simultaneous requests.

    Raises:
        InputError: The service refuses, an answer cannot be parsed, or days or pages stay empty
            while OAR counts more jobs than it lists.
    """
    if listing != "jobs":
        try:
            found, lacking = list_by_date(
                service, site=site, start=start, end=end, concurrency=concurrency
            )
            return _with_empty_days(found, lacking, start=start, end=end, source=DETAILS_LIST_NAME)
        except Refused as refusal:
            if listing == "oarapi" or refusal.status not in NOT_OPEN_STATUSES:
                raise
            log.info("%s; listing /sites/%s/jobs instead", refusal, site)
    found, lacking = list_newest_first(
        service, site=site, start=start, end=end, oldest=start - history
    )
    return _with_empty_days(found, lacking, start=start, end=end, source=API_LIST_NAME)


def _with_empty_days(
    found: pl.DataFrame,
    lacking: list[pl.DataFrame],
    *,
    start: datetime,
    end: datetime,
    source: str,
) -> ListedJobs:
    empty = list_completeness.days_without_jobs(found, start=start, end=end, source=source)
    rejected = pl.concat([*lacking, empty])
    for row in rejected.iter_rows(named=True):
        log.warning("%s: %s: %d (%s)", source, row["reason"], row["n_rows"], row["example"])
    return ListedJobs(found, rejected)
