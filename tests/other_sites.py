"""Made-up jobs and power on the real nodes of other sites than Nancy, as exports."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from answers import g5k_job, page, save

from footprint import nodes
from footprint.site import reference

METRIC = "wattmetre_power_watt"
START, END, MONTH = "2025-03-03", "2025-03-04", "2025-03"
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
STEP = timedelta(seconds=15)
POWER_W = 200.0


def described(path: Path) -> Iterator[dict[str, Any]]:
    """Nodes of a site's file."""
    yield from reference.node_objects(json.loads(path.read_text()), where=path.name)


def write(path: Path, folder: Path) -> dict[int, str]:
    """Exports of a site: each node draws 200 W, and a job holds all its cores from 12:00 to 13:00.

    Args:
        path: The site's nodes as the Reference API describes them.
        folder: Folder to write.

    Returns:
        Node of each job, by job id.
    """
    site, jobs = path.stem, {}
    for job_id, node in enumerate(described(path), start=1):
        host = f"{node['uid']}.{site}.grid5000.fr"
        jobs[job_id] = g5k_job(
            job_id,
            started_at=int(NOON.timestamp()),
            stopped_at=int(NOON.timestamp()) + 3600,
            resources_by_type={"cores": [f"{host}/{core}" for core in _cores(node)]},
            assigned_nodes=[host],
        )
    save(folder / "nodes/all.json", json.loads(path.read_text()))
    save(folder / "jobs/all.json", page(*jobs.values()))
    of_job = {job_id: node["uid"] for job_id, node in enumerate(described(path), start=1)}
    write_power(folder / "power/all.csv", sorted(of_job.values()))
    return of_job


def write_power(path: Path, names: list[str]) -> None:
    """A constant power of nodes from 11:59 to 13:01."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "device_id", "metric_id", "value", "labels"])
        for name in names:
            at = NOON - timedelta(minutes=1)
            while at <= NOON + timedelta(minutes=61):
                rows.writerow([at.isoformat(), name, METRIC, POWER_W, "{}"])
                at += STEP


def _cores(node: dict[str, Any]) -> list[int]:
    architecture = node["architecture"]
    found = nodes.cores(
        numbering=architecture["cpu_core_numbering"],
        n_cpus=architecture["nb_procs"],
        n_cores=architecture["nb_cores"],
        n_threads=architecture["nb_threads"],
    )
    return sorted(core.cpuset for core in found)
