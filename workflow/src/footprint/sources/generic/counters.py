"""Power between the readings of an energy counter.

The energy between two moments is the difference of the counter, interpolated linearly between its
readings. That is the integral of a power that is constant from a reading at which the counter has
moved to the next such reading, which the method `counter` integrates exactly. So counters go
through the same stages as power, and the same energies are conserved.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

LONGEST_SPAN_S = 3600.0
"""Longest time between two moves of a counter over which its energy is used, in seconds.

The energy of a longer time is known as well, but when it was drawn is not: jobs of minutes would
get the mean power of hours. A choice of this project.
"""

FILL_PERIOD_S = 5
"""Distance of the readings that fill a longer time between two moves, in seconds."""

COUNTER_COLUMNS = ("node", "timestamp", "energy_j")
"""Columns of the readings of counters."""

MARGIN = timedelta(seconds=LONGEST_SPAN_S)
"""Time before and after a window in which readings decide about the power in it."""

RESET_REASON = "counter lower than before: the energy between the two readings is unknown"
"""Reason in `schemas.RejectedRows` for a reading after which a counter starts again."""


def counter_moves(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings of a counter at which it has moved, and its first one.

    A counter of coarse steps repeats its value; the energy of a step belongs to the whole time
    since the last one. Of several readings at one time, the highest is used.

    Args:
        readings: `timestamp`, `energy_j` (J) of one node, in any order, null where unknown.

    Returns:
        `timestamp`, `energy_j`, and `gain_j` and `since_s`, energy and time since the row before;
        null for the first row, and `gain_j` null at a reset.
    """
    value = pl.col("energy_j")
    is_value = value.is_not_null() & value.is_finite() & (value >= 0)
    return (
        readings.filter(is_value.fill_null(False))
        .group_by("timestamp")
        .agg(value.max())
        .sort("timestamp")
        .filter(value.ne_missing(value.shift()))
        .with_columns(
            gain_j=pl.when(value.diff() > 0).then(value.diff()),
            since_s=pl.col("timestamp").diff().dt.total_microseconds() / 1e6,
        )
    )


def power_of_counter(readings: pl.DataFrame, node: str) -> pl.DataFrame:
    """Power of a node from the readings of its counter, for the method `counter`.

    The power at a move of the counter is the mean until the next move. At the last move before a
    reset, or before a time longer than `LONGEST_SPAN_S`, it is the mean before, which counts for no
    energy where a gap follows. Longer times between moves are filled with readings of the same
    power, so that they are no gaps.

    Args:
        readings: `timestamp`, `energy_j` (J) of one node, in any order.
        node: Name of the node.

    Returns:
        `node`, `timestamp`, `power_w` (W), `from_summary` (true for a filled reading), sorted.
    """
    moves = counter_moves(readings)
    is_used = (pl.col("since_s") <= LONGEST_SPAN_S) & pl.col("gain_j").is_not_null()
    mean_w = pl.when(is_used).then(pl.col("gain_j") / pl.col("since_s"))
    powers = moves.with_columns(before_w=mean_w, next_w=mean_w.shift(-1)).with_columns(
        until=pl.when(pl.col("next_w").is_not_null()).then(pl.col("timestamp").shift(-1)),
        power_w=pl.coalesce("next_w", "before_w"),
    )
    powers = powers.filter(pl.col("power_w").is_not_null())
    lasts_s = (pl.col("until") - pl.col("timestamp")).dt.total_microseconds() / 1e6
    n_filled = ((lasts_s / FILL_PERIOD_S).ceil() - 1).clip(0).fill_null(0).cast(pl.Int64)
    steps = pl.int_ranges(0, n_filled + 1)
    offset = pl.duration(seconds=pl.col("step") * FILL_PERIOD_S)
    return (
        powers.with_columns(step=steps)
        .explode("step")
        .select(
            pl.lit(node).alias("node"),
            pl.col("timestamp") + offset,
            "power_w",
            from_summary=pl.col("step") > 0,
        )
    )
