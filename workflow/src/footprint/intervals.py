"""What the intervals between neighbouring samples add to each running integral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def ascending(values: Integers) -> Integers:
    """Each value once, in ascending order; `np.unique` of integers hashes them first."""
    values = np.sort(values)
    found: Integers = values[np.append(True, values[1:] != values[:-1])]
    return found


METHODS = ("trapezoid", "inner_trapezoid", "left_hold", "sum_of_samples")


@dataclass(frozen=True)
class Method:
    """How power becomes energy.

    Attributes:
        name: `trapezoid`: power is linear between samples, and bounds are interpolated.
            `inner_trapezoid`: the same, from the first to the last sample inside a job.
            `left_hold`: a sample holds until the next.
            `sum_of_samples`: each sample inside counts for one period of the sensor.
        max_gap_s: Longest time between samples that is not a gap.
        off_threshold_w: Between two samples below it the node is in standby.
        period_s: Nominal period of the sensor, for nodes with too few samples to have their own;
            None: the median distance of samples in any case.
    """

    name: str
    max_gap_s: float
    off_threshold_w: float
    period_s: float | None = None


# Error of the trapezoid between two samples, in units of (change of power x time between them)^2. A
# step at an unknown moment: uniform within +/- 1/2, variance 1/12. Noise faster than the sampling:
# it makes successive changes opposite, E[d_i d_(i-1)] = -variance, and E[max(0, -d_i d_(i-1))] is
# 1.218 times the variance for normal noise, of which a step's 1/12 of E[d^2] = 2 variances is
# already counted.
STEP_VARIANCE = 1 / 12
NOISE_VARIANCE = (1 - 2 / 12) / 1.218

# What intervals add: time `covered` and, in standby, `standby_us`, in us; `energy`, its part
# `standby`, and `floor`, energy below the idle power, in W us for `left_hold`, else in twice that,
# halved once, when all is summed; `spread`, the variance of `energy`, in `STEP_VARIANCE` (W us)^2.
NAMES = ("covered", "energy", "spread", "floor", "standby", "standby_us")


# A block of intervals stays in a core's cache; a multiple of `integration.PROBE_EVERY`.
BLOCK_ROWS = 32_000


class Memory:
    """Arrays that are used again for block after block and node after node.

    New ones are new pages to the system, which takes longer to give them than sums take.

    Attributes:
        rows: So many intervals at once.
    """

    def __init__(self, rows: int = BLOCK_ROWS) -> None:
        """Arrays for so many intervals at once."""
        self.rows = rows
        self.found = np.zeros((len(NAMES), rows))
        self.kept, self.kept_too, self.limit_w = np.empty((3, rows))
        self.zeros = np.zeros(rows)
        self._probes = np.empty((0, 0))

    def probes(self, rows: int, columns: int) -> Floats:
        """An array of this shape, whatever is in it."""
        if self._probes.shape[0] < rows or self._probes.shape[1] < columns:
            self._probes = np.empty((rows, columns))
        return self._probes[:rows, :columns]


class Intervals:
    """Reckons what successive intervals add.

    Attributes:
        gaps: Whether any of the last ones was a gap.
        asleep: Whether any of the last ones was in standby.
    """

    def __init__(self, method: Method, limit_w: float | Floats | None, memory: Memory) -> None:
        """`limit_w` is the power up to which `floor` integrates, one or for each interval."""
        self.gaps = self.asleep = False
        self._method, self._memory, self._limited = method, memory, limit_w is not None
        if limit_w is not None:
            memory.limit_w[:] = limit_w

    def between(
        self, start_us: Integers, end_us: Integers, start_w: Floats, end_w: Floats
    ) -> Floats:
        """What each interval adds: a row each of `NAMES`, valid until the next call.

        Those of standby are only filled when something is `asleep`, that of `floor` with a limit.

        Args:
            start_us: Times of the samples at which intervals start.
            end_us: The same, at which they end.
            start_w: Power at the start.
            end_w: Power at the end.
        """
        n, memory, off_w = len(start_us), self._memory, self._method.off_threshold_w
        found = memory.found[:, :n]
        length_us, energy, spread, floor, standby, standby_us = found
        self._measure(start_us, end_us, length_us)
        self._integrate(start_w, end_w, length_us, energy)
        self._vary(start_w, end_w, length_us, spread)
        if self._limited:
            # a minimum of two arrays takes a quarter of the time of one with a number
            low_w = np.minimum(start_w, memory.limit_w[:n], out=memory.kept[:n])
            end_low_w = np.minimum(end_w, memory.limit_w[:n], out=memory.kept_too[:n])
            self._integrate(low_w, end_low_w, length_us, floor)
        self.asleep = bool(start_w.min() < off_w)
        if self.asleep:
            both = (start_w < off_w) & (end_w < off_w)
            np.multiply(energy, both, out=standby)
            np.multiply(length_us, both, out=standby_us)
        return found

    def _measure(self, start_us: Integers, end_us: Integers, length_us: Floats) -> None:
        """Lengths, 0 for gaps."""
        distance_us = self._memory.kept.view(np.int64)[: len(start_us)]
        np.subtract(end_us, start_us, out=distance_us)
        longest_us = self._method.max_gap_s * 1e6
        self.gaps = bool(distance_us.max() > longest_us)
        if self.gaps:
            distance_us[distance_us > longest_us] = 0
        length_us[:] = distance_us

    def _integrate(self, start_w: Floats, end_w: Floats, length_us: Floats, energy: Floats) -> None:
        if self._method.name == "left_hold":
            np.multiply(start_w, length_us, out=energy)
        else:
            np.add(start_w, end_w, out=energy)
            energy *= length_us

    def _vary(self, start_w: Floats, end_w: Floats, length_us: Floats, spread: Floats) -> None:
        """The first interval has none before it to tell noise from steps: it counts as a step."""
        step = np.subtract(end_w, start_w, out=spread)
        step *= length_us
        opposed = self._memory.kept[1 : len(step)]
        np.multiply(step[1:], step[:-1], out=opposed)
        np.minimum(opposed, self._memory.zeros[: len(opposed)], out=opposed)
        opposed *= -NOISE_VARIANCE / STEP_VARIANCE
        step *= step
        step[1:] += opposed
