"""The list of jobs of the Grid'5000 API: newest first, in pages, without a choice by date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import NotFound, ServerError

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

EVENT_IDS_PER_JOB = 100
RESOURCE_KEYS = ("resources_by_type", "assigned_nodes")


def jobs_page(recorded: RecordedSite, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of the jobs that the parameters select, newest first.

    Raises:
        ServerError: The limit is negative.
    """
    states = query["state"].lower().split(",") if query.get("state") else None
    chosen = [
        row
        for row in reversed(recorded.jobs_by_id.values())
        if (states is None or row["state"] in states)
        and all(
            str(row[FILTER_COLUMNS[name]]) == query[name]
            for name in FILTER_COLUMNS
            if name in query
        )
    ]
    offset = max(0, _whole_number(query.get("offset"), 0))
    limit = min(_whole_number(query.get("limit"), DEFAULT_LIMIT), MAX_LIMIT)
    if limit < 0:
        raise ServerError("PG::InvalidRowCountInLimitClause: ERROR:  LIMIT must not be negative")
    items = [job_item(row) for row in chosen[offset : offset + limit]]
    if query.get("resources") != "yes":
        for each in items:
            for key in RESOURCE_KEYS:
                del each[key]
    return {"total": len(chosen), "offset": offset, "items": items, "links": []}


def one_job(recorded: RecordedSite, job_id: str) -> dict[str, Any]:
    """Return a job with its resources.

    Raises:
        NotFound: The job is not on record.
    """
    row = recorded.find_job(job_id)
    if row is None:
        raise NotFound(f"Couldn't find OAR::Job with 'job_id'=\"{job_id}\"")
    return job_item(row)


def job_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job of `recorded.job_rows` as the API describes it, without unknown fields."""
    allocations = [
        (full_node_name(each["node"], row), each["cores"]) for each in row["allocations"]
    ]
    described = {
        "uid": row["job_id"],
        "user_uid": row["user"],
        "user": row["user"],
        "walltime": row["walltime_s"],
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
