"""Replacement of a process by a command, as a shell does it."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit status of a shell for a command that is missing, and for one that cannot be executed."""
SHELL = "/bin/sh"
CHECKED_BYTES = 80
"""Start of a file in whose first line a shell looks for NUL, the sign of a binary file."""
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python itself ignores, and not the process that started it."""


def execute(words: Sequence[str], environment: Mapping[str, str], mask: set[int]) -> NoReturn:
    """Replace this process by a command; if that fails, exit with the status of a shell.

    A script without `#!` is executed by `/bin/sh`, as POSIX defines for `execvp`.

    Args:
        words: Command and arguments.
        environment: Environment variables of the command.
        mask: Signal mask of the command.
    """
    try:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            # a handler of Python's must not run here once signals are no longer blocked
            is_own = signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN, None)
            if is_own or number in PYTHON_IGNORES:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        error = _try_paths(words, dict(environment))
        print(f"footprint track: {words[0]}: {error.strerror}", file=sys.stderr, flush=True)
        is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        os._exit(NOT_FOUND if is_missing else NOT_EXECUTABLE)
    finally:
        os._exit(NOT_EXECUTABLE)


def _try_paths(words: Sequence[str], environment: dict[str, str]) -> OSError:
    """Execute the first path that can be; return the error that tells most where none can."""
    found: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in _command_paths(words[0], environment):
        try:
            try:
                os.execve(path, list(words), environment)
            except OSError as error:
                if error.errno != errno.ENOEXEC or _is_binary(path):
                    raise
                os.execve(SHELL, [SHELL, path, *words[1:]], environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno != errno.EACCES:  # later folders of PATH are searched after EACCES alone
                return error
            found = error if not isinstance(found, PermissionError) else found
    return found


def _command_paths(name: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Paths of a command: itself, or its name in each folder of PATH."""
    if "/" in name:
        yield name
    elif name:
        yield from (f"{folder or '.'}/{name}" for folder in os.get_exec_path(environment))


def _is_binary(path: str) -> bool:
    """Whether a file is not a script: its first line contains NUL."""
    with Path(path).open("rb") as stream:
        return b"\0" in stream.read(CHECKED_BYTES).partition(b"\n")[0]
