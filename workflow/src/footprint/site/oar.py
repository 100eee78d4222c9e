"""Answers of OAR in any of their formats -> records of jobs, and a table of resources.

The formats: `/sites/<site>/jobs` of the Grid'5000 API (pages and single jobs); OAR's own REST API
(`jobs`, `jobs/table`, `jobs/details`, single jobs, `resources/details`); `oarstat -J`, with or
without `-f`; `oarstat -J --gantt`; `oarnodes -J`. The content tells the format: each is a bag of
objects, and an object's keys tell a job from a resource. What a job is after all its records, and
what it held, is worked out in `footprint.site.holdings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from footprint.errors import InputError
from footprint.site.encoding import repair_text
from footprint.site.files import refused

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

HOLDING_KEYS = frozenset(
    [
        "resources_by_type",
        "assigned_nodes",
        "resources",
        "nodes",
        "assigned_resources",
        "assigned_network_address",
        "resource_id",
        "network_address",
    ]
)
TEXTS = ("user", "project", "queue", "name", "command", "directory", "request", "job_type")
TIMES = ("submitted_at", "started_at", "stopped_at")
INTEGERS = ("array_id", "array_index", "walltime_s", "exit_code")
NOT_STARTED = ("waiting", "hold", "toackreservation")
ENDED = ("terminated", "error")
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
    "file": pl.String,
}
"""A job as one answer tells it. Times are seconds since 1970. `suspensions`: intervals in order,
the last perhaps endless; `has_times`: the answer has the times that the state calls for;
`tells_nodes`: it would name nodes if there were any; `held`: nodes as written, with `cpuset`s
(ascending; null when only the node is known) and GPUs (empty when the answer does not say);
`unknown_resource`: a resource held that no table explains."""

SAVE_JOBS = "save /sites/<site>/jobs?resources=yes, oarapi jobs/details or oarstat -f -J"
SAVE_RESOURCES = "save oarapi resources/details.json?limit=999999 into resources/"


class Core(NamedTuple):
    """A core as OAR's table of resources has it."""

    node: str
    cpuset: int | None
    gpu: int | None


Resources = Mapping[int, Core | None]
"""Resources by id; None for those that are no cores (disks, networks)."""


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
            key = _integer(_first(item, ("resource_id", "id")), file, "the id of a resource")
            if key is None:
                raise InputError("a resource has no id", where=file, do=SAVE_RESOURCES)
            table[key] = _core(item, file)
    return table


def parse_jobs(document: Any, *, file: str, resources: Resources) -> pl.DataFrame:
    """Records of the jobs in one answer, in its order, with the columns of RECORD.

    States are in lower case, without what tools add in brackets. A job that has not started, or was
    stopped before its start, has no start, end or nodes, and one that has not ended no end,
    whatever an answer predicts. Only resources that were assigned count, and of those only cores.
    Suspensions are known where a job has the key `state_logs`: rows of OAR's table
    `job_state_logs`, which OAR's own answers lack.

    Args:
        document: The decoded JSON.
        file: The file that it comes from, for messages and counts.
        resources: What resource ids mean where the answer has no table of its own.

    Raises:
        InputError: The answer is an error, or an object is neither a job nor a resource, or a job
            lacks its id, owner or state, or has a number that is none.
    """
    items = list(_objects(document, file))
    own = parse_resources([item for item in items if _is_resource(item)], file=file)
    known = own or resources
    columns: dict[str, list[Any]] = {name: [] for name in RECORD}
    for item in items:
        if not _is_resource(item):
            for name, value in _job(item, file, known).items():
                columns[name].append(value)
    return pl.DataFrame(columns, schema=RECORD)


def suspensions(
    logs: Iterable[Mapping[str, Any]] | None, job: str, file: str
) -> list[dict[str, int | None]] | None:
    """Intervals in which a job was suspended, as RECORD has them; those that touch are one.

    Args:
        logs: Rows of OAR's table `job_state_logs` (`job_state`, `date_start`, `date_stop`); None
            where the source does not tell.
        job: The job, for messages.
        file: The file that they come from, for messages.

    Raises:
        InputError: A time is not a number.
    """
    if logs is None:
        return None
    bounds = [
        (
            _integer(log.get("date_start"), file, job, "state log") or 0,
            _integer(log.get("date_stop"), file, job, "state log") or LAST,
        )
        for log in logs
        if str(log.get("job_state")).lower() in SUSPENDED
    ]
    spells: list[list[int]] = []
    for start, stop in sorted(bounds):
        if spells and start <= spells[-1][1]:
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


def _members(group: Any, file: str) -> Iterator[dict[str, Any]]:
    yield from _objects(list(group.values()) if isinstance(group, dict) else group, file)


def _is_resource(item: dict[str, Any]) -> bool:
    """Only a resource has one address: a job of `--gantt` has a list of them, others have none."""
    return isinstance(item.get("network_address"), str)


def _core(resource: dict[str, Any], file: str) -> Core | None:
    if resource.get("type", "default") != "default" or not resource["network_address"]:
        return None
    key = _first(resource, ("resource_id", "id"))
    return Core(
        resource["network_address"],
        _integer(resource.get("cpuset"), file, "resource", key, "`cpuset`"),
        _integer(resource.get("gpudevice"), file, "resource", key, "`gpudevice`"),
    )


