"""From readings to samples: what is set aside, what is flagged, and that nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.cleaning import clean
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
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=60, deadline=None)
def test_every_reading_is_counted_once(readings: list[tuple[float, float | None]]) -> None:
    _, account = cleaned(readings)
    assert account.get("n_read", 0) == sum(0 <= second < 86_400 for second, _ in readings)
    assert account.get("n_read", 0) == sum(account.get(name, 0) for name in COUNTS[:6])
