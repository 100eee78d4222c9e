"""The tracker inside Python: blocks, functions, blocks inside blocks and inside a command."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tracking import environment, ledger, track

import footprint
from footprint.tracker import marks, reading


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("FOOTPRINT_", "OAR_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOOTPRINT_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr(marks, "_recorders", {})
    return tmp_path


def test_a_block_is_recorded_with_its_labels(folder: Path) -> None:
    with footprint.track(paper="p", phase="training", role="reported", mark="training-run"):
        assert [run.end for run in ledger(folder).runs] == ["started"]
    [run] = ledger(folder).runs
    labels = {"paper": "p", "kind": "training_run", "role": "reported", "phase": "training"}
    assert (run.labels, run.mark, run.end, run.exit_status) == (
        labels,
        "training-run",
        "stopped",
        0,
    )
    assert run.host == os.uname().nodename
    assert run.command


def test_epochs_are_inside_their_training_in_one_file(folder: Path) -> None:
    with footprint.track(phase="training"):
        for number in range(3):
            with footprint.track(mark="epoch", note=f"epoch {number}"):
                pass
    read = ledger(folder)
    training, *epochs = read.runs
    assert read.faults == []
    assert {run.within for run in epochs} == {training.identity}
    assert [run.mark for run in read.runs] == [None, "epoch", "epoch", "epoch"]
    assert [run.identity for run in read.outermost()] == [training.identity]
    assert len(list((folder / "ledger").iterdir())) == 1
    with footprint.track(mark="inference-run"):
        pass
    assert [run.labels.get("kind") for run in ledger(folder).outermost()] == [None, "inference_run"]


def test_a_function_is_a_block_at_each_call_even_within_itself(folder: Path) -> None:
    @footprint.track(phase="development")
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(2) == 2
    runs = ledger(folder).runs
    assert [run.end for run in runs] == ["stopped"] * 3
    assert [run.within for run in runs] == [None, runs[0].identity, runs[1].identity]


def test_exceptions_pass_and_are_recorded_by_name_alone(folder: Path) -> None:
    with pytest.raises(ValueError, match="secret"), footprint.track():
        raise ValueError("secret")
    [path] = (folder / "ledger").iterdir()
    assert '"error":"ValueError"' in path.read_text()
    assert "secret" not in path.read_text().replace(" ".join(sys.argv), "")
    assert ledger(folder).runs[0].exit_status == 1


def test_a_forked_worker_ends_nothing(folder: Path) -> None:
    with footprint.track(phase="training"):
        pid = os.fork()
        if pid == 0:
            break_out = marks.track(mark="epoch")
            with break_out:
                pass
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert ledger(folder).runs[0].end == "started"
    read = ledger(folder)
    assert read.faults == []
    assert len(list((folder / "ledger").iterdir())) == 2  # no file has two writers
    training, epoch = read.runs
    assert (training.end, epoch.end, epoch.within) == ("stopped", "stopped", training.identity)


def test_threads_have_blocks_of_their_own(folder: Path) -> None:
    def work() -> None:
        with footprint.track():
            pass

    with footprint.track():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    read = ledger(folder)
    assert read.faults == []
    assert [run.end for run in read.runs] == ["stopped"] * 9
    assert {run.within for run in read.runs} == {None}


def test_blocks_inside_a_tracked_command_belong_to_it(tmp_path: Path) -> None:
    script = "import footprint\nwith footprint.track(mark='epoch'): pass"
    done = track(tmp_path, "--phase", "training", "--", sys.executable, "-c", script)
    assert (done.returncode, done.stderr) == (0, b"")
    read = ledger(tmp_path)
    command, epoch = read.runs
    assert (command.labels, epoch.mark) == ({"phase": "training"}, "epoch")
    assert epoch.within == command.identity
    assert len({command.file, epoch.file}) == 2


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="phase 'train' is not one of training"):
        footprint.track(phase="train")
    with pytest.raises(ValueError, match="mark 'batch' is not one of"):
        footprint.track(mark="batch")
    with pytest.raises(AttributeError, match="no attribute 'tracked'"):
        footprint.tracked  # noqa: B018


def test_what_goes_wrong_with_the_ledger_stays_outside_of_the_block(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ledger").write_text("a file")
    for _ in range(2):
        with footprint.track():
            done = True
    assert done
    assert capsys.readouterr().err.count("cannot be written") == 1

    def fails(*_: object) -> None:
        raise OSError("no host")

    monkeypatch.setattr("footprint.tracker.facts.gather", fails)
    with footprint.track():
        done = False
    assert not done
    assert "not tracked (no host)" in capsys.readouterr().err


def test_the_library_imports_the_tracker_only_when_it_is_used(tmp_path: Path) -> None:
    asks = "import sys, footprint; print([n for n in sys.modules if n.startswith('footprint.')])"
    words = [sys.executable, "-S", "-c", asks]
    done = subprocess.run(words, env=environment(tmp_path), capture_output=True, check=True)
    assert done.stdout == b"[]\n"
    assert reading.files(tmp_path) == []
