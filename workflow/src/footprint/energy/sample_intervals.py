"""Terms that the intervals between neighbouring samples add to each cumulative integral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from footprint.core.arrays import Floats, Integers

INTEGRATION_METHODS = ("trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples")
"""Values of the key `integration.method`."""


@dataclass(frozen=True)
class IntegrationMethod:
    """How samples of power are integrated.

    Attributes:
        name: `trapezoid`: power is linear between samples, and bounds are interpolated.
            `inner_trapezoid`: linear, from the first to the last sample inside a job.
            `left_hold`: a sample holds until the next.
            `sum_of_samples`: each sample inside counts for one period of the sensor.
        max_gap_s: Longest time between samples that is not a gap.
        off_threshold_w: A node is in standby between two samples below this power.
        period_s: Nominal period of the sensor, for nodes whose samples are too few or too irregular
            to show one; None: the period is always derived from the samples.
    """

    name: str
    max_gap_s: float
    off_threshold_w: float
    period_s: float | None = None


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

INTERVAL_TERMS = ("covered", "energy", "variance", "idle_energy", "standby", "standby_us")
"""Terms of an interval.

`covered` and `standby_us` (time in standby) are in us. `energy`, its part `standby`, and
`idle_energy` (energy below the idle power) are in W us for `left_hold`; for other methods in twice
that, which is halved once after summing. `variance` of `energy` is in `STEP_VARIANCE` (W us)^2.
"""

BLOCK_ROWS = 32_000
"""Intervals of a block, which stays in a core's cache; a multiple of `kernel.PROBE_EVERY`."""


class WorkArrays:
    """Arrays that are used again for each block and node.

    New arrays are new pages, which the system takes longer to give than the sums take.

    Attributes:
        rows: Most intervals at once.
        found: Terms of the intervals, a row each of `INTERVAL_TERMS`.
        kept: Working array, as are `kept_too` and `limit_w`.
        zeros: Zeros.
    """

    def __init__(self, rows: int = BLOCK_ROWS) -> None:
        """Allocate arrays for `rows` intervals at once."""
        self.rows = rows
        self.found = np.zeros((len(INTERVAL_TERMS), rows))
        self.kept, self.kept_too, self.limit_w = np.empty((3, rows))
        self.zeros = np.zeros(rows)
        self._probes = np.empty((0, 0))

    def probes(self, rows: int, columns: int) -> Floats:
        """Array of this shape with arbitrary content."""
        if self._probes.shape[0] < rows or self._probes.shape[1] < columns:
            self._probes = np.empty((rows, columns))
        return self._probes[:rows, :columns]


class IntervalIntegrals:
    """Computes the terms of successive intervals.

    Attributes:
        gaps: Whether the last call had a gap.
        asleep: Whether the last call had an interval in standby.
    """

    def __init__(
        self, method: IntegrationMethod, limit_w: float | Floats | None, memory: WorkArrays
    ) -> None:
        """Prepare for a method.

        Args:
            method: How samples are integrated.
            limit_w: Power up to which `idle_energy` integrates, one value or one for each interval;
                None: `idle_energy` is not computed.
            memory: Arrays to work in.
        """
        self.gaps = self.asleep = False
        self._method, self._memory, self._limited = method, memory, limit_w is not None
        if limit_w is not None:
            memory.limit_w[:] = limit_w

    def terms_between(
        self, start_us: Integers, end_us: Integers, start_w: Floats, end_w: Floats
    ) -> Floats:
        """Terms of each interval: a row each of `INTERVAL_TERMS`, valid until the next call.

        The rows of standby are only filled when an interval is `asleep`, `idle_energy` only with a
        limit.

        Args:
            start_us: Times of the samples at the start of the intervals.
            end_us: Times of the samples at the end.
            start_w: Power at the start.
            end_w: Power at the end.
        """
        n, memory, off_w = len(start_us), self._memory, self._method.off_threshold_w
        found = memory.found[:, :n]
        length_us, energy, variance, idle_energy, standby, standby_us = found
        self._set_lengths(start_us, end_us, length_us)
        self._set_energy(start_w, end_w, length_us, energy)
        self._set_variance(start_w, end_w, length_us, variance)
        if self._limited:
            # a minimum of two arrays takes a quarter of the time of one with a number
            low_w = np.minimum(start_w, memory.limit_w[:n], out=memory.kept[:n])
            end_low_w = np.minimum(end_w, memory.limit_w[:n], out=memory.kept_too[:n])
            self._set_energy(low_w, end_low_w, length_us, idle_energy)
        self.asleep = bool(start_w.min() < off_w)
        if self.asleep:
            both = (start_w < off_w) & (end_w < off_w)
            np.multiply(energy, both, out=standby)
            np.multiply(length_us, both, out=standby_us)
        return found

    def _set_lengths(self, start_us: Integers, end_us: Integers, length_us: Floats) -> None:
        """Set the lengths of the intervals, 0 for gaps."""
        distance_us = self._memory.kept.view(np.int64)[: len(start_us)]
        np.subtract(end_us, start_us, out=distance_us)
        longest_us = self._method.max_gap_s * 1e6
        self.gaps = bool(distance_us.max() > longest_us)
        if self.gaps:
            distance_us[distance_us > longest_us] = 0
        length_us[:] = distance_us

    def _set_energy(
        self, start_w: Floats, end_w: Floats, length_us: Floats, energy: Floats
    ) -> None:
        if self._method.name == "left_hold":
            np.multiply(start_w, length_us, out=energy)
        else:
            np.add(start_w, end_w, out=energy)
            energy *= length_us

    def _set_variance(
        self, start_w: Floats, end_w: Floats, length_us: Floats, variance: Floats
    ) -> None:
        """Set the variances; the first interval counts as a step, since it has none before it."""
        step = np.subtract(end_w, start_w, out=variance)
        step *= length_us
        opposed = self._memory.kept[1 : len(step)]
        np.multiply(step[1:], step[:-1], out=opposed)
        np.minimum(opposed, self._memory.zeros[: len(opposed)], out=opposed)
        opposed *= -NOISE_VARIANCE / STEP_VARIANCE
        step *= step
        step[1:] += opposed
