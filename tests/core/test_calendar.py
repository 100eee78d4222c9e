"""The study's window and its months, in UTC."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core import calendar


def test_study_window_is_in_utc() -> None:
    assert calendar.study_window("2025-03-03", "2025-04-28") == (
        datetime(2025, 3, 3, tzinfo=UTC),
        datetime(2025, 4, 28, tzinfo=UTC),
    )


def test_first_moment_of_a_day_is_its_midnight_in_utc() -> None:
    assert calendar.first_moment("2024-02-29") == datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((2025, 3, 3), (2025, 4, 28), ["2025-03", "2025-04"]),
        ((2025, 3, 3), (2025, 4, 1), ["2025-03"]),
        ((2024, 11, 30), (2025, 2, 2), ["2024-11", "2024-12", "2025-01", "2025-02"]),
        ((2024, 12, 31), (2025, 1, 1), ["2024-12"]),
    ],
)
def test_months_between_are_those_that_overlap_the_window(
    start: Any, end: Any, expected: list[str]
) -> None:
    assert (
        calendar.months_between(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))
        == expected
    )


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=1500)),
    st.floats(0, 1, exclude_max=True),
)
def test_months_between_contain_every_moment_of_the_window(
    start: datetime, length: timedelta, part: float
) -> None:
    found = calendar.months_between(start, start + length)
    moment = start + length * part
    assert f"{moment:%Y-%m}" in found
    assert found == sorted(set(found))
    assert len(found) <= length.days / 28 + 2


def utc_day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        ("2024-02", ("2024-02-10", "2024-03-01")),
        ("2024-03", ("2024-03-01", "2024-04-01")),
        ("2024-12", ("2024-12-01", "2025-01-01")),
        ("2025-01", ("2025-01-01", "2025-01-31")),
    ],
)
def test_month_in_study_is_clipped_to_the_window(month: str, expected: tuple[str, str]) -> None:
    found = calendar.month_in_study(month, "2024-02-10", "2025-01-31")
    assert found == tuple(map(utc_day, expected))


def test_month_in_study_of_all_months_covers_the_window_without_gaps() -> None:
    start, end = calendar.study_window("2024-02-10", "2025-01-31")
    bounds = [
        calendar.month_in_study(month, "2024-02-10", "2025-01-31")
        for month in calendar.months_between(start, end)
    ]
    assert bounds[0][0] == start
    assert bounds[-1][1] == end
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(bounds))
