"""Tests of twenty labelled groups on simulated sites: the runs without a label become right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.labelled_sites import WALLTIMES, WORDS, LabelledSite

pytestmark = pytest.mark.filterwarnings("error")

N_GROUPS = 20


def test_twenty_groups_leave_the_rest_as_right_as_it_was(tmp_path: Path) -> None:
    # Commands, names and power do not inform.
    found = LabelledSite(101, withheld=WORDS).label(N_GROUPS, tmp_path)
    assert 0.5 < found.labelled_frac < 0.75
    # labels of the runs in doubt hardly change the others, whose kinds are mostly right
    assert found.after_frac >= found.before_frac - 0.005
    assert found.all_after_frac >= found.all_before_frac


def test_twenty_groups_improve_the_rest_where_nothing_informs(tmp_path: Path) -> None:
    # Neither do walltimes.
    found = LabelledSite(101, withheld=(*WORDS, *WALLTIMES)).label(N_GROUPS, tmp_path)
    assert found.after_frac > found.before_frac
    assert found.all_after_frac > found.all_before_frac + 0.01
