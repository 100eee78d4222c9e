"""Tests of `footprint.levels.usage_files`."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.core.errors import InputError
from footprint.levels import active_users, usage_files
from footprint.schemas.raw import RejectedRows
from footprint.schemas.usage import ActiveUsers
from tests.levels.test_active_users import at, jobs


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
    found = usage_files.read_history(folder).jobs.filter(pl.col("started_at").is_not_null())
    assert sorted(found["user"]) == ["ash", "fir", "oak", "yew"]
    assert found["started_at"].unique().to_list() == [at(2020, 3)]
    one = usage_files.read_history(folder / "page-0.json").jobs
    assert sorted(one["user"]) == ["ash", "elm", "oak"]


def test_read_usage_counts_faulty_records_of_a_history(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "history")
    start = int(at(2020, 3).timestamp())
    wrong = {"uid": 9, "user": "fig", "state": "terminated", "started_at": start * 1000}
    for name in ("wrong.json", "worse.json"):
        (folder / name).write_text(json.dumps({"items": [wrong]}))
    found = usage_files.read_usage(history=str(folder), statistics=None)
    assert found.history is not None
    assert "fig" not in found.history["user"].to_list()
    reason = "time in milliseconds, or after 2100"
    assert found.rejected.rows() == [("usage", "usage.history", reason, 2, "worse.json")]


def test_read_usage_of_unusable_files_gives_reasons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history, statistics = tmp_path / "jobs.parquet", tmp_path / "platform.csv"
    history.write_bytes(b"PAR1")
    statistics.write_text("year,active_users\n2020,-5\n")
    found = usage_files.read_usage(history=str(history), statistics=str(statistics))
    assert (found.history, found.statistics) == (None, None)
    assert RejectedRows.is_valid(found.rejected)
    assert found.rejected.select("source", "reason", "n_rows", "example").rows() == [
        ("usage.history", "not a Parquet file of jobs", 1, "jobs.parquet"),
        (
            "usage.statistics",
            "active_users is '-5', not a whole number from 0 on",
            1,
            "platform.csv",
        ),
    ]
    assert "platform.csv:2: active_users is '-5'" in caplog.text


def test_read_history_of_other_types_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    pl.DataFrame({"user": ["a"], "started_at": ["x"], "stopped_at": ["y"]}).write_parquet(path)
    with pytest.raises(InputError, match="not a Parquet file of jobs; save the columns user"):
        usage_files.read_history(path)


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
        usage_files.read_history(path)


def test_read_history_missing_file_or_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file or folder; fix usage\.history"):
        usage_files.read_history(tmp_path / "none.json")
    jobs().drop("user").write_parquet(tmp_path / "jobs.parquet")
    with pytest.raises(InputError, match="no column user"):
        usage_files.read_history(tmp_path / "jobs.parquet")


def test_read_statistics_gives_rows_by_year(tmp_path: Path) -> None:
    path = tmp_path / "platform.csv"
    path.write_text("year,active_users,source\n2021,612,annual report\n2020,580,\n")
    found = usage_files.read_statistics(path)
    assert found.select("until", "n_users", "source").rows() == [
        (at(2021), 580, None),
        (at(2022), 612, "annual report"),
    ]
    assert found["known_frac"].to_list() == [None, None]
    both = active_users.active_users_table(
        jobs().lazy(),
        window=Window(at(2025), at(2026)),
        history=usage_files.read_history(write_history(tmp_path / "history")).jobs,
        statistics=found,
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
        usage_files.read_statistics(path)
