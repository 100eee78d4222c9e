"""First-fit scheduler: allocation, start, end and ending of each job.

Jobs of a cluster start in the order of submission wherever the cores that they need are free. Nodes
are reserved for a job that has waited long. No core is allocated to two jobs at once, except the
cores of a container, which its inner jobs share.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

import numpy as np

from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.outages import MAINTENANCE_NOTICE_S, Outage

# Waiting time after which nodes are reserved for a job.
_RESERVED_AFTER_S = 5 * 3600
_DELETION_EVENTS = ("FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE")
_EVENTS: dict[str, tuple[str, ...]] = {
    "done": ("SWITCH_INTO_TERMINATE_STATE",),
    "deleted": _DELETION_EVENTS,
    "left": _DELETION_EVENTS,
    "node_down": _DELETION_EVENTS,
    "container_over": _DELETION_EVENTS,
    "walltime": ("FRAG_JOB_REQUEST", "WALLTIME", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"),
    "preempted": ("BESTEFFORT_KILL", *_DELETION_EVENTS),
    "withdrawn": ("FRAG_JOB_REQUEST",),
}
_PLATFORM_ENDINGS = ("node_down", "preempted")
JobState = Literal["waiting", "running", "terminated", "error"]


@dataclass(slots=True, eq=False)
class Job:
    """A job with its allocation and end; times are whole seconds since the simulation's origin."""

    request: JobRequest
    submitted_s: int
    container: Job | None = None
    job_id: int = 0
    started_s: int | None = None
    stopped_s: int | None = None
    state: JobState = "waiting"
    exit_code: int | None = None
    events: tuple[str, ...] = ()
    allocation: list[tuple[Node, int]] = field(default_factory=list)
    inner: list[Job] = field(default_factory=list)


class _NodeSlot:
    """State of a node in the scheduler: its free cores, jobs, reservation and next maintenance."""

    def __init__(self, node: Node, mask: int) -> None:
        self.node = node
        self.usable = mask
        self.free = mask
        self.is_down = False
        self.maintenance_s: int | None = None
        self.reserved_for: Job | None = None
        self.jobs: list[Job] = []

    def preemptible(self) -> int:
        """Mask of the cores of besteffort jobs."""
        held = [job.allocation for job in self.jobs if job.request.is_besteffort]
        return sum(mask for allocation in held for node, mask in allocation if node is self.node)

    def mask_for(self, request: JobRequest, free: int) -> int | None:
        """Mask of the cores that a request would get out of `free`; None if it does not fit."""
        if request.n_gpus:
            whole = [gpu for gpu in self.node.gpu_masks if gpu & free == gpu]
            return sum(whole[: request.n_gpus]) if len(whole) >= request.n_gpus else None
        if not request.n_cores:
            return self.usable if free == self.usable else None
        if free.bit_count() < request.n_cores:
            return None
        # requests of cores alone first get the cores of GPUs that are already partly allocated
        groups = sorted(
            self.node.gpu_masks or (self.usable,), key=lambda gpu: ((gpu & free) == gpu, -gpu)
        )
        order = [core for gpu in groups for core in self.node.cores_of(gpu & free)]
        return sum(1 << core for core in order[: request.n_cores])


class _Pool:
    """Nodes of a cluster or of a container, and the jobs that wait for them."""

    def __init__(self, slots: list[_NodeSlot]) -> None:
        self.slots = slots
        self.queue: list[Job] = []


