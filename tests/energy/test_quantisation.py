"""Half width of the error of a sensor's steps, compared with simulated sensors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from footprint.energy.quantisation import half_width_j

STEP_W = 36.0


def half_width_w(repeated_frac: float | None) -> float:
    frame = pl.DataFrame({"repeated": [repeated_frac]}, schema={"repeated": pl.Float64})
    half = half_width_j(step_w=STEP_W, covered_s=pl.lit(1.0), repeated_frac=pl.col("repeated"))
    return float(frame.select(half).item())


def test_half_width_of_a_steady_reading_is_most_of_half_a_step() -> None:
    assert half_width_w(1.0) == pytest.approx(0.475 * STEP_W)
    assert half_width_w(None) == pytest.approx(0.475 * STEP_W)
    assert half_width_w(float("nan")) == pytest.approx(0.475 * STEP_W)


def test_half_width_shrinks_as_readings_repeat_less() -> None:
    assert half_width_w(0.3) == 0
    assert half_width_w(0.05) == 0
    assert 0 < half_width_w(0.6) < half_width_w(0.8) < half_width_w(1.0)


@pytest.mark.parametrize("noise_steps", [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 2.0])
def test_half_width_contains_the_error_of_95_in_100_powers(noise_steps: float) -> None:
    rng = np.random.default_rng(7)
    inside = []
    for level in rng.uniform(500, 500 + STEP_W, 400):
        true_w = level + noise_steps * STEP_W * rng.standard_normal(2000)
        read_w = np.round(true_w / STEP_W) * STEP_W
        repeated = float(np.mean(np.diff(read_w) == 0))
        # what is left of a mean of noise is not the sensor's doing: compare with the mean power
        bias_w = abs(float(read_w.mean() - true_w.mean()))
        inside.append(bias_w <= half_width_w(repeated) + 0.02 * STEP_W)
    assert np.mean(inside) >= 0.93
