"""Answers of Grid'5000's services in miniature, for the tests of their parsers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from footprint import tables
from footprint.site import reference

NOON = 1_741_003_200  # 2025-03-03T12:00:00Z


def node(name: str, *, n_cores: int = 4, n_gpus: int = 0, **changes: Any) -> dict[str, Any]:
    """A node of two sockets as the Reference API describes it; its GPUs alternate between them."""
    described: dict[str, Any] = {
        "uid": name,
        "type": "node",
        "architecture": {
            "cpu_core_numbering": "contiguous",
            "nb_cores": n_cores,
            "nb_procs": 2,
            "nb_threads": 2 * n_cores,
        },
        "processor": {"model": "AMD EPYC", "version": 7352},
        "main_memory": {"ram_size": 16_000_000_000},
        "supported_job_types": {"queues": ["production", "admin"]},
        "pdu": [{"uid": "pdu-1", "port": "7"}],
    }
    if n_gpus:
        described["gpu_devices"] = {
            f"nvidia{index}": {
                "model": "A40",
                "cpu_affinity": index % 2,
                "memory": 48_305_799_168,
                "power_default_limit": "300.00 W",
            }
            for index in range(n_gpus)
        }
    return described | changes


def nodes_table(*nodes: dict[str, Any]) -> pl.DataFrame:
    """Their rows of `tables.Nodes`."""
    rows = reference.node_rows([("nodes/all.json", list(nodes))], site="nancy")
    return tables.conform(
        tables.Nodes, pl.DataFrame(rows, schema=tables.Nodes.create_empty().schema)
    )


def sample(
    timestamp: Any = "2025-04-18T18:55:33.754307+02:00", value: Any = 98, **changes: Any
) -> dict[str, Any]:
    """A sample of Kwollect: what gros-1 drew."""
    return {
        "timestamp": timestamp,
        "device_id": "gros-1",
        "metric_id": "bmc_node_power_watt",
        "value": value,
        "labels": {},
    } | changes


def g5k_job(uid: int, **changes: Any) -> dict[str, Any]:
    """A job of `/sites/nancy/jobs?resources=yes` that held cores 0 and 1 of gruss-1 for an hour."""
    job = {
        "uid": uid,
        "user_uid": "someone",
        "user": "someone",
        "walltime": 7200,
        "queue": "production",
        "state": "terminated",
        "project": "speech",
        "types": [],
        "mode": "PASSIVE",
        "command": "./train.sh",
        "submitted_at": NOON - 60,
        "started_at": NOON,
        "stopped_at": NOON + 3600,
        "exit_code": 0,
        "events": [],
        "resources_by_type": {
            "cores": ["gruss-1.nancy.grid5000.fr/0", "gruss-1.nancy.grid5000.fr/1"]
        },
        "assigned_nodes": ["gruss-1.nancy.grid5000.fr"],
    } | changes
    return {key: value for key, value in job.items() if value is not None}


def page(*items: dict[str, Any]) -> dict[str, Any]:
    """A page of a collection."""
    return {"total": len(items), "offset": 0, "items": list(items), "links": []}


def save(path: Path, document: Any) -> Path:
    """Write a document as JSON, its folder with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
