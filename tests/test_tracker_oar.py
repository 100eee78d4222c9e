"""`footprint track` in a job of a real OAR, which asks for a checkpoint and then kills it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
import test_real_oar
from tracking import SOURCE, until

from footprint import job_names
from footprint.tracker import reading

pytestmark = [pytest.mark.oar, pytest.mark.slow]

server = test_real_oar.server
PYTHON = "/usr/bin/python3"
NAME = "big7 fp:paper=named,role=reported"
JOB = """#!/bin/sh
export PYTHONPATH={folder} FOOTPRINT_LEDGER={folder}/ledger
exec {python} -m footprint track --paper p --phase training -- bash -c \
    "trap 'echo asked' USR1; echo started; while :; do sleep 0.2; done"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may read and write, with the library in it."""
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if version.stdout != "True\n":
        pytest.skip(f"{PYTHON} is older than Python 3.11, or missing")
    made = Path(mkdtemp())
    shutil.copytree(SOURCE / "footprint", made / "footprint")
    (made / "job.sh").write_text(JOB.format(folder=made, python=PYTHON))
    (made / "job.sh").chmod(0o755)
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def test_a_job_that_is_warned_and_killed_is_recorded(folder: Path) -> None:
    options = "-l /core=1,walltime=0:1:00 --checkpoint 40 --signal 10"
    outputs = f"-O {folder}/out -E {folder}/err"
    told = test_real_oar.command(
        "su", "-", "alice", "-c", f"oarsub -n '{NAME}' {options} {outputs} {folder}/job.sh"
    )
    job = int(re.findall(r"^OAR_JOB_ID=(\d+)$", told, re.M)[0])
    until(lambda: "KILLED" in _text(folder / "err"), seconds=240)
    read = reading.read(reading.files(folder / "ledger"))
    assert read.faults == []
    [run] = read.runs
    assert (run.job_id, run.labels) == (job, {"paper": "p", "phase": "training"})
    assert (run.end, run.warned_by, run.exit_status) == ("seen", "SIGUSR1", None)
    assert run.duration_s is not None
    assert 10 < run.duration_s < 240
    # as often as OAR asked, and no more
    asked = _text(folder / "err").count("CHECKPOINTED")
    assert _text(folder / "out").split() == ["started", *["asked"] * asked]
    assert asked >= 1
    known = test_real_oar.ask(f"SELECT job_name FROM jobs WHERE job_id = {job}")
    assert known == [(NAME,)]
    assert job_names.said(NAME) == ({"paper": "named", "role": "reported"}, None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
