"""The study that a configuration describes: clusters, months, input files and outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from footprint import __version__
from footprint.config import settings
from footprint.core import calendar, pseudonyms
from footprint.sources import registry
from footprint.sources.exports import folders
from footprint.sources.kwollect import metrics
from footprint.sources.node_names import GRID5000_PATTERN
from footprint.totals import meter_error
from footprint.tracker import reading
from footprint.validation import recordings

# The other keys of `download` do not change the data, so that a change of them repeats no download.
DOWNLOAD_CONTENT_KEYS = (
    "jobs",
    "history_days",
    "former_name_until",
    "summaries",
    "allow_missing",
)


@dataclass(frozen=True)
class SourceFiles:
    """Input files of the source, and ledgers; empty for a source that is not made of files."""

    nodes: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    power: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    ledgers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Study:
    """A configuration in the form that the rules of the workflow use."""

    config: dict[str, Any]
    clusters: list[str]
    months: list[str]
    files: SourceFiles

    @property
    def site(self) -> str:
        """Grid'5000 site."""
        return str(self.config["study"]["site"])

    @property
    def start(self) -> str:
        """First day of the study (ISO, UTC)."""
        return str(self.config["study"]["start"])

    @property
    def end(self) -> str:
        """Day after the last day of the study (ISO, UTC)."""
        return str(self.config["study"]["end"])

    @property
    def description(self) -> str:
        """Site, days and source in a few words, for the terminal."""
        first, end = calendar.study_window(self.start, self.end)
        days, last = (end - first).days, (end - timedelta(days=1)).date()
        kind = self.config["source"]["kind"]
        clusters = f"{len(self.clusters)} clusters" if len(self.clusters) > 1 else self.clusters[0]
        return f"{self.site} ({clusters}), {self.start} to {last} ({days} days), source {kind}"

    @property
    def weeks(self) -> float:
        """Length of the study in weeks."""
        first, end = calendar.study_window(self.start, self.end)
        return (end - first) / timedelta(days=7)

    @property
    def metric(self) -> str:
        """Kwollect metric that is integrated."""
        return str(self.integration["metric"])

    @property
    def gpu_metric(self) -> str:
        """Kwollect metric of the power of single GPUs."""
        return metrics.GPU_POWER_METRIC

    @property
    def series(self) -> list[str]:
        """Series of devices that are read in addition to the power of nodes, sorted."""
        if self.is_exported:
            kind = self.config["source"]["kind"]
            names = metrics.EXPORTED_SERIES if kind == "exports" else metrics.TABLE_SERIES
            return sorted(names) if self.files.devices else []
        return sorted(self.config["download"]["devices"])

    @property
    def has_gpu_power(self) -> bool:
        """Whether the source has the power of single GPUs."""
        return self.gpu_metric in self.series

    @property
    def other_series(self) -> list[str]:
        """Series other than the power of GPUs."""
        return [name for name in self.series if name != self.gpu_metric]

    @property
    def cpu_series(self) -> dict[str, list[str]]:
        """Series of processors: `load` and `package`, each with one name or none."""
        names = {"load": metrics.LOAD_METRIC, "package": metrics.PACKAGE_METRIC}
        return {key: [name] if name in self.series else [] for key, name in names.items()}

    @property
    def has_cpu_series(self) -> bool:
        """Whether there is a series of processors."""
        return any(self.cpu_series.values())

    @property
    def has_power_series(self) -> bool:
        """Whether there is a series from which the power of a node can be estimated."""
        return self.has_gpu_power or bool(self.cpu_series["load"])

    @property
    def is_divided_by_gpu(self) -> bool:
        """Whether energy is divided among jobs by the power of GPUs (gate `two_part`)."""
        return self.integration["gate"] == "two_part" and self.has_gpu_power

    @property
    def hardware(self) -> dict[str, Any]:
        """Hardware that the catalogue lacks: `cpus`, `gpus` and `nodes`."""
        return dict(self.config["hardware"])

    @property
    def node_pattern(self) -> str:
        """Regular expression of node names; the simulated site has names of Grid'5000."""
        return GRID5000_PATTERN if self.is_simulated else str(self.config["source"]["node_pattern"])

    @property
    def estimators(self) -> list[str] | str:
        """Estimators to compute, or `all`."""
        wanted: list[str] | str = self.config["estimators"]
        return wanted

    @property
    def pue(self) -> float:
        """Factor by which the comparison multiplies every method."""
        return float(self.config["pue"])

    @property
    def recorded_folder(self) -> str | None:
        """Folder of runs that tools recorded in jobs."""
        folder = registry.recorded_folder(self.config["source"])
        return None if folder is None else str(folder)

    @property
    def phases(self) -> dict[str, Any]:
        """Settings of the merging of jobs into runs and of the classification."""
        return dict(self.config["phases"])

    @property
    def unreadable_records(self) -> list[list[str]]:
        """Entries of `recorded_folder` that cannot be read: relative path and reason."""
        folder = self.recorded_folder
        found = [] if folder is None else folders.unreadable_records(Path(folder))
        return [list(each) for each in found]

    @property
    def has_records(self) -> bool:
        """Whether there are recorded runs, readable or not."""
        return bool(self.files.recorded or self.unreadable_records)

    @property
    def has_model_list(self) -> bool:
        """Whether a list of notable models is configured, in addition to the built-in ones."""
        epoch = self.config["epoch"]
        return epoch["file"] is not None or epoch["url"] is not None

    @property
    def has_usage_files(self) -> bool:
        """Whether files about the active users of a longer time are configured."""
        usage = self.config["usage"]
        return usage["history"] is not None or usage["statistics"] is not None

    @property
    def has_ledgers(self) -> bool:
        """Whether ledgers are configured."""
        return bool(self.config["labels"]["ledgers"])

    @property
    def unreadable_ledgers(self) -> list[str]:
        """Names of `.jsonl` entries of the ledgers' folders that cannot be read."""
        return [
            path.name
            for folder in self.config["labels"]["ledgers"]
            for path, _ in folders.list_tree(Path(folder), suffix=".jsonl").unreadable
        ]

    @property
    def integration(self) -> dict[str, Any]:
        """Settings of the integration of power to energy.

        The errors of the meters are not among them, so that a change of `integration.meter` repeats
        no integration.
        """
        settings = dict(self.config["integration"])
        del settings["meter"]
        return settings

    @property
    def meters(self) -> dict[str, Any]:
        """Errors of the meters: `low`, `high` and `correlation` of gains, and `calibration`."""
        return meter_settings(self.config["integration"])

    @property
    def privacy(self) -> dict[str, Any]:
        """Settings of the pseudonyms and of small groups."""
        return {name: self.config["privacy"][name] for name in ("key", "minimum_group")}

    @property
    def reveals_logins(self) -> bool:
        """Whether real names are written to `private/`."""
        return bool(self.config["privacy"]["reveal"])

    @property
    def is_simulated(self) -> bool:
        """Whether the site is simulated."""
        return bool(self.config["source"]["kind"] == "simulated")

    @property
    def has_truth(self) -> bool:
        """Whether true energies exist: on the simulated site, for the gate `reserved`."""
        return self.is_simulated and bool(self.integration["gate"] == "reserved")

    @property
    def is_exported(self) -> bool:
        """Whether the source is a folder of files."""
        return bool(self.config["source"]["kind"] in ("exports", "generic"))

    @property
    def has_counters(self) -> bool:
        """Whether the source has energy counters beside the power that is integrated."""
        source = self.config["source"]
        if source["kind"] != "generic" or source["power"] != "watts":
            return False
        from footprint.sources.generic import folders as tables

        return tables.has_counters(Path(source["directory"]))

    @property
    def jobs_complete(self) -> bool:
        """Whether the source has every job of the nodes."""
        return bool(self.config["source"]["jobs_complete"])

    @property
    def is_downloaded(self) -> bool:
        """Whether the source is downloaded from the services of Grid'5000."""
        return bool(self.config["source"]["kind"] == "grid5000")

    @property
    def retries(self) -> int:
        """How often a rule that uses a service is repeated after a failure."""
        return 1 if self.is_downloaded else 0

    @property
    def source(self) -> dict[str, Any]:
        """Settings of the source (`registry.open_site`) that affect its data."""
        source = dict(self.config["source"])
        del source["recorded"]
        if not self.is_exported:
            source |= {"start": self.start, "end": self.end}
        if self.is_downloaded:
            source |= {key: self.config["download"][key] for key in DOWNLOAD_CONTENT_KEYS}
            source |= {"clusters": self.clusters, "answers": answers_folder(self.site)}
        return source

    @property
    def recordings(self) -> list[str]:
        """Files of the recordings in `validation.directory`; empty if they are downloaded."""
        folder = self.config["validation"]["directory"]
        return [] if folder is None else [str(path) for path in recordings.recording_files(folder)]

    @property
    def recordings_provenance(self) -> str:
        """Provenance line of figures and tables of the recordings."""
        return f"{recordings.RECORDINGS_ORIGIN} · footprint {__version__}"


