"""Answers of Kwollect -> readings, from a file or from one answer of the API.

Formats are recognised by content; `.gz` and `.zst` are decompressed:

- JSON arrays, as the API returns them;
- JSON with one record per line (EnOSlib), or with records over several lines;
- comma- or tab-separated lines with the header `timestamp,device,metric_id,value,labels` (or
  `device_id`), or without a header, in the order of the API's fields.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core import input_files, nesting
from footprint.core.errors import InputError
from footprint.sources import files, node_names
from footprint.sources.kwollect import ndjson
from footprint.sources.kwollect.fields import (
    BLOCK_BYTES,
    RECORD_FIELDS,
    REQUIRED_FIELDS,
    SAVE_ANSWER_ADVICE,
    csv_layout,
    parse_times,
)
from footprint.sources.kwollect.file_faults import (
    first_fault_of_csv,
    first_fault_of_json,
    first_fault_of_lines,
)

_TEXT_COLUMNS: dict[str, Any] = dict.fromkeys(RECORD_FIELDS, pl.String)

BARE_NUMBER_PATTERN = re.compile(rb"(:\s*)([-+]?(?:NaN|Infinity))(?=\s*[,}\]])")
"""NaN and infinity as Python's `json.dump` writes them, without the quotation marks that JSON
needs."""


class _UnusableRecord(Exception):
    """A record of a block cannot be used; `file_faults` finds it afterwards."""


_UNUSABLE = (
    _UnusableRecord,
    ValueError,
    RecursionError,
    pl.exceptions.ComputeError,
    pl.exceptions.SchemaError,
)


def read_file(
    path: Path, *, with_labels: bool = False, site: str | None = None
) -> Iterator[pl.DataFrame]:
    """Readings of a file, in frames of bounded size and in the order of the file.

    Args:
        path: The file.
        with_labels: Whether there is a column `labels`.
        site: Site of the study; None: all nodes are taken for nodes of it.

    Yields:
        Columns `metric`, `device` (short name; full name for a node of another site), `timestamp`
        (UTC, microseconds), `value` (unit of the metric; NaN where the sensor reported no number,
        null where Kwollect has none), and `labels` (JSON text, or null).

    Raises:
        InputError: The file is empty, damaged, incomplete, or an error answer of the API; or a
            record has no device, no metric, or no time with an offset. The message has the line.
    """
    blocks = input_files.read_blocks(path)
    first = next(blocks, b"").removeprefix(b"\xef\xbb\xbf").lstrip()
    if not first:
        raise InputError("is empty", where=str(path), do=SAVE_ANSWER_ADVICE)
    text = chain([first], blocks)
    if first[:1] not in (b"[", b"{"):
        frames, explain = _csv_frames(path, text, first), first_fault_of_csv
    elif _is_record(first.partition(b"\n")[0]):
        frames, explain = _json_frames(text, with_labels=with_labels), first_fault_of_lines
    else:
        lines = ndjson.one_record_per_line(text)
        frames, explain = _json_frames(lines, with_labels=with_labels), first_fault_of_json
    try:
        for frame in frames:
            yield _tidy(frame, with_labels=with_labels, site=site)
    except ndjson.IncompleteJsonError as end:
        where = f"{path}:{end.line}"
        raise InputError(
            "the JSON breaks off here", where=where, do=input_files.SAVE_AGAIN
        ) from None
    except _UNUSABLE:
        raise _first_fault(path, explain) from None


def parse_answer(content: bytes) -> pl.DataFrame:
    """Readings of one answer of the API, in its order, with all labels.

    Args:
        content: The answer, in JSON.

    Returns:
        Columns `metric`, `device`, `timestamp`, `value` as in `read_file`, and `labels` (JSON text
        with sorted keys, as in `{"gpu":"0"}`).

    Raises:
        ValueError: The answer is incomplete, or does not consist of readings.
    """
    size = input_files.BLOCK_BYTES
    blocks = (content[start : start + size] for start in range(0, len(content), size))
    frames = [pl.DataFrame(schema=_TEXT_COLUMNS)]
    try:
        frames += _json_frames(ndjson.one_record_per_line(blocks), with_labels=True)
        found = _tidy(pl.concat(frames), with_labels=True)
    except ndjson.IncompleteJsonError:
        raise ValueError("the JSON breaks off") from None
    except _UNUSABLE:
        raise ValueError("not samples of Kwollect") from None
    texts = found["labels"].unique().to_list()
    with_sorted_keys = {text: _sort_keys(text) for text in texts}
    return found.with_columns(
        pl.col("labels").replace_strict(with_sorted_keys, return_dtype=pl.String)
    )


def _sort_keys(labels: str | None) -> str:
    """Labels as compact JSON text with sorted keys."""
    parsed = json.loads(labels or "{}") or {}
    return json.dumps(parsed, sort_keys=True, separators=(",", ":"))


def _is_record(line: bytes) -> bool:
    """Whether a line is one whole record, so that the file has one record per line."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_frames(text: Iterator[bytes], *, with_labels: bool) -> Iterator[pl.DataFrame]:
    """Records of JSON with one record per line, as frames of text columns."""
    fields = RECORD_FIELDS if with_labels else REQUIRED_FIELDS
    for block in files.blocks_of_lines(text, block_bytes=BLOCK_BYTES):
        if block.isspace():
            continue
        if with_labels and b"\\" in block:
            yield _parse_in_python(block)
        else:
            yield pl.read_ndjson(_quote_numbers(block), schema=dict.fromkeys(fields, pl.String))


