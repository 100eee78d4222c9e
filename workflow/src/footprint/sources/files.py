"""Files that a user saved: lists of them, and JSON documents in them.

This module does not import Polars, because the Snakefile lists its inputs with it on every start.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from footprint.core import input_files, nesting
from footprint.core.errors import InputError

COMPRESSION_SUFFIXES = (".gz", ".zst")
"""Suffixes of compressed files."""

JSON_ADVICE = "a JSON answer is expected"
LONG_NUMBER = "it has a number of more than 4300 digits"
PERMISSION_ADVICE = "fix its permissions or remove it"
WHITE_SPACE = re.compile(r"\s*")


def list_files(
    directory: Path, folder: str, *, content: str, suffix: str = "", optional: bool = False
) -> list[Path]:
    """Files of a folder of the exports, by name, without hidden entries.

    Args:
        directory: The folder `source.directory`.
        folder: Folder in it, as in `jobs`.
        content: Content of the files, for messages.
        suffix: End of the names of files, before `.gz` or `.zst`; other files are left out.
        optional: Whether the folder may be missing or empty.

    Raises:
        InputError: The folder is missing or has no such file, and is not optional; or an entry is a
            subfolder, a link to a missing file, or a file that cannot be read.
    """
    where = directory / folder
    _check_folder(where)
    found = []
    for path in _sorted_entries(where):
        is_folder = path.is_dir()
        if path.name.startswith(".") or not (is_folder or uncompressed_name(path).endswith(suffix)):
            continue
        if is_folder:
            do = f"move its files up into {folder}/"
            raise InputError("a subfolder, which is not read", where=str(path), do=do)
        if not path.is_file():
            what = input_files.DANGLING_LINK if path.is_symlink() else "neither a file nor a folder"
            raise InputError(what, where=str(path), do=input_files.RESTORE_ADVICE)
        if not os.access(path, os.R_OK):
            raise InputError("the file cannot be opened", where=str(path), do=PERMISSION_ADVICE)
        found.append(path)
    if not found and not optional:
        what = "no file" if where.is_dir() else "there is no such folder"
        name = f" ({suffix}, {suffix}.gz or {suffix}.zst)" if suffix else ""
        raise InputError(what, where=str(where), do=f"add {content}{name}")
    return found


def list_optional_files(where: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Files of an optional folder by name, and its entries that cannot be read, with a reason.

    Hidden entries are left out. A missing folder has none.

    Args:
        where: The folder.
    """
    try:
        _check_folder(where)
        entries = _sorted_entries(where)
    except InputError as error:
        return [], [(where, error.what)]
    found, unreadable = [], []
    for path in entries:
        if not path.name.startswith("."):
            try:
                input_files.check_start(path)
                found.append(path)
            except InputError as error:
                unreadable.append((path, error.what))
    return found, unreadable


def _check_folder(where: Path) -> None:
    """Refuse a file or dangling link in the place of a folder; the folder may be missing."""
    if where.is_dir():
        return
    if where.is_symlink():
        raise InputError(input_files.DANGLING_LINK, where=str(where), do=input_files.RESTORE_ADVICE)
    if where.exists():
        raise InputError("this is no folder", where=str(where), do="move the file into a folder")


def _sorted_entries(where: Path) -> list[Path]:
    """Entries of a folder by name; none where the folder is missing."""
    try:
        return sorted(where.iterdir()) if where.is_dir() else []
    except OSError:
        raise InputError(
            "the folder cannot be opened", where=str(where), do=PERMISSION_ADVICE
        ) from None


def uncompressed_name(path: Path) -> str:
    """Name of a file without `.gz` or `.zst`."""
    return path.stem if path.suffix in COMPRESSION_SUFFIXES else path.name


def blocks_of_lines(stream: Iterator[bytes], *, block_bytes: int) -> Iterator[bytes]:
    """Whole lines of a stream, in blocks of at least `block_bytes`; the last block may be smaller.

    Args:
        stream: Content in blocks of any size.
        block_bytes: Least size of a block.
    """
    pending: list[bytes] = []
    size = 0
    for block in stream:
        pending.append(block)
        size += len(block)
        if size >= block_bytes and b"\n" in block:
            text = b"".join(pending)
            end = text.rindex(b"\n") + 1
            yield text[:end]
            pending, size = [text[end:]], len(text) - end
    if rest := b"".join(pending):
        yield rest


def read_documents(path: Path) -> list[Any]:
    """JSON documents of a file: one, several after one another, or none when it is empty.

    Raises:
        InputError: The content is not JSON, incomplete, or nested too deep; or see
            `input_files.read_text`. The message has the line.
    """
    content = input_files.read_content(path)
    text = input_files.decode_text(content, where=str(path))
    nesting.check_json_depth(content, where=str(path))
    decoder = json.JSONDecoder(object_pairs_hook=_object_maker())
    found = []
    position = _skip_space(text, 0)
    while position < len(text):
        try:
            document, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise _json_error(error, path) from None
        except RecursionError:
            raise InputError(nesting.TOO_DEEP, where=str(path), do=JSON_ADVICE) from None
        except ValueError:  # Python converts no longer ones
            raise InputError(LONG_NUMBER, where=str(path), do=JSON_ADVICE) from None
        found.append(document)
        position = _skip_space(text, position)
    return found


def _json_error(error: json.JSONDecodeError, path: Path) -> InputError:
    """Error about a text that is not JSON, with its line."""
    where, text = f"{path}:{error.lineno}", error.doc
    if _skip_space(text, error.pos) == len(text) or error.msg.startswith("Unterminated"):
        return InputError("the JSON breaks off here", where=where, do=input_files.SAVE_AGAIN)
    start = text[error.pos : error.pos + 60].splitlines()[0]
    return InputError(f"this is not JSON ({error.msg}): {start}", where=where, do=JSON_ADVICE)


class RepeatedKeys(dict[str, Any]):
    """A JSON object that has a key twice with different values; the last value is kept.

    Attributes:
        repeated: The first such key, of this object or of an object inside it.
        is_own: Whether it is a key of this object.
    """

    repeated: str
    is_own: bool


def _object_maker() -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Function from pairs to a JSON object; `RepeatedKeys` where a value is lost."""
    has_marked = False

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_marked
        found = dict(pairs)
        if len(found) == len(pairs) and not has_marked:
            return found
        own = next(
            (key for key, value in pairs if found[key] is not value and found[key] != value), None
        )
        inside = (each.repeated for each in _objects_with_repeated_keys(found.values()))
        repeated = own or next(inside, None)
        if repeated is None:
            return found
        has_marked = True
        marked = RepeatedKeys(found)
        marked.repeated, marked.is_own = repeated, own is not None
        return marked

    return make


def _objects_with_repeated_keys(values: Iterable[Any]) -> Iterator[RepeatedKeys]:
    """`RepeatedKeys` among values and the elements of lists."""
    for value in values:
        if isinstance(value, RepeatedKeys):
            yield value
        elif isinstance(value, list):
            yield from _objects_with_repeated_keys(value)


def _skip_space(text: str, position: int) -> int:
    """Position of the next character that is not white space."""
    space = WHITE_SPACE.match(text, position)
    return space.end() if space else position


def api_error_message(document: Any) -> str | None:
    """Message of a JSON error answer of an API (Kwollect, OAR); None for other documents."""
    if isinstance(document, dict) and document.keys() >= {"code", "message"}:
        return str(document["message"])
    return None
