"""Non-negative shrunk least squares, by hand and against their optimality conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.energy.ridge import fit_nonnegative, solve


def test_solve_two_equations_by_hand() -> None:
    # 2x + y = 5, x + 3y = 10
    assert solve([[2, 1], [1, 3]], [5, 10]) == pytest.approx([1, 3])


def test_fit_without_data_returns_the_prior() -> None:
    zero = [[0.0] * 3] * 3
    assert fit_nonnegative(zero, [0.0] * 3, [1.05, 0.55, 0.75], [1, 2, 3]) == pytest.approx(
        [1.05, 0.55, 0.75]
    )


def test_fit_of_one_parameter_is_a_weighted_mean() -> None:
    # data of weight 3 give 2, the prior of weight 1 gives 6
    assert fit_nonnegative([[3.0]], [6.0], [6.0], [1.0]) == pytest.approx([3.0])


def test_fit_sets_a_negative_parameter_to_zero_and_fits_the_others_again() -> None:
    # without bounds: x = 2.75, y = -1.5; with y = 0: (2 + e) x = 4
    found = fit_nonnegative([[2.0, 1.0], [1.0, 2.0]], [4.0, -0.25], [0.0, 0.0], [1e-9, 1e-9])
    assert found == pytest.approx([2.0, 0.0], abs=1e-6)


ROWS = st.lists(st.tuples(*[st.floats(-3, 3, allow_nan=False)] * 4), min_size=1, max_size=8)


@given(ROWS)
def test_fit_satisfies_the_optimality_conditions(rows: list[tuple[float, ...]]) -> None:
    products = [[sum(r[i] * r[j] for r in rows) for j in range(3)] for i in range(3)]
    moments = [sum(r[i] * r[3] for r in rows) for i in range(3)]
    prior, weights = [1.0, 0.5, 0.8], [0.5, 0.5, 0.5]
    found = fit_nonnegative(products, moments, prior, weights)
    for i, value in enumerate(found):
        slope = sum(products[i][j] * found[j] for j in range(3)) - moments[i]
        slope += weights[i] * (value - prior[i])
        assert value >= 0
        assert slope == pytest.approx(0, abs=1e-6) if value > 0 else slope >= -1e-6
