"""Logins in files that are published: where one is found, nothing may be published.

Every file of a folder is searched, whatever its format: text as it is and as its format escapes it,
values and metadata of Parquet, text and metadata of figures, and what is packed or embedded in any
of them (`report.html` holds every figure and table as a data URI). What a PNG shows cannot be read:
the SVG of the same figure says the same.
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq

PNG = b"\x89PNG\r\n\x1a\n"
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
PARQUET = b"PAR1"
PDF = b"%PDF"

_DATA_URI = re.compile(r"data:[^,\"'<>\s]*;base64,([A-Za-z0-9+/=\s]+)")
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.S)
_PDF_TEXT = re.compile(rb"\bBT\b(.*?)\bET\b", re.S)
_PDF_STRING = re.compile(rb"\(((?:\\.|[^\\()])*)\)|<([0-9A-Fa-f\s]+)>", re.S)
_PDF_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.S)
_PDF_RANGE = re.compile(rb"^<([0-9A-Fa-f]+)> <[0-9A-Fa-f]+> \[([^\]]*)\]", re.M)


class Finding(NamedTuple):
    """A login in a file."""

    path: Path
    """Relative to the folder that was searched."""
    login: str


def found(folder: Path, logins: Iterable[str]) -> list[Finding]:
    """Which logins stand in which files of a folder, or in their names.

    A login counts where no letter or digit stands before or after it, in capitals or not: `oak` is
    found in `/home/oak/` and not in `soaked`. Logins that are words of a page are found by chance:
    what is found is to be looked at.

    Args:
        folder: Searched with all that is below it.
        logins: What must not be there.

    Returns:
        Sorted by path and login.
    """
    wanted = {login.lower(): login for login in logins}
    if not wanted:
        return []
    # the longest first: `anne` must not hide `anne-marie`
    names = "|".join(re.escape(name) for name in sorted(wanted, key=lambda n: (-len(n), n)))
    pattern = re.compile(rf"(?<![^\W_])(?:{names})(?![^\W_])", re.I)
    seen = set()
    for path in sorted(folder.rglob("*")):
        own = path.relative_to(folder)
        said = [own.as_posix()]
        if path.is_file():
            said.extend(texts(path.read_bytes()))
        seen |= {
            Finding(own, wanted[hit.lower()])
            for text in said
            for hit in pattern.findall(text)
            if hit.lower() in wanted
        }
    return sorted(seen)


def texts(content: bytes) -> Iterator[str]:
    """Every text that a file's content holds, by what it begins with; unknown formats as they are.

    Args:
        content: The bytes of a file, or of what is embedded in one.
    """
    if content.startswith(GZIP):
        yield from texts(gzip.decompress(content))
    elif content.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name
                yield from texts(archive.read(name))
    elif content.startswith(PARQUET):
        yield from _parquet(content)
    elif content.startswith(PNG):
        yield from _png(content)
    elif content.startswith(PDF):
        yield from _pdf(content)
    else:
        yield from _plain(content.decode("utf-8", errors="replace"))


def _plain(text: str) -> Iterator[str]:
    """A text, with and without the escapes of HTML, URLs and TeX, and what is embedded in it."""
    embedded = [uri[1] for uri in _DATA_URI.finditer(text)]
    # three letters between two signs are soon found in what base64 makes of a figure
    bare = _DATA_URI.sub("data:", text)
    yield bare
    yield html.unescape(bare)
    yield unquote(bare)
    yield re.sub(r"\\([_&%$#{}-])", r"\1", bare)
    for data in embedded:
        packed = re.sub(r"\s", "", data).rstrip("=")
        yield from texts(base64.b64decode(packed + "=" * (-len(packed) % 4)))


def _parquet(content: bytes) -> Iterator[str]:
    """Values of every column that holds text, however deep, names of columns, and metadata."""
    frame = pl.read_parquet(io.BytesIO(content))
    yield from frame.columns
    yield str(frame.schema)
    for column in frame.iter_columns():
        yield from _values(column)
    metadata = pq.read_metadata(io.BytesIO(content))
    yield str(metadata.created_by)
    for key, value in (metadata.metadata or {}).items():
        # the schema of Arrow is a message in base64, which holds metadata of fields
        yield f"{key.decode(errors='replace')} {value.decode(errors='replace')}"
    schema = pq.read_schema(io.BytesIO(content))
    yield schema.to_string(truncate_metadata=False)


def _values(column: pl.Series) -> Iterator[str]:
    """Distinct texts of a column: of its elements in lists, of its fields in structs."""
    kind = column.dtype
    if isinstance(kind, (pl.List, pl.Array)):
        yield from _values(column.drop_nulls().explode(empty_as_null=True))
    elif isinstance(kind, pl.Struct):
        for field in column.struct.fields:
            yield from _values(column.struct.field(field))
    elif kind == pl.Binary:
        for value in column.drop_nulls().unique():
            yield from texts(value)
    elif kind in (pl.String, pl.Categorical, pl.Enum):
        yield "\n".join(column.cast(pl.String).drop_nulls().unique().sort())


def _png(content: bytes) -> Iterator[str]:
    """Every chunk but the picture itself; packed texts unpacked."""
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IDAT":
            continue
        yield data.decode("utf-8", errors="replace")
        if kind in (b"zTXt", b"iTXt"):
            # packed after a keyword and, in iTXt, after flags, a language and another keyword
            yield from (text for text in map(_inflated, _tails(data)) if text is not None)
    yield content[at:].decode("utf-8", errors="replace")


def _tails(data: bytes) -> Iterator[bytes]:
    """What stands behind each null byte, and behind the one after it."""
    for match in re.finditer(b"\x00", data):
        yield data[match.end() :]
        yield data[match.end() + 1 :]


def _inflated(data: bytes) -> str | None:
    try:
        return zlib.decompress(data).decode("utf-8", errors="replace")
    except zlib.error:
        return None


def _pdf(content: bytes) -> Iterator[str]:
    """Text on the pages, metadata, and every stream that is text; fonts and pictures are not."""
    outside = _PDF_STREAM.sub(b"", content)
    yield outside.decode("latin-1")
    yield " ".join(_pdf_strings(outside))
    streams = [_unpacked(stream[1]) for stream in _PDF_STREAM.finditer(content)]
    fonts = [codes for data in streams if (codes := _codes(data))]
    for data in streams:
        # letters are moved together by numbers between them: a word is in pieces
        shown = " ".join("".join(_pdf_strings(text[1])) for text in _PDF_TEXT.finditer(data))
        # each font has codes of its own; which of them is in use where is not looked at
        yield from {shown} | {shown.translate(codes) for codes in fonts}
        try:
            yield from _plain(data.decode("utf-8"))
        except UnicodeDecodeError:
            continue


def _unpacked(data: bytes) -> bytes:
    try:
        # padding may follow the packed data
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return data


def _codes(data: bytes) -> dict[int, str]:
    """Codes of a font that stand for other letters than their own, or for several, as `ff`.

    As Matplotlib writes a font's map to Unicode: `<0000> <0001> [<2009> <00660066>]`.
    """
    letters = {}
    for first, listed in _PDF_RANGE.findall(data):
        for place, digits in enumerate(re.findall(rb"<([0-9A-Fa-f]+)>", listed)):
            raw = bytes.fromhex(_even(digits))
            letters[int(first, 16) + place] = raw.decode("utf-16-be", errors="replace")
    return {code: text for code, text in letters.items() if text != chr(code)}


def _pdf_strings(data: bytes) -> Iterator[str]:
    for plain, coded in _PDF_STRING.findall(data):
        raw = _unescaped(plain) if plain else bytes.fromhex(_even(coded))
        # two bytes a letter in metadata with a mark and in fonts of many letters
        if raw.startswith((b"\xfe\xff", b"\x00")) and len(raw) % 2 == 0:
            yield raw.removeprefix(b"\xfe\xff").decode("utf-16-be", errors="replace")
        else:
            yield raw.decode("latin-1")


def _even(coded: bytes) -> str:
    digits = re.sub(rb"\s", b"", coded).decode()
    return digits + "0" * (len(digits) % 2)


def _unescaped(data: bytes) -> bytes:
    names = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b""}

    def plain(match: re.Match[bytes]) -> bytes:
        code: bytes = match[1]
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else names.get(code, code)

    return _PDF_ESCAPE.sub(plain, data)
