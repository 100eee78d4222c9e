"""Hardware of nodes from answers of the Reference API, as rows of `schemas.Nodes`.

This module does not import Polars, since the Snakefile reads the clusters of a study from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from footprint.core import nesting
from footprint.core.errors import InputError
from footprint.hardware import topology
from footprint.sources.files import RepeatedKeys, api_error_message
from footprint.sources.node_names import CLUSTER_NAME_RULE, GRID5000_PATTERN, cluster_of

UNKNOWN_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN_CPU_MODEL = "Unknown"
"""Model of a processor that the Reference API does not name."""

CONTAINER_KEYS = ("items", "sites", "clusters", "nodes")
QUANTITY_PATTERN = re.compile(r"\s*(\d{1,15}(?:\.\d{1,20})?)\s*([A-Za-z]*)\s*", re.ASCII)
WATTS_BY_UNIT = {"": 1.0, "W": 1.0, "kW": 1e3, "mW": 1e-3}
"""Watts of a unit. A number without unit is in watts (documentation of the Reference API)."""

BYTES_BY_UNIT = {"": 1.0, "B": 1.0}
"""Bytes of a unit. Memory in other units is unknown."""

UNITLESS = {"": 1.0}
MAX_THREADS = 32_768
"""Upper limit of threads, cores and sockets. No node has as many."""

MAX_NESTING = 100
"""Levels of nested containers that are searched. A whole site has 6."""

FIX_DESCRIPTION = "fix the description, or save it again"
SAVE_NODES = "save the answer of /sites/<site>/clusters/<cluster>/nodes"
SAVE_NODE = (
    f"{SAVE_NODES}/<node>?timestamp=<when it was used, in seconds> into nodes/ of the exports, or "
    "leave its cluster out of study.clusters"
)


def node_descriptions(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of nodes in an answer: one node, a list, a collection, a `deep` tree.

    Args:
        document: The decoded JSON.
        where: The file of the answer, for messages.

    Raises:
        InputError: The answer is an error of the API, has a key twice, or is nested too deep.
    """
    yield from _iter_objects(document, "architecture", where, MAX_NESTING)


