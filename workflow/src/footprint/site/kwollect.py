"""Answers of Kwollect -> samples, from any file that a user can have of them.

The formats: JSON arrays as the API answers; JSON with a record a line (EnOSlib) or over several
lines; comma- or tab-separated lines, with a header (`timestamp,device,metric_id,value,labels`, or
`device_id`) or without one, in the order of the API's fields. The content tells the format; `.gz`
and `.zst` are decompressed.
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

from footprint import node_names
from footprint.errors import InputError
from footprint.kwollect_metrics import (
    FORMER_NAMES,
    GPU_POWER_METRIC,
    LOAD_METRIC,
    PACKAGE_METRIC,
)
from footprint.site import files, ndjson
from footprint.site.kwollect_faults import explain_csv, explain_json, explain_lines
from footprint.site.kwollect_fields import (
    BLOCK_BYTES,
    FIELDS,
    NEEDED,
    OFFSET,
    SAVE,
    csv_layout,
    utc,
)

__all__ = [
    "FORMER_NAMES",
    "GPU_POWER_METRIC",
    "LOAD_METRIC",
    "OFFSET",
    "PACKAGE_METRIC",
    "answer",
    "gpu_samples",
    "samples",
    "uncollected",
    "utc",
    "with_gpu",
]

RECORD_START = b'{"timestamp":'
BARE = re.compile(rb"(:\s*)([-+]?(?:NaN|Infinity))(?=\s*[,}\]])")
"""What Python's `json.dump` writes where JSON has no number, without quotation marks."""


class _Fault(Exception):
    """Some record of the file cannot be used; which one is looked for afterwards."""


def samples(
    path: Path, *, label: str | None = None, site: str | None = None
) -> Iterator[pl.DataFrame]:
    """Samples of a file, in pieces of bounded size and in the order of the file.

    Columns `metric`, `device` (short name; the full one of a node of another site), `timestamp`
    (UTC, microseconds), `value` (float; NaN where the sensor's answer was no number, null where
    there was none), and the label called `label` when one is asked for (text; null where a sample
    lacks it); with `label="labels"`, all labels as JSON text.

    Args:
        path: The file.
        label: The label to read.
        site: Site whose nodes are meant by short names; None: all are of it.

    Raises:
        InputError: The file is empty, damaged, broken off, holds an error that the API answered, or
            a record without device, metric, or time with an offset; the message names the line.
    """
    blocks = files.blocks(path)
    first = next(blocks, b"").removeprefix(b"\xef\xbb\xbf").lstrip()
    if not first:
        raise InputError("is empty", where=str(path), do=SAVE)
    text = chain([first], blocks)
    if first[:1] not in (b"[", b"{"):
        frames, explain = _csv_frames(path, text, first), explain_csv
    elif _is_record(first.partition(b"\n")[0]):
        frames, explain = _json_frames(text, label), explain_lines
    else:
        frames, explain = _json_frames(ndjson.one_a_line(text), label), explain_json
    try:
        for frame in frames:
            yield _tidy(frame, label, site)
    except ndjson.BrokenOff as end:
        where = f"{path}:{end.line}"
        raise InputError("the JSON breaks off here", where=where, do=files.SAVE_AGAIN) from None
    except (_Fault, pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        raise _explained(path, explain) from None


def uncollected(nodes: pl.DataFrame, metric: str) -> list[str]:
    """Nodes of which a metric comes only where a job asked for it, or never; sorted.

    Args:
        nodes: `tables.Nodes`; those whose metrics are not known are left out.
        metric: The metric, by its name of today.
    """
    names = {metric, FORMER_NAMES.get(metric, metric)}
    collected = pl.col("power_metrics").list.set_intersection(sorted(names)).list.len() > 0
    without = nodes.filter(pl.col("power_metrics").is_not_null() & ~collected)
    found: list[str] = without["node"].unique().sort().to_list()
    return found


def answer(content: bytes) -> pl.DataFrame:
    """Samples of one answer of the API, in its order, with all labels.

    Columns `metric`, `device`, `timestamp`, `value` as of `samples`, and `labels` (JSON text, keys
    sorted, as in `{"gpu":"0"}`).

    Raises:
        ValueError: The answer breaks off, or is not made of samples.
    """
    try:
        text = _as_usual(content) or b"".join(ndjson.one_a_line(_blocks(content)))
        found = _tidy(_records(text), "labels")
    except ndjson.BrokenOff:
        raise ValueError("the JSON breaks off") from None
    except (_Fault, ValueError, pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        raise ValueError("not samples of Kwollect") from None
    texts = found["labels"].unique().to_list()
    sorted_keys = {text: _sorted_keys(text) for text in texts}
    return found.with_columns(pl.col("labels").replace_strict(sorted_keys, return_dtype=pl.String))


def _as_usual(content: bytes) -> bytes | None:
    """Records of an answer, each on a line, where it is written as usual; None: it is not.

    The time comes first, and the same stands between all records (PostgreSQL puts a line break
    there), so that they are quickly cut. In valid JSON the place to cut cannot be inside a text,
    where a quotation mark stands behind a backslash; and each record has two braces that open, its
    own and that of its labels.
    """
    if not (content.startswith(b"[" + RECORD_START) and content.endswith(b"}]")):
        return None
    second = content.find(RECORD_START, 2)
    between = content[content.rfind(b"}", 0, second) + 1 : second] if second > 0 else b","
    cut = b"}\n" + RECORD_START
    text = content[1:-1].replace(b"}" + between + RECORD_START, cut)
    n_records = text.count(cut) + 1
    whole = text.count(b"\n") == n_records - 1 and text.count(b"{") == 2 * n_records
    return text if whole and between.strip() == b"," else None


def _records(text: bytes) -> pl.DataFrame:
    """Records, each on a line, with all fields as text."""
    schema: dict[str, Any] = dict.fromkeys(FIELDS, pl.String)
    if not text.strip():
        return pl.DataFrame(schema=schema)
    if b"\\" not in text:
        return pl.read_ndjson(text, schema=schema)
    # Polars gives the texts inside labels without the backslashes that they need
    records = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(record, dict) for record in records):
        raise _Fault
    rows = [[_as_text(record.get(field)) for field in FIELDS] for record in records]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), files.READ_BYTES):
        yield content[start : start + files.READ_BYTES]


