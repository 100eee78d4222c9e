"""Kwollect's means over 5 minutes (`summary=true`) where single readings are missing.

A bucket's time is its start; its value is the mean of the readings of the 5 minutes that follow
(Kwollect, `time_bucket('5 minute')`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

BUCKET_S, SAMPLE_S = 300, 5


def unfold(means: pl.DataFrame, *, start: datetime, end: datetime, value: str) -> pl.DataFrame:
    """Readings every 5 s in [start, end) in the place of means, each equal to its mean.

    Args:
        means: `timestamp` (starts of the buckets), the column `value`, and any others, which are
            repeated. Means that are null or NaN are left out.
        start: Start of the window.
        end: End of the window, excluded.
        value: Name of the column of values.

    Returns:
        The columns of `means`, and `from_summary`, which is true.
    """
    begun = start - timedelta(seconds=BUCKET_S)
    touches = pl.col("timestamp").is_between(begun, end, closed="none")
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    offsets = pl.duration(seconds=pl.int_range(0, BUCKET_S, SAMPLE_S)).implode()
    return (
        means.filter(touches & pl.col(value).is_not_null() & pl.col(value).is_not_nan())
        .with_columns(offset=offsets)
        .explode("offset")
        .with_columns(timestamp=pl.col("timestamp") + pl.col("offset"), from_summary=pl.lit(True))
        .filter(inside)
        .drop("offset")
    )


def stand_in(readings: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Readings of one series in which means over 5 minutes are replaced by what they stand for.

    A mean is recognised by its time, a multiple of 5 minutes to the microsecond, and by its
    neighbours: no other reading of the series is less than 5 minutes away, and one is at exactly a
    multiple of 5 minutes' distance. Means that are null or NaN stay, to be counted.

    Args:
        readings: `timestamp`, `power_w` of one series in any order, and any other columns.
        start: Start of the window.
        end: End of the window, excluded.

    Returns:
        The readings, with `from_summary` where there are means.
    """
    bucket_us = BUCKET_S * 1_000_000
    moment = pl.col("timestamp").dt.epoch("us")
    on_grid = moment % bucket_us == 0
    if not readings.select(on_grid.any()).item():
        return readings
    before, after = moment.diff(), moment.diff(-1).neg()
    alone = (before.fill_null(bucket_us) >= bucket_us) & (after.fill_null(bucket_us) >= bucket_us)
    regular = ((before % bucket_us == 0) | (after % bucket_us == 0)).fill_null(False)
    known = (pl.col("power_w").is_not_null() & pl.col("power_w").is_not_nan()).fill_null(False)
    # several rows at one time (NaN under a label of its own, repetitions) are one bucket
    times = readings.select(pl.col("timestamp").unique().sort()).with_columns(
        is_mean=on_grid & alone & regular
    )
    marked = readings.join(times, on="timestamp", how="left", maintain_order="left")
    means = marked.filter(pl.col("is_mean") & known).drop("is_mean")
    if means.is_empty():
        return readings
    others = marked.filter(~(pl.col("is_mean") & known)).drop("is_mean")
    return pl.concat(
        [
            others.with_columns(from_summary=pl.lit(False)),
            unfold(means, start=start, end=end, value="power_w"),
        ]
    )
