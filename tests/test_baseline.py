"""The exit-state rule: completed is mature, everything else development."""

import polars as pl
import pytest

from footprint.phases import baseline
from footprint.phases.evidence import ENDED

pytestmark = pytest.mark.filterwarnings("error")


def test_each_exit_state_has_the_kind_and_phase_that_were_published() -> None:
    ended = ["completed", "cancelled", "failed", "walltime", "killed", "running", None]
    rows = pl.LazyFrame({"run_id": range(7, 0, -1), "ended": pl.Series(ended, dtype=ENDED)})
    told = baseline.kinds(rows).collect()
    assert told.rows() == [
        (1, None, None),
        (2, "unknown", "unknown"),
        (3, "training_run", "development"),
        (4, "interactive", "development"),
        (5, "debug", "development"),
        (6, "training_run", "development"),
        (7, "training_run", "training"),
    ]


def test_every_ending_has_a_rule() -> None:
    assert set(baseline.OF_ENDING) == set(ENDED.categories)
