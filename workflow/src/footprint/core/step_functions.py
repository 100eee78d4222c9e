"""Sums of overlapping intervals as step functions of time."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import sum_or_zero


def sums_over_time(
    intervals: pl.LazyFrame, columns: Sequence[str], *, by: Sequence[str]
) -> pl.LazyFrame:
    """Sums of the values of all intervals that contain a moment, as step functions of time.

    The sums change at the bounds of the intervals alone. A sum of floats has the rounding errors of
    all values that were added and subtracted before.

    Args:
        intervals: `started_at`, `stopped_at` (excluded; null: the interval does not end), and the
            columns named in `columns` and `by`.
        columns: Columns with values.
        by: Columns of the key; each key has its own step function.

    Returns:
        The key, `started_at`, `stopped_at` and the sums: one row for each bound of the key's
        intervals, sorted by key and time. The last row of a key has no `stopped_at`.
    """
    starts = intervals.select(*by, pl.col(columns), at="started_at")
    stops = intervals.select(*by, -pl.col(columns), at="stopped_at").drop_nulls("at")
    return (
        pl.concat([starts, stops])
        .group_by(*by, "at")
        .agg(sum_or_zero(pl.col(columns)))
        .sort(*by, "at")
        .select(
            *by,
            pl.col("at").alias("started_at"),
            pl.col("at").shift(-1).over(by).alias("stopped_at"),
            pl.col(columns).cum_sum().over(by),
        )
    )
