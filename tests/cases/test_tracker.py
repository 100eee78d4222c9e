"""Cases of `footprint track`, from the folders `tools-*` of FOOTPRINT_SHARED_CASES."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dispositions import default_dispositions
from tests.support.tracked_commands import TRACK, environment, run_track


@pytest.mark.parametrize("name", ["TERM", "INT", "USR2"])
def test_case_of_timeout_command_counts_one_signal(
    tmp_path: Path, shared_cases: Path, name: str
) -> None:
    count = shared_cases / "tools-20-track-timeout/count.py"
    words = ["timeout", "-s", name, "1", *TRACK, "--", sys.executable, "-u", str(count)]
    with default_dispositions():
        done = subprocess.run(words, env=environment(tmp_path), capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"signals received 1\n", b"")
    assert done.returncode == 124


@pytest.mark.parametrize("before", ["", "nohup", "env"])
def test_case_of_script_without_interpreter_line_runs(
    tmp_path: Path, shared_cases: Path, before: str
) -> None:
    shutil.copyfile(shared_cases / "tools-21-track-no-shebang/n.sh", tmp_path / "n.sh")
    (tmp_path / "n.sh").chmod(0o755)
    words = [*before.split(), "./n.sh"]
    done = run_track(tmp_path, "--", *words, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, b"hi\n")
