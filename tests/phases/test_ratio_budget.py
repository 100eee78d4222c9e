"""Tests of the uncertainty budget of R, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from footprint.phases import energies, ratio_budget
from footprint.schemas.totals import RatioUncertainty
from footprint.totals.error_draws import N_DRAWS
from footprint.totals.group_parts import Moves
from tests.phases.test_ratio_intervals import job_node

pytestmark = pytest.mark.filterwarnings("error")

WIDE = {"low": 0.9, "high": 1.1, "correlation": 0.0}
EXACT = {"low": 1.0, "high": 1.0, "correlation": 0.0}


def budget(
    nodes: list[dict[str, Any]], moves: Moves | None = None, *, ratio: float | None = 3.0, **m: Any
) -> dict[str, dict[str, Any]]:
    """Rows by source of a paper: job 1 is the training, job 2 the development."""
    rows = pl.LazyFrame(
        {"scope": "paper", "name": "p", "run_id": [1, 2], "phase": ["training", "development"]}
    )
    errors = energies.errors_of_study(
        pl.LazyFrame(nodes, infer_schema_length=None),
        job_energy=pl.LazyFrame(schema={"job_id": pl.Int64, "similar": pl.Int64}),
        virtual_meter=None,
        meters=m or WIDE,
    )
    ratios = pl.LazyFrame(
        {"scope": ["paper"], "name": ["p"], "ratio": [ratio]},
        schema_overrides={"ratio": pl.Float64},
    )
    runs = pl.LazyFrame({"run_id": [1, 2], "job_ids": [[1], [2]]})
    found = ratio_budget.budget_of_ratios(rows, ratios, runs, errors, moves or {})
    RatioUncertainty.validate(found, cast=True)
    return {row["source"]: row for row in found.iter_rows(named=True)}


def moved(part: float, kwh: float) -> Moves:
    """Energy that moves from the training to development in a part of the draws."""
    energy = np.zeros(N_DRAWS)
    energy[: int(part * N_DRAWS)] = kwh
    return {("paper", "p"): (energy, -energy, np.zeros(N_DRAWS))}


APART = [job_node(1, "a", 10.0), job_node(2, "b", 30.0)]
TOGETHER = [job_node(1, "a", 10.0), job_node(2, "a", 30.0)]


def test_every_source_has_a_row_and_shares_add_up_to_one() -> None:
    found = budget(APART, moved(0.1, 5.0))
    assert list(found) == list(ratio_budget.RATIO_SOURCES)
    assert sum(row["share_frac"] for row in found.values()) == pytest.approx(1.0)
    assert found["classification"]["share_frac"] > 0.5


def test_standard_uncertainty_of_kinds_by_hand() -> None:
    own = budget(APART, moved(0.1, 5.0))["classification"]
    # R is 3, and 35 / 5 = 7 in a tenth of the draws: sd sqrt(0.1 x 0.9) ln(7 / 3)
    step = math.log(7 / 3)
    assert own["standard_uncertainty_frac"] == pytest.approx(0.3 * step, rel=1e-9)
    assert own["mean_shift_frac"] == pytest.approx(0.1 * step, rel=1e-9)
    assert (own["ratio_low"], own["ratio_high"]) == pytest.approx((3.0, 7.0))
    assert (own["evaluation"], own["distribution"]) == ("B", "discrete")


def test_standard_uncertainty_of_meters_by_hand() -> None:
    own = budget(APART)["meter"]
    # two independent rectangular gains of half width 0.1, to first order: sqrt(2) x 0.1 / sqrt(3)
    assert own["standard_uncertainty_frac"] == pytest.approx(0.1 * math.sqrt(2 / 3), rel=0.02)
    # +-2 % by run, once on each side
    run = budget(APART)["meter_by_run"]
    assert run["standard_uncertainty_frac"] == pytest.approx(0.02 * math.sqrt(2 / 3), rel=0.03)


def test_variances_of_the_sources_add_up_to_that_of_all() -> None:
    found = budget(APART)
    variance = sum(row["standard_uncertainty_frac"] ** 2 for row in found.values())
    shares = {name: row["standard_uncertainty_frac"] ** 2 / variance for name, row in found.items()}
    assert shares == pytest.approx({name: row["share_frac"] for name, row in found.items()})
    expected = (0.01 + 0.02**2) * 2 / 3
    assert variance == pytest.approx(expected, rel=0.03)


def test_meters_of_one_cluster_have_no_share() -> None:
    found = budget(TOGETHER, moved(0.1, 5.0))
    assert found["meter"]["standard_uncertainty_frac"] == 0.0
    assert found["meter"]["share_frac"] == 0.0


def test_energy_that_moves_in_every_draw_shifts_without_a_share() -> None:
    every = {("paper", "p"): (np.full(N_DRAWS, 10.0), np.zeros(N_DRAWS), np.zeros(N_DRAWS))}
    own = budget(APART, every)["classification"]
    assert (own["standard_uncertainty_frac"], own["share_frac"]) == (0.0, 0.0)
    assert own["mean_shift_frac"] == pytest.approx(math.log(4 / 3))


def test_training_that_may_be_none_has_no_upper_end_and_a_finite_uncertainty() -> None:
    own = budget(APART, moved(0.1, 10.0), **EXACT)["classification"]
    assert own["ratio_high"] is None
    assert own["share_frac"] > 0.99
    # draws without an end count as 1000 times R
    assert own["standard_uncertainty_frac"] == pytest.approx(0.3 * math.log(1000), rel=1e-9)


def test_groups_without_a_ratio_and_certain_ratios_have_no_shares() -> None:
    assert budget(APART, ratio=None) == {}
    shares = [row["share_frac"] for row in budget(APART, ratio=0.0).values()]
    assert shares == [None] * len(ratio_budget.RATIO_SOURCES)
