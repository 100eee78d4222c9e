"""Tests of R on a simulated study with half of the labels withheld, against the true R."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.phases import membership
from tests.support.paper_ratios import compare_ratios

pytestmark = pytest.mark.filterwarnings("error")

SOURCE = {
    "kind": "simulated",
    "seed": 31,
    "start": "2025-03-03",
    "end": "2025-03-17",
    "without_meters": "seed",
    "without_series": "seed",
    "meter": {"low": 0.95, "high": 1.15, "correlation": 0.5},
}


@pytest.fixture(scope="module")
def compared() -> tuple[pl.DataFrame, pl.DataFrame]:
    found, alternatives = compare_ratios(SOURCE, settings=["reported", "half"], seed=31)
    given = found.filter(pl.col("ratio").is_not_null())
    assert len(given) >= 4
    return given, alternatives.filter(setting="half", choice="membership")


def test_interval_of_r_holds_the_truth_where_the_reported_model_is_labelled(
    compared: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    own = compared[0].filter(setting="reported")
    assert own.select(pl.col("truth").is_between("low", "high").all()).item()


def test_named_alternatives_hold_the_truth_where_half_of_the_labels_are_withheld(
    compared: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    own = compared[0].filter(setting="half")
    assert (own["n_withheld"] > 20).all()
    assert own.select(pl.col("truth").is_between("range_low", "range_high").all()).item()
    # labels alone miss half of the development
    assert (own["ratio"] < 0.6 * own["truth"]).all()


def test_likely_runs_are_nearer_to_the_truth_than_people(
    compared: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    own = compared[1].join(compared[0].filter(setting="half").select("paper", "truth"), on="paper")
    error = (pl.col("ratio") / pl.col("truth") - 1).abs()
    errors = own.select("paper", "value", error=error).pivot("value", index="paper", values="error")
    assert set(errors.columns) == {"paper", membership.LABELLED, *membership.ADDED_RUNS}
    assert (errors["likely"] < 0.15).all()
    assert errors["likely"].mean() < errors["same_people"].mean()
    assert (errors["expected"] < errors["labelled"]).all()
