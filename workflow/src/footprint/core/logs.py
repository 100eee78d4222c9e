"""Log files of rules."""

import errno
import gc
import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from footprint.core.errors import InputError

QUIET_LIBRARIES = ("httpx", "httpcore")
"""Libraries that log each request; only their warnings are logged."""


DISK_FULL_MESSAGE = (
    "no space left on the disk of the study, or over its quota; free some, then run the same "
    "command again: it continues where it stopped"
)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that a disk is full or a quota is used up.

    Polars wraps such errors of the system in its own, with their text.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT))


def log_to_file(path: str | Path) -> None:
    """Redirect the output, the log and the uncaught exceptions of a script to its rule's log file.

    Snakemake redirects nothing for `script:`. An `InputError` and a full disk are written as one
    line, to the terminal where the log cannot be written. Any other exception is a defect and is
    written with its traceback. What the script has imported by then is taken out of garbage
    collection, which would visit all of it at the exit, for 0.1 s.

    Args:
        path: The log file, which is overwritten.
    """
    stream = Path(path).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115 (open until the end)
    sys.stdout = sys.stderr = stream
    logging.captureWarnings(True)
    logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s", force=True)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)

    def write_exception(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, InputError):
            _write(f"{error}\n")
        elif is_disk_full(error):
            _write(f"{DISK_FULL_MESSAGE}\n")
        else:
            _write("".join(traceback.format_exception(kind, error, trace)))

    def _write(text: str) -> None:
        try:
            stream.write(text)
        except OSError:  # the log lies on the full disk
            print(text, end="", file=sys.__stderr__)

    sys.excepthook = write_exception
    gc.freeze()
