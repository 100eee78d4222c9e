"""Draws of parts of a group between which energy moves, by hand."""

import numpy as np
import polars as pl
import pytest

from footprint.totals.error_draws import N_DRAWS
from footprint.totals.group_parts import Moves, PartDraws, draw_parts
from footprint.totals.group_ratios import drawn_ratio, ratio_interval
from tests.support.totals_inputs import amounts, error_model

OVER = ("development", "training", "inference", "unknown")
FIRST_HALF = np.arange(N_DRAWS) < N_DRAWS // 2
NOTHING = np.zeros(N_DRAWS)


def parts(*rows: tuple[str, str, float, float], moves: Moves | None = None) -> PartDraws:
    """Draws of one group `g`, from part, cluster, measured and estimated energy."""
    frame = amounts(*rows).rename({"name": "phase"}).select(pl.lit("g").alias("name"), pl.all())
    frame = frame.with_columns(independent_kwh2=pl.col("measured_kwh") ** 2 * 0.01)
    found = list(draw_parts(frame, error_model(), side="phase", over=OVER, moves=moves))
    assert len(found) == 1
    return found[0]


ROWS = (("development", "a", 30.0, 0.0), ("training", "b", 10.0, 0.0))


def test_part_that_all_energy_leaves_is_zero_in_that_draw() -> None:
    without = parts(*ROWS)
    kwh = 10.0 * FIRST_HALF
    # sums of the same runs in another order
    found = parts(*ROWS, moves={("g",): (kwh, -kwh * (1 + 4e-16), NOTHING)})
    development, training = found.kwh[:2]
    assert development is not None
    assert training is not None
    before = [part for part in without.kwh[:2] if part is not None]
    assert (training[FIRST_HALF] == 0).all()
    assert (training[~FIRST_HALF] == before[1][~FIRST_HALF]).all()
    # true energy is conserved: what leaves takes the error of its own part along
    assert development[FIRST_HALF] == pytest.approx((before[0] + before[1])[FIRST_HALF])
    assert ratio_interval(drawn_ratio(found))[1] is None


def test_energy_that_moves_keeps_the_error_of_its_part() -> None:
    without = parts(*ROWS).kwh
    found = parts(*ROWS, moves={("g",): (NOTHING + 2.5, NOTHING - 2.5, NOTHING)}).kwh
    assert without[0] is not None
    assert without[1] is not None
    assert found[1] == pytest.approx(0.75 * without[1])
    assert found[0] == pytest.approx(without[0] + 0.25 * without[1])


def test_energy_from_two_parts_arrives_with_their_mean_error() -> None:
    rows = (*ROWS, ("inference", "c", 20.0, 0.0))
    without = parts(*rows).kwh
    moved = (NOTHING - 6.0, NOTHING + 10.0, NOTHING - 4.0)
    found = parts(*rows, moves={("g",): moved}).kwh
    assert without[0] is not None
    assert without[1] is not None
    assert without[2] is not None
    assert found[0] == pytest.approx(without[0] * 0.8)
    assert found[2] == pytest.approx(without[2] * 0.8)
    assert found[1] == pytest.approx(without[1] + 0.2 * (without[0] + without[2]))


def test_energy_of_unknown_phase_arrives_with_the_error_of_the_group() -> None:
    rows = (*ROWS, ("unknown", "c", 5.0, 0.0))
    without = parts(*rows).kwh
    found = parts(*rows, moves={("g",): (NOTHING + 5.0, NOTHING, NOTHING)}).kwh
    assert without[0] is not None
    assert without[1] is not None
    assert without[3] is not None
    factor = (without[0] + without[1] + without[3]) / 45.0
    assert found[0] == pytest.approx(without[0] + 5.0 * factor)
    assert (found[1] == without[1]).all()
    assert (found[3] == without[3]).all()


def test_part_without_energy_receives_what_moves_there() -> None:
    found = parts(*ROWS, moves={("g",): (NOTHING - 3.0, NOTHING, NOTHING + 3.0)}).kwh
    without = parts(*ROWS).kwh
    assert without[0] is not None
    assert found[2] == pytest.approx(0.1 * without[0])
    assert found[3] is None
