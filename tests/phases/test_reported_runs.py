"""Tests of reported runs whose kind no label gives and the classifier is unsure of."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from footprint.phases import reported_runs
from footprint.phases.reported_runs import DIFFERENT_KINDS, LOW_CONFIDENCE
from tests.phases.test_roles import labels_frame

pytestmark = pytest.mark.filterwarnings("error")

SCHEMA = {
    "run_id": pl.Int64,
    "project": pl.String,
    "kind": pl.String,
    "confidence": pl.Float64,
}


def run(run_id: int, kind: str | None, confidence: float, project: str = "q") -> dict[str, Any]:
    return {"run_id": run_id, "kind": kind, "confidence": confidence, "project": project}


def uncertain(runs: list[dict[str, Any]], *labels: dict[str, Any]) -> dict[int, str]:
    found = reported_runs.uncertain_reported_runs(pl.LazyFrame(runs, SCHEMA), labels_frame(*labels))
    return dict(found.iter_rows())


def test_reported_run_below_confidence_is_uncertain() -> None:
    runs = [run(1, "training_run", 0.89), run(2, "training_run", 0.9), run(3, None, 1.0)]
    labels = [{"run_id": i, "paper": "p", "role": "reported"} for i in (1, 2, 3)]
    assert uncertain(runs, *labels) == {1: LOW_CONFIDENCE}


@pytest.mark.parametrize(
    "label",
    [
        {"role": "reported", "kind": "training_run"},
        {"role": "reported", "phase": "inference"},
        {"role": "other"},
        {},
    ],
)
def test_labelled_kind_or_phase_or_other_role_is_certain(label: dict[str, str]) -> None:
    assert uncertain([run(1, "training_run", 0.1)], {"run_id": 1, "paper": "p"} | label) == {}


def test_reported_runs_of_different_kinds_are_uncertain_within_their_paper() -> None:
    kinds = ["training_run", "inference_run"]
    runs = [run(i, kinds[i % 2], 0.95) for i in range(6)]
    papers = ["p", "p", "q", None, None, "r"]
    labels = [{"run_id": i, "paper": paper, "role": "reported"} for i, paper in enumerate(papers)]
    # Runs 0 and 1 are of one paper; 3 and 4 have no paper, and are of one project.
    assert uncertain(runs, *labels) == dict.fromkeys([0, 1, 3, 4], DIFFERENT_KINDS)
    labels[0]["kind"] = "training_run"
    assert uncertain(runs, *labels) == dict.fromkeys([3, 4], DIFFERENT_KINDS)


def test_uncertain_reported_runs_are_counted_beside_each_ratio() -> None:
    ratios = pl.LazyFrame({"scope": ["paper", "paper", "project"], "name": ["p", "r", "q"]})
    groups = pl.LazyFrame(
        {
            "scope": ["paper", "paper", "project", "project"],
            "name": ["p", "r", "q", "q"],
            "run_id": [1, 2, 1, 2],
        }
    )
    runs = pl.DataFrame({"run_id": [1], "reason": [LOW_CONFIDENCE]})
    key = ["scope", "name"]
    found = reported_runs.count_uncertain(ratios, groups, runs.lazy(), key).sort(key)
    without = reported_runs.count_uncertain(ratios, groups, None, key).collect()
    assert without["n_uncertain_reported"].to_list() == [0, 0, 0]
    assert found.collect()["n_uncertain_reported"].to_list() == [1, 0, 1]
    (message,) = reported_runs.uncertain_messages(found.collect())
    assert message.startswith("p: the kind of 1 reported run is uncertain")
