"""Kwollect's means over 5 minutes (`summary=true`), expanded to readings.

The time of a mean is the start of its bucket. Its value is the mean of the readings in the 5
minutes that follow (Kwollect, `time_bucket('5 minute')`). Kwollect groups means by labels: where
those changed within a bucket, it has several means, each of a part of the bucket.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

BUCKET_S, READING_PERIOD_S = 300, 5
"""Length of a bucket, and time between the readings that replace its mean, in seconds."""


def expand_means(
    means: pl.DataFrame, *, start: datetime, end: datetime, value: str
) -> pl.DataFrame:
    """Readings every 5 s in [start, end), each equal to the mean of its bucket.

    Args:
        means: `timestamp` (start of the bucket), the column `value`, and any other columns, which
            are repeated. Means that are null or NaN are left out.
        start: Start of the window.
        end: End of the window, excluded.
        value: Name of the column of values.

    Returns:
        Columns of `means`, and `from_summary`, true.
    """
    begun = start - timedelta(seconds=BUCKET_S)
    overlaps = pl.col("timestamp").is_between(begun, end, closed="none")
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    offsets = pl.duration(seconds=pl.int_range(0, BUCKET_S, READING_PERIOD_S)).implode()
    return (
        means.filter(overlaps & pl.col(value).is_not_null() & pl.col(value).is_not_nan())
        .with_columns(offset=offsets)
        .explode("offset")
        .with_columns(timestamp=pl.col("timestamp") + pl.col("offset"), from_summary=pl.lit(True))
        .filter(inside)
        .drop("offset")
    )


def replace_means(readings: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Readings of one series, with means over 5 minutes replaced by readings every 5 s.

    A reading is taken for a mean by three conditions. Its time is a multiple of 5 minutes to the
    microsecond. No other reading of the series is less than 5 minutes away. The one before or after
    it is exactly a multiple of 5 minutes away. Means that are null or NaN stay, so that they are
    counted.

    Args:
        readings: `timestamp`, `power_w` of one series in any order, and any other columns.
        start: Start of the window.
        end: End of the window, excluded.

    Returns:
        Columns of `readings`, and `from_summary` where there are means.
    """
    bucket_us = BUCKET_S * 1_000_000
    time_us = pl.col("timestamp").dt.epoch("us")
    is_on_grid = time_us % bucket_us == 0
    if not readings.select(is_on_grid.any()).item():
        return readings
    before, after = time_us.diff(), time_us.diff(-1).neg()
    is_alone = (before.fill_null(bucket_us) >= bucket_us) & (
        after.fill_null(bucket_us) >= bucket_us
    )
    is_regular = ((before % bucket_us == 0) | (after % bucket_us == 0)).fill_null(False)
    has_value = (pl.col("power_w").is_not_null() & pl.col("power_w").is_not_nan()).fill_null(False)
    # several rows at one time, as NaN with another label, belong to one bucket
    times = readings.select(pl.col("timestamp").unique().sort()).with_columns(
        is_mean=is_on_grid & is_alone & is_regular
    )
    marked = readings.join(times, on="timestamp", how="left", maintain_order="left")
    means = marked.filter(pl.col("is_mean") & has_value).drop("is_mean")
    if means.is_empty():
        return readings
    others = marked.filter(~(pl.col("is_mean") & has_value)).drop("is_mean")
    return pl.concat(
        [
            others.with_columns(from_summary=pl.lit(False)),
            expand_means(means, start=start, end=end, value="power_w"),
        ]
    )


def reject_differing_means(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings of one node in which different means of one bucket are rejected.

    None of them is the mean of the bucket, and how many readings each stands for is unknown.

    Args:
        readings: `timestamp`, `power_w` of one node, and any other columns. With `from_summary`,
            true where a reading was expanded from a mean.

    Returns:
        The readings; `reason` is `n_duplicate` for readings from such means.
    """
    if "from_summary" not in readings.columns:
        return readings
    known = pl.col("reason") if "reason" in readings.columns else pl.lit(None, dtype=pl.String)
    is_mean = pl.col("from_summary") & known.is_null()
    times = (
        readings.filter(is_mean)
        .group_by("timestamp")
        .agg(n=pl.col("power_w").n_unique())
        .filter(pl.col("n") > 1)["timestamp"]
    )
    if times.is_empty():
        return readings
    differs = is_mean & pl.col("timestamp").is_in(times.implode())
    return readings.with_columns(
        reason=pl.when(differs).then(pl.lit("n_duplicate")).otherwise(known)
    )
