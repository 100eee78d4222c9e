"""Tables of the source `generic`: small ones, and those of another source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint.sources.kwollect.metrics import GPU_POWER_METRIC, LOAD_METRIC
from footprint.sources.protocol import Site

ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"


def write_csv(path: Path, *lines: str) -> Path:
    """Write lines of CSV to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_small_tables(folder: Path) -> Path:
    """Tables of three nodes, two jobs and a minute of power; the folder."""
    write_csv(folder / "nodes.csv", "node,n_cores,cpu_model", "n[1-3],4,Some CPU")
    write_csv(
        folder / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,n_cores",
        "1,ada,2025-03-03T12:00:10Z,2025-03-03T12:00:40Z,n1,2",
        '2,bob,2025-03-03T13:00:20+01:00,1741003230,"n[1-2]",',
    )
    lines = [
        f"n{node},{1741003200 + second},{100 * node + second}"
        for node in (1, 2, 3)
        for second in range(0, 60, 5)
    ]
    write_csv(folder / "power.csv", "node,timestamp,power_w", *lines)
    return folder


def write_site(
    site: Site,
    folder: Path,
    *,
    metric: str,
    clusters: Sequence[str],
    start: datetime,
    end: datetime,
) -> Path:
    """Write what a source has of a window as generic tables; the folder.

    The power of each cluster is in a file of its own, the first as Parquet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = site.jobs(start=start, end=end)
    _nodes_table(site.nodes().collect()).write_csv(folder / "nodes.csv")
    _jobs_table(records.jobs.collect()).write_csv(folder / "jobs.csv")
    ids = pl.col("cores", "gpus").cast(pl.List(pl.String)).list.join(" ")
    records.allocations.collect().select("job_id", "node", ids).write_csv(
        folder / "allocations.csv"
    )
    states = site.states(start=start, end=end)
    if states is not None:
        (folder / "states").mkdir()
        states.collect().select(
            "node",
            "state",
            pl.col("started_at").dt.strftime(ISO).alias("from"),
            pl.col("stopped_at").dt.strftime(ISO).alias("to"),
        ).write_csv(folder / "states/states.csv")
    (folder / "power").mkdir()
    (folder / "devices").mkdir()
    for number, cluster in enumerate(clusters):
        window: dict[str, Any] = {"cluster": cluster, "start": start, "end": end}
        power = [frame for frame in site.power(metric=metric, **window) if len(frame)]
        if power and number == 0:
            pl.concat(power).write_parquet(folder / f"power/{cluster}.parquet")
        elif power:
            texts = pl.concat(power).with_columns(pl.col("timestamp").dt.strftime(ISO))
            texts.write_csv(folder / f"power/{cluster}.csv")
        for series, column in ((GPU_POWER_METRIC, "power_w"), (LOAD_METRIC, "load1")):
            frames = [f for f in site.devices(metric=series, **window) if len(f)]
            if frames:
                gpu = pl.col("labels").str.json_path_match("$.gpu")
                pl.concat(frames).select(
                    "node",
                    pl.col("timestamp").dt.strftime(ISO),
                    gpu=gpu,
                    **{column: pl.col("value")},
                ).write_csv(folder / f"devices/{cluster}-{column}.csv")
    return folder


def _nodes_table(nodes: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for node in nodes.iter_rows(named=True):
        models, limits = node["gpu_models"], node["gpu_power_limits_w"]
        assert len(set(models)) <= 1
        assert len(set(limits)) <= 1
        rows.append(
            {
                "node": node["node"],
                "n_cores": node["n_cores"],
                "n_cpus": node["n_cpus"],
                "n_threads": node["n_threads"],
                "cpu_model": node["cpu_model"],
                "memory_gib": node["memory_bytes"] / 2**30,
                "n_gpus": len(models),
                "gpu_model": models[0] if models else None,
                "gpu_power_limit_w": limits[0] if limits else None,
                "gpu_memory_gib": node["gpu_memory_bytes"][0] / 2**30 if models else None,
                "cores": " ".join(map(str, node["cores"])),
                "core_gpus": " ".join("-" if g is None else str(g) for g in node["core_gpus"]),
                "queues": " ".join(node["queues"]),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _jobs_table(jobs: pl.DataFrame) -> pl.DataFrame:
    times = pl.col("submitted_at", "started_at", "stopped_at").dt.strftime(ISO)
    lists = pl.col("types", "events").list.join(" ")
    suspensions = [
        " ".join(
            f"{each['started_at'].isoformat()}/{each['stopped_at'].isoformat()}" for each in row
        )
        for row in jobs["suspensions"].to_list()
    ]
    return jobs.with_columns(
        times,
        lists,
        suspensions=pl.Series(suspensions),
        interactive=pl.when(pl.col("job_type") == "INTERACTIVE")
        .then(pl.lit("yes"))
        .otherwise(pl.lit("no")),
        state=pl.col("state").str.to_uppercase(),
    ).drop("site", "job_type")


def study_of_tables(folder: Path, study: dict[str, Any], **config: Any) -> dict[str, Any]:
    """Configuration of a study of generic tables."""
    return {"study": study, "source": {"kind": "generic", "directory": str(folder)}, **config}


def to_json(config: dict[str, Any]) -> str:
    """A configuration as text; JSON is YAML."""
    return json.dumps(config)
