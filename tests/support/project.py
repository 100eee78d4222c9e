"""Snakemake runs on a copy of the project."""

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

ROOT = Path(__file__).parents[2]
SCRIPT_RECORDER = Path(__file__).with_name("script_recorder")
COPIED_PATHS = ("Snakefile", "config.yaml", "workflow", "profiles", "envs", "docs/labels")


class CompletedRun(NamedTuple):
    """Exit status of a run, and its output on the terminal."""

    status: int
    output: str


class Project:
    """Copy of the project, whose scripts import its own library.

    Tests may edit it, and edits of the working tree do not change a running test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.library = self.folder / "workflow/src/footprint"
        self._cache = folder / "cache"
        for part in COPIED_PATHS:
            target = self.folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, target)
            else:
                shutil.copy2(ROOT / part, target)

    def environment(self) -> dict[str, str]:
        """Variables of this process, without those that would change results or slow the run."""
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

    def run(
        self,
        directory: Path,
        *options: str,
        status: int | None = 0,
        records: Path | None = None,
        logger: bool = False,
    ) -> CompletedRun:
        """Run Snakemake in a directory whose `study.yaml` configures the study.

        Args:
            directory: Where resources and results go.
            options: Options and targets.
            status: Exit status to expect; None: any.
            records: Folder to be made, for records of the scripts (`script_recorder`).
            logger: Print by the log handler of the profile instead of Snakemake's own output.
        """
        environment = self.environment()
        if records is not None:
            records.mkdir()
            environment["RECORDED_SCRIPTS"] = str(records)
            environment["PYTHONPATH"] += f"{os.pathsep}{SCRIPT_RECORDER}"
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.folder / "Snakefile")),
            *("--directory", str(directory), "--configfile", str(directory / "study.yaml")),
            *([] if logger else ["--logger-footprint-off"]),
            *options,
        ]
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert status is None or done.returncode == status, done.stdout
        return CompletedRun(done.returncode, done.stdout)

    def planned(self, directory: Path, *options: str) -> dict[str, int]:
        """Number of planned jobs by rule, without `all`."""
        return job_counts(self.run(directory, "-n", *options).output)


def job_counts(output: str) -> dict[str, int]:
    """Number of jobs by rule in the table `Job stats` of an output of Snakemake, without `all`."""
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total ", output, re.S | re.M)
    rows = table[1].splitlines() if table else []
    counts = {rule: int(count) for rule, count in (row.split() for row in rows)}
    counts.pop("all", None)
    return counts


def configure(directory: Path, **config: Any) -> Path:
    """Write `study.yaml` (JSON is YAML) into a directory, and return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "study.yaml").write_text(json.dumps(config), encoding="utf-8")
    return directory


def small_study(project: Project, **changes: Any) -> dict[str, Any]:
    """Configuration of two days of three GPU nodes with sensors of 1 W, one with 4 W, one without.

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
