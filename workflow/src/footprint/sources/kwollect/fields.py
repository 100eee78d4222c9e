"""Fields of Kwollect's records in files: names, times, and the layout of CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import polars as pl

from footprint.core.errors import InputError

BLOCK_BYTES = 32 << 20
"""Size of the blocks of whole lines in which files are parsed."""

RECORD_FIELDS = ("timestamp", "device_id", "metric_id", "value", "labels")
"""Fields of a record, in the order of the API."""

REQUIRED_FIELDS = RECORD_FIELDS[:4]
"""Fields that every record must have."""

FIELD_ALIASES = {"device": "device_id", "metric": "metric_id"}
"""Other names of fields, in headers of CSV."""

EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800
"""Bounds of valid times, 2000-01-01 and 2100-01-01, in seconds since 1970."""

USUAL_TIME_PATTERN = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:\d\d|Z)")
"""The usual form of a time, which Python parses without Polars."""

SAVE_ANSWER_ADVICE = "save the answer of /sites/<site>/metrics?nodes=...&metrics=... again"
OFFSET_ADVICE = (
    "a time needs an offset, as in 2025-04-18T18:55:33.75+02:00, or is in seconds since 1970"
)


def parse_times(texts: pl.Series) -> pl.Series:
    """Times (UTC, microseconds) from ISO timestamps with an offset, or from seconds since 1970.

    Fractions have 0 to 9 digits, and digits after the sixth are cut. Offsets are `+01:00`, `+0100`,
    `+01` or `Z`. `T` or a space separates date and time of day. Local times repeat in autumn; the
    offset distinguishes them. Other texts, and times outside this century, are null.

    Args:
        texts: Texts.
    """
    text, seconds = pl.col("text"), pl.col("text").cast(pl.Float64, strict=False)
    times = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    frame = pl.DataFrame({"text": texts, "time": times})
    if times.null_count() > texts.null_count():
        spaced = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False)
        this_century = pl.when(seconds.is_between(EARLIEST_S, LATEST_S)).then(seconds)
        epoch = (this_century * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
        frame = frame.with_columns(time=pl.coalesce("time", spaced, epoch))
    is_valid = pl.col("time").dt.epoch("s").is_between(EARLIEST_S, LATEST_S)
    return frame.select(pl.when(is_valid).then("time")).to_series()


def csv_error(error: csv.Error, *, where: str) -> InputError:
    """Error about a line that is no CSV, such as one of over 131 072 characters.

    Args:
        error: Error of the reader.
        where: File and line.
    """
    what = f"cannot be read as CSV ({str(error).partition(' - ')[0]})"
    return InputError(what, where=where, do="save it as CSV with a line break after each record")


def csv_layout(path: Path, first: bytes) -> tuple[list[str], str, bool]:
    """Names of the columns, the separator, and whether the first line is a header.

    Args:
        path: The file, for the message.
        first: Start of the content, with the first line.

    Raises:
        InputError: The first line is neither a header nor a record of Kwollect.
    """
    line = first.partition(b"\n")[0].decode("utf-8", "replace").strip()
    separator = "\t" if "\t" in line else ","
    try:
        fields = next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise csv_error(error, where=f"{path}:1") from None
    names = [FIELD_ALIASES.get(name.strip(), name.strip()) for name in fields]
    if set(REQUIRED_FIELDS) <= set(names):
        return names, separator, True
    if (
        len(fields) in (len(REQUIRED_FIELDS), len(RECORD_FIELDS))
        and parse_times(pl.Series(fields[:1]))[0] is not None
    ):
        return list(RECORD_FIELDS[: len(fields)]), separator, False
    raise InputError(
        f"this is neither JSON nor CSV of Kwollect: {line[:60]}",
        where=f"{path}:1",
        do=f"save it as JSON, or add the header {','.join(RECORD_FIELDS)}",
    )
