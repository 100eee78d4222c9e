"""Time the planning of a large study, and the share of Snakemake itself in a run.

    uv run python tests/benchmarks/run_study.py --cores 2

Plans a study of 14 clusters and 24 months (`snakemake -n`), the best of three, then makes every
result of the default study in a folder of its own. Prints jobs, seconds, the processor seconds of
Snakemake's process (parsing, planning, scheduling, bookkeeping), those of all that it started, and
the part of these that scripts took to start: the interpreter and all imports. `--project OTHER`
measures another checkout with its own `.venv` beside this one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
IMPORT_TIMER = Path(__file__).with_name("import_timer")
N_CLUSTERS = 14
LARGE = {
    "study": {"site": "nancy", "start": "2023-01-01", "end": "2025-01-01"},
    "source": {"kind": "exports", "directory": "saved"},
    "privacy": {"key": "name.key"},
    "download": {"devices": []},
    "labels": {"files": []},
}
# Snakemake in this process, which then writes the processor time of itself and its children.
MEASURED = """
import json, resource, sys
from snakemake.cli import main
try:
    main(sys.argv[2:])
except SystemExit as end:
    status = end.code
used = {name: sum(resource.getrusage(getattr(resource, name))[:2])
        for name in ("RUSAGE_SELF", "RUSAGE_CHILDREN")}
open(sys.argv[1], "w").write(json.dumps(used))
sys.exit(status)
"""


class Run(NamedTuple):
    """Jobs, elapsed seconds, and processor seconds of Snakemake, its children, and their start."""

    n_jobs: int
    wall_s: float
    own_s: float
    children_s: float
    start_s: float


def run_snakemake(folder: Path, *options: str, project: Path = ROOT) -> Run:
    """Run the workflow of a checkout in a folder."""
    used, starts = folder / "used.json", folder / "starts"
    starts.mkdir(exist_ok=True)
    python = sys.executable if project == ROOT else str(project / ".venv/bin/python")
    command = [python, "-c", MEASURED, str(used), "--snakefile", str(project / "Snakefile")]
    measuring = {"PYTHONPATH": str(IMPORT_TIMER), "MEASURED_STARTS": str(starts)}
    begin = time.perf_counter()
    done = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=os.environ | measuring,
        capture_output=True,
        text=True,
    )
    wall_s = time.perf_counter() - begin
    output = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(output[-3000:])
    [n_jobs, *_] = re.findall(r"^total\s+(\d+)", output, re.M)
    seconds = json.loads(used.read_text())
    start_s = sum(float(path.read_text()) for path in starts.iterdir())
    return Run(int(n_jobs), wall_s, seconds["RUSAGE_SELF"], seconds["RUSAGE_CHILDREN"], start_s)


def default_study(folder: Path, project: Path = ROOT) -> Path:
    """Create a folder with the default study of a checkout."""
    folder.mkdir()
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["simulated"]["labels"] = [str(project / each) for each in config["simulated"]["labels"]]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def large_study(folder: Path) -> Path:
    """Create a folder with a study of saved files, complete enough for planning."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(LARGE))
    (folder / "name.key").write_text("0123456789abcdef" * 4)
    (folder / "name.key").chmod(0o600)
    nodes = [{"uid": f"c{number}-1", "architecture": {}} for number in range(N_CLUSTERS)]
    for kind, text in {"nodes": json.dumps({"items": nodes}), "jobs": "{}", "power": "[]"}.items():
        (folder / "saved" / kind).mkdir(parents=True)
        (folder / "saved" / kind / "page.json").write_text(text)
    return folder


def main() -> None:
    """Plan the large study, run the default one, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--plan-only", action="store_true")
    parser.add_argument("--project", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    header = ("jobs", "wall s", "Snakemake CPU s", "jobs CPU s", "of it start")
    print(f"{'':<24}{header[0]:>6}{header[1]:>9}{header[2]:>17}{header[3]:>12}{header[4]:>13}")
    with tempfile.TemporaryDirectory() as name:
        large = large_study(Path(name, "large"))
        plans = [run_snakemake(large, "--dry-run") for _ in range(3)]
        print_run(f"{N_CLUSTERS} clusters x 24 months", min(plans, key=lambda plan: plan.wall_s))
        if not arguments.plan_only:
            for number, project in enumerate([ROOT, *map(Path.resolve, arguments.project)]):
                default = default_study(Path(name, f"default{number}"), project)
                run = run_snakemake(default, "--cores", str(arguments.cores), project=project)
                print_run(f"default study {project.name}", run)


def print_run(name: str, run: Run) -> None:
    """Print a line of the table."""
    print(
        f"{name:<24}{run.n_jobs:>6}{run.wall_s:>9.1f}{run.own_s:>17.1f}{run.children_s:>12.1f}"
        f"{run.start_s:>13.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
