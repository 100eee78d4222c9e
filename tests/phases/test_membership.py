"""Tests of the runs that may belong to a paper without a label, and of R with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from footprint.core.vocabulary import SMALL_GROUPS
from footprint.phases import membership
from footprint.schemas.raw import Jobs
from tests.phases.test_ratio import LABELS, RUN_SCHEMA, Row, run
from tests.phases.test_sensitivities import T0, TIMES, ratios_of

pytestmark = pytest.mark.filterwarnings("error")

RUNS = [
    # of the paper: hours 1 to 3
    run(1, "training_run", 10.0),
    run(2, "debug", 20.0),
    # unlabelled: the same person and project, within the span
    run(3, "debug", 5.0, paper=None, hour=2.0),
    # the same person after the span, from the paper's directory
    run(4, "debug", 7.0, paper=None, hour=9.0),
    # another person within the span, from another directory
    run(5, "debug", 11.0, paper=None, hour=2.0),
    # the same person in another project within the span
    run(6, "debug", 13.0, paper=None, project="other", hour=2.0),
    # of another paper: never added
    run(7, "debug", 17.0, paper="other", hour=2.0),
    # of unknown kind, the same person within the span: not in R
    run(8, "unknown", 19.0, paper=None, hour=2.0),
    # never started
    run(9, None, None, paper=None, hour=2.0),
]
OWNERS = {1: ("a", "/home/a/p"), 2: ("b", "/home/b/p"), 3: ("b", "/tmp"), 4: ("a", "/home/a/p")}
OWNERS |= {5: ("c", "/home/c"), 6: ("a", "/tmp"), 7: ("a", "/home/a/p"), 8: ("a", "/tmp")}
OWNERS |= {9: ("a", "/home/a/p")}


def jobs_frame(**commands: str) -> pl.LazyFrame:
    """Jobs of the runs; a run of `commands` (`run_4="x"`) has a command and no directory."""
    rows = [
        {"job_id": i, "user": user, "directory": directory, "command": "python train.py"}
        | ({"directory": None, "command": commands[f"run_{i}"]} if f"run_{i}" in commands else {})
        for i, (user, directory) in OWNERS.items()
    ]
    schema = Jobs.create_empty().schema
    names = ("job_id", "user", "directory", "command")
    return pl.LazyFrame(rows, {name: schema[name] for name in names})


def timed(rows: list[Row]) -> list[Row]:
    """Runs that start at `hour`, else at the hour of their number, and last one hour."""
    found = []
    for row in rows:
        start = T0 + timedelta(hours=row.get("hour", row["run_id"]))
        times: dict[str, Any] = {"started_at": start, "stopped_at": start + timedelta(hours=1)}
        found.append({k: v for k, v in row.items() if k != "hour"} | times)
    return found


def added_runs(
    jobs: pl.LazyFrame, runs: list[Row] | None = None
) -> dict[tuple[str, str], list[int]]:
    frame = pl.LazyFrame(timed(RUNS if runs is None else runs), RUN_SCHEMA | TIMES)
    found: dict[tuple[str, str], list[int]] = {}
    for paper, value, run_id in membership.unlabelled_runs_of_papers(frame, jobs).collect().rows():
        found.setdefault((paper, value), []).append(run_id)
    return found


def test_unlabelled_runs_of_paper_are_of_its_people_or_folders() -> None:
    found = added_runs(jobs_frame())
    assert found["p", "same_people"] == [3, 8]
    assert found["p", "same_folder"] == [4]
    assert found["p", "same_people_or_folder"] == [3, 4, 8]
    # the paper `other` has run 7 of a, from the same directory
    assert found["other", "same_people"] == [8]
    assert found["other", "same_folder"] == [4]


def test_runs_of_unknown_directory_are_added_by_owner_and_command() -> None:
    same = jobs_frame(run_4="python train.py")
    assert added_runs(same)["p", "same_folder"] == [4]
    for jobs in (jobs_frame(run_4="sleep 1"), jobs_frame(run_5="python train.py")):
        assert ("p", "same_folder") not in added_runs(jobs) or 5 not in added_runs(jobs)[
            "p", "same_folder"
        ]


def test_paper_with_a_running_run_has_no_end_of_its_span() -> None:
    runs = timed([*RUNS[:3], run(4, "debug", 7.0, paper=None, hour=90.0)])
    runs[1]["stopped_at"] = None
    frame = pl.LazyFrame(runs, RUN_SCHEMA | TIMES)
    found = membership.unlabelled_runs_of_papers(frame, jobs_frame()).collect()
    assert found.filter(value="same_people")["run_id"].to_list() == [3, 4]


def test_runs_of_merged_groups_add_nothing() -> None:
    small = [dict(row) for row in RUNS[:4]]
    for row in small[:2]:
        row["paper"] = SMALL_GROUPS
    assert added_runs(jobs_frame(), small) == {}


def test_ratio_with_added_runs_equals_hand_computation() -> None:
    found = ratios_of("membership", timed(RUNS), LABELS[:1], jobs=jobs_frame())
    # 20 / 10; with run 3 (5 kWh); with run 4 (7 kWh); with both. Run 8 is of unknown kind.
    assert found == {
        "labelled": 2.0,
        "same_people": 2.5,
        "same_folder": 2.7,
        "same_people_or_folder": 3.2,
    }


def test_added_trainings_are_development() -> None:
    rows = timed([*RUNS[:2], run(3, "training_run", 100.0, paper=None, hour=2.0)])
    found = ratios_of("membership", rows, LABELS[:1], jobs=jobs_frame())
    assert (found["labelled"], found["same_people"]) == (2.0, 12.0)
