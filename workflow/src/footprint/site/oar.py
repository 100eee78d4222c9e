"""Answers of OAR in any of their formats -> records of jobs, and a table of resources.

The formats: `/sites/<site>/jobs` of the Grid'5000 API (pages and single jobs); OAR's own REST API
(`jobs`, `jobs/table`, `jobs/details`, single jobs, `resources/details`); `oarstat -J`, with or
without `-f`; `oarstat -J --gantt`; `oarnodes -J`. The content tells the format: each is a bag of
objects, and an object's keys tell a job from a resource. What a job is after all its records, and
what it held, is worked out in `footprint.site.holdings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import polars as pl

from footprint.errors import InputError
from footprint.site import oar_fields, oar_held
from footprint.site.files import RepeatedKeys, refused
from footprint.site.oar_fields import FieldError, first, text
from footprint.site.oar_held import HOLDING_KEYS as HOLDING_KEYS
from footprint.site.oar_held import REPEATED, RESOURCE_ID, core_of
from footprint.site.oar_held import SAVE_JOBS as SAVE_JOBS
from footprint.site.oar_held import SAVE_RESOURCES as SAVE_RESOURCES
from footprint.site.oar_held import Core as Core
from footprint.site.oar_held import Resources as Resources

NAMES: dict[str, tuple[str, ...]] = {
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
"""What the sources call each field of a job: the first name that has a value counts."""

TEXTS = ("user", "project", "queue", "name", "command", "directory", "request", "job_type")
TIMES = ("submitted_at", "started_at", "stopped_at")
INTEGERS = ("array_id", "array_index", "walltime_s", "exit_code")
NOT_STARTED = ("waiting", "hold", "toackreservation")
ENDED = ("terminated", "error")
STATES = (
    *NOT_STARTED,
    *("tolaunch", "toerror", "launching", "running", "suspended", "resuming", "finishing"),
    *ENDED,
)
"""All states that OAR has (`JobStateEnum` of OAR 2.5 and 3), in lower case."""

SUSPENDED = ("suspended", "resuming")
"""States in which a job does not use what it holds: a resuming job still waits until that is free.
OAR too takes both off the time that a job has run."""

LAST = 2**63

HELD = pl.List(
    pl.Struct({"node": pl.String, "cores": pl.List(pl.Int32), "gpus": pl.List(pl.Int32)})
)
SUSPENSIONS = pl.List(pl.Struct({"started_at": pl.Int64, "stopped_at": pl.Int64}))
RECORD: dict[str, Any] = {
    "job_id": pl.Int64,
    "state": pl.String,
    **dict.fromkeys(TEXTS, pl.String),
    "types": pl.List(pl.String),
    "events": pl.List(pl.String),
    **dict.fromkeys((*TIMES, *INTEGERS), pl.Int64),
    "suspensions": SUSPENSIONS,
    "has_times": pl.Boolean,
    "tells_nodes": pl.Boolean,
    "held": HELD,
    "unknown_resource": pl.Int64,
    "fault": pl.String,
    "file": pl.String,
}
"""A job as one answer tells it. Times are seconds since 1970. `suspensions`: intervals in order,
the last perhaps endless; `has_times`: the answer has the times that the state calls for;
`tells_nodes`: it would name nodes if there were any; `held`: nodes as written, with `cpuset`s
(ascending; null when only the node is known) and GPUs (empty when the answer does not say);
`unknown_resource`: a resource held that no table explains; `fault`: why the record cannot be read,
all other fields but `job_id`, `state` and `file` being null then."""

NO_JOB = "no id, owner or state"
"""Fault of an object that is no description of a job."""


def parse_resources(document: Any, *, file: str) -> dict[int, Core | None]:
    """Table of the resources in an answer (`resources/details`, `oarnodes -J`, `--gantt`).

    Raises:
        InputError: The answer is an error, or lists resources without `type` and `cpuset`.
    """
    table: dict[int, Core | None] = {}
    for item in _objects(document, file):
        if _is_resource(item):
            if "type" not in item or "cpuset" not in item:
                what = "the short form of resources, without `type` and `cpuset`"
                raise InputError(what, where=file, do=SAVE_RESOURCES)
            key = _integer(first(item, RESOURCE_ID), file, "the id of a resource")
            if key is None:
                raise InputError("a resource has no id", where=file, do=SAVE_RESOURCES)
            table[key] = core_of(item, file)
    return table


def parse_jobs(document: Any, *, file: str, resources: Resources) -> pl.DataFrame:
    """Records of the jobs in one answer, in its order, with the columns of RECORD.

    States are in lower case, without what tools add in brackets. A job that has not started, or a
    reservation that was cancelled before its start (state `error`), has no start, end or nodes, and
    one that has not ended no end, whatever an answer predicts. A job in a state that OAR does not
    have keeps its end. Only resources that were assigned count, and of those only cores.
    Suspensions are known where a job has the key `state_logs`: rows of OAR's table
    `job_state_logs`, which OAR's own answers lack.

    Args:
        document: The decoded JSON.
        file: The file that it comes from, for messages and counts.
        resources: What resource ids mean where the answer has no table of its own.

    A record that cannot be read has a `fault`: it lacks its id, owner or state, gives a key twice,
    has text or an impossible number where a number belongs, or something else where a list or a
    name belongs.

    Raises:
        InputError: The answer is an error, or contains objects that are neither jobs nor resources
            and no job.
    """
    items = list(_objects(document, file))
    own = parse_resources([item for item in items if _is_resource(item)], file=file)
    known = own or resources
    found: list[dict[str, Any]] = []
    strange: FieldError | None = None
    for item in items:
        if not _is_resource(item):
            try:
                record = _job(item, file, known)
                oar_fields.check_text(record, file, f"job {record['job_id']}", do=SAVE_JOBS)
                found.append(record)
            except FieldError as error:
                found.append(_unreadable(item, file, error.reason))
                strange = error if error.reason == NO_JOB else strange
    if strange is not None and all(record["fault"] == NO_JOB for record in found):
        raise InputError(str(strange))
    columns = {name: [record[name] for record in found] for name in RECORD}
    return pl.DataFrame(columns, schema=RECORD)


def suspensions(
    logs: Iterable[Mapping[str, Any]] | None, job: str, file: str
) -> list[dict[str, int | None]] | None:
    """Intervals in which a job was suspended, as RECORD has them; those that touch are one.

    An interval that ends before it starts is kept last, for `job_checks.suspensions` to find.

    Args:
        logs: Rows of OAR's table `job_state_logs` (`job_state`, `date_start`, `date_stop`); None
            where the source does not tell.
        job: The job, for messages.
        file: The file that they come from, for messages.

    Raises:
        FieldError: The logs are no list of objects, or a time is not a number.
    """
    if logs is None:
        return None
    logs = oar_fields.objects(logs, file, job, "`state_logs`", do=SAVE_JOBS)
    bounds = [
        (
            _integer(log.get("date_start"), file, job, "state log") or 0,
            _integer(log.get("date_stop"), file, job, "state log") or LAST,
        )
        for log in logs
        if str(log.get("job_state")).lower() in SUSPENDED
    ]
    spells: list[list[int]] = []
    for start, stop in sorted(bounds, key=lambda bound: (bound[1] < bound[0], *bound)):
        if start <= stop and spells and start <= spells[-1][1]:
            spells[-1][1] = max(stop, spells[-1][1])
        else:
            spells.append([start, stop])
    return [
        {"started_at": start, "stopped_at": None if stop == LAST else stop}
        for start, stop in spells
    ]


def _objects(document: Any, file: str) -> Iterator[dict[str, Any]]:
    """Jobs and resources of an answer, one by one."""
    if message := refused(document):
        raise InputError(f"the API answered: {message}", where=file, do=SAVE_JOBS)
    if isinstance(document, RepeatedKeys) and document.is_own and _is_container(document):
        what = f"the answer gives the key {document.repeated!r} twice"
        raise InputError(what, where=file, do=SAVE_JOBS)
    if isinstance(document, list):
        for item in document:
            yield from _objects(item, file)
    elif not isinstance(document, dict):
        raise InputError(f"this is no answer of OAR: {document!r:.60}", where=file, do=SAVE_JOBS)
    elif isinstance(document.get("items"), list):
        yield from _objects(document["items"], file)
    elif isinstance(document.get("jobs"), dict | list):
        yield from _members(document["jobs"], file)
        yield from _members(document.get("resources") or [], file)
    elif document and all(key.isdigit() for key in document):
        yield from _members(document, file)
    elif document:
        yield document


def _is_container(document: dict[str, Any]) -> bool:
    """Whether an object holds jobs, instead of being one."""
    is_page = isinstance(document.get("items"), list) or "jobs" in document
    return is_page or all(key.isdigit() for key in document)


def _members(group: Any, file: str) -> Iterator[dict[str, Any]]:
    if isinstance(group, RepeatedKeys) and group.is_own:
        what = f"the answer gives the key {group.repeated!r} twice"
        raise InputError(what, where=file, do=SAVE_JOBS)
    yield from _objects(list(group.values()) if isinstance(group, dict) else group, file)


def _is_resource(item: dict[str, Any]) -> bool:
    """Only a resource has one address: a job of `--gantt` has a list of them, others have none."""
    return isinstance(item.get("network_address"), str)


def _unreadable(item: dict[str, Any], file: str, reason: str) -> dict[str, Any]:
    """A record of which the fault is known, and the id and state where they can be read."""
    job_id = None
    state = first(item, NAMES["state"])
    state = state.partition("(")[0].strip().lower() if isinstance(state, str) else None
    state = state if state in STATES else None
    with suppress(FieldError):
        job_id = _integer(first(item, NAMES["job_id"]), file, "id")
    record = dict.fromkeys(RECORD) | {"job_id": job_id, "fault": reason, "file": file}
    return record | {"state": state}


def _job(item: dict[str, Any], file: str, resources: Resources) -> dict[str, Any]:
    """One record, as RECORD describes it.

    Raises:
        FieldError: It cannot be read.
    """
    job_id = _integer(first(item, NAMES["job_id"]), file, "the id of a job")
    user, state = first(item, NAMES["user"]), first(item, NAMES["state"])
    if job_id is None or user is None or state is None:
        what = f"an object with the keys {', '.join(sorted(item)[:6])} is no description of a job"
        raise FieldError(what, where=file, do=SAVE_JOBS, reason=NO_JOB)
    job = f"job {job_id}"
    if isinstance(item, RepeatedKeys):
        what = f"{job} gives the key {item.repeated!r} twice"
        raise FieldError(what, where=file, do=SAVE_JOBS, reason=REPEATED)
    state = str(state).partition("(")[0].strip().lower()
    record: dict[str, Any] = {name: text(first(item, NAMES[name])) for name in TEXTS}
    for name in (*TIMES, *INTEGERS):
        record[name] = _integer(first(item, NAMES[name]), file, job, f"`{name}`")
    for name in (*TIMES, "array_id"):
        record[name] = record[name] or None  # OAR writes 0 for "not yet"
    if state in NOT_STARTED:
        record["started_at"] = None
    if state in STATES and state not in ENDED:
        record["stopped_at"] = None
    has_start = any(name in item for name in NAMES["started_at"])
    has_stop = "uid" in item or any(name in item for name in NAMES["stopped_at"])
    if state == "error" and (record["stopped_at"] or LAST) < (record["started_at"] or 0):
        # A reservation cancelled before its time keeps the start that it was promised.
        record["started_at"] = record["stopped_at"] = None
    held: list[dict[str, Any]] = []
    unknown = None
    if record["started_at"] is not None:
        held, unknown = oar_held.held(item, job, file, resources)
    return record | {
        "job_id": job_id,
        "state": state,
        "name": record["name"] or None,
        "types": oar_fields.types(item.get("types"), file, job, "`types`", do=SAVE_JOBS),
        "events": _events(item.get("events"), job, file),
        "suspensions": suspensions(item.get("state_logs"), job, file),
        "has_times": has_start and (has_stop or state not in ENDED),
        "tells_nodes": not HOLDING_KEYS.isdisjoint(item),
        "held": held,
        "unknown_resource": unknown,
        "fault": None,
        "file": file,
    }


def _integer(value: Any, file: str, *what: object) -> int | None:
    return oar_fields.integer(value, file, *what, do=SAVE_JOBS)


def _events(events: Any, job: str, file: str) -> list[str] | None:
    """Kinds of a job's events in the order in which they happened; unknown where they are none."""
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return None
    dated = [
        (
            _integer(first(event, ("date", "created_at")), file, job, "event") or 0,
            _integer(first(event, ("event_id", "uid")), file, job, "event") or 0,
            str(event.get("type")),
        )
        for event in events
    ]
    return [kind for _, _, kind in sorted(dated)]
