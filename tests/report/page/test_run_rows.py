"""Runs of the page: their names in the levels, and weeks in place of very many runs."""

import polars as pl
import pytest

from footprint.core.vocabulary import NO_PROJECT, OTHERS, SMALL_GROUPS
from footprint.report.page import run_rows
from tests.report.page.inputs import job_energy_of, level, levels_frame, run, runs_frame

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = levels_frame(
    level("nancy", "site", 60.0),
    level("speech", "project", 40.0),
    level(NO_PROJECT, "project", 5.0),
    level("u-1", "user", 40.0),
    level("enhancement", "paper", 40.0),
)
PAPERS = pl.DataFrame({"job_id": [1, 2, 3], "paper": ["enhancement", "enhancement", "hidden"]})


def page_runs(*rows: dict) -> pl.DataFrame:
    frame = runs_frame(*rows)
    return run_rows.runs_of_page(frame, job_energy_of(frame), PAPERS, LEVELS)


def test_runs_of_page_have_only_names_that_the_levels_have() -> None:
    found = page_runs(
        run(1, 30.0),
        run(3, 20.0, user="u-2", project="tiny"),
        run(4, 5.0, project=None),
    )
    assert found.select("run_id", "user", "project", "paper").rows() == [
        (1, "u-1", "speech", "enhancement"),
        (3, OTHERS, SMALL_GROUPS, SMALL_GROUPS),
        (4, "u-1", NO_PROJECT, None),
    ]


def test_runs_of_page_are_the_largest_first_and_unknown_last() -> None:
    found = page_runs(run(4, None), run(1, 5.0), run(2, 30.0), run(5, 1.0, kind=None))
    assert found["run_id"].to_list() == [2, 1, 4]


def test_run_of_several_jobs_has_the_paper_of_its_first_labelled_job() -> None:
    frame = runs_frame(run(0, 5.0, job_ids=[0, 2]))
    jobs = pl.DataFrame({"job_id": [0, 2], "clusters": [["b"], ["a", "b"]]})
    found = run_rows.runs_of_page(frame, jobs, PAPERS, LEVELS).row(0, named=True)
    assert (found["paper"], found["clusters"]) == ("enhancement", "a, b")


def test_grouped_runs_add_up_by_week_person_and_phase() -> None:
    rows = [run(1, 30.0), run(2, 10.0, at_h=24), run(4, 5.0, at_h=200), run(5, None, at_h=201)]
    rows += [run(6, 7.0, phase="training")]
    found = run_rows.grouped_runs(page_runs(*rows))
    texts = found.select(pl.col("week").cast(pl.String), "phase", "paper", "n_runs", "total_kwh")
    assert texts.rows() == [
        ("2025-03-03", "development", "enhancement", 2, 40.0),
        ("2025-03-03", "training", None, 1, 7.0),
        ("2025-03-10", "development", None, 2, 5.0),
    ]
    assert found["measured_frac"].to_list() == [1.0, 1.0, 1.0]
