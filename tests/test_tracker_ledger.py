"""Ledgers: whole records whoever writes at once, and every line that cannot be used is told."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tracking import TRACK, environment

from footprint.tracker import ledger, reading
from footprint.tracker.ledger import Ledger

T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def stamp(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat()


def start(identity: str = "a", **fields: Any) -> dict[str, Any]:
    return {"record": "start", "id": identity, "at": stamp(0), "host": "gruss-1"} | fields


def later(record: str, seconds: float, identity: str = "a", **fields: Any) -> dict[str, Any]:
    return {"record": record, "id": identity, "at": stamp(seconds), "duration_s": seconds} | fields


def read(folder: Path, *records: dict[str, Any] | str) -> reading.Read:
    lines = [
        each if isinstance(each, str) else json.dumps({"format": 1} | each) for each in records
    ]
    (folder / "job-1.jsonl").write_text("\n".join(lines))
    return reading.read(reading.files(folder))


def faults(read: reading.Read) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.reason) for fault in read.faults]


def test_a_record_is_one_line_with_a_name_of_its_own(tmp_path: Path) -> None:
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


def test_where_ledgers_are_kept() -> None:
    assert ledger.default_folder({"FOOTPRINT_LEDGER": "/srv/l"}) == Path("/srv/l")
    assert ledger.default_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/footprint")
    assert ledger.default_folder({}) == Path.home() / ".local/share/footprint"


def test_a_record_that_is_cut_by_a_full_disk_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = os.write
    file = Ledger(tmp_path, job=1, host="gruss-1")
    file.append("start", id="a", at=stamp(0))
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    file.append("seen", id="a", at=stamp(1), duration_s=1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    file.append("seen", id="a", at=stamp(2), duration_s=2)
    monkeypatch.setattr(os, "write", write)
    file.append("stop", id="a", at=stamp(3), duration_s=3, exit_status=0)
    found = reading.read(reading.files(tmp_path))
    assert faults(found) == [(2, reading.CUT)]
    assert [run.duration_s for run in found.runs] == [3.0]
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.slow
def test_a_thousand_trackers_at_once_leave_a_thousand_whole_records(tmp_path: Path) -> None:
    children = []
    for number in range(1000):
        pid = os.fork()
        if pid == 0:
            file = Ledger(tmp_path, job=number, host="gruss-1")
            for record in (start(f"run-{number}"), later("stop", 5, f"run-{number}")):
                file.append(record.pop("record"), **record)
            os._exit(0)
        children.append(pid)
    assert {os.waitpid(pid, 0)[1] for pid in children} == {0}
    found = reading.read(reading.files(tmp_path))
    assert found.faults == []
    assert {run.identity for run in found.runs} == {f"run-{number}" for number in range(1000)}
    assert {run.end for run in found.runs} == {"stopped"}


@pytest.mark.slow
def test_a_thousand_commands_at_once(tmp_path: Path) -> None:
    words = [*TRACK, "--", "true"]
    started = [subprocess.Popen(words, env=environment(tmp_path)) for _ in range(1000)]
    assert {each.wait() for each in started} == {0}
    found = reading.read(reading.files(tmp_path / "ledger"))
    assert found.faults == []
    assert [run.end for run in found.runs] == ["stopped"] * 1000


def test_a_run_is_what_its_records_say(tmp_path: Path) -> None:
    devices = {"gpu": {"energy_j": 3.6e6, "covered_frac": 0.5}}
    found = read(
        tmp_path,
        start(oar={"job_id": 7, "array_index": 2}, labels={"paper": "p"}, command=["x"]),
        {
            "record": "devices",
            "at": stamp(1),
            "found": [{"source": "nvml"}],
            "absent": {"rapl": "-"},
        },
        later("seen", 60, devices={"gpu": {"energy_j": 1, "covered_frac": 1}}),
        later("signal", 70, signal="SIGUSR2"),
        later("stop", 90, devices=devices, exit_status=0),
        "",
    )
    assert found.faults == []
    [run] = found.runs
    assert (run.job_id, run.array_index, run.labels) == (7, 2, {"paper": "p"})
    assert (run.started_at, run.stopped_at) == (T0, T0 + timedelta(seconds=90))
    assert (run.end, run.exit_status, run.warned_by) == ("stopped", 0, "SIGUSR2")
    assert run.devices == {"gpu": reading.Energy(3.6e6, 0.5)}
    assert (run.n_gpus, run.absent) == (1, {"rapl": "-"})


def test_how_many_gpus_there_are_is_unknown_where_nothing_tells(tmp_path: Path) -> None:
    devices = {"record": "devices", "at": stamp(1), "found": [], "absent": {"nvml": "no driver"}}
    assert read(tmp_path, start(), devices).runs[0].n_gpus is None
    assert read(tmp_path, start(), devices | {"absent": {}}).runs[0].n_gpus == 0


def test_a_run_that_was_killed_ends_at_its_last_sign_of_life(tmp_path: Path) -> None:
    [seen] = read(tmp_path, start(), later("seen", 60), later("seen", 120)).runs
    assert (seen.end, seen.duration_s) == ("seen", 120.0)
    [warned] = read(
        tmp_path, start(), later("seen", 60), later("signal", 80, signal="SIGUSR2")
    ).runs
    assert (warned.end, warned.duration_s, warned.warned_by) == ("seen", 80.0, "SIGUSR2")
    [bare] = read(tmp_path, start()).runs
    assert (bare.end, bare.duration_s, bare.stopped_at) == ("started", None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"format":1,"record":"stop","id":"a","at":"2025-03-10T08:01', reading.CUT),
        ("[1, 2]", reading.NO_RECORD),
        ('{"record":"stop"}', reading.NO_RECORD),
        ("not JSON }", reading.NO_RECORD),
        ({"format": 2, "record": "stop", "id": "a"}, reading.NEWER),
        ({"record": "paused", "id": "a"}, reading.NO_KIND),
        (later("stop", 5, "b"), reading.NO_START),
        (start(), reading.SECOND_START),
        (later("seen", 20), reading.SHRINKS),
        (later("stop", 5), reading.SHRINKS),
        (later("stop", 90) | {"at": stamp(9000)}, reading.CLOCK),
        (later("stop", -5), reading.BAD_VALUE),
        (later("stop", 90) | {"at": "yesterday"}, reading.BAD_VALUE),
        (later("stop", 90) | {"exit_status": "none"}, reading.BAD_VALUE),
        (start("b", labels={"phase": "fun"}), reading.BAD_LABEL),
        (start("b", labels={"papers": "p"}), reading.BAD_LABEL),
        ("[" * 100_000, reading.CUT),
        ("[" * 100_000 + "]" * 100_000 + " }", reading.NO_RECORD),
        (
            '{"format": 1, "record": "seen", "id": "a", "duration_s": ' + "9" * 5000 + "}",
            reading.NO_RECORD,
        ),
        ("\x00\x01", reading.CUT),
        (later("stop", 90) | {"duration_s": 1e300}, reading.BAD_VALUE),
        (later("stop", 90) | {"duration_s": float("inf")}, reading.BAD_VALUE),
        (later("stop", 90, devices=[1]), reading.BAD_VALUE),
        (later("stop", 90, signal=15), reading.BAD_VALUE),
        (start("b", labels=["p"]), reading.BAD_VALUE),
        (start("b", oar=[7]), reading.BAD_VALUE),
        (start("b", oar={"job_id": 1 << 63}), reading.BAD_VALUE),
        (start("b", host=7), reading.BAD_VALUE),
        (start("b", host="\ud800"), reading.BAD_VALUE),
        (start("b", mark={"a": 1}), reading.BAD_VALUE),
        (start("b", within=["a"]), reading.BAD_VALUE),
        ({"record": "devices", "found": [], "absent": ["nvml"]}, reading.BAD_VALUE),
    ],
)
def test_lines_that_cannot_be_used_are_told_and_the_rest_is_used(
    tmp_path: Path, line: dict[str, Any] | str, reason: str
) -> None:
    found = read(tmp_path, start(labels={"paper": "p"}), later("seen", 60), line)
    assert faults(found) == [(3, reason)]
    assert str(found.faults[0]) == f"job-1.jsonl:3: {reason}"
    run = found.runs[0]
    assert (run.identity, run.labels) == ("a", {"paper": "p"})
    assert run.duration_s == (90.0 if reason == reading.CLOCK else 60.0)


def test_file_that_cannot_be_opened_costs_itself(tmp_path: Path) -> None:
    read(tmp_path, start(), later("stop", 60))
    found = reading.read([tmp_path / "gone.jsonl", tmp_path / "job-1.jsonl"])
    assert [str(each) for each in found.faults] == [f"gone.jsonl: {reading.UNREADABLE}"]
    assert [run.duration_s for run in found.runs] == [60.0]


def test_what_comes_after_the_stop_contradicts_it(tmp_path: Path) -> None:
    found = read(
        tmp_path, start(), later("stop", 60, exit_status=0), later("stop", 70), later("seen", 80)
    )
    assert faults(found) == [(3, reading.SECOND_STOP), (4, reading.AFTER_STOP)]
    assert [(run.duration_s, run.exit_status) for run in found.runs] == [(60.0, 0)]


def test_runs_inside_others_are_told_from_those_around(tmp_path: Path) -> None:
    found = read(tmp_path, start("a"), start("b", within="a"), start("c", within="elsewhere"))
    assert [run.identity for run in found.outermost()] == ["a", "c"]


def test_messages_name_no_folder(tmp_path: Path) -> None:
    inner = tmp_path / "anne"
    inner.mkdir()
    assert str(read(inner, "[]").faults[0]) == f"job-1.jsonl:1: {reading.NO_RECORD}"
    assert [path.parent.name for path in reading.files(tmp_path)] == ["anne"]
