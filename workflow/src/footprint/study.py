"""What a configuration means for the workflow: clusters, months, input files, and what is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from footprint import __version__, privacy, settings, site, windows
from footprint.node_names import GRID5000
from footprint.site import folders, kwollect
from footprint.tracker import reading
from footprint.validation import recordings

# The other keys of `download` say how to ask, not what for: a change of them repeats nothing.
CHANGES_WHAT_IS_DOWNLOADED = (
    "jobs",
    "history_days",
    "former_name_until",
    "summaries",
    "allow_missing",
)


@dataclass(frozen=True)
class SourceFiles:
    """Files that the source is read from, and ledgers; none where it is not made of files."""

    nodes: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    power: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    ledgers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Study:
    """A configuration, as the rules use it."""

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
        """First day (ISO, UTC)."""
        return str(self.config["study"]["start"])

    @property
    def end(self) -> str:
        """Day after the last (ISO, UTC)."""
        return str(self.config["study"]["end"])

    @property
    def metric(self) -> str:
        """Kwollect metric that is integrated."""
        return str(self.integration["metric"])

    @property
    def gpu_metric(self) -> str:
        """Kwollect metric of the power of single GPUs."""
        return kwollect.GPU_POWER_METRIC

    @property
    def series(self) -> list[str]:
        """Series of devices that are fetched beside the power of nodes, sorted."""
        if self.exported:
            return [self.gpu_metric] if self.files.devices else []
        return sorted(self.config["download"]["devices"])

    @property
    def has_gpu_power(self) -> bool:
        """Whether the power of single GPUs is known."""
        return self.gpu_metric in self.series

    @property
    def other_series(self) -> list[str]:
        """Series beside the power of GPUs."""
        return [name for name in self.series if name != self.gpu_metric]

    @property
    def cpu_series(self) -> dict[str, list[str]]:
        """Those of them that tell of processors: `load` and `package`, each one name or none."""
        names = {"load": kwollect.LOAD_METRIC, "package": kwollect.PACKAGE_METRIC}
        return {what: [name] if name in self.series else [] for what, name in names.items()}

    @property
    def has_cpu_series(self) -> bool:
        """Whether anything tells what processors did."""
        return any(self.cpu_series.values())

    @property
    def by_gpu(self) -> bool:
        """Whether the power of single GPUs divides energy among jobs: by the gate `two_part`."""
        return self.integration["gate"] == "two_part" and self.has_gpu_power

    @property
    def hardware(self) -> dict[str, Any]:
        """Hardware that the catalogue lacks: `cpus`, `gpus` and `nodes`."""
        return dict(self.config["hardware"])

    @property
    def node_pattern(self) -> str:
        """Regular expression of the names of nodes; the simulated site has names of its own."""
        return GRID5000 if self.simulated else str(self.config["source"]["node_pattern"])

    @property
    def estimators(self) -> list[str] | str:
        """Estimators beside the measurement, or `all`."""
        wanted: list[str] | str = self.config["estimators"]
        return wanted

    @property
    def pue(self) -> float:
        """Factor by which the comparison multiplies every method."""
        return float(self.config["pue"])

    @property
    def recorded_folder(self) -> str | None:
        """Folder of what tools recorded in jobs."""
        folder = site.recorded_folder(self.config["source"])
        return None if folder is None else str(folder)

    @property
    def phases(self) -> dict[str, Any]:
        """How jobs become runs, and runs get their kinds."""
        return dict(self.config["phases"])

    @property
    def unreadable_records(self) -> list[list[str]]:
        """Entries of that folder that cannot be read: path in it, and the reason."""
        folder = self.recorded_folder
        found = [] if folder is None else folders.unreadable_records(Path(folder))
        return [list(each) for each in found]

    @property
    def has_records(self) -> bool:
        """Whether jobs left records of tools, or something else is in their place."""
        return bool(self.files.recorded or self.unreadable_records)

    @property
    def has_model_list(self) -> bool:
        """Whether a list of notable models is named, beside those that are built in."""
        epoch = self.config["epoch"]
        return epoch["file"] is not None or epoch["url"] is not None

    @property
    def has_ledgers(self) -> bool:
        """Whether people gave ledgers of what they tracked."""
        return bool(self.config["labels"]["ledgers"])

    @property
    def unreadable_ledgers(self) -> list[str]:
        """Names of entries of the ledgers' folders that should be files and cannot be read."""
        return [
            path.name
            for folder in self.config["labels"]["ledgers"]
            for path, _ in folders.tree(Path(folder), suffix=".jsonl").unreadable
        ]

    @property
    def integration(self) -> dict[str, Any]:
        """How power becomes energy."""
        return dict(self.config["integration"])

    @property
    def privacy(self) -> dict[str, Any]:
        """How people are concealed in what is published."""
        return {name: self.config["privacy"][name] for name in ("key", "minimum_group")}

    @property
    def reveal(self) -> bool:
        """Whether real names are written to `private/`."""
        return bool(self.config["privacy"]["reveal"])

    @property
    def simulated(self) -> bool:
        """Whether the site is simulated."""
        return bool(self.config["source"]["kind"] == "simulated")

    @property
    def checked(self) -> bool:
        """Whether measured energies can be compared with true ones: those of reserved shares."""
        return self.simulated and bool(self.integration["gate"] == "reserved")

    @property
    def exported(self) -> bool:
        """Whether the source is a directory of files."""
        return bool(self.config["source"]["kind"] == "exports")

    @property
    def jobs_complete(self) -> bool:
        """Whether every job of the nodes is known."""
        return bool(self.config["source"]["jobs_complete"])

    @property
    def asked(self) -> bool:
        """Whether the source is the services of a site, over the network."""
        return bool(self.config["source"]["kind"] == "grid5000")

    @property
    def retries(self) -> int:
        """How often a rule that asks a service is tried again."""
        return 1 if self.asked else 0

    @property
    def source(self) -> dict[str, Any]:
        """What `site.open_site` needs, and what makes a difference to what it gives."""
        source = dict(self.config["source"])
        del source["recorded"]
        if not self.exported:
            source |= {"start": self.start, "end": self.end}
        if self.asked:
            source |= {key: self.config["download"][key] for key in CHANGES_WHAT_IS_DOWNLOADED}
            source |= {"clusters": self.clusters, "answers": answers_folder(self.site)}
        return source

    @property
    def recordings(self) -> list[str]:
        """Files of the recordings in `validation.directory`; none where they are fetched."""
        folder = self.config["validation"]["directory"]
        return [] if folder is None else [str(path) for path in recordings.files(folder)]

    @property
    def recordings_provenance(self) -> str:
        """What the foot of a figure or a table says of the recordings."""
        return f"{recordings.ORIGIN} · footprint {__version__}"


def answers_folder(site: str) -> str:
    """Where the answers of a site's services are kept, so that nothing is asked for twice."""
    return f"resources/{site}/answers"


def _ledger_files(folders: list[str]) -> list[str]:
    """Files of each ledger, each of them once."""
    found = {str(path) for folder in folders for path in reading.files(Path(folder))}
    return sorted(found)


def plan(config: dict[str, Any]) -> Study:
    """The study that a checked configuration describes.

    For `grid5000`, the API is asked which clusters the site had; its answers are kept.

    Raises:
        InputError: A cluster that the source does not have, a missing folder, a service that
            refuses, or no key for the pseudonyms of real people.
    """
    source = config["source"]
    privacy.load_key(config["privacy"]["key"], simulated=source["kind"] == "simulated")
    window = {key: str(config["study"][key]) for key in ("start", "end")}
    asked = source | window | {"answers": answers_folder(config["study"]["site"])}
    known = site.clusters_of(asked, site=config["study"]["site"], download=config["download"])
    return Study(
        config,
        settings.clusters(config, known),
        windows.months(*windows.window(**window)),
        SourceFiles(**site.files_of(source), ledgers=_ledger_files(config["labels"]["ledgers"])),
    )
