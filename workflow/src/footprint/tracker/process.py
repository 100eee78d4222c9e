"""A command run as if nothing stood before it: its streams, its signals, and how it ends.

The command is in the same process group, at the same terminal and with the same streams. What a
terminal sends (Ctrl-C) reaches both; what is sent to the tracker alone, as OAR sends its checkpoint
signal, is passed on. The tracker then ends as the command did.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

PASSED_ON = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGWINCH,
    signal.SIGXCPU,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
}
PR_SET_PDEATHSIG = 1
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit status of shells for such commands."""


class Ended(NamedTuple):
    """How a command ended: by one of the two."""

    exit_status: int | None
    signal: int | None


class Command:
    """A command that is running.

    Args:
        words: The command and its arguments.
        environment: Its variables.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit status
        libc = ctypes.CDLL(None, use_errno=True)
        own = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
        self.pid = os.fork()
        if self.pid == 0:
            # killed with its tracker, as a job is that is killed by the id of its process
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own:
                os._exit(NOT_EXECUTABLE)
            _become(words, environment, mask)

    def wait(self, on_signal: Callable[[int], None]) -> Ended:
        """Pass signals on until the command ends.

        Args:
            on_signal: Called with each signal that is passed on.
        """
        watched = {*PASSED_ON, signal.SIGCHLD}
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            told = signal.sigwaitinfo(watched)
            # a positive code: the kernel told the whole group, which the command belongs to
            is_for_both = told.si_code > 0 or told.si_pid == self.pid
            if told.si_signo != signal.SIGCHLD and not is_for_both:
                os.kill(self.pid, told.si_signo)
                on_signal(told.si_signo)
        if os.WIFSIGNALED(status):
            return Ended(None, os.WTERMSIG(status))
        return Ended(os.WEXITSTATUS(status), None)


def _become(words: Sequence[str], environment: Mapping[str, str], mask: set[int]) -> NoReturn:
    """Replace this process by the command, with the signals as they were."""
    try:
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, not by who started it
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(words[0], list(words), dict(environment))
    except OSError as error:
        print(f"footprint track: {words[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    finally:
        os._exit(NOT_EXECUTABLE)


def end_as(ended: Ended) -> NoReturn:
    """End this process as the command did: with its status, or by its signal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    if ended.signal is not None:
        import resource

        # the core of the command is the one that tells something
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if ended.signal not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(ended.signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {ended.signal})
        os.kill(os.getpid(), ended.signal)
        os._exit(128 + ended.signal)  # the first process of a container cannot be killed so
    os._exit(ended.exit_status or 0)
