"""The ledger: a folder of files, one for each tracking process, of one JSON record a line.

Each file has a single writer, so that no file is locked: locks are unreliable on network file
systems. A record is one `write` at the end of its file and is synced to the disk before the next
begins. A machine that stops leaves whole lines, and at most a truncated last one.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1
"""Version of the format; raised where older readers would misread a record."""

FOLDER_VARIABLE = "FOOTPRINT_LEDGER"
SUFFIX = ".jsonl"
COMPANION_FOLDER = "codecarbon"
"""Folder of the records of CodeCarbon in a ledger."""
OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Bits of a mode that open a file or folder to accounts other than its owner's."""


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of the ledger: `FOOTPRINT_LEDGER`, else `~/.local/share/footprint`."""
    if environment.get(FOLDER_VARIABLE):
        return Path(environment[FOLDER_VARIABLE]).expanduser()
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local/share") / "footprint"


def current_time() -> str:
    """Current time in the format of records: ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ledger:
    """The file of this process in a ledger; its errors are printed once and never raised.

    Args:
        folder: Folder of the ledger; created if missing. Folder and file are readable by their
            owner alone; an existing folder is narrowed if it contains the owner's ledger alone.
        job: Id of the OAR job, for the file's name; None: outside OAR, and the file's name then
            contains no host either, as a private machine may be named after its owner.
        host: Name of this machine, for the file's name.
    """

    def __init__(self, folder: Path, *, job: int | None, host: str) -> None:
        day = time.strftime("%Y%m%d", time.gmtime())
        place = "local" if job is None else f"job-{job}-{host.partition('.')[0]}"
        name_parts = [day, place, str(os.getpid()), os.urandom(4).hex()]
        self.path = folder / f"{'-'.join(name_parts)}{SUFFIX}"
        self.folder = folder
        self._file: int | None = None
        self.has_failed = False
        """Whether a record could not be written."""
        self._is_truncated = False

    def append(self, record: str, /, **fields: Any) -> None:
        """Write one record, and sync it to the disk.

        Args:
            record: Kind of the record: `start`, `devices`, `seen`, `signal`, `stop` or `companion`.
            fields: Its other fields.
        """
        line = {"format": FORMAT_VERSION, "record": record, **fields}
        try:
            data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            self._write(data)
        except Exception as error:
            self._warn_once(error)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            _make_private(self.folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
        if self._is_truncated:  # the truncated record stays a line of its own
            data = b"\n" + data
        written = os.write(self._file, data)
        self._is_truncated = written < len(data)
        if self._is_truncated:
            raise OSError(f"{written} of {len(data)} bytes were written")
        os.fsync(self._file)

    def _warn_once(self, error: Exception) -> None:
        """Print the first error, so that the owner does not rely on a missing ledger."""
        if not self.has_failed:
            self.has_failed = True
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            try:
                print(f"footprint: {self.path} cannot be written ({reason})", file=sys.stderr)
            except Exception:
                return  # standard error is closed as well


def _make_private(folder: Path) -> None:
    """Make a folder for its owner alone; print one line about an existing one that others read."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & OF_OTHERS:
        return
    try:
        entries = [Path(entry) for entry in os.scandir(folder)]
        owners = {each.lstat().st_uid for each in (folder, *entries)}
        names = {each.suffix if each.suffix == SUFFIX else each.name for each in entries}
        if owners != {os.getuid()} or not names <= {SUFFIX, COMPANION_FOLDER}:
            raise PermissionError
        folder.chmod(0o700)
        for each in entries:
            each.chmod(0o700 if each.is_dir() else 0o600)
    except OSError:
        print(
            f"footprint: {folder} can be entered by other accounts (mode {mode:o}) and is no "
            f"ledger of yours alone; run `chmod 700 {folder}`, or set --ledger",
            file=sys.stderr,
        )


def readable_by_others(paths: Iterable[Path]) -> list[Path]:
    """Files that accounts other than their owner's may read or write, by their mode.

    Args:
        paths: Files of a ledger.
    """
    found: list[Path] = []
    for path in paths:
        try:
            if path.stat().st_mode & OF_OTHERS:
                found.append(path)
        except OSError:
            continue  # a fault of its own where the file is read
    return found
