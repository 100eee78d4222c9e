"""Cleaning: readings of a node -> samples, rejected readings by day, and failures of its sensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.core.calendar import Window
from footprint.core.gaps import is_gap
from footprint.core.sums import exact_sum
from footprint.schemas.energy import SensorSpells
from footprint.schemas.writing import conform
from footprint.sources import stuck_spells
from footprint.sources.calibration import Calibration
from footprint.sources.held_time import HeldTime

_REASONS = ("n_nan", "n_not_positive", "n_spike", "n_drop_out", "n_merged", "n_incomplete")
"""Counts of readings that are rejected one by one."""

REJECTION_COUNTS = (*_REASONS, "n_stuck")
"""Counts of rejected readings in `schemas.Quality`, without duplicates."""

DROP_OUT_KIND, STUCK_KIND = "drop_out", "stuck"
"""Kinds of spells in `schemas.SensorSpells`."""

MIN_PEAK_FRAC = 0.1
"""Lowest power of a node that a job holds, as a fraction of the node's peak: servers and
single-board computers idle at a seventh of their peak or more."""

PEAK_QUANTILE = 0.99
"""Quantile of a node's readings in the month that is taken for its peak power."""

MIN_ALLOCATED_POWER_W = 2.0
"""Lowest power of a node that a job holds, whatever its peak, in W: single-board computers idle at
3 W or more."""

_SPELL_GAP_S = 900.0
"""Drop-outs farther apart than this are in two spells."""


@dataclass(frozen=True)
class CleaningSettings:
    """Settings of the cleaning of a cluster's readings.

    Attributes:
        max_gap_s: Longest time between samples that is not a gap, in seconds.
        off_threshold_w: Lowest power of a node that a job holds, in W; less for a node with a low
            peak.
        calibration: Line from readings to power. Limits apply to power, and samples stay readings.
    """

    max_gap_s: float
    off_threshold_w: float = 0.0
    calibration: Calibration | None = None


class CleanedNode(NamedTuple):
    """Samples of a node, counts of its readings, and failures of its sensor.

    Attributes:
        samples: `schemas.Power`, in the window and its margins.
        quality: `schemas.Quality` of the readings in the window alone.
        spells: `schemas.SensorSpells` in the window alone.
    """

    samples: pl.DataFrame
    quality: pl.DataFrame
    spells: pl.DataFrame


def clean_readings(
    raw: pl.DataFrame,
    *,
    max_plausible_power_w: float,
    window: Window,
    settings: CleaningSettings,
    held: HeldTime | None = None,
    read_gpu_power: Callable[[], pl.DataFrame] | None = None,
) -> CleanedNode:
    """Reject readings of one node, and count its readings by day.

    Rejected are readings that are NaN or null, that are not positive, that are above
    `max_plausible_power_w`, or that are lower than a node held by a job can draw
    (`_min_power_w`). Of several readings at one time, all but the lowest are duplicates. Of the
    readings left, those of a stuck sensor are rejected (`stuck_spells.find_stuck_spells`), from
    the second of a spell to its last: the first may be right. The order and repetition of rows do
    not change the samples.

    Args:
        raw: `node`, `timestamp`, `power_w` (W) of one node, in any order, with a margin of
            `settings.max_gap_s` on both sides of the window. Optional are `from_summary`, true
            where a reading was expanded from a mean (`kwollect.means`), and `reason`, the count of
            a reading that is rejected already (`series.merge_series`).
        max_plausible_power_w: Power above it is a spike, in W.
        window: Window in which readings are counted.
        settings: Gaps, lowest power and calibration.
        held: Intervals in which jobs held the node; None: never.
        read_gpu_power: Reads `gpu`, `timestamp`, `power_w` (W) of the node's GPUs in the window, as
            evidence of stuck sensors; None: unknown.
    """
    line = settings.calibration or Calibration()
    held = held or HeldTime()
    ordered = raw.sort("timestamp", "power_w", nulls_last=True)
    power = pl.col("power_w")
    known_reason = pl.col("reason") if "reason" in raw.columns else pl.lit(None, dtype=pl.String)
    judged = ordered.with_columns(
        reason=pl.when(known_reason.is_not_null())
        .then(known_reason)
        .when(power.is_null() | power.is_nan())
        .then(pl.lit("n_nan"))
        .when(power <= 0)
        .then(pl.lit("n_not_positive"))
        .when(line.slope * power + line.offset > max_plausible_power_w)
        .then(pl.lit("n_spike"))
        .when(_is_drop_out(ordered, settings.off_threshold_w, max_plausible_power_w, held, line))
        .then(pl.lit("n_drop_out"))
    )
    valid = judged.filter(pl.col("reason").is_null()).select("node", "timestamp", "power_w")
    distinct = valid.filter(pl.col("timestamp").ne_missing(pl.col("timestamp").shift()))
    rows = stuck_spells.find_stuck_spells(
        distinct["timestamp"].to_numpy().view(np.int64),
        distinct["power_w"].to_numpy()
        if settings.calibration is None
        else line.to_power(distinct["power_w"].to_numpy()),
        held=held,
        off_threshold_w=settings.off_threshold_w,
        read_gpu_power=read_gpu_power,
    )
    inside = pl.col("timestamp").is_between(pl.lit(window.start), pl.lit(window.end), closed="left")
    stuck = [distinct[low + 1 : high + 1].filter(inside) for low, high in rows]
    samples = _without_rows(distinct, rows)
    spells = pl.concat(
        [
            _drop_out_spells(judged.filter(inside & (pl.col("reason") == "n_drop_out"))),
            *(_spell(each, STUCK_KIND) for each in stuck),
        ]
    )
    since_last_us = pl.col("timestamp").diff().dt.total_microseconds()
    counts = _daily_quality(
        judged.filter(inside),
        samples.filter(inside),
        n_gaps=samples.filter(is_gap(since_last_us, settings.max_gap_s)).filter(inside),
        n_stuck=pl.concat([distinct.clear(), *stuck]),
    )
    return CleanedNode(samples, counts, spells)


