"""A study's energy and node time by day, week or month."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from footprint.summation import known_sum, total
from footprint.units import H_PER_S

MOST_DAYS = 92
"""Of a study that is told by day; drawn as bars, more days than that are under 2 mm wide each."""
MOST_WEEKS = 157
"""Of a study that is told by week; a longer one is told by month."""

NAMES = {"1d": "day", "1w": "week", "1mo": "month"}


def period(start: datetime, end: datetime) -> str:
    """Length of a period of a study from `start` to `end`: `1d`, `1w` or `1mo`."""
    days = (end - start) / timedelta(days=1)
    if days <= MOST_DAYS:
        return "1d"
    return "1w" if days <= 7 * MOST_WEEKS else "1mo"


def by_period(node_energy: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Energy and node time by period and class.

    Args:
        node_energy: `tables.NodeEnergy`.
        start: First moment of the study.
        end: Moment at which it is over.

    Returns:
        `begins_at`, `ends_at` (of the part inside the study), `is_whole` (all of it is inside),
        `class`, `energy_kwh` (null for no_data), `node_h`, `measured_frac` (part of the period's
        node time with measurement), sorted by period and class. Weeks begin on Mondays.
    """
    step = period(start, end)
    moment = pl.col("day").cast(pl.Datetime("us", "UTC")).dt.truncate(step)
    following = pl.col("whole_from").dt.offset_by(step)
    known = pl.col("class") != "no_data"
    rows = node_energy.lazy().with_columns(moment.alias("whole_from"))
    measured = rows.group_by("whole_from").agg(
        (total(pl.col("duration_s").filter(known)) / total(pl.col("duration_s"))).alias(
            "measured_frac"
        )
    )
    first, last = (pl.lit(each, pl.Datetime("us", "UTC")) for each in (start, end))
    return (
        rows.group_by("whole_from", "class")
        .agg(
            known_sum(pl.col("energy_kwh")), (total(pl.col("duration_s")) * H_PER_S).alias("node_h")
        )
        .join(measured, on="whole_from")
        .select(
            pl.max_horizontal("whole_from", first).alias("begins_at"),
            pl.min_horizontal(following, last).alias("ends_at"),
            ((pl.col("whole_from") >= first) & (following <= last)).alias("is_whole"),
            "class",
            "energy_kwh",
            "node_h",
            "measured_frac",
        )
        .sort("begins_at", "class")
        .collect()
    )
