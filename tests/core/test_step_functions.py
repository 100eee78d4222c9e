"""Sums of overlapping intervals as step functions of time."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.step_functions import sums_over_time

SCHEMA = {"key": pl.String, "started_at": pl.Int64, "stopped_at": pl.Int64, "x": pl.Float64}

Interval = tuple[str, int, int | None, float]


def steps_of(*intervals: Interval) -> list[tuple[str, int, int | None, float]]:
    frame = pl.LazyFrame(intervals, SCHEMA, orient="row")
    return sums_over_time(frame, ["x"], by=["key"]).collect().rows()


def test_sums_over_time_of_overlapping_intervals_change_at_their_bounds() -> None:
    assert steps_of(("a", 0, 10, 1.0), ("b", 3, 4, 7.0), ("a", 5, 20, 0.5), ("a", 10, 20, 2.0)) == [
        ("a", 0, 5, 1.0),
        ("a", 5, 10, 1.5),
        ("a", 10, 20, 2.5),
        ("a", 20, None, 0.0),
        ("b", 3, 4, 7.0),
        ("b", 4, None, 0.0),
    ]


def test_sums_over_time_of_an_interval_without_end_last() -> None:
    assert steps_of(("a", 0, None, 1.0), ("a", 5, 8, 2.0)) == [
        ("a", 0, 5, 1.0),
        ("a", 5, 8, 3.0),
        ("a", 8, None, 1.0),
    ]


def test_sums_over_time_between_separate_intervals_are_zero() -> None:
    assert steps_of(("a", 0, 1, 0.1), ("a", 5, 6, 0.2))[1] == ("a", 1, 5, 0.0)


def test_sums_over_time_by_several_keys_and_columns_are_separate() -> None:
    frame = pl.LazyFrame(
        [(1, "n", 0, 4, 1.0, 2), (1, "m", 2, 3, 8.0, 9), (1, "n", 2, 4, 0.5, 3)],
        {"job": pl.Int64, "node": pl.String, "started_at": pl.Int64, "stopped_at": pl.Int64}
        | {"x": pl.Float64, "n": pl.Int64},
        orient="row",
    )
    found = sums_over_time(frame, ["x", "n"], by=["job", "node"]).collect()
    assert found.columns == ["job", "node", "started_at", "stopped_at", "x", "n"]
    assert found.rows() == [
        (1, "m", 2, 3, 8.0, 9),
        (1, "m", 3, None, 0.0, 0),
        (1, "n", 0, 2, 1.0, 2),
        (1, "n", 2, 4, 1.5, 5),
        (1, "n", 4, None, 0.0, 0),
    ]


def test_sums_over_time_of_no_intervals_are_empty() -> None:
    assert steps_of() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(0, 9),
            st.one_of(st.none(), st.integers(1, 9)),
            st.sampled_from([0.1, 1 / 3, 0.5, -0.25]),
        ),
        max_size=12,
    )
)
def test_sums_over_time_equal_a_brute_force_at_every_moment(
    drawn: list[tuple[str, int, int | None, float]],
) -> None:
    intervals = [
        (key, start, None if length is None else start + length, x)
        for key, start, length, x in drawn
    ]
    steps = steps_of(*intervals)
    for key in "ab":
        own = [each for each in intervals if each[0] == key]
        bounds = {bound for _, start, stop, _ in own for bound in (start, stop)} - {None}
        assert [start for k, start, _, _ in steps if k == key] == sorted(bounds)  # type: ignore[type-var]
        for now in range(20):
            expected = sum(
                x for _, start, stop, x in own if start <= now and (stop is None or now < stop)
            )
            found = [
                x
                for k, start, stop, x in steps
                if k == key and start <= now and (stop is None or now < stop)
            ]
            assert sum(found) == pytest.approx(expected, abs=1e-12)
            assert len(found) == (min(bounds, default=20) <= now)  # type: ignore[type-var]
