"""The jobs of the Grid'5000 API: newest first, paged, without dates to choose by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from footprint.serve.recorded import Recorded
from footprint.serve.refusals import NotFound

USUAL_LIMIT = 50
LARGEST_LIMIT = 500
FILTERS = {
    "user": "user",
    "name": "name",
    "project": "project",
    "queue": "queue",
    "job_id": "job_id",
}
"""Parameters that must equal a column of `tables.Jobs`."""

EVENTS_A_JOB = 100
RESOURCES = ("resources_by_type", "assigned_nodes")


def page(recorded: Recorded, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the jobs that the parameters choose, the newest first."""
    states = query["state"].lower().split(",") if query.get("state") else None
    chosen = [
        row
        for row in reversed(recorded.jobs.values())
        if (states is None or row["state"] in states)
        and all(str(row[FILTERS[name]]) == query[name] for name in FILTERS if name in query)
    ]
    offset = max(0, _whole(query.get("offset"), 0))
    limit = min(_whole(query.get("limit"), USUAL_LIMIT), LARGEST_LIMIT)
    items = [item(row) for row in chosen[offset : offset + max(0, limit)]]
    if query.get("resources") != "yes":
        for each in items:
            for key in RESOURCES:
                del each[key]
    return {"total": len(chosen), "offset": offset, "items": items, "links": []}


def one(recorded: Recorded, job_id: str) -> dict[str, Any]:
    """A job, with its resources."""
    row = recorded.job(job_id)
    if row is None:
        raise NotFound(f"Couldn't find OAR::Job with 'job_id'={job_id}")
    return item(row)


def item(row: Mapping[str, Any]) -> dict[str, Any]:
    """A job of `recorded.job_rows` as the API describes it: what is unknown is left out."""
    held = [(fqdn(each["node"], row), each["cores"]) for each in row["held"]]
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
            for uid, date, kind in events(row)
        ],
        "links": [],
        "resources_by_type": {"cores": [f"{node}/{core}" for node, cores in held for core in cores]}
        if held
        else {},
        "assigned_nodes": [node for node, _ in held],
    }
    return {key: value for key, value in described.items() if value is not None}


def events(row: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Events of a job: number, unique on the site; time, that of the job's end; kind."""
    date = row["stopped_at"] or row["started_at"] or row["submitted_at"]
    for rank, kind in enumerate(row["events"]):
        yield row["job_id"] * EVENTS_A_JOB + rank, date, kind


def fqdn(node: str, row: Mapping[str, Any]) -> str:
    """Full name of a node of a row's site."""
    return f"{node}.{row['site']}.grid5000.fr"


def _whole(text: str | None, otherwise: int) -> int:
    """A whole number as Ruby reads one: what is none counts as 0."""
    if text is None:
        return otherwise
    try:
        return int(text)
    except ValueError:
        return 0
