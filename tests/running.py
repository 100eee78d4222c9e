"""Snakemake on a copy of the project, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config.yaml", "workflow", "profiles", "envs", "docs/labels")


class Ran(NamedTuple):
    """What a run left behind: its exit status, and all that it wrote to the terminal."""

    status: int
    said: str


class Project:
    """A copy of the project that a test may edit: its scripts import its own library.

    A copy, so that runs see one state of the code from their start to their end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.library = self.folder / "workflow/src/footprint"
        self._cache = folder / "cache"
        for part in PARTS:
            target = self.folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, target)
            else:
                shutil.copy2(ROOT / part, target)

    def environment(self) -> dict[str, str]:
        """Variables of this process, but for what would change results or slow the run down."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FOOTPRINT_", "SNAKEMAKE_", "POLARS_"))
            and name not in ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS")
        }
        return kept | {
            "PYTHONPATH": str(self.library.parent),
            "XDG_CACHE_HOME": str(self._cache),
            "MPLCONFIGDIR": matplotlib.get_configdir(),  # finding all fonts takes seconds
        }

    def run(self, directory: Path, *options: str, status: int | None = 0) -> Ran:
        """Run Snakemake in a directory whose `study.yaml` configures the study.

        Args:
            directory: Where resources and results go.
            options: Options and targets.
            status: Exit status to expect; None: any.
        """
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.folder / "Snakefile")),
            *("--directory", str(directory), "--configfile", str(directory / "study.yaml")),
            *options,
        ]
        done = subprocess.run(
            command,
            cwd=directory,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert status is None or done.returncode == status, done.stdout
        return Ran(done.returncode, done.stdout)

    def planned(self, directory: Path, *options: str) -> dict[str, int]:
        """Rules that would run, and how often; `all` left out."""
        return job_counts(self.run(directory, "-n", *options).said)


def job_counts(said: str) -> dict[str, int]:
    """The table `Job stats` of what Snakemake says; `all` left out, empty when nothing is to do."""
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total ", said, re.S | re.M)
    rows = table[1].splitlines() if table else []
    counts = {rule: int(count) for rule, count in (row.split() for row in rows)}
    counts.pop("all", None)
    return counts


def configure(directory: Path, **config: Any) -> Path:
    """Write `study.yaml` (JSON is YAML) into a directory, made when it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "study.yaml").write_text(json.dumps(config), encoding="utf-8")
    return directory


def small_study(project: Project, **changes: Any) -> dict[str, Any]:
    """Two days of three GPU nodes with sensors of 1 W, one with 4 W and one without.

    A month ends between the two days. Short work of all kinds, containers and arrays included,
    shares the nodes; six jobs run over the midnight between the months.
    """
    config: dict[str, Any] = {
        "study": {"site": "nancy", "start": "2025-03-31", "end": "2025-04-02"},
        "source": {
            "kind": "simulated",
            "seed": 3,
            "nodes": {"graffiti": 3, "gruss": 1, "gres": 1},
            "jobs": 120,
            "mix": {
                **dict.fromkeys(("sweep", "debug", "inference"), 1),
                **dict.fromkeys(("container", "besteffort"), 0.3),
                **dict.fromkeys(("training", "idle_hold"), 0.03),
                **dict.fromkeys(("chain", "long_inference"), 0),
            },
        },
        "labels": {"files": [str(project.folder / "docs/labels/simulated.yaml")]},
    }
    return config | changes
