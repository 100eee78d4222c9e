"""Time and memory of pieces of work, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import resource
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

Work = Callable[[], float]
"""Something that returns the seconds that count."""


class Cost(NamedTuple):
    """Shortest time and largest memory over the repeats."""

    seconds: float
    memory_gb: float


def best(work: Work, repeats: int) -> Cost:
    """Cost of a piece of work, each time in a fresh process."""
    return best_at_once([work], repeats, threads=None)


def best_at_once(works: Sequence[Work], repeats: int, *, threads: int | None) -> Cost:
    """Cost of pieces of work that start together, each time in fresh processes.

    Args:
        works: What each process does. The longest is what they take, and their memory adds up.
        repeats: How often.
        threads: Threads of Polars in each, as a rule's `threads` sets them; None: all.
    """
    found = []
    for _ in range(repeats):
        costs = _at_once(works, threads)
        found.append(
            Cost(max(each.seconds for each in costs), sum(each.memory_gb for each in costs))
        )
    return Cost(min(each.seconds for each in found), max(each.memory_gb for each in found))


def _at_once(works: Sequence[Work], threads: int | None) -> list[Cost]:
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[Cost] = context.Queue()
    together = context.Barrier(len(works))
    processes = [context.Process(target=_measure, args=(work, together, said)) for work in works]
    limited = {} if threads is None else {"POLARS_MAX_THREADS": str(threads)}
    with mock.patch.dict(os.environ, limited):
        for process in processes:
            process.start()
    costs: list[Cost] = []
    while len(costs) < len(works):
        try:
            costs.append(said.get(timeout=0.05))
        except queue.Empty:
            # a process that was killed, as for its memory, says nothing
            for work, process in zip(works, processes, strict=True):
                if process.exitcode:
                    raise MemoryError(f"{work} ended with {process.exitcode}") from None
    for process in processes:
        process.join()
    return costs


def _measure(work: Work, together: Barrier, said: multiprocessing.Queue[Cost]) -> None:
    together.wait()
    seconds = work()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    said.put(Cost(seconds, peak_gb))


def row(name: str, cost: Cost, *, n: float, floor: Cost) -> str:
    """A line of a table: seconds, millions a second, memory, ratio to the floor."""
    rate = n / 1e6 / cost.seconds
    ratio = cost.seconds / floor.seconds
    return f"{name:<22}{cost.seconds:>9.2f}{rate:>13.1f}{cost.memory_gb:>9.2f}{ratio:>8.1f}"


HEAD = f"{'':<22}{'seconds':>9}{'M samples/s':>13}{'peak GB':>9}{'ratio':>8}"
