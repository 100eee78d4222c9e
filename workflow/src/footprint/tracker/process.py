"""A tracked command as a child process, with forwarded signals and the same exit.

The command has the tracker's process group, terminal and streams. A signal of the terminal, as of
Ctrl-C, reaches both processes; a signal to the tracker alone, such as OAR's checkpoint signal, is
forwarded. The tracker then exits as the command did.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

FORWARDED_SIGNALS = {
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
"""Exit status of a shell for a command that is missing, and for one that cannot be executed."""


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
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, there is no exit status
        libc = ctypes.CDLL(None, use_errno=True)
        own = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED_SIGNALS, signal.SIGCHLD})
        self.pid = os.fork()
        if self.pid == 0:
            # a kill of the tracker by its process id kills the command as well
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own:
                os._exit(NOT_EXECUTABLE)
            _execute(words, environment, mask)

    def wait(self, on_signal: Callable[[int], None]) -> CommandEnd:
        """Forward signals until the command ends.

        Args:
            on_signal: Called with each forwarded signal.
        """
        watched = {*FORWARDED_SIGNALS, signal.SIGCHLD}
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            received = signal.sigwaitinfo(watched)
            # a positive code: the kernel signalled the whole group, the command included
            is_for_both = received.si_code > 0 or received.si_pid == self.pid
            if received.si_signo != signal.SIGCHLD and not is_for_both:
                os.kill(self.pid, received.si_signo)
                on_signal(received.si_signo)
        if os.WIFSIGNALED(status):
            return CommandEnd(None, os.WTERMSIG(status))
        return CommandEnd(os.WEXITSTATUS(status), None)


def _execute(words: Sequence[str], environment: Mapping[str, str], mask: set[int]) -> NoReturn:
    """Replace this process by the command, with the original signal mask and dispositions."""
    try:
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, not by its parent
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(words[0], list(words), dict(environment))
    except OSError as error:
        print(f"footprint track: {words[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    finally:
        os._exit(NOT_EXECUTABLE)


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
