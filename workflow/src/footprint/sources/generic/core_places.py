"""Numbers of cores for jobs of which only the number of cores on a node is known.

Schedulers often record how many cores a job had, not which. Shares of energy depend on the number
alone, and a job gets the lowest cores that no other job has during its time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class CoreRequest(NamedTuple):
    """Cores that a job held on a node.

    Attributes:
        started_at: Start of the job.
        stopped_at: End of the job; None while it runs.
        job_id: Job.
        cores: The cores, where they are known; None: any `n_cores`.
        n_cores: Number of cores.
    """

    started_at: datetime
    stopped_at: datetime | None
    job_id: int
    cores: Sequence[int] | None
    n_cores: int


def place_cores(requests: Iterable[CoreRequest], cores: Sequence[int]) -> dict[int, list[int]]:
    """Cores of each job on one node.

    Jobs are placed by their start; jobs with known cores first. Where fewer cores are free than a
    job has, it gets the lowest others as well: the records contradict one another, which the stage
    of allocations settles or refuses.

    Args:
        requests: Requests on the node, one for each job.
        cores: Cores of the node.

    Returns:
        Cores by job, ascending.
    """
    found: dict[int, list[int]] = {}
    n_holders = dict.fromkeys(cores, 0)
    releases: list[tuple[datetime, int]] = []
    for each in sorted(requests, key=lambda each: (each[0], each.cores is None, each.job_id)):
        while releases and releases[0][0] <= each.started_at:
            for core in found[heapq.heappop(releases)[1]]:
                n_holders[core] -= 1
        if each.cores is None:
            by_use = sorted(cores, key=lambda core: (n_holders[core] > 0, core))
            found[each.job_id] = sorted(by_use[: each.n_cores])
        else:
            found[each.job_id] = list(each.cores)
        for core in found[each.job_id]:
            n_holders[core] += 1
        if each.stopped_at is not None:
            heapq.heappush(releases, (each.stopped_at, each.job_id))
    return found
