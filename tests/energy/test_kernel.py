"""Cumulative integrals of a node's power, compared with a plain loop over its samples."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.energy.kernel import (
    KERNEL_COLUMNS,
    NOISE_VARIANCE,
    PROBE_EVERY,
    STEP_VARIANCE,
    CumulativeIntegrals,
    NodeSamples,
    cumulative_integrals,
)
from footprint.energy.sample_intervals import INTEGRATION_METHODS, IntegrationMethod
from footprint.energy.sensor_period import stretches_of_another_period
from tests.support.integrations import samples

MAX_GAP_S, OFF_W = 30, 20.0


def plain_integrals(
    of: NodeSamples, moment_us: int, method: str, weights: list[list[float]]
) -> tuple[dict[str, float], list[float]]:
    """Integrals up to one moment: the definitions, one interval after the other."""
    times_us, power_w = of.times_us.tolist(), of.power_w.tolist()
    limit_w = np.inf if of.idle_power_w is None else of.idle_power_w
    total, above_j, change_before = dict.fromkeys(KERNEL_COLUMNS, 0.0), [0.0] * len(weights), 0.0

    def add(row: int, energy_j: float, idle_j: float, *, in_standby: bool) -> None:
        total["energy_j"] += energy_j
        total["idle_energy_j"] += idle_j
        total["standby_j"] += energy_j * in_standby
        for series, row_weights in enumerate(weights):
            above_j[series] += row_weights[row] * (energy_j - idle_j)

    for row, ((start, end), (w, next_w)) in enumerate(
        zip(pairwise(times_us), pairwise(power_w), strict=True)
    ):
        if moment_us <= start:
            break
        length_s = (end - start) / 1e6 if (end - start) / 1e6 <= MAX_GAP_S else 0.0
        elapsed_s = min((moment_us - start) / 1e6, length_s)
        part = elapsed_s / length_s if length_s else 0.0
        low_w, next_low_w = min(w, limit_w), min(next_w, limit_w)
        middle = 0.0 if method == "left_hold" else part / 2
        in_standby = w < OFF_W and next_w < OFF_W
        total["covered_s"] += elapsed_s
        total["standby_s"] += elapsed_s * in_standby
        if method != "sum_of_samples":
            energy_j = (w + (next_w - w) * middle) * elapsed_s
            idle_j = (low_w + (next_low_w - low_w) * middle) * elapsed_s
            add(row, energy_j, idle_j, in_standby=in_standby)
        change = (next_w - w) * length_s
        noise = max(0.0, -change * change_before) if moment_us >= end else 0.0
        total["variance_j2"] += STEP_VARIANCE * change**2 * part + NOISE_VARIANCE * noise
        change_before = change
    if method == "sum_of_samples":
        periods_s = [of.period_s] * len(times_us)
        for rows, period_s in stretches_of_another_period(of.times_us, of.period_s):
            periods_s[rows] = [period_s] * (rows.stop - rows.start)
        for row, (time_us, w, s) in enumerate(zip(times_us, power_w, periods_s, strict=True)):
            if time_us < moment_us:
                add(row, w * s, min(w, limit_w) * s, in_standby=w < OFF_W)
    n_before = max(0, sum(time_us <= moment_us for time_us in times_us) - 1)
    for row in range(0, n_before - n_before % PROBE_EVERY, PROBE_EVERY):
        total["n_probes"] += 1
        total["probe_w"] += power_w[row]
        total["probe_w2"] += power_w[row] ** 2
        total["probe_repeats"] += power_w[row] == power_w[row + 1]
    return total, above_j


DISTANCES_US = [1, 999_999, 5_000_000, 5_000_000, 17_300_000, 30_000_000, 30_000_001, 900_000_000]


@st.composite
def series(draw: st.DrawFn) -> tuple[NodeSamples, list[int]]:
    """Samples of a node, with gaps and standby, and moments before, between, at and after them."""
    n = draw(st.sampled_from([0, 1, 2, 3, 20, 90]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = rng.choice(DISTANCES_US, rng.integers(1, len(DISTANCES_US) + 1))
    times_us = 1_740_000_000_000_000 + np.cumsum(rng.choice(few, n))
    power_w = rng.choice([3.0, 12.0, 19.9, 20.0, 90.0, 100.0, 250.5], n) + rng.choice([0.0, 0.7], n)
    of = NodeSamples(times_us, power_w, 5.0, 1.0, draw(st.sampled_from([None, 90.0])))
    first, last = (int(times_us[0]), int(times_us[-1])) if n else (0, 0)
    moments = rng.integers(first - 9_000_000, last + 40_000_000, 8).tolist()
    return of, [*moments, *rng.choice(times_us, min(n, 4)).tolist(), first - 1, last + 1]


def check_against_plain_loop(of: NodeSamples, moments_us: list[int], method: str) -> None:
    weights = np.random.default_rng(len(of.times_us)).random((2, len(of.times_us)))
    found = cumulative_integrals(
        of, np.array(moments_us), IntegrationMethod(method, MAX_GAP_S, OFF_W), weights
    )
    for column, moment_us in enumerate(moments_us):
        expected, above_j = plain_integrals(of, moment_us, method, weights.tolist())
        integrals = dict(zip(KERNEL_COLUMNS, found.of_node[:, column].tolist(), strict=True))
        assert integrals == pytest.approx(expected, rel=1e-11, abs=1e-9)
        assert found.above_idle_j[:, column].tolist() == pytest.approx(above_j, rel=1e-9, abs=1e-7)


@given(series(), st.sampled_from(INTEGRATION_METHODS))
@settings(max_examples=150)
def test_cumulative_integrals_equal_a_plain_loop(
    case: tuple[NodeSamples, list[int]], method: str
) -> None:
    check_against_plain_loop(*case, method)


@pytest.mark.parametrize("method", INTEGRATION_METHODS)
def test_cumulative_integrals_of_a_stretch_with_another_period_equal_a_plain_loop(
    method: str,
) -> None:
    distances_us = np.repeat([1_000_000, 20_000, 1_000_000], [90, 80, 40])
    times_us = np.cumsum(distances_us)
    of = NodeSamples(times_us, np.resize([100.0, 250.0, 15.0], len(times_us)), 1.0, 1.0, 90.0)
    check_against_plain_loop(of, [*times_us[::30].tolist(), int(times_us[120]) + 1], method)


def at_seconds(
    of: NodeSamples, *moments_s: float, method: str = "trapezoid"
) -> CumulativeIntegrals:
    moments_us = of.times_us[0] + np.rint(np.array(moments_s) * 1e6).astype(np.int64)
    return cumulative_integrals(of, moments_us, IntegrationMethod(method, MAX_GAP_S, OFF_W))


def column(found: CumulativeIntegrals, name: str) -> list[float]:
    values: list[float] = found.of_node[KERNEL_COLUMNS.index(name)].tolist()
    return values


RAMP_THEN_GAP = NodeSamples.from_frame(
    samples([0, 10, 20, 100, 110], [100, 200, 200, 10, 10]),
    IntegrationMethod("trapezoid", MAX_GAP_S, OFF_W),
)


def test_cumulative_integrals_of_a_ramp_and_a_gap_are_those_computed_by_hand() -> None:
    found = at_seconds(RAMP_THEN_GAP, -5, 0, 5, 10, 20, 60, 100, 105, 500)
    # 100 W to 200 W: 125 W on average in the first half; nothing from 20 to 100 s
    energy_j = [0, 0, 625, 1500, 3500, 3500, 3500, 3550, 3600]
    assert column(found, "energy_j") == pytest.approx(energy_j)
    assert column(found, "covered_s") == pytest.approx([0, 0, 5, 10, 20, 20, 20, 25, 30])
    assert column(found, "standby_j") == pytest.approx([0] * 7 + [50, 100])
    assert column(found, "standby_s") == pytest.approx([0] * 7 + [5, 10])
    assert column(found, "idle_energy_j") == column(found, "energy_j")
    # a step of 100 W at an unknown moment of 10 s
    step_j2 = 1000**2 / 12
    variance_j2 = [0, 0, step_j2 / 2, *[step_j2] * 6]
    assert column(found, "variance_j2") == pytest.approx(variance_j2)


def test_left_hold_integrals_hold_each_sample_until_the_next() -> None:
    found = at_seconds(RAMP_THEN_GAP, 5, 10, 20, 60, method="left_hold")
    assert column(found, "energy_j") == pytest.approx([500, 1000, 3000, 3000])


def test_idle_energy_is_integrated_up_to_the_idle_power() -> None:
    found = at_seconds(replace(RAMP_THEN_GAP, idle_power_w=150.0), 5, 10, 20)
    # 100 W to 150 W, then 150 W
    assert column(found, "idle_energy_j") == pytest.approx([562.5, 1250, 2750])


def test_weighted_energy_above_idle_counts_the_weight_of_the_sample_before() -> None:
    of = replace(RAMP_THEN_GAP, idle_power_w=100.0)
    found = cumulative_integrals(
        of,
        of.times_us[:3],
        IntegrationMethod("trapezoid", MAX_GAP_S, OFF_W),
        np.array([[1.0, 0.25, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0]]),
    )
    # 50 W on average above 100 W, then 100 W
    assert found.above_idle_j[0].tolist() == pytest.approx([0, 500, 500 + 250])
    assert found.above_idle_j[1].tolist() == [0, 0, 0]


def test_probes_are_one_sample_in_sixteen() -> None:
    n = 3 * PROBE_EVERY + 1
    of = NodeSamples(np.arange(n) * 5_000_000, np.resize([100.0, 100.0, 130.0], n), 5.0, 1.0)
    found = at_seconds(of, 79, 80, 160, 10_000)
    assert column(found, "n_probes") == [0, 1, 2, 3]
    # samples 0, 16 and 32: 100 W, 100 W and 130 W; the first alone equals the next
    assert column(found, "probe_w") == [0, 100, 200, 330]
    assert column(found, "probe_w2") == [0, 1e4, 2e4, 2e4 + 130**2]
    assert column(found, "probe_repeats") == [0, 1, 1, 1]
