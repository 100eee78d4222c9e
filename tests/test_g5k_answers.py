"""Answers that are kept: whole or not at all, whoever writes and whoever is killed."""

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

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from footprint.site.grid5000 import answers as module
from footprint.site.grid5000.answers import FORGOTTEN_S, Answers, request_text

REQUEST = "https://api.example/stable/sites/nancy/metrics?nodes=gruss-1"


def files(answers: Answers, kind: str) -> list[Path]:
    return sorted(path for path in (answers.folder / kind).rglob("*") if path.is_file())


# Kept for good, or for now


def test_what_is_final_is_there_for_the_next_process(tmp_path: Path) -> None:
    Answers(tmp_path).put(REQUEST, b"watts", final=True)
    later = Answers(tmp_path)
    assert later.has(REQUEST)
    assert later.get(REQUEST) == b"watts"


def test_what_is_not_final_is_there_for_this_process_alone(tmp_path: Path) -> None:
    now = Answers(tmp_path)
    now.put(REQUEST, b"watts", final=False)
    assert (now.has(REQUEST), now.get(REQUEST)) == (True, b"watts")
    later = Answers(tmp_path)
    assert (later.has(REQUEST), later.get(REQUEST)) == (False, None)


def test_a_later_answer_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.put(REQUEST, b"watts", final=False)
    answers.put(REQUEST, b"more watts", final=True)
    assert Answers(tmp_path).get(REQUEST) == b"more watts"


def test_what_was_never_asked_is_not_there(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.put(REQUEST, b"watts", final=True)
    other = f"{REQUEST}1"
    assert (answers.has(other), answers.get(other), answers.parts(other)) == (False, None, None)


@given(content=st.binary(max_size=2000), final=st.booleans())
def test_content_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, final: bool
) -> None:
    answers = Answers(tmp_path_factory.mktemp("answers"))
    answers.put(REQUEST, content, final=final)
    assert answers.get(REQUEST) == content


# How it is kept


