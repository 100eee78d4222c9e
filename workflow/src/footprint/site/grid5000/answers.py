"""Answers of services, kept so that nothing is asked for twice.

Under the folder, `requests/` has a small record a request (what was asked, when, and the hash of
what came), `objects/` the contents, compressed and named by their hash, `partial/` what is being
written and pieces in use, `slots/` the locks that bound how many requests are under way. Every file
appears whole or not at all: a process may be killed at any moment.
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

import zstandard

FORGOTTEN_S = 86_400.0
"""Age after which partial files must be of a process that was killed."""


class Answers:
    """The answers kept in one folder, which processes share."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, made where it is missing."""
        self.folder = folder
        for name in ("requests", "objects", "partial", "slots"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._own: set[str] = set()

    def has(self, request: str) -> bool:
        """Whether `get` has something to give, unless it turns out to be damaged."""
        record = self._record(request)
        return self._usable(request, record) and self._object(str(record["content"])).is_file()

    def get(self, request: str, *, own: bool = True) -> bytes | None:
        """The content kept for a request; None where there is none that is final and whole.

        What this object itself kept counts as final: one process need not ask twice. Without `own`,
        only what is final does.
        """
        record = self._record(request)
        usable = self._usable(request, record) if own else bool(record.get("final"))
        return self._content(str(record.get("content"))) if usable else None

    def put(self, request: str, content: bytes, *, final: bool) -> None:
        """Keep an answer.

        Args:
            request: What was asked, as `request_text` writes it.
            content: What came.
            final: Whether the same will always be answered.
        """
        name = hashlib.sha256(content).hexdigest()
        if self._content(name) is None:
            self._write(self._object(name), zstandard.ZstdCompressor(level=3).compress(content))
        self._note(request, {"content": name, "n_bytes": len(content), "final": final})
        self._own.add(request)

    def parts(self, request: str) -> Any:
        """The smaller requests that stand for one that could not be answered; None: none do."""
        return self._record(request).get("parts")

    def split(self, request: str, parts: Any) -> None:
        """Keep that a request is asked for in parts (any JSON), so that the next run does too."""
        self._note(request, {"parts": parts, "final": True})

    @contextmanager
    def slot(self, n_slots: int) -> Iterator[None]:
        """Hold one of some places, over all processes that share the folder.

        The lock goes with the process, however it ends.
        """
        order = random.sample(range(n_slots), n_slots)
        while True:
            for number in order:
                path = self.folder / "slots" / f"{number}.lock"
                with _of_this_process(path) as own:
                    if not own:
                        continue
                    with path.open("w") as lock:
                        try:
                            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        except BlockingIOError:
                            continue
                        yield
                        return
            time.sleep(0.02)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder for the time of a download; those of killed processes go after a day."""
        for left in (self.folder / "partial").iterdir():
            with suppress(FileNotFoundError):  # another process may be ending
                if time.time() - left.stat().st_mtime > FORGOTTEN_S:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        with tempfile.TemporaryDirectory(dir=self.folder / "partial") as name:
            yield Path(name)

    def _usable(self, request: str, record: dict[str, Any]) -> bool:
        """Whether a record has a content that may still be used."""
        return "content" in record and bool(record.get("final") or request in self._own)

    def _object(self, name: str) -> Path:
        return self.folder / "objects" / name[:2] / f"{name}.zst"

    def _request(self, request: str) -> Path:
        key = hashlib.sha256(request.encode()).hexdigest()
        return self.folder / "requests" / key[:2] / f"{key}.json"

    def _record(self, request: str) -> dict[str, Any]:
        """What is noted of a request; empty where nothing is."""
        try:
            record = json.loads(self._request(request).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _content(self, name: str) -> bytes | None:
        """Content by its hash; None where it is missing or damaged."""
        try:
            packed = self._object(name).read_bytes()
            content = zstandard.ZstdDecompressor().decompress(packed)
        except (FileNotFoundError, zstandard.ZstdError, MemoryError):
            return None  # damage may also make it claim any size
        return content if hashlib.sha256(content).hexdigest() == name else None

    def _note(self, request: str, what: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"request": request, "fetched_at": at} | what
        self._write(self._request(request), json.dumps(record, indent=1).encode())

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


@contextmanager
def _of_this_process(path: Path) -> Iterator[bool]:
    """Keep the other threads from a lock; false: one of them holds it.

    On NFS a lock keeps out other processes alone, and goes when any thread closes its file.
    """
    with _holding:
        own = path not in _held
        _held.add(path)
    try:
        yield own
    finally:
        if own:
            with _holding:
                _held.remove(path)


_held: set[Path] = set()
_holding = threading.Lock()


def request_text(url: str, params: dict[str, str]) -> str:
    """A request as it is kept and named: the address and its parameters in order."""
    return f"{url}?{urlencode(sorted(params.items()), safe=',:')}" if params else url
