"""Running jobs whose walltime is over: OAR counts them on each day and does not list them."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime
from typing import Any

from footprint.sources.grid5000.job_pages import never_final, parse_collection
from footprint.sources.grid5000.oarapi import DETAILS_LIST_NAME, OARAPI_PAGE, details_path
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.grid5000.service import Request, Service
from footprint.sources.oar.list_damage import item_records

UNKNOWN_S = 2**62
"""Stands for an unknown start or walltime (s): later than any window."""


class OverdueJobs:
    """Overdue jobs of a site. They are requested once, if a total is larger than its list.

    Source: `OAR::IO::count_jobs_for_user_query` of OAR 2.5 has no condition on the walltime of
    running jobs, and `get_jobs_for_user_query` has one.
    """

    def __init__(self, service: Service, site: str) -> None:
        self._service, self._path = service, details_path(site)
        self._lock = threading.Lock()
        self._jobs: list[tuple[int, int]] | None = None

    def count_in_window(self, start: datetime, end: datetime) -> int:
        """Return how many jobs OAR counts in [start, end) and does not list."""
        with self._lock:
            if self._jobs is None:
                self._jobs = self._running_jobs()
        first, last = start.timestamp(), end.timestamp()
        return sum(began < last and over < first for began, over in self._jobs)

    def _running_jobs(self) -> list[tuple[int, int]]:
        """Start and end of the walltime (s) of each running job; none if the list is not open."""
        found: dict[int, tuple[int, int]] = {}
        n_new = 1
        while n_new:
            params = {"state": "Running", "limit": str(OARAPI_PAGE), "offset": str(len(found))}
            page: dict[str, Any] = {"items": []}
            with suppress(Refused):
                page = self._service.fetch_answer(
                    Request(self._path, params), parse=parse_collection, is_final=never_final
                )
            records = item_records(page["items"], file=DETAILS_LIST_NAME)
            n_before = len(found)
            for job_id, began, walltime_s in records.select(
                "job_id", "started_at", "walltime_s"
            ).iter_rows():
                over = (began or 0) + (walltime_s or UNKNOWN_S)
                found[job_id] = (began or UNKNOWN_S, over)
            n_new = len(found) - n_before
        return list(found.values())
