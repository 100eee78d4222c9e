"""Exports of a simulated site, in the files that a user of a real site would save."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl

from footprint.config import settings, study
from footprint.core import calendar
from footprint.schemas.raw import States
from footprint.schemas.writing import conform
from footprint.serve import jobs, recorded, reference
from footprint.sources.simulated import SimulatedSite
from tests.support import api_answers

METRIC = "bmc_node_power_watt"
PARIS = timezone(timedelta(hours=2))
JOBS_PER_PAGE = 25


def write_exports(config: Mapping[str, Any], folder: Path) -> None:
    """Write nodes, jobs, states and power of the site that a configuration simulates.

    Nodes are answers of the Reference API, jobs are pages of `/jobs`, states are notes. Power has
    the raw readings of the sensors: of graffiti as compressed JSON lines with Paris' offset, of the
    other clusters as CSV in UTC. Both include an hour before and after the study.
    """
    planned = study.plan_study(settings.prepare_configuration(config))
    site = SimulatedSite.from_config(planned.source, site=planned.site)
    start, end = calendar.study_window(planned.start, planned.end)
    nodes = site.nodes().collect()
    for (cluster,), described in nodes.partition_by("cluster", as_dict=True).items():
        rows = described.iter_rows(named=True)
        page = api_answers.collection_page(*(reference.node_description(row) for row in rows))
        api_answers.save_json(folder / "nodes" / f"{cluster}.json", page)
    records = site.jobs(start=start, end=end)
    items = [jobs.job_item(row, row["walltime_s"]) for row in reversed(recorded.job_rows(records))]
    for number, first in enumerate(range(0, len(items), JOBS_PER_PAGE)):
        page = api_answers.collection_page(*items[first : first + JOBS_PER_PAGE])
        api_answers.save_json(folder / "jobs" / f"page-{number}.json", page)
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
    """Write notes on states; without states, the header alone."""
    iso = "%Y-%m-%dT%H:%M:%S%.6fZ"
    path.parent.mkdir()
    conform(States, states).select(
        "node",
        "state",
        pl.col("started_at").dt.strftime(iso).alias("from"),
        pl.col("stopped_at").dt.strftime(iso).alias("to"),
    ).write_csv(path)


def write_jsonl(readings: pl.DataFrame, path: Path) -> None:
    """Write readings in EnOSlib's form, a record a line: `"NaN"` in quotes, whole watts as 250."""

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
    """Write readings as Kwollect's CSV; a missing value is an empty field."""
    readings.select(
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"),
        pl.col("node").alias("device_id"),
        pl.lit(METRIC).alias("metric_id"),
        pl.col("power_w").alias("value"),
        pl.lit("{}").alias("labels"),
    ).write_csv(path)
