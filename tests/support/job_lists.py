"""Small lists of OAR jobs as the two services answer them, and runs that list them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from footprint.sources.grid5000 import jobs
from tests.support.api_answers import NOON_S
from tests.support.http_service import DAY, Api, Query, open_service

START = datetime(2025, 3, 3, tzinfo=UTC)
END = START + DAY
MIDNIGHT_S = round(START.timestamp())
DAY_S = 86_400
HISTORY = timedelta(days=30)
DETAILS_PATH = "/sites/nancy/internal/oarapi/jobs/details.json"
COUNT_PATH = "/sites/nancy/internal/oarapi/jobs.json"
LIST_PATH = "/sites/nancy/jobs"
EMPTY_PAGE: dict[str, Any] = {"items": [], "links": [], "offset": 0, "total": 0}
CORE = {"network_address": "gruss-1.nancy.grid5000.fr", "cpuset": "0", "gpudevice": None}

Fault = Callable[[str, Query, int], Any]
"""Returns a faulty answer to a path, its parameters and the number of the try, or None."""


def oar_job(job_id: int, **changes: Any) -> dict[str, Any]:
    """Return a job of `jobs/details`: core 0 of gruss-1 from noon to one unless changed."""
    job = {
        "id": job_id,
        "owner": "someone",
        "state": "Terminated",
        "queue": "production",
        "project": "speech",
        "name": None,
        "type": "PASSIVE",
        "types": [],
        "command": "./train.sh",
        "submission_time": NOON_S - 60,
        "start_time": NOON_S,
        "stop_time": NOON_S + 3600,
        "walltime": 7200,
        "exit_code": 0,
        "events": [],
        "resources": [{"id": 1, "status": "assigned", "type": "default", **CORE}],
        "nodes": [{"network_address": CORE["network_address"], "status": "assigned"}],
    }
    return job | changes


class OarList:
    """OAR's list by date: `to` selects jobs that start before it, `from` those that stop at it.

    Attributes:
        jobs: All jobs.
        n_more: Number by which `total` exceeds the jobs; the links follow it.
        overdue: Jobs that run and are not listed by date.
        before_answer: Called with the number of a request before it is answered.
        n_requests: Number of requests for the list.
    """

    def __init__(self, *items: dict[str, Any], n_more: int = 0) -> None:
        self.jobs = list(items)
        self.n_more = n_more
        self.overdue: list[dict[str, Any]] = []
        self.before_answer: Callable[[int], None] = lambda _: None
        self.n_requests = 0

    def __call__(self, path: str, query: Query) -> Any:
        assert path in (DETAILS_PATH, COUNT_PATH)
        if "state" in query:
            return self._jobs_of_state(query)
        if path == DETAILS_PATH:
            self.n_requests += 1
            self.before_answer(self.n_requests)
        first, last, limit, offset = (
            int(query[name]) for name in ("from", "to", "limit", "offset")
        )
        selected = [
            job
            for job in sorted(self.jobs, key=lambda job: job["id"])
            if job["start_time"] < last and (job["stop_time"] or 2**40) >= first
        ]
        total = len(selected) + self.n_more
        next_links = [{"rel": "next", "href": ""}] if offset + limit < total else []
        return {
            "total": total,
            "offset": offset,
            "items": selected[offset : offset + limit],
            "links": [{"rel": "self", "href": ""}, *next_links],
        }

    def _jobs_of_state(self, query: Query) -> Any:
        selected = [job for job in self.jobs + self.overdue if job["state"] == query["state"]]
        first = int(query["offset"])
        items = selected[first : first + int(query["limit"])]
        return {"total": len(selected), "offset": first, "items": items, "links": []}


class NewestList:
    """`/sites/nancy/jobs`: all jobs by id, newest first.

    Attributes:
        jobs: All jobs by id.
        before_answer: Called with the number of a request before it is answered.
        n_requests: Number of requests for the list.
    """

    def __init__(self, *items: dict[str, Any]) -> None:
        self.jobs = {job["uid"]: job for job in items}
        self.before_answer: Callable[[int], None] = lambda _: None
        self.n_requests = 0

    def __call__(self, path: str, query: Query) -> Any:
        if path.startswith("/sites/nancy/internal/"):
            return 403, "not for you"
        if path != LIST_PATH:
            job = self.jobs.get(int(path.removeprefix(f"{LIST_PATH}/")))
            return (404, "Couldn't find OAR::Job") if job is None else job
        self.n_requests += 1
        self.before_answer(self.n_requests)
        assert query["resources"] == "yes"
        newest_first = sorted(self.jobs.values(), key=lambda job: -job["uid"])
        offset, limit = int(query["offset"]), min(int(query["limit"]), 500)
        return {
            "total": len(newest_first),
            "offset": offset,
            "items": newest_first[offset : offset + limit],
            "links": [],
        }


def faulty_service(whole: OarList, fault: Fault) -> Callable[[str, Query], Any]:
    """Return a service that answers with a fault where there is one, else with the whole list."""
    n_tries: dict[str, int] = {}

    def answer(path: str, query: Query) -> Any:
        key = f"{path} {sorted(query.items())}"
        n_tries[key] = n_tries.get(key, 0) + 1
        found = fault(path, query, n_tries[key])
        return whole(path, query) if found is None else found

    return answer


def list_jobs(api: Api, folder: Path, *, days: int = 1, listing: str = "auto") -> jobs.ListedJobs:
    """Return the jobs that one run lists, and what the lists lack."""
    return jobs.list_job_records(
        open_service(api.url, folder),
        site="nancy",
        start=START,
        end=START + days * DAY,
        listing=listing,
        history=HISTORY,
        concurrency=2,
    )


def list_records(api: Api, folder: Path, *, days: int = 1, listing: str = "auto") -> pl.DataFrame:
    """Return the records of the jobs that one run lists."""
    return list_jobs(api, folder, days=days, listing=listing).job_records


def sorted_ids(records: pl.DataFrame) -> list[int]:
    """Return the ids of records, sorted."""
    return sorted(records["job_id"])


def requested_offsets(api: Api) -> list[int]:
    """Return the offsets of the requests for either list."""
    return [
        int(query["offset"]) for path, query in api.requests if path in (DETAILS_PATH, LIST_PATH)
    ]


def counts_by_reason(rejected: pl.DataFrame) -> dict[str, tuple[int, str]]:
    """Return the number of rejected rows and the example of each reason."""
    return {row["reason"]: (row["n_rows"], row["example"]) for row in rejected.to_dicts()}
