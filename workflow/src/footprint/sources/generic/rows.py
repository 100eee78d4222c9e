"""Rows of a file of a generic table, in blocks of typed columns.

Content that does not fit its column is refused with file, line, column and fix. Nothing is guessed:
a time needs an offset or is a number of seconds since 1970, and numbers have a decimal point.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core import input_files, limits
from footprint.core.errors import InputError
from footprint.sources.generic import cells, headers
from footprint.sources.generic.headers import FileColumn, Header

BLOCK_BYTES = 4 << 20
"""Size of the blocks of whole lines in which CSV is parsed."""

PARQUET_ROWS = 1 << 20
"""Rows of the blocks in which Parquet is read."""

RAGGED_ADVICE = "write as many cells as the header has, and set texts with the separator in quotes"


def read_rows(
    path: Path, *, table: str, where: str, only: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file, in blocks.

    Args:
        path: CSV or Parquet, as for `headers.read_header`.
        table: Table of `columns.TABLES`.
        where: Name of the file in messages.
        only: Names of the definitions to read; None: all that the file has.

    Yields:
        A column for each definition that the file has, in the types of `cells.DTYPES`: watts,
        joules, and times in UTC. Empty cells are null.

    Raises:
        InputError: See `headers.read_header`; or a cell does not fit its column, or a required one
            is empty.
    """
    header = headers.read_header(path, table=table, where=where)
    wanted = [each for each in header.found if only is None or each.definition.name in only]
    if header.is_parquet:
        yield from _parquet_rows(path, wanted, where)
    else:
        yield from _csv_rows(path, header, wanted, where)


def _parquet_rows(path: Path, wanted: list[FileColumn], where: str) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_before = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(
            batch_size=PARQUET_ROWS, columns=[column.name for column in wanted]
        ):
            block = pl.DataFrame(pa.Table.from_batches([batch]))
            found = {}
            for column in wanted:
                try:
                    found[column.definition.name] = cells.from_values(block[column.name], column)
                except cells.CellError as error:
                    row = f"{where}, row {n_before + error.row + 1}"
                    raise error.at(f"{row}, column {column.name}") from None
            n_before += len(block)
            yield pl.DataFrame(found)
    except (pa.ArrowException, OSError) as error:
        what = f"cannot be read as Parquet ({str(error).partition('. ')[0]})"
        raise InputError(what, where=where, do=input_files.SAVE_AGAIN) from None


def _csv_rows(
    path: Path, header: Header, wanted: list[FileColumn], where: str
) -> Iterator[pl.DataFrame]:
    """Rows by Polars' scan as far as it gives them without doubt, else by blocks of lines."""
    n_scanned = 0
    try:
        for block in _scanned_rows(path, header, wanted):
            if block is None:
                break
            n_scanned += len(block)
            yield block
        else:
            return
    except pl.exceptions.PolarsError:
        # a scan that fails may have left rows out: nothing can follow but the error of their fault
        for _ in _rows_of_blocks(path, header, wanted, where):
            pass
        do = "pack it by gzip, which is read in another way"
        raise InputError("cannot be read as CSV", where=where, do=do) from None
    n_before = 0
    for block in _rows_of_blocks(path, header, wanted, where):
        start = max(n_scanned - n_before, 0)
        n_before += len(block)
        if start < len(block):
            yield block[start:]