def _without_rows(samples: pl.DataFrame, spells: list[tuple[int, int]]) -> pl.DataFrame:
    """Samples without those after the first of each spell (first and last row)."""
    if not spells:
        return samples
    is_kept = np.ones(len(samples), dtype=bool)
    for low, high in spells:
        is_kept[low + 1 : high + 1] = False
    return samples.filter(pl.Series(is_kept))


def _is_drop_out(
    ordered: pl.DataFrame,
    off_threshold_w: float,
    max_plausible_power_w: float,
    held: HeldTime,
    line: Calibration,
) -> pl.Expr:
    """Whether each reading is lower than a node held by a job can draw."""
    readings_w = ordered["power_w"]
    power_w = readings_w * line.slope + line.offset
    is_positive = (readings_w > 0) & readings_w.is_not_nan()
    low = (is_positive & (power_w < off_threshold_w)).arg_true()
    is_held = held.is_held(ordered["timestamp"].gather(low).to_numpy().view(np.int64))
    if not is_held.any():
        return pl.lit(False)
    usable_w = power_w.filter(is_positive & (power_w <= max_plausible_power_w))
    is_drop_out = np.zeros(len(ordered), dtype=bool)
    is_drop_out[low] = is_held & (power_w[low] < _min_power_w(usable_w, off_threshold_w)).to_numpy()
    return pl.lit(pl.Series(is_drop_out))


def _min_power_w(power_w: pl.Series, off_threshold_w: float) -> float:
    """Lowest power of a node that a job holds, in W.

    It is `off_threshold_w`, or `MIN_PEAK_FRAC` times the node's peak where that is lower, and
    `MIN_ALLOCATED_POWER_W` at least. So a single-board computer that draws 18 W under its job
    keeps its readings, and a sensor that reports 0.2 W all month does not.
    """
    peak_w = power_w.quantile(PEAK_QUANTILE, "nearest") or 0.0
    return min(off_threshold_w, max(MIN_ALLOCATED_POWER_W, MIN_PEAK_FRAC * peak_w))


def _drop_out_spells(readings: pl.DataFrame) -> pl.DataFrame:
    """Spells of drop-outs (`schemas.SensorSpells`)."""
    if readings.is_empty():
        return pl.DataFrame(SensorSpells.create_empty())
    is_new = pl.col("timestamp").diff().dt.total_seconds() > _SPELL_GAP_S
    numbered = readings.with_columns(spell=is_new.fill_null(False).cum_sum())
    return pl.concat(
        _spell(spell, DROP_OUT_KIND)
        for spell in numbered.partition_by("spell", maintain_order=True)
    )


def _spell(readings: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Row of `schemas.SensorSpells` for the readings of a spell; no row without readings."""
    row = readings.group_by("node").agg(
        pl.lit(kind).alias("kind"),
        started_at=pl.col("timestamp").min(),
        stopped_at=pl.col("timestamp").max(),
        n_readings=pl.len().cast(pl.Int64),
    )
    found: pl.DataFrame = conform(SensorSpells, row)
    return found


def _daily_quality(
    judged: pl.DataFrame, samples: pl.DataFrame, **others: pl.DataFrame
) -> pl.DataFrame:
    """Counts of a node's readings in the window by day (`schemas.Quality`).

    Args:
        judged: All readings, with the `reason` of those rejected one by one, else null.
        samples: Samples.
        others: Readings of other counts, by the name of the count.
    """
    day = pl.col("timestamp").dt.date().alias("day")
    n_summary = exact_sum(pl.col("from_summary")) if "from_summary" in judged.columns else pl.lit(0)
    read = judged.group_by(day).agg(pl.col("node").first(), n_read=pl.len(), n_summary=n_summary)
    kept = samples.group_by(day).agg(n_kept=pl.len())
    # these counts are of few readings, and a pass over the whole month for each takes long
    rare = pl.concat(
        [
            judged.drop_nulls("reason").select(day, count="reason"),
            *(rows.select(day, count=pl.lit(name)) for name, rows in others.items()),
        ]
    )
    names = (*_REASONS, *others)
    counted = rare.group_by("day").agg(
        exact_sum(pl.col("count") == name).alias(name) for name in names
    )
    return (
        read.join(kept, on="day", how="left")
        .join(counted, on="day", how="left")
        .with_columns(pl.exclude("node", "day").fill_null(0).cast(pl.Int64))
        .with_columns(n_duplicate=pl.col("n_read") - pl.sum_horizontal("n_kept", *REJECTION_COUNTS))
        .sort("node", "day")
    )
