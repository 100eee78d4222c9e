"""From a node's raw readings to its samples, with an account of every reading set aside."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint import stuck, tables
from footprint.held_time import HeldTime
from footprint.integration import Calibration
from footprint.summation import exact_sum

REASONS = ("n_nan", "n_not_positive", "n_spike", "n_drop_out", "n_merged", "n_incomplete")
"""Counts of `tables.Quality` for readings set aside, but for duplicates."""

DROP_OUT, STUCK = "drop_out", "stuck"

LEAST_OF_PEAK = 0.1
"""A node that holds a job draws this part of its peak power at least: servers and single-board
computers rest at a seventh of it or more."""

PEAK_QUANTILE = 0.99
"""The peak power of a node is this quantile of its readings in the month."""

SURELY_OFF_W = 2.0
"""No node that holds a job draws less than this, whatever its peak: single-board computers rest at
3 W or more."""

# Readings of a node that are judged again later than this are another spell.
_SPELL_GAP_S = 900.0


class Cleaned(NamedTuple):
    """Samples of a node, what became of its readings, and where its sensor failed.

    Attributes:
        samples: `tables.Power`, margins included.
        account: `tables.Quality` of the readings inside the period alone.
        spells: `tables.SensorSpells`, margins left out.
    """

    samples: pl.DataFrame
    account: pl.DataFrame
    spells: pl.DataFrame


def clean(
    raw: pl.DataFrame,
    *,
    max_plausible_power_w: float,
    max_gap_s: float,
    start: datetime,
    end: datetime,
    off_threshold_w: float = 0.0,
    held: HeldTime | None = None,
    calibration: Calibration | None = None,
) -> Cleaned:
    """Samples of one node, and what became of its readings day by day.

    Set aside are readings that are not numbers, not positive, above `max_plausible_power_w`, or
    lower than the node can draw while a job held it (`_least_w`), and all but the lowest of several
    at the same time: the order and repetition of rows do not matter.

    Args:
        raw: `node`, `timestamp`, `power_w` of one node, in any order, with the margin of
            `max_gap_s` on both sides of the period; optionally `from_summary`, true where a mean
            over minutes stands in for readings, and `reason`, the count under which a reading is
            set aside already (`series.one_a_node`).
        max_plausible_power_w: Readings above it are spikes.
        max_gap_s: Neighbours further apart than this are counted as a gap.
        start: Start of the period.
        end: End of the period, excluded.
        off_threshold_w: A node that holds a job draws more than this, unless its peak is low.
        held: When jobs held the node; None: never.
        calibration: What makes power of readings; limits are those of power. Samples stay readings.
    """
    line = calibration or Calibration()
    held = held or HeldTime()
    ordered = raw.sort("timestamp", "power_w", nulls_last=True)
    power = pl.col("power_w")
    given = pl.col("reason") if "reason" in raw.columns else pl.lit(None, dtype=pl.String)
    judged = ordered.with_columns(
        reason=pl.when(given.is_not_null())
        .then(given)
        .when(power.is_null() | power.is_nan())
        .then(pl.lit("n_nan"))
        .when(power <= 0)
        .then(pl.lit("n_not_positive"))
        .when(line.slope * power + line.offset > max_plausible_power_w)
        .then(pl.lit("n_spike"))
        .when(_dropped_out(ordered, off_threshold_w, max_plausible_power_w, held, line))
        .then(pl.lit("n_drop_out"))
    )
    valid = judged.filter(pl.col("reason").is_null())
    samples = valid.filter(
        (pl.col("timestamp") != pl.col("timestamp").shift()).fill_null(True)
    ).select("node", "timestamp", "power_w")
    rows = stuck.find(
        samples["timestamp"].to_numpy().view(np.int64),
        samples["power_w"].to_numpy()
        if calibration is None
        else line.of(samples["power_w"].to_numpy()),
        held=held,
        off_threshold_w=off_threshold_w,
    )
    inside = pl.col("timestamp").is_between(pl.lit(start), pl.lit(end), closed="left")
    spells = pl.concat(
        [
            _drop_out_spells(judged.filter(inside & (pl.col("reason") == "n_drop_out"))),
            *(_spell(samples[low : high + 1].filter(inside), STUCK) for low, high in rows),
        ]
    )
    is_stuck = np.zeros(len(samples), dtype=bool)
    for low, high in rows:
        is_stuck[low : high + 1] = True
    account = quality(
        judged,
        samples.with_columns(stuck=pl.lit(pl.Series(is_stuck))),
        max_gap_s=max_gap_s,
        start=start,
        end=end,
    )
    return Cleaned(samples, account, spells)


def _dropped_out(
    ordered: pl.DataFrame,
    off_threshold_w: float,
    max_plausible_power_w: float,
    held: HeldTime,
    line: Calibration,
) -> pl.Expr:
    """Whether each reading is lower than a node that holds a job can draw."""
    power_w = ordered["power_w"] * line.slope + line.offset
    low = (power_w < off_threshold_w).fill_null(False)
    if not low.any() or not len(held.starts_us):
        return pl.lit(False)
    positive = (ordered["power_w"] > 0) & ordered["power_w"].is_not_nan()
    usable_w = power_w.filter(positive & (power_w <= max_plausible_power_w))
    low &= power_w < _least_w(usable_w, off_threshold_w)
    at_work = held.is_held(ordered["timestamp"].to_numpy().view(np.int64))
    return pl.lit(low & pl.Series(at_work))


def _least_w(power_w: pl.Series, off_threshold_w: float) -> float:
    """Power that a node which holds a job draws at least: the threshold, or less for a low peak.

    A tenth (`LEAST_OF_PEAK`) of its peak, but `SURELY_OFF_W` at least: so a board of 18 W under its
    job keeps its readings, and one whose sensor shows 0.2 W all month does not.
    """
    peak_w = power_w.quantile(PEAK_QUANTILE, "nearest") or 0.0
    return min(off_threshold_w, max(SURELY_OFF_W, LEAST_OF_PEAK * peak_w))


def _drop_out_spells(readings: pl.DataFrame) -> pl.DataFrame:
    """Spells of readings that dropped out."""
    if readings.is_empty():
        return pl.DataFrame(tables.SensorSpells.create_empty())
    apart = pl.col("timestamp").diff().dt.total_seconds() > _SPELL_GAP_S
    numbered = readings.with_columns(spell=apart.fill_null(False).cum_sum())
    return pl.concat(
        _spell(each, DROP_OUT) for each in numbered.partition_by("spell", maintain_order=True)
    )


def _spell(readings: pl.DataFrame, kind: str) -> pl.DataFrame:
    """A row of `tables.SensorSpells` from its readings; none without readings."""
    row = readings.group_by("node").agg(
        pl.lit(kind).alias("kind"),
        started_at=pl.col("timestamp").min(),
        stopped_at=pl.col("timestamp").max(),
        n_readings=pl.len().cast(pl.Int64),
    )
    found: pl.DataFrame = tables.conform(tables.SensorSpells, row)
    return found


def quality(
    judged: pl.DataFrame, samples: pl.DataFrame, *, max_gap_s: float, start: datetime, end: datetime
) -> pl.DataFrame:
    """Counts of readings by day (`tables.Quality`): read, set aside by reason, kept, flagged.

    Args:
        judged: All readings with the `reason` why one is set aside, or null.
        samples: `timestamp`, `power_w` and whether each is `stuck`.
        max_gap_s: Neighbours further apart than this are counted as a gap.
        start: Start of the period.
        end: End of the period, excluded.
    """
    inside = pl.col("timestamp").is_between(pl.lit(start), pl.lit(end), closed="left")
    day = pl.col("timestamp").dt.date().alias("day")
    since_last_s = pl.col("timestamp").diff().dt.total_microseconds() / 1e6
    from_summary = "from_summary" if "from_summary" in judged.columns else pl.lit(False)
    read = (
        judged.filter(inside)
        .with_columns(from_summary=from_summary)
        .group_by("node", day)
        .agg(
            pl.len().alias("n_read"),
            exact_sum(pl.col("from_summary")).alias("n_summary"),
            *(exact_sum(pl.col("reason") == reason).alias(reason) for reason in REASONS),
        )
    )
    kept = (
        samples.with_columns(gap=since_last_s > max_gap_s)
        .filter(inside)
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
        .with_columns(n_duplicate=pl.col("n_read") - pl.sum_horizontal("n_kept", *REASONS))
        .sort("node", "day")
    )
