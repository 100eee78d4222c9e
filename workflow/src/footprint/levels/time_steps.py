"""Energy and node time of a study by day, week or month."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.totals.known_total import known_total

MAX_DAILY_DAYS = 92
"""Longest study, in days, that is shown by day; bars of more days are under 2 mm wide each."""
MAX_WEEKLY_WEEKS = 157
"""Longest study, in weeks, that is shown by week; a longer one is shown by month."""

CALENDAR_STEP_NAMES = {"1d": "day", "1w": "week", "1mo": "month"}
"""Names of the calendar steps, by their duration in Polars' notation."""


def calendar_step(start: datetime, end: datetime) -> str:
    """Calendar step to show a study from `start` to `end` by: `1d`, `1w` or `1mo`."""
    days = (end - start) / timedelta(days=1)
    if days <= MAX_DAILY_DAYS:
        return "1d"
    return "1w" if days <= 7 * MAX_WEEKLY_WEEKS else "1mo"


def energy_by_calendar_step(
    node_energy: pl.DataFrame, *, start: datetime, end: datetime
) -> pl.DataFrame:
    """Energy and node time by calendar step and class.

    Args:
        node_energy: `schemas.NodeEnergy`.
        start: Start of the study.
        end: End of the study, excluded.

    Returns:
        `begins_at`, `ends_at` (of the part of the step inside the study), `is_whole` (the whole
        step is inside), `class`, `measured_kwh` (null for no_data), `total_kwh` (with the estimate;
        null where neither is known), `node_h`, `measured_frac` (part of the step's node time with
        readings), sorted by step and class. Weeks begin on Mondays.
    """
    step = calendar_step(start, end)
    step_start = pl.col("day").cast(pl.Datetime("us", "UTC")).dt.truncate(step)
    step_end = pl.col("whole_from").dt.offset_by(step)
    is_measured = pl.col("class") != "no_data"
    rows = node_energy.lazy().with_columns(step_start.alias("whole_from"))
    measured = rows.group_by("whole_from").agg(
        (
            sum_or_zero(pl.col("duration_s").filter(is_measured))
            / sum_or_zero(pl.col("duration_s"))
        ).alias("measured_frac")
    )
    study_start, study_end = (pl.lit(each, pl.Datetime("us", "UTC")) for each in (start, end))
    return (
        rows.group_by("whole_from", "class")
        .agg(
            known_sum(pl.col("measured_kwh")),
            total_kwh=known_sum(known_total()),
            node_h=(sum_or_zero(pl.col("duration_s")) * H_PER_S),
        )
        .join(measured, on="whole_from")
        .select(
            pl.max_horizontal("whole_from", study_start).alias("begins_at"),
            pl.min_horizontal(step_end, study_end).alias("ends_at"),
            ((pl.col("whole_from") >= study_start) & (step_end <= study_end)).alias("is_whole"),
            "class",
            "measured_kwh",
            "total_kwh",
            "node_h",
            "measured_frac",
        )
        .sort("begins_at", "class")
        .collect()
    )
