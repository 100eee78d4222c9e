"""A process that receives what is sent to the process group of a command, as a witness of it.

The system does not report whether a signal was sent to one process or to its group. `timeout`, a
terminal (Ctrl-C), `scancel` and `pkill` signal the tracker and its command alike, `kill` and OAR
the tracker alone. The witness is a third process of the group, which nobody signals alone: what it
received too has reached the command, and must not be passed on to it again.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from typing import NoReturn

from footprint.tracker.signals import take_signals

PR_SET_PDEATHSIG = 1
LONGEST_REPORT_BYTES = 65_536
REPORT_TIMEOUT_S = 2.0
"""Longest wait for a report."""

SentSignal = tuple[int, int]
"""Number of a signal, and id of the process that sent it (0: the kernel)."""


def die_with_parent(parent: int) -> bool:
    """Let the system kill this process when its parent ends; False if the parent has ended.

    Args:
        parent: Process id of the parent.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


class Witness:
    """A child process in which the forwarded signals stay pending until they are asked for.

    Signals must be held before (`signals.hold_signals`). Without a process to spare, after its
    end, or where it does not respond, `is_present` is False.
    """

    def __init__(self) -> None:
        self.is_present = False
        self._pid = 0
        parent = os.getpid()
        requests, self._requests = os.pipe()
        self._reports, reports = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            return
        finally:
            if os.getpid() == parent:
                os.close(requests)
                os.close(reports)
        if self._pid == 0:
            os.close(self._requests)
            os.close(self._reports)
            _answer_requests(requests, reports, parent)
        self.is_present = True

    def received_signals(self) -> set[SentSignal]:
        """Signals that the witness received since the last call."""
        if not self.is_present:
            return set()
        report = b""
        try:
            os.write(self._requests, b"?")
            while not report.endswith(b"\n"):
                if not select.select([self._reports], [], [], REPORT_TIMEOUT_S)[0]:
                    raise TimeoutError  # it is stopped
                part = os.read(self._reports, LONGEST_REPORT_BYTES)
                if not part:
                    raise BrokenPipeError
                report += part
        except OSError:
            self.is_present = False
            return set()
        words = [int(word) for word in report.split()]
        return set(zip(words[::2], words[1::2], strict=True))

    def end(self) -> None:
        """End the process."""
        os.close(self._requests)
        os.close(self._reports)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _answer_requests(requests: int, reports: int, parent: int) -> NoReturn:
    """Report the pending signals at each request, until the other end is closed."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # a pipe of the command must end with the command
            os.dup2(null, stream)
        while die_with_parent(parent) and os.read(requests, 1):
            taken = {(info.si_signo, info.si_pid) for info in take_signals()}
            words = [str(number) for each in sorted(taken) for number in each]
            os.write(reports, " ".join(words).encode() + b"\n")
    finally:
        os._exit(0)
