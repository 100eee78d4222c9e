"""Tests of features from similar runs and from the walltimes of a person and a queue."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.phases import similar_runs
from tests.phases.test_features import HOUR, features_of_runs, job

pytestmark = pytest.mark.filterwarnings("error")


def test_similar_runs_have_one_user_and_script() -> None:
    table = features_of_runs(
        job(1, ran_s=1 * HOUR),
        job(2, 5 * HOUR, ran_s=3 * HOUR, exit_code=256),
        job(3, 20 * HOUR, ran_s=8 * HOUR),
        job(4, ran_s=HOUR, user="alder"),
        job(5, ran_s=HOUR, command="./other.sh"),
    )
    assert table["group_id"].to_list() == [1, 1, 1, 4, 5]
    assert table["n_similar"].to_list() == [3, 3, 3, 1, 1]
    assert table["similar_median_s"].to_list()[:3] == [3 * HOUR] * 3
    assert table["similar_longest_s"].to_list()[0] == 8 * HOUR
    assert table["similar_failed_frac"].to_list()[:4] == pytest.approx([1 / 3] * 3 + [0])
    assert table["n_person_runs"].to_list() == [4, 4, 4, 1, 4]
    assert table["person_longest_s"].to_list()[4] == 8 * HOUR


def test_hours_between_similar_runs_are_from_end_to_start_and_not_below_0() -> None:
    table = features_of_runs(
        job(1, ran_s=1 * HOUR), job(2, 3 * HOUR, ran_s=2 * HOUR), job(3, 4 * HOUR, ran_s=HOUR)
    )
    assert table["after_similar_h"].to_list() == pytest.approx([None, 2, 0])
    assert table["before_similar_h"].to_list() == pytest.approx([2, 0, None])


def test_runs_without_command_are_similar_by_name_and_without_both_unknown() -> None:
    table = features_of_runs(
        job(1, command=None, name="a"),
        job(2, HOUR, command=None, name="a"),
        job(3, 2 * HOUR, command=None),
    )
    assert table["n_similar"].to_list() == [2, 2, None]
    assert table["after_similar_h"].to_list()[2] is None


def test_run_that_never_started_is_no_similar_run() -> None:
    table = features_of_runs(job(1), job(2, ran_s=None))
    assert table["n_similar"].to_list() == [1, 1]


def test_walltimes_are_relative_to_person_and_queue() -> None:
    table = features_of_runs(
        *(job(i, walltime_s=4 * HOUR) for i in (1, 2, 3)),
        job(4, walltime_s=24 * HOUR),
        job(5, user="alder", walltime_s=48 * HOUR),
        job(6, user="alder", walltime_s=12 * HOUR, queue="besteffort"),
    )
    assert table["usual_walltime_ratio"].to_list() == [1, 1, 1, 6, None, None]
    assert table["same_walltime_frac"].to_list() == [0.75, 0.75, 0.75, 0.25, None, None]
    assert table["limit_walltime_frac"].to_list() == pytest.approx(
        [1 / 12, 1 / 12, 1 / 12, 0.5, 1, 1]
    )


def test_runs_of_unknown_users_are_not_those_of_one_person() -> None:
    of_nobody = {"user": None, "walltime_s": 4 * HOUR}
    table = features_of_runs(*(job(i, i * HOUR, ran_s=HOUR, **of_nobody) for i in range(1, 6)))
    for column in similar_runs.SIMILAR_RUN_COLUMNS:
        if column not in ("limit_walltime_frac", "submitted_hour", "submitted_weekend"):
            assert table[column].to_list() == [None] * 5, column
    # the queue is known
    assert table["limit_walltime_frac"].to_list() == [1.0] * 5


@given(st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_relative_walltimes_of_equal_requests_do_not_depend_on_the_request(
    first_h: int, second_h: int
) -> None:
    columns = ["usual_walltime_ratio", "same_walltime_frac", "limit_walltime_frac"]
    first, second = (
        features_of_runs(*(job(i, walltime_s=hours * HOUR) for i in range(1, 5))).select(columns)
        for hours in (first_h, second_h)
    )
    assert first.equals(second)


def test_submission_hour_is_local() -> None:
    table = features_of_runs(job(1, 8 * HOUR), job(2, 5 * 24 * HOUR + 23 * HOUR))
    # 3 March 2025 is a Monday, an hour after UTC
    assert table["submitted_hour"].to_list() == [9, 0]
    assert table["submitted_weekend"].to_list() == [False, True]


def power_frame(*rows: tuple[int | None, float | None]) -> pl.DataFrame:
    schema: dict[str, Any] = {"group_id": pl.Int64, "own_power_frac": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_add_similar_power_returns_mean_of_the_others() -> None:
    table = similar_runs.add_similar_power(
        power_frame((1, 0.2), (1, 0.4), (1, None), (2, 0.6), (2, None), (3, 0.5), (None, 0.1))
    )
    assert table["similar_power_frac"].to_list() == pytest.approx(
        [0.4, 0.2, 0.3, None, 0.6, None, None]
    )


def test_count_words_of_command_and_name() -> None:
    command = "torchrun train.py --epochs 3 && debug.py"
    row = features_of_runs(job(1, command=command, name="toy-try")).row(0, named=True)
    assert (row["command_tuning_words"], row["command_trying_words"]) == (2, 1)
    assert (row["name_tuning_words"], row["name_trying_words"]) == (0, 2)
    assert features_of_runs(job(1, command="a"))["name_trying_words"].to_list() == [None]


def test_interval_of_days_between_similar_runs() -> None:
    late = timedelta(days=4).total_seconds()
    assert features_of_runs(job(1, ran_s=HOUR), job(2, late))["after_similar_h"][
        1
    ] == pytest.approx(95)
