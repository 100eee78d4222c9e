"""Mean carbon intensity of French electricity over intervals.

`eco2mix` reads the intensities from files.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Integers
from footprint.energy.sample_intervals import held_integrals

MAX_HOLD_H = 2
"""Longest time in hours that a value holds; it holds until the next value or for this time.

Files have 96 times on every day: the hour that occurs twice in October is in them once.
"""

LAST_HOLD_H = 0.5
"""Time in hours that the last value of a file holds: its half hour."""

US_PER_H = 3_600_000_000


def mean_intensity(intervals: pl.DataFrame, intensity: pl.DataFrame) -> pl.DataFrame:
    """Mean carbon intensity over each interval, for a constant power.

    Args:
        intervals: `started_at`, `stopped_at` (UTC), and any other columns.
        intensity: Result of `eco2mix.read_intensity`.

    Returns:
        The rows of `intervals` with `known_frac`, the part of the interval in which the intensity
        is known, and `g_per_kwh`, the mean over this part (null: the part is 0).
    """
    if intensity.is_empty():
        has_time = pl.col("stopped_at") > pl.col("started_at")
        return intervals.with_columns(
            g_per_kwh=pl.lit(None, pl.Float64), known_frac=pl.when(has_time).then(pl.lit(0.0))
        )
    times_us = _epoch_us(intensity["timestamp"])
    steps_us = np.append(np.diff(times_us), round(LAST_HOLD_H * US_PER_H))
    held_us = np.minimum(steps_us, round(MAX_HOLD_H * US_PER_H))
    values = np.stack([np.ones(len(times_us)), intensity["g_per_kwh"].to_numpy()])
    begun, ended = (
        held_integrals(values, times_us, held_us, _epoch_us(intervals[bound]))
        for bound in ("started_at", "stopped_at")
    )
    known, weighted = (pl.lit(pl.Series(each)) for each in ended - begun)
    whole_us = (pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds()
    return intervals.with_columns(
        g_per_kwh=pl.when(whole_us.is_not_null() & (known > 0)).then(weighted / known),
        known_frac=pl.when(whole_us > 0).then((known / whole_us).clip(0.0, 1.0)),
    )


def _epoch_us(times: pl.Series) -> Integers:
    """Microseconds since 1970; 0 where the time is unknown."""
    found: Integers = times.dt.epoch("us").fill_null(0).to_numpy()
    return found
