"""What a configuration means for the workflow: clusters, months, input files, and what is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from footprint import privacy, settings, site, windows
from footprint.site import kwollect


@dataclass(frozen=True)
class SourceFiles:
    """Files that the source is read from; none where it is not made of files."""

    nodes: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    power: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)


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
    def by_gpu(self) -> bool:
        """Whether the power of single GPUs is known and used: by the gate `two_part`."""
        return self.integration["gate"] == "two_part" and bool(self.files.devices)

    @property
    def integration(self) -> dict[str, Any]:
        """How power becomes energy."""
        return dict(self.config["integration"])

    @property
    def privacy(self) -> dict[str, Any]:
        """How people are concealed."""
        return dict(self.config["privacy"])

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
    def source(self) -> dict[str, Any]:
        """What `site.open_site` needs: the source, with the window of a simulated site."""
        source = dict(self.config["source"])
        return source | {"start": self.start, "end": self.end} if self.simulated else source


def plan(config: dict[str, Any]) -> Study:
    """The study that a checked configuration describes.

    Raises:
        InputError: A cluster that the source does not have, a missing folder, or no key for the
            pseudonyms of real people.
    """
    source = config["source"]
    privacy.load_key(config["privacy"]["key"], simulated=source["kind"] == "simulated")
    return Study(
        config,
        settings.clusters(config, site.clusters_of(source)),
        windows.months(*windows.window(config["study"]["start"], config["study"]["end"])),
        SourceFiles(**site.files_of(source)),
    )
