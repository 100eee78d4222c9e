"""What a run prints in the terminal, by the log handler of the default profile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.project import Project, configure, small_study
from tests.support.small_study import Study

PROFILE = Path(__file__).parents[2] / "profiles/default"

FAILING = """
rule all:
    input:
        "{kind}.txt",

rule make_file:
    output:
        "{{kind}}.txt",
    log:
        "logs/{{kind}}.log",
    script:
        "script.py"
"""

SCRIPTS = {
    "refused": "raise InputError('no power', where='a.csv:3', do='fix the row')",
    "broken": "{}['lost']",
    "killed": "os.kill(os.getpid(), 9)",
    "slow": "Path('begun').touch(); time.sleep(60)",
}

pytestmark = pytest.mark.workflow


def test_results_end_with_the_summary_within_40_lines(project: Project, done: Study) -> None:
    """The last rules run again, after which the summary is printed as after all rules."""
    ran = project.run(
        done.folder, "--cores", "2", "--forcerun", "write_summary", "write_report", logger=True
    )
    lines = ran.output.splitlines()
    assert len(lines) <= 40
    assert lines[1].startswith("nancy (3 clusters), 2025-03-31 to 2025-04-01 (2 days), source sim")
    assert lines[1].endswith("2 cores")
    assert any(line.startswith("  results and report ") for line in lines)
    assert any(line.startswith("site     nancy ") for line in lines)
    assert lines[-1] == f"Report: {(done.folder / 'results/report.html').as_uri()}"
    again = project.run(done.folder, "--cores", "1", logger=True).output.splitlines()
    assert [line.split()[0] for line in again] == ["Using", "Nothing", "Report:"]


def test_refused_configuration_is_the_last_line(project: Project, tmp_path: Path) -> None:
    config = small_study(project, study={"site": "nancy", "start": "2025-03-31", "ende": "x"})
    ran = project.run(configure(tmp_path, **config), "--cores", "1", status=1, logger=True)
    assert ran.output.splitlines()[1:] == ["study.ende: unknown key; did you mean `end`?"]


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """Folder of a workflow with the default profile, and one script for all kinds of failures."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/default").symlink_to(PROFILE)
    cases = "\n".join(f"elif kind == '{kind}': {code}" for kind, code in SCRIPTS.items())
    (tmp_path / "script.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom footprint.core import logs\n"
        "from footprint.core.errors import InputError\nlogs.log_to_file(snakemake.log[0])\n"
        f"kind = snakemake.wildcards.kind\nif kind is None: pass\n{cases}\n"
    )
    return tmp_path


def start(workflow: Path, kind: str) -> subprocess.Popen[str]:
    (workflow / "Snakefile").write_text(FAILING.format(kind=kind))
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1"],
        cwd=workflow,
        env={**os.environ, "XDG_CACHE_HOME": str(workflow / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("kind", "last_of_log", "advice"),
    [
        ("refused", "  | a.csv:3: no power; fix the row", "fix what the last line of the log"),
        ("broken", "  | KeyError: 'lost'", "this is a fault of the program"),
        ("killed", "died with <Signals.SIGKILL: 9>.", "the rule was ended by SIGKILL"),
    ],
)
def test_failed_rule_is_last_with_its_log_and_advice(
    workflow: Path, kind: str, last_of_log: str, advice: str
) -> None:
    process = start(workflow, kind)
    output, _ = process.communicate()
    assert process.returncode == 1
    lines = output.splitlines()
    assert len(lines) <= 24  # one screen
    first = lines.index(f"FAILED: make_file (kind={kind})")
    assert lines[first + 1] == f"  log: {workflow}/logs/{kind}.log"
    assert lines[-2].endswith(last_of_log)
    assert lines[-1].startswith(f"  What to do: {advice}")


def test_run_after_a_kill_says_how_to_unlock(workflow: Path) -> None:
    process = start(workflow, "slow")
    while not (workflow / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    process.communicate()
    output, _ = start(workflow, "slow").communicate()
    assert "uv run snakemake --unlock" in output.splitlines()[-1]
