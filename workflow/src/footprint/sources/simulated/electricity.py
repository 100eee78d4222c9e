"""Power of every node from its jobs and outages, its sensors, and the true energy of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from threading import Lock

import numpy as np

from footprint.sources.kwollect.metrics import SIMULATED_SERIES
from footprint.sources.simulated import job_power
from footprint.sources.simulated.exporters import Exporter, exported_values
from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.hidden_hardware import HiddenHardware, draw_hidden_hardware
from footprint.sources.simulated.job_power import AddedPower, JobWork
from footprint.sources.simulated.meters import DEFAULT_GAINS, MeterGains
from footprint.sources.simulated.oar_records import suspension_interval_s
from footprint.sources.simulated.outages import Outage
from footprint.sources.simulated.power_function import PowerFunction, idle_noise_w
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.schedule import Job
from footprint.sources.simulated.sensor_spells import Intervals, SensorSpells, draw_spells
from footprint.sources.simulated.sensors import BmcSensor

# Power of a node that is switched off, its noise, and power above idle of a node that boots.
_OFF_W = (8.0, 13.0)
_OFF_NOISE_W = 0.2
_BOOT_W = 55.0
_BOOT_S = 240.0
_SLEEPS_AFTER_S = 2400.0
_J_PER_KWH = 3.6e6
# Readings of a node are requested day by day, so its sensor and exporters are cached. Each takes
# 1 to 6 MB for nine weeks.
_CACHED_NODES = 64


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
        meter: MeterGains = DEFAULT_GAINS,
    ) -> None:
        """Sort jobs and outages by node, and draw the gains and hidden hardware of clusters.

        Args:
            seed: Seed.
            nodes: Nodes.
            jobs: All jobs, with their ids.
            outages: All outages.
            study_s: Start and end of the study, in seconds since the simulation's origin.
            end_s: End of the simulation; jobs without an end last until then.
            meter: Distribution of the gains of meters.
        """
        clusters = sorted({node.cluster for node in nodes})
        self._gains = {name: meter.gain(seed, name) for name in clusters}
        self._hidden = {name: draw_hidden_hardware(seed, name) for name in clusters}
        self._seed, self._nodes, self._study_s, self._end_s = seed, nodes, study_s, end_s
        self._jobs: dict[str, list[tuple[Job, int]]] = {node.name: [] for node in nodes}
        self._outages: dict[str, list[Outage]] = {node.name: [] for node in nodes}
        for job in jobs:
            for node, mask in job.allocation:
                self._jobs[node.name].append((job, mask))
        for outage in outages:
            self._outages[outage.node].append(outage)
        self._lock = Lock()
        self._sensors = lru_cache(maxsize=_CACHED_NODES)(self._build_sensor)
        self._exporters = lru_cache(maxsize=len(SIMULATED_SERIES) * _CACHED_NODES)(
            self._build_exporter
        )

    def gain(self, node: Node) -> float | None:
        """Gain of a node's meter: true power over reading; None if its BMC is not read."""
        return self._gains[node.cluster] if node.has_meter else None

    def hidden_hardware(self, node: Node) -> HiddenHardware:
        """Hidden hardware of a node's cluster."""
        return self._hidden[node.cluster]

    def power_function(self, node: Node) -> PowerFunction:
        """Power of a node as a function of time, with its integral."""
        added = self._power_without_jobs(node)
        hidden = self._hidden[node.cluster]
        added += [job_power.power_added_to_node(work, node, hidden) for work in self._work_of(node)]
        return PowerFunction(
            self._seed, node.name, added, idle_w=self._idle_w(node), end_s=float(self._end_s)
        )

    def sensor(self, node: Node) -> BmcSensor | None:
        """BMC of a node; None if it is not read. Safe to call from any thread."""
        with self._lock:
            return self._sensors(node)

    def exporter(self, node: Node, metric: str) -> Exporter | None:
        """Exporter of a series of a node; None if there is none. Safe to call from any thread."""
        if metric not in SIMULATED_SERIES or not node.has_series:
            return None
        with self._lock:
            return self._exporters(node, metric)

    def _build_sensor(self, node: Node) -> BmcSensor | None:
        if node.sensor_step_w is None:
            return None
        return BmcSensor(
            self._seed,
            node,
            self.power_function(node),
            step_w=node.sensor_step_w,
            gain=self._gains[node.cluster],
            spells=self.spells[node.name],
            end_s=float(self._end_s),
        )

    def _build_exporter(self, node: Node, metric: str) -> Exporter | None:
        source = exported_values(
            metric, node, self._work_of(node), self._hidden[node.cluster], seed=self._seed
        )
        if source is None:
            return None
        # Kwollect scrapes exporters during jobs, except jobs that deploy their own system
        scraped_s = [
            (float(job.started_s or 0), float(self._stop_s(job)))
            for job, _ in self._jobs[node.name]
            if "deploy" not in job.request.types
        ]
        return Exporter(
            self._seed,
            node.name,
            metric,
            source,
            scraped_s=scraped_s,
            end_s=float(self._end_s),
        )

    def true_energies(self, node: Node) -> list[tuple[int, str, float, float | None]]:
        """True energy of the jobs of a node within the study.

        Returns:
            Rows of job id, node, kWh drawn, and kWh that a perfect meter of the node's gain would
            have read: the energy drawn over the gain; None if the BMC is not read.
        """
        parts: list[tuple[int, float, float, float]] = []
        for job, mask in self._jobs[node.name]:
            share = node.share(mask)
            for first_s, last_s in self._run_intervals_s(job):
                parts.append((job.job_id, first_s, last_s, share))
                if job.container is not None:
                    parts.append((job.container.job_id, first_s, last_s, -share))
        if not parts:
            return []
        bounds_s = np.clip(np.array([part[1:3] for part in parts]), *self._study_s)
        reached_j = self.power_function(node).energy_j(bounds_s.ravel()).reshape(-1, 2)
        energy_kwh: dict[int, float] = {}
        for part, (low_s, high_s), (low_j, high_j) in zip(parts, bounds_s, reached_j, strict=True):
            if high_s > low_s:
                own_kwh = part[3] * float(high_j - low_j) / _J_PER_KWH
                energy_kwh[part[0]] = energy_kwh.get(part[0], 0.0) + own_kwh
        # the rest of a container without its inner jobs may be negative by a rounding error
        true_kwh = {job_id: max(0.0, kwh) for job_id, kwh in sorted(energy_kwh.items())}
        gain = self.gain(node)
        return [
            (job_id, node.name, kwh, None if gain is None else kwh / gain)
            for job_id, kwh in true_kwh.items()
        ]

    def _stop_s(self, job: Job) -> int:
        return self._end_s if job.stopped_s is None else job.stopped_s

    def _run_intervals_s(self, job: Job) -> Intervals:
        """Intervals in which a job ran: its time without its suspension."""
        started_s, stopped_s = float(job.started_s or 0), float(self._stop_s(job))
        suspended = suspension_interval_s(job, end_s=self._end_s)
        if suspended is None:
            return [(started_s, stopped_s)]
        return [(started_s, float(suspended[0])), (float(suspended[1]), stopped_s)]

    def _idle_w(self, node: Node) -> float:
        """Idle power of a node: its cluster's, within 4 %."""
        own = 0.96 + 0.08 * random_generator(self._seed, "idle", node.name).random()
        return node.facts.idle_w * self._hidden[node.cluster].idle_factor * own

    def _work_of(self, node: Node) -> list[JobWork]:
        """Work of each job on a node, one item for each interval in which the job ran."""
        return [
            JobWork(
                job_power.draw_job_course(
                    job.request.load,
                    started_s=first_s,
                    stopped_s=last_s,
                    rng=random_generator(self._seed, "load", job.job_id, part),
                ),
                n_cores=mask.bit_count(),
                gpus=[] if job.request.n_cores else node.gpus_of(mask),
                roughness=job.request.load.roughness,
            )
            for job, mask in self._jobs[node.name]
            for part, (first_s, last_s) in enumerate(self._run_intervals_s(job))
        ]

    def _power_without_jobs(self, node: Node) -> list[AddedPower]:
        """Power subtracted while a node is off, and power added while it boots."""
        idle_w = self._idle_w(node)
        low, high = _OFF_W
        off_w = low + (high - low) * random_generator(self._seed, "off", node.name).random()
        # on a coarse sensor, a node that is off must not read 0 W
        off_w = max(off_w, 0.75 * node.facts.sensor_step_w)
        fast_w, slow_w = idle_noise_w(idle_w)
        added = []
        for start_s, stop_s in self._off_intervals(node):
            boot_s = min(_BOOT_S, 0.5 * (stop_s - start_s))
            added.append(
                AddedPower(
                    np.array([start_s, stop_s - boot_s, stop_s]),
                    np.array([off_w - idle_w, _BOOT_W, 0.0]),
                    np.array([_OFF_NOISE_W**2 - fast_w**2, 0.0, 0.0]),
                    np.array([_OFF_NOISE_W**2 - slow_w**2, 0.0, 0.0]),
                )
            )
        return added

    def _off_intervals(self, node: Node) -> Intervals:
        """Intervals in which a node is off: in outages, or long unused in a cluster that sleeps."""
        intervals: Intervals = [
            (float(outage.start_s), float(outage.start_s + outage.off_s))
            for outage in self._outages[node.name]
            if outage.off_s > _BOOT_S
        ]
        if node.facts.sleeps:
            intervals += [
                (start_s + _SLEEPS_AFTER_S, stop_s - 1.0)
                for start_s, stop_s in self._unused_intervals(node)
                if stop_s - start_s > 2 * _SLEEPS_AFTER_S
            ]
        return intervals

    def _unused_intervals(self, node: Node) -> Intervals:
        """Intervals in which a node has neither a job nor an outage."""
        busy = [(job.started_s or 0, self._stop_s(job)) for job, _ in self._jobs[node.name]]
        busy += [(outage.start_s, outage.stop_s) for outage in self._outages[node.name]]
        gaps: Intervals = []
        reached_s = 0
        for start_s, stop_s in sorted(busy):
            if start_s > reached_s:
                gaps.append((float(reached_s), float(start_s)))
            reached_s = max(reached_s, stop_s)
        return [*gaps, (float(reached_s), float(self._end_s))]

    def _held_intervals(self, node: Node) -> Intervals:
        """Intervals in which a node has jobs."""
        held: Intervals = []
        for start_s, stop_s in sorted(
            (float(job.started_s or 0), float(self._stop_s(job)))
            for job, _ in self._jobs[node.name]
        ):
            if held and start_s <= held[-1][1]:
                held[-1] = (held[-1][0], max(held[-1][1], stop_s))
            else:
                held.append((start_s, stop_s))
        return held

    @cached_property
    def spells(self) -> dict[str, SensorSpells]:
        """Spells of hours of each sensor that is read, by node."""
        return draw_spells(
            self._nodes,
            random_generator(self._seed, "stuck"),
            unused_intervals=self._unused_intervals,
            held_intervals=self._held_intervals,
            study_s=self._study_s,
        )
