"""Signal dispositions of the processes that tests start."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def default_dispositions() -> Iterator[None]:
    """Start processes with the default action of each signal, whatever this process ignores.

    `nohup` ignores HUP, and a shell without job control ignores INT and QUIT in its background
    jobs. Children inherit ignored signals, and a test that sends such a signal would wait forever.
    This process ignores them again afterwards, as `nohup` wants.
    """
    ignored = [
        number
        for number in signal.valid_signals()
        if number not in (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by Python itself
        and signal.getsignal(number) == signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def start_process(words: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process with default dispositions.

    Args:
        words: The command and its arguments.
        options: Options of `subprocess.Popen`.
    """
    with default_dispositions():
        return subprocess.Popen(words, **options)
