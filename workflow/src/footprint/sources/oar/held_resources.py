"""Cores and GPUs that one job held, in any of OAR's formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from footprint.sources.files import RepeatedKeys
from footprint.sources.oar import fields
from footprint.sources.oar.fields import SAVE_RESOURCES, FieldError

HELD_RESOURCE_KEYS = frozenset(
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
"""Fields of a job that list its resources or nodes, in any format."""

RESOURCE_ID_KEYS = ("resource_id", "id")
REPEATED_KEY = "a key is given twice, with different values"

LARGEST_CPUSET = 2**15
"""Largest `cpuset` that is accepted. No node has as many cores."""

LARGEST_GPU_INDEX = 255
"""Largest number of a GPU in its node that `schemas.Allocations` holds."""


class Core(NamedTuple):
    """A core in OAR's table of resources."""

    node: str
    cpuset: int | None
    gpu: int | None


CoreByResource = Mapping[int, Core | None]
"""Core of each resource id; None for resources that are not cores (disks, networks)."""


class _Listed(NamedTuple):
    """Resources that a job lists.

    Attributes:
        cores: Cores that the job describes; None for resources of other types.
        ids: Resources that the job lists by id alone.
        has_any: Whether the job lists resources of any type.
        is_by_id: Whether the format lists resources by id and names their nodes (OAR 3).
    """

    cores: list[Core | None]
    ids: list[Any]
    has_any: bool = False
    is_by_id: bool = False


def nodes_held_by_job(
    item: dict[str, Any], job: str, file: str, resources: CoreByResource
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the cores and GPUs of each node that a started job held, and an unexplained resource.

    A node with an unidentified core counts as held whole. So does a named node without any core if
    a resource is missing from the table or no resource is listed. A job that lists only resources
    of other types (disks, networks), or resources that are not yet assigned, held no node. OAR 3
    lists resources by id alone: they are looked up in the table, and without a table the nodes that
    the job names count as held whole.

    Args:
        item: The job.
        job: The job, for messages.
        file: The file of the job, for messages.
        resources: Core of each resource id.

    Returns:
        Objects with `node`, `cores` (`cpuset`s, ascending; None: the whole node) and `gpus`
        (ascending), by node; and the id of a resource that neither the table nor the named nodes
        explain, None without one.

    Raises:
        FieldError: A field cannot be read.
    """
    named = _named_nodes(item, job, file)
    listed = _listed_resources(item, job, file)
    cores = list(listed.cores)
    missing: list[int] = []
    for each in listed.ids:
        key = fields.parse_integer(each, file, job, "resource") or 0
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
    is_explained = not missing or (listed.is_by_id and not resources and bool(named))
    is_explained |= bool(resources) and any(node not in found for node in named)
    if missing or not (cores or listed.has_any):
        for node in named:
            found.setdefault(node, ({None}, set()))
    nodes = []
    for node, (cpusets, gpus) in sorted(found.items()):
        known = sorted(cpuset for cpuset in cpusets if cpuset is not None)
        is_whole = len(known) < len(cpusets)
        nodes.append({"node": node, "cores": None if is_whole else known, "gpus": sorted(gpus)})
    return nodes, None if is_explained else missing[0]


def core_of_resource(resource: dict[str, Any], file: str) -> Core | None:
    """Return the core that a resource is; None for other types and for cores without a node.

    Raises:
        FieldError: A number cannot be read, or a key is given twice.
    """
    if resource.get("type", "default") != "default" or not resource["network_address"]:
        return None
    key = fields.first_value(resource, RESOURCE_ID_KEYS)
    if isinstance(resource, RepeatedKeys):
        what = f"resource {key} gives the key {resource.repeated!r} twice"
        raise FieldError(what, where=file, do=SAVE_RESOURCES, reason=REPEATED_KEY)
    return Core(
        fields.require_node_name(
            resource["network_address"], file, "resource", key, "`network_address`"
        ),
        _index(resource.get("cpuset"), file, "resource", key, "`cpuset`"),
        _index(
            resource.get("gpudevice"),
            file,
            "resource",
            key,
            "`gpudevice`",
            maximum=LARGEST_GPU_INDEX,
        ),
    )


def _listed_resources(item: dict[str, Any], job: str, file: str) -> _Listed:
    by_type, resources = item.get("resources_by_type"), item.get("resources")
    if isinstance(by_type, dict):
        cores: list[Core | None] = []
        for core in fields.parse_entries(by_type.get("cores"), file, job, "`cores`"):
            node, _, cpuset = str(core).partition("/")
            cores.append(Core(node, _index(cpuset, file, job, "core", core), None))
        return _Listed(cores, [], has_any=any(by_type.values()))
    if isinstance(resources, list):
        assigned = [each for each in resources if _is_assigned(each)]
        cores = [core_of_resource(each, file) for each in assigned if not _is_id_alone(each)]
        ids = [
            fields.first_value(each, RESOURCE_ID_KEYS) if isinstance(each, dict) else each
            for each in assigned
            if _is_id_alone(each)
        ]
        return _Listed(cores, ids, has_any=bool(resources), is_by_id=True)
    ids = fields.first_value(item, ("assigned_resources", "resource_id"))
    return _Listed([], fields.parse_entries(ids, file, job, "resources"))


def _named_nodes(item: dict[str, Any], job: str, file: str) -> list[str]:
    """Return the nodes that a job names without their cores, each once."""
    nodes = item.get("nodes")
    if isinstance(nodes, list):
        names = [
            node.get("network_address") if isinstance(node, dict) else node
            for node in nodes
            if _is_assigned(node)
        ]
    else:
        keys = ("assigned_nodes", "assigned_network_address", "network_address")
        names = fields.parse_entries(fields.first_value(item, keys), file, job, "nodes")
    texts = [fields.require_node_name(each, file, job, "a node") for each in names if each]
    return list(dict.fromkeys(texts))


def _is_id_alone(item: Any) -> bool:
    """Return whether a listed resource, perhaps a core, has to be looked up."""
    properties = item if isinstance(item, dict) else {}
    is_core = properties.get("type", "default") == "default"
    return is_core and properties.get("network_address") is None


def _is_assigned(item: Any) -> bool:
    """Return whether a resource or node was assigned to the job, not scheduled or reserved."""
    properties = item if isinstance(item, dict) else {}
    return bool(properties.get("status", "assigned") == "assigned")


def _index(value: Any, file: str, *field: object, maximum: int = LARGEST_CPUSET) -> int | None:
    """Return the number of a core or GPU in its node."""
    return fields.parse_integer(value, file, *field, minimum=0, maximum=maximum)
