"""Errors about files of Kwollect: the first unusable record, found after parsing failed."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.sources import files
from footprint.sources.kwollect.fields import (
    BLOCK_BYTES,
    EARLIEST_S,
    LATEST_S,
    OFFSET_ADVICE,
    SAVE_ANSWER_ADVICE,
    USUAL_TIME_PATTERN,
    csv_error,
    csv_layout,
    parse_times,
)


def first_fault_of_lines(path: Path) -> InputError | None:
    """Error about the first unusable record of a file with one per line; None without one."""
    lines = chain.from_iterable(
        block.splitlines()
        for block in files.blocks_of_lines(input_files.read_blocks(path), block_bytes=BLOCK_BYTES)
    )
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError:
                start = line[:60].decode("utf-8", "replace")
                what = f"this is not a whole record of JSON: {start}"
                return InputError(what, where=f"{path}:{number}", do=input_files.SAVE_AGAIN)
            if error := _record_error(record, f"{path}:{number}"):
                return error
    return None


def first_fault_of_json(path: Path) -> InputError | None:
    """Error about the first unusable record of a file of JSON in any layout; None without one."""
    records = chain.from_iterable(
        document if isinstance(document, list) else [document]
        for document in files.read_documents(path)
    )
    for number, record in enumerate(records, start=1):
        if error := _record_error(record, f"{path}, record {number}"):
            return error
    return None


def first_fault_of_csv(path: Path) -> InputError | None:
    """Error about the first unusable row of a comma- or tab-separated file; None without one."""
    content = input_files.read_content(path).decode("utf-8-sig", "replace")
    names, separator, has_header = csv_layout(path, content.lstrip().encode())
    reader = csv.reader(io.StringIO(content), delimiter=separator)
    try:
        return _first_unusable_row(reader, path, names, has_header=has_header)
    except csv.Error as error:
        return csv_error(error, where=f"{path}:{reader.line_num}")


def _first_unusable_row(
    reader: Any, path: Path, names: list[str], *, has_header: bool
) -> InputError | None:
    """Error about the first unusable row of a reader of `csv`; None without one."""
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if not row or (has_header and row[names.index("timestamp")] == "timestamp"):
            continue
        if len(row) != len(names):
            what = f"{len(row)} fields instead of {len(names)}"
            return InputError(what, where=where, do=input_files.SAVE_AGAIN)
        record = {name: field or None for name, field in zip(names, row, strict=True)}
        if error := _record_error(record, where):
            return error
    return None


def _record_error(record: Any, where: str) -> InputError | None:
    """Error about a record; None for a usable one."""
    if message := files.api_error_message(record):
        return InputError(f"the API answered: {message}", where=where, do=SAVE_ANSWER_ADVICE)
    if not isinstance(record, dict):
        return InputError("this is no record of Kwollect", where=where, do=SAVE_ANSWER_ADVICE)
    for key in ("timestamp", "device_id", "metric_id"):
        if record.get(key) in (None, ""):
            return InputError(f"a record has no `{key}`", where=where, do=SAVE_ANSWER_ADVICE)
    if not _is_time(str(record["timestamp"])):
        return InputError(
            f"cannot read the time {record['timestamp']}", where=where, do=OFFSET_ADVICE
        )
    value = record.get("value")
    if value is not None and not _is_number(str(value)):
        return InputError(
            f"the value {value!r} is not a number", where=where, do=SAVE_ANSWER_ADVICE
        )
    return None


# Both checks run on every record before the unusable one: a frame for each would take hours for a
# month of readings.


def _is_time(text: str) -> bool:
    """Whether `parse_times` can parse a time."""
    try:
        if USUAL_TIME_PATTERN.fullmatch(text):
            datetime.fromisoformat(text)
            return True
        return EARLIEST_S <= float(text) <= LATEST_S
    except ValueError:
        if not text.isascii():
            return False
        return parse_times(pl.Series([text]))[0] is not None


def _is_number(text: str) -> bool:
    """Whether a text is a number; NaN is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
