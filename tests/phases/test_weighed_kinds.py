"""Tests of weights and of the kinds that follow from them, by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.phases.binned_features import (
    bin_counts,
    bin_features,
    columns_of_group,
    feature_names,
)
from footprint.phases.kind_weights import (
    SETTINGS,
    WEIGHED_KINDS,
    KindWeights,
    load_weights,
    settings_of,
    softmax,
)
from footprint.phases.weighed_kinds import (
    PROBABILITY_COLUMNS,
    VARIED_PROBABILITIES,
    WEIGHED_SCHEMA,
    weigh_runs,
    weigh_variants,
    with_labelled_kinds,
)
from tests.phases.test_classifier import HOUR, features_frame, histogram

pytestmark = pytest.mark.filterwarnings("error")
NAMES = feature_names()
TRAINING, INFERENCE = WEIGHED_KINDS.index("training_run"), WEIGHED_KINDS.index("inference_run")
OWN_GPU = {"histogram_basis": "gpu", "gpu_histogram_s": histogram(s20=100)}


def hand_weights(temperature: float = 1.0, **by_feature: dict[int, float]) -> KindWeights:
    """Weights for trainings alone, by feature and bin; all others are 0."""
    tables = [np.zeros((count, len(WEIGHED_KINDS))) for count in bin_counts()]
    for name, by_bin in by_feature.items():
        for row, weight in by_bin.items():
            tables[NAMES.index(name)][row, TRAINING] = weight
    return KindWeights(
        version="hand",
        weights=tuple(tables),
        intercepts=np.zeros(len(WEIGHED_KINDS)),
        temperatures=dict.fromkeys(SETTINGS, temperature),
        origin={"command": "by hand"},
    )


def weighed(weights: KindWeights, *rows: dict, **more: float) -> pl.DataFrame:
    return weigh_runs(features_frame(*rows), weights=weights, **more).collect()


def test_weigh_runs_without_weights_gives_equal_probabilities_and_unknown() -> None:
    row = weighed(hand_weights(), {}).row(0, named=True)
    assert [row[name] for name in PROBABILITY_COLUMNS] == pytest.approx([1 / 6] * 6, abs=1e-4)
    assert (row["kind"], row["features"]) == ("unknown", "")
    assert row["confidence"] == pytest.approx(1 / 6, abs=1e-4)


def test_weigh_runs_adds_weights_and_names_the_largest() -> None:
    # ran 1 to 2 h is bin 8, one GPU bin 3, completed bin 6
    weights = hand_weights(ran={8: 1.25}, gpus={3: 2.0}, ended={6: 0.5})
    row = weighed(weights, {"ran_s": HOUR}).row(0, named=True)
    expected = math.exp(3.75) / (math.exp(3.75) + 5)
    assert row["p_training_run"] == pytest.approx(expected, abs=1e-4)
    assert (row["kind"], row["confidence"]) == ("training_run", row["p_training_run"])
    assert row["features"] == "GPUs 0.99 to 1.5 (+2.0); ran 1 to 2 h (+1.2); ended completed (+0.5)"
    assert row["rule"] == "weights"


def test_weigh_runs_divides_by_the_temperature() -> None:
    row = weighed(hand_weights(2.0, gpus={3: 2.0}), {}).row(0, named=True)
    assert row["p_training_run"] == pytest.approx(math.e / (math.e + 5), abs=1e-4)
    assert row["features"] == "GPUs 0.99 to 1.5 (+1.0)"
    assert row["kind"] == "unknown"


def test_weigh_runs_below_min_probability_is_unknown() -> None:
    weights = hand_weights(gpus={3: 2.0})  # e^2 / (e^2 + 5) = 0.596
    assert weighed(weights, {})["kind"].item() == "training_run"
    assert weighed(weights, {}, min_probability=0.6)["kind"].item() == "unknown"


def test_weigh_runs_is_certain_of_runs_that_never_started_and_of_interactive_jobs() -> None:
    weights = hand_weights(gpus={3: 9.0})
    table = weighed(weights, {"n_jobs": 0}, {"interactive": True}, {"interactive": None})
    assert table["kind"].to_list() == [None, "interactive", "training_run"]
    assert table["confidence"].to_list()[:2] == [1, 1]
    assert table["p_interactive"].to_list()[:2] == [None, 1]
    assert table["rule"].to_list() == ["never_ran", "interactive", "weights"]
    assert table["features"].to_list()[:2] == ["", ""]


def test_weigh_runs_returns_schema_sorted_by_run_also_for_no_runs() -> None:
    frame = features_frame({}, {}, {}).sort("run_id", descending=True)
    table = weigh_runs(frame, weights=hand_weights()).collect()
    assert table.schema == WEIGHED_SCHEMA
    assert table["run_id"].to_list() == [1, 2, 3]
    assert weigh_runs(frame.clear(), weights=hand_weights()).collect().schema == WEIGHED_SCHEMA


def test_settings_of_tell_power_and_words_of_lists() -> None:
    words = {"command_trying_words": 0, "command_work": "training"}
    rows = ({**OWN_GPU, **words}, OWN_GPU, words, {"name_trying_words": 0})
    assert [SETTINGS[i] for i in settings_of(bin_features(features_frame(*rows)))] == list(SETTINGS)


def test_temperatures_apply_by_setting() -> None:
    weights = replace(
        hand_weights(gpus={3: 2.0}),
        temperatures={"power_and_words": 1.0, "power": 2.0, "words": 1.0, "neither": 4.0},
    )
    table = weighed(weights, OWN_GPU, {})
    expected = [math.exp(2 / t) / (math.exp(2 / t) + 5) for t in (2, 4)]
    assert table["p_training_run"].to_list() == pytest.approx(expected, abs=1e-4)


@given(st.lists(st.floats(-50, 50), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_softmax_sums_to_1_and_keeps_the_order(sums: list[float]) -> None:
    found = softmax(np.array([sums]))[0]
    assert found.sum() == pytest.approx(1)
    assert found.argmax() == int(np.argmax(sums)) or found.max() == found[int(np.argmax(sums))]


def test_weights_file_is_read_as_written() -> None:
    text = hand_weights(1.5, gpus={3: 2.125}).to_json()
    read = KindWeights.from_json(text, where="weights.json")
    assert read.to_json() == text
    assert read.weights[NAMES.index("gpus")][3, TRAINING] == 2.125
    assert read.temperatures["power"] == 1.5


def test_weights_file_of_other_bins_is_refused(tmp_path: Path) -> None:
    read = json.loads(hand_weights().to_json())
    read["features"][0]["edges"][0] = 0.5
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(read))
    with pytest.raises(InputError, match="ran") as caught:
        load_weights(path)
    assert "fit_kinds.py" in str(caught.value)


@pytest.mark.parametrize("part", ["intercepts", "temperatures", "features"])
def test_weights_file_with_a_value_that_is_no_number_is_refused(part: str) -> None:
    read = json.loads(hand_weights().to_json())
    if part == "features":
        read[part][0]["weights"][1][2] = math.nan
    elif part == "intercepts":
        read[part][0] = math.inf
    else:
        read[part]["power"] = math.nan
    name = read["features"][0]["name"] if part == "features" else part
    with pytest.raises(InputError, match=f"a value of {name} is not a finite number"):
        KindWeights.from_json(json.dumps(read), where="weights.json")


def test_with_labelled_kinds_gives_the_label_probability_1() -> None:
    found = weigh_runs(features_frame({}, {}, {"n_jobs": 0}), weights=hand_weights(gpus={3: 2.0}))
    labels = pl.LazyFrame({"run_id": [1, 3], "kind": ["debug", "debug"]})
    table = with_labelled_kinds(found, labels).collect()
    assert table.schema == WEIGHED_SCHEMA
    assert table["kind"].to_list() == ["debug", "training_run", None]
    assert table["rule"].to_list() == ["label", "weights", "never_ran"]
    first = table.row(0, named=True)
    assert (first["confidence"], first["p_debug"], first["p_training_run"]) == (1, 1, 0)
    unknown = pl.LazyFrame({"run_id": [1], "kind": ["unknown"]})
    kept = with_labelled_kinds(found, unknown).collect().row(0, named=True)
    assert (kept["kind"], kept["confidence"]) == ("unknown", 1)
    assert kept["p_debug"] == found.collect()["p_debug"][0]


def test_weigh_variants_give_unknown_below_each_probability() -> None:
    found = weigh_runs(features_frame({}, {"n_jobs": 0}), weights=hand_weights(gpus={3: 2.0}))
    table = weigh_variants(found).collect()
    assert table["variant"].to_list() == [i for i in range(len(VARIED_PROBABILITIES)) for _ in "ab"]
    # e^2 / (e^2 + 5) = 0.596
    expected = ["training_run" if limit <= 0.596 else "unknown" for limit in VARIED_PROBABILITIES]
    assert table.filter(run_id=1)["kind"].to_list() == expected
    assert table.filter(run_id=2)["kind"].null_count() == len(VARIED_PROBABILITIES)


def test_weights_of_the_repository_fit_the_code_and_have_an_origin() -> None:
    weights = load_weights()
    assert "fit_kinds.py" in weights.origin["command"]
    assert {"seeds", "runs", "scikit-learn"} <= set(weights.origin)
    assert all(value >= 0.5 for value in weights.temperatures.values())


def largest_contrast(group: str) -> float:
    """Largest difference that features of a group make between training and inference."""
    tables = load_weights().weights
    return sum(
        float(np.ptp(tables[i][:, TRAINING] - tables[i][:, INFERENCE]))
        for i in columns_of_group(group)
    )


def test_all_words_of_a_name_weigh_less_than_half_of_power() -> None:
    assert largest_contrast("names") < 0.5 * largest_contrast("power")
