"""Tests of twenty labelled groups on simulated sites: the runs without a label become right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import pytest

from tests.support.labelled_sites import WALLTIMES, WORDS, LabelledSite, Outcome

pytestmark = pytest.mark.filterwarnings("error")

N_GROUPS = 20
SEEDS = (101, 111, 112, 113)


def mean_outcome(folder: Path, *, withheld: Sequence[str]) -> Outcome:
    """Means of the outcomes of all seeds: labels make some sites better and some worse."""
    found = [LabelledSite(seed, withheld=withheld).label(N_GROUPS, folder) for seed in SEEDS]
    return Outcome(*(fmean(values) for values in zip(*found, strict=True)))


def test_twenty_groups_leave_the_rest_as_right_as_it_was(tmp_path: Path) -> None:
    # Commands, names and power do not inform.
    found = mean_outcome(tmp_path, withheld=WORDS)
    assert 0.5 < found.labelled_frac < 0.75
    # labels of the runs in doubt hardly change the others, whose kinds are mostly right
    assert found.after_frac >= found.before_frac - 0.005
    assert found.all_after_frac >= found.all_before_frac


def test_twenty_groups_improve_the_rest_where_nothing_informs(tmp_path: Path) -> None:
    # Neither do walltimes.
    found = mean_outcome(tmp_path, withheld=(*WORDS, *WALLTIMES))
    assert found.after_frac > found.before_frac
    assert found.all_after_frac > found.all_before_frac + 0.01
