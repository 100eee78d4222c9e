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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import StreamObject

PNG = b"\x89PNG\r\n\x1a\n"
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
PARQUET = b"PAR1"
PDF = b"%PDF"

_DATA_URI = re.compile(r"data:[^,\"'<>\s]*;base64,([A-Za-z0-9+/=\s]+)")
_STREAM = re.compile(rb"stream\r?\n.*?\r?\nendstream", re.S)


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
    """Texts of a picture; the SVG of the same figure has what the picture shows."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        for key, value in picture.info.items():
            yield f"{key} {value}"


def _pdf(content: bytes) -> Iterator[str]:
    """Text of the pages, metadata, and every decoded stream that is text."""
    reader = PdfReader(io.BytesIO(content))
    for key, value in (reader.metadata or {}).items():
        yield f"{key} {value}"
    for page in reader.pages:
        yield page.extract_text()
    yield _STREAM.sub(b"", content).decode("latin-1")
    for number in reader.xref[0]:
        if isinstance(stream := reader.get_object(number), StreamObject):
            try:
                yield from _plain(stream.get_data().decode("utf-8"))
            except UnicodeDecodeError:  # a font or a picture
                continue
