"""From a node's raw readings to its samples, with an account of every reading set aside."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint.summation import exact_sum

# A node that works for an hour without the reading moving by one step is worth a look; on coarse
# sensors (36 W steps on a DGX-1) it happens, so such samples are flagged and kept.
STUCK_AFTER_S = 3600.0


def clean(
    raw: pl.DataFrame,
    *,
    max_plausible_power_w: float,
    max_gap_s: float,
    start: datetime,
    end: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Samples of one node, and what became of its readings day by day.

    Set aside are readings that are not numbers, not positive, or above `max_plausible_power_w`, and
    all but the lowest of several at the same time: the order and repetition of rows do not matter.

    Args:
        raw: `node`, `timestamp`, `power_w` of one node, in any order, with the margin of
            `max_gap_s` on both sides of the period; optionally `from_summary`, true where a mean
            over minutes stands in for readings.
        max_plausible_power_w: Readings above it are spikes.
        max_gap_s: Neighbours further apart than this are counted as a gap.
        start: Start of the period.
        end: End of the period, excluded.

    Returns:
        Samples (`tables.Power`), margins included, and the account (`tables.Quality`) of the
        readings inside [start, end) alone.
    """
    power = pl.col("power_w")
    judged = raw.sort("timestamp", "power_w", nulls_last=True).with_columns(
        reason=pl.when(power.is_null() | power.is_nan())
        .then(pl.lit("n_nan"))
        .when(power <= 0)
        .then(pl.lit("n_not_positive"))
        .when(power > max_plausible_power_w)
        .then(pl.lit("n_spike"))
    )
    valid = judged.filter(pl.col("reason").is_null())
    samples = valid.filter(
        (pl.col("timestamp") != pl.col("timestamp").shift()).fill_null(True)
    ).select("node", "timestamp", "power_w")
    account = quality(judged, samples, max_gap_s=max_gap_s, start=start, end=end)
    return samples, account


def quality(
    judged: pl.DataFrame, samples: pl.DataFrame, *, max_gap_s: float, start: datetime, end: datetime
) -> pl.DataFrame:
    """Counts of readings by day (`tables.Quality`): read, set aside by reason, kept, flagged."""
    inside = pl.col("timestamp").is_between(pl.lit(start), pl.lit(end), closed="left")
    day = pl.col("timestamp").dt.date().alias("day")
    since_last_s = pl.col("timestamp").diff().dt.total_microseconds() / 1e6
    moved = (pl.col("power_w").diff() != 0) | (since_last_s > max_gap_s)
    run = moved.fill_null(False).cum_sum()
    lasted_s = (pl.col("timestamp").max() - pl.col("timestamp").min()).dt.total_microseconds() / 1e6
    stuck = samples.select("timestamp", run=run).with_columns(
        stuck=lasted_s.over("run") >= STUCK_AFTER_S, gap=since_last_s > max_gap_s
    )
    reasons = ("n_nan", "n_not_positive", "n_spike")
    from_summary = "from_summary" if "from_summary" in judged.columns else pl.lit(False)
    read = (
        judged.filter(inside)
        .with_columns(from_summary=from_summary)
        .group_by("node", day)
        .agg(
            pl.len().alias("n_read"),
            exact_sum(pl.col("from_summary")).alias("n_summary"),
            *(exact_sum(pl.col("reason") == reason).alias(reason) for reason in reasons),
        )
    )
    kept = (
        stuck.filter(inside)
        .group_by(day)
        .agg(
            n_kept=pl.len(),
            n_stuck=exact_sum(pl.col("stuck")),
            n_gaps=exact_sum(pl.col("gap")),
        )
    )
    counts = read.join(kept, on="day", how="left").with_columns(
        pl.col("n_kept", "n_stuck", "n_gaps").fill_null(0)
    )
    return (
        counts.with_columns(pl.exclude("node", "day").cast(pl.Int64))
        .with_columns(
            n_duplicate=pl.col("n_read")
            - pl.sum_horizontal("n_kept", "n_nan", "n_not_positive", "n_spike")
        )
        .sort("node", "day")
    )
