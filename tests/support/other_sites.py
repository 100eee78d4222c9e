"""Exports of invented jobs and power on real nodes of sites other than Nancy."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from footprint.hardware import topology
from footprint.sources.reference_api import descriptions
from tests.support.api_answers import collection_page, g5k_job, save_json

METRIC = "wattmetre_power_watt"
START, END, MONTH = "2025-03-03", "2025-03-04", "2025-03"
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
READING_STEP = timedelta(seconds=15)
POWER_W = 200.0


def described_nodes(path: Path) -> Iterator[dict[str, Any]]:
    """Descriptions of the nodes in a site's file."""
    yield from descriptions.node_descriptions(json.loads(path.read_text()), where=path.name)


def write_exports(path: Path, folder: Path) -> dict[int, str]:
    """Write exports of a site: each node draws 200 W; a job holds its cores from 12:00 to 13:00.

    Args:
        path: The site's nodes as the Reference API describes them.
        folder: Folder to write.

    Returns:
        Node of each job, by job id.
    """
    site, jobs = path.stem, {}
    for job_id, node in enumerate(described_nodes(path), start=1):
        host = f"{node['uid']}.{site}.grid5000.fr"
        jobs[job_id] = g5k_job(
            job_id,
            started_at=int(NOON.timestamp()),
            stopped_at=int(NOON.timestamp()) + 3600,
            resources_by_type={"cores": [f"{host}/{core}" for core in _cores(node)]},
            assigned_nodes=[host],
        )
    save_json(folder / "nodes/all.json", json.loads(path.read_text()))
    save_json(folder / "jobs/all.json", collection_page(*jobs.values()))
    of_job = {job_id: node["uid"] for job_id, node in enumerate(described_nodes(path), start=1)}
    write_power(folder / "power/all.csv", sorted(of_job.values()))
    return of_job


def write_power(path: Path, names: list[str]) -> None:
    """Write a constant power of nodes from 11:59 to 13:01."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "device_id", "metric_id", "value", "labels"])
        for name in names:
            at = NOON - timedelta(minutes=1)
            while at <= NOON + timedelta(minutes=61):
                rows.writerow([at.isoformat(), name, METRIC, POWER_W, "{}"])
                at += READING_STEP


def _cores(node: dict[str, Any]) -> list[int]:
    architecture = node["architecture"]
    found = topology.cores_of_node(
        numbering=architecture["cpu_core_numbering"],
        n_cpus=architecture["nb_procs"],
        n_cores=architecture["nb_cores"],
        n_threads=architecture["nb_threads"],
    )
    return sorted(core.cpuset for core in found)
