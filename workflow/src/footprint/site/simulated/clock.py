"""When a collector reads a node: a phase of the node's own, a little slower than the period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

US = 1_000_000
_LATE_US = 700
_JITTER_US = 8000
_SCATTER, _SCATTERED = 40503, 0xFFFF


class Clock:
    """Times of readings, which are numbered from the simulation's origin."""

    def __init__(self, rng: np.random.Generator, *, period_s: int, end_s: float) -> None:
        """Draw the phase and the true period.

        Args:
            rng: Random numbers; two are taken.
            period_s: Period that the collector aims at.
            end_s: End of the simulation.
        """
        self._phase_us = int(rng.integers(_JITTER_US, period_s * US))
        self._period_us = period_s * US + _LATE_US + int(rng.integers(-100, 100))
        self.n_readings = int((end_s * US - self._phase_us) // self._period_us)

    def times_us(self, first: int, last: int) -> NDArray[np.int64]:
        """Times of the readings from `first` to before `last`, in microseconds since the origin."""
        index = np.arange(first, last)
        # a fixed function of the index, as scattered as random numbers: multiplicative hashing
        jitter_us = (index * _SCATTER & _SCATTERED) * (2 * _JITTER_US) // (_SCATTERED + 1)
        return self._phase_us - _JITTER_US + index * self._period_us + jitter_us

    def first_at(self, at_s: float) -> int:
        """Number of the first reading at or after a time."""
        at_us = round(at_s * US)
        near = (at_us - self._phase_us) // self._period_us
        low, high = max(0, near - 2), max(0, min(self.n_readings, near + 4))
        return low + int(np.searchsorted(self.times_us(low, high), at_us, side="left"))

    def between(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Numbers of the first reading in [start_s, end_s) and of the first behind it."""
        return self.first_at(max(start_s, 0.0)), self.first_at(end_s)
