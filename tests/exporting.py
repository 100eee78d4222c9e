"""A simulated site in the files that a user of a real one would have saved."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import answers
import polars as pl

from footprint import settings, study, tables, windows
from footprint.serve import jobs, recorded, reference
from footprint.site.simulated import SimulatedSite

METRIC = "bmc_node_power_watt"
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
        page = answers.page(*(reference.node(row) for row in rows))
        answers.save(folder / "nodes" / f"{cluster}.json", page)
    records = site.jobs(start=start, end=end)
    items = [jobs.item(row) for row in reversed(recorded.job_rows(records))]
    for number, first in enumerate(range(0, len(items), JOBS_A_PAGE)):
        page = answers.page(*items[first : first + JOBS_A_PAGE])
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
