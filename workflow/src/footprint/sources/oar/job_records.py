"""Parser of OAR's answers: records of jobs, and the table of resources.

Formats: `/sites/<site>/jobs` of the Grid'5000 API (pages and single jobs); OAR's own REST API
(`jobs`, `jobs/table`, `jobs/details`, single jobs, `resources/details`); `oarstat -J`, with or
without `-f`; `oarstat -J --gantt`; `oarnodes -J`. The format is inferred from the content: each
answer contains objects, and the keys of an object distinguish a job from a resource.
`footprint.sources.oar.job_tables` merges the records of a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.files import RepeatedKeys, api_error_message
from footprint.sources.oar import fields, held_resources
from footprint.sources.oar.fields import SAVE_JOBS, SAVE_RESOURCES, FieldError, first_value
from footprint.sources.oar.held_resources import (
    HELD_RESOURCE_KEYS,
    REPEATED_KEY,
    RESOURCE_ID_KEYS,
    Core,
    CoreByResource,
    core_of_resource,
)

FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "job_id": ("uid", "job_id", "Job_Id", "id"),
    "user": ("user", "user_uid", "owner", "job_user"),
    "project": ("project",),
    "queue": ("queue", "queue_name"),
    "name": ("name", "job_name"),
    "command": ("command",),
    "directory": ("directory", "launching_directory", "launchingDirectory"),
    "request": ("wanted_resources",),
    "job_type": ("mode", "job_type", "jobType", "type"),
    "types": ("types",),
    "state": ("state",),
    "array_id": ("array_id",),
    "array_index": ("array_index",),
    "submitted_at": ("submitted_at", "submission_time", "submissionTime", "submission"),
    "started_at": ("started_at", "start_time", "startTime"),
    "stopped_at": ("stopped_at", "stop_time", "stopTime"),
    "walltime_s": ("walltime",),
    "exit_code": ("exit_code",),
    "events": ("events",),
}
"""Names of each field of a job in the formats. The first that has a value counts."""

TEXT_FIELDS = ("user", "project", "queue", "name", "command", "directory", "request", "job_type")
TIME_FIELDS = ("submitted_at", "started_at", "stopped_at")
INTEGER_FIELDS = ("array_id", "array_index", "walltime_s", "exit_code")
NOT_STARTED_STATES = ("waiting", "hold", "toackreservation")
ENDED_STATES = ("terminated", "error")
JOB_STATES = (
    *NOT_STARTED_STATES,
    *("tolaunch", "toerror", "launching", "running", "suspended", "resuming", "finishing"),
    *ENDED_STATES,
)
"""All states of a job in OAR (`JobStateEnum` of OAR 2.5 and 3), in lower case."""

SUSPENDED_STATES = ("suspended", "resuming")
"""States in which a job does not use what it holds. A resuming job still waits for its resources.
OAR too subtracts both from the time that a job has run."""

OPEN_END = 2**63

HELD_NODES_DTYPE = pl.List(
    pl.Struct({"node": pl.String, "cores": pl.List(pl.Int32), "gpus": pl.List(pl.Int32)})
)
SUSPENSIONS_DTYPE = pl.List(pl.Struct({"started_at": pl.Int64, "stopped_at": pl.Int64}))
RECORD_SCHEMA: dict[str, Any] = {
    "job_id": pl.Int64,
    "state": pl.String,
    **dict.fromkeys(TEXT_FIELDS, pl.String),
    "types": pl.List(pl.String),
    "events": pl.List(pl.String),
    **dict.fromkeys((*TIME_FIELDS, *INTEGER_FIELDS), pl.Int64),
    "suspensions": SUSPENSIONS_DTYPE,
    "has_times": pl.Boolean,
    "has_node_fields": pl.Boolean,
    "held_nodes": HELD_NODES_DTYPE,
    "unknown_resource": pl.Int64,
    "fault": pl.String,
    "file": pl.String,
}
"""Columns of the record of a job in one answer. Times are in seconds since 1970.

- suspensions: intervals in order; the last may have no end. Null: not recorded.
- has_times: whether the answer has the times that the state requires.
- has_node_fields: whether the answer has fields that list resources or nodes.
- held_nodes: nodes as written, with `cpuset`s (ascending; null where only the node is known) and
  GPUs (empty where the answer does not give them).
- unknown_resource: a held resource that no table explains.
- fault: why the record cannot be read. All other fields except `job_id`, `state` and `file` are
  null then.
