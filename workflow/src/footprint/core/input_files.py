"""The guarded reader of input files: every format is read through it.

It gives the content of a file, unpacked, within the bounds of `core.limits`. What cannot be read is
an `InputError` whose `what` has a fixed wording, so that optional files can be counted by it:

    try:
        text = input_files.read_text(path)
    except InputError as error:
        reason = error.what          # as in `a pointer of Git LFS: the file was not fetched`

`.gz` and `.zst` are recognised by content, whatever the name. This module imports no third-party
package but for `.zst`, since the tracker and the Snakefile read with it.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from footprint.core import limits
from footprint.core.errors import InputError

BLOCK_BYTES = 1 << 20
"""Size of a block of `read_blocks`."""

UNPACKED_UNCHECKED_BYTES = 64 << 20
"""Unpacked size up to which the ratio to the packed size is not checked."""

DANGLING_LINK = "a link to a file that is not there"
NO_SUCH_FILE = "there is no such file"
A_FOLDER = "a folder where a file is expected"
NOT_REGULAR = "neither a file nor a folder"
DAMAGED = "the compressed file is damaged or incomplete"
LFS_POINTER = "a pointer of Git LFS: the file itself was not fetched"
EXPANDS_TOO_FAR = "the compressed file unpacks to too many times its size"
TOO_LARGE = "the file is too large"
NOT_UTF_8 = "not a text in UTF-8"
OTHER_FORMATS = {
    b"PK\x03\x04": "a ZIP archive, not a text",
    b"\xfd7zXZ\x00": "an archive of xz, not a text",
    b"BZh": "an archive of bzip2, not a text",
    b"PAR1": "a Parquet file, not a text",
    b"\xff\xfe": "a text in UTF-16, not UTF-8",
    b"\xfe\xff": "a text in UTF-16, not UTF-8",
}
"""Formats that are not read, by the start of the file."""

SAVE_AGAIN = "save it again"
RESTORE_ADVICE = "restore it or remove it"
UTF_8_ADVICE = "save it as text in UTF-8"

GZIP_START, ZSTD_START = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
LFS_START = b"version https://git-lfs.github.com/spec/"
START_BYTES = 48


def read_blocks(
    path: Path, *, where: str | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[bytes]:
    """Content of a file in blocks of about `block_bytes`, unpacked; nothing for an empty file.

    Args:
        path: The file.
        where: Name of the file in messages; by default, its path.
        block_bytes: Size of a block.

    Raises:
        InputError: The file is missing, a folder, a pointer of Git LFS or no text; it cannot be
            opened; its compressed content is damaged or incomplete; or it exceeds `part_read_gb` or
            `expansion` of `core.limits`.
    """
    where = str(path) if where is None else where
    bounds = limits.active_limits()
    most = bounds.part_read_gb * 1e9
    check_regular(path, where=where)
    n_read = 0
    try:
        packed = path.stat().st_size
        with path.open("rb") as raw:
            stream = _unpacked(raw)
            while block := stream.read(block_bytes):
                if not n_read:
                    _check_start(block, where)
                n_read += len(block)
                if n_read > most:
                    raise _too_large("part_read_gb", f"over {bounds.part_read_gb:g} GB", where)
                if n_read > max(UNPACKED_UNCHECKED_BYTES, bounds.expansion * packed):
                    do = limits.raise_advice("expansion")
                    raise InputError(EXPANDS_TOO_FAR, where=where, do=do)
                yield block
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"cannot be read ({error.strerror})", where=where) from None
        raise InputError(DAMAGED, where=where, do=SAVE_AGAIN) from None


def read_content(path: Path, *, where: str | None = None, most_mb: float | None = None) -> bytes:
    """Whole content of a file, unpacked.

    Args:
        path: The file.
        where: Name of the file in messages; by default, its path.
        most_mb: Largest size in MB, where it is below `whole_read_mb` of `core.limits`.

    Raises:
        InputError: See `read_blocks`; or the content is larger than the bound.
    """
    bound = limits.active_limits().whole_read_mb
    bound = bound if most_mb is None else min(bound, most_mb)
    content = bytearray()
    for block in read_blocks(path, where=where):
        content += block
        if len(content) > bound * 1e6:
            raise _too_large("whole_read_mb", f"over {bound:g} MB", where or str(path))
    return bytes(content)


def read_text(path: Path, *, where: str | None = None, most_mb: float | None = None) -> str:
    """Whole text of a file in UTF-8, unpacked, without a byte-order mark.

    Args:
        path: The file.
        where: Name of the file in messages; by default, its path.
        most_mb: Largest size in MB, where it is below `whole_read_mb` of `core.limits`.

    Raises:
        InputError: See `read_content`; or the content is not UTF-8, or contains a null character.
    """
    return decode_text(read_content(path, where=where, most_mb=most_mb), where=where or str(path))


def decode_text(content: bytes, *, where: str) -> str:
    """Text of a content in UTF-8, without a byte-order mark.

    Raises:
        InputError: The content is not UTF-8, or contains a null character; `where` has the line.
    """
    place = content.find(b"\0")
    if place < 0:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = error.start
    line = content.count(b"\n", 0, place) + 1
    raise InputError(NOT_UTF_8, where=f"{where}:{line}", do=UTF_8_ADVICE)


def check_regular(path: Path, *, where: str) -> None:
    """Refuse what is not a regular file, such as a folder, a dangling link or a pipe.

    Raises:
        InputError: There is no such file, or it is something else.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        what = DANGLING_LINK if path.is_symlink() else NO_SUCH_FILE
        do = RESTORE_ADVICE if path.is_symlink() else "fix the path"
        raise InputError(what, where=where, do=do) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read ({reason})", where=where) from None
    if not stat.S_ISREG(mode):
        what = A_FOLDER if stat.S_ISDIR(mode) else NOT_REGULAR
        raise InputError(what, where=where, do=RESTORE_ADVICE)


def check_start(path: Path, *, where: str | None = None) -> None:
    """Refuse a file that is not readable, a pointer of Git LFS, or no text, by its first bytes.

    It takes tens of microseconds, so that a fault is found before any long work.

    Raises:
        InputError: See `read_blocks`.
    """
    where = str(path) if where is None else where
    check_regular(path, where=where)
    try:
        with path.open("rb") as raw:
            _check_start(raw.read(START_BYTES), where)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where) from None


def _check_start(start: bytes, where: str) -> None:
    if start.startswith(LFS_START):
        raise InputError(LFS_POINTER, where=where, do="run `git lfs pull`")
    for signature, what in OTHER_FORMATS.items():
        if start.startswith(signature):
            raise InputError(what, where=where, do=UTF_8_ADVICE)


def _unpacked(raw: BinaryIO) -> Any:
    """File object of the unpacked content. For damage, `read` raises errors without `errno`."""
    start = raw.read(len(ZSTD_START))
    raw.seek(0, os.SEEK_SET)
    if start.startswith(GZIP_START):
        return gzip.open(raw)
    if start == ZSTD_START:
        import pyarrow as pa  # loads slowly

        return pa.CompressedInputStream(raw, "zstd")
    return raw


def _too_large(key: str, size: str, where: str) -> InputError:
    return InputError(f"{TOO_LARGE} ({size})", where=where, do=limits.raise_advice(key))