def _scanned_rows(
    path: Path, header: Header, wanted: list[FileColumn]
) -> Iterator[pl.DataFrame | None]:
    """Rows of a plain file by Polars' scan; None, and an end, where blocks of lines must be read.

    This is so for packed and long files, and at the first doubt. Polars turns cells that do not fit
    the types of the first row into nulls, fills a row that is cut off with nulls, and puts what a
    row has too much into a column beyond the header.

    Raises:
        PolarsError: The file cannot be scanned.
    """
    dtypes = _first_dtypes(path, header, wanted)
    if not dtypes or path.stat().st_size > limits.active_limits().part_read_gb * 1e9:
        yield None
        return
    last, beyond = _name(len(header.names) - 1), _name(len(header.names))
    schema = {_name(place): dtypes.get(place, pl.String) for place in range(len(header.names))}
    scan = pl.scan_csv(
        path,
        has_header=False,
        skip_rows=1,
        schema={**schema, beyond: pl.String},
        separator=header.separator,
        missing_columns="insert",
        ignore_errors=True,
    )
    names = {last, beyond, *(_name(each.place) for each in wanted)}
    parsed = {last, *(name for name in names if schema.get(name, pl.String) != pl.String)}
    batches = iter(scan.select(sorted(names)).collect_batches())
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about quotes that do not end, which leave nulls
            block = next(batches, None)
        if block is None:
            return
        if block[beyond].count() or any(block[name].null_count() for name in parsed):
            break
        try:
            typed = _typed(block, wanted)
        except cells.CellError:
            break
        yield typed
    yield None


def _first_dtypes(path: Path, header: Header, wanted: list[FileColumn]) -> dict[int, Any]:
    """Types by the first row of a plain file; none where it is packed, or has no row."""
    with path.open("rb") as raw:
        first, second = raw.readline(), raw.readline()
    if first.startswith((input_files.GZIP_START, input_files.ZSTD_START)) or not second.strip():
        return {}
    return _fast_dtypes(second, header, wanted)


def _rows_of_blocks(
    path: Path, header: Header, wanted: list[FileColumn], where: str
) -> Iterator[pl.DataFrame]:
    line, is_first = 1, True
    fast: dict[int, Any] | None = None
    stream = input_files.read_blocks(path, where=where, block_bytes=BLOCK_BYTES)
    for block in _whole_records(stream):
        text = block.removeprefix(b"\xef\xbb\xbf") if is_first else block
        if is_first:
            text, is_first = text.partition(b"\n")[2], False
            line += 1
        if not text or text.isspace():
            line += text.count(b"\n")
            continue
        n_lines = text.count(b"\n")
        filled = text
        if not _has_equal_rows(text, n_lines, header):
            filled = _without_blank_lines(text)
            if not _has_equal_rows(filled, filled.count(b"\n"), header):
                _check_text(text, where, line)
                raise _ragged_error(text, header, where, line)
        if fast is None:
            fast = _fast_dtypes(filled, header, wanted)
        found = _parse_fast(filled, header, wanted, fast)
        if found is None:
            _check_text(text, where, line)
            found = _parse_texts(filled, text, header, wanted, where, line)
        yield found
        line += n_lines


