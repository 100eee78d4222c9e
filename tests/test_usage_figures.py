"""Figures of active users and of the sites: what they say and draw, and that they can be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from figure_checks import assert_legible, title, words
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from paper_frames import PROVENANCE

from footprint import sites, tables
from footprint.figures import active_users, site_map, style
from footprint.tables.usage import ActiveUsers

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
    found: pl.DataFrame = tables.conform(ActiveUsers, pl.DataFrame(rows, schema=schema))
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
        ([year(2019, 80), year(2020, 80)], "as many active users in the end as at first"),
        (
            [year(2019, 580, basis="statistics"), year(2020, 612, basis="statistics")],
            "Active users of Grid'5000 grew from 580 to 612 (2019 to 2020)",
        ),
        ([], "How many people use Nancy is not known"),
    ],
)
def test_the_title_says_what_is_known(rows: list[dict[str, Any]], said: str) -> None:
    text = active_users.message(frame(*rows), site="nancy").replace(style.THIN_SPACE, " ")
    assert said in text


def test_a_study_alone_is_a_lower_bound() -> None:
    drawn = active_users.plot(frame(STUDY), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "at least 24" in words(drawn)
    marks = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "^"]
    assert [line.get_markerfacecolor() for line in marks] == ["white"]


def test_windows_known_in_part_are_hollow_and_joined_with_nothing() -> None:
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
    text = words(drawn)
    assert "≥ 60" in text
    assert "the platform's own statistics" in text
    assert drawn.axes[0].get_ylim()[0] == 0


def test_few_people_are_no_number() -> None:
    drawn = active_users.plot(
        frame(year(2020, 12), year(2021, None), year(2022, 14)), site="nancy", provenance=PROVENANCE
    )
    assert_legible(drawn)
    assert "fewer than 3" in words(drawn)
    alone = frame(year(2021, None, **part(0.3)))
    drawn = active_users.plot(alone, site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "fewer than 3" in words(drawn)
    hidden = frame(year(2020, 12), year(2021, None, **part(0.1)), year(2022, 14))
    drawn = active_users.plot(hidden, site="nancy", provenance=PROVENANCE)
    assert "fewer" not in words(drawn)


def test_many_months_can_be_read() -> None:
    months = pl.datetime_range(
        datetime(2015, 1, 1), datetime(2025, 1, 1), "1mo", time_zone="UTC", eager=True
    )
    rows = [window(until, 100 + i % 17) for i, until in enumerate(months)]
    drawn = active_users.plot(frame(*rows), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)


def test_nobody_known_is_said() -> None:
    drawn = active_users.plot(frame(), site="nancy", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "nobody can be counted" in words(drawn)


@pytest.mark.parametrize("site", sites.known()["site"].to_list())
def test_the_map_names_every_site_and_marks_that_of_the_study(site: str) -> None:
    drawn = site_map.plot(site=site, provenance=PROVENANCE)
    assert_legible(drawn)
    text = words(drawn)
    assert all(town in text for town in sites.known()["town"])
    assert "Outlines are a sketch." in text
    assert title(drawn).endswith(f"this study is of {sites.town(site)}")
    dots = [line for line in drawn.axes[0].get_lines() if line.get_marker() == "o"]
    marked = [dot for dot in dots if to_hex(dot.get_markeredgecolor()) == style.ACCENT]
    place = sites.known().row(by_predicate=pl.col("site") == site, named=True)
    assert [np.asarray(dot.get_xdata()).tolist() for dot in marked] == [[place["longitude_deg"]]]


def test_a_site_that_is_not_known_is_said() -> None:
    drawn = site_map.plot(site="mars", provenance=PROVENANCE)
    assert_legible(drawn)
    assert "(mars) is, is not known here" in title(drawn)
    assert "this study" not in words(drawn).replace(title(drawn), "")
