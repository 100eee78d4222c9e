"""Each signal reaches the tracked command exactly once, whoever it was sent to."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dispositions import default_dispositions, start_process
from tests.support.tracked_commands import (
    TRACK,
    environment,
    only_run,
    read_ledger,
    run_track,
    wait_until,
)

HANGS_S = 120
QUIET_S = 0.7
"""Time without a signal after which no other one is on its way."""
COUNT = f"""
import os, signal, sys, time
OWN_GROUP = len(sys.argv) > 1 and sys.argv[1] == "own-group"
if OWN_GROUP:
    os.setpgid(0, 0)
seen, last = [], time.monotonic() + {HANGS_S}
def count(number, frame):
    global last
    seen.append(signal.Signals(number).name)
    last = time.monotonic()
for number in (1, 2, 10, 12, 15):
    signal.signal(number, count)
print("ready", os.getpid(), flush=True)
while time.monotonic() < last + {QUIET_S}:
    time.sleep(0.01)
print(*seen, flush=True)
"""
"""A command that prints the signals that it received, once no more arrive."""
BLOCKED_FROM_START = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # and in the command: it keeps them
from footprint.tracker import command, process, signals
signals.hold_signals()
SENT
command.main(sys.argv[1:])
"""
COUNT_PENDING = (
    "import signal, sys\n"
    "n = 0\n"
    "while signal.sigtimedwait({signal.SIGUSR1}, 0.7): n += 1\n"
    "print(n, flush=True)"
)
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]


