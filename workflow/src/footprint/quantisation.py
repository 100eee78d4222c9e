"""How far a sensor's steps can put an energy off."""

from __future__ import annotations

import polars as pl

# A steady power sits anywhere in its step: uniform within half a step, of which 95 % is this much.
STEADY_STEPS = 0.95 / 2

# Power that moves by more than a step from sample to sample averages its rounding out. Readings
# then repeat less: a normal noise of 0.9 steps repeats 30 % of the time and has a bias under 1 % of
# a step.
REPEATS_WHEN_AVERAGED = 0.3


def half_width_j(*, step_w: float | pl.Expr, covered_s: pl.Expr, repeated_frac: pl.Expr) -> pl.Expr:
    """Half width at 95 % of an energy's error from rounding power to steps of `step_w`.

    Readings that always repeat may be off by the same part of a step all the time: 0.475 steps x
        time. The less they repeat, the more of it averages out, linearly down to none at
        `REPEATS_WHEN_AVERAGED` (compared with normal noise of any width in
        `tests/test_quantisation.py`).

    Args:
        step_w: Step of the sensor.
        covered_s: Time measured, in node seconds.
        repeated_frac: Part of the readings equal to the one before; null or NaN counts as all.
    """
    repeated = repeated_frac.fill_nan(1.0).fill_null(1.0)
    steady = ((repeated - REPEATS_WHEN_AVERAGED) / (1 - REPEATS_WHEN_AVERAGED)).clip(0.0, 1.0)
    return STEADY_STEPS * covered_s * steady * step_w
