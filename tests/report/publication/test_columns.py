"""Every column of a table that publication reads has been decided on."""

import polars as pl
import pytest

from footprint.report.publication import columns
from footprint.report.publication.study import PATHS
from footprint.schemas.catalogue import TABLES


@pytest.mark.parametrize("table", sorted(columns.COLUMNS))
def test_every_column_is_treated_once(table: str) -> None:
    listed = [
        name
        for treatment in (columns.PUBLIC, columns.ROUNDED, columns.HIDDEN)
        for name in columns.columns_treated(table, treatment)
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(TABLES[table][0].column_names())


@pytest.mark.parametrize("table", sorted(columns.COLUMNS))
def test_no_column_names_a_job_or_person(table: str) -> None:
    shown = {
        name
        for treatment in (columns.PUBLIC, columns.ROUNDED)
        for name in columns.columns_treated(table, treatment)
    }
    assert not shown & {"job_id", "job_ids", "run_id", "user", "started_at", "stopped_at", "login"}


def test_tables_of_jobs_and_runs_are_not_listed() -> None:
    private = {"job_energy", "runs", "phase_of_job", "papers", "jobs"}
    assert private == set(PATHS) - set(columns.COLUMNS)


def test_unlisted_column_is_left_out_and_hidden_one_is_null() -> None:
    frame = pl.DataFrame({"basis": ["jobs"], "n_users": [7], "source": ["/home/me"], "new": [1]})
    found = columns.public_columns("active_users", frame)
    assert found.to_dicts() == [{"basis": "jobs", "n_users": 7, "source": None}]
    assert found.schema["source"] == pl.String
