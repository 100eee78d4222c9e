"""The Reference API: nodes and clusters as it describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from footprint.serve.recorded import Recorded
from footprint.serve.refusals import NotFound

DEFAULT_QUEUES = ("admin", "default")
"""Queues of which clusters are shown to who names none."""

EVERY_QUEUE = ("admin", "default", "production")
WITHOUT_HISTORY = "Fri, 07 Jun 2019 00:00:00 GMT"
MAX_WALLTIME_S = 604_800
BMC_PERIOD_MS = 5000
EXPORTER_PERIOD_MS = 15_000


def sites(recorded: Recorded) -> dict[str, Any]:
    """The collection with the one site."""
    return _collection(recorded, [site(recorded)])


def site(recorded: Recorded) -> dict[str, Any]:
    """The site."""
    described = {
        "uid": recorded.name,
        "type": "site",
        "name": recorded.name.capitalize(),
        "description": "A simulated site: nothing here says anything about the real one.",
        "links": [],
    }
    return described | {"version": recorded.version}


def clusters(recorded: Recorded, queues: str | None) -> dict[str, Any]:
    """Clusters of the queues asked for: a comma list, `all`, or None for the usual ones."""
    described = (cluster(name, rows) for name, rows in recorded.nodes.items())
    return _collection(recorded, [each for each in described if _is_shown(each, queues)])


def one_cluster(recorded: Recorded, name: str, queues: str | None) -> dict[str, Any]:
    """A cluster; hidden like in the list when it has none of the queues."""
    described = cluster(name, recorded.nodes.get(name, []))
    if name not in recorded.nodes or not _is_shown(described, queues):
        raise NotFound(f"Cannot find resource /sites/{recorded.name}/clusters/{name}")
    return described | {"version": recorded.version}


def nodes(recorded: Recorded, cluster: str) -> dict[str, Any]:
    """Nodes of a cluster, of whatever queues."""
    path = f"/sites/{recorded.name}/clusters/{cluster}/nodes"
    if cluster not in recorded.nodes:
        raise NotFound(f"Cannot find resource {path}")
    return _collection(recorded, [node(row) for row in recorded.nodes[cluster]])


def one_node(recorded: Recorded, cluster: str, name: str) -> dict[str, Any]:
    """A node."""
    for row in recorded.nodes.get(cluster, []):
        if row["node"] == name:
            return node(row) | {"version": recorded.version}
    raise NotFound(f"Cannot find resource /sites/{recorded.name}/clusters/{cluster}/nodes/{name}")


def cluster(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A cluster as the API describes it, from its rows of `tables.Nodes`.

    Production clusters are in the queue `production` alone, so that they are hidden from who does
    not ask for it.
    """
    queues = sorted({queue for row in rows for queue in row["queues"]})
    if "default" not in queues:
        queues = [queue for queue in queues if queue != "admin"]
    return {
        "uid": name,
        "type": "cluster",
        "model": "simulated",
        "created_at": WITHOUT_HISTORY,
        "exotic": False,
        "queues": queues,
        "nodes_count": len(rows),
        "metrics": _metrics(rows),
        "links": [],
    }


def node(row: Mapping[str, Any]) -> dict[str, Any]:
    """A node of `tables.Nodes` as the API describes it.

    Each GPU names its cores, so that the description gives the same row back.
    """
    model, _, version = row["cpu_model"].rpartition(" ")
    described = {
        "uid": row["node"],
        "type": "node",
        "nodeset": row["cluster"],
        "exotic": False,
        "architecture": {
            "cpu_core_numbering": numbering(row),
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
    gpus = {f"nvidia{gpu}": _gpu(row, gpu) for gpu in row["gpus"]}
    return described | ({"gpu_devices": gpus} if gpus else {}) | {"links": []}


def numbering(row: Mapping[str, Any]) -> str:
    """How the cores of a node are numbered: socket by socket, or in turn; the GPUs' cores tell."""

    def fits(numbering: str) -> bool:
        sockets = (
            {socket_of(core, row, numbering) for core in _cores_of(row, gpu)} for gpu in row["gpus"]
        )
        return all(len(of_one_gpu) == 1 for of_one_gpu in sockets)

    return "contiguous" if fits("contiguous") and not fits("round-robin") else "round-robin"


def socket_of(core: int, row: Mapping[str, Any], numbering: str) -> int:
    """Socket of a core."""
    n_cpus: int = row["n_cpus"]
    if numbering == "contiguous":
        return int(core // (row["n_cores"] // n_cpus))
    return core % n_cpus


def _cores_of(row: Mapping[str, Any], gpu: int) -> list[int]:
    return [core for core, of in zip(row["cores"], row["core_gpus"], strict=True) if of == gpu]


def _gpu(row: Mapping[str, Any], gpu: int) -> dict[str, Any]:
    cores = _cores_of(row, gpu)
    return {
        "model": row["gpu_models"][gpu],
        "vendor": "Nvidia",
        "device": f"/dev/nvidia{gpu}",
        "memory": row["gpu_memory_bytes"][gpu],
        "power_default_limit": f"{row['gpu_power_limits_w'][gpu]:.2f} W",
        "cpu_affinity": socket_of(cores[0], row, numbering(row)),
        "cores_affinity": " ".join(map(str, cores)),
    }


def _metrics(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metrics that Kwollect has of a cluster; a period of 0 ms means on demand."""
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


def _is_shown(cluster: Mapping[str, Any], queues: str | None) -> bool:
    if queues is None:
        wanted: Sequence[str] = DEFAULT_QUEUES
    else:
        wanted = EVERY_QUEUE if queues == "all" else queues.split(",")
    return not set(wanted).isdisjoint(cluster["queues"])


def _collection(recorded: Recorded, items: list[dict[str, Any]]) -> dict[str, Any]:
    total = {"total": len(items), "offset": 0}
    return {**total, "items": items, "links": [], "version": recorded.version}
