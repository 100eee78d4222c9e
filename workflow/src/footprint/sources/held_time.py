"""Intervals in which jobs held a node, and in which the node could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from footprint.core.arrays import Integers, sorted_distinct


def _empty_times() -> Integers:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class HeldTime:
    """Intervals of one node, in microseconds since 1970; each array is sorted by itself.

    Attributes:
        starts_us: Times from which a job held the node.
        stops_us: Times at which a job released it.
        unavailable_starts_us: Times from which the node could not be used.
        unavailable_stops_us: Times from which it could be used again.
    """

    starts_us: Integers = field(default_factory=_empty_times)
    stops_us: Integers = field(default_factory=_empty_times)
    unavailable_starts_us: Integers = field(default_factory=_empty_times)
    unavailable_stops_us: Integers = field(default_factory=_empty_times)

    @property
    def bounds_us(self) -> Integers:
        """Times at which a job began or ended on the node, ascending, each once."""
        both = np.concatenate([self.starts_us, self.stops_us])
        return sorted_distinct(both) if len(both) else both

    def is_held(self, times_us: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether, at each time, a job held the node and the node could be used."""
        n_states = _count_open(self.unavailable_starts_us, self.unavailable_stops_us, times_us)
        return (_count_open(self.starts_us, self.stops_us, times_us) > 0) & ~(n_states > 0)


def _count_open(starts_us: Integers, stops_us: Integers, times_us: Integers) -> Integers:
    """Number of half-open intervals that contain each time."""
    n_started = np.searchsorted(starts_us, times_us, side="right")
    n_stopped = np.searchsorted(stops_us, times_us, side="right")
    return np.asarray(n_started - n_stopped)
