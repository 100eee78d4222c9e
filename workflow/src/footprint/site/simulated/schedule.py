"""First-fit scheduling: which job runs where, from when to when, and how it ends.

Jobs of a cluster start in the order of submission wherever the cores that they need are free; a job
that has waited long has nodes emptied for it. No core is ever held by two jobs, but for the inner
jobs of a container, which hold cores of the container.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

import numpy as np

from footprint.site.simulated.hardware import Node
from footprint.site.simulated.outages import NOTICE_S, Outage
from footprint.site.simulated.requests import Request

# A job that has waited this long has nodes kept free for it.
_PATIENCE_S = 5 * 3600
_FRAGGED = ("FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE")
_EVENTS: dict[str, tuple[str, ...]] = {
    "done": ("SWITCH_INTO_TERMINATE_STATE",),
    "deleted": _FRAGGED,
    "left": _FRAGGED,
    "node_down": _FRAGGED,
    "container_over": _FRAGGED,
    "walltime": ("FRAG_JOB_REQUEST", "WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"),
    "preempted": ("BESTEFFORT_KILL", *_FRAGGED),
    "withdrawn": ("FRAG_JOB_REQUEST",),
}
_KILLED_BY_PLATFORM = ("node_down", "preempted")
State = Literal["waiting", "running", "terminated", "error"]


@dataclass(slots=True, eq=False)
class Job:
    """A job and what became of it; times are whole seconds since the simulation's origin."""

    request: Request
    submitted_s: int
    container: Job | None = None
    job_id: int = 0
    started_s: int | None = None
    stopped_s: int | None = None
    state: State = "waiting"
    exit_code: int | None = None
    events: tuple[str, ...] = ()
    held: list[tuple[Node, int]] = field(default_factory=list)
    inner: list[Job] = field(default_factory=list)


class _Slot:
    """A node as the scheduler sees it: which of its cores are free, and until when."""

    def __init__(self, node: Node, mask: int) -> None:
        self.node = node
        self.usable = mask
        self.free = mask
        self.down = False
        self.closes_s: int | None = None
        self.kept_for: Job | None = None
        self.jobs: list[Job] = []

    def mask_for(self, request: Request, free: int) -> int | None:
        """Cores that the request would take out of `free`, None when it does not fit."""
        if request.n_gpus:
            whole = [gpu for gpu in self.node.gpu_masks if gpu & free == gpu]
            return sum(whole[: request.n_gpus]) if len(whole) >= request.n_gpus else None
        if not request.n_cores:
            return self.usable if free == self.usable else None
        if free.bit_count() < request.n_cores:
            return None
        # cores without a GPU come first from GPUs that are already broken into
        groups = sorted(
            self.node.gpu_masks or (self.usable,), key=lambda gpu: ((gpu & free) == gpu, -gpu)
        )
        order = [core for gpu in groups for core in self.node.cores_of(gpu & free)]
        return sum(1 << core for core in order[: request.n_cores])


class _Pool:
    """The nodes of a cluster, or of a container, and the jobs that wait for them."""

    def __init__(self, slots: list[_Slot]) -> None:
        self.slots = slots
        self.queue: list[Job] = []


