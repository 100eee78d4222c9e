"""Power of every node from what happens on it, what is read of it, the exact energy of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from threading import Lock

import numpy as np

from footprint.site.simulated import load
from footprint.site.simulated.exporters import SERIES, Exporter, source_of
from footprint.site.simulated.hardware import Node
from footprint.site.simulated.load import Draw, Work
from footprint.site.simulated.outages import Outage
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.records import suspension_s
from footprint.site.simulated.schedule import Job
from footprint.site.simulated.sensors import Sensor
from footprint.site.simulated.signal import NodeSignal, idle_noise_w
from footprint.site.simulated.timetable import HOUR_S

Spells = list[tuple[float, float]]

# Power of a node that is switched off, its noise, and power of one that boots, above idle.
_OFF_W = (8.0, 13.0)
_OFF_NOISE_W = 0.2
_BOOT_W = 55.0
_BOOT_S = 240.0
_SLEEPS_AFTER_S = 2400.0
_J_PER_KWH = 3.6e6
# Readings of one node are asked for again and again, a day at a time: sensors are kept, and so are
# exporters. Each holds 1 to 6 MB in nine weeks.
_KEPT = 64


class Electricity:
    """Power, readings and energy of the nodes of a simulated site."""

    def __init__(
        self,
        seed: int,
        nodes: Sequence[Node],
        jobs: Sequence[Job],
        outages: Sequence[Outage],
        *,
        study_s: tuple[int, int],
        end_s: int,
    ) -> None:
        """Take what happens on the nodes.

        Args:
            seed: Seed.
            nodes: Nodes.
            jobs: All jobs, numbered.
            outages: All outages.
            study_s: Start and end of the study, in seconds since the simulation's origin.
            end_s: End of the simulation; jobs without an end last until then.
        """
        self._seed, self._nodes, self._study_s, self._end_s = seed, nodes, study_s, end_s
        self._jobs: dict[str, list[tuple[Job, int]]] = {node.name: [] for node in nodes}
        self._outages: dict[str, list[Outage]] = {node.name: [] for node in nodes}
        for job in jobs:
            for node, mask in job.held:
                self._jobs[node.name].append((job, mask))
        for outage in outages:
            self._outages[outage.node].append(outage)
        self._lock = Lock()
        self._sensors = lru_cache(maxsize=_KEPT)(self._build_sensor)
        self._exporters = lru_cache(maxsize=len(SERIES) * _KEPT)(self._build_exporter)

    def signal(self, node: Node) -> NodeSignal:
        """Power of a node as a function of time."""
        draws = self._draws_without_jobs(node)
        draws += [load.of_node(work, node) for work in self._work_on(node)]
        return NodeSignal(
            self._seed, node.name, draws, idle_w=self._idle_w(node), end_s=float(self._end_s)
        )

    def sensor(self, node: Node) -> Sensor | None:
        """The BMC of a node, None where none is read. Threads may ask at the same time."""
        with self._lock:
            return self._sensors(node)

    def exporter(self, node: Node, metric: str) -> Exporter | None:
        """The exporter of a node that has a series, None where none has; for threads, too."""
        if metric not in SERIES:
            return None
        with self._lock:
            return self._exporters(node, metric)

    def _build_sensor(self, node: Node) -> Sensor | None:
        if node.facts.sensor_step_w is None:
            return None
        return Sensor(
            self._seed,
            node,
            self.signal(node),
            step_w=node.facts.sensor_step_w,
            stuck_s=self._stuck_spells.get(node.name, []),
            end_s=float(self._end_s),
        )

    def _build_exporter(self, node: Node, metric: str) -> Exporter | None:
        source = source_of(metric, node, self._work_on(node), seed=self._seed)
        if source is None:
            return None
        # Kwollect reads exporters for jobs, unless their users install the node themselves
        watched_s = [
            (float(job.started_s or 0), float(self._stop_s(job)))
            for job, _ in self._jobs[node.name]
            if "deploy" not in job.request.types
        ]
        return Exporter(
            self._seed,
            node.name,
            metric,
            source,
            watched_s=watched_s,
            end_s=float(self._end_s),
        )

    def truth_of(self, node: Node) -> list[tuple[int, str, float]]:
        """Exact energy of the jobs of a node inside the study: job, node, kWh."""
        parts: list[tuple[int, float, float, float]] = []
        for job, mask in self._jobs[node.name]:
            share = node.share(mask)
            for first_s, last_s in self._held_s(job):
                parts.append((job.job_id, first_s, last_s, share))
                if job.container is not None:
                    parts.append((job.container.job_id, first_s, last_s, -share))
        if not parts:
            return []
        bounds_s = np.clip(np.array([part[1:3] for part in parts]), *self._study_s)
        reached_j = self.signal(node).energy_j(bounds_s.ravel()).reshape(-1, 2)
        energy_kwh: dict[int, float] = {}
        for part, (low_s, high_s), (low_j, high_j) in zip(parts, bounds_s, reached_j, strict=True):
            if high_s > low_s:
                own_kwh = part[3] * float(high_j - low_j) / _J_PER_KWH
                energy_kwh[part[0]] = energy_kwh.get(part[0], 0.0) + own_kwh
        # what inner jobs leave of a container may be a rounding error below nothing
        return [(job_id, node.name, max(0.0, kwh)) for job_id, kwh in sorted(energy_kwh.items())]

    def _stop_s(self, job: Job) -> int:
        return self._end_s if job.stopped_s is None else job.stopped_s

    def _held_s(self, job: Job) -> Spells:
        """When a job used its nodes: its time without its suspension."""
        started_s, stopped_s = float(job.started_s or 0), float(self._stop_s(job))
        suspended = suspension_s(job, end_s=self._end_s)
        if suspended is None:
            return [(started_s, stopped_s)]
        return [(started_s, float(suspended[0])), (float(suspended[1]), stopped_s)]

    def _idle_w(self, node: Node) -> float:
        """Power of the idle node: its cluster's, give or take 4 %."""
        return node.facts.idle_w * (0.96 + 0.08 * generator(self._seed, "idle", node.name).random())

    def _work_on(self, node: Node) -> list[Work]:
        """What jobs do on a node: one that was suspended before and after, nothing in between."""
        return [
            Work(
                load.activity(
                    job.request.load,
                    started_s=first_s,
                    stopped_s=last_s,
                    rng=generator(self._seed, "load", job.job_id, part),
                ),
                n_cores=mask.bit_count(),
                gpus=[] if job.request.n_cores else node.gpus_of(mask),
                roughness=job.request.load.roughness,
            )
            for job, mask in self._jobs[node.name]
            for part, (first_s, last_s) in enumerate(self._held_s(job))
        ]

    def _draws_without_jobs(self, node: Node) -> list[Draw]:
        """What is taken from a node's idle power while it is off, and added while it boots."""
        idle_w = self._idle_w(node)
        low, high = _OFF_W
        off_w = low + (high - low) * generator(self._seed, "off", node.name).random()
        # a coarse sensor must not show a node that is off as 0 W
        off_w = max(off_w, 0.6 * (node.facts.sensor_step_w or 1.0))
        fast_w, slow_w = idle_noise_w(idle_w)
        draws = []
        for start_s, stop_s in self._off_spells(node):
            boot_s = min(_BOOT_S, 0.5 * (stop_s - start_s))
            draws.append(
                Draw(
                    np.array([start_s, stop_s - boot_s, stop_s]),
                    np.array([off_w - idle_w, _BOOT_W, 0.0]),
                    np.array([_OFF_NOISE_W**2 - fast_w**2, 0.0, 0.0]),
                    np.array([_OFF_NOISE_W**2 - slow_w**2, 0.0, 0.0]),
                )
            )
        return draws

    def _off_spells(self, node: Node) -> Spells:
        """When a node is off: in outages, and where its cluster sleeps, when long unused."""
        spells: Spells = [
            (float(outage.start_s), float(outage.start_s + outage.off_s))
            for outage in self._outages[node.name]
            if outage.off_s > _BOOT_S
        ]
        if node.facts.sleeps:
            spells += [
                (start_s + _SLEEPS_AFTER_S, stop_s - 1.0)
                for start_s, stop_s in self._unused(node)
                if stop_s - start_s > 2 * _SLEEPS_AFTER_S
            ]
        return spells

    def _unused(self, node: Node) -> Spells:
        """Times in which a node has neither a job nor an outage."""
        busy = [(job.started_s or 0, self._stop_s(job)) for job, _ in self._jobs[node.name]]
        busy += [(outage.start_s, outage.stop_s) for outage in self._outages[node.name]]
        gaps: Spells = []
        reached_s = 0
        for start_s, stop_s in sorted(busy):
            if start_s > reached_s:
                gaps.append((float(reached_s), float(start_s)))
            reached_s = max(reached_s, stop_s)
        return [*gaps, (float(reached_s), float(self._end_s))]

    @cached_property
    def _stuck_spells(self) -> dict[str, Spells]:
        """Spells of hours in which a sensor repeats itself, by node.

        One is on an idle node with a fine sensor, one on a node with a coarse one, whatever runs.
        """
        rng = generator(self._seed, "stuck")
        first_s, last_s = self._study_s
        spells: dict[str, Spells] = {}
        coarse = [node for node in self._nodes if (node.facts.sensor_step_w or 0) > 1]
        if coarse:
            start_s = first_s + (last_s - first_s) * 0.8 * rng.random()
            length_s = HOUR_S * (2.5 + 3.0 * rng.random())
            name = coarse[int(rng.integers(len(coarse)))].name
            spells[name] = [(start_s, min(start_s + length_s, float(last_s)))]
        fine = [n for n in self._nodes if n.facts.sensor_step_w == 1 and not n.facts.sleeps]
        gaps = [
            (start_s, min(stop_s, start_s + 9 * HOUR_S), node.name)
            for node in fine
            for start_s, stop_s in self._unused(node)
            if start_s >= first_s and stop_s <= last_s and stop_s - start_s > 4 * HOUR_S
        ]
        if gaps:
            start_s, stop_s, name = gaps[int(rng.integers(len(gaps)))]
            spells[name] = [(start_s + 600.0, stop_s - 600.0)]
        return spells
