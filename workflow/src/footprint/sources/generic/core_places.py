"""Places of jobs on a node: numbers of cores or GPUs where only their number is known.

Schedulers often record how many cores a job had, not which. Shares of energy depend on the number
alone, and a job gets the lowest cores that no other job has during its time. Sets of cores are
bits of an integer, by the position of a core in its node.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable


class FreePlaces:
    """Places of a node in the order of time."""

    def __init__(self, n_places: int) -> None:
        """All places are free.

        Args:
            n_places: Number of cores, or of GPUs, of the node.
        """
        self._all = (1 << n_places) - 1
        self._taken = 0
        self._holders: list[tuple[int, int]] = []

    def take(self, start: int, stop: int | None, *, n: int, known: int | None = None) -> int:
        """Take places for a job, and return them.

        Where fewer places are free than the job has, it gets the lowest others as well: the records
        contradict one another, which the stage of allocations settles or refuses.

        Args:
            start: Start of the job, not before that of the call before.
            stop: End of the job, in the same unit; None while it runs.
            n: Number of places, at most those of the node.
            known: The places, where they are known; None: any.
        """
        if self._holders and self._holders[0][0] <= start:
            while self._holders and self._holders[0][0] <= start:
                heapq.heappop(self._holders)
            self._taken = 0
            for _, held in self._holders:
                self._taken |= held
        if known is None:
            free = self._all & ~self._taken
            n_free = free.bit_count()
            known = free if n >= n_free else lowest_bits(free, n)
            if n > n_free:
                known |= lowest_bits(self._all & ~free, n - n_free)
        heapq.heappush(self._holders, (1 << 62 if stop is None else stop, known))
        self._taken |= known
        return known


def lowest_bits(bits: int, n: int) -> int:
    """The `n` lowest of the bits that are set."""
    found = 0
    for _ in range(n):
        lowest = bits & -bits
        found |= lowest
        bits ^= lowest
    return found


def bits_of(positions: Iterable[int]) -> int:
    """Bits at positions."""
    found = 0
    for position in positions:
        found |= 1 << position
    return found


def positions_of(bits: int) -> list[int]:
    """Positions of the bits that are set, ascending."""
    return [position for position in range(bits.bit_length()) if bits >> position & 1]
