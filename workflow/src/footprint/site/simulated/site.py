"""The simulated site as a source of nodes, jobs, states and power, and what is true of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypedDict

import numpy as np
import polars as pl

from footprint.errors import InputError
from footprint.site import JobRecords
from footprint.site.simulated import hardware, outages, records, workload
from footprint.site.simulated.electricity import Electricity
from footprint.site.simulated.hardware import METRIC, Node
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.schedule import Job, Scheduler
from footprint.site.simulated.signal import Floats, NodeSignal
from footprint.site.simulated.timetable import DAY_S, HOUR_S

DEFAULT_SEED = 2025
# Work is under way when the study starts, and the jobs are read out some hours after it ends.
WARM_UP_DAYS = 9
_READ_OUT_S = 12 * HOUR_S

_TRUTH = pl.Schema({"job_id": pl.Int64(), "node": pl.String(), "true_kwh": pl.Float64()})
_SET_ASIDE = pl.Schema(
    {
        "stage": pl.String(),
        "source": pl.String(),
        "reason": pl.String(),
        "n_rows": pl.Int64(),
        "example": pl.String(),
    }
)
_FAULTS = pl.Schema({"node": pl.String(), "kind": pl.String(), "n_readings": pl.Int64()})


class _Span(TypedDict):
    """A window as sensors and exporters take it."""

    start_s: float
    end_s: float
    origin_us: int


class SimulatedSite:
    """A site whose jobs, power and energy follow from a seed and the study's window alone."""

    def __init__(
        self, source: Mapping[str, Any], *, site: str, seed: int, start: datetime, end: datetime
    ) -> None:
        """Play the work of the study's window through; `from_config` reads the configuration."""
        self.site, self.seed, self.start, self.end = site, seed, start, end
        self._origin = start - timedelta(days=WARM_UP_DAYS)
        self._study_s = (WARM_UP_DAYS * DAY_S, round((end - self._origin).total_seconds()))
        self._end_s = self._study_s[1] + _READ_OUT_S
        self._nodes = hardware.build_nodes(source)
        self._outages = outages.draw(
            self._nodes,
            generator(seed, "outages"),
            origin=self._origin,
            study_s=self._study_s,
            end_s=self._end_s,
        )
        requests = workload.build(
            source,
            hardware.node_counts(source),
            seed=seed,
            start=self._origin,
            end=end,
            study_days=(end - start) / timedelta(days=1),
        )
        scheduler = Scheduler(
            self._nodes, self._outages, generator(seed, "scheduler"), end_s=self._end_s
        )
        self._jobs = scheduler.run(requests)
        records.number(self._jobs)
        self._electricity = Electricity(
            seed,
            self._nodes,
            self._jobs,
            self._outages,
            study_s=self._study_s,
            end_s=self._end_s,
        )

    @classmethod
    def from_config(cls, source: Mapping[str, Any], *, site: str = "nancy") -> SimulatedSite:
        """The site that a configuration asks for.

        Args:
            source: `start` and `end` of the study (ISO days, end excluded); optionally `seed`,
                `nodes` ({cluster: count}), `jobs` (number aimed at), `mix` ({activity: weight}).
            site: Name that the tables give the site.

        Raises:
            InputError: A key of the wrong kind, naming it.
        """
        start, end = _day(source, "start"), _day(source, "end")
        if end <= start:
            raise InputError(
                "the study ends before it starts", where="study", do="put end after start"
            )
        seed = source.get("seed", DEFAULT_SEED)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(
                f"{seed!r} is not a seed", where="source.seed", do="give a whole number, 0 or more"
            )
        return cls(source, site=site, seed=seed, start=start, end=end)

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node (`tables.Nodes`)."""
        return hardware.describe(self._nodes, site=self.site)

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a node, or were submitted and never started, in [start, end).

        None is set aside.
        """
        jobs = self._jobs_in(start, end)
        return JobRecords(
            records.jobs_frame(
                jobs, self._jobs, site=self.site, origin=self._origin, end_s=self._end_s
            ),
            records.allocations_frame(jobs),
            pl.LazyFrame(schema=_SET_ASIDE),
        )

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame:
        """Maintenance, and nodes that failed or were taken away (`tables.States`)."""
        first_s, last_s = self._since_origin_s(start), self._since_origin_s(end)
        there = [o for o in self._outages if o.start_s < last_s and o.stop_s > first_s]
        return outages.states(there, origin=self._origin, end_s=self._end_s)

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Readings in [start, end), one frame a node; none for another metric or without a BMC.

        Raises:
            InputError: A cluster that the site does not have.
        """
        names = self._names_of(cluster) if metric == METRIC else []
        frames = (self.power_of(name, start=start, end=end) for name in names)
        return (frame for frame in frames if frame is not None)

    def power_of(self, node: str, *, start: datetime, end: datetime) -> pl.DataFrame | None:
        """Readings of one node in [start, end), None where it has no BMC that is read.

        Threads may ask at the same time.

        Returns:
            `node`, `timestamp`, `power_w`, as the protocol has them.

        Raises:
            InputError: A node that the site does not have.
        """
        sensor = self._electricity.sensor(self._node(node))
        return None if sensor is None else sensor.frame(**self._span(start, end))

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """A series of the nodes' exporters (`exporters.SERIES`) in [start, end).

        One frame a node where something was read: none of GPUs where there are none.

        Raises:
            InputError: A cluster that the site does not have.
        """
        frames = (
            self.devices_of(name, metric=metric, start=start, end=end)
            for name in self._names_of(cluster)
        )
        return (frame for frame in frames if frame is not None)

    def devices_of(
        self, node: str, *, metric: str, start: datetime, end: datetime
    ) -> pl.DataFrame | None:
        """A series of one node's exporters in [start, end), None where nothing was read.

        Threads may ask at the same time.

        Returns:
            `node`, `labels`, `timestamp`, `value`, as the protocol has them.

        Raises:
            InputError: A node that the site does not have.
        """
        exporter = self._electricity.exporter(self._node(node), metric)
        return None if exporter is None else exporter.frame(**self._span(start, end))

    def _names_of(self, cluster: str) -> list[str]:
        known = sorted({node.cluster for node in self._nodes})
        if cluster not in known:
            raise InputError(
                f"the simulated site has no cluster {cluster!r}",
                where="study.clusters",
                do=f"choose among {', '.join(known)}",
            )
        return [node.name for node in self._nodes if node.cluster == cluster]

    def _span(self, start: datetime, end: datetime) -> _Span:
        return {
            "start_s": max(0.0, self._since_origin_s(start)),
            "end_s": min(float(self._end_s), self._since_origin_s(end)),
            "origin_us": round(self._origin.timestamp()) * 1_000_000,
        }

    def sensor_steps_w(self) -> dict[str, float]:
        """What the readings of each cluster are multiples of, in watts; 0 where nothing is read."""
        return {node.cluster: node.facts.sensor_step_w or 0.0 for node in self._nodes}

    def faults(self, *, start: datetime, end: datetime) -> pl.LazyFrame:
        """Readings that went wrong in [start, end), by node and kind.

        Returns:
            `node`, `kind` (`missed`, `duplicate`, `nan`, `null`, `not_positive`, `spike`, `stuck`),
            `n_readings`; `duplicate` counts second copies, `stuck` the readings of stuck spells.
        """
        span_s = {"start_s": self._since_origin_s(start), "end_s": self._since_origin_s(end)}
        rows = [
            (node.name, kind, n)
            for node in self._nodes
            if (sensor := self._electricity.sensor(node)) is not None
            for kind, n in sorted(sensor.faults(**span_s).items())
        ]
        return pl.LazyFrame(rows, schema=_FAULTS, orient="row")

    def truth(self) -> pl.LazyFrame:
        """Exact energy of each job on each of its nodes inside the study's window (`tables.Truth`).

        The integral of the node's power over the time held, without suspensions, times the part of
        the node held; a container counts what its inner jobs leave.
        """
        rows = [row for node in self._nodes for row in self._electricity.truth_of(node)]
        return pl.LazyFrame(rows, schema=_TRUTH, orient="row").sort("job_id", "node")

    def truth_of_jobs(self) -> pl.LazyFrame:
        """What each job of the study truly was (`records.truth_frame`)."""
        return records.truth_frame(self._jobs_in(self.start, self.end), self._jobs)

    def signal(self, node: str) -> NodeSignal:
        """Power of a node as a function of the seconds since the simulation's origin.

        The origin is midnight UTC, `WARM_UP_DAYS` before the study.

        Raises:
            InputError: A node that the site does not have.
        """
        return self._electricity.signal(self._node(node))

    def true_cumulative_j(self, node: str, at: Sequence[datetime] | pl.Series) -> Floats:
        """Exact energy of a node since the start of the study, in joules, at some times.

        Raises:
            InputError: A node that the site does not have, or a time outside the simulation.
        """
        instants = pl.Series("at", at, dtype=pl.Datetime("us", "UTC"))
        times_us = instants.dt.epoch("us").to_numpy() - round(self._origin.timestamp()) * 1_000_000
        times_s = times_us / 1e6
        if len(times_s) and (times_s.min() < 0 or times_s.max() > self._end_s):
            raise InputError(
                "a time lies outside the simulation",
                where=node,
                do=f"ask from {self._origin:%Y-%m-%d} to {self.end:%Y-%m-%d} 12:00 UTC",
            )
        signal = self.signal(node)
        start_j = signal.energy_j(np.array([float(self._study_s[0])]))
        return np.asarray(signal.energy_j(times_s) - start_j)

    def _node(self, name: str) -> Node:
        for node in self._nodes:
            if node.name == name:
                return node
        raise InputError("the simulated site has no such node", where=name, do="see nodes()")

    def _since_origin_s(self, at: datetime) -> float:
        return (at - self._origin).total_seconds()

    def _jobs_in(self, start: datetime, end: datetime) -> list[Job]:
        first_s, last_s = self._since_origin_s(start), self._since_origin_s(end)
        return [job for job in self._jobs if records.is_of(job, first_s=first_s, last_s=last_s)]


def _day(source: Mapping[str, Any], key: str) -> datetime:
    """Midnight UTC of a day of the configuration, given as text or as a date."""
    value = source.get(key)
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise InputError(
            f"{value!r} is not a day", where=f"study.{key}", do="write it as 2025-03-03"
        ) from None
    return datetime.combine(day, time(), tzinfo=UTC)