def cluster_descriptions(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of clusters in an answer (decoded JSON) that declare `metrics`.

    Raises:
        InputError: The answer is an error of the API, has a key twice, or is nested too deep.
    """
    yield from _iter_objects(document, "metrics", where, MAX_NESTING)


def _iter_objects(document: Any, key: str, where: str, depth: int) -> Iterator[dict[str, Any]]:
    if not depth:
        raise InputError(nesting.TOO_DEEP, where=where, do=SAVE_NODES)
    if message := api_error_message(document):
        raise InputError(f"the API answered: {message}", where=where, do=SAVE_NODES)
    if isinstance(document, list):
        for item in document:
            yield from _iter_objects(item, key, where, depth - 1)
    elif isinstance(document, dict):
        if isinstance(document, RepeatedKeys) and (document.is_own or key in document):
            name = f"node {document['uid']}" if "uid" in document else "the answer"
            what = f"{name} gives the key {document.repeated!r} twice"
            raise InputError(what, where=where, do="remove one of the two")
        if key in document or (key == "architecture" and document.get("type") == "node"):
            yield document
        for container in CONTAINER_KEYS:
            inside = document.get(container)
            if isinstance(inside, dict):
                inside = list(inside.values())
            if isinstance(inside, list):
                yield from _iter_objects(inside, key, where, depth - 1)


def node_rows(
    documents: Iterable[tuple[str, Any]], *, site: str, pattern: str = GRID5000_PATTERN
) -> list[dict[str, Any]]:
    """Return rows of `schemas.Nodes`, by name, of all nodes described in the answers.

    Descriptions of a node that differ in its queues only are merged into one row with all queues.
    The API dates neither its answers nor changes, so that each row is valid from 1970 on.

    Args:
        documents: Answers, each after its file.
        site: Site of the nodes.
        pattern: Pattern of the nodes' names (`node_names.cluster_of`).

    Raises:
        InputError: An answer describes no node; a description lacks a field or has a field with an
            impossible value; nodes are described twice with different hardware (the message lists
            all).
    """
    rows: dict[str, dict[str, Any]] = {}
    found_in: dict[str, str] = {}
    metrics: dict[str, list[dict[str, Any]]] = {}
    changed: dict[str, tuple[str, str]] = {}
    for where, document in documents:
        clusters = list(cluster_descriptions(document, where=where))
        metrics |= {str(each.get("uid")): _metrics(each, where) for each in clusters}
        described = list(node_descriptions(document, where=where))
        if not described and not clusters and not _has_only_clusters(document):
            raise InputError("describes no node", where=where, do=SAVE_NODES)
        for node in described:
            row = node_row(node, site=site, where=where, pattern=pattern)
            name = row["node"]
            known = rows.setdefault(name, row)
            if differing := [key for key in row if row[key] != known[key] and key != "queues"]:
                fields = ", ".join(differing)
                changed.setdefault(name, (where, f"differently in {found_in[name]} ({fields})"))
            known["queues"] = sorted({*known["queues"], *row["queues"]})
            found_in.setdefault(name, where)
    if changed:
        listed = "; ".join(
            f"node {name} is described {changed[name][1]}" for name in sorted(changed)
        )
        raise InputError(
            listed,
            where=", ".join(sorted({where for where, _ in changed.values()})),
            do="keep the description that was valid during the study, or, since files have no "
            "date, study the days before and after the change apart",
        )
    for name, row in rows.items():
        if row["cluster"] in metrics:
            row["power_metrics"] = default_power_metrics(metrics[row["cluster"]], node=name)
    return [rows[name] for name in sorted(rows)]


def _has_only_clusters(document: Any) -> bool:
    """Return whether an answer describes clusters only.

    Clusters did not declare `metrics` before spring 2020.
    """
    items = document.get("items", [document]) if isinstance(document, dict) else document
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, dict) and item.get("type") == "cluster" for item in items)
    )


def _metrics(cluster: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the metrics that a cluster declares."""
    found = cluster["metrics"] or []
    if not isinstance(found, list) or not all(map(_is_metric, found)):
        what = f"cluster {cluster.get('uid')}: `metrics` is not a list of metrics"
        raise InputError(what, where=where, do=FIX_DESCRIPTION)
    return found


def _is_metric(metric: Any) -> bool:
    return (
        isinstance(metric, dict)
        and isinstance(metric.get("period") or 0, int | float)
        and isinstance(metric.get("only_for") or [], list)
    )


def default_power_metrics(metrics: Iterable[dict[str, Any]], *, node: str) -> list[str]:
    """Return the names of the power metrics in watts that Kwollect collects of a node by default.

    A metric with a `period` of 0 is collected on demand only. `only_for` lists the nodes of a
    metric that not all nodes have.

    Args:
        metrics: Metrics that the node's cluster declares.
        node: Short name of the node.
    """
    collected = {
        str(metric.get("name"))
        for metric in metrics
        if (metric.get("period") or 0) > 0 and node in (metric.get("only_for") or [node])
    }
    return sorted(name for name in collected if "power" in name and name.endswith("_watt"))


def name_and_cluster(node: dict[str, Any], *, where: str, pattern: str) -> tuple[str, str]:
    """Return the short name of a described node, and its cluster by the pattern of the names.

    Raises:
        InputError: The node has no name, or its name does not match the pattern.
    """
    name = str(_field(node, "uid", where, "a node")).partition(".")[0]
    cluster = cluster_of(name, pattern)
    if not cluster:
        raise InputError(
            f"{name!r} is not the name of a node by the pattern `{pattern}`",
            where=where,
            do=f"set source.node_pattern; {CLUSTER_NAME_RULE}",
        )
    return name, cluster


def node_row(
    node: dict[str, Any], *, site: str, where: str, pattern: str = GRID5000_PATTERN
) -> dict[str, Any]:
    """Return the row of `schemas.Nodes` for one description, with unknown `power_metrics`.

    Args:
        node: Description of the node.
        site: Site of the node.
        where: The file of the description, for messages.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: The description lacks a field or has a field with an impossible value.
    """
    name, cluster = name_and_cluster(node, where=where, pattern=pattern)

    def field(path: str) -> Any:
        return _field(node, path, where, f"node {name}")

    def count(path: str) -> int:
        found = _quantity(field(path), where, f"node {name}", path, UNITLESS)
        if found is None or found > MAX_THREADS:
            what = f"node {name}: `{path}` is {field(path)!r}, not a number up to {MAX_THREADS}"
            raise InputError(what, where=where, do=FIX_DESCRIPTION)
        return int(found)

    def part(key: str) -> dict[str, Any]:
        return _object_field(node, key, where, name)

    n_cpus, n_cores = count("architecture.nb_procs"), count("architecture.nb_cores")
    n_threads = count("architecture.nb_threads")
    gpus = _gpus(node, where, name)
    try:
        cores = topology.cores_of_node(
            numbering=field("architecture.cpu_core_numbering"),
            n_cpus=n_cpus,
            n_cores=n_cores,
            n_threads=n_threads,
        )
    except ValueError as error:
        raise InputError(
            f"node {name}: {error}", where=where, do="fix its field `architecture`"
        ) from None
    core_gpus = topology.gpu_of_each_core(cores, [gpu["place"] for gpu in gpus])
    memory_bytes = _bytes(part("main_memory").get("ram_size"), where, name, "main_memory.ram_size")
    limits = [gpu["power_limit_w"] for gpu in gpus]
    row = {
        "node": name,
        "valid_from": UNKNOWN_SINCE,
        "valid_until": None,
        "site": site,
        "cluster": cluster,
        "cpu_model": _cpu_model(part("processor")),
        "n_cpus": n_cpus,
        "n_cores": n_cores,
        "n_threads": n_threads,
        "memory_bytes": memory_bytes,
        "cores": sorted(core_gpus),
        "core_gpus": [core_gpus[core] for core in sorted(core_gpus)],
        "gpus": list(range(len(gpus))),
        "gpu_reservable": [gpu["place"].reservable for gpu in gpus],
        "gpu_models": [gpu["model"] for gpu in gpus],
        "gpu_generations": [gpu["generation"] for gpu in gpus],
        "gpu_power_limits_w": limits,
        "gpu_memory_bytes": [gpu["memory_bytes"] for gpu in gpus],
        "queues": _queue_names(part("supported_job_types").get("queues"), where, name),
        "power_metrics": None,
        "max_plausible_power_w": topology.max_plausible_power_w(
            gpu_power_limits_w=limits, n_cores=n_cores, memory_bytes=memory_bytes
        ),
    }
    for key, value in row.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and not _is_unicode(each):
                what = f"node {name}: {each!r} ({key}) has half of a surrogate pair"
                raise InputError(what, where=where, do=FIX_DESCRIPTION)
    return row


def _is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8, without lone surrogates."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _object_field(node: dict[str, Any], key: str, where: str, name: str) -> dict[str, Any]:
    """Return a field that contains fields; empty where it is missing."""
    found = node.get(key) or {}
    if not isinstance(found, dict):
        what = f"node {name}: `{key}` is {found!r:.60}, not an object"
        raise InputError(what, where=where, do=FIX_DESCRIPTION)
    return found


def _queue_names(queues: Any, where: str, name: str) -> list[str]:
    found = queues or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        what = f"node {name}: `supported_job_types.queues` is {found!r:.60}, not a list of names"
        raise InputError(what, where=where, do=FIX_DESCRIPTION)
    return sorted(found)


def _bytes(value: Any, where: str, name: str, path: str) -> int | None:
    """Return memory in bytes; None where it or its unit is not known."""
    if value is None:
        return None
    found = _quantity(value, where, f"node {name}", path, BYTES_BY_UNIT)
    return None if found is None else int(found)


def _gpus(node: dict[str, Any], where: str, name: str) -> list[dict[str, Any]]:
    """Return the GPUs of a node in the order of the API, the order of OAR's `gpudevice`."""
    found = []
    for device, gpu in _object_field(node, "gpu_devices", where, name).items():
        path = f"gpu_devices.{device}"
        if not isinstance(gpu, dict):
            what = f"node {name}: `{path}` is {gpu!r:.60}, not an object"
            raise InputError(what, where=where, do=FIX_DESCRIPTION)
        limit, limit_path = gpu.get("power_default_limit"), f"{path}.power_default_limit"
        found.append(
            {
                "place": _gpu_place(gpu, where, name, path),
                "model": str(gpu.get("model") or "unknown"),
                "generation": topology.gpu_generation(
                    compute_capability=gpu.get("compute_capability"),
                    microarchitecture=gpu.get("microarchitecture"),
                ),
                "power_limit_w": None
                if limit is None
                else _quantity(limit, where, f"node {name}", limit_path, WATTS_BY_UNIT),
                "memory_bytes": _bytes(gpu.get("memory"), where, name, f"{path}.memory"),
            }
        )
    return found


def _gpu_place(gpu: dict[str, Any], where: str, name: str, path: str) -> topology.Gpu:
    cpu = gpu.get("cpu_affinity_override", gpu.get("cpu_affinity"))
    declared = gpu.get("cores_affinity")
    try:
        return topology.Gpu(
            cpu=None if cpu is None else int(cpu),
            declared_cores=None if declared is None else frozenset(map(int, str(declared).split())),
            reservable=bool(gpu.get("reservation", True)),
        )
    except (TypeError, ValueError, OverflowError):
        what = f"node {name}: `{path}` has a cpu_affinity or cores_affinity that is not a number"
        raise InputError(what, where=where, do=FIX_DESCRIPTION) from None


def _cpu_model(processor: dict[str, Any]) -> str | None:
    """Return model and version, as in `Intel Xeon Gold 5220`; the version may be a number.

    None for the model `Unknown`, which stands for many processors.
    """
    if processor.get("model") == UNKNOWN_CPU_MODEL:
        return None
    words = [str(processor[key]) for key in ("model", "version") if processor.get(key) is not None]
    return " ".join(words) or None


def _field(node: dict[str, Any], path: str, where: str, item: str) -> Any:
    """Return a field by its path, as in `architecture.nb_procs`.

    Raises:
        InputError: The field is missing.
    """
    value: Any = node
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        raise InputError(f"{item} has no `{path}`", where=where, do=SAVE_NODES)
    return value


def _quantity(
    value: Any, where: str, item: str, path: str, units: Mapping[str, float]
) -> float | None:
    """Return a quantity written as 250, "250" or "250.00 W"; None for a unit not in `units`.

    Raises:
        InputError: The value is not a number.
    """
    match = QUANTITY_PATTERN.fullmatch(str(value))
    if match is None:
        raise InputError(f"{item}: `{path}` is {value!r:.60}, not a number", where=where)
    factor = units.get(match[2])
    return None if factor is None else float(match[1]) * factor
