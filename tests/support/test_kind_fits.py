"""Tests of the fit of weights and of its scores, on invented runs."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from footprint.phases.binned_features import columns_of_group, feature_names, withhold
from footprint.phases.kind_weights import SETTINGS, WEIGHED_KINDS, softmax
from tests.phases.test_classifier import HOUR, features_frame
from tests.support import kind_fits, kind_scores
from tests.support.kind_fits import LabelledRuns

pytestmark = pytest.mark.filterwarnings("error")
NAMES = feature_names()
TRAINING, DEBUG = WEIGHED_KINDS.index("training_run"), WEIGHED_KINDS.index("debug")


def invented_runs(n: int = 60) -> LabelledRuns:
    """Trainings of 10 h, 9 kWh, and debug runs of 2 minutes with 1 kWh in turn, on two sites."""
    rows = [
        {"ran_s": 10 * HOUR, "command_training_words": 1},
        {"ran_s": 120.0, "command_training_words": 0, "ended": "failed"},
    ]
    table = features_frame(*(rows[i % 2] for i in range(n))).collect()
    truth = pl.DataFrame(
        {
            "run_id": table["run_id"],
            "kind": ["training_run", "debug"] * (n // 2),
            "habit": [None, "crash_loop"] * (n // 2),
            "total_kwh": [9.0, 1.0] * (n // 2),
        }
    )
    half = n // 2
    parts = [
        kind_fits.labelled_runs(rows, truth, site=site)
        for site, rows in ((1, table.head(half)), (2, table.tail(n - half)))
    ]
    return kind_fits.concatenate(parts)


def with_holds(runs: LabelledRuns) -> LabelledRuns:
    """The runs, and twenty jobs that wait for 30 h with 9 kWh."""
    waits = features_frame(*[{"ran_s": 30 * HOUR, "waiting": True, "endless": True}] * 20).collect()
    truth = pl.DataFrame({"run_id": waits["run_id"], "kind": "idle_hold"})
    truth = truth.with_columns(total_kwh=pl.lit(9.0), habit=pl.lit(None, pl.String))
    return kind_fits.concatenate([runs, kind_fits.labelled_runs(waits, truth, site=1)])


def test_labelled_runs_keep_kind_energy_site_and_habit() -> None:
    runs = invented_runs(4)
    assert runs.kinds.tolist() == [TRAINING, DEBUG] * 2
    assert runs.kwh.tolist() == [9, 1, 9, 1]
    assert runs.sites.tolist() == [1, 1, 2, 2]
    assert runs.habits.tolist() == ["usual", "crash_loop"] * 2
    assert runs.ran_h.tolist() == pytest.approx([10, 1 / 30] * 2)


def test_example_weights_have_a_mean_of_1_at_each_site() -> None:
    runs = invented_runs()
    weights = kind_fits.example_weights(runs)
    for site in (1, 2):
        assert weights[runs.sites == site].mean() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx((9.05 / 1.05) ** 0.5)


def test_thinned_runs_keep_their_weight_in_expectation() -> None:
    runs = invented_runs(2000)
    left, weights = kind_fits.thinned(runs, np.random.default_rng(1))
    assert len(left.kinds) < 2000
    assert (left.kinds == TRAINING).sum() == 1000
    assert weights.sum() == pytest.approx(2000, rel=0.02)


def test_equal_walltimes_change_walltimes_alone_where_they_are_known() -> None:
    runs = invented_runs(2)
    assert (kind_fits.with_equal_walltimes(runs, 24.0).bins == runs.bins).all()
    bins = runs.bins.copy()
    bins[:, NAMES.index("limit_walltime")] = 2
    changed = kind_fits.with_equal_walltimes(runs.with_bins(bins), 20.0).bins
    differing = np.flatnonzero((changed != bins).any(axis=0))
    assert set(differing) <= set(columns_of_group("walltimes"))
    # 10 h of 20 h are in the bin from 0.3 to 0.6
    assert changed[0, NAMES.index("used_walltime")] == 4


def test_runs_without_energy_do_not_count_in_a_fit() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is in the group `fit`")
    runs = with_holds(invented_runs())
    preempted = replace(
        runs.take(runs.kinds == DEBUG), kwh=np.zeros(30), kinds=np.full(30, TRAINING)
    )
    both = kind_fits.concatenate([runs, preempted])
    fitted = [kind_fits.fit_weights(each, seed=1, origin={}) for each in (runs, both)]
    assert all(
        (alone == beside).all()
        for alone, beside in zip(fitted[0].weights, fitted[1].weights, strict=True)
    )


def test_fit_weights_finds_the_kinds_also_without_commands() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is in the group `fit`")
    runs = with_holds(invented_runs())
    weights = kind_fits.fit_weights(runs, seed=1, origin={}, penalty=1.0)
    for bins in (runs.bins, withhold(runs.bins, ["commands", "names"])):
        assert (weights.probabilities(bins).argmax(axis=1) == runs.kinds).all()
    again = kind_fits.fit_weights(runs, seed=1, origin={}, penalty=1.0)
    assert weights.to_json() == again.to_json()
    bound = kind_fits.MAX_NAME_WEIGHT + 1e-9
    assert all(np.abs(weights.weights[i]).max() <= bound for i in columns_of_group("names"))
    versioned = kind_fits.with_version(weights, dict.fromkeys(SETTINGS, 2.0))
    assert len(versioned.version) == 8
    assert versioned.version != kind_fits.with_version(weights, weights.temperatures).version


def test_calibrate_finds_the_temperature_of_exaggerated_sums() -> None:
    rng = np.random.default_rng(2)
    sums = rng.normal(size=(4000, len(WEIGHED_KINDS)))
    kinds = np.array([rng.choice(len(WEIGHED_KINDS), p=row) for row in softmax(sums)])
    bins = np.tile(invented_runs(2).bins[:1], (4000, 1))
    found = kind_fits.calibrate(3.0 * sums, bins, kinds, np.ones(4000))
    assert found["words"] == pytest.approx(3.0, rel=0.15)


def test_score_weighs_by_energy() -> None:
    runs = invented_runs(4)
    probabilities = np.zeros((4, len(WEIGHED_KINDS)))
    probabilities[:, TRAINING], probabilities[:, DEBUG] = 0.8, 0.2
    found = kind_scores.score(runs, probabilities)
    assert (found.right, found.training, found.worst) == pytest.approx((0.9, 0.9, 0.0))
    assert (found.development, found.unknown) == (0, 0)
    assert found.calibration_error == pytest.approx(0.1)
    assert kind_scores.recall_by_habit(runs, probabilities) == {
        "crash_loop": (2.0, 0.0),
        "usual": (18.0, 1.0),
    }


def test_reliability_has_mass_confidence_and_right_share_by_tenth() -> None:
    confidence, mass = np.array([0.55, 0.58, 1.0]), np.array([1.0, 3.0, 2.0])
    rows = kind_scores.reliability(confidence, np.array([True, False, True]), mass)
    assert rows == [
        pytest.approx((4.0, (0.55 + 3 * 0.58) / 4, 0.25)),
        pytest.approx((2.0, 1.0, 1.0)),
    ]
