"""Time and memory of a piece of work in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from typing import NamedTuple


class Cost(NamedTuple):
    """Shortest time and largest memory over the repeats."""

    seconds: float
    memory_gb: float


def best(work: Callable[[], float], repeats: int) -> Cost:
    """Cost of `work`, which returns the seconds that count, each time in a fresh process."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(repeats):
        queue: multiprocessing.Queue[Cost] = context.Queue()
        process = context.Process(target=_measure, args=(work, queue))
        process.start()
        # a process that was killed, as for its memory, leaves nothing to wait for
        while queue.empty():
            process.join(0.05)
            if process.exitcode:
                raise MemoryError(f"{work} ended with {process.exitcode}")
        found.append(queue.get())
        process.join()
    return Cost(min(each.seconds for each in found), max(each.memory_gb for each in found))


def _measure(work: Callable[[], float], queue: multiprocessing.Queue[Cost]) -> None:
    seconds = work()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    queue.put(Cost(seconds, peak_gb))


def row(name: str, cost: Cost, *, n: float, floor: Cost) -> str:
    """A line of a table: seconds, millions a second, memory, ratio to the floor."""
    rate = n / 1e6 / cost.seconds
    ratio = cost.seconds / floor.seconds
    return f"{name:<18}{cost.seconds:>9.2f}{rate:>13.1f}{cost.memory_gb:>9.2f}{ratio:>8.1f}"


HEAD = f"{'':<18}{'seconds':>9}{'M samples/s':>13}{'peak GB':>9}{'ratio':>8}"
