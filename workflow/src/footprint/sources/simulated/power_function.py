"""Power of a node as an exact function of time, with its exact integral.

Between breakpoints the power is `base + fast x F(t) + slow x S(t)` watts. F and S are noise of the
node, of variance about 1. F takes a new value every 1.25 s, which a sensor read every 5 s cannot
follow. S is linear between values 20 s apart, which the sensor can follow. F, S and the power have
integrals in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from footprint.sources.simulated.job_power import AddedPower
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.submission_times import DAY_S

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_FAST_STEP_S = 1.25
_SLOW_STEP_S = 20.0
_FAST_PER_DAY = round(DAY_S / _FAST_STEP_S)
_SLOW_PER_DAY = round(DAY_S / _SLOW_STEP_S)


class NodeNoise:
    """Noise of one node over some days, counted from the simulation's origin.

    Each day has its own random numbers, so that a value does not depend on the days requested.
    """

    def __init__(self, seed: int, node: str, *, first_day: int, last_day: int) -> None:
        """Draw the noise of the days from `first_day` to `last_day`, both included."""
        self._first_fast, self._first_slow = first_day * _FAST_PER_DAY, first_day * _SLOW_PER_DAY
        days = range(first_day, last_day + 1)
        fast = np.empty((len(days), _FAST_PER_DAY), dtype=np.float32)
        for day, values in zip(days, fast, strict=True):
            random_generator(seed, "fast noise", node, day).random(out=values, dtype=np.float32)
        # uniform between -sqrt(3) and sqrt(3): variance 1
        fast -= np.float32(0.5)
        fast *= np.float32(12**0.5)
        self._fast_values = fast.ravel()
        slow = [
            random_generator(seed, "slow noise", node, day).standard_normal(_SLOW_PER_DAY)
            for day in (*days, last_day + 1)
        ]
        self._slow_values = np.clip(
            np.concatenate(slow)[: len(days) * _SLOW_PER_DAY + 1], -3.5, 3.5
        )

    @classmethod
    def over(cls, seed: int, node: str, first_s: float, last_s: float) -> NodeNoise:
        """Noise of the days from the day of `first_s` to the day of `last_s`."""
        return cls(seed, node, first_day=int(first_s // DAY_S), last_day=int(last_s // DAY_S))

    def fast(self, times_s: Floats) -> Floats:
        """F at times."""
        cell = (times_s / _FAST_STEP_S).astype(np.int64) - self._first_fast
        return self._fast_values[cell].astype(np.float64)

    def slow(self, times_s: Floats) -> Floats:
        """S at times."""
        knot, part = _split(times_s, step_s=_SLOW_STEP_S, first=self._first_slow)
        return self._slow_values[knot] + np.diff(self._slow_values)[knot] * part

    def fast_integral(self, times_s: Floats) -> Floats:
        """Integral of F from the first day's start to each time, in seconds."""
        cell, part = _split(times_s, step_s=_FAST_STEP_S, first=self._first_fast)
        total = np.concatenate(([0.0], self._fast_values))
        np.cumsum(total, out=total)
        return _FAST_STEP_S * (total[cell] + part * self._fast_values[cell])

    def slow_integral(self, times_s: Floats) -> Floats:
        """Integral of S from the first day's start to each time, in seconds."""
        knot, part = _split(times_s, step_s=_SLOW_STEP_S, first=self._first_slow)
        low, high = self._slow_values[:-1], self._slow_values[1:]
        total = np.concatenate(([0.0], np.cumsum(0.5 * (low + high))))
        return _SLOW_STEP_S * (total[knot] + part * (low[knot] + 0.5 * part * (high - low)[knot]))


