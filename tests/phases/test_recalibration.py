"""Tests of the recalibration of kinds by labelled runs of the command, user and project."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.phases import recalibration
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS

pytestmark = pytest.mark.filterwarnings("error")

SCHEMA = {
    "run_id": pl.Int64,
    "user": pl.String,
    "project": pl.String,
    "group": pl.String,
    "kind": pl.String,
    "confidence": pl.Float64,
    "total_kwh": pl.Float64,
}


def run(run_id: int, user: str, group: str | None, **more: Any) -> dict[str, Any]:
    """A run that is found to be a training with the confidence 0.7."""
    usual = {"project": "q", "kind": "training_run", "confidence": 0.7, "total_kwh": 1.0}
    return {"run_id": run_id, "user": user, "group": group} | usual | more


def weighed(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Runs whose kind has their confidence; other kinds share the rest, all of them if unknown."""
    kind, confidence = pl.col("kind"), pl.col("confidence")
    others = (1.0 - confidence) / (len(WEIGHED_KINDS) - 1)
    return pl.DataFrame(rows, SCHEMA).with_columns(
        pl.when(kind.is_in(WEIGHED_KINDS).fill_null(False))
        .then(pl.when(kind == name).then(confidence).otherwise(others))
        .otherwise(1.0 / len(WEIGHED_KINDS))
        .alias(f"p_{name}")
        for name in WEIGHED_KINDS
    )


def recalibrated(rows: list[dict[str, Any]], labels: dict[int, str]) -> pl.DataFrame:
    runs = weighed(rows)
    kinds = pl.DataFrame(
        list(labels.items()), {"run_id": pl.Int64, "kind": pl.String}, orient="row"
    )
    return recalibration.recalibrate(runs, kinds)


def probabilities(found: pl.DataFrame, run_id: int) -> dict[str, float]:
    (row,) = found.filter(run_id=run_id).select(PROBABILITY_COLUMNS).to_dicts()
    return {name.removeprefix("p_"): value for name, value in row.items()}


def spread(training: float, inference: float) -> Any:
    other = (1 - training - inference) / 4
    values = {"training_run": training, "inference_run": inference}
    return pytest.approx({kind: values.get(kind, other) for kind in WEIGHED_KINDS})


LABELLED = [
    run(1, "amy", "A", total_kwh=3.0),
    run(2, "amy", "A", total_kwh=1.0),
    run(4, "bob", "B", total_kwh=5.0),
]
LABELS = {1: "inference_run", 2: "training_run", 4: "training_run"}


def test_recalibrate_run_of_labelled_command() -> None:
    # Project without amy: command B, once training.     p = (20 x 0.7 + 1) / 21; 1.2 / 21
    # Amy without command A: no label.
    # Command A: 2 runs, 3 of 4 kWh inference: n = 1.5 inference, 0.5 training.
    #     training (2 x 15 / 21 + 0.5) / 4; inference (2 x 1.2 / 21 + 1.5) / 4
    found = recalibrated([*LABELLED, run(3, "amy", "A")], LABELS)
    assert probabilities(found, 3) == spread((30 / 21 + 0.5) / 4, (2.4 / 21 + 1.5) / 4)
    assert found["recalibrated"].to_list() == [True] * 4


def test_recalibrate_run_of_other_command_of_user() -> None:
    # Project without amy: 15 / 21 and 1.2 / 21, as above.
    # Amy: command A is one observation, 0.75 inference and 0.25 training:
    #     training (20 x 15 / 21 + 0.25) / 21; inference (20 x 1.2 / 21 + 0.75) / 21
    rows = [*LABELLED, run(5, "amy", "C"), run(6, "amy", None)]
    found = recalibrated(rows, LABELS)
    expected = spread((300 / 21 + 0.25) / 21, (24 / 21 + 0.75) / 21)
    assert probabilities(found, 5) == expected
    assert probabilities(found, 6) == expected


def test_recalibrate_run_of_other_user_of_project() -> None:
    # Commands A and B are two observations: 1.25 training, 0.75 inference:
    #     training (20 x 0.7 + 1.25) / 22; inference (20 x 0.06 + 0.75) / 22
    found = recalibrated([*LABELLED, run(7, "carl", "A")], LABELS)
    assert probabilities(found, 7) == spread(15.25 / 22, 1.95 / 22)


def test_probability_that_is_no_number_is_refused() -> None:
    runs = weighed([*LABELLED, run(3, "amy", "A")]).with_columns(
        p_debug=pl.when(pl.col("run_id") == 3).then(float("nan")).otherwise("p_debug")
    )
    kinds = pl.DataFrame({"run_id": [1], "kind": ["debug"]})
    with pytest.raises(ValueError, match="of the run 3 are not numbers"):
        recalibration.recalibrate(runs, kinds)