def _whole_records(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks that end with a line break outside of quotes; the last block may lack it."""
    pending = b""
    for block in stream:
        pending += block
        end = _last_record_end(pending)
        if end:
            yield pending[:end]
            pending = pending[end:]
    if pending:
        yield pending


def _last_record_end(text: bytes) -> int:
    """Position after the last line break outside of quotes; 0 without one."""
    end = text.rfind(b"\n") + 1
    if b'"' not in text:
        return end
    n_quotes = text.count(b'"', 0, end)
    while end and n_quotes % 2:
        before = text.rfind(b"\n", 0, end - 1) + 1
        n_quotes -= text.count(b'"', before, end)
        end = before
    return end


def _without_blank_lines(text: bytes) -> bytes:
    """The text without blank lines, which Polars would take for rows without values."""
    if b'"' in text:
        return text.rstrip() + b"\n"  # others may be inside of quotes
    return b"".join(line for line in text.splitlines(keepends=True) if line.strip())


def _has_equal_rows(text: bytes, n_lines: int, header: Header) -> bool:
    """Whether the cells of a text are as many as its lines and the header have.

    Polars would fill the rest of a row that is cut off, and a blank line, with nulls. A row with
    too many cells, which could make up for it, is an error of Polars. A text with quotes, which may
    hide separators, has equal rows if it does not end with a blank line.
    """
    if b'"' in text:
        return not text[-2:].isspace()
    n_rows = n_lines + (not text.endswith(b"\n"))
    return text.count(header.separator.encode()) == n_rows * (len(header.names) - 1)


def _fast_dtypes(text: bytes, header: Header, wanted: list[FileColumn]) -> dict[int, Any]:
    """Types by which Polars parses the columns, by position; none where none can be told."""
    try:
        row = next(csv.reader([text.partition(b"\n")[0].decode()], delimiter=header.separator))
    except (csv.Error, UnicodeDecodeError, StopIteration):
        return {}
    if len(row) != len(header.names):
        return {}
    return {each.place: cells.fast_dtype(each, row[each.place]) for each in wanted}


def _parse_fast(
    text: bytes,
    header: Header,
    wanted: list[FileColumn],
    dtypes: dict[int, Any],
) -> pl.DataFrame | None:
    """Rows by the types of the first row; None where they do not fit, or a cell is refused."""
    if not dtypes:
        return None
    try:
        return _typed(_read_csv(text, header, wanted, dtypes), wanted)
    except (pl.exceptions.PolarsError, cells.CellError):
        return None


def _typed(block: pl.DataFrame, wanted: list[FileColumn]) -> pl.DataFrame:
    """Typed values of columns that Polars parsed."""
    return pl.DataFrame(
        {each.definition.name: cells.from_values(block[_name(each.place)], each) for each in wanted}
    )


def _parse_texts(
    text: bytes,
    original: bytes,
    header: Header,
    wanted: list[FileColumn],
    where: str,
    line: int,
) -> pl.DataFrame:
    """Rows from cells as texts, which takes longer and finds the place of a fault."""
    try:
        block = _read_csv(text, header, wanted, dict.fromkeys(range(len(header.names)), pl.String))
    except pl.exceptions.PolarsError:
        raise _ragged_error(original, header, where, line) from None
    found = {}
    for each in wanted:
        try:
            found[each.definition.name] = cells.from_texts(block[_name(each.place)], each)
        except cells.CellError as error:
            number = line + _lines_before(original, header.separator, error.row)
            raise error.at(f"{where}:{number}, column {each.name}") from None
    return pl.DataFrame(found)


def _read_csv(
    text: bytes, header: Header, wanted: list[FileColumn], dtypes: dict[int, Any]
) -> pl.DataFrame:
    """The wanted columns of a text without a header, named by position."""
    schema = {_name(place): dtypes.get(place, pl.String) for place in range(len(header.names))}
    return pl.read_csv(
        text,
        has_header=False,
        schema=schema,
        columns=sorted(each.place for each in wanted),
        separator=header.separator,
    )


def _name(place: int) -> str:
    return f"c{place}"


def _check_text(text: bytes, where: str, line: int) -> None:
    """Refuse a text that is not UTF-8, with its line."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        number = line + text.count(b"\n", 0, error.start)
        raise InputError(
            input_files.NOT_UTF_8, where=f"{where}:{number}", do=input_files.UTF_8_ADVICE
        ) from None


def _lines_before(text: bytes, separator: str, row: int) -> int:
    """Number of lines before a row, in a text in which quoted cells may have line breaks."""
    reader = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=separator)
    n_rows = 0
    for cells_of_row in reader:
        if not _is_blank(cells_of_row):
            if n_rows == row:
                return reader.line_num - 1
            n_rows += 1
    return 0


def _is_blank(row: list[str]) -> bool:
    """Whether a row of Python's reader is a blank line."""
    return len(row) < 2 and not "".join(row).strip()


def _ragged_error(text: bytes, header: Header, where: str, line: int) -> InputError:
    reader = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=header.separator)
    number, n_cells = line, 0
    try:
        for row in reader:
            if not _is_blank(row) and len(row) != len(header.names):
                number, n_cells = line + reader.line_num - 1, len(row)
                break
    except csv.Error:
        number = line + reader.line_num
    what = (
        f"{n_cells} cells, and the header has {len(header.names)}"
        if n_cells
        else "cannot be read as CSV"
    )
    return InputError(what, where=f"{where}:{number}", do=RAGGED_ADVICE)
