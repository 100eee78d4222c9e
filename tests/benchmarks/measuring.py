"""Time and memory of functions, each run in its own process."""

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
"""Function that returns the seconds to report."""


class Cost(NamedTuple):
    """Shortest time and largest memory over the repeats."""

    seconds: float
    memory_gb: float


def best_cost(work: Work, repeats: int) -> Cost:
    """Cost of a function, with a new process for each repeat."""
    return best_concurrent_cost([work], repeats, threads=None)


def best_concurrent_cost(works: Sequence[Work], repeats: int, *, threads: int | None) -> Cost:
    """Cost of functions that start together, with new processes for each repeat.

    Args:
        works: Function of each process. The cost is their longest time and the sum of their memory.
        repeats: Number of repeats.
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
    results: multiprocessing.Queue[Cost] = context.Queue()
    together = context.Barrier(len(works))
    processes = [context.Process(target=_measure, args=(work, together, results)) for work in works]
    limited = {} if threads is None else {"POLARS_MAX_THREADS": str(threads)}
    with mock.patch.dict(os.environ, limited):
        for process in processes:
            process.start()
    costs: list[Cost] = []
    while len(costs) < len(works):
        try:
            costs.append(results.get(timeout=0.05))
        except queue.Empty:
            # a killed process, such as one out of memory, sends no result
            for work, process in zip(works, processes, strict=True):
                if process.exitcode:
                    raise MemoryError(f"{work} ended with {process.exitcode}") from None
    for process in processes:
        process.join()
    return costs


def _measure(work: Work, together: Barrier, results: multiprocessing.Queue[Cost]) -> None:
    together.wait()
    seconds = work()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    results.put(Cost(seconds, peak_gb))


def table_row(name: str, cost: Cost, *, n: float, floor: Cost) -> str:
    """Line of a table: seconds, millions of samples a second, memory, ratio to the floor."""
    rate = n / 1e6 / cost.seconds
    ratio = cost.seconds / floor.seconds
    return f"{name:<22}{cost.seconds:>9.2f}{rate:>13.1f}{cost.memory_gb:>9.2f}{ratio:>8.1f}"


TABLE_HEAD = f"{'':<22}{'seconds':>9}{'M samples/s':>13}{'peak GB':>9}{'ratio':>8}"
