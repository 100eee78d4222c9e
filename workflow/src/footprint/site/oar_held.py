"""Cores and GPUs of one job in any of OAR's formats, and the resources that its ids mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from footprint.site import oar_fields
from footprint.site.files import RepeatedKeys
from footprint.site.oar_fields import FieldError, entries, first

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
RESOURCE_ID = ("resource_id", "id")
REPEATED = "a key is given twice, with different values"

MOST_CORES = 2**15
"""No node has as many cores: a `cpuset` from here on is none."""

MOST_GPUS = 255
"""Greatest number of a GPU in its node that `tables.Allocations` holds."""

SAVE_JOBS = "save /sites/<site>/jobs?resources=yes, oarapi jobs/details or oarstat -f -J"
SAVE_RESOURCES = "save oarapi resources/details.json?limit=999999 into resources/"


class Core(NamedTuple):
    """A core as OAR's table of resources has it."""

    node: str
    cpuset: int | None
    gpu: int | None


Resources = Mapping[int, Core | None]
"""Resources by id; None for those that are no cores (disks, networks)."""


def held(
    item: dict[str, Any], job: str, file: str, resources: Resources
) -> tuple[list[dict[str, Any]], int | None]:
    """Cores and GPUs of each node that a started job held, and a resource that nothing explains.

    A node of which a core is not identified counts as held whole, and so does a named node without
    any core where some resource is missing from the table, or no resource is listed. A job that
    lists resources, but only of other types (disks, networks) or not yet assigned, held no node.
    OAR 3 lists resources by id alone: they are looked up in the table, and without a table the
    nodes that the job names were held whole.

    Args:
        item: The job.
        job: The job, for messages.
        file: The file that it comes from, for messages.
        resources: What resource ids mean.

    Raises:
        FieldError: A field cannot be read.
    """
    cores: list[Core | None] = []
    missing: list[int] = []
    named = _named_nodes(item, job, file)
    ids: list[Any] = []
    by_id_alone = False
    is_listed = False
    if isinstance(item.get("resources_by_type"), dict):
        is_listed = any(item["resources_by_type"].values())
        for core in entries(item["resources_by_type"].get("cores"), file, job, "`cores`"):
            node, _, cpuset = str(core).partition("/")
            cores.append(Core(node, _index(cpuset, file, job, "core", core), None))
    elif isinstance(item.get("resources"), list):
        is_listed = bool(item["resources"])
        assigned = [each for each in item["resources"] if _is_assigned(each)]
        cores = [core_of(each, file) for each in assigned if not _is_id_alone(each)]
        ids = [
            first(each, RESOURCE_ID) if isinstance(each, dict) else each
            for each in assigned
            if _is_id_alone(each)
        ]
        by_id_alone = not resources and bool(named)
    else:
        ids = entries(first(item, ("assigned_resources", "resource_id")), file, job, "resources")
    for each in ids:
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
    explained = not missing or by_id_alone
    explained |= bool(resources) and any(node not in found for node in named)
    if missing or not (cores or is_listed):
        for node in named:
            found.setdefault(node, ({None}, set()))
    held = []
    for node, (cpusets, gpus) in sorted(found.items()):
        known = sorted(cpuset for cpuset in cpusets if cpuset is not None)
        whole = len(known) < len(cpusets)
        held.append({"node": node, "cores": None if whole else known, "gpus": sorted(gpus)})
    return held, None if explained else missing[0]


def _fields(item: Any) -> dict[str, Any]:
    """Fields of an object; none for a bare id or name."""
    return item if isinstance(item, dict) else {}


def _is_id_alone(item: Any) -> bool:
    """Whether a listed resource, perhaps a core, has to be looked up."""
    fields = _fields(item)
    is_core = fields.get("type", "default") == "default"
    return is_core and fields.get("network_address") is None


def _is_assigned(item: Any) -> bool:
    """Whether a resource or node was given to the job, not only scheduled or reserved for it."""
    return bool(_fields(item).get("status", "assigned") == "assigned")


def _named_nodes(item: dict[str, Any], job: str, file: str) -> list[str]:
    """Nodes that a job names without their cores, each once."""
    nodes = item.get("nodes")
    if isinstance(nodes, list):
        names = [
            _fields(node).get("network_address") if isinstance(node, dict) else node
            for node in nodes
            if _is_assigned(node)
        ]
    else:
        keys = ("assigned_nodes", "assigned_network_address", "network_address")
        names = entries(first(item, keys), file, job, "nodes")
    texts = [oar_fields.name(each, file, job, "a node", do=SAVE_JOBS) for each in names if each]
    return list(dict.fromkeys(texts))


def core_of(resource: dict[str, Any], file: str) -> Core | None:
    """The core that a resource is; None for those of other types, or without a node.

    Raises:
        FieldError: A number cannot be read, or a key is given twice.
    """
    if resource.get("type", "default") != "default" or not resource["network_address"]:
        return None
    key = first(resource, RESOURCE_ID)
    if isinstance(resource, RepeatedKeys):
        what = f"resource {key} gives the key {resource.repeated!r} twice"
        raise FieldError(what, where=file, do=SAVE_RESOURCES, reason=REPEATED)
    return Core(
        oar_fields.name(
            resource["network_address"], file, "resource", key, "`network_address`", do=SAVE_JOBS
        ),
        _index(resource.get("cpuset"), file, "resource", key, "`cpuset`"),
        _index(resource.get("gpudevice"), file, "resource", key, "`gpudevice`", most=MOST_GPUS),
    )


def _index(value: Any, file: str, *what: object, most: int = MOST_CORES) -> int | None:
    """Number of a core or GPU in its node."""
    return oar_fields.integer(value, file, *what, least=0, most=most, do=SAVE_JOBS)


def _integer(value: Any, file: str, *what: object) -> int | None:
    return oar_fields.integer(value, file, *what, do=SAVE_JOBS)
