"""Rows of groups: names that contain a login, and names of the job list."""

import polars as pl
import pytest

from footprint.report.publication import level_rows

LOGINS = ["birch", "anne-marie", "o.ak"]


def levels(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"level": pl.String, "name": pl.String}, orient="row")


@pytest.mark.parametrize(
    "name", ["birch", "thesis of Birch", "birch_2025", "anne-marie/tts", "o.ak", "x-anne-marie"]
)
def test_name_with_a_login_is_found(name: str) -> None:
    found = level_rows.names_with_logins(levels(("project", name), ("paper", name)), LOGINS)
    assert found == {("project", name), ("paper", name)}


@pytest.mark.parametrize("name", ["birches", "anne", "oxak", "soaked", "(no project)"])
def test_name_without_a_login_is_not_found(name: str) -> None:
    assert level_rows.names_with_logins(levels(("project", name)), LOGINS) == set()
    assert level_rows.names_with_logins(levels(("project", name)), []) == set()


def test_members_have_the_names_of_the_levels() -> None:
    jobs = pl.DataFrame(
        {
            "job_id": [1, 2, 3],
            "user": ["u-1", "u-2", "u-3"],
            "queue": ["production", None, "default"],
            "project": ["speech", "small", None],
        }
    )
    papers = pl.DataFrame({"job_id": [1, 2], "paper": ["demo", "left out"]})
    shown = levels(
        *(("queue", name) for name in ("production", "(no queue)", "default")),
        *(("project", name) for name in ("speech", "others (small groups)", "(no project)")),
        *(("user", name) for name in ("u-1", "(others)")),
        *(("paper", name) for name in ("demo", "others (small groups)")),
    )
    found = level_rows.group_members(jobs, papers, shown, site="nancy").sort("job_id")
    assert found["site"].to_list() == ["nancy"] * 3
    assert found["queue"].to_list() == ["production", "(no queue)", "default"]
    assert found["project"].to_list() == ["speech", "others (small groups)", "(no project)"]
    assert found["person"].to_list() == ["u-1", "(others)", "(others)"]
    assert found["paper"].to_list() == ["demo", None, None]
