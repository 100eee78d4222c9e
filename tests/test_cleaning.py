"""From readings to samples: what is set aside, what is flagged, and that nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.cleaning import clean
from footprint.held_time import HeldTime
from footprint.integration import Calibration
from footprint.tables import Quality, conform

START = datetime(2025, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)
SET_ASIDE = ("n_duplicate", "n_nan", "n_not_positive", "n_spike", "n_drop_out")
COUNTS = ("n_kept", *SET_ASIDE, "n_stuck", "n_gaps")


def raw(readings: list[tuple[float, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "node": ["c-1"] * len(readings),
            "timestamp": [START + timedelta(seconds=second) for second, _ in readings],
            "power_w": [value for _, value in readings],
        },
        schema={"node": pl.String, "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64},
    )


def cleaned(readings: list[tuple[float, float | None]]) -> tuple[pl.DataFrame, dict[str, Any]]:
    kept, account, _ = clean(
        raw(readings), max_plausible_power_w=5000, max_gap_s=30, start=START, end=END
    )
    conform(Quality, account)
    return kept, account.row(0, named=True) if len(account) else {}


def test_each_defect_is_set_aside_under_its_name() -> None:
    kept, account = cleaned(
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
    assert account["n_read"] == 8
    assert [account[name] for name in COUNTS] == [2, 1, 2, 2, 1, 0, 0, 0]
    assert account["day"] == date(2025, 3, 1)


def test_values_from_means_are_counted() -> None:
    readings = [(float(second), 100.0) for second in range(0, 20, 5)]
    limits = {"max_plausible_power_w": 5000, "max_gap_s": 30, "start": START, "end": END}
    _, plain, _ = clean(raw(readings), **limits)
    _, means, _ = clean(raw(readings).with_columns(from_summary=pl.lit(True)), **limits)
    assert plain["n_summary"].to_list() == [0]
    assert means["n_summary"].to_list() == means["n_kept"].to_list() == [4]


def test_of_several_values_at_a_time_the_lowest_stays() -> None:
    kept, account = cleaned([(0, 120), (0, 100), (0, 110)])
    assert kept["power_w"].to_list() == [100]
    assert account["n_duplicate"] == 2


def test_gaps_are_counted_between_kept_samples() -> None:
    _, account = cleaned([(0, 100), (30, 100), (60, None), (61, 100), (100, 100)])
    assert account["n_gaps"] == 2


def test_margins_are_kept_but_not_counted() -> None:
    kept, account = cleaned([(-10, 100), (0, 100), (86_399, 100), (86_400, 100)])
    assert len(kept) == 4
    assert account["n_read"] == account["n_kept"] == 2


def test_a_day_without_a_valid_reading_still_has_its_account() -> None:
    kept, account = cleaned([(0, None), (5, 0)])
    assert kept.is_empty()
    assert account["n_read"] == 2
    assert account["n_kept"] == 0


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
def test_order_and_repetition_of_rows_do_not_matter(
    readings: list[tuple[float, float | None]], random: Any, times: int
) -> None:
    shuffled = readings * times
    random.shuffle(shuffled)
    once, account = cleaned(readings)
    again, recount = cleaned(shuffled)
    assert_frame_equal(once, again)
    for name in ("n_kept", "n_stuck", "n_gaps"):
        assert account.get(name) == recount.get(name)


@given(READINGS)
@settings(max_examples=60)
def test_every_reading_is_counted_once(readings: list[tuple[float, float | None]]) -> None:
    _, account = cleaned(readings)
    assert account.get("n_read", 0) == sum(0 <= second < 86_400 for second, _ in readings)
    assert account.get("n_read", 0) == sum(account.get(name, 0) for name in COUNTS[:6])


def held_from(start: float, stop: float) -> HeldTime:
    origin_us = int(START.timestamp()) * 1_000_000
    starts, stops = (np.array([origin_us + round(each * 1e6)]) for each in (start, stop))
    return HeldTime(starts, stops)


def judged(
    readings: list[tuple[float, float | None]],
    held: HeldTime | None,
    calibration: Calibration | None = None,
) -> tuple[dict[float, float], dict[str, Any], list[tuple[Any, ...]]]:
    kept, account, spells = clean(
        raw(readings),
        **{"max_plausible_power_w": 5000, "max_gap_s": 30, "start": START, "end": END},
        off_threshold_w=20,
        held=held,
        calibration=calibration,
    )
    conform(Quality, account)
    power = {
        (time - START).total_seconds(): value
        for time, value in kept.select("timestamp", "power_w").iter_rows()
    }
    return power, account.row(0, named=True), spells.rows()


def test_low_readings_under_a_job_are_drop_outs_and_standby_elsewhere() -> None:
    readings: list[tuple[float, float | None]] = [
        *((second, 9.0) for second in (0, 5)),
        *((10, 250.0), (15, 0.2), (20, 19.9), (25, 20.0), (30, 9.0)),
        *((second, 9.0) for second in (35, 40)),
    ]
    power, account, spells = judged(readings, held_from(10, 35))
    assert power == {0: 9, 5: 9, 10: 250, 25: 20, 35: 9, 40: 9}
    assert account["n_drop_out"] == 3
    assert account["n_read"] == account["n_kept"] + 3
    first, last = START + timedelta(seconds=15), START + timedelta(seconds=30)
    assert spells == [("c-1", "drop_out", first, last, 3)]
    power, account, spells = judged(readings, None)
    assert len(power) == 9
    assert account["n_drop_out"] == 0
    assert spells == []


def test_low_readings_of_a_node_that_cannot_be_used_are_no_drop_outs() -> None:
    held, away = held_from(0, 100), held_from(50, 80)
    both = HeldTime(held.starts_us, held.stops_us, away.starts_us, away.stops_us)
    power, account, _ = judged([(45, 0.9), (55, 0.9), (85, 0.9)], both)
    assert list(power) == [55]
    assert account["n_drop_out"] == 2


def test_a_board_that_never_draws_much_keeps_its_readings_under_a_job() -> None:
    # 9 W at rest and 18 W under its job; below 2 W it is off whatever its peak
    power, account, _ = judged([(0, 9.0), (10, 18.0), (15, 9.0), (20, 1.9)], held_from(10, 30))
    assert power == {0: 9, 10: 18, 15: 9}
    assert account["n_drop_out"] == 1
    # a tenth of 60 W
    power, _, _ = judged([(10, 60.0), (15, 6.0), (20, 5.9)], held_from(10, 30))
    assert power == {10: 60, 15: 6}
    power, account, _ = judged([(10, 0.2), (15, 0.2)], held_from(10, 30))
    assert power == {}
    assert account["n_drop_out"] == 2


def test_limits_are_those_of_calibrated_power() -> None:
    kilowatts = Calibration(slope=1000, offset=-5)
    # 495 W, 19 W, 20 W and 5015 W
    readings: list[tuple[float, float | None]] = [(0, 0.5), (5, 0.024), (10, 0.025), (15, 5.02)]
    power, account, _ = judged(readings, held_from(0, 30), kilowatts)
    assert power == {0: 0.5, 10: 0.025}
    assert (account["n_drop_out"], account["n_spike"]) == (1, 1)


def test_drop_outs_far_apart_are_several_spells() -> None:
    readings: list[tuple[float, float | None]] = [(0, 1.0), (900, 1.0), (1801, 1.0)]
    _, _, spells = judged(readings, held_from(0, 4000))
    assert [spell[-1] for spell in spells] == [2, 1]


def test_stuck_readings_are_kept_counted_and_listed() -> None:
    random = np.random.default_rng(1)
    values = 200.0 + random.integers(-2, 3, 5000)
    values[1000:3000], values[[999, 3000]] = 200, 201
    power, account, spells = judged([(5.0 * row, values[row]) for row in range(5000)], None)
    assert len(power) == account["n_kept"] == 5000
    assert account["n_stuck"] == 2000
    first, last = START + timedelta(seconds=5000), START + timedelta(seconds=14_995)
    assert spells == [("c-1", "stuck", first, last, 2000)]


def test_a_value_that_only_repeats_is_not_stuck() -> None:
    _, account, spells = judged([(second, 180.0) for second in range(0, 7201, 5)], held_from(5, 60))
    assert account["n_stuck"] == 0
    assert spells == []


def test_readings_set_aside_before_keep_their_reason() -> None:
    reasons = pl.Series(["n_merged", None, "n_incomplete", "n_duplicate"], dtype=pl.String)
    frame = raw([(0, 50.0), (0, 100.0), (5, 7.0), (5, 8.0)]).with_columns(reason=reasons)
    limits = {"max_plausible_power_w": 5000, "max_gap_s": 30, "start": START, "end": END}
    kept, account, _ = clean(frame, **limits)
    conform(Quality, account)
    assert kept["power_w"].to_list() == [100]
    names = ("n_read", "n_kept", "n_merged", "n_incomplete", "n_duplicate")
    assert account.select(names).row(0) == (4, 1, 1, 1, 1)
