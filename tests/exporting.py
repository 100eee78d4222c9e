"""A simulated site in the files that a user of a real one would have saved."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import answers
import polars as pl

from footprint import settings, study, tables, windows
from footprint.site.simulated import SimulatedSite

METRIC = "bmc_node_power_watt"
DOMAIN = ".nancy.grid5000.fr"
PARIS = timezone(timedelta(hours=2))
JOBS_A_PAGE = 25


def write_exports(config: Mapping[str, Any], folder: Path) -> None:
    """Nodes, jobs, states and power of the site that a configuration simulates.

    Nodes as answers of the Reference API, jobs as pages of `/jobs`, states as notes. Power is what
    the sensors gave, defects included: of graffiti as JSON lines with Paris' offset, compressed; of
    the other clusters as CSV in UTC. Both reach an hour beyond the study.
    """
    planned = study.plan(settings.load(config))
    site = SimulatedSite.from_config(planned.source, site=planned.site)
    start, end = windows.window(planned.start, planned.end)
    nodes = site.nodes().collect()
    for (cluster,), described in nodes.partition_by("cluster", as_dict=True).items():
        rows = described.iter_rows(named=True)
        page = answers.page(*(reference_node(row) for row in rows))
        answers.save(folder / "nodes" / f"{cluster}.json", page)
    records = site.jobs(start=start, end=end)
    held = {
        job: [(row["node"], row["cores"]) for row in rows.iter_rows(named=True)]
        for (job,), rows in records.allocations.collect()
        .partition_by("job_id", as_dict=True)
        .items()
    }
    jobs = [
        api_job(row, held.get(row["job_id"], []))
        for row in records.jobs.collect().sort("job_id", descending=True).iter_rows(named=True)
    ]
    for number, first in enumerate(range(0, len(jobs), JOBS_A_PAGE)):
        page = answers.page(*jobs[first : first + JOBS_A_PAGE])
        answers.save(folder / "jobs" / f"page-{number}.json", page)
    write_states(site.states(start=start, end=end).collect(), folder / "states/notes.csv")
    (folder / "power").mkdir()
    for cluster in planned.clusters:
        margin = timedelta(hours=1)
        frames = list(
            site.power(metric=METRIC, cluster=cluster, start=start - margin, end=end + margin)
        )
        if frames:
            readings = pl.concat(frames)
            if cluster == "graffiti":
                write_jsonl(readings, folder / "power/graffiti.jsonl.gz")
            else:
                write_csv(readings, folder / f"power/{cluster}.csv")


def reference_node(row: Mapping[str, Any]) -> dict[str, Any]:
    """A node of `tables.Nodes` as the Reference API describes it.

    Each GPU names its cores, so that only the tables can give the answer back.
    """
    n_cores, n_cpus = row["n_cores"], row["n_cpus"]
    first_socket = set(range(n_cores // n_cpus))
    cores_of = {
        gpu: [core for core, of in zip(row["cores"], row["core_gpus"], strict=True) if of == gpu]
        for gpu in row["gpus"]
    }
    by_socket = all(
        len({core in first_socket for core in cores}) == 1 for cores in cores_of.values()
    )
    numbering = "contiguous" if by_socket else "round-robin"
    gpus = {}
    for gpu, model, limit_w, memory in zip(
        row["gpus"],
        row["gpu_models"],
        row["gpu_power_limits_w"],
        row["gpu_memory_bytes"],
        strict=True,
    ):
        core = cores_of[gpu][0]
        gpus[f"nvidia{gpu}"] = {
            "model": model,
            "memory": memory,
            "power_default_limit": f"{limit_w:.2f} W",
            "cpu_affinity": core // (n_cores // n_cpus) if by_socket else core % n_cpus,
            "cores_affinity": " ".join(map(str, cores_of[gpu])),
        }
    return answers.node(
        row["node"],
        n_cores=n_cores,
        architecture={
            "cpu_core_numbering": numbering,
            "nb_cores": n_cores,
            "nb_procs": n_cpus,
            "nb_threads": row["n_threads"],
        },
        processor={"model": row["cpu_model"]},
        main_memory={"ram_size": row["memory_bytes"]},
        supported_job_types={"queues": row["queues"]},
        gpu_devices=gpus,
    )


def api_job(row: Mapping[str, Any], held: list[tuple[str, list[int]]]) -> dict[str, Any]:
    """A job of `tables.Jobs` as an item of `/sites/<site>/jobs?resources=yes`."""
    ids = count(1)

    def seconds(at: datetime | None) -> int | None:
        return None if at is None else int(at.timestamp())

    return answers.g5k_job(
        row["job_id"],
        user=row["user"],
        user_uid=row["user"],
        project=row["project"],
        queue=row["queue"],
        name=row["name"],
        command=row["command"],
        directory=row["directory"],
        mode=row["job_type"],
        types=row["types"],
        state=row["state"],
        walltime=row["walltime_s"],
        exit_code=row["exit_code"],
        submitted_at=seconds(row["submitted_at"]),
        started_at=seconds(row["started_at"]) or 0,
        stopped_at=seconds(row["stopped_at"]),
        events=[
            {"uid": next(ids), "created_at": seconds(row["submitted_at"]), "type": kind}
            for kind in row["events"]
        ],
        resources_by_type={
            "cores": [f"{node}{DOMAIN}/{core}" for node, cores in held for core in cores]
        },
        assigned_nodes=[f"{node}{DOMAIN}" for node, _ in held],
    )


def write_states(states: pl.DataFrame, path: Path) -> None:
    """Notes on states; at least their header."""
    iso = "%Y-%m-%dT%H:%M:%S%.6fZ"
    path.parent.mkdir()
    tables.conform(tables.States, states).select(
        "node",
        "state",
        pl.col("started_at").dt.strftime(iso).alias("from"),
        pl.col("stopped_at").dt.strftime(iso).alias("to"),
    ).write_csv(path)


def write_jsonl(readings: pl.DataFrame, path: Path) -> None:
    """Readings as EnOSlib saves them, a record a line: `"NaN"` in quotes, whole watts as 250."""

    def records() -> Iterator[str]:
        for node, at, power_w in readings.select("node", "timestamp", "power_w").iter_rows():
            if power_w is None or power_w != power_w:
                value = power_w if power_w is None else "NaN"
            else:
                value = int(power_w) if power_w.is_integer() else power_w
            record = {
                "timestamp": at.astimezone(PARIS).isoformat(),
                "device_id": node,
                "metric_id": METRIC,
                "value": value,
                "labels": {},
            }
            yield json.dumps(record) + "\n"

    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.writelines(records())


def write_csv(readings: pl.DataFrame, path: Path) -> None:
    """Readings as Kwollect's CSV; a reading without a value is an empty field."""
    readings.select(
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"),
        pl.col("node").alias("device_id"),
        pl.lit(METRIC).alias("metric_id"),
        pl.col("power_w").alias("value"),
        pl.lit("{}").alias("labels"),
    ).write_csv(path)
