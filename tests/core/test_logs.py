"""Logs of scripts on a disk without space: one line, to the terminal where the log is on it too."""

import subprocess
import sys
from pathlib import Path

import pytest

from footprint.core import logs

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no /dev/full, which stands for a full disk"
)

PROGRAM = """
import sys
import polars as pl
from footprint.core import logs

logs.log_to_file(sys.argv[1])
if sys.argv[3] == "table":
    pl.DataFrame({"x": range(100_000)}).write_parquet(sys.argv[2])
else:
    with open(sys.argv[2], "w") as file:
        file.write("x" * 100_000)
"""


@pytest.mark.parametrize("written", ["table", "text"])
@pytest.mark.parametrize("log_name", ["script.log", "full.log"])
def test_full_disk_is_one_line(tmp_path: Path, written: str, log_name: str) -> None:
    log = tmp_path / log_name
    (tmp_path / "full.log").symlink_to("/dev/full")
    command = [sys.executable, "-c", PROGRAM, str(log), "/dev/full", written]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    found = done.stderr if log_name == "full.log" else log.read_text()
    assert found == f"{logs.DISK_FULL_MESSAGE}\n"
