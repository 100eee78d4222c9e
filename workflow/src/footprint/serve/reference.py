"""The Reference API: descriptions of the site, its clusters and nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import NotFound

DEFAULT_QUEUES = ("admin", "default")
"""Queues whose clusters are listed if a request names none."""

ALL_QUEUES = ("admin", "default", "production")
CREATED_AT = "Fri, 07 Jun 2019 00:00:00 GMT"
"""Creation of every cluster: the simulated hardware has no history."""

REFERENCE_PATH = re.compile(r"/sites(/[^/]+(/clusters(/.*)?)?)?$")
"""Paths of the Reference API."""

FIRST_COMMIT_S = 1_233_100_800
"""2009-01-28: no description is older."""

MAX_WALLTIME_S = 604_800
BMC_PERIOD_MS = 5000
EXPORTER_PERIOD_MS = 15_000


def hangs(path: str, query: Mapping[str, str]) -> bool:
    """Whether the real API hangs until the proxy's time-out: it searches a commit without end."""
    timestamp = query.get("timestamp")
    if timestamp is None or not REFERENCE_PATH.search(path):
        return False
    return not timestamp.isdecimal() or int(timestamp) < FIRST_COMMIT_S


def sites_collection(recorded: RecordedSite) -> dict[str, Any]:
    """Return the collection with the one site."""
    return _collection(recorded, [site_description(recorded)])


def site_description(recorded: RecordedSite) -> dict[str, Any]:
    """Return the description of the site."""
    described = {
        "uid": recorded.name,
        "type": "site",
        "name": recorded.name.capitalize(),
        "description": "A simulated site. Its data are unrelated to the real site.",
        "links": [],
    }
    return described | {"version": recorded.version}


def clusters_collection(recorded: RecordedSite, queues: str | None) -> dict[str, Any]:
    """Return the clusters of some queues: a list with commas, `all`, or None for DEFAULT_QUEUES."""
    described = (
        cluster_description(name, rows) for name, rows in recorded.nodes_by_cluster.items()
    )
    return _collection(recorded, [each for each in described if _has_queue(each, queues)])


def one_cluster(recorded: RecordedSite, name: str, queues: str | None) -> dict[str, Any]:
    """Return a cluster.

    Raises:
        NotFound: The cluster does not exist, or has none of the queues.
    """
    described = cluster_description(name, recorded.nodes_by_cluster.get(name, []))
    if name not in recorded.nodes_by_cluster or not _has_queue(described, queues):
        raise NotFound(f"Cannot find resource /sites/{recorded.name}/clusters/{name}")
    return described | {"version": recorded.version}


def nodes_collection(recorded: RecordedSite, cluster: str) -> dict[str, Any]:
    """Return the nodes of a cluster, of any queue.

    Raises:
        NotFound: The cluster does not exist.
    """
    path = f"/sites/{recorded.name}/clusters/{cluster}/nodes"
    if cluster not in recorded.nodes_by_cluster:
        raise NotFound(f"Cannot find resource {path}")
    return _collection(
        recorded, [node_description(row) for row in recorded.nodes_by_cluster[cluster]]
    )


def one_node(recorded: RecordedSite, cluster: str, name: str) -> dict[str, Any]:
    """Return a node.

    Raises:
        NotFound: The node does not exist.
    """
    for row in recorded.nodes_by_cluster.get(cluster, []):
        if row["node"] == name:
            return node_description(row) | {"version": recorded.version}
    raise NotFound(f"Cannot find resource /sites/{recorded.name}/clusters/{cluster}/nodes/{name}")


