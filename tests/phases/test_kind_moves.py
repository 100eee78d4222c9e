"""Tests of the energy that uncertain kinds move between kinds, against draws of each run."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.phases.kind_moves import DRAWN_KINDS, OF_ALL_FRAC, moves_between_kinds
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.totals.error_draws import N_DRAWS, uniform_draws

pytestmark = pytest.mark.filterwarnings("error")

SCHEMA = {"run_id": pl.Int64(), "scope": pl.String(), "name": pl.String(), "kind": pl.String()}
SCHEMA |= {"total_kwh": pl.Float64(), "similar": pl.String()}
SCHEMA |= dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64())
Row = dict[str, Any]


def row(run_id: int, kind: str, kwh: float | None, similar: str = "c", **chances: float) -> Row:
    """A run of the site; probabilities that `chances` does not give are 0."""
    probabilities = {f"p_{name}": chances.get(name, 0.0) for name in WEIGHED_KINDS}
    base = {"run_id": run_id, "scope": "site", "name": "s", "kind": kind, "total_kwh": kwh}
    return base | {"similar": similar} | probabilities


def moves_of(rows: list[Row], labels: dict[int, str] | None = None) -> dict[str, np.ndarray]:
    """Moved energy by kind; no move is an empty dictionary."""
    frame = pl.LazyFrame(rows, SCHEMA)
    labelled = pl.LazyFrame(
        {"run_id": list(labels or {}), "kind": list((labels or {}).values())},
        schema={"run_id": pl.Int64(), "kind": pl.String()},
    )
    uncertain = frame.select("run_id", "similar", *PROBABILITY_COLUMNS)
    found = moves_between_kinds(frame.drop("similar", *PROBABILITY_COLUMNS), labelled, uncertain)
    return dict(zip(WEIGHED_KINDS, found.get(("site", "s"), ()), strict=False))


def drawn_numbers(similar: str) -> np.ndarray:
    """Uniform number of the runs of one person and command in each draw."""
    is_of_all = uniform_draws("all kinds are of one number") < OF_ALL_FRAC
    return np.where(is_of_all, uniform_draws("kind"), uniform_draws("kind", similar))


def test_energy_moves_as_often_as_the_probability_of_another_kind() -> None:
    found = moves_of([row(1, "training_run", 10.0, training_run=0.75, inference_run=0.25)])
    assert set(np.unique(found["training_run"])) == {0.0, -10.0}
    assert np.mean(found["inference_run"] == 10.0) == pytest.approx(0.25, abs=0.01)
    assert (found["training_run"] == -found["inference_run"]).all()
    assert not found["debug"].any()


def test_runs_of_one_command_move_together_and_others_apart() -> None:
    chances = {"training_run": 0.5, "inference_run": 0.5}
    pair = [row(1, "training_run", 1.0, **chances), row(2, "training_run", 2.0, **chances)]
    assert set(np.unique(moves_of(pair)["inference_run"])) == {0.0, 3.0}
    apart = [pair[0], row(2, "training_run", 2.0, "d", **chances)]
    assert set(np.unique(moves_of(apart)["inference_run"])) == {0.0, 1.0, 2.0, 3.0}


def test_runs_of_many_people_move_together_in_a_quarter_of_the_draws() -> None:
    chances = {"training_run": 0.5, "inference_run": 0.5}
    people = [row(n, "training_run", 1.0, f"person {n}", **chances) for n in range(40)]
    moved = moves_of(people)["inference_run"]
    # forty independent coins agree once in 2 ** 39 draws
    assert np.mean(np.isin(moved, (0.0, 40.0))) == pytest.approx(OF_ALL_FRAC, abs=0.001)
    assert np.mean(moved == 40.0) == pytest.approx(OF_ALL_FRAC / 2, abs=0.02)


def test_run_of_unknown_kind_has_one_in_every_draw() -> None:
    found = moves_of([row(1, "unknown", 4.0, debug=0.5, idle_hold=0.5)])
    assert (found["debug"] + found["idle_hold"] == 4.0).all()
    assert np.mean(found["debug"]) == pytest.approx(2.0, abs=0.05)


def test_certain_runs_and_runs_labelled_unknown_move_nothing() -> None:
    rows = [
        row(1, "training_run", 5.0, training_run=1.0),
        row(2, "unknown", 4.0, debug=1.0),
        row(3, "debug", None, debug=0.5, training_run=0.5),
    ]
    assert moves_of(rows, {2: "unknown"}) == {}
    # weights are certain of another kind than a label of the phase left in place
    assert (moves_of([row(1, "debug", 5.0, training_run=1.0)])["training_run"] == 5.0).all()


CASES = st.lists(
    st.tuples(
        st.sampled_from(DRAWN_KINDS),
        st.integers(0, 50),
        st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(any),
        st.sampled_from("xyz"),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(CASES)
def test_moves_are_those_of_each_run_drawn_alone_and_conserve_energy(cases: list[Any]) -> None:
    rows, expected = [], np.zeros((len(WEIGHED_KINDS), N_DRAWS))
    for number, (kind, kwh, chances, similar) in enumerate(cases):
        shares = np.array(chances) / sum(chances)
        of_kinds = dict(zip(WEIGHED_KINDS, shares.tolist(), strict=True))
        rows.append(row(number, kind, float(kwh), similar, **of_kinds))
        ends = np.cumsum(shares)[:-1]
        drawn = np.searchsorted(ends, drawn_numbers(similar), side="right")
        for place, name in enumerate(WEIGHED_KINDS):
            expected[place] += kwh * ((drawn == place) - float(kind == name))
    found = moves_of(rows)
    for place, name in enumerate(WEIGHED_KINDS):
        assert found.get(name, np.zeros(N_DRAWS)) == pytest.approx(expected[place], abs=1e-9)
    unknown_kwh = sum(kwh for kind, kwh, _, _ in cases if kind == "unknown")
    total = np.sum(list(found.values()), axis=0) if found else 0.0
    assert total == pytest.approx(unknown_kwh, abs=1e-9)