def _job(item: dict[str, Any], file: str, resources: Resources) -> dict[str, Any]:
    """One record, as RECORD describes it."""
    job_id = _integer(_first(item, NAMES["job_id"]), file, "the id of a job")
    user, state = _first(item, NAMES["user"]), _first(item, NAMES["state"])
    if job_id is None or user is None or state is None:
        what = f"an object with the keys {', '.join(sorted(item)[:6])} is no description of a job"
        raise InputError(what, where=file, do=SAVE_JOBS)
    job = f"job {job_id}"
    state = str(state).partition("(")[0].strip().lower()
    record: dict[str, Any] = {name: _text(_first(item, NAMES[name])) for name in TEXTS}
    for name in (*TIMES, *INTEGERS):
        record[name] = _integer(_first(item, NAMES[name]), file, job, f"`{name}`")
    for name in (*TIMES, "array_id"):
        record[name] = record[name] or None  # OAR writes 0 for "not yet"
    if state in NOT_STARTED:
        record["started_at"] = None
    if state not in ENDED:
        record["stopped_at"] = None
    has_start = any(name in item for name in NAMES["started_at"])
    has_stop = "uid" in item or any(name in item for name in NAMES["stopped_at"])
    held: list[dict[str, Any]] = []
    unknown = None
    if (record["stopped_at"] or LAST) < (record["started_at"] or 0):
        # A reservation cancelled before its time keeps the start that it was promised.
        record["started_at"] = record["stopped_at"] = None
    if record["started_at"] is not None:
        held, unknown = _held(item, job, file, resources)
    return record | {
        "job_id": job_id,
        "state": state,
        "name": record["name"] or None,
        "types": _types(item.get("types")),
        "events": _events(item.get("events"), job, file),
        "suspensions": suspensions(item.get("state_logs"), job, file),
        "has_times": has_start and (has_stop or state not in ENDED),
        "tells_nodes": not HOLDING_KEYS.isdisjoint(item),
        "held": held,
        "unknown_resource": unknown,
        "file": file,
    }


def _held(
    item: dict[str, Any], job: str, file: str, resources: Resources
) -> tuple[list[dict[str, Any]], int | None]:
    """Cores and GPUs of each node that a started job held, and a resource that nothing explains.

    A node of which a core is not identified counts as held whole, and so does a named node without
    any core where some resource is missing from the table.
    """
    cores: list[Core | None] = []
    missing: list[int] = []
    named = _named_nodes(item)
    if isinstance(item.get("resources_by_type"), dict):
        for text in item["resources_by_type"].get("cores") or []:
            node, _, cpuset = text.partition("/")
            cores.append(Core(node, _integer(cpuset, file, job, "core", text), None))
    elif isinstance(item.get("resources"), list):
        cores = [_core(each, file) for each in item["resources"] if _is_assigned(each)]
    else:
        for each in _first(item, ("assigned_resources", "resource_id")) or []:
            key = _integer(each, file, job, "resource") or 0
            if key in resources:
                cores.append(resources[key])
            else:
                missing.append(key)
    found: dict[str, tuple[set[int | None], set[int]]] = {}
    for core in cores:  # `--gantt` repeats them for every type of the job
        if core is not None:
            cpusets, gpus = found.setdefault(core.node, (set(), set()))
            cpusets.add(core.cpuset)
            if core.gpu is not None:
                gpus.add(core.gpu)
    explained = not missing or (bool(resources) and any(node not in found for node in named))
    if missing or not cores:
        for node in named:
            found.setdefault(node, ({None}, set()))
    held = []
    for node, (cpusets, gpus) in sorted(found.items()):
        known = sorted(cpuset for cpuset in cpusets if cpuset is not None)
        whole = len(known) < len(cpusets)
        held.append({"node": node, "cores": None if whole else known, "gpus": sorted(gpus)})
    return held, None if explained else missing[0]


def _is_assigned(item: dict[str, Any]) -> bool:
    """Whether a resource or node was given to the job, not only scheduled or reserved for it."""
    return bool(item.get("status", "assigned") == "assigned")


def _named_nodes(item: dict[str, Any]) -> list[str]:
    """Nodes that a job names without their cores, each once."""
    nodes = item.get("nodes")
    if isinstance(nodes, list):
        names = [node["network_address"] for node in nodes if _is_assigned(node)]
    else:
        keys = ("assigned_nodes", "assigned_network_address", "network_address")
        names = _first(item, keys) or []
    return [name for name in dict.fromkeys(names) if name]


def _first(item: dict[str, Any], names: Iterable[str]) -> Any:
    """The first of these fields that has a value."""
    for name in names:
        if (value := item.get(name)) is not None:
            return value
    return None


def _text(value: Any) -> str | None:
    return None if value is None else repair_text(str(value)).strip()


def _integer(value: Any, file: str, *what: object) -> int | None:
    """A number that a source may write as text; null and empty text are unknown.

    The words of `what` are joined only for the message: this is called for every core of every job.
    """
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        field = " ".join(map(str, what))
        raise InputError(f"{field} is {value!r}, not a number", where=file, do=SAVE_JOBS) from None


def _types(types: Any) -> list[str] | None:
    """Types of a job, each once (`--gantt` repeats them for every resource) and sorted."""
    return None if types is None else sorted({str(each) for each in types})


def _events(events: Any, job: str, file: str) -> list[str] | None:
    """Kinds of a job's events in the order in which they happened."""
    if events is None:
        return None
    dated = [
        (
            _integer(_first(event, ("date", "created_at")), file, job, "event") or 0,
            _integer(_first(event, ("event_id", "uid")), file, job, "event") or 0,
            str(event.get("type")),
        )
        for event in events
    ]
    return [kind for _, _, kind in sorted(dated)]
