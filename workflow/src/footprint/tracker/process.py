"""A tracked command as a child process, with forwarded signals and the same exit.

The command has the tracker's process group, terminal and streams. A signal to the group, as of
Ctrl-C or of `timeout`, reaches both processes; a signal to the tracker alone, such as OAR's
checkpoint signal, is forwarded. The tracker then exits as the command did.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from footprint.tracker import signals
from footprint.tracker.execution import NOT_EXECUTABLE, execute
from footprint.tracker.witness import Witness, die_with_parent

GROUP_GRACE_S = 0.1
"""Time for a signal of several processes to reach all of them, after its first arrival."""
LONGEST_GRACE_S = 1.0
"""Longest time for which a signal is kept back while others arrive."""


class CommandEnd(NamedTuple):
    """End of a command: its exit status or the signal that killed it; the other is None."""

    exit_status: int | None
    signal: int | None


class Command:
    """A running command.

    Args:
        words: Command and arguments.
        environment: Environment variables of the command.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        mask = signals.hold_signals()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, there is no exit status
        own = os.getpid()
        self._witness = Witness()
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            # a kill of the tracker by its process id kills the command as well
            if not die_with_parent(own):
                os._exit(NOT_EXECUTABLE)
            os.close(writer)
            os.read(reader, 1)
            execute(words, environment, mask)
        os.close(reader)
        self._early_signals = self._forward_early_signals()
        os.close(writer)  # the command is executed now

    def _forward_early_signals(self) -> list[int]:
        """Forward what arrived before the command, which still holds its signals.

        One that it has received itself stays a single one: a pending signal is pending once.
        """
        numbers: list[int] = []
        while True:
            self._witness.received_signals()
            arrived = [info.si_signo for info in signals.take_signals()]
            if not arrived:
                return numbers
            for number in arrived:
                os.kill(self.pid, number)
            numbers += arrived

    def wait(self, on_signal: Callable[[int], None]) -> CommandEnd:
        """Forward signals until the command ends.

        Args:
            on_signal: Called with each forwarded signal.
        """
        for number in self._early_signals:
            on_signal(number)
        watched = {*signals.FORWARDED_SIGNALS, signal.SIGCHLD}
        arrived: list[signal.struct_siginfo] = []
        first_s = due_s = 0.0
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            now_s = time.monotonic()
            if arrived and now_s >= due_s:
                for number in self._signals_to_forward(arrived):
                    os.kill(self.pid, number)
                    on_signal(number)
                arrived = []
                continue
            wait_s = due_s - now_s
            info = signal.sigtimedwait(watched, wait_s) if arrived else signal.sigwaitinfo(watched)
            if info is not None and info.si_signo != signal.SIGCHLD:
                now_s = time.monotonic()
                first_s = first_s if arrived else now_s
                due_s = min(now_s + GROUP_GRACE_S, first_s + LONGEST_GRACE_S)
                arrived.append(info)
        self._witness.end()
        if os.WIFSIGNALED(status):
            return CommandEnd(None, os.WTERMSIG(status))
        return CommandEnd(os.WEXITSTATUS(status), None)

    def _signals_to_forward(self, arrived: list[signal.struct_siginfo]) -> list[int]:
        """Numbers of the signals that have not reached the command already.

        Signals of one number and sender within the grace are one if the group received it:
        `timeout` signals its child, and then the group of both.
        """
        shared = self._witness.received_signals()
        is_complete = shared <= {(info.si_signo, info.si_pid) for info in arrived}
        arrived = arrived + signals.take_signals(0 if is_complete else GROUP_GRACE_S)
        if os.getpgid(self.pid) != os.getpgrp():  # as after `setsid`: out of the group's reach
            numbers = dict.fromkeys((info.si_signo, info.si_pid) for info in arrived)
            return [number for number, sender in numbers if sender != self.pid]
        if not self._witness.is_present:  # the kernel signals groups
            shared |= {(info.si_signo, info.si_pid) for info in arrived if info.si_code > 0}
        return [
            info.si_signo
            for info in arrived
            if (info.si_signo, info.si_pid) not in shared and info.si_pid != self.pid
        ]


def exit_as(ended: CommandEnd) -> NoReturn:
    """Exit as the command did: with its status, or by its signal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    if ended.signal is not None:
        import resource

        # the core dump of interest is the command's
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if ended.signal not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(ended.signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {ended.signal})
        os.kill(os.getpid(), ended.signal)
        os._exit(128 + ended.signal)  # a container's first process survives its own signal
    os._exit(ended.exit_status or 0)