class Scheduler:
    """Discrete-event simulation that turns requests into jobs."""

    def __init__(
        self,
        nodes: Sequence[Node],
        outages: Sequence[Outage],
        rng: np.random.Generator,
        *,
        end_s: int,
    ) -> None:
        """Register nodes and outages; no event at or after `end_s` is processed."""
        self.jobs: list[Job] = []
        self._rng = rng
        self._end_s = end_s
        self._order = count()
        self._events: list[tuple[int, int, str, object]] = []
        self._slots = {node.name: _NodeSlot(node, node.full_mask) for node in nodes}
        clusters = sorted({node.cluster for node in nodes})
        self._pools = {
            name: _Pool([self._slots[node.name] for node in nodes if node.cluster == name])
            for name in clusters
        }
        self._inner_pools: dict[int, _Pool] = {}
        for outage in outages:
            if outage.state == "maintenance":
                self._add_event(max(0, outage.start_s - MAINTENANCE_NOTICE_S), "notice", outage)
            self._add_event(outage.start_s, "down", outage)
            self._add_event(outage.stop_s, "up", outage)

    def run(self, requests: Iterable[tuple[int, JobRequest]]) -> list[Job]:
        """All jobs, in the order of their submission."""
        for at_s, request in requests:
            self._add_event(at_s, "submit", Job(request, at_s))
        while self._events and self._events[0][0] < self._end_s:
            now_s, _, event, subject = heapq.heappop(self._events)
            if isinstance(subject, Job):
                self._handle_job_event(now_s, event, subject)
            elif isinstance(subject, Outage):
                self._handle_outage_event(now_s, event, subject)
        for job in self.jobs:
            if job.started_s is not None and job.started_s >= self._end_s:
                # it would start after the records are read
                job.started_s = job.stopped_s = None
                job.state = "waiting" if job.state == "running" else job.state
                job.allocation.clear()
        self.jobs.sort(key=lambda job: job.submitted_s)
        return self.jobs

    def _add_event(self, at_s: int, event: str, subject: Job | Outage) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), event, subject))

    def _handle_job_event(self, now_s: int, event: str, job: Job) -> None:
        if event == "submit":
            self._submit(now_s, job)
        elif event == "withdraw":
            if job.state == "waiting":
                pool = self._pool_of(job)
                pool.queue.remove(job)
                self._release_nodes(pool, job)
                self._record_end(job, "withdrawn")
        elif job.state == "running":
            self._end_job(now_s, job, event)

    def _handle_outage_event(self, now_s: int, event: str, outage: Outage) -> None:
        slot = self._slots[outage.node]
        pool = self._pools[slot.node.cluster]
        if event == "notice":
            slot.maintenance_s = outage.start_s
        elif event == "down":
            slot.is_down, slot.reserved_for = True, None
            for job in list(slot.jobs):
                if job.state == "running":
                    self._end_job(now_s, job, "node_down")
        else:
            slot.is_down, slot.maintenance_s = False, None
        self._start_waiting_jobs(now_s, pool)

    def _pool_of(self, job: Job) -> _Pool:
        if job.container is not None:
            return self._inner_pools[id(job.container)]
        return self._pools[job.request.cluster]

    def _submit(self, now_s: int, job: Job) -> None:
        if job.container is not None and job.container.state != "running":
            return  # the container has ended
        self.jobs.append(job)
        if job.container is not None:
            job.container.inner.append(job)
        pool = self._pool_of(job)
        pool.queue.append(job)
        if job.request.patience_s is not None:
            self._add_event(now_s + 1 + job.request.patience_s, "withdraw", job)
        self._start_waiting_jobs(now_s, pool)

    def _start_waiting_jobs(self, now_s: int, pool: _Pool) -> None:
        """Start the waiting jobs that fit, in the order of the queue."""
        for rank, job in enumerate(list(pool.queue)):
            if job.request.patience_s == 0:
                continue
            found = self._find_slots(now_s, pool, job)
            if found:
                pool.queue.remove(job)
                self._start_job(now_s, job, found)
            elif rank == 0 and now_s - job.submitted_s > _RESERVED_AFTER_S:
                self._reserve_nodes(pool, job)

    def _can_use(self, now_s: int, slot: _NodeSlot, job: Job) -> bool:
        if slot.is_down or slot.reserved_for not in (None, job):
            return False
        return slot.maintenance_s is None or now_s + job.request.walltime_s < slot.maintenance_s

    def _find_slots(self, now_s: int, pool: _Pool, job: Job) -> list[tuple[_NodeSlot, int]]:
        """Nodes and core masks for a job, fullest nodes first; it may preempt besteffort jobs."""
        slots = sorted(pool.slots, key=lambda slot: slot.free.bit_count())
        found = self._fit(now_s, job, [(slot, slot.free) for slot in slots])
        if found or job.request.is_besteffort or job.container is not None:
            return found
        preemptible = [slot.preemptible() for slot in slots]
        if not any(preemptible):
            return []
        free = [slot.free | mask for slot, mask in zip(slots, preemptible, strict=True)]
        return self._fit(now_s, job, zip(slots, free, strict=True))

    def _fit(
        self, now_s: int, job: Job, free_cores: Iterable[tuple[_NodeSlot, int]]
    ) -> list[tuple[_NodeSlot, int]]:
        """First nodes whose free cores suffice, with core masks; empty if they are too few."""
        found: list[tuple[_NodeSlot, int]] = []
        for slot, free in free_cores:
            if not free or not self._can_use(now_s, slot, job):
                continue
            mask = slot.mask_for(job.request, free)
            if mask is not None:
                found.append((slot, mask))
            if len(found) == job.request.n_nodes:
                return found
        return []

    def _reserve_nodes(self, pool: _Pool, job: Job) -> None:
        """Reserve the nodes with the least remaining work for a job that has waited long."""
        kept = sum(slot.reserved_for is job for slot in pool.slots)
        open_slots = [slot for slot in pool.slots if not slot.is_down and slot.reserved_for is None]
        open_slots.sort(
            key=lambda slot: max((self._expected_end_s(job) for job in slot.jobs), default=0)
        )
        for slot in open_slots[: max(0, job.request.n_nodes - kept)]:
            slot.reserved_for = job

    @staticmethod
    def _release_nodes(pool: _Pool, job: Job) -> None:
        for slot in pool.slots:
            if slot.reserved_for is job:
                slot.reserved_for = None

    @staticmethod
    def _expected_end_s(job: Job) -> int:
        return (job.started_s or 0) + min(job.request.runtime_s, job.request.walltime_s)

    def _start_job(self, now_s: int, job: Job, found: list[tuple[_NodeSlot, int]]) -> None:
        request = job.request
        for slot, mask in found:
            for other in list(slot.jobs):
                if any(node is slot.node and held & mask for node, held in other.allocation):
                    self._end_job(now_s, other, "preempted", serve=False)
        # at least 3 s after the previous job on the cores
        job.started_s = now_s + int(self._rng.integers(3, 30))
        job.state = "running"
        self._release_nodes(self._pool_of(job), job)
        for slot, mask in found:
            slot.free &= ~mask
            slot.jobs.append(job)
            job.allocation.append((slot.node, mask))
        runtime_s = request.runtime_s
        if request.suspended is not None:
            runtime_s += request.suspended[1]
        if runtime_s < request.walltime_s:
            self._add_event(job.started_s + runtime_s, request.ending, job)
        else:
            # the kill signal takes a few seconds
            late_s = int(self._rng.integers(4, 20))
            self._add_event(job.started_s + request.walltime_s + late_s, "walltime", job)
        if request.inside:
            pool = _Pool([_NodeSlot(node, mask) for node, mask in job.allocation])
            self._inner_pools[id(job)] = pool
            for delay_s, inner in request.inside:
                at_s = job.started_s + delay_s
                self._add_event(at_s, "submit", Job(inner, at_s, container=job))

    def _end_job(self, now_s: int, job: Job, how: str, *, serve: bool = True) -> None:
        for inner in job.inner:
            if inner.state == "running":
                self._end_job(now_s, inner, "container_over", serve=False)
            elif inner.state == "waiting":
                self._record_end(inner, "withdrawn")
        started_s = job.started_s or 0
        # a job that is killed before its recorded start has no duration
        job.stopped_s = max(now_s, started_s)
        pool = self._pool_of(job)
        names = {node.name for node, _ in job.allocation}
        for slot in pool.slots:
            if slot.node.name in names:
                slot.free |= next(mask for node, mask in job.allocation if node is slot.node)
                slot.jobs.remove(job)
        self._record_end(job, how)
        self._submit_followers(job, how)
        if serve:
            self._start_waiting_jobs(now_s, pool)

    def _record_end(self, job: Job, how: str) -> None:
        job.state = "terminated" if how == "done" else "error"
        job.exit_code = job.request.exit_code if how == "done" else None
        job.events = _EVENTS[how]

    def _submit_followers(self, job: Job, how: str) -> None:
        """Submit the followers of a job, or the rest of a job that the platform killed."""
        request, stopped_s = job.request, job.stopped_s or 0
        if how in _PLATFORM_ENDINGS and request.resumes:
            left_s = request.runtime_s - (stopped_s - (job.started_s or 0))
            again = replace(request, runtime_s=max(left_s, 600), array=None, array_index=1)
            at_s = stopped_s + int(self._rng.integers(60, 1800))
            self._add_event(at_s, "submit", Job(again, at_s))
            return
        for delay_s, follower in request.then:
            at_s = stopped_s + delay_s
            self._add_event(at_s, "submit", Job(follower, at_s))
