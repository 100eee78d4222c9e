"""Default profile, on a workflow of one figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Project, configure, small_study

PROFILE = Path(__file__).parents[2] / "profiles/default"

SNAKEFILE = """
rule all:
    input:
        "results/figure.svg",

rule plot:
    output:
        report("results/figure.svg", category="Energy"),
    log:
        "logs/plot.log",
    shell:
        "echo '<svg xmlns=\\"http://www.w3.org/2000/svg\\"/>' > {output} 2> {log}"
"""

pytestmark = pytest.mark.workflow


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/default").symlink_to(PROFILE)
    return tmp_path


def run_snakemake(workflow: Path, *options: str) -> str:
    command = [sys.executable, "-m", "snakemake", *options]
    environment = {**os.environ, "XDG_CACHE_HOME": str(workflow / "cache")}
    done = subprocess.run(
        command, cwd=workflow, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_default_profile_writes_report_and_repeats_no_rule(workflow: Path) -> None:
    run_snakemake(workflow, "--cores", "1")
    report = workflow / "results/report.html"
    assert "figure.svg" in report.read_text()
    report.unlink()
    assert "Nothing to be done" in run_snakemake(workflow, "--cores", "1")
    assert report.is_file()


@pytest.mark.slow
def test_run_of_one_resource_writes_report(tmp_path: Path) -> None:
    project = Project(tmp_path)
    folder = configure(tmp_path / "study", **small_study(project))
    project.run(folder, "--cores", "1", "resources/nancy/nodes.parquet")
    assert (folder / "results/report.html").is_file()


@pytest.mark.parametrize("options", [["-n"], ["-nq"], ["--dry-run"], ["--cores", "1", "--touch"]])
def test_run_without_execution_writes_no_report(workflow: Path, options: list[str]) -> None:
    run_snakemake(workflow, *options)
    assert not (workflow / "results").exists()
