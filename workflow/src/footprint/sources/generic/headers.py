"""Header of a file of a generic table: separator, and the columns that are read.

This module does not import Polars, because the Snakefile reads headers with it on every start.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.core.json_schema import spelling_hint
from footprint.sources.generic import columns

SEPARATORS = (",", ";", "\t", "|")
"""Separators of cells; the one by which most columns are known is taken."""

PARQUET_START = b"PAR1"

START_BYTES = 1 << 16
"""Longest header, in bytes."""


class FileColumn(NamedTuple):
    """A column of a file that is read.

    Attributes:
        definition: Its definition.
        name: Its name in the file, as in `energy_kwh` for the definition `energy_j`.
        place: Its position in the file, from 0.
    """

    definition: columns.Column
    name: str
    place: int


class Header(NamedTuple):
    """Header of a file.

    Attributes:
        names: Names of all columns, as in the file.
        found: Columns that are read.
        separator: Separator of cells; empty for Parquet.
    """

    names: list[str]
    found: list[FileColumn]
    separator: str

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet."""
        return not self.separator

    @property
    def unread(self) -> list[str]:
        """Columns of the file that are not read."""
        places = {column.place for column in self.found}
        return [name for place, name in enumerate(self.names) if place not in places]

    def has(self, name: str) -> bool:
        """Whether the file has a column, by the name of its definition."""
        return any(column.definition.name == name for column in self.found)


def read_header(path: Path, *, table: str, where: str) -> Header:
    """Read the header of a file, and check it.

    Args:
        path: CSV (also with `;`, tabs or `|`), which may be packed, or Parquet.
        table: Table of `columns.TABLES`.
        where: Name of the file in messages.

    Raises:
        InputError: The file cannot be read or is empty, lacks a required column, has two columns of
            one definition, or for `power` neither power nor energy.
    """
    if is_parquet(path, where=where):
        names, separator, place = _parquet_names(path, where), "", where
    else:
        place = f"{where}:1"
        line = _first_line(path, where)
        separator = max(SEPARATORS, key=lambda each: _n_known(table, line, each))
        names = _split(line, separator)
    found = [
        FileColumn(_definition(table, base), name, number)
        for number, name in enumerate(names)
        if (base := columns.base_name(table, name.strip().lower())) is not None
    ]
    header = Header(names, found, separator)
    _check_header(header, table=table, where=place)
    return header


def is_parquet(path: Path, *, where: str) -> bool:
    """Whether a file is Parquet, by its first bytes.

    Raises:
        InputError: It is not a regular file, or cannot be opened.
    """
    input_files.check_regular(path, where=where)
    try:
        with path.open("rb") as raw:
            return raw.read(len(PARQUET_START)) == PARQUET_START
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where) from None


def _parquet_names(path: Path, where: str) -> list[str]:
    import pyarrow as pa  # loads slowly
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        what = f"cannot be read as Parquet ({str(error).partition('. ')[0]})"
        raise InputError(what, where=where, do=input_files.SAVE_AGAIN) from None


def _first_line(path: Path, where: str) -> str:
    start = b""
    for block in input_files.read_blocks(path, where=where, block_bytes=START_BYTES):
        start = block
        break
    line = input_files.decode_text(start.partition(b"\n")[0], where=where).strip("\r")
    if not line.strip():
        raise InputError("the first line is empty", where=f"{where}:1", do="add a header line")
    return line


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:
        return line.split(separator)


def _n_known(table: str, line: str, separator: str) -> int:
    names = [name.strip().lower() for name in _split(line, separator)]
    return sum(columns.base_name(table, name) is not None for name in names)


def _definition(table: str, base: str) -> columns.Column:
    return next(column for column in columns.TABLES[table] if column.name == base)


def _check_header(header: Header, *, table: str, where: str) -> None:
    names = [column.definition.name for column in header.found]
    for column in header.found:
        if names.count(column.definition.name) > 1:
            given = [each.name for each in header.found if each.definition == column.definition]
            what = f"the columns {' and '.join(given)} are the same quantity"
            raise InputError(what, where=where, do="remove one of them")
    missing = [
        column.name
        for column in columns.TABLES[table]
        if (column.required or column.in_header) and column.name not in names
    ]
    if table == "power" and not missing and not {"power_w", "energy_j"} & set(names):
        missing = ["power_w"]
    if table == "devices" and not missing and not {"power_w", "load1"} & set(names):
        missing = ["power_w"]
    if missing:
        unread = [name.strip().lower() for name in header.unread]
        known = ", ".join(column.name for column in columns.TABLES[table])
        hint = next((near for name in missing if (near := spelling_hint(name, unread))), None)
        has = ", ".join(header.names)
        raise InputError(
            f"no column {', '.join(missing)} among {has:.120}",
            where=where,
            do=f"rename the column: {hint}"
            if hint
            else f"the first line names columns of: {known}",
        )
