"""Files that a user saved: which there are, and what is in them, compressed or not.

Nothing here needs Polars, so that a Snakefile can list its inputs quickly.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from footprint.errors import InputError

COMPRESSED = (".gz", ".zst")
READ_BYTES = 1 << 20
DAMAGED = "is damaged or incomplete"
TOO_DEEP = "the JSON is nested too deep"
SAVE_AGAIN = "save it again"
LINK_TO_NOTHING = "a link to a file that is not there"
RESTORE = "restore it or remove it"
PERMIT = "permit reading it or remove it"
SPACE = re.compile(r"\s*")


def listed(
    directory: Path, folder: str, *, holds: str, suffix: str = "", optional: bool = False
) -> list[Path]:
    """Files of a folder of the exports, by name; hidden entries do not count.

    Args:
        directory: The folder that `source.directory` names.
        folder: Folder under it, as in `jobs`.
        holds: What a user finds there, for the message.
        suffix: What names of files end with, before `.gz` or `.zst`; other files do not count.
        optional: Whether the folder may be missing or empty.

    Raises:
        InputError: The folder is missing or has no such file, and is not optional; or an entry of
            it is a subfolder, a link to nothing, or a file that cannot be read.
    """
    where = directory / folder
    _check_folder(where)
    files = []
    for path in _entries(where):
        is_folder = path.is_dir()
        if path.name.startswith(".") or not (is_folder or plain_name(path).endswith(suffix)):
            continue
        if is_folder:
            do = f"move its files up into {folder}/"
            raise InputError("a subfolder, which is not read", where=str(path), do=do)
        if not path.is_file():
            what = LINK_TO_NOTHING if path.is_symlink() else "neither a file nor a folder"
            raise InputError(what, where=str(path), do=RESTORE)
        if not os.access(path, os.R_OK):
            raise InputError("the file cannot be opened", where=str(path), do=PERMIT)
        files.append(path)
    if not files and not optional:
        what = "no file" if where.is_dir() else "there is no such folder"
        name = f" ({suffix}, {suffix}.gz or {suffix}.zst)" if suffix else ""
        raise InputError(what, where=str(where), do=f"it must hold {holds}{name}")
    return files


def _check_folder(where: Path) -> None:
    """Refuse what stands in the place of a folder; a folder may be missing."""
    if where.is_dir():
        return
    if where.is_symlink():
        raise InputError(LINK_TO_NOTHING, where=str(where), do=RESTORE)
    if where.exists():
        raise InputError("this is no folder", where=str(where), do="put the file into a folder")


def _entries(where: Path) -> list[Path]:
    """Entries of a folder by name; none where it is missing."""
    try:
        return sorted(where.iterdir()) if where.is_dir() else []
    except OSError:
        raise InputError("the folder cannot be opened", where=str(where), do=PERMIT) from None


def plain_name(path: Path) -> str:
    """Name of a file without the ending of its compression."""
    return path.stem if path.suffix in COMPRESSED else path.name


def blocks(path: Path, *, block_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Content of a file, decompressed as its ending says, in pieces of about `block_bytes`.

    Raises:
        InputError: The file cannot be read, or its compressed content ends too early.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                while block := stream.read(block_bytes):
                    yield block
        elif path.suffix == ".zst":
            yield from _zstd_blocks(path, block_bytes)
        else:
            with path.open("rb") as stream:
                while block := stream.read(block_bytes):
                    yield block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"the compressed file {DAMAGED}", where=str(path), do=SAVE_AGAIN) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _zstd_blocks(path: Path, block_bytes: int) -> Iterator[bytes]:
    """Content of a Zstandard file, frame after frame.

    `zstandard`'s own stream reader ends without a word where a file was cut; the object used here
    tells whether the last frame was complete.
    """
    import zstandard

    frame = None
    try:
        with path.open("rb") as stream:
            while data := stream.read(block_bytes):
                while data:
                    frame = frame or zstandard.ZstdDecompressor().decompressobj()
                    if content := frame.decompress(data):
                        yield content
                    data = frame.unused_data if frame.eof else b""
                    frame = None if frame.eof else frame
    except zstandard.ZstdError:
        raise EOFError from None
    if frame is not None:
        raise EOFError


def lines(stream: Iterator[bytes], *, block_bytes: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least `block_bytes` that end with a line (but the last)."""
    pieces: list[bytes] = []
    size = 0
    for block in stream:
        pieces.append(block)
        size += len(block)
        if size >= block_bytes and b"\n" in block:
            text = b"".join(pieces)
            end = text.rindex(b"\n") + 1
            yield text[:end]
            pieces, size = [text[end:]], len(text) - end
    if rest := b"".join(pieces):
        yield rest


def documents(path: Path) -> list[Any]:
    """JSON documents of a file: one, several one after the other, or none when it is empty.

    Raises:
        InputError: The content is not JSON, or breaks off; the message names the line.
    """
    try:
        text = b"".join(blocks(path)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not a text file", where=str(path), do="save the JSON answer") from None
    decoder = json.JSONDecoder(object_pairs_hook=_objects())
    found = []
    position = _next(text, 0)
    while position < len(text):
        try:
            document, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            line = f"{path}:{error.lineno}"
            if _next(text, error.pos) == len(text) or error.msg.startswith("Unterminated"):
                raise InputError("the JSON breaks off here", where=line, do=SAVE_AGAIN) from None
            start = text[error.pos : error.pos + 60].splitlines()[0]
            raise InputError(
                f"this is not JSON ({error.msg}): {start}",
                where=line,
                do="a JSON answer is expected",
            ) from None
        except RecursionError:
            raise InputError(TOO_DEEP, where=str(path), do="a JSON answer is expected") from None
        found.append(document)
        position = _next(text, position)
    return found


class RepeatedKeys(dict[str, Any]):
    """A JSON object that gives a key twice with different values, of which the last is kept.

    Attributes:
        repeated: The first such key, of this object or of one inside it.
        is_own: Whether it is a key of this object.
    """

    repeated: str
    is_own: bool


def _objects() -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """A maker of JSON objects, `RepeatedKeys` where a value of one is lost."""
    is_any = False

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_any
        found = dict(pairs)
        if len(found) == len(pairs) and not is_any:
            return found
        own = next(
            (key for key, value in pairs if found[key] is not value and found[key] != value), None
        )
        inside = (each.repeated for each in _marked(found.values()))
        repeated = own or next(inside, None)
        if repeated is None:
            return found
        is_any = True
        marked = RepeatedKeys(found)
        marked.repeated, marked.is_own = repeated, own is not None
        return marked

    return make


def _marked(values: Iterable[Any]) -> Iterator[RepeatedKeys]:
    """Objects with a key given twice among values and the elements of lists."""
    for value in values:
        if isinstance(value, RepeatedKeys):
            yield value
        elif isinstance(value, list):
            yield from _marked(value)


def _next(text: str, position: int) -> int:
    """Position of the next character that is no space."""
    space = SPACE.match(text, position)
    return space.end() if space else position


def refused(document: Any) -> str | None:
    """Message of an error that an API answered in JSON (Kwollect, OAR); None for other answers."""
    if isinstance(document, dict) and document.keys() >= {"code", "message"}:
        return str(document["message"])
    return None
