"""Typed values of the cells of a column, and the first cell that does not fit."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.generic import columns
from footprint.sources.generic.headers import FileColumn
from footprint.sources.kwollect.fields import EARLIEST_S, LATEST_S, parse_times

UTC_TIME = pl.Datetime("us", "UTC")

DTYPES: dict[str, Any] = {
    columns.TEXT: pl.String,
    columns.NODE_LIST: pl.String,
    columns.ID_LIST: pl.String,
    columns.WHOLE: pl.Int64,
    columns.NUMBER: pl.Float64,
    columns.TIME: UTC_TIME,
    columns.FLAG: pl.Boolean,
}
"""Type of the values of each kind of column."""

NO_TIMES = ("unknown", "none", "n/a", "-", "")
"""Texts for an unknown time, in lower case, as Slurm and others write them."""

YES, NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")

FIXES = {
    columns.WHOLE: "write a whole number, or leave the cell empty where it is unknown",
    columns.NUMBER: "write a number with a decimal point and without a unit, or leave the cell "
    "empty where it is unknown",
    columns.FLAG: "write yes or no",
}


class CellError(Exception):
    """A cell that does not fit its column.

    Attributes:
        row: Its row, from 0.
        what: What is wrong.
        do: How to fix it.
    """

    def __init__(self, row: int, what: str, do: str) -> None:
        super().__init__(what)
        self.row, self.what, self.do = row, what, do

    def at(self, where: str) -> InputError:
        """The error for the user, with the place of the cell."""
        return InputError(self.what, where=where, do=self.do)


def fast_dtype(column: FileColumn, first: str) -> Any:
    """Type by which Polars can parse a column of CSV without texts.

    Args:
        column: The column.
        first: Its first cell.
    """
    kind = column.definition.kind
    if kind == columns.TIME:
        if re.fullmatch(r"\d+", first):
            return pl.Int64
        return pl.Float64 if re.fullmatch(r"\d+\.\d+", first) else pl.String
    return pl.String if kind == columns.FLAG else DTYPES[kind]


def from_values(values: pl.Series, column: FileColumn) -> pl.Series:
    """Typed values of a column that is already typed, as in Parquet.

    Raises:
        CellError: A value does not fit the column.
    """
    kind, dtype = column.definition.kind, values.dtype
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        texts = values.cast(pl.String)
        if kind in (columns.TEXT, columns.NODE_LIST, columns.ID_LIST):
            return _checked(texts, texts, column)
        return from_texts(texts, column)
    if kind == columns.TIME:
        return _checked(_times_of_values(values, column), values, column)
    if kind == columns.FLAG and dtype == pl.Boolean:
        return values
    if kind == columns.NUMBER and dtype.is_numeric():
        return _checked(_scaled(values.cast(pl.Float64), column), values, column)
    if kind == columns.WHOLE and dtype.is_integer():
        return _checked(values.cast(pl.Int64, strict=False), values, column)
    if kind == columns.WHOLE and dtype.is_float():
        return _checked(_whole(values.cast(pl.Float64)), values.fill_nan(None), column)
    if kind == columns.ID_LIST and dtype.is_integer():
        return values.cast(pl.String)
    if kind in (columns.TEXT, columns.NODE_LIST):
        return values.cast(pl.String)
    raise CellError(0, f"values of type {dtype}", f"write the column as {kind}")


def from_texts(texts: pl.Series, column: FileColumn) -> pl.Series:
    """Typed values of a column of texts; spaces around them are ignored.

    Raises:
        CellError: A text does not fit the column.
    """
    kind = column.definition.kind
    stripped = texts.str.strip_chars()
    given = stripped.set(stripped == "", None)
    if kind == columns.NUMBER:
        found = _scaled(given.cast(pl.Float64, strict=False), column)
    elif kind == columns.WHOLE:
        whole = given.cast(pl.Int64, strict=False)
        # spreadsheets and pandas write whole numbers of a column with empty cells as 48.0
        found = whole.zip_with(whole.is_not_null(), _whole(given.cast(pl.Float64, strict=False)))
    elif kind == columns.TIME:
        given = given.set(given.str.to_lowercase().is_in(NO_TIMES), None)
        found = _times_of_texts(given, column)
    elif kind == columns.FLAG:
        lower = given.str.to_lowercase()
        found = lower.replace_strict(
            dict.fromkeys(YES, True) | dict.fromkeys(NO, False),
            default=None,
            return_dtype=pl.Boolean,
        )
    else:
        found = given
    return _checked(found, given, column)


def _checked(found: pl.Series, given: pl.Series, column: FileColumn) -> pl.Series:
    """The values, unless one is null although its cell is given, or a required one is empty."""
    if found.null_count() > given.null_count():
        row = (found.is_null() & given.is_not_null()).arg_max() or 0
        raise CellError(row, f"{given[row]!r} is not a {column.definition.kind}", _fix(column))
    if column.definition.required and found.null_count():
        row = found.is_null().arg_max() or 0
        raise CellError(row, "the cell is empty", f"fill it, or remove the row: {_fix(column)}")
    return found


def _fix(column: FileColumn) -> str:
    if column.definition.kind != columns.TIME:
        return FIXES.get(column.definition.kind, column.definition.meaning)
    unit = {"": "seconds", "_ms": "milliseconds", "_us": "microseconds"}[_suffix(column)]
    return (
        f"write {unit} since 1970, or a date with an offset as 2025-03-03T10:00:00+01:00; a column "
        f"of milliseconds is named {column.definition.name}_ms"
    )


def _suffix(column: FileColumn) -> str:
    return column.name.strip().lower().removeprefix(column.definition.name)


def _scaled(numbers: pl.Series, column: FileColumn) -> pl.Series:
    units = columns.POWER_UNITS | columns.ENERGY_UNITS
    factor = units.get(column.name.strip().lower(), 1.0)
    return numbers if factor == 1.0 else numbers * factor


def _whole(numbers: pl.Series) -> pl.Series:
    is_whole = (numbers == numbers.floor()) & (numbers.abs() < 2**53)
    return numbers.set(~is_whole.fill_null(False), None).cast(pl.Int64)


def _times_of_values(values: pl.Series, column: FileColumn) -> pl.Series:
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            raise CellError(
                0, "times without a time zone", "store the column with its time zone, as UTC"
            )
        found = values.dt.convert_time_zone("UTC").cast(UTC_TIME)
        return _in_this_century(found)
    if not dtype.is_numeric():
        raise CellError(0, f"values of type {dtype}", _fix(column))
    unit_us = columns.TIME_UNITS[_suffix(column)]
    if dtype.is_integer():
        # bounds first: the product of a wrong unit would overflow
        low, high = (bound * 1_000_000 // unit_us for bound in (EARLIEST_S, LATEST_S))
        whole = values.cast(pl.Int64, strict=False)
        if not (_bound(whole.min(), low) >= low and _bound(whole.max(), low) <= high):
            whole = whole.set(~whole.is_between(low, high), None)
        return (whole * unit_us).cast(UTC_TIME)
    numbers = values.cast(pl.Float64) * unit_us
    is_valid = numbers.is_between(EARLIEST_S * 1e6, LATEST_S * 1e6)
    numbers = numbers.set(~is_valid.fill_null(False), None)
    return numbers.round().cast(pl.Int64).cast(UTC_TIME)


def _bound(value: Any, default: int) -> int:
    return default if value is None else int(value)


def _in_this_century(times: pl.Series) -> pl.Series:
    is_valid = times.dt.epoch("s").is_between(EARLIEST_S, LATEST_S)
    return times.set(~is_valid.fill_null(False), None)


def _times_of_texts(texts: pl.Series, column: FileColumn) -> pl.Series:
    if _suffix(column):
        return _times_of_values(texts.cast(pl.Float64, strict=False), column)
    return parse_times(texts)