def test_recalibrate_other_project_or_other_found_kind_is_unchanged() -> None:
    rows = [
        *LABELLED,
        run(7, "carl", "A", project="other"),
        run(8, "carl", "A", project=None),
        run(9, "amy", "A", kind="debug"),
        run(10, "amy", "A", kind=None),
    ]
    found = recalibrated(rows, LABELS)
    runs = weighed(rows)
    unchanged = pl.col("run_id") >= 7
    assert found.filter(unchanged)["recalibrated"].to_list() == [False] * 4
    assert (
        found.filter(unchanged)
        .select(PROBABILITY_COLUMNS)
        .equals(runs.filter(unchanged).select(PROBABILITY_COLUMNS))
    )


def test_recalibrate_labels_of_unknown_kind_or_without_energy() -> None:
    # `unknown` has no probability. Runs without energy count the same: n = 1 of each kind.
    rows = [run(i, "amy", "A", total_kwh=None) for i in range(1, 5)]
    found = recalibrated(rows, {1: "unknown", 2: "training_run", 3: "inference_run"})
    assert probabilities(found, 4) == spread(2.4 / 4, 1.12 / 4)
    none = recalibrated(rows, {1: "unknown"})
    assert not none["recalibrated"].any()


def test_decide_kinds_replaces_kinds_of_half_the_probability() -> None:
    # Three labelled runs of the command A are inference: (2 x 0.06 + 3) / 5 = 0.624.
    # One labelled run of the command B of user bob is inference: (2 x 0.06 + 1) / 3 = 0.3733, too
    # little, as is the training with (2 x 0.7) / 3 = 0.4667.
    rows = [run(i, "amy", "A") for i in range(1, 5)]
    rows += [run(i, "bob", "B", project="r") for i in (5, 6)]
    rows += [run(7, "carl", "C", project="s")]
    rows += [run(8, "dan", "D", project="t", kind="unknown", confidence=0.0) for _ in range(1)]
    rows += [run(9, "dan", "D", project="t", kind="unknown", confidence=0.0)]
    labels = dict.fromkeys([1, 2, 3, 5], "inference_run") | {8: "debug"}
    found = recalibrated(rows, labels)
    classified = weighed(rows).with_columns(rule=pl.lit("weights"), features=pl.lit("ran (+1)"))
    decided = recalibration.decide_kinds(classified, found, min_probability=0.5)
    assert decided.columns == classified.columns
    expected = {
        4: ("inference_run", "recalibrated", 0.624),
        6: ("unknown", "recalibrated", 1.4 / 3),
        7: ("training_run", "weights", 0.7),
        # (2 / 6 + 1) / 3 = 0.44: not enough for an unknown run
        9: ("unknown", "recalibrated", 4 / 9),
    }
    for run_id, (kind, rule, confidence) in expected.items():
        row = decided.filter(run_id=run_id).row(0, named=True)
        assert (row["kind"], row["rule"]) == (kind, rule)
        assert row["confidence"] == pytest.approx(confidence)


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[int, str]]:
    names = st.sampled_from(["a", "b", "c"])
    rows = [
        run(
            run_id,
            draw(names),
            draw(st.sampled_from([None, "A", "B"])),
            project=draw(st.sampled_from([None, "q", "r"])),
            kind=draw(st.sampled_from([None, "unknown", *WEIGHED_KINDS])),
            total_kwh=draw(st.sampled_from([None, 0.0, 0.3, 7.1])),
        )
        for run_id in range(draw(st.integers(1, 15)))
    ]
    labels = draw(st.dictionaries(st.integers(0, 14), st.sampled_from(WEIGHED_KINDS), max_size=8))
    return rows, labels


@given(studies())
def test_recalibrate_gives_probabilities_in_any_order(
    study: tuple[list[dict[str, Any]], dict[int, str]],
) -> None:
    rows, labels = study
    found = recalibrated(rows, labels)
    assert found["run_id"].to_list() == [row["run_id"] for row in rows]
    assert found.select(
        pl.sum_horizontal(PROBABILITY_COLUMNS)
    ).to_series().to_list() == pytest.approx([1.0] * len(rows))
    assert found.select(pl.min_horizontal(PROBABILITY_COLUMNS).min()).item() >= 0
    again = recalibrated(rows[::-1], dict(reversed(labels.items())))
    assert again.sort("run_id").equals(found)
    if not labels:
        assert not found["recalibrated"].any()