def meter_settings(integration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the errors of the meters (`ErrorModel.of_study`).

    Args:
        integration: Section `integration` of the configuration.

    Returns:
        `low`, `high`, `correlation`, by the metric where the configuration has null; `calibration`
        by cluster.
    """
    usual = asdict(meter_error.default_interval(str(integration["metric"])))
    given = {key: float(value) for key, value in integration["meter"].items() if value is not None}
    return usual | given | {"calibration": dict(integration["calibration"])}


def answers_folder(site: str) -> str:
    """Return the folder that keeps the answers of a site's services, to avoid repeated requests."""
    return f"resources/{site}/answers"


def protect_resources(folder: str | Path = "resources") -> None:
    """Make the folder of raw records, which has logins and commands, one of its owner alone.

    A folder of somebody else, who decides for it, stays as it is.
    """
    folder = Path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)


def _ledger_files(folders: list[str]) -> list[str]:
    """Files of all ledgers, without duplicates, sorted."""
    return sorted({str(path) for folder in folders for path in reading.ledger_files(Path(folder))})


def plan_study(config: dict[str, Any]) -> Study:
    """Return the study that a checked configuration describes.

    For `grid5000`, the clusters of the site are requested from the API; its answers are kept.

    Args:
        config: A configuration as `settings.prepare_configuration` returns it.

    Raises:
        InputError: A cluster is not in the source, a folder is missing, a service refuses the
            request, or there is no key for the pseudonyms of real people.
    """
    source = config["source"]
    pseudonyms.load_key(config["privacy"]["key"], simulated=source["kind"] == "simulated")
    window = {key: str(config["study"][key]) for key in ("start", "end")}
    request = source | window | {"answers": answers_folder(config["study"]["site"])}
    if source["kind"] == "grid5000":
        protect_resources()  # before the first answer is kept
    known = registry.source_clusters(
        request, site=config["study"]["site"], download=config["download"]
    )
    return Study(
        config,
        settings.select_clusters(config, known),
        calendar.months_between(*calendar.study_window(**window)),
        SourceFiles(
            **registry.source_files(source), ledgers=_ledger_files(config["labels"]["ledgers"])
        ),
    )
