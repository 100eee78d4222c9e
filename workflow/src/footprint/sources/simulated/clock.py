"""Times at which a collector reads a node: at its own phase, slightly less often than nominal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

US_PER_S = 1_000_000
_PERIOD_EXCESS_US = 700
_JITTER_US = 8000
_HASH_FACTOR, _HASH_MASK = 40503, 0xFFFF


class ReadingClock:
    """Times of the readings of a sensor, numbered from the simulation's origin."""

    def __init__(self, rng: np.random.Generator, *, period_s: int, end_s: float) -> None:
        """Draw the phase and the true period.

        Args:
            rng: Random numbers; two are taken.
            period_s: Nominal period.
            end_s: End of the simulation.
        """
        self._phase_us = int(rng.integers(_JITTER_US, period_s * US_PER_S))
        self._period_us = period_s * US_PER_S + _PERIOD_EXCESS_US + int(rng.integers(-100, 100))
        self.n_readings = int((end_s * US_PER_S - self._phase_us) // self._period_us)

    def times_us(self, first: int, last: int) -> NDArray[np.int64]:
        """Times of readings `first` to `last` (excluded), in microseconds since the origin."""
        index = np.arange(first, last)
        # jitter by multiplicative hashing of the index: the same whichever readings are asked for
        jitter_us = (index * _HASH_FACTOR & _HASH_MASK) * (2 * _JITTER_US) // (_HASH_MASK + 1)
        return self._phase_us - _JITTER_US + index * self._period_us + jitter_us

    def first_at(self, at_s: float) -> int:
        """Number of the first reading at or after a time."""
        at_us = round(at_s * US_PER_S)
        near = (at_us - self._phase_us) // self._period_us
        low, high = max(0, near - 2), max(0, min(self.n_readings, near + 4))
        return low + int(np.searchsorted(self.times_us(low, high), at_us, side="left"))

    def between(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Numbers of the first reading in [start_s, end_s) and of the first reading after it."""
        return self.first_at(max(start_s, 0.0)), self.first_at(end_s)
