"""CodeCarbon beside a tracked command, with a stand-in for the calls that the tracker makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tracked_commands import environment, only_run, run_track

CODECARBON_STAND_IN = """
import json, pathlib
class OfflineEmissionsTracker:
    def __init__(self, **settings):
        self.settings = settings
        assert settings["allow_multiple_runs"] and settings["country_iso_code"] == "FRA"
    def _write(self, what):
        path = pathlib.Path(self.settings["output_dir"], "emissions.csv")
        with path.open("a") as stream:
            stream.write(json.dumps([what, self.settings["project_name"]]) + "\\n")
    def start(self): self._write("start")
    def flush(self): self._write("flush")
    def stop(self): self._write("stop")
"""
CODECARBON_THAT_FAILS = "raise RuntimeError('not for this machine')"


@pytest.fixture
def package_environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a job in which the package is importable."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/codecarbon.py").write_text(CODECARBON_STAND_IN)
    variables = environment(tmp_path, OAR_JOB_ID="2041587")
    return variables | {"PYTHONPATH": f"{tmp_path / 'packages'}:{variables['PYTHONPATH']}"}


def test_codecarbon_beside_command_records_job_as_project(
    tmp_path: Path, package_environment: dict[str, str]
) -> None:
    done = run_track(
        tmp_path,
        "--with",
        "codecarbon",
        "--",
        "sh",
        "-c",
        "sleep 0.2; exit 3",
        env=package_environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    lines = (tmp_path / "ledger/codecarbon/emissions.csv").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        ["start", "oar-2041587"],
        ["stop", "oar-2041587"],
    ]
    assert only_run(tmp_path).exit_status == 3


def test_codecarbon_import_fails_error_is_recorded_and_command_runs(
    tmp_path: Path, package_environment: dict[str, str]
) -> None:
    (tmp_path / "packages/codecarbon.py").write_text(CODECARBON_THAT_FAILS)
    done = run_track(
        tmp_path, "--with", "codecarbon", "--", "sh", "-c", "exit 4", env=package_environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")
    [path] = (tmp_path / "ledger").glob("*.jsonl")
    assert '"error":"not for this machine"' in path.read_text()
    assert only_run(tmp_path).exit_status == 4


def test_codecarbon_not_installed_exits_before_command_runs(tmp_path: Path) -> None:
    done = run_track(tmp_path, "--with", "codecarbon", "--", "sh", "-c", "echo ran")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"needs `pip install 'footprint[codecarbon]'`" in done.stderr
