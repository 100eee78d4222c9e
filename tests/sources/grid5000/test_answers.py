"""Kept answers: whole or missing, with several writers and killed processes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.sources.grid5000 import answers as module
from footprint.sources.grid5000.answers import ABANDONED_AFTER_S, Answers, request_text

REQUEST = "https://api.example/stable/sites/nancy/metrics?nodes=gruss-1"


def compressed(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def files_of_kind(answers: Answers, kind: str) -> list[Path]:
    return sorted(path for path in (answers.folder / kind).rglob("*") if path.is_file())


# Final and other contents


def test_final_content_is_read_by_the_next_process(tmp_path: Path) -> None:
    Answers(tmp_path).save_content(REQUEST, b"watts", is_final=True)
    later = Answers(tmp_path)
    assert later.has_content(REQUEST)
    assert later.read_content(REQUEST) == b"watts"


def test_content_that_is_not_final_is_read_by_the_same_process_alone(tmp_path: Path) -> None:
    now = Answers(tmp_path)
    now.save_content(REQUEST, b"watts", is_final=False)
    assert (now.has_content(REQUEST), now.read_content(REQUEST)) == (True, b"watts")
    later = Answers(tmp_path)
    assert (later.has_content(REQUEST), later.read_content(REQUEST)) == (False, None)


def test_second_content_of_a_request_replaces_the_first(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.save_content(REQUEST, b"watts", is_final=False)
    answers.save_content(REQUEST, b"more watts", is_final=True)
    assert Answers(tmp_path).read_content(REQUEST) == b"more watts"


def test_unknown_request_has_no_content_and_no_parts(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.save_content(REQUEST, b"watts", is_final=True)
    other = f"{REQUEST}1"
    assert (answers.has_content(other), answers.read_content(other), answers.read_parts(other)) == (
        False,
        None,
        None,
    )


@given(content=st.binary(max_size=2000), final=st.booleans())
def test_content_is_read_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, final: bool
) -> None:
    answers = Answers(tmp_path_factory.mktemp("answers"))
    answers.save_content(REQUEST, content, is_final=final)
    assert answers.read_content(REQUEST) == content


# Files


def test_record_has_the_request_and_the_hash_of_its_content(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    content = b"watts " * 1000
    answers.save_content(REQUEST, content, is_final=True)
    (record,) = files_of_kind(answers, "requests")
    record_fields = json.loads(record.read_text())
    name = hashlib.sha256(content).hexdigest()
    assert record_fields.pop("fetched_at").endswith("+00:00")
    assert record_fields == {"request": REQUEST, "content": name, "n_bytes": 6000, "final": True}
    (kept,) = files_of_kind(answers, "objects")
    assert kept == tmp_path / "objects" / name[:2] / f"{name}.zst"
    assert kept.stat().st_size < 100  # compressed
    assert files_of_kind(answers, "partial") == []


def test_equal_contents_of_several_requests_are_stored_once(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    for number in range(5):
        answers.save_content(f"{REQUEST}{number}", b"[]", is_final=True)
    assert len(files_of_kind(answers, "requests")) == 5
    assert len(files_of_kind(answers, "objects")) == 1


def test_request_text_is_independent_of_the_order_of_parameters() -> None:
    one = request_text("https://a/b", {"nodes": "x-1,x-2", "metrics": "m"})
    assert one == "https://a/b?metrics=m&nodes=x-1,x-2"
    assert request_text("https://a/b", {"metrics": "m", "nodes": "x-1,x-2"}) == one
    assert request_text("https://a/b", {}) == "https://a/b"


# Requests in parts


def test_saved_parts_are_read_by_the_next_process(tmp_path: Path) -> None:
    now = Answers(tmp_path)
    assert now.read_parts(REQUEST) is None
    parts = [[["gruss-1"], "2025-03-31", "2025-04-01"]]
    now.save_parts(REQUEST, parts)
    later = Answers(tmp_path)
    assert later.read_parts(REQUEST) == parts
    assert (later.has_content(REQUEST), later.read_content(REQUEST)) == (False, None)


def test_parts_and_content_of_a_request_replace_each_other(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.save_content(REQUEST, b"watts", is_final=False)
    answers.save_parts(REQUEST, [1, 2])
    assert answers.read_content(REQUEST) is None
    answers.save_content(REQUEST, b"watts", is_final=True)
    assert (answers.read_parts(REQUEST), answers.read_content(REQUEST)) == (None, b"watts")


# Damage


@pytest.mark.parametrize("damage", [b"", b"no zstd", compressed(b"other"), None])
def test_damaged_object_gives_no_content_until_saved_again(
    tmp_path: Path, damage: bytes | None
) -> None:
    Answers(tmp_path).save_content(REQUEST, b"watts", is_final=True)
    later = Answers(tmp_path)
    (kept,) = files_of_kind(later, "objects")
    if damage is None:
        kept.unlink()
    else:
        kept.write_bytes(damage)
    assert later.has_content(REQUEST) == (damage is not None)  # it tests the file alone
    assert later.read_content(REQUEST) is None
    later.save_content(REQUEST, b"watts", is_final=True)
    assert Answers(tmp_path).read_content(REQUEST) == b"watts"


def test_object_with_a_huge_declared_size_gives_no_content(tmp_path: Path) -> None:
    """The first bytes of an object declare the size of its content."""
    answers = Answers(tmp_path)
    answers.save_content(REQUEST, b"watts", is_final=True)
    (kept,) = files_of_kind(answers, "objects")
    whole = kept.read_bytes()
    for size in (2**62, 2**40):
        kept.write_bytes(whole[:4] + b"\xe0" + size.to_bytes(8, "little") + whole[6:])
        assert answers.read_content(REQUEST) is None


def test_half_an_object_gives_no_content(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    content = os.urandom(5000)
    answers.save_content(REQUEST, content, is_final=True)
    (kept,) = files_of_kind(answers, "objects")
    kept.write_bytes(kept.read_bytes()[:2500])
    assert answers.read_content(REQUEST) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"final": true}'])
def test_damaged_record_gives_no_content_and_no_parts(tmp_path: Path, damage: bytes) -> None:
    answers = Answers(tmp_path)
    answers.save_content(REQUEST, b"watts", is_final=True)
    (record,) = files_of_kind(answers, "requests")
    record.write_bytes(damage)
    found = answers.has_content(REQUEST), answers.read_content(REQUEST), answers.read_parts(REQUEST)
    assert found == (False, None, None)


# Writers that fail or are killed


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    answers = Answers(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with pytest.raises(OSError, match="No space left"):
        answers.save_content(REQUEST, b"watts", is_final=True)
    assert files_of_kind(answers, "partial") == []
    assert files_of_kind(answers, "objects") == []
    assert answers.read_content(REQUEST) is None


# The module alone, as its package takes seconds to import.
OPENED = f"""
import os, runpy, sys, time
from pathlib import Path
answers = runpy.run_path({module.__file__!r})["Answers"](Path(sys.argv[1]))
"""
WRITER = """
number = 0
while True:
    answers.save_content(f"request {number % 7}", os.urandom(20_000) + b"end", is_final=True)
    number += 1
    if number == 1:
        print("ready", flush=True)
