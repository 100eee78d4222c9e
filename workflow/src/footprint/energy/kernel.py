"""Kernel: cumulative integrals of a node's power at any moments, from its samples.

Between two samples no further apart than `max_gap_s` the node is *covered*. Elsewhere its power is
unknown and nothing is added: every cumulative integral is constant over gaps. An interval of time
contributes the difference between the integrals at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.core.arrays import Floats, Integers, sorted_distinct
from footprint.core.gaps import covered_us, is_gap
from footprint.energy.sample_intervals import (
    COUNTER_METHOD,
    HOLDING_METHODS,
    IntegrationMethod,
    covered_since,
    last_samples,
    sums_before,
)
from footprint.energy.sensor_period import (
    PROBED_SAMPLES,
    is_regular,
    period_and_step,
    stretches_of_another_period,
    usual_period_s,
)
from footprint.sources.calibration import Calibration

INTEGRAL_COLUMNS = (
    "energy_j",  # integral of power
    "covered_s",  # time covered by samples
    "variance_j2",  # variance of energy_j by changes of power between samples
    "idle_energy_j",  # integral of power up to the idle power
    "standby_j",  # energy in standby
    "standby_s",  # time in standby
)

KERNEL_COLUMNS = (
    *INTEGRAL_COLUMNS,
    "n_probes",  # number of samples probed, and over these samples
    "probe_w",  # sum of power
    "probe_w2",  # sum of its square
    "probe_repeats",  # number of readings equal to the next one
)
"""Integrals and sums from the first sample up to a moment."""

PROBE_EVERY = 16
"""Distance, in samples, of the samples from which statistics are taken."""

STEP_VARIANCE = 1 / 12
"""Variance of a trapezoid's error, in units of (change of power x time)^2, for a step of the power.

The step's moment is unknown: the error is uniform within +/- 1/2 (docs/method.md, section 6).
"""

NOISE_VARIANCE = (1 - 2 / 12) / 1.218
"""Weight of max(0, -d_i d_(i-1)), for noise that is faster than the sampling.

