"""The list of jobs of the Grid'5000 API: newest first, in pages, without a choice by date.

The real API joins jobs with their descriptions (several `-l` of `oarsub`), so that a moldable job
is listed once a description, each time with its walltime, and `total` counts these items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import NotFound, ServerError
from footprint.sources.oar.job_records import ENDED_STATES

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
FILTER_COLUMNS = {
    "user": "user",
    "name": "name",
    "project": "project",
    "queue": "queue",
    "job_id": "job_id",
}
"""Columns of `schemas.Jobs` that a parameter must equal, by parameter."""

MOLDABLE_EVERY = 10
"""One job in so many is served as moldable; the simulated jobs have one walltime."""

EVENT_IDS_PER_JOB = 100
RESOURCE_KEYS = ("resources_by_type", "assigned_nodes")


def jobs_page(recorded: RecordedSite, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of the jobs that the parameters select, newest first, once a description.

    Raises:
        ServerError: The limit is negative.
    """
    states = query["state"].lower().split(",") if query.get("state") else None
    chosen = [
        (row, walltime_s)
        for row in reversed(recorded.jobs_by_id.values())
        if (states is None or row["state"] in states)
        and all(
            str(row[FILTER_COLUMNS[name]]) == query[name]
            for name in FILTER_COLUMNS
            if name in query
        )
        for walltime_s in described_walltimes(row)
    ]
    offset = max(0, _whole_number(query.get("offset"), 0))
    limit = min(_whole_number(query.get("limit"), DEFAULT_LIMIT), MAX_LIMIT)
    if limit < 0:
        raise ServerError("PG::InvalidRowCountInLimitClause: ERROR:  LIMIT must not be negative")
    items = [job_item(*each) for each in chosen[offset : offset + limit]]
    if query.get("resources") != "yes":
        for each in items:
            for key in RESOURCE_KEYS:
                del each[key]
    return {"total": len(chosen), "offset": offset, "items": items, "links": []}


def one_job(recorded: RecordedSite, job_id: str) -> dict[str, Any]:
    """Return a job with its resources, and the walltime of its first description.

    Raises:
        NotFound: The job is not on record.
    """
    row = recorded.find_job(job_id)
    if row is None:
        raise NotFound(f"Couldn't find OAR::Job with 'job_id'=\"{job_id}\"")
    return job_item(row, described_walltimes(row)[0])


def described_walltimes(row: Mapping[str, Any]) -> list[int | None]:
    """Return the walltime (s) of each description of a job of `recorded.job_rows`.

    Of several, the description that an ended job ran under is the smallest that is not shorter than
    the job lasted. A job that has not ended has its own walltime and a smaller one.
    """
    own_s: int | None = row["walltime_s"]
    if own_s is None or row["job_id"] % MOLDABLE_EVERY:
        return [own_s]
    if row["state"] not in ENDED_STATES:
        return [own_s, own_s // 2]
    if row["started_at"] is None or row["stopped_at"] - row["started_at"] > own_s:
        return [own_s]  # its length, none or one that OAR ended late, fits another or no walltime
    duration_s = row["stopped_at"] - row["started_at"]
    return [own_s // 2, own_s] if duration_s > own_s // 2 else [2 * own_s, own_s]


def job_item(row: Mapping[str, Any], walltime_s: int | None) -> dict[str, Any]:
    """Return a job of `recorded.job_rows` as the API describes it, without unknown fields."""
    allocations = [
        (full_node_name(each["node"], row), each["cores"]) for each in row["allocations"]
    ]
    described = {
        "uid": row["job_id"],
        "user_uid": row["user"],
        "user": row["user"],
        "walltime": walltime_s,
        "queue": row["queue"],
        "state": row["state"],
        "project": row["project"],
        "name": row["name"],
        "types": row["types"],
        "mode": row["job_type"],
        "command": row["command"],
        "submitted_at": row["submitted_at"],
        "started_at": row["started_at"] or 0,
        "stopped_at": row["stopped_at"],
        "exit_code": row["exit_code"],
        "directory": row["directory"],
        "events": [
            {"uid": uid, "created_at": date, "type": kind, "description": ""}
            for uid, date, kind in job_events(row)
        ],
        "links": [],
        "resources_by_type": {
            "cores": [f"{node}/{core}" for node, cores in allocations for core in cores]
        }
        if allocations
        else {},
        "assigned_nodes": [node for node, _ in allocations],
    }
    return {key: value for key, value in described.items() if value is not None}


def job_events(row: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Yield the events of a job: number (unique on the site), time (s, the job's end), kind."""
    date = row["stopped_at"] or row["started_at"] or row["submitted_at"]
    for rank, kind in enumerate(row["events"]):
        yield row["job_id"] * EVENT_IDS_PER_JOB + rank, date, kind


def full_node_name(node: str, row: Mapping[str, Any]) -> str:
    """Return the full name of a node of a row's site."""
    return f"{node}.{row['site']}.grid5000.fr"


def _whole_number(text: str | None, otherwise: int) -> int:
    """Return a whole number as Ruby reads it: 0 for any other text."""
    if text is None:
        return otherwise
    try:
        return int(text)
    except ValueError:
        return 0
