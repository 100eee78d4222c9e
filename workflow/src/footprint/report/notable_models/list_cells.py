"""Cells of Epoch AI's list of models: the columns of each year, and lines that are torn.

The list has one form since 2023, in which cells may contain line breaks. Until 2024, the column
`Model` was `System`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice

import polars as pl

from footprint.core.errors import InputError

COLUMNS = {
    "model": ("Model", "System", "Model name"),
    "published_on": ("Publication date",),
    "training_flop": ("Training compute (FLOP)", "Training compute (FLOPs)"),
    "domain": ("Domain",),
}
"""Columns that are read, with their headers in the lists of 2023 to 2026, newest first."""

OPTIONAL_COLUMNS = ("domain",)
SEPARATORS = ",;\t"
"""Separators of Epoch AI and of spreadsheets."""

TORN_LINE = "the line is torn: its quotation marks or its number of cells do not fit"
MOST_TORN_LINES = 1000
"""Torn lines from which a file counts as no list; looking for the end of each takes time."""

DOWNLOAD_HINT = "download Epoch AI's list of notable AI models as CSV"


def read_cells(content: bytes, *, where: str) -> pl.DataFrame:
    """Cells of the list as text, with the line in which each record begins.

    Args:
        content: The list, as CSV in UTF-8.
        where: Name of the list in messages.

    Returns:
        `line`, `is_torn`, and the columns `COLUMNS`, null where empty, missing or torn.

    Raises:
        InputError: The content is no CSV in UTF-8, or lacks a column.
    """
    start = content.lstrip()[:15].lower()
    for sign, what in ((b"<", "is a web page, not a CSV"), (b"pk\x03\x04", "is a ZIP, not a CSV")):
        if start.startswith(sign):
            raise InputError(what, where=where, do=DOWNLOAD_HINT)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is not a CSV in UTF-8 (byte {error.start} is not UTF-8)"
        raise InputError(what, where=where, do=DOWNLOAD_HINT) from None
    lines = list(io.StringIO(text, newline=""))
    separator, header, places = _find_columns(lines, where=where)
    rows: list[list[int | bool | str | None]] = []
    n_torn = 0
    for line, cells in _records(lines, separator, n_cells=len(header)):
        texts = [cells[place].strip() or None if cells else None for place in places.values()]
        rows.append([line, cells is None, *texts])
        n_torn += cells is None
        if n_torn > MOST_TORN_LINES:
            what = f"is not a CSV ({MOST_TORN_LINES} lines up to line {line} are torn)"
            raise InputError(what, where=where, do=DOWNLOAD_HINT)
    schema = {"line": pl.Int64, "is_torn": pl.Boolean, **dict.fromkeys(places, pl.String)}
    missing = {name: pl.lit(None, pl.String) for name in COLUMNS if name not in places}
    read = pl.DataFrame(rows, schema=schema, orient="row").with_columns(**missing)
    if separator != ",":  # of a spreadsheet that writes 3,14E+23
        read = read.with_columns(pl.col("training_flop").str.replace(",", "."))
    return read.select("line", "is_torn", *COLUMNS)


def _find_columns(lines: Sequence[str], *, where: str) -> tuple[str, list[str], dict[str, int]]:
    """Separator, header and place of each column that the header has.

    Raises:
        InputError: A column is missing, or the file is empty.
    """
    for separator in SEPARATORS:
        header = [" ".join(name.split()) for name in _header_cells(lines, separator)]
        names = [name.casefold() for name in header]
        places = {
            column: names.index(known.casefold())
            for column, headers in COLUMNS.items()
            for known in reversed(headers)
            if known.casefold() in names
        }
        if places:
            break
    else:
        separator, places = ",", {}
        header = [name.strip() for name in _header_cells(lines, separator)]
    missing = [name for name in COLUMNS if name not in (*places, *OPTIONAL_COLUMNS)]
    if not any(header):
        raise InputError("is not a CSV (its first line is empty)", where=where, do=DOWNLOAD_HINT)
    if missing:
        has = ", ".join(header[:8]) + (", ..." if len(header) > 8 else "")
        raise InputError(
            f"has no column {COLUMNS[missing[0]][0]!r}",
            where=where,
            do=f"its columns are {has}: rename one of them, or {DOWNLOAD_HINT}",
        )
    return separator, header, places


def _header_cells(lines: Sequence[str], separator: str) -> list[str]:
    try:
        return next(csv.reader(lines[:1], delimiter=separator), [])
    except csv.Error:
        return []


def _records(
    lines: Sequence[str], separator: str, *, n_cells: int
) -> Iterator[tuple[int, list[str] | None]]:
    """Line and cells of each record below the header; None for the cells of a torn line.

    Behind a torn line, reading goes on with the next line: a quotation mark that is not closed must
    not take the records below with it.
    """
    place = 1
    while place < len(lines):
        reader = csv.reader(islice(lines, place, None), delimiter=separator, strict=True)
        start = place
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    if len(cells) < n_cells or any(cell.strip() for cell in cells[n_cells:]):
                        break
                    yield start + 1, cells
                start = place + reader.line_num
            else:
                return
        except csv.Error:
            pass
        yield start + 1, None
        place = start + 1
