"""CodeCarbon beside a tracked command (`--with codecarbon`): an extra, installed apart."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

NAMES = ("codecarbon",)


class CodeCarbon:
    """CodeCarbon's own tracker of the whole machine; its `emissions.csv` names the job.

    Args:
        folder: Folder for `emissions.csv`; made when it is missing.
        job: OAR's job, by which `source.recorded` of the pipeline finds it.
        identity: Identity of what is tracked, where there is no job.
    """

    def __init__(self, folder: Path, *, job: int | None, identity: str) -> None:
        self._folder = folder
        self._project = f"oar-{job}" if job is not None else identity
        self._tracker: Any = None

    def start(self) -> None:
        """Import the package, which takes seconds, and begin."""
        import logging

        package = importlib.import_module("codecarbon")
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tracker = package.OfflineEmissionsTracker(
            country_iso_code="FRA",
            project_name=self._project,
            output_dir=str(self._folder),
            log_level="critical",
            # its lock would stop a CodeCarbon that the command itself starts
            allow_multiple_runs=True,
        )
        self._tracker.start()

    def beat(self) -> None:
        """Write what is known so far: a job that is killed keeps that."""
        if self._tracker is not None:
            self._tracker.flush()

    def stop(self) -> None:
        """End, and write the result."""
        if self._tracker is not None:
            self._tracker.stop()


def missing(name: str) -> str | None:
    """The package that a companion needs and that is not installed; null when it is there."""
    import importlib.util

    return None if importlib.util.find_spec(name) is not None else name
