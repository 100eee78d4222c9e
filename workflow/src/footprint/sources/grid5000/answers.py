"""Answers of services kept on disk, so that no request is repeated.

The folder has four subfolders:

- `requests/`: a small record for each request (the request, its time, the hash of its content)
- `objects/`: contents, compressed and named by their hash
- `partial/`: files that are being written, and workspaces of downloads
- `slots/`: locks that limit the number of simultaneous requests

Each file appears whole or not at all, as a process may be killed at any moment.

No package replaces this module. An HTTP cache such as `hishel` stores a body before it is parsed,
but only the parsed answer shows whether it is final; it has no entry for a request that was
divided; and its SQLite database in WAL mode does not work on NFS, where homes of Grid'5000 are.
`filelock` excludes no threads on NFS.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

ABANDONED_AFTER_S = 86_400.0
"""Age at which a partial file is taken to belong to a killed process."""


_thread_locks: dict[str, threading.Lock] = {}
"""Locks between the threads of this process, by lock file. On NFS, `flock` excludes other processes
alone, and its lock ends when any thread closes the file."""


class Answers:
    """The answers kept in one folder, which several processes may share."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, and create it if it is missing."""
        self.folder = folder
        for name in ("requests", "objects", "partial", "slots"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._saved_here: set[str] = set()

    def has_content(self, request: str) -> bool:
        """Whether `read_content` finds a content, unless the content is damaged."""
        record = self._record(request)
        if not self._is_usable(request, record):
            return False
        return self._object_path(str(record["content"])).is_file()

    def read_content(self, request: str, *, only_final: bool = False) -> bytes | None:
        """Return the content kept for a request; None if none is usable and undamaged.

        Args:
            request: The request, as `request_text` writes it.
            only_final: Whether contents are left out that are not final. By default, those that
                this object itself saved are used: a process makes a request once.
        """
        record = self._record(request)
        usable = record.get("final") if only_final else self._is_usable(request, record)
        return self._content(str(record.get("content"))) if usable else None

    def save_content(self, request: str, content: bytes, *, is_final: bool) -> None:
        """Keep the content of an answer.

        Args:
            request: The request, as `request_text` writes it.
            content: Body of the answer.
            is_final: Whether the service will always give this answer.
        """
        name = hashlib.sha256(content).hexdigest()
        if self._content(name) is None:
            self._write(
                self._object_path(name),
                pa.Codec("zstd", compression_level=3).compress(content, asbytes=True),
            )
        self._write_record(request, {"content": name, "n_bytes": len(content), "final": is_final})
        self._saved_here.add(request)

    def read_parts(self, request: str) -> Any:
        """Return the smaller requests that replace one that was too large; None if none do."""
        return self._record(request).get("parts")

    def save_parts(self, request: str, parts: Any) -> None:
        """Keep the smaller requests (any JSON) that replace one, for the next run too."""
        self._write_record(request, {"parts": parts, "final": True})

    @contextmanager
    def hold_slot(self, n_slots: int) -> Iterator[None]:
        """Hold one of `n_slots` slots, over all processes that share the folder.

        The lock ends with the process, however that ends.
        """
        paths = [self.folder / "slots" / f"{number}.lock" for number in range(n_slots)]
        random.shuffle(paths)
        while True:
            for path in paths:
                of_threads = _thread_locks.setdefault(str(path), threading.Lock())
                if not of_threads.acquire(blocking=False):
                    continue
                try:
                    with path.open("w") as lock:
                        try:
                            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        except BlockingIOError:
                            continue
                        yield
                        return
                finally:
                    of_threads.release()
            time.sleep(0.02)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder for the time of a download. Removes those of processes killed a day ago."""
        for left in (self.folder / "partial").iterdir():
            with suppress(FileNotFoundError):  # another process may be ending
                if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        with tempfile.TemporaryDirectory(dir=self.folder / "partial") as name:
            yield Path(name)

    def _is_usable(self, request: str, record: dict[str, Any]) -> bool:
        """Whether a record has a content that is final, or that this object saved."""
        return "content" in record and bool(record.get("final") or request in self._saved_here)

    def _object_path(self, name: str) -> Path:
        return self.folder / "objects" / name[:2] / f"{name}.zst"

    def _record_path(self, request: str) -> Path:
        key = hashlib.sha256(request.encode()).hexdigest()
        return self.folder / "requests" / key[:2] / f"{key}.json"

    def _record(self, request: str) -> dict[str, Any]:
        """Record of a request; empty if there is none."""
        try:
            record = json.loads(self._record_path(request).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _content(self, name: str) -> bytes | None:
        """Content by its hash; None if it is missing or damaged."""
        try:
            with pa.input_stream(self._object_path(name), compression="zstd") as stream:
                content: bytes = stream.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno is not None:
                raise
            return None  # damaged: pyarrow sets no `errno` then
        return content if hashlib.sha256(content).hexdigest() == name else None

    def _write_record(self, request: str, fields: dict[str, Any]) -> None:
        fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"request": request, "fetched_at": fetched_at} | fields
        self._write(self._record_path(request), json.dumps(record, indent=1).encode())

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder / "partial")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)  # the disk may be full
            raise


def request_text(url: str, params: dict[str, str]) -> str:
    """Return the address and its sorted parameters: the text that a request is kept by."""
    return f"{url}?{urlencode(sorted(params.items()), safe=',:')}" if params else url
