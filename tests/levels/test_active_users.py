"""Active users: counts by window, unknown time, and files that cannot be used."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.core.errors import InputError
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
        history=None,
        statistics=None,
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
        history=None,
        statistics=None,
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


def write_history(folder: Path) -> Path:
    folder.mkdir()
    start = int(at(2020, 3).timestamp())
    ran = {"started_at": start, "stopped_at": start + 9}
    listed = [
        {"uid": 1, "user": "ash", "state": "terminated", **ran},
        {"uid": 2, "user": "elm", "state": "waiting", "started_at": 0},
        {"uid": 3, "user": "oak", "state": "running", "started_at": start},
    ]
    (folder / "page-0.json").write_text(json.dumps({"items": listed}))
    database_row = {
        "Job_Id": "4",
        "owner": "fir",
        "state": "Error",
        "startTime": start,
        "stopTime": start,
    }
    (folder / "old.json").write_text(json.dumps({"4": database_row | {"assigned_resources": [7]}}))
    jobs(("yew", at(2020, 3), at(2020, 4))).write_parquet(folder / "more.parquet")
    return folder


def test_read_history_accepts_all_formats(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "history")
    found = active_users.read_history(folder).filter(pl.col("started_at").is_not_null())
    assert sorted(found["user"]) == ["ash", "fir", "oak", "yew"]
    assert found["started_at"].unique().to_list() == [at(2020, 3)]
    one = active_users.read_history(folder / "page-0.json")
    assert sorted(one["user"]) == ["ash", "elm", "oak"]


def test_read_history_leaves_out_faulty_records_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_history(tmp_path / "history")
    start = int(at(2020, 3).timestamp())
    wrong = {"uid": 9, "user": "fig", "state": "terminated", "started_at": start * 1000}
    (folder / "wrong.json").write_text(json.dumps({"items": [wrong]}))
    assert "fig" not in active_users.read_history(folder)["user"].to_list()
    assert "1 records of jobs are left out: time in milliseconds, or after 2100" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"items": []}', "it contains no started job; save"),
        ('{"items": [{"id": 5, "owner": "ash", "state": "Terminated"}]}', "job 5 has no times"),
        ('{"items": [{"id": 5}]}', "is not a job"),
        ("{", "breaks off"),
    ],
)
def test_read_history_unusable_file_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        active_users.read_history(path)


def test_read_history_missing_file_or_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file or folder; fix usage\.history"):
        active_users.read_history(tmp_path / "none.json")
    jobs().drop("user").write_parquet(tmp_path / "jobs.parquet")
    with pytest.raises(InputError, match="no column user"):
        active_users.read_history(tmp_path / "jobs.parquet")


def test_read_statistics_gives_rows_by_year(tmp_path: Path) -> None:
    path = tmp_path / "platform.csv"
    path.write_text("year,active_users,source\n2021,612,annual report\n2020,580,\n")
    found = active_users.read_statistics(path)
    assert found.select("until", "n_users", "source").rows() == [
        (at(2021), 580, None),
        (at(2022), 612, "annual report"),
    ]
    assert found["known_frac"].to_list() == [None, None]
    both = active_users.active_users_table(
        jobs().lazy(),
        window=Window(at(2025), at(2026)),
        history=write_history(tmp_path / "history"),
        statistics=path,
        minimum_group=3,
    )
    assert both["basis"].to_list() == ["history", "statistics", "statistics"]
    assert ActiveUsers.is_valid(both)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: the columns are none; write"),
        ("year\n2020\n", ":1: the columns are year; write"),
        ("year,active_users,who\n", ":1: the columns are year, active_users, who"),
        ("year,active_users\n", "it contains no year"),
        ("year,active_users\n2020,many\n", ":2: active_users is 'many', not a whole number"),
        ("year,active_users\n20,5\n", ":2: year is '20'"),
        ("year,active_users\n2020\n", ":2: active_users is ''"),
        ("year,active_users\n2020,5\n2020,6\n", ":3: year 2020 occurs twice; remove one line"),
    ],
)
def test_read_statistics_unusable_file_is_an_error(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "platform.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        active_users.read_statistics(path)


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
