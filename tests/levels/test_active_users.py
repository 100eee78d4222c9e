"""Active users: counts by window, unknown time, and files that cannot be used."""

from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.levels import active_users
from footprint.report import sites
from footprint.schemas.usage import ActiveUsers

pytestmark = pytest.mark.filterwarnings("error")

TIME = pl.Datetime("us", "UTC")


def at(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def jobs(*rows: tuple[str | None, datetime | None, datetime | None]) -> pl.DataFrame:
    schema: dict[str, Any] = {"user": pl.String, "started_at": TIME, "stopped_at": TIME}
    return pl.DataFrame(rows, schema=schema, orient="row")


def known(*spans: tuple[datetime, datetime]) -> pl.DataFrame:
    return pl.DataFrame(spans, schema={"since": TIME, "until": TIME}, orient="row")


def counted(
    rows: pl.DataFrame,
    *spans: tuple[datetime, datetime],
    every: Literal["month", "year"] = "year",
) -> list[tuple[datetime, int, bool]]:
    found = active_users.count_active_users(rows, known=known(*spans), every=every, basis="history")
    return found.select("until", "n_users", "is_partial").rows()


def test_active_users_are_counted_once_in_each_window() -> None:
    rows = jobs(
        ("ash", at(2020, 2), at(2020, 2, 2)),
        ("ash", at(2020, 9), at(2020, 9, 2)),
        ("elm", at(2020, 5), at(2020, 5, 2)),
        ("elm", at(2021, 5), at(2021, 5, 2)),
        ("oak", at(2021, 5), at(2021, 5, 2)),
        ("fir", at(2021, 12, 30), at(2022, 1, 3)),
    )
    # 2020: ash, elm; 2021: elm, oak, fir; the year to July 2022: fir, whose job began before 2022
    assert counted(rows, (at(2020), at(2022, 7))) == [
        (at(2021), 2, False),
        (at(2022), 3, False),
        (at(2022, 7), 1, False),
    ]


def test_active_users_job_at_a_bound_of_the_window() -> None:
    rows = jobs(
        ("ends as it begins", at(2020, 12), at(2021)),
        ("begins as it begins", at(2021), at(2021)),
        ("begins as it ends", at(2022), at(2022, 1, 2)),
        ("holds all of it", at(2020, 6), at(2022, 2)),
        ("has no known end", at(2021, 3), None),
        ("never started", None, None),
        (None, at(2021, 3), at(2021, 4)),
    )
    windows = {until: n for until, n, _ in counted(rows, (at(2020), at(2023)))}
    assert windows[at(2022)] == 3


def test_active_users_partly_known_windows_are_marked() -> None:
    rows = jobs(("ash", at(2020, 7), at(2022, 3)))
    spans = ((at(2020, 7), at(2020, 12)), (at(2021, 1), at(2022, 3)))
    found = active_users.count_active_users(
        rows, known=known(*spans), every="year", basis="history"
    )
    assert found["is_partial"].to_list() == [True, False, False]
    assert found["known_frac"].to_list() == pytest.approx([153 / 366, 1, 1])
    # less than a week missing: as good as whole
    assert not counted(rows, (at(2020, 1, 4), at(2021)))[0][2]


def test_active_users_table_of_eight_weeks_is_one_lower_bound() -> None:
    rows = jobs(*((user, at(2025, 3, 5), at(2025, 3, 6)) for user in ("ash", "elm", "oak")))
    found = active_users.active_users_table(
        rows.lazy().with_columns(command=pl.lit("secret"), walltime_s=pl.lit(None, pl.Int64)),
        window=Window(at(2025, 3, 3), at(2025, 4, 28)),
        minimum_group=3,
    )
    assert ActiveUsers.is_valid(found)
    row = found.row(0, named=True)
    assert len(found) == 1
    assert (row["basis"], row["n_users"], row["is_partial"]) == ("jobs", 3, True)
    assert row["since"] == at(2024, 4, 28)
    assert row["known_frac"] == pytest.approx(56 / 365)


@pytest.mark.parametrize(("walltime_h", "n_users"), [(24, 0), (366 * 24, 1), (None, 1)])
def test_active_users_table_job_without_an_end_is_active_until_its_walltime(
    walltime_h: int | None, n_users: int
) -> None:
    # it started 13 months before the study ends
    rows = jobs(("ash", at(2024, 3, 28), None))
    walltime_s = None if walltime_h is None else walltime_h * 3600
    found = active_users.active_users_table(
        rows.lazy().with_columns(walltime_s=pl.lit(walltime_s, pl.Int64)),
        window=Window(at(2025, 3, 3), at(2025, 4, 28)),
        minimum_group=0,
    )
    assert found["n_users"].to_list() == [n_users]


def test_small_counts_are_hidden() -> None:
    rows = jobs(("ash", at(2020, 2), at(2020, 3)), ("elm", at(2020, 2), at(2020, 3)))
    found = active_users.count_active_users(
        rows, known=known((at(2020), at(2021))), every="year", basis="jobs"
    )
    shown = active_users.hide_small_counts(found, minimum_group=3).row(0, named=True)
    assert (shown["n_users"], shown["fewer_than"]) == (None, 3)
    shown = active_users.hide_small_counts(found, minimum_group=2).row(0, named=True)
    assert (shown["n_users"], shown["fewer_than"]) == (2, None)


def test_window_ends_are_calendar_bounds_and_the_last_known_moment() -> None:
    spans = known((at(2020, 11, 5), at(2021, 2, 1)))
    assert active_users.window_ends(spans, every="year") == [at(2021), at(2021, 2)]
    assert active_users.window_ends(spans, every="month") == [at(2020, 12), at(2021), at(2021, 2)]


def test_active_users_without_known_time_have_no_window() -> None:
    assert active_users.count_active_users(
        jobs(), known=known(), every="year", basis="history"
    ).is_empty()


def test_covered_windows_split_at_more_than_31_days_without_jobs() -> None:
    rows = jobs(
        ("ash", at(2020, 1, 1), at(2020, 3, 1)),
        ("elm", at(2020, 1, 2), at(2020, 1, 3)),
        ("elm", at(2020, 4, 1), at(2020, 4, 2)),  # 31 days after the last end
        ("elm", at(2020, 5, 4), at(2020, 5, 5)),  # 32 days
        ("elm", None, None),
    )
    spans = active_users.covered_windows(rows).rows()
    assert spans == [(at(2020, 1, 1), at(2020, 4, 2)), (at(2020, 5, 4), at(2020, 5, 5))]


def test_sites_have_places_inside_the_outline() -> None:
    known_sites = sites.site_table()
    assert known_sites["site"].is_unique().all()
    assert known_sites.null_count().sum_horizontal().item() == 0
    # all inside the sketch's corner points, so that each is drawn on land or close to it
    for name in ("latitude_deg", "longitude_deg"):
        low, high = sites.outline_corners()[name].min(), sites.outline_corners()[name].max()
        assert known_sites[name].is_between(pl.lit(low), pl.lit(high)).all()
    assert sites.town_name("sophia") == "Sophia Antipolis"
    assert sites.town_name("mars") == "mars"
