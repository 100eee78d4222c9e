"""The profile for Grid'5000, and the executor with stand-ins for OAR's commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles/grid5000/profile.yaml"

OARSUB = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
words = sys.argv[1:]
given = dict(zip(words[::2], words[1::2]))
spool = pathlib.Path(os.environ["SPOOL"])
number = len(list(spool.iterdir())) + 1
print("[ADMISSION RULE] Modify resource description with type constraints")
if "core=1000" in given["-l"]:
    print("There are not enough resources for your request")
    print("OAR_JOB_ID=-5")
    sys.exit(8)
with open(given["-O"].replace("%jobid%", str(number)), "w") as log:
    done = subprocess.run(words[-1], shell=True, cwd=given["-d"], stdout=log, stderr=log)
job = dict(state="Terminated", exit_code=done.returncode << 8, name=given["-n"])
job |= dict(wanted=given["-l"], queue=given["-q"], assigned_network_address=["gres-1"])
(spool / str(number)).write_text(json.dumps(job))
print(f"OAR_JOB_ID={{number}}")
"""
OARSTAT = f"""#!{sys.executable}
import json, os, pathlib, sys
ids = [b for a, b in zip(sys.argv, sys.argv[1:]) if a == "-j"]
spool = pathlib.Path(os.environ["SPOOL"])
if ids:
    print(json.dumps({{each: json.loads((spool / each).read_text()) for each in ids}}))
"""
SNAKEFILE = """
rule all:
    input:
        collect("{month}.txt", month=["2025-03", "2025-04", "2025-05"]), "wide", "fails",

rule integrate:
    output: touch("{month}.txt")
    group: "months"
    resources: mem_mb=3000
    shell: "true"

rule wide:
    output: touch("wide")
    resources: oar_request="core=1000"
    shell: "true"

rule fails:
    output: "fails"
    shell: "exit 4"
"""


def rule_names(folder: Path) -> set[str]:
    """Names of the rules in the files of a folder."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.smk"))
    return set(re.findall(r"^(?:use rule \w+ as|rule) (\w+)", text, re.M))


def test_profile_groups_contain_rules_of_workflow() -> None:
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    names = rule_names(ROOT / "workflow/rules")
    assert set(profile["groups"]) | set(profile["set-resources"]) <= names
    assert set(profile["groups"].values()) == set(profile["group-components"])
    results = {name for name in names if name.startswith(("plot_", "tabulate_", "write_"))}
    grouped = {name for name, group in profile["groups"].items() if group == "figures"}
    assert grouped == results - {"plot_validation", "tabulate_validation"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with a workflow, and stand-ins for OAR's commands in `bin`."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name, text in {"oarsub": OARSUB, "oarstat": OARSTAT, "oardel": "#!/bin/sh\n"}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "spool").mkdir()
    return tmp_path


def run_snakemake(study: Path, path: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "snakemake", "--profile", str(PROFILE.parent), "--retries", "0")
    fast_options = ("--seconds-between-status-checks", "1", "--latency-wait", "1", "--keep-going")
    environment = os.environ | {"PATH": path, "SPOOL": str(study / "spool")}
    return subprocess.run(
        [*words, *fast_options, *options],
        cwd=study,
        env=environment | {"XDG_CACHE_HOME": str(study / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.workflow
def test_executor_grouped_months_share_job_and_failures_are_reported(study: Path) -> None:
    done = run_snakemake(
        study, f"{study / 'bin'}:{os.environ['PATH']}", "--group-components", "months=3"
    )
    assert done.returncode == 1
    jobs = {
        job["name"]: job
        for job in (yaml.safe_load(each.read_text()) for each in (study / "spool").iterdir())
    }
    assert set(jobs) == {"months", "fails"}
    # three months in parallel on the profile's four cores: 9000 MB at 2000 MB a core
    assert jobs["months"]["wanted"] == "host=1/core=5,walltime=0:10:00"
    assert jobs["fails"]["queue"] == "production"
    assert len(list(study.glob("2025-*.txt"))) == 3
    [log] = re.findall(
        r"^OAR job \d+ \(fails\) on gres-1: exit status 1; its log: (.*)$", done.stdout, re.M
    )
    assert "rule fails:" in Path(log).read_text(encoding="utf-8")
    assert "not submitted: There are not enough resources for your request" in done.stdout


@pytest.mark.workflow
def test_executor_oar_not_installed_prints_one_error_line(study: Path) -> None:
    done = run_snakemake(study, "/nonexistent")
    assert done.returncode == 1
    assert done.stdout.count("oarsub, oarstat, oardel: no such command here; start on a") == 1
    assert "Traceback" not in done.stdout
