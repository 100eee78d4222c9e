"""CodeCarbon beside a tracked command (`--with codecarbon`), from an optional package."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

COMPANION_NAMES = ("codecarbon",)


class CodeCarbon:
    """CodeCarbon's tracker of the whole machine; its project in `emissions.csv` names the job.

    Args:
        folder: Folder of `emissions.csv`; created if missing.
        job: Id of the OAR job, by which `source.recorded` of the pipeline matches the file; None:
            outside a job.
        identity: Name of the project outside a job.
    """

    def __init__(self, folder: Path, *, job: int | None, identity: str) -> None:
        self._folder = folder
        self._project = f"oar-{job}" if job is not None else identity
        self._tracker: Any = None

    def start(self) -> None:
        """Import the package, which takes seconds, and start its tracker."""
        import logging

        package = importlib.import_module("codecarbon")
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._tracker = package.OfflineEmissionsTracker(
            country_iso_code="FRA",
            project_name=self._project,
            output_dir=str(self._folder),
            log_level="critical",
            # its lock would stop a CodeCarbon that the command itself starts
            allow_multiple_runs=True,
        )
        self._tracker.start()

    def flush(self) -> None:
        """Write the energy so far, which survives a kill of the job."""
        if self._tracker is not None:
            self._tracker.flush()
            self._make_private()

    def stop(self) -> None:
        """Stop the tracker, and write its result."""
        if self._tracker is not None:
            self._tracker.stop()
            self._make_private()

    def _make_private(self) -> None:
        """Make the files of the folder readable by their owner alone."""
        for path in self._folder.glob("*.csv"):
            path.chmod(0o600)


def missing_package(name: str) -> str | None:
    """Name of a companion's package if it is not installed; None if it is."""
    import importlib.util

    return None if importlib.util.find_spec(name) is not None else name
