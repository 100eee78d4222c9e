"""The line on the terminal at the end of a tracked command."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from footprint.tracker.closing_line import describe_run
from tests.support.dispositions import default_dispositions
from tests.support.tracked_commands import TRACK, environment, run_track
from tests.tracker.test_shared_accounts import TRACK_COUNTERS, growing_counter

LEDGER = Path("/ledger/a.jsonl")


def line_of(duration_s: float, trackers: int = 1, **devices: tuple[float, float]) -> str:
    usage: dict[str, Any] = {
        "duration_s": duration_s,
        "trackers": trackers,
        "devices": {
            name: {"energy_j": energy_j, "covered_frac": frac}
            for name, (energy_j, frac) in devices.items()
        },
    }
    return describe_run(usage, "there is no reading", LEDGER)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            line_of(7384, gpu=(7.2e6, 1.0), cpu=(3.6e6, 1.0)),
            "3.00 kWh (interval 2.80 to 3.20) of GPUs and processors; 2 h 3 min",
        ),
        (
            line_of(100, 3, cpu=(7200, 1.0), memory=(1800, 1.0)),
            "2.50 Wh (interval 2.20 to 2.80) of processors and memory; devices shared with 2 other "
            "tracked runs; 1 min 40 s",
        ),
        # the counter of a GPU has steps of 0.1 s
        (
            line_of(1, 2, gpu=(100, 1.0)),
            "100 J (interval 85 to 115) of GPUs; devices shared with 1 other tracked run; 1 s",
        ),
        (line_of(12.34, cpu=(0.0, 1.0)), "0 J (interval 0 to 0) of processors; 12.3 s"),
        (
            line_of(600, gpu=(36000, 0.879), cpu=(0, 0.0)),
            "10.0 Wh (interval 9.5 to 10.5) of GPUs, read for 87 % of the time; 10 min 0 s",
        ),
        (line_of(3.5), "energy unknown, because there is no reading; 3.5 s"),
        (line_of(3.5, cpu=(0, 0.0)), "energy unknown, because there is no reading; 3.5 s"),
    ],
)
def test_describe_run_has_energy_duration_and_ledger(line: str, expected: str) -> None:
    assert line == f"footprint: {expected}; ledger {LEDGER}"


def test_describe_run_ledger_not_written_is_told() -> None:
    assert describe_run({"duration_s": 1.0}, "x", None).endswith("; 1 s; not recorded")


def on_terminal(folder: Path, *words: str, tracker: list[str] = TRACK) -> tuple[str, int]:
    """Output on a terminal, and exit status."""
    with default_dispositions():
        pid, terminal = pty.fork()
        if pid == 0:
            variables = environment(folder, FOOTPRINT_ACCOUNTS=str(folder / "accounts"))
            os.execve(tracker[0], [*tracker, *words], variables)
    output = b""
    try:
        while block := os.read(terminal, 1000):
            output += block
    except OSError:
        pass  # the terminal is closed with its last process
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return output.decode(), os.waitstatus_to_exitcode(status)


def test_track_on_terminal_prints_one_closing_line(tmp_path: Path) -> None:
    output, status = on_terminal(tmp_path, "--", "sh", "-c", "echo done; exit 3")
    assert status == 3
    [path] = (tmp_path / "ledger").iterdir()
    done, line = output.splitlines()
    assert done == "done"
    assert (
        re.fullmatch(
            r"footprint: energy unknown, because .+; [\d.e-]+ s; ledger " + re.escape(str(path)),
            line,
        )
        or " (interval " in line
    )


def test_track_on_terminal_with_counters_prints_energy_with_interval(tmp_path: Path) -> None:
    with growing_counter(tmp_path / "zones"):
        tracker = [*TRACK_COUNTERS, str(tmp_path / "zones")]
        output, _ = on_terminal(tmp_path, "--", "sleep", "1.2", tracker=tracker)
    found = re.search(r"footprint: ([\d.]+) J \(interval ([\d.]+) to ([\d.]+)\) of proc", output)
    assert found is not None, output
    energy, low, high = map(float, found.groups())
    assert 20 < energy < 300  # 100 W for 1.2 s, less the start
    assert (low, high) == (pytest.approx(0.9 * energy, abs=1), pytest.approx(1.1 * energy, abs=1))


def test_track_no_devices_on_terminal_gives_this_reason(tmp_path: Path) -> None:
    output, _ = on_terminal(tmp_path, "--no-devices", "--", "true")
    assert "energy unknown, because devices are not read (--no-devices); " in output


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_track_quiet_on_terminal_prints_nothing(tmp_path: Path, option: str) -> None:
    assert on_terminal(tmp_path, option, "--", "true") == ("", 0)
    assert len(list((tmp_path / "ledger").iterdir())) == 1


def test_track_outputs_elsewhere_have_no_closing_line(tmp_path: Path) -> None:
    done = run_track(tmp_path, "--", sys.executable, "-c", "print(1)")
    assert (done.stdout, done.stderr) == (b"1\n", b"")
