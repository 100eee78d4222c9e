"""Figures of active users and of the sites: texts, marks and legibility."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from footprint.report import sites, wording
from footprint.report.figures import active_users, site_map, style
from footprint.schemas.usage import ActiveUsers
from footprint.schemas.writing import conform
from tests.support.figure_checks import assert_legible, title_text, written_text
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")


def window(until: datetime, n_users: int | None, **columns: Any) -> dict[str, Any]:
    few = 3 if n_users is None else None
    row = {
        "basis": "history",
        "until": until,
        "since": until.replace(year=until.year - 1),
        "n_users": n_users,
        "fewer_than": few,
        "known_frac": 1.0,
        "is_partial": False,
        "source": None,
    }
    return row | columns


def year(number: int, n_users: int | None, **columns: Any) -> dict[str, Any]:
    """The 12 months of a calendar year."""
    return window(datetime(number + 1, 1, 1, tzinfo=UTC), n_users, **columns)


def part(known_frac: float) -> dict[str, Any]:
    return {"known_frac": known_frac, "is_partial": True}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    schema = ActiveUsers.create_empty().schema
    found: pl.DataFrame = conform(ActiveUsers, pl.DataFrame(rows, schema=schema))
    return found


def ordinates(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


STUDY = window(datetime(2025, 4, 28, tzinfo=UTC), 24, basis="jobs", **part(56 / 365))
YEARS = [
    year(2018, 30, **part(0.3)),
    year(2019, 80),
    year(2020, 95),
    year(2021, 60, **part(0.6)),
    year(2022, 120),
    year(2023, 1340),
    window(datetime(2024, 6, 15, tzinfo=UTC), 1350),
]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [STUDY],
            "At least 24 people used Nancy in the 12 months to 27 April 2025, of which 8 of 52 "
            "weeks are known",
        ),
        ([year(2024, 24)], "24 people used Nancy in the 12 months to 31 December 2024"),
        (
            [year(2024, None)],
            "Fewer than 3 people used Nancy in the 12 months to 31 December 2024",
        ),
        (
            [year(2024, None, **part(0.5))],
            "Fewer than 3 people are known to have used Nancy in the 12 months to "
            "31 December 2024, of which 26 of 52 weeks are known",
        ),
        (YEARS, "Active users of Nancy grew from 80 to 1 350 (2019 to 14 Jun 2024)"),
        # a last window that is known in part is no decline
        (
            [year(2019, 80), year(2020, 90), year(2021, 20, **part(0.5))],
            "At least 20 people used Nancy in the 12 months to 31 December 2021, of which "
            "26 of 52 weeks are known",
        ),
        ([year(2019, 80), year(2020, 70)], "Active users of Nancy fell from 80 to 70"),
        ([year(2019, 80), year(2020, 80)], "as many active users at the end as at the start"),
        (
            [year(2019, 580, basis="statistics"), year(2020, 612, basis="statistics")],
            "Active users of Grid'5000 grew from 580 to 612 (2019 to 2020)",
        ),
        ([], "The number of people who use Nancy is unknown"),
    ],
)
def test_active_users_title_has_the_known_numbers(rows: list[dict[str, Any]], said: str) -> None:
    text = active_users.figure_title(frame(*rows), site="nancy").replace(wording.NARROW_SPACE, " ")
    assert said in text


def test_active_users_of_a_study_alone_are_a_lower_bound() -> None:
    drawn = active_users.plot(frame(STUDY), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "at least 24" in written_text(drawn)
    marks = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "^"]
    assert [line.get_markerfacecolor() for line in marks] == ["white"]


def test_active_users_of_partly_known_windows_are_hollow_and_not_joined() -> None:
    statistics = [year(y, 500 + y - 2018, basis="statistics") for y in range(2018, 2024)]
    drawn = active_users.plot(frame(*YEARS, *statistics), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    line = drawn.axes[0].get_lines()[0]
    assert [None if height != height else height for height in ordinates(line)] == [
        None,
        80,
        95,
        None,
        120,
        1340,
        1350,
    ]
    hollow = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "^"]
    assert [ordinates(line) for line in hollow] == [[30], [60]]
    text = written_text(drawn)
    assert "≥ 60" in text
    assert "the platform's own statistics" in text
    assert drawn.axes[0].get_ylim()[0] == 0


def test_active_users_below_the_minimum_group_have_no_number() -> None:
    drawn = active_users.plot(
        frame(year(2020, 12), year(2021, None), year(2022, 14)), site="nancy", provenance=PROVENANCE
    )
    assert_legible(drawn)
    assert "fewer than 3" in written_text(drawn)
    alone = frame(year(2021, None, **part(0.3)))
    drawn = active_users.plot(alone, site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "fewer than 3" in written_text(drawn)
    hidden = frame(year(2020, 12), year(2021, None, **part(0.1)), year(2022, 14))
    drawn = active_users.plot(hidden, site="nancy", provenance=PROVENANCE)
    assert "fewer" not in written_text(drawn)


def test_active_users_of_many_months_are_legible() -> None:
    months = pl.datetime_range(
        datetime(2015, 1, 1), datetime(2025, 1, 1), "1mo", time_zone="UTC", eager=True
    )
    rows = [window(until, 100 + i % 17) for i, until in enumerate(months)]
    drawn = active_users.plot(frame(*rows), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)


def test_active_users_without_windows_give_the_reason() -> None:
    drawn = active_users.plot(frame(), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "nobody can be counted" in written_text(drawn)


@pytest.mark.parametrize("site", sites.site_table()["site"].to_list())
def test_site_map_names_every_site_and_marks_the_studied_one(site: str) -> None:
    drawn = site_map.plot(site=site, provenance=PROVENANCE)
    assert_legible(drawn)
    text = written_text(drawn)
    assert all(town in text for town in sites.site_table()["town"])
    assert "Outlines are a sketch." in text
    assert title_text(drawn).endswith(f"this study is of {sites.town_name(site)}")
    dots = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "o"]
    marked = [dot for dot in dots if to_hex(dot.get_markeredgecolor()) == style.ACCENT]
    place = sites.site_table().row(by_predicate=pl.col("site") == site, named=True)
    assert [np.asarray(dot.get_xdata()).tolist() for dot in marked] == [[place["longitude_deg"]]]


def test_site_map_of_an_unknown_site_names_it_in_the_title() -> None:
    drawn = site_map.plot(site="mars", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "the place of this study's site (mars) is unknown here" in title_text(drawn)
    assert "this study" not in written_text(drawn).replace(title_text(drawn), "")
