"""Power of a node as an exact function of time, with its exact integral.

Between breakpoints the power is `base + fast x F(t) + slow x S(t)` watts. F and S are the node's
own noise, of variance about 1: F is a fresh value every 1.25 s, which a sensor read every 5 s
cannot follow; S runs linearly between values 20 s apart, which it can. Both integrate in closed
form, and so does the power.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from footprint.site.simulated.load import Draw
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.timetable import DAY_S

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_FAST_S = 1.25
_SLOW_S = 20.0
_FAST_A_DAY = round(DAY_S / _FAST_S)
_SLOW_A_DAY = round(DAY_S / _SLOW_S)


class Noise:
    """Noise of one node over some days, counted from the simulation's origin.

    Every day has random numbers of its own, so that a value does not depend on the days asked for.
    """

    def __init__(self, seed: int, node: str, *, first_day: int, last_day: int) -> None:
        """Draw the noise of the days from `first_day` to `last_day`, both included."""
        days = range(first_day, last_day + 1)
        self._first_fast, self._first_slow = first_day * _FAST_A_DAY, first_day * _SLOW_A_DAY
        fast = [
            generator(seed, "fast noise", node, day).random(_FAST_A_DAY, dtype=np.float32)
            for day in days
        ]
        # even between -sqrt(3) and sqrt(3): variance 1
        self._fast = (np.concatenate(fast) - np.float32(0.5)) * np.float32(12**0.5)
        slow = [
            generator(seed, "slow noise", node, day).standard_normal(_SLOW_A_DAY)
            for day in (*days, last_day + 1)
        ]
        self._slow = np.clip(np.concatenate(slow)[: len(days) * _SLOW_A_DAY + 1], -3.5, 3.5)

    @classmethod
    def over(cls, seed: int, node: str, first_s: float, last_s: float) -> Noise:
        """The noise of the days from that of a time to that of another."""
        return cls(seed, node, first_day=int(first_s // DAY_S), last_day=int(last_s // DAY_S))

    def _cells(self, times_s: Floats) -> tuple[Integers, Floats]:
        """Cell of F at some times, and how far into it they are, as parts of it."""
        at = times_s / _FAST_S
        cell = at.astype(np.int64)
        return cell - self._first_fast, at - cell

    def _knots(self, times_s: Floats) -> tuple[Integers, Floats]:
        """Knot of S before some times, and how far behind it they are, as parts of the distance."""
        at = times_s / _SLOW_S
        knot = at.astype(np.int64)
        return knot - self._first_slow, at - knot

    def fast(self, times_s: Floats) -> Floats:
        """F at some times."""
        cell, _ = self._cells(times_s)
        return self._fast[cell].astype(np.float64)

    def slow(self, times_s: Floats) -> Floats:
        """S at some times."""
        knot, part = self._knots(times_s)
        low = self._slow[knot]
        return low + (self._slow[knot + 1] - low) * part

    def fast_integral(self, times_s: Floats) -> Floats:
        """Integral of F from the first day's start to some times."""
        cell, part = self._cells(times_s)
        total = np.concatenate(([0.0], np.cumsum(self._fast, dtype=np.float64)))
        return _FAST_S * (total[cell] + part * self._fast[cell])

    def slow_integral(self, times_s: Floats) -> Floats:
        """Integral of S from the first day's start to some times."""
        knot, part = self._knots(times_s)
        low, high = self._slow[:-1], self._slow[1:]
        total = np.concatenate(([0.0], np.cumsum(0.5 * (low + high))))
        return _SLOW_S * (total[knot] + part * (low[knot] + 0.5 * part * (high - low)[knot]))


