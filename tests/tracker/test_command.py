"""`footprint track`: the command runs unchanged and is recorded."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from footprint import __version__
from tests.support.dispositions import default_dispositions, start_process
from tests.support.tracked_commands import (
    SOURCE,
    TRACK,
    TRACK_OFTEN,
    environment,
    only_run,
    read_ledger,
    run_track,
    wait_until,
)

EXIT_ON_SIGNAL = """
import signal, sys, time
def handle(number, frame):
    print("caught", signal.Signals(number).name, flush=True)
    sys.exit(7)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
    signal.signal(number, handle)
print("ready", flush=True)
for _ in range(12_000):  # a signal just before a sleep does not cut it short
    time.sleep(0.01)
"""
HANGS_S = 120
"""Seconds after which a command is taken to hang."""
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_track_command_exits_returns_its_status(tmp_path: Path, status: int) -> None:
    done = run_track(tmp_path, "--", "sh", "-c", f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")
    run = only_run(tmp_path)
    assert (run.end, run.exit_status, run.signal) == ("stopped", status, None)


def test_track_command_uses_streams_passes_bytes_unchanged(tmp_path: Path) -> None:
    given = bytes(range(256)) * 1000
    words = ["sh", "-c", "cat; cat /dev/null >&2; printf 'to\\000err' >&2"]
    done = run_track(tmp_path, "--", *words, input=given)
    alone = subprocess.run(words, input=given, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (alone.stdout, alone.stderr) == (given, b"to\0err")


@contextmanager
def running(
    folder: Path, *words: str, tracker: list[str] = TRACK
) -> Iterator[subprocess.Popen[bytes]]:
    """A tracked command that has printed its first line; it is killed at the end."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_process([*tracker, "--", *words], env=environment(folder), **options) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == b"ready\n"
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_track_signal_handled_by_command_reaches_it_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, sys.executable, "-c", EXIT_ON_SIGNAL) as started:
        started.send_signal(number)
        output, errors = started.communicate(timeout=HANGS_S)
    assert (output, errors) == (f"caught {number.name}\n".encode(), b"")
    assert started.returncode == 7
    run = only_run(tmp_path)
    assert (run.exit_status, run.warned_by) == (7, number.name)