@contextmanager
def counting(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A tracked command that counts signals in a process group of its own, and its process id."""
    command = [*TRACK, "--", sys.executable, "-c", COUNT, *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    with start_process(command, env=environment(folder), **options) as started:
        try:
            assert started.stdout is not None
            word, pid = started.stdout.readline().split()
            assert word == b"ready"
            yield started, int(pid)
        finally:
            started.kill()


def counted(started: subprocess.Popen[bytes]) -> list[str]:
    output, errors = started.communicate(timeout=HANGS_S)
    assert (started.returncode, errors) == (0, b"")
    return output.decode().split()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_track_signal_to_group_reaches_command_once(tmp_path: Path, number: signal.Signals) -> None:
    with counting(tmp_path) as (started, _):
        os.killpg(started.pid, number)
        assert counted(started) == [number.name]
    assert only_run(tmp_path).warned_by is None


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_track_signal_to_tracker_alone_reaches_command_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    with counting(tmp_path) as (started, _):
        started.send_signal(number)
        assert counted(started) == [number.name]
    assert only_run(tmp_path).warned_by == number.name


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("first", ["tracker", "command"])
def test_track_signal_to_each_process_reaches_command_once(tmp_path: Path, first: str) -> None:
    """As from `pkill` and `scancel`, which signal one process after the other."""
    with counting(tmp_path) as (started, _):
        pids = [started.pid, *children(started.pid)]
        for pid in pids if first == "tracker" else reversed(pids):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.005)
        assert counted(started) == ["SIGTERM"]


def test_track_several_signals_reach_command_each(tmp_path: Path) -> None:
    with counting(tmp_path) as (started, _):
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            started.send_signal(number)
            time.sleep(0.3)
        os.killpg(started.pid, signal.SIGUSR1)
        time.sleep(0.3)
        started.send_signal(signal.SIGUSR1)
        assert counted(started) == ["SIGUSR1", "SIGTERM", "SIGUSR1", "SIGUSR1", "SIGUSR1"]


def test_track_command_in_group_of_its_own_gets_signal_to_group_once(tmp_path: Path) -> None:
    with counting(tmp_path, "own-group") as (started, pid):
        assert os.getpgid(pid) == pid
        os.killpg(started.pid, signal.SIGTERM)
        assert counted(started) == ["SIGTERM"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=lambda each: each.name)
def test_track_witness_gone_signals_still_arrive(tmp_path: Path, number: signal.Signals) -> None:
    with counting(tmp_path) as (started, pid):
        [witness] = [child for child in children(started.pid) if child != pid]
        os.kill(witness, number)
        started.send_signal(signal.SIGTERM)
        assert counted(started) == ["SIGTERM"]


@pytest.mark.skipif(shutil.which("timeout") is None, reason="there is no `timeout`")
@pytest.mark.parametrize("name", ["TERM", "INT", "USR2"])
def test_track_under_timeout_command_gets_one_signal(tmp_path: Path, name: str) -> None:
    words = ["timeout", "-s", name, "1", *TRACK, "--", sys.executable, "-c", COUNT]
    with default_dispositions():
        done = subprocess.run(words, env=environment(tmp_path), capture_output=True, check=False)
    assert done.stdout.split()[2:] == [f"SIG{name}".encode()]
    assert (done.returncode, done.stderr) == (124, b"")


SENT_BEFORE = {
    "to the tracker": "os.kill(os.getpid(), signal.SIGUSR1)",
    "to the group": "os.killpg(0, signal.SIGUSR1)",
    "to the group, beside the witness": (
        "make = process.Witness\n"
        "def make_and_send():\n"
        "    witness = make()\n"
        "    os.killpg(0, signal.SIGUSR1)\n"
        "    return witness\n"
        "process.Witness = make_and_send"
    ),
    "to the group, beside the command": (
        "forward = process.Command._forward_early_signals\n"
        "def send_and_forward(self):\n"
        "    os.killpg(0, signal.SIGUSR1)\n"
        "    return forward(self)\n"
        "process.Command._forward_early_signals = send_and_forward"
    ),
}


@pytest.mark.parametrize("sent", SENT_BEFORE)
def test_track_signal_before_command_reaches_it_once(tmp_path: Path, sent: str) -> None:
    script = BLOCKED_FROM_START.replace("SENT", SENT_BEFORE[sent])
    tracker = [sys.executable, "-c", script]
    done = run_track(
        *(tmp_path, "--", sys.executable, "-c", COUNT_PENDING),
        tracker=tracker,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")


def test_track_signal_before_command_hides_no_later_one(tmp_path: Path) -> None:
    """The same sender signals the group first, and the tracker alone once the command runs."""
    sent = (
        "make = process.Witness\n"
        "def make_and_wait():\n"
        "    witness = make()\n"
        "    print('early', flush=True)\n"
        "    while not signal.sigpending(): pass\n"
        "    return witness\n"
        "process.Witness = make_and_wait"
    )
    script = BLOCKED_FROM_START.replace("SENT", sent)
    command = COUNT_PENDING.replace("n = 0", "n = 0; print('ready', flush=True)")
    words = [sys.executable, "-c", script, "--", sys.executable, "-c", command.replace("0.7", "3")]
    options = {"stdout": subprocess.PIPE, "start_new_session": True}
    with start_process(words, env=environment(tmp_path), **options) as started:
        assert started.stdout.readline() == b"early\n"
        os.killpg(started.pid, signal.SIGUSR1)
        assert started.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        started.send_signal(signal.SIGUSR1)
        assert started.stdout.read() == b"2\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_track_signal_before_command_ends_it_without_traceback(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = (
        "import os, sys; sys.argv[:1] = ['footprint', 'track']\n"
        "from footprint.tracker import facts\n"
        "find = facts.start_facts\n"
        f"facts.start_facts = lambda *given: os.kill(os.getpid(), {int(number)}) or find(*given)\n"
        "from footprint.__main__ import main; main()"
    )
    done = run_track(tmp_path, "--", "sleep", "9", tracker=[sys.executable, "-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (-number, b"", b"")
    run = only_run(tmp_path)
    assert (run.end, run.signal, run.warned_by) == ("stopped", number.name, number.name)


def test_track_interrupt_while_python_loads_it_ends_without_traceback(tmp_path: Path) -> None:
    script = (
        "import builtins, sys; sys.argv[:1] = ['footprint', 'track']\n"
        "from footprint import __main__\n"
        "load = builtins.__import__\n"
        "def interrupt(name, *rest):\n"
        "    if name == 'footprint.tracker': raise KeyboardInterrupt\n"
        "    return load(name, *rest)\n"
        "builtins.__import__ = interrupt\n"
        "__main__.main()"
    )
    done = run_track(tmp_path, "--", "sleep", "9", tracker=[sys.executable, "-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_track_terminal_closes_command_gets_one_hangup(tmp_path: Path) -> None:
    """The system signals the leader of the session alone, which is the tracker under `ssh -t`."""
    result = tmp_path / "seen"
    script = COUNT.replace("print(*seen", f"print(*seen, file=open({str(result)!r}, 'w')")
    with default_dispositions():
        pid, terminal = pty.fork()
        if pid == 0:
            words = [*TRACK, "--", sys.executable, "-c", script]
            os.execve(words[0], words, environment(tmp_path))
    _read_until(terminal, lambda output: b"\n" in output)
    time.sleep(0.1)  # until its `print` has returned, which the end of the terminal would fail
    os.close(terminal)
    os.waitpid(pid, 0)
    assert result.read_text() == "SIGHUP\n"


def _read_until(terminal: int, condition: Callable[[bytes], bool]) -> bytes:
    output = b""
    while not condition(output):
        output += os.read(terminal, 1000)
    return output


def test_track_killed_leaves_no_process(tmp_path: Path) -> None:
    with counting(tmp_path) as (started, _):
        pids = children(started.pid)
        assert len(pids) == 2
        started.kill()
        started.wait()

    def are_gone() -> bool:
        states = [Path(f"/proc/{pid}/stat") for pid in pids]
        return all(not each.exists() or b") Z " in each.read_bytes() for each in states)

    wait_until(are_gone)


# Scripts


def make_script(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_track_script_without_interpreter_line_is_executed_by_shell(
    tmp_path: Path,
) -> None:
    make_script(tmp_path / "n.sh", b"echo hi\n")
    for before in ([], ["nohup"], ["env"]):
        done = run_track(tmp_path, "--", *before, "./n.sh", cwd=tmp_path, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout) == (0, b"hi\n")


def test_track_script_without_interpreter_line_gets_arguments_and_path(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    path = make_script(tmp_path / "bin/a script", b'echo "$0" "$#" "$2"; exit 5\n')
    variables = environment(tmp_path)
    variables["PATH"] = f"/nowhere:{tmp_path}/bin:{variables['PATH']}"
    done = run_track(tmp_path, "--", "a script", "x", "y z", env=variables)
    assert (done.returncode, done.stdout) == (5, f"{path} 2 y z\n".encode())
    assert run_track(tmp_path, "--", str(make_script(tmp_path / "empty", b""))).returncode == 0


def test_track_binary_of_another_machine_is_not_executed_by_shell(tmp_path: Path) -> None:
    path = make_script(tmp_path / "binary", b"\x7fELF\x02\x00\x00 echo no\n")
    done = run_track(tmp_path, "--", str(path))
    assert (done.returncode, done.stdout) == (126, b"")
    assert done.stderr == f"footprint track: {path}: Exec format error\n".encode()


def test_track_command_of_two_folders_of_path_is_the_executable_one(tmp_path: Path) -> None:
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        make_script(tmp_path / name / "tool", f"echo {name}\n".encode()).chmod(mode)
    variables = environment(tmp_path)
    path = variables["PATH"]
    both = variables | {"PATH": f"{tmp_path}/first:{tmp_path}/second:{path}"}
    assert run_track(tmp_path, "--", "tool", env=both).stdout == b"second\n"
    first = variables | {"PATH": f"{tmp_path}/first:{path}"}
    assert run_track(tmp_path, "--", "tool", env=first).returncode == 126
    assert [run.exit_status for run in read_ledger(tmp_path).runs] == [0, 126]
