"""Answers of the Reference API -> hardware of nodes, as rows of `tables.Nodes`.

Pure Python without Polars: a Snakefile reads the clusters of a study from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from footprint import nodes
from footprint.errors import InputError
from footprint.node_names import GRID5000, RULE, cluster_of
from footprint.site.files import RepeatedKeys, refused

UNKNOWN_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = "Unknown"
"""Model of a processor that the Reference API does not name."""
CONTAINERS = ("items", "sites", "clusters", "nodes")
COUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*[A-Za-z]*\s*")
SAVE_NODES = "save the answer of /sites/<site>/clusters/<cluster>/nodes"
SAVE_NODE = (
    f"{SAVE_NODES}/<node>?timestamp=<when it was used, in seconds> into nodes/ of the exports, or "
    "leave its cluster out of study.clusters"
)


def node_objects(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Descriptions of nodes in an answer: of one node, a list, a collection, or a `deep` tree.

    Raises:
        InputError: The file holds an error that the API answered, or a key twice.
    """
    yield from _objects(document, "architecture", where)


def cluster_objects(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Descriptions of clusters in an answer: those that declare `metrics`."""
    yield from _objects(document, "metrics", where)


def _objects(document: Any, key: str, where: str) -> Iterator[dict[str, Any]]:
    if message := refused(document):
        raise InputError(f"the API answered: {message}", where=where, do=SAVE_NODES)
    if isinstance(document, list):
        for item in document:
            yield from _objects(item, key, where)
    elif isinstance(document, dict):
        if isinstance(document, RepeatedKeys) and (document.is_own or key in document):
            name = f"node {document['uid']}" if "uid" in document else "the answer"
            what = f"{name} gives the key {document.repeated!r} twice"
            raise InputError(what, where=where, do="remove one of the two")
        if key in document:
            yield document
        for container in CONTAINERS:
            inside = document.get(container)
            if isinstance(inside, dict):
                inside = list(inside.values())
            if isinstance(inside, list):
                yield from _objects(inside, key, where)


def node_rows(
    documents: Iterable[tuple[str, Any]], *, site: str, pattern: str = GRID5000
) -> list[dict[str, Any]]:
    """Rows of `tables.Nodes`, by name, of all nodes described in the answers.

    Descriptions of a node that differ in its queues only give one row, with the queues of all. The
    API dates neither its answers nor changes, so each row holds from 1970 on.

    Args:
        documents: Answers with the file that each comes from.
        site: Site of the nodes.
        pattern: Pattern of the nodes' names (`node_names.cluster_of`).

    Raises:
        InputError: An answer describes no node, a description lacks a field or has one that makes
            no sense, or nodes are described twice with different hardware; the message lists all.
    """
    rows: dict[str, dict[str, Any]] = {}
    found_in: dict[str, str] = {}
    metrics: dict[str, list[dict[str, Any]]] = {}
    changed: dict[str, tuple[str, str]] = {}
    for where, document in documents:
        clusters = list(cluster_objects(document, where=where))
        metrics |= {str(cluster.get("uid")): cluster["metrics"] for cluster in clusters}
        described = list(node_objects(document, where=where))
        if not described and not clusters and not _is_of_clusters(document):
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
            do="keep the description that held during the study, or, since files have no date, "
            "study the days before and after the change apart",
        )
    for name, row in rows.items():
        if row["cluster"] in metrics:
            row["power_metrics"] = default_power_metrics(metrics[row["cluster"]], node=name)
    return [rows[name] for name in sorted(rows)]


def _is_of_clusters(document: Any) -> bool:
    """Whether an answer describes clusters, which did not declare `metrics` before spring 2020."""
    items = document.get("items", [document]) if isinstance(document, dict) else document
    return bool(items) and all(
        isinstance(item, dict) and item.get("type") == "cluster" for item in items
    )


def default_power_metrics(metrics: Iterable[dict[str, Any]], *, node: str) -> list[str]:
    """Names of the power metrics in watts that Kwollect collects of a node without being asked.

    A `period` of 0 means on demand only, and `only_for` restricts a metric to the nodes it names.
    """
    collected = {
        str(metric.get("name"))
        for metric in metrics
        if (metric.get("period") or 0) > 0 and node in (metric.get("only_for") or [node])
    }
    return sorted(name for name in collected if "power" in name and name.endswith("_watt"))


def name_and_cluster(node: dict[str, Any], *, where: str, pattern: str) -> tuple[str, str]:
    """Short name of a described node, and its cluster by the pattern of the names.

    Raises:
        InputError: The node has no name, or its name does not match.
    """
    name = str(_field(node, "uid", where, "a node")).partition(".")[0]
    cluster = cluster_of(name, pattern)
    if not cluster:
        raise InputError(
            f"{name!r} is not the name of a node by the pattern `{pattern}`",
            where=where,
            do=f"set source.node_pattern; {RULE}",
        )
    return name, cluster


def node_row(
    node: dict[str, Any], *, site: str, where: str, pattern: str = GRID5000
) -> dict[str, Any]:
    """The row of `tables.Nodes` for one description; `power_metrics` is left unknown."""
    name, cluster = name_and_cluster(node, where=where, pattern=pattern)

    def field(path: str) -> Any:
        return _field(node, path, where, f"node {name}")

    def count(path: str) -> int:
        return int(_number(field(path), where, f"node {name}", path))

    n_cpus, n_cores = count("architecture.nb_procs"), count("architecture.nb_cores")
    n_threads = count("architecture.nb_threads")
    gpus = _gpus(node, where, name)
    try:
        cores = nodes.cores(
            numbering=field("architecture.cpu_core_numbering"),
            n_cpus=n_cpus,
            n_cores=n_cores,
            n_threads=n_threads,
        )
    except ValueError as error:
        raise InputError(
            f"node {name}: {error}", where=where, do="mend its field `architecture`"
        ) from None
    core_gpus = nodes.core_gpus(cores, [gpu["place"] for gpu in gpus])
    memory = (node.get("main_memory") or {}).get("ram_size")
    memory_bytes = None if memory is None else count("main_memory.ram_size")
    limits = [gpu["power_limit_w"] for gpu in gpus]
    return {
        "node": name,
        "valid_from": UNKNOWN_SINCE,
        "valid_until": None,
        "site": site,
        "cluster": cluster,
        "cpu_model": _cpu_model(node.get("processor") or {}),
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
        "queues": sorted((node.get("supported_job_types") or {}).get("queues") or []),
        "power_metrics": None,
        "max_plausible_power_w": nodes.max_plausible_power_w(
            gpu_power_limits_w=limits, n_cores=n_cores, memory_bytes=memory_bytes
        ),
    }


def _gpus(node: dict[str, Any], where: str, name: str) -> list[dict[str, Any]]:
    """GPUs of a node in the order of the API, which is the order of OAR's `gpudevice`."""

    def optional(value: Any, path: str) -> float | None:
        return None if value is None else _number(value, where, f"node {name}", path)

    found = []
    for device, gpu in (node.get("gpu_devices") or {}).items():
        path = f"gpu_devices.{device}"
        cpu = gpu.get("cpu_affinity_override", gpu.get("cpu_affinity"))
        declared = gpu.get("cores_affinity")
        memory = optional(gpu.get("memory"), f"{path}.memory")
        found.append(
            {
                "place": nodes.Gpu(
                    cpu=None if cpu is None else int(cpu),
                    cores=None if declared is None else frozenset(map(int, declared.split())),
                    reservable=bool(gpu.get("reservation", True)),
                ),
                "model": str(gpu.get("model") or "unknown"),
                "generation": nodes.gpu_generation(
                    compute_capability=gpu.get("compute_capability"),
                    microarchitecture=gpu.get("microarchitecture"),
                ),
                "power_limit_w": optional(
                    gpu.get("power_default_limit"), f"{path}.power_default_limit"
                ),
                "memory_bytes": None if memory is None else int(memory),
            }
        )
    return found


def _cpu_model(processor: dict[str, Any]) -> str | None:
    """Model and version in words, as in `Intel Xeon Gold 5220`; the version may be a number.

    A processor whose model is `Unknown` has none: that word stands for many.
    """
    if processor.get("model") == UNKNOWN:
        return None
    words = [str(processor[key]) for key in ("model", "version") if processor.get(key) is not None]
    return " ".join(words) or None


def _field(node: dict[str, Any], path: str, where: str, what: str) -> Any:
    value: Any = node
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        raise InputError(f"{what} has no `{path}`", where=where, do=SAVE_NODES)
    return value


def _number(value: Any, where: str, what: str, path: str) -> float:
    """A number as the API writes it: 250, "250" or "250.00 W"."""
    match = COUNT.fullmatch(str(value))
    if match is None:
        raise InputError(f"{what}: `{path}` is {value!r}, not a number", where=where)
    return float(match[1])