def test_the_record_says_what_was_asked_and_what_came(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    content = b"watts " * 1000
    answers.put(REQUEST, content, final=True)
    (record,) = files(answers, "requests")
    told = json.loads(record.read_text())
    name = hashlib.sha256(content).hexdigest()
    assert told.pop("fetched_at").endswith("+00:00")
    assert told == {"request": REQUEST, "content": name, "n_bytes": 6000, "final": True}
    (kept,) = files(answers, "objects")
    assert kept == tmp_path / "objects" / name[:2] / f"{name}.zst"
    assert kept.stat().st_size < 100  # compressed
    assert files(answers, "partial") == []


def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    for number in range(5):
        answers.put(f"{REQUEST}{number}", b"[]", final=True)
    assert len(files(answers, "requests")) == 5
    assert len(files(answers, "objects")) == 1


def test_a_request_is_named_by_its_parameters_whatever_their_order() -> None:
    one = request_text("https://a/b", {"nodes": "x-1,x-2", "metrics": "m"})
    assert one == "https://a/b?metrics=m&nodes=x-1,x-2"
    assert request_text("https://a/b", {"metrics": "m", "nodes": "x-1,x-2"}) == one
    assert request_text("https://a/b", {}) == "https://a/b"


# Requests that stand in parts


def test_parts_are_known_to_the_next_process(tmp_path: Path) -> None:
    now = Answers(tmp_path)
    assert now.parts(REQUEST) is None
    parts = [[["gruss-1"], "2025-03-31", "2025-04-01"]]
    now.split(REQUEST, parts)
    later = Answers(tmp_path)
    assert later.parts(REQUEST) == parts
    assert (later.has(REQUEST), later.get(REQUEST)) == (False, None)


def test_a_request_that_was_answered_before_it_was_split(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    answers.put(REQUEST, b"watts", final=False)
    answers.split(REQUEST, [1, 2])
    assert answers.get(REQUEST) is None
    answers.put(REQUEST, b"watts", final=True)
    assert (answers.parts(REQUEST), answers.get(REQUEST)) == (None, b"watts")


# Damage


@pytest.mark.parametrize("damage", [b"", b"no zstd", zstandard.compress(b"other"), None])
def test_a_damaged_object_is_as_if_it_were_missing(tmp_path: Path, damage: bytes | None) -> None:
    Answers(tmp_path).put(REQUEST, b"watts", final=True)
    later = Answers(tmp_path)
    (kept,) = files(later, "objects")
    if damage is None:
        kept.unlink()
    else:
        kept.write_bytes(damage)
    assert later.has(REQUEST) == (damage is not None)  # it only looks whether there is something
    assert later.get(REQUEST) is None
    later.put(REQUEST, b"watts", final=True)  # as it is asked for again
    assert Answers(tmp_path).get(REQUEST) == b"watts"


def test_an_object_that_claims_to_be_huge_is_not_used(tmp_path: Path) -> None:
    """Damage to its first bytes: they tell how much memory its content takes."""
    answers = Answers(tmp_path)
    answers.put(REQUEST, b"watts", final=True)
    (kept,) = files(answers, "objects")
    whole = kept.read_bytes()
    for size in (2**62, 2**40):
        kept.write_bytes(whole[:4] + b"\xe0" + size.to_bytes(8, "little") + whole[6:])
        assert answers.get(REQUEST) is None


def test_half_of_an_object_is_not_used(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    content = os.urandom(5000)
    answers.put(REQUEST, content, final=True)
    (kept,) = files(answers, "objects")
    kept.write_bytes(kept.read_bytes()[:2500])
    assert answers.get(REQUEST) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"final": true}'])
def test_a_damaged_record_is_as_if_it_were_missing(tmp_path: Path, damage: bytes) -> None:
    answers = Answers(tmp_path)
    answers.put(REQUEST, b"watts", final=True)
    (record,) = files(answers, "requests")
    record.write_bytes(damage)
    found = answers.has(REQUEST), answers.get(REQUEST), answers.parts(REQUEST)
    assert found == (False, None, None)


# Writers that fail or are killed


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    answers = Answers(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with pytest.raises(OSError, match="No space left"):
        answers.put(REQUEST, b"watts", final=True)
    assert files(answers, "partial") == []
    assert files(answers, "objects") == []
    assert answers.get(REQUEST) is None


# The module alone: all that comes with its package takes seconds.
OPENED = f"""
import os, runpy, sys, time
from pathlib import Path
answers = runpy.run_path({module.__file__!r})["Answers"](Path(sys.argv[1]))
"""
WRITER = """
number = 0
while True:
    answers.put(f"request {number % 7}", os.urandom(20_000) + b"end", final=True)
    number += 1
    if number == 1:
        print("ready", flush=True)
"""


def test_killed_writers_leave_whole_answers_or_none(tmp_path: Path) -> None:
    for number in range(3):
        command = [sys.executable, "-c", OPENED + WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.03 + 0.013 * number)
            process.send_signal(signal.SIGKILL)
    answers = Answers(tmp_path)
    records = [json.loads(path.read_text()) for path in files(answers, "requests")]
    assert records
    for record in records:
        content = answers.get(record["request"])
        assert content is not None
        assert len(content) == record["n_bytes"]
        assert content.endswith(b"end")
    for kept in files(answers, "objects"):
        content = zstandard.decompress(kept.read_bytes())
        assert hashlib.sha256(content).hexdigest() == kept.stem


def test_writers_at_once_leave_the_answer_of_one(tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 5000 for number in range(4)]
    seen: list[bytes | None] = []

    def write(content: bytes) -> None:
        own = Answers(tmp_path)
        for _ in range(15):
            own.put(REQUEST, content, final=True)
            seen.append(own.get(REQUEST))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, contents))
    assert len(seen) == 60
    assert set(seen) <= set(contents)  # never a mixture, never none
    assert len(files(Answers(tmp_path), "objects")) == 4
    assert files(Answers(tmp_path), "partial") == []


# The workspace


def test_a_workspace_is_gone_after_its_use(tmp_path: Path) -> None:
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


def test_what_killed_processes_left_goes_after_a_day(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    partial = tmp_path / "partial"
    for name, age_s in (("old", FORGOTTEN_S + 60), ("new", FORGOTTEN_S - 60)):
        (partial / f"{name}-folder" / "inner").mkdir(parents=True)
        (partial / f"{name}-folder" / "piece").write_bytes(b"watts")
        (partial / f"{name}-file").write_bytes(b"watts")
        at = time.time() - age_s
        for left in (partial / f"{name}-folder", partial / f"{name}-file"):
            os.utime(left, (at, at))
    with answers.workspace():
        pass
    assert sorted(left.name for left in partial.iterdir()) == ["new-file", "new-folder"]


# Places


class Crowd:
    """How many are in a place at once; the first wait until as many are in as there is room."""

    def __init__(self, room: int) -> None:
        self.n = self.most = 0
        self._room, self._full = room, threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self._lock:
            self.n += 1
            self.most = max(self.most, self.n)
            if self.most >= self._room:
                self._full.set()
        self._full.wait(120)
        time.sleep(0.004)
        yield
        with self._lock:
            self.n -= 1


def most_at_once(folder: Path, *, n_slots: int, n_threads: int) -> int:
    """Each thread has an `Answers` of its own, as processes have, or shares one."""
    crowd = Crowd(n_slots)
    shared = Answers(folder)

    def work(number: int) -> None:
        answers = shared if number % 2 else Answers(folder)
        for _ in range(4):
            with answers.slot(n_slots), crowd.inside():
                pass

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))
    return crowd.most


@pytest.mark.parametrize("n_slots", [1, 3])
def test_places_bound_how_many_are_in(tmp_path: Path, n_slots: int) -> None:
    assert most_at_once(tmp_path, n_slots=n_slots, n_threads=8) == n_slots


def test_places_hold_where_locks_belong_to_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS makes such locks of `flock`: they do not keep out the threads of one process."""
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    assert most_at_once(tmp_path, n_slots=2, n_threads=8) == 2


def test_a_place_is_free_after_an_error(tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    for _ in range(2):
        with pytest.raises(KeyError), answers.slot(1):
            raise KeyError
    with answers.slot(1):
        pass


HOLDER = """
with answers.slot(1):
    print("in", flush=True)
    time.sleep(120)
"""


def test_a_place_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    answers, entered = Answers(tmp_path), threading.Event()

    def enter() -> None:
        with answers.slot(1):
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
