"""Small inputs with one fault each, from the folder that FOOTPRINT_SHARED_CASES names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tests.support.project import CompletedRun, Project, configure

ENERGY_TABLES = ("results/energy/jobs.parquet", "results/energy/quality.parquet")


class Case:
    """Copy of one case's folder, with its configuration as `study.yaml`."""

    def __init__(self, folder: Path, directory: Path) -> None:
        config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        self.directory = configure(directory / folder.name, **config)
        shutil.copytree(folder / "exports", self.directory / "exports")
        for path in self.directory.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # the original is read-only

    def configure(self, **changes: Any) -> None:
        """Replace top-level keys of the configuration."""
        config = yaml.safe_load((self.directory / "study.yaml").read_text("utf-8"))
        configure(self.directory, **(config | changes))

    def run(self, project: Project, *targets: str, status: int | None = 0) -> CompletedRun:
        """Run Snakemake on the case; without targets, up to the energies of jobs."""
        return project.run(
            self.directory, "--cores", "2", *(targets or ENERGY_TABLES), status=status
        )

    def table(self, path: str) -> pl.DataFrame:
        """Table of the results, by its path below `results/` without suffix."""
        return pl.read_parquet(self.directory / "results" / f"{path}.parquet")

    def energies_kwh(self) -> dict[int, float | None]:
        """Measured energy in kWh by job id; None where nothing was measured."""
        jobs = self.table("energy/jobs").sort("job_id")
        return dict(jobs.select("job_id", "measured_kwh").iter_rows())
