"""Draws by name: the same in every call, with the moments of their distribution."""

import numpy as np
import pytest

from footprint.totals.error_draws import (
    N_DRAWS,
    normal_draws,
    rectangular_draws,
    scale_draws,
)
from footprint.totals.student_t import t_quantile


def test_draws_follow_from_their_name() -> None:
    assert np.array_equal(rectangular_draws("meter", "a"), rectangular_draws("meter", "a"))
    assert not np.array_equal(rectangular_draws("meter", "a"), rectangular_draws("meter", "b"))
    assert not np.array_equal(normal_draws("ab", "c"), normal_draws("a", "bc"))


def test_draws_have_the_moments_of_their_distribution() -> None:
    assert rectangular_draws("x").var() == pytest.approx(1 / 3, rel=1e-3)
    assert normal_draws("x").mean() == pytest.approx(0, abs=1e-9)
    assert normal_draws("x").std() == pytest.approx(1, rel=1e-3)


def test_draws_of_different_names_do_not_correlate() -> None:
    found = np.corrcoef([normal_draws("x", str(number)) for number in range(20)])
    assert np.abs(found - np.eye(20)).max() < 4 / N_DRAWS**0.5


@pytest.mark.parametrize("df", [3, 5, 10])
def test_draws_of_scale_give_student_t(df: int) -> None:
    found = normal_draws("x") * scale_draws(df, "y")
    assert np.quantile(found, 0.975) == pytest.approx(t_quantile(0.975, df), rel=0.06)
