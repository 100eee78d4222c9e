"""Cleaning: rejected readings, stuck sensors, and that every reading is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.calendar import Window
from footprint.schemas.energy import Quality
from footprint.schemas.writing import conform
from footprint.sources.calibration import Calibration
from footprint.sources.cleaning import CleaningSettings, clean_readings
from footprint.sources.held_time import HeldTime

START = datetime(2025, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)
REJECTED_COUNTS = ("n_duplicate", "n_nan", "n_not_positive", "n_spike", "n_drop_out", "n_stuck")
COUNTS = ("n_kept", *REJECTED_COUNTS, "n_gaps")


def raw_readings(readings: list[tuple[float, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "node": ["c-1"] * len(readings),
            "timestamp": [START + timedelta(seconds=second) for second, _ in readings],
            "power_w": [value for _, value in readings],
        },
        schema={"node": pl.String, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
    )


def cleaned_without_jobs(
    readings: list[tuple[float, float | None]],
) -> tuple[pl.DataFrame, dict[str, Any]]:
    kept, counts, _ = clean_readings(
        raw_readings(readings),
        max_plausible_power_w=5000,
        window=Window(START, END),
        settings=CleaningSettings(30),
    )
    conform(Quality, counts)
    return kept, counts.row(0, named=True) if len(counts) else {}


def test_clean_counts_each_defect_under_its_own_reason() -> None:
    kept, counts = cleaned_without_jobs(
        [
            (0, 100),
            (5, None),
            (10, float("nan")),
            (15, 0),
            (20, -4),
            (25, 65535),
            (30, 110),
            (30, 110),
        ]
    )
    assert kept["power_w"].to_list() == [100, 110]
    assert counts["n_read"] == 8
    assert [counts[name] for name in COUNTS] == [2, 1, 2, 2, 1, 0, 0, 0]
    assert counts["day"] == date(2025, 3, 1)


def test_clean_counts_readings_expanded_from_means() -> None:
    readings = [(float(second), 100.0) for second in range(0, 20, 5)]
    limits: dict[str, Any] = {"max_plausible_power_w": 5000, "window": Window(START, END)}
    limits["settings"] = CleaningSettings(30)
    _, plain, _ = clean_readings(raw_readings(readings), **limits)
    _, means, _ = clean_readings(
        raw_readings(readings).with_columns(from_summary=pl.lit(True)), **limits
    )
    assert plain["n_summary"].to_list() == [0]
    assert means["n_summary"].to_list() == means["n_kept"].to_list() == [4]


def test_clean_keeps_the_lowest_of_several_readings_at_one_time() -> None:
    kept, counts = cleaned_without_jobs([(0, 120), (0, 100), (0, 110)])
    assert kept["power_w"].to_list() == [100]
    assert counts["n_duplicate"] == 2


def test_clean_counts_gaps_between_samples() -> None:
    _, counts = cleaned_without_jobs([(0, 100), (30, 100), (60, None), (61, 100), (100, 100)])
    assert counts["n_gaps"] == 2


def test_clean_keeps_readings_in_the_margins_without_counting_them() -> None:
    kept, counts = cleaned_without_jobs([(-10, 100), (0, 100), (86_399, 100), (86_400, 100)])
    assert len(kept) == 4
    assert counts["n_read"] == counts["n_kept"] == 2


def test_clean_counts_a_day_without_a_valid_reading() -> None:
    kept, counts = cleaned_without_jobs([(0, None), (5, 0)])
    assert kept.is_empty()
    assert counts["n_read"] == 2
    assert counts["n_kept"] == 0


READINGS = st.lists(
    st.tuples(
        st.integers(-40, 200),
        st.sampled_from([None, float("nan"), -1.0, 0.0, 1.0, 100.0, 4999.0, 5000.5]),
    ),
    min_size=1,
    max_size=60,
)


@given(READINGS, st.randoms(use_true_random=False), st.integers(1, 3))
@settings(max_examples=60)
def test_clean_ignores_order_and_repetition_of_rows(
    readings: list[tuple[float, float | None]], random: Any, times: int
) -> None:
    shuffled = readings * times
    random.shuffle(shuffled)
    once, counts = cleaned_without_jobs(readings)
    again, recount = cleaned_without_jobs(shuffled)
    assert_frame_equal(once, again)
    for name in ("n_kept", "n_stuck", "n_gaps"):
        assert counts.get(name) == recount.get(name)


@given(READINGS)
@settings(max_examples=60)
def test_clean_counts_every_reading_once(readings: list[tuple[float, float | None]]) -> None:
    _, counts = cleaned_without_jobs(readings)
    assert counts.get("n_read", 0) == sum(0 <= second < 86_400 for second, _ in readings)
    assert counts.get("n_read", 0) == sum(counts.get(name, 0) for name in COUNTS[:-1])


def held_from(start: float, stop: float) -> HeldTime:
    origin_us = int(START.timestamp()) * 1_000_000
    starts, stops = (np.array([origin_us + round(each * 1e6)]) for each in (start, stop))
    return HeldTime(starts, stops)


def cleaned_with_jobs(
    readings: list[tuple[float, float | None]],
    held: HeldTime | None,
    calibration: Calibration | None = None,
) -> tuple[dict[float, float], dict[str, Any], list[tuple[Any, ...]]]:
    kept, counts, spells = clean_readings(
        raw_readings(readings),
        max_plausible_power_w=5000,
        window=Window(START, END),
        settings=CleaningSettings(30, 20, calibration),
        held=held,
    )
    conform(Quality, counts)
    power = {
        (time - START).total_seconds(): value
        for time, value in kept.select("timestamp", "power_w").iter_rows()
    }
    return power, counts.row(0, named=True), spells.rows()


def test_clean_rejects_low_readings_under_a_job_and_keeps_them_elsewhere() -> None:
    readings: list[tuple[float, float | None]] = [
        *((second, 9.0) for second in (0, 5)),
        *((10, 250.0), (15, 0.2), (20, 19.9), (25, 20.0), (30, 9.0)),
        *((second, 9.0) for second in (35, 40)),
    ]
    power, counts, spells = cleaned_with_jobs(readings, held_from(10, 35))
    assert power == {0: 9, 5: 9, 10: 250, 25: 20, 35: 9, 40: 9}
    assert counts["n_drop_out"] == 3
    assert counts["n_read"] == counts["n_kept"] + 3
    first, last = START + timedelta(seconds=15), START + timedelta(seconds=30)
    assert spells == [("c-1", "drop_out", first, last, 3)]
    power, counts, spells = cleaned_with_jobs(readings, None)
    assert len(power) == 9
    assert counts["n_drop_out"] == 0
    assert spells == []


def test_clean_keeps_low_readings_of_an_unavailable_node() -> None:
    held, state = held_from(0, 100), held_from(50, 80)
    both = HeldTime(held.starts_us, held.stops_us, state.starts_us, state.stops_us)
    power, counts, _ = cleaned_with_jobs([(45, 0.9), (55, 0.9), (85, 0.9)], both)
    assert list(power) == [55]
    assert counts["n_drop_out"] == 2


def test_clean_keeps_low_readings_of_a_node_with_a_low_peak() -> None:
    # 9 W idle and 18 W under its job; below 2 W a node is off, whatever its peak
    power, counts, _ = cleaned_with_jobs(
        [(0, 9.0), (10, 18.0), (15, 9.0), (20, 1.9)], held_from(10, 30)
    )
    assert power == {0: 9, 10: 18, 15: 9}
    assert counts["n_drop_out"] == 1
    # the limit is a tenth of 60 W
    power, _, _ = cleaned_with_jobs([(10, 60.0), (15, 6.0), (20, 5.9)], held_from(10, 30))
    assert power == {10: 60, 15: 6}
    power, counts, _ = cleaned_with_jobs([(10, 0.2), (15, 0.2)], held_from(10, 30))
    assert power == {}
    assert counts["n_drop_out"] == 2


def test_clean_applies_limits_to_calibrated_power() -> None:
    kilowatts = Calibration(slope=1000, offset=-5)
    # 495 W, 19 W, 20 W and 5015 W
    readings: list[tuple[float, float | None]] = [(0, 0.5), (5, 0.024), (10, 0.025), (15, 5.02)]
    power, counts, _ = cleaned_with_jobs(readings, held_from(0, 30), kilowatts)
    assert power == {0: 0.5, 10: 0.025}
    assert (counts["n_drop_out"], counts["n_spike"]) == (1, 1)


def test_clean_lists_drop_outs_far_apart_as_several_spells() -> None:
    readings: list[tuple[float, float | None]] = [(0, 1.0), (900, 1.0), (1801, 1.0)]
    _, _, spells = cleaned_with_jobs(readings, held_from(0, 4000))
    assert [spell[-1] for spell in spells] == [2, 1]


def readings_with_stuck_spell() -> list[tuple[float, float | None]]:
    """Readings every 5 s, of which those from 5000 s to 14 995 s are stuck at 200 W."""
    random = np.random.default_rng(1)
    values = 200.0 + random.integers(-2, 3, 5000)
    values[1000:3000], values[[999, 3000]] = 200, 201
    return [(5.0 * row, values[row]) for row in range(5000)]


def test_clean_rejects_and_lists_stuck_readings_from_the_second_of_the_spell() -> None:
    power, counts, spells = cleaned_with_jobs(readings_with_stuck_spell(), None)
    assert (counts["n_read"], counts["n_kept"], counts["n_stuck"]) == (5000, 3001, 1999)
    assert counts["n_gaps"] == 1
    assert [second for second in power if 4995 <= second <= 15_000] == [4995, 5000, 15_000]
    first, last = START + timedelta(seconds=5005), START + timedelta(seconds=14_995)
    assert spells == [("c-1", "stuck", first, last, 1999)]


@pytest.mark.parametrize("start_s", [5000, 5010, 8000])
def test_clean_leaves_no_covered_time_where_a_window_starts_in_a_stuck_spell(start_s: int) -> None:
    window = Window(START + timedelta(seconds=start_s), END)
    readings = raw_readings([row for row in readings_with_stuck_spell() if row[0] >= start_s - 30])
    cleaned = clean_readings(
        readings, max_plausible_power_w=5000, window=window, settings=CleaningSettings(30, 20)
    )
    kept = (cleaned.samples["timestamp"] - START).dt.total_seconds()
    # of the stuck readings, the first one received stays; the next sample is hours later
    assert kept.filter((kept >= 5000) & (kept < 15_000)).to_list() == [max(5000, start_s - 30)]
    inside = max(5005, start_s)
    n_stuck = (15_000 - inside) // 5
    assert cleaned.quality["n_stuck"].to_list() == [n_stuck]
    assert cleaned.spells["n_readings"].to_list() == [n_stuck]
    conform(Quality, cleaned.quality)


def test_clean_does_not_flag_a_constant_reading_as_stuck() -> None:
    _, counts, spells = cleaned_with_jobs(
        [(second, 180.0) for second in range(0, 7201, 5)], held_from(5, 60)
    )
    assert counts["n_stuck"] == 0
    assert spells == []


def test_clean_keeps_the_reason_of_readings_rejected_before() -> None:
    reasons = pl.Series(["n_merged", None, "n_incomplete", "n_duplicate"], dtype=pl.String)
    frame = raw_readings([(0, 50.0), (0, 100.0), (5, 7.0), (5, 8.0)]).with_columns(reason=reasons)
    limits: dict[str, Any] = {"max_plausible_power_w": 5000, "window": Window(START, END)}
    limits["settings"] = CleaningSettings(30)
    kept, counts, _ = clean_readings(frame, **limits)
    conform(Quality, counts)
    assert kept["power_w"].to_list() == [100]
    names = ("n_read", "n_kept", "n_merged", "n_incomplete", "n_duplicate")
    assert counts.select(names).row(0) == (4, 1, 1, 1, 1)
