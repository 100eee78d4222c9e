"""Kinds of sources: opening a source, its clusters, and its input files.

Modules of a source are imported when it is opened, so that none loads the packages of another.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from footprint.sources.node_names import GRID5000_PATTERN

if TYPE_CHECKING:
    from footprint.sources.protocol import Site  # loads Polars, which the Snakefile does not need

SITE_CLASSES = {
    "simulated": "footprint.sources.simulated.site:SimulatedSite",
    "grid5000": "footprint.sources.grid5000.site:Grid5000Site",
    "exports": "footprint.sources.exports.site:ExportedSite",
    "generic": "footprint.sources.generic.site:GenericSite",
}
"""Module and class of the site of each kind of source.

Classes are imported by these names, so that a script loads one, and a change of one kind of source
reruns no study of another (`site_module`).
"""


def site_module(source: Mapping[str, Any]) -> str:
    """Name of the module that `open_site` imports for a source."""
    return SITE_CLASSES[source["kind"]].partition(":")[0]


def open_site(
    source: Mapping[str, Any],
    *,
    site: str,
    download: Mapping[str, Any] | None = None,
    converted: str | Path | None = None,
) -> Site:
    """Open the site that the configuration's `source` names.

    Args:
        source: `source` of the configuration, as completed by `Study.source`.
        site: Name of the site.
        download: `download` of the configuration, for `grid5000`.
        converted: Folder of the power files as Parquet, one subfolder a metric, for `exports` and
            `generic`.

    Raises:
        InputError: The folder of the files is missing.
    """
    site_class: Any = pkgutil.resolve_name(SITE_CLASSES[source["kind"]])
    opened: Site = (
        site_class.from_config(source, site=site, download=download or {})
        if source["kind"] == "grid5000"
        else site_class.from_config({**source, "converted": converted}, site=site)
    )
    return opened


def source_clusters(
    source: Mapping[str, Any], *, site: str, download: Mapping[str, Any] | None = None
) -> list[str]:
    """Names of the source's clusters, sorted.

    The Snakefile calls this on every start, so it avoids imports that take long.

    Args:
        source: `source` of the configuration; for `grid5000` with `start`, `end` and `answers`.
        site: Name of the site.
        download: `download` of the configuration, for `grid5000`.

    Raises:
        InputError: The source cannot be read.
    """
    if source["kind"] == "simulated":
        from footprint.sources.simulated.hardware import cluster_names

        return cluster_names(source)
    if source["kind"] == "grid5000":
        from footprint.sources.grid5000.descriptions import Descriptions

        return Descriptions.from_config(source, site=site, download=download or {}).clusters()
    if source["kind"] == "generic":
        from footprint.sources.generic.folders import described_clusters

        return described_clusters(Path(source["directory"]), source["node_pattern"])
    from footprint.sources.exports import folders

    return folders.described_clusters(
        Path(source["directory"]), source.get("node_pattern", GRID5000_PATTERN)
    )


def source_files(source: Mapping[str, Any]) -> dict[str, list[str]]:
    """Input files by use: `nodes`, `jobs`, `power`, `devices` and `recorded`.

    The files of `jobs` include those of resources, allocations and states. Sources that are not
    made of files have `recorded` alone.

    Args:
        source: `source` of the configuration.

    Raises:
        InputError: A required folder is missing or has no file, or an entry cannot be read.
    """
    from footprint.sources.exports import folders

    folder = recorded_folder(source)
    recorded = [] if folder is None else [str(path) for path in folders.recorded_files(folder)]
    if source["kind"] == "generic":
        return _generic_files(Path(source["directory"])) | {"recorded": recorded}
    if source["kind"] != "exports":
        return {"recorded": recorded}
    directory = Path(source["directory"])
    nodes = folders.node_files(directory)
    jobs = [
        *folders.job_files(directory),
        *folders.resource_files(directory),
        *folders.state_files(directory),
    ]
    devices = folders.device_files(directory)
    has_devices = bool(devices or folders.unreadable_entries(directory, "devices"))
    return {
        "nodes": [str(path) for path in nodes],
        "jobs": [str(path) for path in [*nodes, *jobs]],
        "power": [str(path) for path in [*nodes, *folders.power_files(directory)]],
        "devices": [str(path) for path in [*nodes, *devices]] if has_devices else [],
        "recorded": recorded,
    }


def _generic_files(directory: Path) -> dict[str, list[str]]:
    """Input files of the source `generic` by use, without `recorded`."""
    from footprint.sources.generic.folders import table_files

    tables = ("nodes", "jobs", "allocations", "states", "power", "devices")
    paths = {table: [str(path) for path in table_files(directory, table)] for table in tables}
    return {
        "nodes": paths["nodes"],
        "jobs": paths["nodes"] + paths["jobs"] + paths["allocations"] + paths["states"],
        "power": paths["nodes"] + paths["power"],
        "devices": paths["nodes"] + paths["devices"] if paths["devices"] else [],
    }


def recorded_folder(source: Mapping[str, Any]) -> Path | None:
    """Folder of files that energy tools recorded in jobs; None without one.

    It is `source.recorded` where set, else `recorded/` of a folder of files.
    """
    if source.get("recorded") is not None:
        return Path(source["recorded"])
    has_folder = source["kind"] in ("exports", "generic")
    return Path(source["directory"]) / "recorded" if has_folder else None