def _parse_in_python(block: bytes) -> pl.DataFrame:
    """Records as a frame of text columns, with labels as Polars does not give them.

    Polars drops the backslashes inside labels.
    """
    records = [json.loads(line) for line in block.splitlines() if line.strip()]
    if not all(isinstance(record, dict) for record in records):
        raise _UnusableRecord
    rows = [[_as_text(record.get(field)) for field in RECORD_FIELDS] for record in records]
    return pl.DataFrame(rows, schema=_TEXT_COLUMNS, orient="row")


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _quote_numbers(block: bytes) -> bytes:
    """Records with NaN and infinity in quotation marks."""
    if b"NaN" in block or b"Infinity" in block:
        return BARE_NUMBER_PATTERN.sub(rb'\1"\2"', block)
    return block


def _csv_frames(path: Path, text: Iterator[bytes], first: bytes) -> Iterator[pl.DataFrame]:
    """Records of comma- or tab-separated lines, as frames of text columns."""
    names, separator, has_header = csv_layout(path, first)
    skip = has_header
    for block in files.blocks_of_lines(text, block_bytes=BLOCK_BYTES):
        rows = block.partition(b"\n")[2] if skip else block
        skip = False
        if rows.strip():
            frame = pl.read_csv(
                rows,
                has_header=False,
                schema=dict.fromkeys(names, pl.String),
                separator=separator,
            )
            is_header = pl.col("timestamp").eq_missing("timestamp")
            yield frame.filter(~(is_header | pl.all_horizontal(pl.all().is_null())))
            if not rows.endswith(b"\n") and len(_last_fields(rows, separator)) < len(names):
                raise _UnusableRecord


def _last_fields(rows: bytes, separator: str) -> list[str]:
    """Fields of the last line."""
    line = rows.rpartition(b"\n")[2].decode("utf-8", "replace")
    return next(csv.reader([line], delimiter=separator))


def _tidy(frame: pl.DataFrame, *, with_labels: bool, site: str | None = None) -> pl.DataFrame:
    """Typed readings of a frame of text columns.

    Raises:
        _UnusableRecord: A record has no device, metric or time, or a value that is not a number.
    """
    raw = pl.col("value")
    value = raw.cast(pl.Float64, strict=False)
    is_unreadable = value.is_null() & raw.is_not_null() & ~raw.is_in(["", "null"])
    frame = frame.with_columns(parse_times(frame["timestamp"]).alias("timestamp"))
    is_nameless = pl.any_horizontal(pl.col("device_id", "metric_id").fill_null("") == "")
    is_unusable = is_nameless | pl.col("timestamp").is_null() | is_unreadable
    if frame.select(is_unusable.any()).item():
        raise _UnusableRecord
    if with_labels and "labels" not in frame.columns:
        frame = frame.with_columns(labels=pl.lit(None, dtype=pl.String))
    return frame.select(
        pl.col("metric_id").alias("metric"),
        node_names.short_names(pl.col("device_id"), site).alias("device"),
        "timestamp",
        value.alias("value"),
        *(["labels"] if with_labels else []),
    )


def _first_fault(path: Path, explain: Callable[[Path], InputError | None]) -> InputError:
    """The error about the first record that cannot be used."""
    try:
        found = explain(path)
    except RecursionError:
        found = InputError(nesting.TOO_DEEP, where=str(path), do=SAVE_ANSWER_ADVICE)
    return found or InputError(
        "cannot be read as an answer of Kwollect", where=str(path), do=SAVE_ANSWER_ADVICE
    )
