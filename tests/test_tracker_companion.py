"""CodeCarbon beside a command, through a stand-in that does as much of it as is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tracking import environment, only_run, track

PACKAGE = """
import json, pathlib
class OfflineEmissionsTracker:
    def __init__(self, **given):
        self.given = given
        assert given["allow_multiple_runs"] and given["country_iso_code"] == "FRA"
    def _write(self, what):
        path = pathlib.Path(self.given["output_dir"], "emissions.csv")
        with path.open("a") as stream:
            stream.write(json.dumps([what, self.given["project_name"]]) + "\\n")
    def start(self): self._write("start")
    def flush(self): self._write("flush")
    def stop(self): self._write("stop")
"""
BROKEN = "raise RuntimeError('not for this machine')"


@pytest.fixture
def with_package(tmp_path: Path) -> dict[str, str]:
    """Variables under which the package is there."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/codecarbon.py").write_text(PACKAGE)
    variables = environment(tmp_path, OAR_JOB_ID="2041587")
    return variables | {"PYTHONPATH": f"{tmp_path / 'packages'}:{variables['PYTHONPATH']}"}


def test_it_runs_beside_and_names_the_job(tmp_path: Path, with_package: dict[str, str]) -> None:
    done = track(
        tmp_path, "--with", "codecarbon", "--", "sh", "-c", "sleep 0.2; exit 3", env=with_package
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    lines = (tmp_path / "ledger/codecarbon/emissions.csv").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        ["start", "oar-2041587"],
        ["stop", "oar-2041587"],
    ]
    assert only_run(tmp_path).exit_status == 3


def test_what_goes_wrong_with_it_is_recorded(tmp_path: Path, with_package: dict[str, str]) -> None:
    (tmp_path / "packages/codecarbon.py").write_text(BROKEN)
    done = track(tmp_path, "--with", "codecarbon", "--", "sh", "-c", "exit 4", env=with_package)
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")
    [path] = (tmp_path / "ledger").glob("*.jsonl")
    assert '"error":"not for this machine"' in path.read_text()
    assert only_run(tmp_path).exit_status == 4


def test_without_the_package_it_is_asked_for_before_anything_runs(tmp_path: Path) -> None:
    done = track(tmp_path, "--with", "codecarbon", "--", "sh", "-c", "echo ran")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"needs `pip install 'footprint[codecarbon]'`" in done.stderr
