"""Ledgers: whole records under concurrent writers, and a fault for each unusable line."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from footprint.tracker import ledger, reading
from footprint.tracker.ledger import Ledger
from tests.support.tracked_commands import TRACK, environment

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def timestamp(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat()


def start_record(identity: str = "a", **fields: Any) -> dict[str, Any]:
    return {"record": "start", "id": identity, "at": timestamp(0), "host": "gruss-1"} | fields


def later_record(record: str, seconds: float, identity: str = "a", **fields: Any) -> dict[str, Any]:
    return {
        "record": record,
        "id": identity,
        "at": timestamp(seconds),
        "duration_s": seconds,
    } | fields


def write_and_read(folder: Path, *records: dict[str, Any] | str) -> reading.LedgerContents:
    lines = [
        each if isinstance(each, str) else json.dumps({"format": 1} | each) for each in records
    ]
    (folder / "job-1.jsonl").write_text("\n".join(lines))
    return reading.read_ledgers(reading.ledger_files(folder))


def fault_lines(contents: reading.LedgerContents) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.reason) for fault in contents.faults]


def test_ledger_append_writes_one_line_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "new/ledger"
    for job, host in ((None, "annes-laptop"), (17, "gruss-1.nancy.grid5000.fr")):
        file = Ledger(folder, job=job, host=host)
        file.append("start", note="two\nlines", labels={})
        file.append("stop")
    names = sorted(path.name.split("-", 1)[1] for path in folder.iterdir())
    assert names[0].startswith("job-17-gruss-1-")
    assert names[1].startswith(f"local-{os.getpid()}-")
    assert "laptop" not in "".join(names)
    for path in folder.iterdir():
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert [each["record"] for each in records] == ["start", "stop"]
    assert folder.stat().st_mode & 0o077 == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_ledger_any_umask_folder_and_file_are_of_owner_alone(tmp_path: Path) -> None:
    file = Ledger(tmp_path / "new/ledger", job=1, host="gruss-1")
    file.append("start")
    file.append("stop")
    assert (mode(file.folder), mode(file.path)) == (0o700, 0o600)


@pytest.mark.usefixtures("no_umask")
def test_ledger_existing_folder_of_own_records_is_narrowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ledger"
    (folder / ledger.COMPANION_FOLDER).mkdir(parents=True)
    (folder / "old.jsonl").write_text("")
    file = Ledger(folder, job=1, host="gruss-1")
    file.append("start")
    modes = {path.name: mode(path) for path in (folder, *folder.iterdir())}
    assert modes == {
        "ledger": 0o700,
        "codecarbon": 0o700,
        "old.jsonl": 0o600,
        file.path.name: 0o600,
    }
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_umask")
def test_ledger_existing_folder_of_other_files_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "notes.txt").write_text("")
    file = Ledger(folder, job=1, host="gruss-1")
    file.append("start")
    file.append("stop")
    assert (mode(folder), mode(file.path)) == (0o777, 0o600)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{folder} can be entered by other accounts (mode 777)" in told
    assert f"run `chmod 700 {folder}`" in told


def test_readable_by_others_returns_files_with_wider_modes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl")]
    for path, bits in zip(paths[:2], (0o600, 0o640), strict=True):
        path.write_text("")
        path.chmod(bits)
    assert ledger.readable_by_others(paths) == [paths[1]]


def test_default_folder_variables_set_takes_precedence() -> None:
    assert ledger.default_folder({"FOOTPRINT_LEDGER": "/srv/l"}) == Path("/srv/l")
    assert ledger.default_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/footprint")
    assert ledger.default_folder({}) == Path.home() / ".local/share/footprint"


def test_ledger_disk_full_truncated_record_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = os.write
    file = Ledger(tmp_path, job=1, host="gruss-1")
    file.append("start", id="a", at=timestamp(0))
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    file.append("seen", id="a", at=timestamp(1), duration_s=1)

    def fail_with_full_disk(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fail_with_full_disk)
    file.append("seen", id="a", at=timestamp(2), duration_s=2)
    monkeypatch.setattr(os, "write", write)
    file.append("stop", id="a", at=timestamp(3), duration_s=3, exit_status=0)
    found = reading.read_ledgers(reading.ledger_files(tmp_path))
    assert fault_lines(found) == [(2, reading.LINE_TRUNCATED)]
    assert [run.duration_s for run in found.runs] == [3.0]
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.slow
def test_ledger_thousand_concurrent_writers_leave_whole_records(tmp_path: Path) -> None:
    children = []
    for number in range(1000):
        pid = os.fork()
        if pid == 0:
            file = Ledger(tmp_path, job=number, host="gruss-1")
            for record in (start_record(f"run-{number}"), later_record("stop", 5, f"run-{number}")):
                file.append(record.pop("record"), **record)
            os._exit(0)
        children.append(pid)
    assert {os.waitpid(pid, 0)[1] for pid in children} == {0}
    found = reading.read_ledgers(reading.ledger_files(tmp_path))
    assert found.faults == []
    assert {run.identity for run in found.runs} == {f"run-{number}" for number in range(1000)}
    assert {run.end for run in found.runs} == {"stopped"}


@pytest.mark.slow
def test_track_thousand_concurrent_commands_leave_whole_records(tmp_path: Path) -> None:
    words = [*TRACK, "--", "true"]
    started = [subprocess.Popen(words, env=environment(tmp_path)) for _ in range(1000)]
    assert {each.wait() for each in started} == {0}
    found = reading.read_ledgers(reading.ledger_files(tmp_path / "ledger"))
    assert found.faults == []
    assert [run.end for run in found.runs] == ["stopped"] * 1000


def test_read_ledgers_all_records_of_a_run_returns_tracked_run(tmp_path: Path) -> None:
    devices = {"gpu": {"energy_j": 3.6e6, "covered_frac": 0.5}}
    found = write_and_read(
        tmp_path,
        start_record(oar={"job_id": 7, "array_index": 2}, labels={"paper": "p"}, command=["x"]),
        {
            "record": "devices",
            "at": timestamp(1),
            "found": [{"source": "nvml"}],
            "absent": {"rapl": "-"},
        },
        later_record("seen", 60, devices={"gpu": {"energy_j": 1, "covered_frac": 1}}),
        later_record("signal", 70, signal="SIGUSR2"),
        later_record("stop", 90, devices=devices, exit_status=0),
        "",
    )
    assert found.faults == []
    [run] = found.runs
    assert (run.job_id, run.array_index, run.labels) == (7, 2, {"paper": "p"})
    assert (run.started_at, run.stopped_at) == (T0, T0 + timedelta(seconds=90))
    assert (run.end, run.exit_status, run.warned_by) == ("stopped", 0, "SIGUSR2")
    assert run.devices == {"gpu": reading.DeviceEnergy(3.6e6, 0.5)}
    assert (run.n_gpus, run.absent) == (1, {"rapl": "-"})


def test_read_ledgers_nvml_absent_number_of_gpus_is_unknown(tmp_path: Path) -> None:
    devices = {
        "record": "devices",
        "at": timestamp(1),
        "found": [],
        "absent": {"nvml": "no driver"},
    }
    assert write_and_read(tmp_path, start_record(), devices).runs[0].n_gpus is None
    assert write_and_read(tmp_path, start_record(), devices | {"absent": {}}).runs[0].n_gpus == 0


def test_read_ledgers_run_killed_ends_at_last_sign_of_life(tmp_path: Path) -> None:
    [seen] = write_and_read(
        tmp_path, start_record(), later_record("seen", 60), later_record("seen", 120)
    ).runs
    assert (seen.end, seen.duration_s) == ("seen", 120.0)
    [warned] = write_and_read(
        tmp_path,
        start_record(),
        later_record("seen", 60),
        later_record("signal", 80, signal="SIGUSR2"),
    ).runs
    assert (warned.end, warned.duration_s, warned.warned_by) == ("seen", 80.0, "SIGUSR2")
    [bare] = write_and_read(tmp_path, start_record()).runs
    assert (bare.end, bare.duration_s, bare.stopped_at) == ("started", None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"format":1,"record":"stop","id":"a","at":"2025-03-10T08:01', reading.LINE_TRUNCATED),
        ("[1, 2]", reading.NOT_A_RECORD),
        ('{"record":"stop"}', reading.NOT_A_RECORD),
        ("not JSON }", reading.NOT_A_RECORD),
        ({"format": 2, "record": "stop", "id": "a"}, reading.NEWER_FORMAT),
        ({"record": "paused", "id": "a"}, reading.UNKNOWN_RECORD_KIND),
        (later_record("stop", 5, "b"), reading.NO_START),
        (start_record(), reading.SECOND_START),
        (later_record("seen", 20), reading.DURATION_DECREASED),
        (later_record("stop", 5), reading.DURATION_DECREASED),
        (later_record("stop", 90) | {"at": timestamp(9000)}, reading.CLOCK_CHANGED),
        (later_record("stop", -5), reading.INVALID_VALUE),
        (later_record("stop", 90) | {"at": "yesterday"}, reading.INVALID_VALUE),
        (start_record("b", at="9999-12-31T23:59:59Z"), reading.INVALID_VALUE),
        (start_record("b", at="0001-01-01T00:00:00+14:00"), reading.INVALID_VALUE),
        (
            later_record(
                "stop", 90, devices={"gpu": {"energy_j": 1, "covered_frac": 1, "whole_j": -1}}
            ),
            reading.INVALID_VALUE,
        ),
        (later_record("stop", 90) | {"exit_status": "none"}, reading.INVALID_VALUE),
        (start_record("b", labels={"phase": "fun"}), reading.INVALID_LABEL),
        (start_record("b", labels={"papers": "p"}), reading.INVALID_LABEL),
        ("[" * 100_000, reading.LINE_TRUNCATED),
        ("[" * 100_000 + "]" * 100_000 + " }", reading.NOT_A_RECORD),
        (
            '{"format": 1, "record": "seen", "id": "a", "duration_s": ' + "9" * 5000 + "}",
            reading.NOT_A_RECORD,
        ),
        ("\x00\x01", reading.LINE_TRUNCATED),
        (later_record("stop", 90) | {"duration_s": 1e300}, reading.INVALID_VALUE),
        (later_record("stop", 90) | {"duration_s": float("inf")}, reading.INVALID_VALUE),
        (later_record("stop", 90, devices=[1]), reading.INVALID_VALUE),
        (later_record("stop", 90, signal=15), reading.INVALID_VALUE),
        (start_record("b", labels=["p"]), reading.INVALID_VALUE),
        (start_record("b", oar=[7]), reading.INVALID_VALUE),
        (start_record("b", oar={"job_id": 1 << 63}), reading.INVALID_VALUE),
        (start_record("b", host=7), reading.INVALID_VALUE),
        (start_record("b", host="\ud800"), reading.INVALID_VALUE),
        (start_record("b", mark={"a": 1}), reading.INVALID_VALUE),
        (start_record("b", within=["a"]), reading.INVALID_VALUE),
        ({"record": "devices", "found": [], "absent": ["nvml"]}, reading.INVALID_VALUE),
    ],
)
def test_read_ledgers_unusable_line_is_a_fault_and_rest_is_used(
    tmp_path: Path, line: dict[str, Any] | str, reason: str
) -> None:
    found = write_and_read(
        tmp_path, start_record(labels={"paper": "p"}), later_record("seen", 60), line
    )
    assert fault_lines(found) == [(3, reason)]
    assert str(found.faults[0]) == f"job-1.jsonl:3: {reason}"
    run = found.runs[0]
    assert (run.identity, run.labels) == ("a", {"paper": "p"})
    assert run.duration_s == (90.0 if reason == reading.CLOCK_CHANGED else 60.0)


def test_read_ledgers_unreadable_file_is_a_fault_and_rest_is_used(tmp_path: Path) -> None:
    write_and_read(tmp_path, start_record(), later_record("stop", 60))
    found = reading.read_ledgers([tmp_path / "gone.jsonl", tmp_path / "job-1.jsonl"])
    assert [str(each) for each in found.faults] == ["gone.jsonl: there is no such file"]
    assert [run.duration_s for run in found.runs] == [60.0]


def test_read_folder_files_and_folders_that_cannot_be_opened_are_faults(tmp_path: Path) -> None:
    write_and_read(tmp_path, start_record(), later_record("stop", 60))
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    found = reading.read_folder(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    told = [str(each) for each in found.faults]
    assert told[0] == "gone.jsonl: a link to a file that is not there"
    if os.getuid():  # root may open it
        assert told[1] == "closed/: the folder cannot be opened"
    assert [run.duration_s for run in found.runs] == [60.0]


def test_read_ledgers_record_after_stop_is_a_fault(tmp_path: Path) -> None:
    found = write_and_read(
        tmp_path,
        start_record(),
        later_record("stop", 60, exit_status=0),
        later_record("stop", 70),
        later_record("seen", 80),
    )
    assert fault_lines(found) == [(3, reading.SECOND_STOP), (4, reading.RECORD_AFTER_STOP)]
    assert [(run.duration_s, run.exit_status) for run in found.runs] == [(60.0, 0)]


def test_outermost_runs_nested_run_is_excluded(tmp_path: Path) -> None:
    found = write_and_read(
        tmp_path,
        start_record("a"),
        start_record("b", within="a"),
        start_record("c", within="elsewhere"),
    )
    assert [run.identity for run in found.outermost_runs()] == ["a", "c"]


def test_read_ledgers_fault_contains_no_folder(tmp_path: Path) -> None:
    inner = tmp_path / "anne"
    inner.mkdir()
    assert str(write_and_read(inner, "[]").faults[0]) == f"job-1.jsonl:1: {reading.NOT_A_RECORD}"
    assert [path.parent.name for path in reading.ledger_files(tmp_path)] == ["anne"]