def _sorted_keys(labels: str | None) -> str:
    """Labels as text that is the same however the source ordered and spaced them."""
    told = json.loads(labels or "{}") or {}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def gpu_samples(path: Path) -> Iterator[pl.DataFrame]:
    """Power of single GPUs (`prom_DCGM_FI_DEV_POWER_USAGE`): `node`, `gpu`, `timestamp`, `power_w`.

    Other metrics of the file are left out.

    Raises:
        InputError: As for `samples`, or a sample does not say in its label `gpu` whose it is.
    """
    for frame in samples(path, label="gpu"):
        found = with_gpu(frame.filter(pl.col("metric") == GPU_POWER_METRIC), path)
        yield found.select(pl.col("device").alias("node"), "gpu", "timestamp", power_w="value")


def with_gpu(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Samples with the index of the GPU that they are about, from their label `gpu`.

    Args:
        frame: Samples of the file with the label, as `samples` gives it.
        path: The file, for the message.

    Raises:
        InputError: A sample does not say in its label `gpu` whose it is.
    """
    found = frame.with_columns(pl.col("gpu").cast(pl.UInt8, strict=False))
    if found["gpu"].null_count():
        sample = found.filter(pl.col("gpu").is_null()).row(0, named=True)
        what = f"the sample of {sample['device']} at {sample['timestamp']} has no label `gpu`"
        raise InputError(what, where=str(path), do=SAVE)
    return found


def _is_record(line: bytes) -> bool:
    """Whether a line is one whole record, so that the file holds a record a line."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_frames(text: Iterator[bytes], label: str | None) -> Iterator[pl.DataFrame]:
    schema: dict[str, Any] = dict.fromkeys(NEEDED, pl.String)
    if label is not None:
        schema["labels"] = pl.String if label == "labels" else pl.Struct({label: pl.String})
    for block in files.lines(text, block_bytes=BLOCK_BYTES):
        if block.strip():
            frame = pl.read_ndjson(_quoted(block), schema=schema)
            yield frame if label in (None, "labels") else frame.unnest("labels")


def _quoted(block: bytes) -> bytes:
    """Records in which NaN and Infinity stand in quotation marks, as JSON has them."""
    if b"NaN" in block or b"Infinity" in block:
        return BARE.sub(rb'\1"\2"', block)
    return block


def _csv_frames(path: Path, text: Iterator[bytes], first: bytes) -> Iterator[pl.DataFrame]:
    names, separator, has_header = csv_layout(path, first)
    skip = has_header
    for block in files.lines(text, block_bytes=BLOCK_BYTES):
        rows = block.partition(b"\n")[2] if skip else block
        skip = False
        if rows.strip():
            frame = pl.read_csv(
                rows,
                has_header=False,
                schema=dict.fromkeys(names, pl.String),
                separator=separator,
            )
            headers_again = pl.col("timestamp").eq_missing("timestamp")
            yield frame.filter(~(headers_again | pl.all_horizontal(pl.all().is_null())))
            if not rows.endswith(b"\n") and len(_fields(rows, separator)) < len(names):
                raise _Fault


def _fields(rows: bytes, separator: str) -> list[str]:
    """Fields of the last line."""
    line = rows.rpartition(b"\n")[2].decode("utf-8", "replace")
    return next(csv.reader([line], delimiter=separator))


def _tidy(frame: pl.DataFrame, label: str | None, site: str | None = None) -> pl.DataFrame:
    """Samples with their types; refuses a piece in which a record cannot be used."""
    raw = pl.col("value")
    value = raw.cast(pl.Float64, strict=False)
    unreadable = value.is_null() & raw.is_not_null() & ~raw.is_in(["", "null"])
    frame = frame.with_columns(utc(frame["timestamp"]).alias("timestamp"))
    nameless = pl.any_horizontal(pl.col("device_id", "metric_id").fill_null("") == "")
    faulty = nameless | pl.col("timestamp").is_null() | unreadable
    if frame.select(faulty.any()).item():
        raise _Fault
    if label is not None and label not in frame.columns:
        if "labels" not in frame.columns:
            frame = frame.with_columns(labels=pl.lit(None, dtype=pl.String))
        found = pl.col("labels").str.json_path_match(f"$.{label}")
        frame = frame if label == "labels" else frame.with_columns(found.alias(label))
    return frame.select(
        pl.col("metric_id").alias("metric"),
        node_names.of_site(pl.col("device_id"), site).alias("device"),
        "timestamp",
        value.alias("value"),
        *([label] if label else []),
    )


def _explained(path: Path, explain: Callable[[Path], InputError | None]) -> InputError:
    """The error that names the first record at fault."""
    try:
        found = explain(path)
    except RecursionError:
        found = InputError(files.TOO_DEEP, where=str(path), do=SAVE)
    return found or InputError("cannot be read as an answer of Kwollect", where=str(path), do=SAVE)
