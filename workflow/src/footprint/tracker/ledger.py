"""The ledger: a folder of files, one for each process that tracks, of one JSON record a line.

No file has two writers, so that nothing is ever locked, which network file systems do badly. A
record is one `write` at the end of its file and is on the disk before the next begins: a machine
that stops leaves whole lines, and at most a last one that is cut.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the format: another one where older readers would misread a record."""

FOLDER_VARIABLE = "FOOTPRINT_LEDGER"


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where ledgers are kept: `FOOTPRINT_LEDGER`, else `~/.local/share/footprint`."""
    if environment.get(FOLDER_VARIABLE):
        return Path(environment[FOLDER_VARIABLE]).expanduser()
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local/share") / "footprint"


def now() -> str:
    """The time as records have it: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ledger:
    """The file of this process in a ledger. Whatever goes wrong with it, nothing is raised.

    Args:
        folder: The ledger; made when it is missing, readable by its owner alone.
        job: OAR's job, for the name of the file; None: none, and the name says no host either,
            which outside of a cluster may be named after its owner.
        host: This machine, likewise.
    """

    def __init__(self, folder: Path, *, job: int | None, host: str) -> None:
        day = time.strftime("%Y%m%d", time.gmtime())
        where = "local" if job is None else f"job-{job}-{host.partition('.')[0]}"
        name = [day, where, str(os.getpid()), os.urandom(4).hex()]
        self.path = folder / f"{'-'.join(name)}.jsonl"
        self.folder = folder
        self._file: int | None = None
        self._is_cut = False
        self._failed = False

    def append(self, record: str, /, **fields: Any) -> None:
        """Write a record, whole and to the disk.

        Args:
            record: Its kind: `start`, `devices`, `seen`, `signal` or `stop`.
            fields: What it says.
        """
        line = {"format": FORMAT, "record": record, **fields}
        try:
            data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            self._write(data)
        except Exception as error:
            self._tell(error)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o666)
        if self._is_cut:  # what was cut stays a line of its own
            data = b"\n" + data
        written = os.write(self._file, data)
        self._is_cut = written < len(data)
        if self._is_cut:
            raise OSError(f"{written} of {len(data)} bytes were written")
        os.fsync(self._file)

    def _tell(self, error: Exception) -> None:
        """Say once that there is no ledger, without which its owner would count on it."""
        if not self._failed:
            self._failed = True
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            try:
                print(f"footprint: {self.path} cannot be written ({reason})", file=sys.stderr)
            except Exception:
                return  # nor can this be said
