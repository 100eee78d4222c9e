"""Quantiles of Student's t distribution for whole degrees of freedom."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

NORMAL_FROM = 300
"""Degrees of freedom from which the normal distribution is used; t differs by 0.5 %."""


@cache
def t_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Return the quantile of Student's t distribution.

    Args:
        probability: Probability between 0.5 and 1.
        degrees_of_freedom: Degrees of freedom, at least 1.
    """
    if degrees_of_freedom >= NORMAL_FROM:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        if _central_probability(middle, degrees_of_freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _central_probability(t: float, df: int) -> float:
    """Probability between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(df))
    cosine2 = math.cos(theta) ** 2
    is_odd = df % 2 == 1
    term = math.cos(theta) if is_odd else 1.0
    series = 0.0 if df == 1 else term
    for k in range(3 if is_odd else 2, df - 1, 2):
        term *= (k - 1) / k * cosine2
        series += term
    if is_odd:
        return 2 / math.pi * (theta + math.sin(theta) * series)
    return math.sin(theta) * series
