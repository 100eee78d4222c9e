"""`footprint track` in a job of a real OAR, which sends a checkpoint signal and then a kill."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from footprint.labels import from_job_names
from footprint.tracker import reading
from tests.sources.oar import test_real_server
from tests.support.oar_server import command_output
from tests.support.tracked_commands import SOURCE, wait_until

pytestmark = [pytest.mark.oar, pytest.mark.slow]

server = test_real_server.server
SYSTEM_PYTHON = "/usr/bin/python3"
JOB_NAME = "big7 fp:paper=named,role=reported"
JOB_SCRIPT = """#!/bin/sh
export PYTHONPATH={folder} FOOTPRINT_LEDGER={folder}/ledger
exec {python} -m footprint track --paper p --phase training -- bash -c \
    "trap 'echo warned' USR1; echo started; while :; do sleep 0.2; done"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with the library, readable and writable by another user."""
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if version.stdout != "True\n":
        pytest.skip(f"{SYSTEM_PYTHON} is older than Python 3.11, or missing")
    copy = Path(mkdtemp())
    shutil.copytree(SOURCE / "footprint", copy / "footprint")
    (copy / "job.sh").write_text(JOB_SCRIPT.format(folder=copy, python=SYSTEM_PYTHON))
    (copy / "job.sh").chmod(0o755)
    copy.chmod(0o777)
    yield copy
    shutil.rmtree(copy)


def test_track_job_warned_and_killed_by_oar_is_recorded(folder: Path) -> None:
    options = "-l /core=1,walltime=0:1:00 --checkpoint 40 --signal 10"
    outputs = f"-O {folder}/out -E {folder}/err"
    submission = command_output(
        "su", "-", "alice", "-c", f"oarsub -n '{JOB_NAME}' {options} {outputs} {folder}/job.sh"
    )
    job = int(re.findall(r"^OAR_JOB_ID=(\d+)$", submission, re.M)[0])
    wait_until(lambda: "KILLED" in _text(folder / "err"), seconds=240)
    contents = reading.read_ledgers(reading.ledger_files(folder / "ledger"))
    assert contents.faults == []
    [run] = contents.runs
    assert (run.job_id, run.labels) == (job, {"paper": "p", "phase": "training"})
    assert (run.end, run.warned_by, run.exit_status) == ("seen", "SIGUSR1", None)
    assert run.duration_s is not None
    assert 10 < run.duration_s < 240
    # once for each signal of OAR
    n_signals = _text(folder / "err").count("CHECKPOINTED")
    assert _text(folder / "out").split() == ["started", *["warned"] * n_signals]
    assert n_signals >= 1
    rows = test_real_server.query_rows(f"SELECT job_name FROM jobs WHERE job_id = {job}")
    assert rows == [(JOB_NAME,)]
    assert from_job_names.parse_job_name(JOB_NAME) == ({"paper": "named", "role": "reported"}, None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
