"""Tests of the runs that may belong to a paper without a label, and of R with them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

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
ROLES = {"role": pl.String(), "role_basis": pl.String()}
OWNERS = {1: ("a", "/home/a/p"), 2: ("b", "/home/b/p"), 3: ("b", "/tmp"), 4: ("a", "/home/a/p")}
OWNERS |= {5: ("c", "/home/c"), 6: ("a", "/tmp"), 7: ("a", "/home/a/p"), 8: ("a", "/tmp")}
OWNERS |= {9: ("a", "/home/a/p")}


def sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


# Energy of runs 3, 4, 5 and 6, and their probabilities to belong to `p`. All commands are alike and
# show nothing; of the runs of b, half have the directory of run 3; of those of a three fifths
# have that of run 4.
EXPECTED = [
    # run 3: b; another directory; in the period; the same day; run 2 of b was in `p`
    (5.0, sigmoid(-2 - 2 + 1 + 1)),
    # run 4: a; directory of run 1; after the period; the same day; run 7 of a was in `other`
    (7.0, sigmoid(-2 + 4 * 2 / 5 - 2 + 1 - 1)),
    # run 5: c has no run of `p`, nor its directory
    (11.0, 0.0),
    # run 6: a; another project and directory; in the period; same day; run 1 or 7 before it
    (13.0, sigmoid(-2 - 2 - 2 + 1 - 1)),
]


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
    frame = pl.LazyFrame(timed(RUNS if runs is None else runs), RUN_SCHEMA | TIMES | ROLES)
    found: dict[tuple[str, str], list[int]] = {}
    rows = membership.unlabelled_runs_of_papers(frame, jobs).collect().rows()
    for paper, value, run_id, _ in rows:
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


def test_reported_run_without_a_paper_is_added_to_none_unless_it_is_assumed() -> None:
    def added(**role: str) -> set[int]:
        runs = [*RUNS[:3], run(4, "training_run", 7.0, paper=None, **role), *RUNS[4:]]
        found = added_runs(jobs_frame(), runs)
        return {run_id for (paper, _), ids in found.items() if paper == "p" for run_id in ids}

    reported = added(role="reported", role_basis="label")
    assert added(role="reported", role_basis="assumed") - reported == {4}
    assert added(role="other", role_basis="label") - reported == {4}


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
    frame = pl.LazyFrame(runs, RUN_SCHEMA | TIMES | ROLES)
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
        # all have the command of the paper: runs 3, 4 and 6 of its people
        "same_command": 4.5,
        # on the same day, in the same project: runs 3 and 4
        "same_period": 3.2,
        "likely": 2.0,
        "expected": pytest.approx(2.0 + sum(kwh * p / 10 for kwh, p in EXPECTED)),
    }


def test_added_trainings_are_development() -> None:
    rows = timed([*RUNS[:2], run(3, "training_run", 100.0, paper=None, hour=2.0)])
    found = ratios_of("membership", rows, LABELS[:1], jobs=jobs_frame())
    assert (found["labelled"], found["same_people"]) == (2.0, 12.0)


def probabilities(runs: list[Row], jobs: pl.LazyFrame) -> dict[tuple[str, int], float]:
    frame = pl.LazyFrame(timed(runs), RUN_SCHEMA | TIMES | ROLES)
    found = membership.unlabelled_runs_of_papers(frame, jobs).filter(value="expected").collect()
    return {(paper, run_id): weight for paper, _, run_id, weight in found.rows()}


def test_probability_of_each_run_equals_hand_computation() -> None:
    found = probabilities(RUNS, jobs_frame())
    for run_id, (_, probability) in zip((3, 4, 5, 6), EXPECTED, strict=True):
        assert found.get(("p", run_id), 0.0) == pytest.approx(probability)


def paper_jobs(*rows: tuple[int, str, str, str]) -> pl.LazyFrame:
    names = ("job_id", "user", "directory", "command")
    schema = Jobs.create_empty().schema
    return pl.LazyFrame(rows, {name: schema[name] for name in names}, orient="row")


TRAIN = "python train.py --config egs/p/v{}.yaml"
WORK = [
    *(run(i, "debug", 1.0, paper="p") for i in (1, 2, 3)),
    run(4, "debug", 1.0, paper=None, hour=2.5),
    run(5, "debug", 1.0, paper=None, hour=2.5),
]


def test_run_of_directory_command_and_person_between_labelled_ones_is_likely() -> None:
    rows = [(i, "a", "/home/a/p", TRAIN.format(i)) for i in (1, 2, 3, 4)]
    other = (5, "a", "/home/a/q", "python train.py --config egs/q/v1.yaml")
    jobs = paper_jobs(*rows, other)
    found = probabilities(WORK, jobs)
    # directory and command: 4 x 1 / 5 each; same day 1; two neighbours
    assert found["p", 4] == pytest.approx(sigmoid(-2 + 0.8 + 0.8 + 1 + 2))
    assert found["p", 5] == pytest.approx(sigmoid(-2 - 2 - 1 + 1 + 2))
    added = added_runs(jobs, WORK)
    assert added["p", "likely"] == added["p", "same_command"] == [4]
    assert added["p", "same_period"] == [4, 5]


def test_period_reaches_a_day_around_labelled_runs() -> None:
    rows = [(i, "a", "/home/a/p", "x") for i in (1, 2, 3, 4, 5)]
    runs = [*WORK[:3], WORK[3] | {"hour": 27.0}, WORK[4] | {"hour": 27.1}]
    assert added_runs(paper_jobs(*rows), runs)["p", "same_period"] == [4]


def test_run_that_may_belong_to_two_papers_counts_once() -> None:
    rows = [(i, "a", "/home/a/p", TRAIN.format(i)) for i in (1, 2, 3, 4, 5)]
    runs = [WORK[0], WORK[1], WORK[2] | {"paper": "other", "hour": 2.0}, *WORK[3:]]
    found = probabilities(runs, paper_jobs(*rows))
    for run_id in (4, 5):
        assert found["p", run_id] + found["other", run_id] <= 1 + 1e-12


def test_command_key_keeps_folders_of_settings() -> None:
    keys = {
        "./run.sh --stage 4 egs/dereverb/v012.yaml": "./run.sh egs/dereverb/",
        "python train.py --config=conf/a/x1.yaml": "python train.py --config=conf/a/",
        "python main.py --seed 3": "python main.py --seed",
        "python main.py conf.json": "python main.py",
    }
    for command, key in keys.items():
        assert pl.select(membership.command_key(pl.lit(command))).item() == key


LOGINS, FOLDERS = ("a", "b"), ("/home/a/p", "/home/b/q")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "p", "q"]),
            st.sampled_from(LOGINS),
            st.sampled_from(FOLDERS),
            st.sampled_from(["x", "y", None]),
            st.integers(0, 60),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_only_unlabelled_runs_are_added_with_probabilities(
    drawn: list[tuple[str | None, str, str, str | None, int]],
) -> None:
    runs = [run(i, "debug", 1.0, paper=row[0], hour=row[4]) for i, row in enumerate(drawn, 1)]
    jobs = paper_jobs(*((i, *row[1:4]) for i, row in enumerate(drawn, 1)))
    frame = pl.LazyFrame(timed(runs), RUN_SCHEMA | TIMES | ROLES)
    found = membership.unlabelled_runs_of_papers(frame, jobs).collect()
    unlabelled = {row["run_id"] for row in runs if row["paper"] is None}
    assert set(found["run_id"]) <= unlabelled
    assert found["weight"].is_between(0, 1).all()
    likely = found.filter(value="likely")
    assert (
        likely.join(found.filter(value="expected"), on=["paper", "run_id"])["weight_right"]
        .ge(0.5)
        .all()
    )
    assert (
        found.filter(value="expected")
        .group_by("run_id")
        .agg(pl.col("weight").sum())["weight"]
        .le(1 + 1e-9)
        .all()
    )
    # the order of the rows is of no importance
    shuffled = membership.unlabelled_runs_of_papers(frame.reverse(), jobs.reverse()).collect()
    assert_frame_equal(found, shuffled)