"""

NOT_A_JOB = "no id, owner or state"
"""Fault of an object that does not describe a job."""


def parse_resources(document: Any, *, file: str) -> dict[int, Core | None]:
    """Return the core of each resource in an answer; None for resources that are not cores.

    Answers with resources are `resources/details`, `oarnodes -J` and `oarstat --gantt`.

    Args:
        document: The decoded JSON.
        file: The file of the answer, for messages.

    Raises:
        InputError: The answer is an error, or lists resources without `type` and `cpuset`.
    """
    table: dict[int, Core | None] = {}
    for item in _iter_objects(document, file):
        if _is_resource(item):
            if "type" not in item or "cpuset" not in item:
                what = "the short form of resources, without `type` and `cpuset`"
                raise InputError(what, where=file, do=SAVE_RESOURCES)
            key = fields.parse_integer(
                first_value(item, RESOURCE_ID_KEYS), file, "the id of a resource"
            )
            if key is None:
                raise InputError("a resource has no id", where=file, do=SAVE_RESOURCES)
            table[key] = core_of_resource(item, file)
    return table


def parse_jobs(document: Any, *, file: str, resources: CoreByResource) -> pl.DataFrame:
    """Return the records of the jobs in one answer, in its order (`RECORD_SCHEMA`).

    States are in lower case, without additions in brackets. A job that has not started, and a
    reservation that was cancelled before its start (state `error`), have no start, end or nodes. A
    job that has not ended has no end. Starts and ends that an answer predicts are ignored. A job in
    a state unknown to OAR keeps its end. Only cores that were assigned count. Suspensions are known
    where a job has the key `state_logs` (rows of OAR's table `job_state_logs`), which OAR's own
    answers lack.

    A record that cannot be read has a `fault`: it lacks its id, owner or state, gives a key twice,
    has text or an impossible number in place of a number, or another type in place of a list or a
    name.

    Args:
        document: The decoded JSON.
        file: The file of the answer, for messages and counts.
        resources: Core of each resource id, for an answer without a table of resources.

    Raises:
        InputError: The answer is an error, or contains no job but objects that are neither jobs nor
            resources.
    """
    items = list(_iter_objects(document, file))
    own = parse_resources([item for item in items if _is_resource(item)], file=file)
    known = own or resources
    records: list[dict[str, Any]] = []
    not_a_job: FieldError | None = None
    for item in items:
        if not _is_resource(item):
            try:
                record = _parse_job(item, file, known)
                fields.check_surrogates(record, file, f"job {record['job_id']}")
                records.append(record)
            except FieldError as error:
                records.append(_faulty_record(item, file, error.reason))
                not_a_job = error if error.reason == NOT_A_JOB else not_a_job
    if not_a_job is not None and all(record["fault"] == NOT_A_JOB for record in records):
        raise InputError(str(not_a_job))
    columns = {name: [record[name] for record in records] for name in RECORD_SCHEMA}
    return pl.DataFrame(columns, schema=RECORD_SCHEMA)


def suspension_intervals(
    logs: Iterable[Mapping[str, Any]] | None, job: str, file: str
) -> list[dict[str, int | None]] | None:
    """Return the intervals in which a job was suspended, in order, as `RECORD_SCHEMA` defines them.

    Intervals that touch are merged. Intervals that end before they start are kept, at the end of
    the list, for `job_checks.clip_suspensions`.

    Args:
        logs: Rows of OAR's table `job_state_logs` (`job_state`, `date_start`, `date_stop`; seconds
            since 1970); None if the source has none.
        job: The job, for messages.
        file: The file of the logs, for messages.

    Raises:
        FieldError: The logs are not a list of objects, or a time is not a number.
    """
    if logs is None:
        return None
    logs = fields.require_objects(logs, file, job, "`state_logs`")
    bounds = [
        (
            fields.parse_integer(log.get("date_start"), file, job, "state log") or 0,
            fields.parse_integer(log.get("date_stop"), file, job, "state log") or OPEN_END,
        )
        for log in logs
        if str(log.get("job_state")).lower() in SUSPENDED_STATES
    ]
    merged: list[list[int]] = []
    for start, stop in sorted(bounds, key=lambda bound: (bound[1] < bound[0], *bound)):
        if start <= stop and merged and start <= merged[-1][1]:
            merged[-1][1] = max(stop, merged[-1][1])
        else:
            merged.append([start, stop])
    return [
        {"started_at": start, "stopped_at": None if stop == OPEN_END else stop}
        for start, stop in merged
    ]


def _iter_objects(document: Any, file: str) -> Iterator[dict[str, Any]]:
    """Yield the jobs and resources of an answer."""
    if message := api_error_message(document):
        raise InputError(f"the API answered: {message}", where=file, do=SAVE_JOBS)
    if isinstance(document, RepeatedKeys) and document.is_own and _is_container(document):
        raise _repeated_key_error(document, file)
    if isinstance(document, list):
        are_pages = all(isinstance(item, list) for item in document)
        for item in document:
            if item or are_pages or not isinstance(item, dict | list):
                yield from _iter_objects(item, file)
            else:
                yield {}  # an empty element in the place of a job is counted
    elif not isinstance(document, dict):
        raise InputError(f"not an answer of OAR: {document!r:.60}", where=file, do=SAVE_JOBS)
    elif isinstance(document.get("items"), list):
        yield from _iter_objects(document["items"], file)
    elif isinstance(document.get("jobs"), dict | list):
        yield from _iter_members(document["jobs"], file)
        yield from _iter_members(document.get("resources") or [], file)
    elif document and all(key.isdigit() for key in document):
        yield from _iter_members(document, file)
    elif document:
        yield document


def _iter_members(group: Any, file: str) -> Iterator[dict[str, Any]]:
    if isinstance(group, RepeatedKeys) and group.is_own:
        raise _repeated_key_error(group, file)
    yield from _iter_objects(list(group.values()) if isinstance(group, dict) else group, file)


def _repeated_key_error(document: RepeatedKeys, file: str) -> InputError:
    what = f"the answer gives the key {document.repeated!r} twice"
    return InputError(what, where=file, do=SAVE_JOBS)


def _is_container(document: dict[str, Any]) -> bool:
    """Return whether an object holds jobs, instead of being one."""
    is_page = isinstance(document.get("items"), list) or "jobs" in document
    return is_page or all(key.isdigit() for key in document)


def _is_resource(item: dict[str, Any]) -> bool:
    """Return whether an object is a resource, by its one address.

    A job of `oarstat --gantt` has a list of addresses, other jobs have none.
    """
    return isinstance(item.get("network_address"), str)


def _faulty_record(item: dict[str, Any], file: str, reason: str) -> dict[str, Any]:
    """Return the record of a job that cannot be read, with id and state if these can be read."""
    job_id = None
    state = first_value(item, FIELD_NAMES["state"])
    state = state.partition("(")[0].strip().lower() if isinstance(state, str) else None
    state = state if state in JOB_STATES else None
    with suppress(FieldError):
        job_id = fields.parse_integer(first_value(item, FIELD_NAMES["job_id"]), file, "id")
    record = dict.fromkeys(RECORD_SCHEMA) | {"job_id": job_id, "fault": reason, "file": file}
    return record | {"state": state}


def _parse_job(item: dict[str, Any], file: str, resources: CoreByResource) -> dict[str, Any]:
    """Return the record of one job (`RECORD_SCHEMA`).

    Raises:
        FieldError: It cannot be read.
    """
    job_id = fields.parse_integer(first_value(item, FIELD_NAMES["job_id"]), file, "the id of a job")
    user, state = first_value(item, FIELD_NAMES["user"]), first_value(item, FIELD_NAMES["state"])
    if job_id is None or user is None or state is None:
        what = f"an object with the keys {', '.join(sorted(item)[:6])} is not a job"
        raise FieldError(what, where=file, reason=NOT_A_JOB)
    job = f"job {job_id}"
    if isinstance(item, RepeatedKeys):
        what = f"{job} gives the key {item.repeated!r} twice"
        raise FieldError(what, where=file, reason=REPEATED_KEY)
    state = str(state).partition("(")[0].strip().lower()
    record: dict[str, Any] = {
        name: fields.normalise_text(first_value(item, FIELD_NAMES[name])) for name in TEXT_FIELDS
    }
    for name in (*TIME_FIELDS, *INTEGER_FIELDS):
        record[name] = fields.parse_integer(
            first_value(item, FIELD_NAMES[name]), file, job, f"`{name}`"
        )
    for name in (*TIME_FIELDS, "array_id"):
        record[name] = record[name] or None  # OAR writes 0 for "not yet"
    if state in NOT_STARTED_STATES:
        record["started_at"] = None
    if state in JOB_STATES and state not in ENDED_STATES:
        record["stopped_at"] = None
    has_start = any(name in item for name in FIELD_NAMES["started_at"])
    has_stop = "uid" in item or any(name in item for name in FIELD_NAMES["stopped_at"])
    if state == "error" and (record["stopped_at"] or OPEN_END) < (record["started_at"] or 0):
        # A reservation cancelled before its start keeps the planned start.
        record["started_at"] = record["stopped_at"] = None
    nodes: list[dict[str, Any]] = []
    unknown = None
    if record["started_at"] is not None:
        nodes, unknown = held_resources.nodes_held_by_job(item, job, file, resources)
    return record | {
        "job_id": job_id,
        "state": state,
        "name": record["name"] or None,
        "types": fields.parse_job_types(item.get("types"), file, job, "`types`"),
        "events": _event_kinds(item.get("events"), job, file),
        "suspensions": suspension_intervals(item.get("state_logs"), job, file),
        "has_times": has_start and (has_stop or state not in ENDED_STATES),
        "has_node_fields": not HELD_RESOURCE_KEYS.isdisjoint(item),
        "held_nodes": nodes,
        "unknown_resource": unknown,
        "fault": None,
        "file": file,
    }


def _event_kinds(events: Any, job: str, file: str) -> list[str] | None:
    """Return the kinds of a job's events in order of time; None if `events` lists no objects."""
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return None
    dated = [
        (
            fields.parse_integer(first_value(event, ("date", "created_at")), file, job, "event")
            or 0,
            fields.parse_integer(first_value(event, ("event_id", "uid")), file, job, "event") or 0,
            str(event.get("type")),
        )
        for event in events
    ]
    return [kind for _, _, kind in sorted(dated)]
