"""Tests of the exit-state rule: completed runs are mature, all others development."""

import polars as pl
import pytest

from footprint.phases import baseline
from footprint.phases.features import ENDED_TYPE

pytestmark = pytest.mark.filterwarnings("error")


def test_classify_by_exit_state_of_each_ending_returns_published_kind_and_phase() -> None:
    ended = ["completed", "cancelled", "failed", "walltime", "killed", "running", None]
    rows = pl.LazyFrame({"run_id": range(7, 0, -1), "ended": pl.Series(ended, dtype=ENDED_TYPE)})
    classified = baseline.classify_by_exit_state(rows).collect()
    assert classified.rows() == [
        (1, None, None),
        (2, "unknown", "unknown"),
        (3, "training_run", "development"),
        (4, "interactive", "development"),
        (5, "debug", "development"),
        (6, "training_run", "development"),
        (7, "training_run", "training"),
    ]


def test_classify_everything_as_training_leaves_out_runs_that_never_started() -> None:
    ended = pl.Series(["failed", None], dtype=ENDED_TYPE)
    classified = baseline.classify_everything_as_training(
        pl.LazyFrame({"run_id": [2, 1], "ended": ended})
    ).collect()
    assert classified.rows() == [(1, None, None), (2, "training_run", "training")]


def test_kind_and_phase_by_ending_covers_every_ending() -> None:
    assert set(baseline.KIND_AND_PHASE_BY_ENDING) == set(ENDED_TYPE.categories)