class SummedPower:
    """Sum of added powers: piecewise constant power and amplitudes of noise.

    Attributes:
        breaks_s: Times at which the power may jump, ascending, from the simulation's origin on.
        base_w: Power from each breakpoint on, without noise.
        fast_w: Amplitude of F from each breakpoint on.
        slow_w: Amplitude of S from each breakpoint on.
    """

    def __init__(
        self,
        draws: Sequence[AddedPower],
        *,
        idle_w: float = 0.0,
        idle_noise_w: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Add powers to an idle power with the standard deviations of its fast and slow noise."""
        starts_s = np.concatenate([np.zeros(1), *(draw.starts_s for draw in draws)])
        order = np.argsort(starts_s, kind="stable")

        def cumulated(at_rest: float, parts: list[Floats]) -> Floats:
            steps = [np.array([at_rest]), *(np.diff(part, prepend=0.0) for part in parts)]
            return np.cumsum(np.concatenate(steps)[order])

        fast_w, slow_w = idle_noise_w
        self.breaks_s: Floats = starts_s[order]
        self.base_w: Floats = cumulated(idle_w, [draw.power_w for draw in draws])
        self.fast_w = _square_root(cumulated(fast_w**2, [draw.fast_w2 for draw in draws]))
        self.slow_w = _square_root(cumulated(slow_w**2, [draw.slow_w2 for draw in draws]))

    def power_w(self, times_s: Floats, fast: Floats, slow: Floats) -> Floats:
        """Power at ascending times, at least one; `fast` and `slow` are F and S at these times."""
        bounds_s = times_s[[0, -1]]
        first, last = np.searchsorted(self.breaks_s, bounds_s, side="right") - [1, 0]
        # few breakpoints are searched among many times, which is faster than the converse
        after = np.searchsorted(times_s, self.breaks_s[first:last], side="left")
        lengths = np.diff(after, append=len(times_s))
        power_w = np.repeat(self.base_w[first:last], lengths)
        power_w += np.repeat(self.fast_w[first:last], lengths) * fast
        power_w += np.repeat(self.slow_w[first:last], lengths) * slow
        return power_w


class PowerFunction:
    """Power of one node from the simulation's origin to its end."""

    def __init__(
        self, seed: int, node: str, draws: Sequence[AddedPower], *, idle_w: float, end_s: float
    ) -> None:
        """Add powers to the idle power of a node.

        Args:
            seed: Seed of the noise.
            node: Name of the node.
            draws: Powers added to the idle node, negative while it is off.
            idle_w: Power of the idle node.
            end_s: End of the simulation.
        """
        self._seed, self._node, self._end_s = seed, node, end_s
        self._power = SummedPower(draws, idle_w=idle_w, idle_noise_w=idle_noise_w(idle_w))

    @property
    def breakpoints_s(self) -> Floats:
        """Times at which the power may jump, ascending."""
        return self._power.breaks_s

    def power_w(self, times_s: Floats) -> Floats:
        """Power at ascending times inside the simulation, in watts."""
        if not len(times_s):
            return np.empty(0)
        noise = NodeNoise.over(self._seed, self._node, times_s[0], times_s[-1])
        return self._power.power_w(times_s, noise.fast(times_s), noise.slow(times_s))

    def energy_j(self, times_s: Floats) -> Floats:
        """Energy from the simulation's origin to each time, in joules."""
        noise = NodeNoise.over(self._seed, self._node, 0.0, self._end_s)
        power, breaks_s = self._power, self._power.breaks_s
        n = len(breaks_s)
        points_s = np.concatenate((breaks_s, times_s))
        fast, slow = noise.fast_integral(points_s), noise.slow_integral(points_s)
        gains_j = (
            power.base_w[:-1] * np.diff(breaks_s)
            + power.fast_w[:-1] * np.diff(fast[:n])
            + power.slow_w[:-1] * np.diff(slow[:n])
        )
        reached_j = np.concatenate(([0.0], np.cumsum(gains_j)))
        index = np.searchsorted(breaks_s, times_s, side="right") - 1
        return np.asarray(
            reached_j[index]
            + power.base_w[index] * (times_s - breaks_s[index])
            + power.fast_w[index] * (fast[n:] - fast[index])
            + power.slow_w[index] * (slow[n:] - slow[index])
        )


def idle_noise_w(idle_w: float) -> tuple[float, float]:
    """Standard deviations of the fast and slow noise of an idle node, in watts."""
    return max(0.8, 0.004 * idle_w), 0.006 * idle_w


def _square_root(variances: Floats) -> Floats:
    """Square root of variances, where a sum of cancelling terms may be slightly negative."""
    return np.sqrt(np.maximum(variances, 0.0))


def _split(times_s: Floats, *, step_s: float, first: int) -> tuple[Integers, Floats]:
    """Number of the step of each time, counted from `first`, and the fraction that has passed."""
    at = times_s / step_s
    step = at.astype(np.int64)
    return step - first, at - step
