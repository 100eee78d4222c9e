"""Small answers of Grid'5000's services, for the tests of their parsers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from footprint.schemas.raw import Nodes
from footprint.schemas.writing import conform
from footprint.sources.reference_api import descriptions

NOON_S = 1_741_003_200
"""2025-03-03T12:00:00Z in seconds since 1970."""


def reference_node(
    name: str, *, n_cores: int = 4, n_gpus: int = 0, **changes: Any
) -> dict[str, Any]:
    """Return a node of two sockets as the Reference API describes it.

    Its GPUs alternate between the sockets. `changes` replace fields.
    """
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
    """Return the rows of `schemas.Nodes` of described nodes."""
    rows = descriptions.node_rows([("nodes/all.json", list(nodes))], site="nancy")
    return conform(Nodes, pl.DataFrame(rows, schema=Nodes.create_empty().schema))


def kwollect_record(
    timestamp: Any = "2025-04-18T18:55:33.754307+02:00", value: Any = 98, **changes: Any
) -> dict[str, Any]:
    """Return a record of Kwollect: the power (W) of gros-1 unless changed."""
    return {
        "timestamp": timestamp,
        "device_id": "gros-1",
        "metric_id": "bmc_node_power_watt",
        "value": value,
        "labels": {},
    } | changes


def g5k_job(uid: int, **changes: Any) -> dict[str, Any]:
    """Return a job of `/sites/nancy/jobs?resources=yes`: cores 0 and 1 of gruss-1 for an hour.

    `changes` replace fields; None removes one.
    """
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
        "submitted_at": NOON_S - 60,
        "started_at": NOON_S,
        "stopped_at": NOON_S + 3600,
        "exit_code": 0,
        "events": [],
        "resources_by_type": {
            "cores": ["gruss-1.nancy.grid5000.fr/0", "gruss-1.nancy.grid5000.fr/1"]
        },
        "assigned_nodes": ["gruss-1.nancy.grid5000.fr"],
    } | changes
    return {key: value for key, value in job.items() if value is not None}


def collection_page(*items: dict[str, Any]) -> dict[str, Any]:
    """Return a page of a collection, with all its items."""
    return {"total": len(items), "offset": 0, "items": list(items), "links": []}


def save_json(path: Path, document: Any) -> Path:
    """Write a document as JSON and return its path; create its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
