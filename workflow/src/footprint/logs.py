"""Where a rule's messages go."""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

from footprint.errors import InputError

PER_REQUEST = ("httpx", "httpcore")
"""Libraries that would write a line for each request: they may warn, and no more."""


def to_file(path: str | Path) -> None:
    """Send everything that a script prints, logs or raises to its rule's log.

    Snakemake redirects nothing for `script:`. An `InputError` is written as its one line; anything
    else is a defect and is written with its traceback.
    """
    stream = Path(path).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115 (open until the end)
    sys.stdout = sys.stderr = stream
    logging.captureWarnings(True)
    logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s", force=True)
    for name in PER_REQUEST:
        logging.getLogger(name).setLevel(logging.WARNING)

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, InputError):
            stream.write(f"{error}\n")
        else:
            traceback.print_exception(kind, error, trace, file=stream)

    sys.excepthook = report