class Scheduler:
    """Plays the requests through, event by event."""

    def __init__(
        self,
        nodes: Sequence[Node],
        outages: Sequence[Outage],
        rng: np.random.Generator,
        *,
        end_s: int,
    ) -> None:
        """Take the nodes, what befalls them, random numbers, and the last second to play."""
        self.jobs: list[Job] = []
        self._rng = rng
        self._end_s = end_s
        self._order = count()
        self._events: list[tuple[int, int, str, object]] = []
        self._slots = {node.name: _Slot(node, node.full_mask) for node in nodes}
        clusters = sorted({node.cluster for node in nodes})
        self._pools = {
            name: _Pool([self._slots[node.name] for node in nodes if node.cluster == name])
            for name in clusters
        }
        self._inner_pools: dict[int, _Pool] = {}
        for outage in outages:
            if outage.state == "maintenance":
                self._push(max(0, outage.start_s - NOTICE_S), "notice", outage)
            self._push(outage.start_s, "down", outage)
            self._push(outage.stop_s, "up", outage)

    def run(self, requests: Iterable[tuple[int, Request]]) -> list[Job]:
        """All jobs, numbered in the order of their submission."""
        for at_s, request in requests:
            self._push(at_s, "submit", Job(request, at_s))
        while self._events and self._events[0][0] < self._end_s:
            now_s, _, what, subject = heapq.heappop(self._events)
            if isinstance(subject, Job):
                self._job_event(now_s, what, subject)
            elif isinstance(subject, Outage):
                self._node_event(now_s, what, subject)
        for job in self.jobs:
            if job.started_s is not None and job.started_s >= self._end_s:
                # it would start after the records are read out
                job.started_s = job.stopped_s = None
                job.state = "waiting" if job.state == "running" else job.state
                job.held.clear()
        self.jobs.sort(key=lambda job: job.submitted_s)
        return self.jobs

    def _push(self, at_s: int, what: str, subject: Job | Outage) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), what, subject))

    def _job_event(self, now_s: int, what: str, job: Job) -> None:
        if what == "submit":
            self._submit(now_s, job)
        elif what == "withdraw":
            if job.state == "waiting":
                pool = self._pool_of(job)
                pool.queue.remove(job)
                self._let_go(pool, job)
                self._close(job, "withdrawn")
        elif job.state == "running":
            self._stop(now_s, job, what)

    def _node_event(self, now_s: int, what: str, outage: Outage) -> None:
        slot = self._slots[outage.node]
        pool = self._pools[slot.node.cluster]
        if what == "notice":
            slot.closes_s = outage.start_s
        elif what == "down":
            slot.down, slot.kept_for = True, None
            for job in list(slot.jobs):
                if job.state == "running":
                    self._stop(now_s, job, "node_down")
        else:
            slot.down, slot.closes_s = False, None
        self._serve(now_s, pool)

    def _pool_of(self, job: Job) -> _Pool:
        if job.container is not None:
            return self._inner_pools[id(job.container)]
        return self._pools[job.request.cluster]

    def _submit(self, now_s: int, job: Job) -> None:
        if job.container is not None and job.container.state != "running":
            return  # nobody submits into a container that is over
        self.jobs.append(job)
        if job.container is not None:
            job.container.inner.append(job)
        pool = self._pool_of(job)
        pool.queue.append(job)
        if job.request.patience_s is not None:
            self._push(now_s + 1 + job.request.patience_s, "withdraw", job)
        self._serve(now_s, pool)

    def _serve(self, now_s: int, pool: _Pool) -> None:
        """Start every waiting job that fits, in the order of the queue."""
        for rank, job in enumerate(list(pool.queue)):
            if job.request.patience_s == 0:
                continue
            found = self._fit(now_s, pool, job)
            if found:
                pool.queue.remove(job)
                self._start(now_s, job, found)
            elif rank == 0 and now_s - job.submitted_s > _PATIENCE_S:
                self._keep_nodes(pool, job)

    def _may_use(self, now_s: int, slot: _Slot, job: Job) -> bool:
        if slot.down or slot.kept_for not in (None, job):
            return False
        return slot.closes_s is None or now_s + job.request.walltime_s < slot.closes_s

    def _fit(self, now_s: int, pool: _Pool, job: Job) -> list[tuple[_Slot, int]]:
        """Nodes and cores for a job, fullest nodes first; besteffort jobs may have to give way."""
        for pushing in (False, True):
            if pushing and (job.request.besteffort or job.container is not None):
                break
            found: list[tuple[_Slot, int]] = []
            for slot in sorted(pool.slots, key=lambda slot: slot.free.bit_count()):
                if not self._may_use(now_s, slot, job):
                    continue
                free = slot.free
                if pushing:
                    for other in slot.jobs:
                        if other.request.besteffort:
                            free |= next(mask for node, mask in other.held if node is slot.node)
                mask = slot.mask_for(job.request, free)
                if mask is not None:
                    found.append((slot, mask))
                if len(found) == job.request.n_nodes:
                    return found
        return []

    def _keep_nodes(self, pool: _Pool, job: Job) -> None:
        """Let the nodes with the least work left run empty for a job that has waited long."""
        kept = sum(slot.kept_for is job for slot in pool.slots)
        open_slots = [slot for slot in pool.slots if not slot.down and slot.kept_for is None]
        open_slots.sort(key=lambda slot: max((self._ends_s(job) for job in slot.jobs), default=0))
        for slot in open_slots[: max(0, job.request.n_nodes - kept)]:
            slot.kept_for = job

    @staticmethod
    def _let_go(pool: _Pool, job: Job) -> None:
        for slot in pool.slots:
            if slot.kept_for is job:
                slot.kept_for = None

    @staticmethod
    def _ends_s(job: Job) -> int:
        return (job.started_s or 0) + min(job.request.runtime_s, job.request.walltime_s)

    def _start(self, now_s: int, job: Job, found: list[tuple[_Slot, int]]) -> None:
        request = job.request
        for slot, mask in found:
            for other in list(slot.jobs):
                if any(node is slot.node and held & mask for node, held in other.held):
                    self._stop(now_s, other, "preempted", serve=False)
        # 3 s at least after whoever held the cores before
        job.started_s = now_s + int(self._rng.integers(3, 30))
        job.state = "running"
        self._let_go(self._pool_of(job), job)
        for slot, mask in found:
            slot.free &= ~mask
            slot.jobs.append(job)
            job.held.append((slot.node, mask))
        runtime_s = request.runtime_s
        if request.suspended is not None:
            runtime_s += request.suspended[1]
        if runtime_s < request.walltime_s:
            self._push(job.started_s + runtime_s, request.ending, job)
        else:
            # the kill signal takes a few seconds
            late_s = int(self._rng.integers(4, 20))
            self._push(job.started_s + request.walltime_s + late_s, "walltime", job)
        if request.inside:
            pool = _Pool([_Slot(node, mask) for node, mask in job.held])
            self._inner_pools[id(job)] = pool
            for delay_s, inner in request.inside:
                at_s = job.started_s + delay_s
                self._push(at_s, "submit", Job(inner, at_s, container=job))

    def _stop(self, now_s: int, job: Job, how: str, *, serve: bool = True) -> None:
        for inner in job.inner:
            if inner.state == "running":
                self._stop(now_s, inner, "container_over", serve=False)
            elif inner.state == "waiting":
                self._close(inner, "withdrawn")
        started_s = job.started_s or 0
        # a job killed before its start was written down has lasted no time
        job.stopped_s = max(now_s, started_s)
        pool = self._pool_of(job)
        names = {node.name for node, _ in job.held}
        for slot in pool.slots:
            if slot.node.name in names:
                slot.free |= next(mask for node, mask in job.held if node is slot.node)
                slot.jobs.remove(job)
        self._close(job, how)
        self._follow(job, how)
        if serve:
            self._serve(now_s, pool)

    def _close(self, job: Job, how: str) -> None:
        job.state = "terminated" if how == "done" else "error"
        job.exit_code = job.request.exit_code if how == "done" else None
        job.events = _EVENTS[how]

    def _follow(self, job: Job, how: str) -> None:
        """Submit what comes after a job, or the rest of a job that the platform killed."""
        request, stopped_s = job.request, job.stopped_s or 0
        if how in _KILLED_BY_PLATFORM and request.resumes:
            left_s = request.runtime_s - (stopped_s - (job.started_s or 0))
            again = replace(request, runtime_s=max(left_s, 600), array=None, array_index=1)
            at_s = stopped_s + int(self._rng.integers(60, 1800))
            self._push(at_s, "submit", Job(again, at_s))
            return
        for delay_s, follower in request.then:
            at_s = stopped_s + delay_s
            self._push(at_s, "submit", Job(follower, at_s))
