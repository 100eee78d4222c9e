"""Error of an energy from the steps of a sensor."""

from __future__ import annotations

import polars as pl

STEADY_STEPS = 0.95 / 2
"""Half width at 95 % of a uniform error within half a step: a steady power sits anywhere in it."""

REPEATS_WHEN_AVERAGED = 0.3
"""Fraction of repeated readings at and below which rounding averages out.

Power that moves by more than a step from sample to sample repeats less. Normal noise of 0.9 steps
repeats 30 % of the time and has a bias under 1 % of a step.
"""


def half_width_j(*, step_w: float | pl.Expr, covered_s: pl.Expr, repeated_frac: pl.Expr) -> pl.Expr:
    """Half width (J) at 95 % of an energy's error from rounding power to steps of `step_w`.

    Readings that always repeat may be off by the same part of a step all the time: 0.475 steps x
    time. The less they repeat, the more of the error averages out, linearly down to 0 at
    `REPEATS_WHEN_AVERAGED`. `tests/energy/test_quantisation.py` compares this with normal noise of
    any width (docs/method.md, section 6).

    Args:
        step_w: Step of the sensor.
        covered_s: Time measured, in node seconds.
        repeated_frac: Part of the readings equal to the one before; null or NaN counts as all.
    """
    repeated = repeated_frac.fill_nan(1.0).fill_null(1.0)
    steady = ((repeated - REPEATS_WHEN_AVERAGED) / (1 - REPEATS_WHEN_AVERAGED)).clip(0.0, 1.0)
    return STEADY_STEPS * covered_s * steady * step_w
