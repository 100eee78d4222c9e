"""Answers of the Reference API -> hardware of nodes, as rows of `tables.Nodes`.

Pure Python without Polars: a Snakefile reads the clusters of a study from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from footprint import nodes
from footprint.errors import InputError
from footprint.node_names import GRID5000, RULE, cluster_of
from footprint.site.files import TOO_DEEP, RepeatedKeys, refused

UNKNOWN_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = "Unknown"
"""Model of a processor that the Reference API does not name."""
CONTAINERS = ("items", "sites", "clusters", "nodes")
QUANTITY = re.compile(r"\s*(\d{1,15}(?:\.\d{1,20})?)\s*([A-Za-z]*)\s*", re.ASCII)
POWER_UNITS = {"": 1.0, "W": 1.0, "kW": 1e3, "mW": 1e-3}
"""Watts of a unit; a number without one is in watts, as the Reference API documents it."""

MEMORY_UNITS = {"": 1.0, "B": 1.0}
"""Bytes of a unit."""

NO_UNITS = {"": 1.0}
MOST_THREADS = 32_768
"""More threads than any node has."""

MOST_NESTED = 100
"""Containers inside one another that are looked through; a whole site has 6."""

MEND = "mend the description, or save it again"
SAVE_NODES = "save the answer of /sites/<site>/clusters/<cluster>/nodes"
SAVE_NODE = (
    f"{SAVE_NODES}/<node>?timestamp=<when it was used, in seconds> into nodes/ of the exports, or "
    "leave its cluster out of study.clusters"
)


def node_objects(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Descriptions of nodes in an answer: of one node, a list, a collection, or a `deep` tree.

    Raises:
        InputError: The file holds an error that the API answered, has a key twice, or is nested
            too deep.
    """
    yield from _objects(document, "architecture", where, MOST_NESTED)


def cluster_objects(document: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """Descriptions of clusters in an answer: those that declare `metrics`."""
    yield from _objects(document, "metrics", where, MOST_NESTED)


def _objects(document: Any, key: str, where: str, depth: int) -> Iterator[dict[str, Any]]:
    if not depth:
        raise InputError(TOO_DEEP, where=where, do=SAVE_NODES)
    if message := refused(document):
        raise InputError(f"the API answered: {message}", where=where, do=SAVE_NODES)
    if isinstance(document, list):
        for item in document:
            yield from _objects(item, key, where, depth - 1)
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
                yield from _objects(inside, key, where, depth - 1)


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
        metrics |= {str(each.get("uid")): _metrics(each, where) for each in clusters}
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
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, dict) and item.get("type") == "cluster" for item in items)
    )


def _metrics(cluster: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Metrics that a cluster declares."""
    found = cluster["metrics"] or []
    if not isinstance(found, list) or not all(map(_is_metric, found)):
        what = f"cluster {cluster.get('uid')}: `metrics` is no list of metrics"
        raise InputError(what, where=where, do=MEND)
    return found


def _is_metric(metric: Any) -> bool:
    return (
        isinstance(metric, dict)
        and isinstance(metric.get("period") or 0, int | float)
        and isinstance(metric.get("only_for") or [], list)
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
        found = _number(field(path), where, f"node {name}", path, NO_UNITS)
        if found is None or found > MOST_THREADS:
            what = f"node {name}: `{path}` is {field(path)!r}, no number up to {MOST_THREADS}"
            raise InputError(what, where=where, do=MEND)
        return int(found)

    def part(key: str) -> dict[str, Any]:
        return _part(node, key, where, name)

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
        "queues": _queues(part("supported_job_types").get("queues"), where, name),
        "power_metrics": None,
        "max_plausible_power_w": nodes.max_plausible_power_w(
            gpu_power_limits_w=limits, n_cores=n_cores, memory_bytes=memory_bytes
        ),
    }
    for key, value in row.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and not _is_unicode(each):
                what = f"node {name}: {each!r} ({key}) has half of a surrogate pair"
                raise InputError(what, where=where, do=MEND)
    return row


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8, which half of a surrogate pair cannot."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _part(node: dict[str, Any], key: str, where: str, name: str) -> dict[str, Any]:
    """A field that holds others; empty where it is missing."""
    found = node.get(key) or {}
    if not isinstance(found, dict):
        raise InputError(f"node {name}: `{key}` is {found!r:.60}, no object", where=where, do=MEND)
    return found


def _queues(queues: Any, where: str, name: str) -> list[str]:
    found = queues or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        what = f"node {name}: `supported_job_types.queues` is {found!r:.60}, no list of names"
        raise InputError(what, where=where, do=MEND)
    return sorted(found)


def _bytes(value: Any, where: str, name: str, path: str) -> int | None:
    """Memory in bytes; None where it or its unit is not known."""
    if value is None:
        return None
    found = _number(value, where, f"node {name}", path, MEMORY_UNITS)
    return None if found is None else int(found)


def _gpus(node: dict[str, Any], where: str, name: str) -> list[dict[str, Any]]:
    """GPUs of a node in the order of the API, which is the order of OAR's `gpudevice`."""
    found = []
    for device, gpu in _part(node, "gpu_devices", where, name).items():
        path = f"gpu_devices.{device}"
        if not isinstance(gpu, dict):
            what = f"node {name}: `{path}` is {gpu!r:.60}, no object"
            raise InputError(what, where=where, do=MEND)
        limit, limit_path = gpu.get("power_default_limit"), f"{path}.power_default_limit"
        found.append(
            {
                "place": _place(gpu, where, name, path),
                "model": str(gpu.get("model") or "unknown"),
                "generation": nodes.gpu_generation(
                    compute_capability=gpu.get("compute_capability"),
                    microarchitecture=gpu.get("microarchitecture"),
                ),
                "power_limit_w": None
                if limit is None
                else _number(limit, where, f"node {name}", limit_path, POWER_UNITS),
                "memory_bytes": _bytes(gpu.get("memory"), where, name, f"{path}.memory"),
            }
        )
    return found


def _place(gpu: dict[str, Any], where: str, name: str, path: str) -> nodes.Gpu:
    cpu = gpu.get("cpu_affinity_override", gpu.get("cpu_affinity"))
    declared = gpu.get("cores_affinity")
    try:
        return nodes.Gpu(
            cpu=None if cpu is None else int(cpu),
            cores=None if declared is None else frozenset(map(int, str(declared).split())),
            reservable=bool(gpu.get("reservation", True)),
        )
    except (TypeError, ValueError, OverflowError):
        what = f"node {name}: `{path}` has a cpu_affinity or cores_affinity that is no number"
        raise InputError(what, where=where, do=MEND) from None


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


def _number(
    value: Any, where: str, what: str, path: str, units: Mapping[str, float]
) -> float | None:
    """A number as the API writes it: 250, "250" or "250.00 W"; None where its unit is not known.

    Raises:
        InputError: The value is no number.
    """
    match = QUANTITY.fullmatch(str(value))
    if match is None:
        raise InputError(f"{what}: `{path}` is {value!r:.60}, not a number", where=where)
    factor = units.get(match[2])
    return None if factor is None else float(match[1]) * factor
