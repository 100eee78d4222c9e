"""Fields of Kwollect's records as files have them: their names, their times, the layout of CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import polars as pl

from footprint.errors import InputError

BLOCK_BYTES = 32 << 20
FIELDS = ("timestamp", "device_id", "metric_id", "value", "labels")
NEEDED = FIELDS[:4]
OTHER_NAMES = {"device": "device_id", "metric": "metric_id"}
EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800  # 2000-01-01 and 2100-01-01
USUAL_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:\d\d|Z)")
SAVE = "save the answer of /sites/<site>/metrics?nodes=...&metrics=... again"
OFFSET = "a time needs an offset, as in 2025-04-18T18:55:33.75+02:00, or is in seconds since 1970"


def utc(texts: pl.Series) -> pl.Series:
    """Times in UTC (microseconds) of ISO timestamps with offset, or of seconds since 1970.

    Fractions have 0 to 9 digits, of which six count; offsets are `+01:00`, `+0100`, `+01` or `Z`;
    `T` or a space stands before the time of day. The offset alone decides, so that the hour that
    autumn repeats is told apart. What is none of these, or lies outside this century, is null.
    """
    text, seconds = pl.col("text"), pl.col("text").cast(pl.Float64, strict=False)
    times = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    frame = pl.DataFrame({"text": texts, "time": times})
    if times.null_count() > texts.null_count():
        spaced = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False)
        this_century = pl.when(seconds.is_between(EARLIEST_S, LATEST_S)).then(seconds)
        epoch = (this_century * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
        frame = frame.with_columns(time=pl.coalesce("time", spaced, epoch))
    sensible = pl.col("time").dt.epoch("s").is_between(EARLIEST_S, LATEST_S)
    return frame.select(pl.when(sensible).then("time")).to_series()


def csv_layout(path: Path, first: bytes) -> tuple[list[str], str, bool]:
    """Names of the columns, the separator, and whether the first line is a header.

    Raises:
        InputError: The first line is neither a header of Kwollect nor a sample.
    """
    line = first.partition(b"\n")[0].decode("utf-8", "replace").strip()
    separator = "\t" if "\t" in line else ","
    fields = next(csv.reader([line], delimiter=separator))
    names = [OTHER_NAMES.get(name.strip(), name.strip()) for name in fields]
    if set(NEEDED) <= set(names):
        return names, separator, True
    if len(fields) in (len(NEEDED), len(FIELDS)) and utc(pl.Series(fields[:1]))[0] is not None:
        return list(FIELDS[: len(fields)]), separator, False
    raise InputError(
        f"this is neither JSON nor CSV of Kwollect: {line[:60]}",
        where=f"{path}:1",
        do=f"a CSV file starts with the header {','.join(FIELDS)}",
    )
