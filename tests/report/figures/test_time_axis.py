"""The axis of UTC time: its labels."""

from __future__ import annotations

from datetime import timedelta

from footprint.report.figures import time_axis
from tests.support.study_frames import START


def test_ticks_of_two_days_are_hours() -> None:
    found = time_axis.tick_labels(START, START + timedelta(days=2), width_mm=60)
    assert list(found.values()) == [
        *("00:00\n3 Mar 2025", "12:00", "00:00\n4 Mar 2025", "12:00", "00:00\n5 Mar 2025"),
    ]


def test_ticks_of_weeks_are_mondays_and_the_first_has_the_year() -> None:
    found = time_axis.tick_labels(
        START + timedelta(days=1), START + timedelta(days=28), width_mm=80
    )
    assert list(found.values()) == ["10 Mar\n2025", "17 Mar", "24 Mar", "31 Mar"]


def test_ticks_of_a_year_are_months_with_each_new_year() -> None:
    found = time_axis.tick_labels(START, START + timedelta(days=365), width_mm=50)
    assert list(found.values()) == ["Apr\n2025", "Jul", "Oct", "Jan\n2026"]


def test_ticks_of_ten_years_are_years() -> None:
    found = time_axis.tick_labels(START, START + timedelta(days=3652), width_mm=60)
    assert list(found.values()) == ["2026", "2028", "2030", "2032", "2034"]
