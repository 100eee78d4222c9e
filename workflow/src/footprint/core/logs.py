"""Log files of rules."""

import gc
import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

from footprint.core.errors import InputError

QUIET_LIBRARIES = ("httpx", "httpcore")
"""Libraries that log each request; only their warnings are logged."""


def log_to_file(path: str | Path) -> None:
    """Redirect the output, the log and the uncaught exceptions of a script to its rule's log file.

    Snakemake redirects nothing for `script:`. An `InputError` is written as one line. Any other
    exception is a defect and is written with its traceback. What the script has imported by then is
    taken out of garbage collection, which would visit all of it at the exit, for 0.1 s.

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
            stream.write(f"{error}\n")
        else:
            traceback.print_exception(kind, error, trace, file=stream)

    sys.excepthook = write_exception
    gc.freeze()
