"""Where raw data comes from: one protocol, a module a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import polars as pl

from footprint.node_names import GRID5000


class JobRecords(NamedTuple):
    """Jobs of a window, what they held, and the records that were set aside."""

    jobs: pl.LazyFrame
    allocations: pl.LazyFrame
    set_aside: pl.LazyFrame


class Site(Protocol):
    """A source of nodes, jobs and power, in the tables of `footprint.tables`."""

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node that the source knows (`tables.Nodes`)."""

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a node in [start, end), or were submitted then and never started."""

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """When nodes could not be used (`tables.States`); None when the source cannot tell."""

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame a node, in the order of the nodes' names.

        Columns `node`, `timestamp` (UTC, microseconds), `power_w` (float; NaN or null as the sensor
        gave them), in any order of time, duplicates included: cleaning comes after.
        """

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """The same of a series of the nodes' GPUs or exporters.

        Columns `node`, `labels` (JSON text, keys sorted, as in `{"gpu":"0"}`), `timestamp`,
        `value`.
        """


def open_site(
    source: Mapping[str, Any],
    *,
    site: str,
    download: Mapping[str, Any] | None = None,
    converted: str | Path | None = None,
) -> Site:
    """The site that a configuration's `source` names.

    Args:
        source: The configuration's `source`, as `Study.source` completes it.
        site: Name of the site.
        download: For `grid5000`, the configuration's `download`.
        converted: For `exports`, folder of the power files as Parquet, one subfolder a metric.
    """
    if source["kind"] == "simulated":
        from footprint.site.simulated import SimulatedSite

        return SimulatedSite.from_config(source, site=site)
    if source["kind"] == "grid5000":
        from footprint.site.grid5000.site import Grid5000Site

        return Grid5000Site.from_config(source, site=site, download=download or {})
    from footprint.site.exports import ExportedSite

    return ExportedSite.from_config({**source, "converted": converted}, site=site)


def clusters_of(
    source: Mapping[str, Any], *, site: str, download: Mapping[str, Any] | None = None
) -> list[str]:
    """Names of the source's clusters, sorted. Quick: the Snakefile asks on every start.

    Args:
        source: The configuration's `source`; for `grid5000` with `start`, `end` and `answers`.
        site: Name of the site.
        download: For `grid5000`, the configuration's `download`.

    Raises:
        InputError: The source cannot be read.
    """
    if source["kind"] == "simulated":
        from footprint.site.simulated.hardware import clusters

        return clusters(source)
    if source["kind"] == "grid5000":
        from footprint.site.grid5000.descriptions import Descriptions

        return Descriptions.from_config(source, site=site, download=download or {}).clusters()
    from footprint.site import folders

    return folders.clusters(Path(source["directory"]), source.get("node_pattern", GRID5000))


def files_of(source: Mapping[str, Any]) -> dict[str, list[str]]:
    """Files that nodes, jobs (with resources and states), power, devices and records come from.

    Raises:
        InputError: A folder that must have files has none.
    """
    from footprint.site import folders

    kept = recorded_folder(source)
    recorded = [] if kept is None else [str(path) for path in folders.recorded_files(kept)]
    if source["kind"] != "exports":
        return {"recorded": recorded}
    directory = Path(source["directory"])
    described = folders.node_files(directory)
    about_jobs = [
        *folders.job_files(directory),
        *folders.resource_files(directory),
        *folders.state_files(directory),
    ]
    devices = folders.device_files(directory)
    return {
        "nodes": [str(path) for path in described],
        "jobs": [str(path) for path in [*described, *about_jobs]],
        "power": [str(path) for path in [*described, *folders.power_files(directory)]],
        "devices": [str(path) for path in [*described, *devices]] if devices else [],
        "recorded": recorded,
    }


def recorded_folder(source: Mapping[str, Any]) -> Path | None:
    """Folder of what tools recorded in jobs: the one named, else `recorded/` of the exports."""
    if source.get("recorded") is not None:
        return Path(source["recorded"])
    return Path(source["directory"]) / "recorded" if source["kind"] == "exports" else None