def cluster_description(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a cluster as the API describes it, from its rows of `schemas.Nodes`.

    Production clusters are in the queue `production` alone, so that requests without this queue do
    not list them.
    """
    queues = sorted({queue for row in rows for queue in row["queues"]})
    if "default" not in queues:
        queues = [queue for queue in queues if queue != "admin"]
    return {
        "uid": name,
        "type": "cluster",
        "model": "simulated",
        "created_at": CREATED_AT,
        "exotic": False,
        "queues": queues,
        "nodes_count": len(rows),
        "metrics": _declared_metrics(rows),
        "links": [],
    }


def node_description(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node of `schemas.Nodes` as the API describes it.

    Each GPU has its cores, so that parsing the description gives the same row.
    """
    model, _, version = row["cpu_model"].rpartition(" ")
    described = {
        "uid": row["node"],
        "type": "node",
        "nodeset": row["cluster"],
        "exotic": False,
        "architecture": {
            "cpu_core_numbering": core_numbering(row),
            "nb_cores": row["n_cores"],
            "nb_procs": row["n_cpus"],
            "nb_threads": row["n_threads"],
            "platform_type": "x86_64",
        },
        "processor": {"model": model, "version": version},
        "main_memory": {"ram_size": row["memory_bytes"]},
        "supported_job_types": {
            "besteffort": True,
            "deploy": True,
            "max_walltime": MAX_WALLTIME_S,
            "queues": row["queues"],
        },
    }
    gpus = {f"nvidia{gpu}": _gpu_description(row, gpu) for gpu in row["gpus"]}
    return described | ({"gpu_devices": gpus} if gpus else {}) | {"links": []}


def core_numbering(row: Mapping[str, Any]) -> str:
    """Return the numbering of a node's cores, from those of its GPUs.

    `contiguous` is socket by socket, `round-robin` in turn.
    """

    def fits(numbering: str) -> bool:
        sockets = (
            {socket_of_core(core, row, numbering) for core in _cores_of(row, gpu)}
            for gpu in row["gpus"]
        )
        return all(len(of_one_gpu) == 1 for of_one_gpu in sockets)

    return "contiguous" if fits("contiguous") and not fits("round-robin") else "round-robin"


def socket_of_core(core: int, row: Mapping[str, Any], numbering: str) -> int:
    """Return the socket of a core."""
    n_cpus: int = row["n_cpus"]
    if numbering == "contiguous":
        return int(core // (row["n_cores"] // n_cpus))
    return core % n_cpus


def _cores_of(row: Mapping[str, Any], gpu: int) -> list[int]:
    return [core for core, own in zip(row["cores"], row["core_gpus"], strict=True) if own == gpu]


def _gpu_description(row: Mapping[str, Any], gpu: int) -> dict[str, Any]:
    cores = _cores_of(row, gpu)
    return {
        "model": row["gpu_models"][gpu],
        "vendor": "Nvidia",
        "device": f"/dev/nvidia{gpu}",
        "memory": row["gpu_memory_bytes"][gpu],
        "power_default_limit": f"{row['gpu_power_limits_w'][gpu]:.2f} W",
        "cpu_affinity": socket_of_core(cores[0], row, core_numbering(row)),
        "cores_affinity": " ".join(map(str, cores)),
    }


def _declared_metrics(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the metrics of a cluster in Kwollect; a period of 0 ms means on demand."""
    bmc: dict[str, Any] = {
        "name": "bmc_node_power_watt",
        "description": "Power consumption of node reported by BMC, in watt",
        "source": {"protocol": "snmp", "id": "1.3.6.1.4.1.674.10892.5.4.600.30.1.6.1.3"},
    }
    if any(row["power_metrics"] for row in rows):
        bmc |= {"period": BMC_PERIOD_MS}
    else:
        bmc |= {"period": 0, "optional_period": BMC_PERIOD_MS}
    exporters = [("prom_default_metrics", "Prometheus Node Exporter", "node_load1", 9100)]
    if any(row["gpus"] for row in rows):
        name, series = "prom_nvgpu_default_metrics", "DCGM_FI_DEV_POWER_USAGE"
        exporters.append((name, "Prometheus Nvidia DCGM Exporter", series, 9400))
    return [
        bmc,
        *(
            {
                "name": name,
                "description": f"Default subset of metrics from {exporter}",
                "period": 0,
                "optional_period": EXPORTER_PERIOD_MS,
                "source": {"protocol": "prometheus", "port": port, "id": [series]},
            }
            for name, exporter, series, port in exporters
        ),
    ]


def _has_queue(cluster: Mapping[str, Any], queues: str | None) -> bool:
    if queues is None:
        wanted: Sequence[str] = DEFAULT_QUEUES
    else:
        wanted = ALL_QUEUES if queues == "all" else queues.split(",")
    return not set(wanted).isdisjoint(cluster["queues"])


def _collection(recorded: RecordedSite, items: list[dict[str, Any]]) -> dict[str, Any]:
    total = {"total": len(items), "offset": 0}
    return {**total, "items": items, "links": [], "version": recorded.version}