"""


def test_killed_writers_leave_whole_contents_or_none(tmp_path: Path) -> None:
    for number in range(3):
        command = [sys.executable, "-c", OPENED + WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.03 + 0.013 * number)
            process.send_signal(signal.SIGKILL)
    answers = Answers(tmp_path)
    records = [json.loads(path.read_text()) for path in files_of_kind(answers, "requests")]
    assert records
    for record in records:
        content = answers.read_content(record["request"])
        assert content is not None
        assert len(content) == record["n_bytes"]
        assert content.endswith(b"end")
    for kept in files_of_kind(answers, "objects"):
        content = pa.input_stream(kept, compression="zstd").read()
        assert hashlib.sha256(content).hexdigest() == kept.stem


def test_simultaneous_writers_leave_the_content_of_one(tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 5000 for number in range(4)]
    seen: list[bytes | None] = []

    def write(content: bytes) -> None:
        own = Answers(tmp_path)
        for _ in range(15):
            own.save_content(REQUEST, content, is_final=True)
            seen.append(own.read_content(REQUEST))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, contents))
    assert len(seen) == 60
    assert set(seen) <= set(contents)  # no mixture, and none missing
    assert len(files_of_kind(Answers(tmp_path), "objects")) == 4
    assert files_of_kind(Answers(tmp_path), "partial") == []


# The workspace


def test_workspace_is_removed_after_use_and_after_an_error(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    with answers.workspace() as folder:
        (folder / "piece").write_bytes(b"watts")
        with answers.workspace() as other:
            assert other != folder
        assert (folder / "piece").is_file()
    assert list((tmp_path / "partial").iterdir()) == []
    with pytest.raises(KeyError), answers.workspace():
        raise KeyError
    assert list((tmp_path / "partial").iterdir()) == []


def test_workspace_removes_partial_files_older_than_a_day(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    partial = tmp_path / "partial"
    for name, age_s in (("old", ABANDONED_AFTER_S + 60), ("new", ABANDONED_AFTER_S - 60)):
        (partial / f"{name}-folder" / "inner").mkdir(parents=True)
        (partial / f"{name}-folder" / "piece").write_bytes(b"watts")
        (partial / f"{name}-file").write_bytes(b"watts")
        at = time.time() - age_s
        for left in (partial / f"{name}-folder", partial / f"{name}-file"):
            os.utime(left, (at, at))
    with answers.workspace():
        pass
    assert sorted(left.name for left in partial.iterdir()) == ["new-file", "new-folder"]


# Slots


class Crowd:
    """Counts simultaneous holders; the first ones wait until `room` holders are there."""

    def __init__(self, room: int) -> None:
        self.n_holders = self.n_most = 0
        self._room, self._full = room, threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def enter_slot(self) -> Iterator[None]:
        with self._lock:
            self.n_holders += 1
            self.n_most = max(self.n_most, self.n_holders)
            if self.n_most >= self._room:
                self._full.set()
        self._full.wait(120)
        time.sleep(0.004)
        yield
        with self._lock:
            self.n_holders -= 1


def max_simultaneous(folder: Path, *, n_slots: int, n_threads: int) -> int:
    """Return the highest number of simultaneous holders of slots.

    Odd threads share an `Answers`; even ones have their own, as processes have.
    """
    crowd = Crowd(n_slots)
    shared = Answers(folder)

    def work(number: int) -> None:
        answers = shared if number % 2 else Answers(folder)
        for _ in range(4):
            with answers.hold_slot(n_slots), crowd.enter_slot():
                pass

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))
    return crowd.n_most


@pytest.mark.parametrize("n_slots", [1, 3])
def test_slots_limit_the_number_of_simultaneous_holders(tmp_path: Path, n_slots: int) -> None:
    assert max_simultaneous(tmp_path, n_slots=n_slots, n_threads=8) == n_slots


def test_slots_limit_threads_where_locks_belong_to_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, `flock` does not exclude the threads of one process."""
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    assert max_simultaneous(tmp_path, n_slots=2, n_threads=8) == 2


def test_slot_is_free_after_an_error(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    for _ in range(2):
        with pytest.raises(KeyError), answers.hold_slot(1):
            raise KeyError
    with answers.hold_slot(1):
        pass


HOLDER = """
with answers.hold_slot(1):
    print("in", flush=True)
    time.sleep(120)
"""


def test_slot_is_free_after_its_process_is_killed(tmp_path: Path) -> None:
    answers, entered = Answers(tmp_path), threading.Event()

    def enter() -> None:
        with answers.hold_slot(1):
            entered.set()

    command = [sys.executable, "-c", OPENED + HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.1)
        process.kill()
        assert entered.wait(120)
        waiting.join()
