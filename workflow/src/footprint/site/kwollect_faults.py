"""Why a file of Kwollect cannot be read: the first record at fault, found after reading failed."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from footprint.errors import InputError
from footprint.site import files
from footprint.site.kwollect_fields import (
    BLOCK_BYTES,
    EARLIEST_S,
    LATEST_S,
    OFFSET,
    SAVE,
    USUAL_TIME,
    csv_layout,
    utc,
)


def explain_lines(path: Path) -> InputError | None:
    """The first fault of a file with a record a line; None when there is none."""
    lines = chain.from_iterable(
        block.splitlines() for block in files.lines(files.blocks(path), block_bytes=BLOCK_BYTES)
    )
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError:
                start = line[:60].decode("utf-8", "replace")
                what = f"this is not a whole record of JSON: {start}"
                return InputError(what, where=f"{path}:{number}", do=files.SAVE_AGAIN)
            if fault := _fault(record, f"{path}:{number}"):
                return fault
    return None


def explain_json(path: Path) -> InputError | None:
    """The first fault of a file of JSON in any layout; None when there is none."""
    records = chain.from_iterable(
        document if isinstance(document, list) else [document] for document in files.documents(path)
    )
    for number, record in enumerate(records, start=1):
        if fault := _fault(record, f"{path}, record {number}"):
            return fault
    return None


def explain_csv(path: Path) -> InputError | None:
    """The first fault of a file of comma- or tab-separated lines; None when there is none."""
    content = b"".join(files.blocks(path)).decode("utf-8-sig", "replace")
    names, separator, has_header = csv_layout(path, content.lstrip().encode())
    reader = csv.reader(io.StringIO(content), delimiter=separator)
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if not row or (has_header and row[names.index("timestamp")] == "timestamp"):
            continue
        if len(row) != len(names):
            what = f"{len(row)} fields instead of {len(names)}"
            return InputError(what, where=where, do=files.SAVE_AGAIN)
        record = {name: field or None for name, field in zip(names, row, strict=True)}
        if fault := _fault(record, where):
            return fault
    return None


def _fault(record: Any, where: str) -> InputError | None:
    """Why a record cannot be used; None when it can."""
    if message := files.refused(record):
        return InputError(f"the API answered: {message}", where=where, do=SAVE)
    if not isinstance(record, dict):
        return InputError("this is no record of Kwollect", where=where, do=SAVE)
    for key in ("timestamp", "device_id", "metric_id"):
        if record.get(key) in (None, ""):
            return InputError(f"a record has no `{key}`", where=where, do=SAVE)
    if not _is_time(str(record["timestamp"])):
        return InputError(f"cannot tell the time of {record['timestamp']}", where=where, do=OFFSET)
    value = record.get("value")
    if value is not None and not _is_number(str(value)):
        return InputError(f"the value {value!r} is not a number", where=where, do=SAVE)
    return None


# Every record before the one at fault is asked: a frame for each would take hours for a month.


def _is_time(text: str) -> bool:
    """Whether `utc` can tell the time."""
    try:
        if USUAL_TIME.fullmatch(text):
            datetime.fromisoformat(text)
            return True
        return EARLIEST_S <= float(text) <= LATEST_S
    except ValueError:
        return utc(pl.Series([text]))[0] is not None


def _is_number(text: str) -> bool:
    """Whether a column of numbers can hold it, NaN included."""
    try:
        float(text)
    except ValueError:
        return False
    return True