class Stack:
    """Draws added up: power that jumps at breakpoints, and what noise is multiplied with.

    Attributes:
        breaks_s: Where the power may jump, ascending, from the simulation's origin on.
        base_w: Power from each breakpoint on, without noise.
        fast_w: What F is multiplied with from there on.
        slow_w: What S is multiplied with.
    """

    def __init__(
        self,
        draws: Sequence[Draw],
        *,
        idle_w: float = 0.0,
        idle_noise_w: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Add draws to an idle power and the standard deviations of its fast and slow noise."""
        starts_s = np.concatenate([np.zeros(1), *(draw.starts_s for draw in draws)])
        order = np.argsort(starts_s, kind="stable")

        def summed(at_rest: float, parts: list[Floats]) -> Floats:
            steps = [np.array([at_rest]), *(np.diff(part, prepend=0.0) for part in parts)]
            return np.cumsum(np.concatenate(steps)[order])

        fast_w, slow_w = idle_noise_w
        self.breaks_s: Floats = starts_s[order]
        self.base_w: Floats = summed(idle_w, [draw.power_w for draw in draws])
        self.fast_w = _root(summed(fast_w**2, [draw.fast_w2 for draw in draws]))
        self.slow_w = _root(summed(slow_w**2, [draw.slow_w2 for draw in draws]))

    def power_w(self, times_s: Floats, fast: Floats, slow: Floats) -> Floats:
        """Power at some times, one at least, which must ascend; `fast` and `slow` are F and S."""
        bounds_s = times_s[[0, -1]]
        first, last = np.searchsorted(self.breaks_s, bounds_s, side="right") - [1, 0]
        # the few breakpoints are looked up among the many times, not the other way round
        after = np.searchsorted(times_s, self.breaks_s[first:last], side="left")
        lengths = np.diff(after, append=len(times_s))
        power_w = np.repeat(self.base_w[first:last], lengths)
        power_w += np.repeat(self.fast_w[first:last], lengths) * fast
        power_w += np.repeat(self.slow_w[first:last], lengths) * slow
        return power_w


class NodeSignal:
    """Power of one node from the simulation's origin to its end."""

    def __init__(
        self, seed: int, node: str, draws: Sequence[Draw], *, idle_w: float, end_s: float
    ) -> None:
        """Add up what the node draws by itself and what comes on top of it.

        Args:
            seed: Seed of the noise.
            node: Name of the node.
            draws: What is added to the idle node, or taken away while it is off.
            idle_w: Power of the idle node.
            end_s: End of the simulation.
        """
        self._seed, self._node, self._end_s = seed, node, end_s
        self._stack = Stack(draws, idle_w=idle_w, idle_noise_w=idle_noise_w(idle_w))

    @property
    def breakpoints_s(self) -> Floats:
        """Where the power may jump, ascending."""
        return self._stack.breaks_s

    def power_w(self, times_s: Floats) -> Floats:
        """Power at some times, which must ascend and lie inside the simulation."""
        if not len(times_s):
            return np.empty(0)
        noise = Noise.over(self._seed, self._node, times_s[0], times_s[-1])
        return self._stack.power_w(times_s, noise.fast(times_s), noise.slow(times_s))

    def energy_j(self, times_s: Floats) -> Floats:
        """Energy from the simulation's origin to some times, in joules."""
        noise = Noise.over(self._seed, self._node, 0.0, self._end_s)
        stack, breaks_s = self._stack, self._stack.breaks_s
        n = len(breaks_s)
        points_s = np.concatenate((breaks_s, times_s))
        fast, slow = noise.fast_integral(points_s), noise.slow_integral(points_s)
        pieces = (
            stack.base_w[:-1] * np.diff(breaks_s)
            + stack.fast_w[:-1] * np.diff(fast[:n])
            + stack.slow_w[:-1] * np.diff(slow[:n])
        )
        reached_j = np.concatenate(([0.0], np.cumsum(pieces)))
        here = np.searchsorted(breaks_s, times_s, side="right") - 1
        return np.asarray(
            reached_j[here]
            + stack.base_w[here] * (times_s - breaks_s[here])
            + stack.fast_w[here] * (fast[n:] - fast[here])
            + stack.slow_w[here] * (slow[n:] - slow[here])
        )


def idle_noise_w(idle_w: float) -> tuple[float, float]:
    """Standard deviations of the fast and slow noise of a node without load."""
    return max(0.8, 0.004 * idle_w), 0.006 * idle_w


def _root(variances: Floats) -> Floats:
    """Square root, where a sum of cancelling terms may end a hair below zero."""
    return np.sqrt(np.maximum(variances, 0.0))
