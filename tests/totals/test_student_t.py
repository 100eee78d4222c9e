"""Quantiles of t against tables."""

import pytest

from footprint.totals.student_t import t_quantile


@pytest.mark.parametrize(
    ("df", "expected"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (5, 2.57058), (10, 2.22814),
     (30, 2.04227), (120, 1.97993), (1000, 1.95996)],
)  # fmt: skip
def test_t_quantile_agrees_with_tables(df: int, expected: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(expected, abs=1e-4)
