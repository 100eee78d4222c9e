"""Tests of bins: edges, unknown values, crossed bins and their texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.phases.binned_features import (
    bin_counts,
    bin_features,
    bin_texts,
    columns_of_group,
    feature_names,
    withhold,
)
from footprint.phases.feature_bins import CROSSED, FEATURE_GROUPS, FEATURES
from tests.phases.test_classifier import HOUR, features_frame, histogram

pytestmark = pytest.mark.filterwarnings("error")
NAMES = feature_names()


def bin_of(feature: str, **row: object) -> int:
    return int(bin_features(features_frame(row))[0, NAMES.index(feature)])


def text_of(feature: str, **row: object) -> str:
    return bin_texts()[NAMES.index(feature)][bin_of(feature, **row)]


def test_value_at_an_edge_is_in_the_bin_above() -> None:
    edges = next(each for each in FEATURES if each.name == "ran").edges
    at = edges.index(1)
    assert bin_of("ran", ran_s=HOUR) == at + 2
    assert bin_of("ran", ran_s=HOUR - 1) == at + 1
    assert text_of("ran", ran_s=HOUR) == "ran 1 to 2 h"
    assert text_of("ran", ran_s=1.0) == "ran under 0.02 h"
    assert text_of("ran", ran_s=200 * HOUR) == "ran from 96 h"


def test_unknown_values_are_in_bin_0() -> None:
    assert bin_of("ran", ran_s=None) == 0
    assert bin_of("ended", ended=None) == 0
    assert bin_of("idle") == 0
    assert bin_of("prompt", prompt=None) == 0
    assert text_of("used_walltime") == "share of its walltime unknown"


def test_words_are_counted_up_to_several() -> None:
    texts = [text_of("name_trying", name_trying_words=number) for number in (None, 0, 1, 2, 5)]
    assert texts == [
        "words for trying in its name unknown",
        "no word for trying in its name",
        "word for trying in its name",
        *["words for trying in its name"] * 2,
    ]


def test_recipe_step_is_relative_to_the_longest() -> None:
    steps = [text_of("step", step=step, training_step=4) for step in (3, 4, 5)]
    assert steps == [f"recipe step {what} longest" for what in ("before the", "the", "after the")]


def test_no_feature_depends_on_the_walltime_alone() -> None:
    """Twice the walltime of everybody, for runs twice as long, is the same."""
    row = {"walltime_s": 4 * 3600, "ran_s": HOUR, "usual_walltime_ratio": 1.0}
    longer = {**row, "walltime_s": 40 * 3600}
    first, second = (bin_features(features_frame(each))[0] for each in (row, longer))
    differing = {NAMES[i] for i in np.flatnonzero(first != second)}
    assert differing == {"used_walltime"}


def test_names_are_unique_and_bins_fit_a_byte() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert max(bin_counts()) <= 256
    assert [len(texts) for texts in bin_texts()] == list(bin_counts())
    for each in FEATURES:
        assert each.group in FEATURE_GROUPS
        assert bool(each.edges) != bool(each.categories)
        assert list(each.edges) == sorted(each.edges)
    assert {name for x in CROSSED for name in (x.first, x.second)} <= set(NAMES)


def test_crossed_bins_have_the_texts_of_both() -> None:
    row = {"ran_s": HOUR, "gpu_histogram_s": histogram(s0=100), "histogram_basis": "gpu"}
    assert text_of("ran_x_idle", **row) == "ran 1 to 2 h, time at idle from 0.98"


def test_withhold_makes_features_of_groups_unknown_also_where_crossed() -> None:
    row = {"ran_s": HOUR, "gpu_histogram_s": histogram(s0=100), "histogram_basis": "gpu"}
    with_power = bin_features(features_frame(row))
    without = bin_features(features_frame({"ran_s": HOUR}))
    assert (withhold(with_power, ["power"]) == without).all()
    assert (with_power != without).any()
    assert columns_of_group("power")[0] == NAMES.index("power_basis")


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_bins_grow_with_the_value(values: list[float]) -> None:
    ordered = sorted(values)
    bins = bin_features(features_frame(*({"ran_s": each} for each in ordered)))
    column = bins[:, NAMES.index("ran")].astype(int)
    assert (np.diff(column) >= 0).all()
    assert column.min() >= 1
