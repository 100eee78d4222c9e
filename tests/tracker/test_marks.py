"""`footprint.track`: blocks, functions, and blocks inside blocks and inside a command."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import footprint
from footprint.tracker import marks, reading
from tests.support.tracked_commands import environment, read_ledger, run_track


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty ledger, the default of this process."""
    for name in [name for name in os.environ if name.startswith(("FOOTPRINT_", "OAR_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOOTPRINT_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr(marks, "_recorders", {})
    return tmp_path


def test_track_block_with_labels_records_them(folder: Path) -> None:
    with footprint.track(paper="p", phase="training", role="reported", mark="training-run"):
        assert [run.end for run in read_ledger(folder).runs] == ["started"]
    [run] = read_ledger(folder).runs
    labels = {"paper": "p", "kind": "training_run", "role": "reported", "phase": "training"}
    assert (run.labels, run.mark, run.end, run.exit_status) == (
        labels,
        "training-run",
        "stopped",
        0,
    )
    assert run.host == os.uname().nodename
    assert run.command


def test_track_secret_in_note_is_not_recorded(folder: Path) -> None:
    with footprint.track(note="password: correcthorse, second try"):
        pass
    [path] = (folder / "ledger").iterdir()
    assert "correcthorse" not in path.read_text()


def test_track_epochs_in_training_are_nested_in_one_file(folder: Path) -> None:
    with footprint.track(phase="training"):
        for number in range(3):
            with footprint.track(mark="epoch", note=f"epoch {number}"):
                pass
    contents = read_ledger(folder)
    training, *epochs = contents.runs
    assert contents.faults == []
    assert {run.within for run in epochs} == {training.identity}
    assert [run.mark for run in contents.runs] == [None, "epoch", "epoch", "epoch"]
    assert [run.identity for run in contents.outermost_runs()] == [training.identity]
    assert len(list((folder / "ledger").iterdir())) == 1
    with footprint.track(mark="inference-run"):
        pass
    assert [run.labels.get("kind") for run in read_ledger(folder).outermost_runs()] == [
        None,
        "inference_run",
    ]


def test_track_recursive_function_records_run_for_each_call(folder: Path) -> None:
    @footprint.track(phase="development")
    def count_down(n: int) -> int:
        return 0 if n == 0 else 1 + count_down(n - 1)

    assert count_down(2) == 2
    runs = read_ledger(folder).runs
    assert [run.end for run in runs] == ["stopped"] * 3
    assert [run.within for run in runs] == [None, runs[0].identity, runs[1].identity]


def test_track_exception_propagates_and_records_type_alone(folder: Path) -> None:
    with pytest.raises(ValueError, match="secret"), footprint.track():
        raise ValueError("secret")
    [path] = (folder / "ledger").iterdir()
    assert '"error":"ValueError"' in path.read_text()
    assert "secret" not in path.read_text().replace(" ".join(sys.argv), "")
    assert read_ledger(folder).runs[0].exit_status == 1


def test_track_forked_worker_does_not_end_enclosing_run(folder: Path) -> None:
    with footprint.track(phase="training"):
        pid = os.fork()
        if pid == 0:
            block = marks.track(mark="epoch")
            with block:
                pass
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert read_ledger(folder).runs[0].end == "started"
    contents = read_ledger(folder)
    assert contents.faults == []
    assert len(list((folder / "ledger").iterdir())) == 2  # no file has two writers
    training, epoch = contents.runs
    assert (training.end, epoch.end, epoch.within) == ("stopped", "stopped", training.identity)


def test_track_block_in_thread_is_not_nested(folder: Path) -> None:
    def work() -> None:
        with footprint.track():
            pass

    with footprint.track():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    contents = read_ledger(folder)
    assert contents.faults == []
    assert [run.end for run in contents.runs] == ["stopped"] * 9
    assert {run.within for run in contents.runs} == {None}


def test_track_block_in_tracked_command_is_nested(tmp_path: Path) -> None:
    script = "import footprint\nwith footprint.track(mark='epoch'): pass"
    done = run_track(tmp_path, "--phase", "training", "--", sys.executable, "-c", script)
    assert (done.returncode, done.stderr) == (0, b"")
    contents = read_ledger(tmp_path)
    command, epoch = contents.runs
    assert (command.labels, epoch.mark) == ({"phase": "training"}, "epoch")
    assert epoch.within == command.identity
    assert len({command.file, epoch.file}) == 2


def test_track_invalid_value_raises_at_call() -> None:
    with pytest.raises(ValueError, match="phase 'train' is not one of training"):
        footprint.track(phase="train")
    with pytest.raises(ValueError, match="mark 'batch' is not one of"):
        footprint.track(mark="batch")
    with pytest.raises(AttributeError, match="no attribute 'tracked'"):
        footprint.tracked  # noqa: B018


def test_track_ledger_fails_block_runs_with_warning(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ledger").write_text("a file")
    for _ in range(2):
        with footprint.track():
            done = True
    assert done
    assert capsys.readouterr().err.count("cannot be written") == 1

    def fail(*_: object) -> None:
        raise OSError("no host")

    monkeypatch.setattr("footprint.tracker.facts.start_facts", fail)
    with footprint.track():
        done = False
    assert not done
    assert "not tracked (no host)" in capsys.readouterr().err


def test_footprint_import_does_not_import_tracker(tmp_path: Path) -> None:
    script = "import sys, footprint; print([n for n in sys.modules if n.startswith('footprint.')])"
    words = [sys.executable, "-S", "-c", script]
    done = subprocess.run(words, env=environment(tmp_path), capture_output=True, check=True)
    assert done.stdout == b"[]\n"
    assert reading.ledger_files(tmp_path) == []