Such noise makes successive changes d opposite: E[d_i d_(i-1)] = -variance, and
E[max(0, -d_i d_(i-1))] is 1.218 times the variance for normal noise. `STEP_VARIANCE` already counts
1/12 of E[d^2] = 2 variances (docs/method.md, section 6).
"""

BLOCK_ROWS = 32_000
"""Intervals of a block. The first of each block counts as a step in `variance_j2`."""


@dataclass(frozen=True)
class NodeSamples:
    """Samples of a node as arrays.

    Attributes:
        times_us: Times of the samples, in microseconds since 1970, strictly ascending.
        power_w: Power at the samples.
        period_s: Period of the sensor.
        step_w: Step of the sensor.
        idle_power_w: Power up to which `idle_energy_j` integrates; None: `idle_energy_j` is
            `energy_j`.
    """

    times_us: Integers
    power_w: Floats
    period_s: float
    step_w: float
    idle_power_w: float | None = None

    @classmethod
    def from_frame(
        cls,
        samples: pl.DataFrame,
        method: IntegrationMethod,
        *,
        idle_power_w: float | None = None,
        calibration: Calibration | None = None,
    ) -> NodeSamples:
        """Samples of a node, with the period and step of its sensor.

        Args:
            samples: `timestamp`, `power_w` of one node, strictly ascending in time.
            method: How samples are integrated.
            idle_power_w: Idle power of the node; None: not needed.
            calibration: Line that is applied to the readings first; None: none.
        """
        times_us = samples["timestamp"].to_numpy().view(np.int64)
        power_w = samples["power_w"].to_numpy()
        period_s, step_w = period_and_step(times_us, power_w)
        if method.name == "sum_of_samples":
            period_s = usual_period_s(times_us) or method.period_s or period_s
        elif method.name == COUNTER_METHOD:
            # equal powers are one time between two moves, filled
            moves_us = times_us[np.diff(power_w, prepend=np.nan) != 0]
            period_s, step_w = period_and_step(moves_us, power_w)[0], 0.0
        elif method.period_s is not None and not is_regular(times_us[: PROBED_SAMPLES + 1]):
            period_s = method.period_s
        if calibration is not None:
            power_w = np.maximum(calibration.to_power(power_w), 0.0)
            step_w *= abs(calibration.slope)
        return cls(times_us, power_w, period_s, step_w, idle_power_w)


class CumulativeIntegrals(NamedTuple):
    """Integrals from the first sample up to moments, a column for each moment.

    Attributes:
        of_node: A row for each of `KERNEL_COLUMNS`.
        above_idle_j: For each series of weights the integral of the weighted power above idle.
    """

    of_node: Floats
    above_idle_j: Floats


def cumulative_integrals(
    samples: NodeSamples,
    moments_us: Integers,
    method: IntegrationMethod,
    weights: Floats | None = None,
) -> CumulativeIntegrals:
    """Cumulative integrals of a node's power at moments, interpolated between samples.

    They are 0 before the first sample. Inside a gap and after the last sample they keep the value
    of the last sample before.

    Args:
        samples: Samples of the node.
        moments_us: Moments in microseconds since 1970, in any order.
        method: How samples are integrated.
        weights: Weights of the power above idle: a row for each series, a column for each sample,
            from which the weight holds to the next; None: no series.
    """
    if weights is None:
        weights = np.empty((0, len(samples.times_us)))
    if not len(samples.times_us):
        nothing = np.zeros((len(KERNEL_COLUMNS) + len(weights), len(moments_us)))
        return CumulativeIntegrals(*np.split(nothing, [len(KERNEL_COLUMNS)]))
    row = last_samples(samples.times_us, moments_us)
    terms, probes = _sums_up_to(row, samples, method, weights)
    terms += _terms_since(row, moments_us, samples, method, weights)
    units = np.full((len(terms), 1), 1e-6)
    units[INTEGRAL_COLUMNS.index("variance_j2")] = STEP_VARIANCE * 1e-12
    terms *= units
    integrals, above_idle_j = np.split(terms, [len(INTEGRAL_COLUMNS)])
    if method.name == "sum_of_samples":
        counted_j = _counted_energy_j(moments_us, samples, method, weights)
        rows = [INTEGRAL_COLUMNS.index(name) for name in ("energy_j", "idle_energy_j", "standby_j")]
        integrals[rows], above_idle_j = np.split(counted_j, [len(rows)])
    return CumulativeIntegrals(np.concatenate([integrals, probes]), above_idle_j)


def _sums_up_to(
    rows: Integers, samples: NodeSamples, method: IntegrationMethod, weights: Floats
) -> tuple[Floats, Floats]:
    """Sums of the terms of the intervals before each sample, and `n_probes` and sums of probes.

    Blocks stay in the cache of a core, and each block uses the arrays of the one before. With new
    arrays for each expression the sums take almost twice as long (docs/performance.md).
    """
    times_us, power_w = samples.times_us, samples.power_w
    last = len(times_us) - 1
    blocks = np.append(np.arange(0, last, BLOCK_ROWS), last)
    starts = sorted_distinct(np.concatenate([blocks, rows]))
    first = np.searchsorted(starts, blocks)
    n_terms = len(INTEGRAL_COLUMNS) + len(weights)
    sums = np.zeros((n_terms, len(starts)))
    work = np.zeros((n_terms + 2, min(BLOCK_ROWS, last)))
    probes = np.empty((3, -(-last // PROBE_EVERY)))
    for block, (low, high) in enumerate(pairwise(blocks.tolist())):
        block_w = power_w[low : high + 1]
        terms = _block_terms(
            work[:, : high - low],
            times_us[low : high + 1],
            block_w,
            weights[:, low:high],
            method,
            samples.idle_power_w,
        )
        begun = starts[first[block] : first[block + 1]] - low
        sums[: len(terms), first[block] + 1 : first[block + 1] + 1] = np.add.reduceat(
            terms, begun, axis=1
        )
        probe_w, _, repeats = probes[:, low // PROBE_EVERY : -(-high // PROBE_EVERY)]
        probe_w[:] = block_w[:-1:PROBE_EVERY]
        np.equal(block_w[1::PROBE_EVERY], probe_w, out=repeats)
    if samples.idle_power_w is None:
        sums[INTEGRAL_COLUMNS.index("idle_energy_j")] = sums[0]
    np.multiply(probes[0], probes[0], out=probes[1])
    count = np.minimum(rows // PROBE_EVERY, probes.shape[1])
    sums_of_probes = np.vstack([count, sums_before(probes, count)])
    return sums.cumsum(axis=1)[:, np.searchsorted(starts, rows)], sums_of_probes


def _block_terms(
    work: Floats,
    times_us: Integers,
    power_w: Floats,
    weights: Floats,
    method: IntegrationMethod,
    limit_w: float | None,
) -> Floats:
    """Terms of successive intervals, computed in `work`: rows of `INTEGRAL_COLUMNS` and of weights.

    Energies are in W us, times in us, the variance in `STEP_VARIANCE` (W us)^2. Without an idle
    power (`limit_w`), a node in standby or weights, the rows for them are left out.

    Args:
        work: A row for each term and two more; the last is 0 and stays so.
        times_us: Times of the samples at both ends of the intervals.
        power_w: Power at these samples.
        weights: Weights of the intervals.
        method: How samples are integrated.
        limit_w: Power up to which `idle_energy_j` integrates; None: without limit.
    """
    energy, length_us, variance, idle_energy, standby, standby_us, *above, kept, zeros = work
    start_w, end_w = power_w[:-1], power_w[1:]
    np.subtract(times_us[1:], times_us[:-1], out=length_us, casting="unsafe")
    gaps = is_gap(length_us, method.max_gap_s)
    if gaps.any():
        length_us[gaps] = 0.0
    _set_energy(energy, power_w, length_us, method)
    change = np.subtract(end_w, start_w, out=variance)
    change *= length_us
    opposed = np.multiply(change[1:], change[:-1], out=kept[1:])
    np.minimum(opposed, zeros[1:], out=opposed)  # with a number it would take twice as long
    opposed *= -NOISE_VARIANCE / STEP_VARIANCE
    variance *= change
    variance[1:] += opposed
    if method.name == COUNTER_METHOD:
        variance[:] = 0.0
    if limit_w is not None:
        _set_energy(idle_energy, np.minimum(power_w, limit_w), length_us, method)
    is_off = power_w < method.off_threshold_w
    if not len(above) and not is_off.any():
        return work[: 3 if limit_w is None else 4]
    is_standby = is_off[:-1] & is_off[1:]
    np.multiply(energy, is_standby, out=standby)
    np.multiply(length_us, is_standby, out=standby_us)
    if len(above):
        above_idle = np.subtract(energy, idle_energy, out=kept) if limit_w is not None else 0.0
        np.multiply(weights, above_idle, out=work[len(INTEGRAL_COLUMNS) : -2])
    return work[:-2]


def _set_energy(
    energy: Floats, power_w: Floats, length_us: Floats, method: IntegrationMethod
) -> None:
    if method.name in HOLDING_METHODS:
        np.multiply(power_w[:-1], length_us, out=energy)
    else:
        np.add(power_w[:-1], power_w[1:], out=energy)
        energy *= length_us
        energy *= 0.5


def _terms_since(
    rows: Integers,
    moments_us: Integers,
    samples: NodeSamples,
    method: IntegrationMethod,
    weights: Floats,
) -> Floats:
    """Terms of `_block_terms` from the sample before each moment to the moment."""
    following = np.minimum(rows + 1, len(samples.times_us) - 1)
    start_us, end_us = samples.times_us[rows], samples.times_us[following]
    start_w, end_w = samples.power_w[rows], samples.power_w[following]
    length_us = covered_us(end_us - start_us, method.max_gap_s)
    elapsed_us = covered_since(start_us, length_us, moments_us)
    part = elapsed_us / np.maximum(length_us, 1)
    # power at the middle of the elapsed time: linear, or that of the sample
    middle = 0.0 if method.name in HOLDING_METHODS else 0.5 * part
    varying_us = 0 if method.name == COUNTER_METHOD else length_us

    def energy_up_to(limit_w: float) -> Floats:
        low_w, end_low_w = np.minimum(start_w, limit_w), np.minimum(end_w, limit_w)
        return (low_w + (end_low_w - low_w) * middle) * elapsed_us

    energy = energy_up_to(np.inf)
    idle_energy = energy if samples.idle_power_w is None else energy_up_to(samples.idle_power_w)
    is_standby = np.maximum(start_w, end_w) < method.off_threshold_w
    return np.stack(
        [
            energy,
            elapsed_us,
            # an interval alone counts as a step: it has no neighbour that would show noise
            ((end_w - start_w) * varying_us) ** 2 * part,
            idle_energy,
            energy * is_standby,
            elapsed_us * is_standby,
            *(weights[:, rows] * (energy - idle_energy)),
        ]
    )


def _counted_energy_j(
    moments_us: Integers,
    samples: NodeSamples,
    method: IntegrationMethod,
    weights: Floats,
) -> Floats:
    """Energies by `sum_of_samples`: the samples strictly before a moment, a period each.

    Samples of a stretch with another period count for that period.

    Returns:
        Rows for the energy, up to the idle power, in standby, and above it for each weight.
    """
    power_w, limit_w = samples.power_w, samples.idle_power_w
    idle_w = power_w if limit_w is None else np.minimum(power_w, limit_w)
    is_off = power_w < method.off_threshold_w
    values = np.stack([power_w, idle_w, power_w * is_off, *(weights * (power_w - idle_w))])
    for stretch, period_s in stretches_of_another_period(samples.times_us, samples.period_s):
        values[:, stretch] *= period_s / samples.period_s
    count = np.searchsorted(samples.times_us, moments_us, side="left")
    return sums_before(values, count) * samples.period_s