@pytest.mark.parametrize(
    "number", [*SIGNALS, signal.SIGQUIT, signal.SIGRTMIN + 3], ids=lambda number: str(int(number))
)
def test_track_signal_kills_command_kills_tracker(tmp_path: Path, number: int) -> None:
    with running(tmp_path, "sh", "-c", f"echo ready; exec sleep {HANGS_S}") as started:
        started.send_signal(number)
        assert started.wait(HANGS_S) == -number
    run = only_run(tmp_path)
    assert run.exit_status is None
    assert run.signal in {signal.Signals(number).name if number < 32 else f"SIG{number}"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_track_command_killed_by_others_ends_by_same_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    done = run_track(tmp_path, "--", "sh", "-c", f"kill -{int(number)} $$")
    assert done.returncode == -number
    assert only_run(tmp_path).signal == number.name


def test_track_terminal_interrupt_reaches_command_once(tmp_path: Path) -> None:
    count_interrupts = (
        "import signal, time; seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True); end = time.monotonic() + 120\n"
        "while not seen and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.5); print('times', len(seen))\n"
    )
    with default_dispositions():
        pid, terminal = pty.fork()
        if pid == 0:
            words = [*TRACK, "--", sys.executable, "-c", count_interrupts]
            os.execve(words[0], words, environment(tmp_path))
    output = b""
    while b"ready" not in output:
        output += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    while b"times" not in output:
        output += os.read(terminal, 1000)
    assert b"times 1" in output
    assert os.waitstatus_to_exitcode(status) == 0
    os.close(terminal)
    assert only_run(tmp_path).warned_by is None


def test_track_under_nohup_command_survives_hangup(tmp_path: Path) -> None:
    """As when a terminal closes: HUP is sent to the tracker, to the command and to both."""
    script = "echo ready; kill -HUP $PPID $$; read line; exit 6"
    shell = f"trap '' HUP; exec {' '.join(TRACK)} -- sh -c '{script}'"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start_process(["sh", "-c", shell], env=environment(tmp_path), **pipes) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        started.send_signal(signal.SIGHUP)
        _, errors = started.communicate(b"\n", timeout=HANGS_S)
    assert (started.returncode, errors) == (6, b"")
    run = only_run(tmp_path)
    assert (run.end, run.exit_status, run.signal) == ("stopped", 6, None)


def test_track_signal_dispositions_are_inherited_by_command(tmp_path: Path) -> None:
    script = f"trap '' HUP; exec {' '.join(TRACK)} -- sh -c 'kill -HUP $$; echo alive'"
    given = {"env": environment(tmp_path), "capture_output": True, "check": False}
    assert subprocess.run(["sh", "-c", script], **given).stdout == b"alive\n"
    reader, writer = os.pipe()
    os.close(reader)
    words = [*TRACK, "--", "cat", "/dev/zero"]
    done = subprocess.run(words, env=environment(tmp_path), stdout=writer, check=False)
    os.close(writer)
    assert done.returncode == -signal.SIGPIPE


def test_track_command_cannot_run_returns_status_of_shell(tmp_path: Path) -> None:
    done = run_track(tmp_path, "--", "no-such-command")
    assert (done.returncode, done.stdout) == (127, b"")
    assert done.stderr == b"footprint track: no-such-command: No such file or directory\n"
    assert run_track(tmp_path, "--", str(tmp_path)).returncode == 126
    assert [run.exit_status for run in read_ledger(tmp_path).runs] == [127, 126]


def test_track_job_killed_by_oar_leaves_usable_record(tmp_path: Path) -> None:
    """OAR's checkpoint signal, then its walltime: SIGKILL for all of the job's processes."""
    traps = "trap 'echo checkpoint' USR2; echo ready; while :; do sleep 0.05; done"
    with running(tmp_path, "bash", "-c", traps, tracker=TRACK_OFTEN) as started:
        started.send_signal(signal.SIGUSR2)
        assert started.stdout is not None
        assert started.stdout.readline() == b"checkpoint\n"
        wait_until(lambda: read_ledger(tmp_path).runs[0].end == "seen")
        started.kill()
        assert started.wait(HANGS_S) == -signal.SIGKILL
        run = only_run(tmp_path)
        assert (run.end, run.warned_by, run.exit_status) == ("seen", "SIGUSR2", None)
        assert run.duration_s is not None
        assert 0 < run.duration_s < 2 * HANGS_S
        # the pipe ends only if the command, which holds its other end, is gone too
        assert started.stdout.read() is not None


def test_track_oar_job_with_labels_records_both(tmp_path: Path) -> None:
    variables = {
        "OAR_JOB_ID": "2041587",
        "OAR_ARRAY_ID": "2041586",
        "OAR_ARRAY_INDEX": "2",
        "OAR_JOB_NAME": "big",
        "OAR_PROJECT_NAME": "multispeech",
        "CUDA_VISIBLE_DEVICES": "0,1",
    }
    labels = ["--paper", "enhancement", "--phase", "training", "--role", "reported"]
    done = run_track(
        tmp_path,
        *labels,
        *("--kind", "training_run", "--note", "second seed"),
        *("--", "sh", "-c", "exit 0", "--", "--api-key", "abc123"),
        env=environment(tmp_path, **variables),
    )
    assert done.returncode == 0, done.stderr
    [path] = (tmp_path / "ledger").iterdir()
    start, devices, stop = map(json.loads, path.read_text().splitlines())
    assert path.name.split("-")[1:3] == ["job", "2041587"]
    assert start["oar"] == {
        "job_id": 2041587,
        "array_id": 2041586,
        "array_index": 2,
        "job_name": "big",
        "project": "multispeech",
    }
    assert start["labels"] == {
        "paper": "enhancement",
        "kind": "training_run",
        "role": "reported",
        "phase": "training",
    }
    assert start["note"] == "second seed"
    assert start["visible_gpus"] == "0,1"
    assert start["command"] == ["sh", "-c", "exit 0", "--", "--api-key", "***"]
    assert start["versions"]["footprint"] == __version__
    assert (start["format"], stop["record"], stop["exit_status"]) == (1, "stop", 0)
    # each source is recorded once, as found or as absent
    assert set(devices["absent"]) | {each["source"] for each in devices["found"]} == {
        "nvml",
        "rapl",
    }


def test_track_secret_in_note_and_command_is_not_recorded(tmp_path: Path) -> None:
    note = "token=correcthorse for the hub"
    run_track(tmp_path, "--note", note, "--", "true", "mysql", "-pcorrecthorse")
    [path] = (tmp_path / "ledger").iterdir()
    assert "correcthorse" not in path.read_text()
    assert json.loads(path.read_text().splitlines()[0])["note"] == "token=*** for the hub"


def test_track_no_devices_writes_no_device_record(tmp_path: Path) -> None:
    run_track(tmp_path, "--no-devices", "--", "true")
    [path] = (tmp_path / "ledger").iterdir()
    assert [json.loads(line)["record"] for line in path.read_text().splitlines()] == [
        "start",
        "stop",
    ]


def test_track_ledger_not_writable_warns_once_and_runs_command(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file")
    done = run_track(tmp_path, "--", "sh", "-c", "echo out; exit 4")
    assert (done.returncode, done.stdout) == (4, b"out\n")
    assert done.stderr.count(b"\n") == 1
    assert b"cannot be written (Not a directory)" in done.stderr or b"File exists" in done.stderr


def test_track_home_unknown_warns_and_runs_command(tmp_path: Path) -> None:
    script = (
        "import sys; from footprint.tracker import command, ledger\n"
        "def fails(): raise RuntimeError('no home')\n"
        "ledger.default_folder = fails; command.main(sys.argv[1:])"
    )
    done = run_track(tmp_path, "--", "sh", "-c", "exit 5", tracker=[sys.executable, "-c", script])
    assert (done.returncode, done.stdout) == (5, b"")
    assert done.stderr == b"footprint track: not tracked (no home)\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--phase", "development_run", "--", "true"],
            b"there is no `development_run`; did you mean `development`?",
        ),
        (["--paper", "mine"], b"no command"),
        (["--papers", "mine", "--", "true"], b"unrecognized arguments: --papers"),
        (
            ["--", "--paper", "mine"],
            b"--paper is not a command: a command cannot begin with a dash",
        ),
    ],
)
def test_track_invalid_arguments_exit_before_command_runs(
    tmp_path: Path, words: list[str], message: bytes
) -> None:
    done = run_track(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr
    assert not (tmp_path / "ledger").exists()


def test_track_options_after_command_go_to_command(tmp_path: Path) -> None:
    done = run_track(tmp_path, "--paper", "p", "echo", "--paper", "--help", "-n")
    assert done.stdout == b"--paper --help -n\n"
    assert only_run(tmp_path).labels == {"paper": "p"}


def test_track_without_packages_records_run(tmp_path: Path) -> None:
    """`-S` hides every installed package; no module of the pipeline is imported."""
    script = (
        "import sys; sys.argv = ['footprint', 'track', '--', 'true']\n"
        "from footprint.tracker import process\n"
        "process.exit_as = lambda ended: print(ended, *sorted(sys.modules))\n"
        "from footprint.__main__ import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment(tmp_path), capture_output=True
    )
    modules = done.stdout.decode().split()
    assert {"polars", "numpy", "yaml", "footprint.cli"} & set(modules) == set()
    assert "footprint.tracker.recorder" in modules
    assert only_run(tmp_path).exit_status == 0


def test_footprint_help_lists_every_command(tmp_path: Path) -> None:
    given = {"env": environment(tmp_path), "capture_output": True, "check": False, "text": True}
    done = subprocess.run([sys.executable, "-m", "footprint", "--help"], **given)
    assert done.returncode == 0, done.stderr
    for name in ("track", "report", "plan", "serve", "labels", "init", "run", "explain"):
        assert f" {name} " in done.stdout
    assert SOURCE.is_dir()
