"""Default profile, on a workflow of one figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_default_profile_repeats_no_rule(workflow: Path) -> None:
    run_snakemake(workflow, "--cores", "1")
    assert "Nothing to be done" in run_snakemake(workflow, "--cores", "1")


def test_report_of_snakemake_is_one_command_away(workflow: Path) -> None:
    run_snakemake(workflow, "--cores", "1")
    run_snakemake(workflow, "--report", "results/provenance.html")
    assert "figure.svg" in (workflow / "results/provenance.html").read_text()


@pytest.mark.parametrize("options", [["-n"], ["-nq"], ["--dry-run"]])
def test_run_without_execution_writes_nothing(workflow: Path, options: list[str]) -> None:
    run_snakemake(workflow, *options)
    assert not (workflow / "results").exists()
