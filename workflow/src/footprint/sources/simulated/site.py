"""The simulated site as a source of nodes, jobs, states and power, with its true energies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypedDict

import numpy as np
import polars as pl

from footprint.core.errors import InputError
from footprint.sources.kwollect.metrics import SIMULATED_METRIC
from footprint.sources.protocol import JobRecords
from footprint.sources.simulated import hardware, oar_records, outages, workload
from footprint.sources.simulated.electricity import Electricity
from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.hidden_hardware import HiddenHardware
from footprint.sources.simulated.meters import MeterGains
from footprint.sources.simulated.power_function import Floats, PowerFunction
from footprint.sources.simulated.random_numbers import DEFAULT_SEED, random_generator
from footprint.sources.simulated.schedule import Job, Scheduler
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

# Jobs are running when the study starts, and the records are read some hours after it ends.
WARM_UP_DAYS = 9
_READ_OUT_S = 12 * HOUR_S

_TRUTH_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "true_kwh": pl.Float64(),
        "metered_kwh": pl.Float64(),
    }
)
_REJECTED_SCHEMA = pl.Schema(
    {
        "stage": pl.String(),
        "source": pl.String(),
        "reason": pl.String(),
        "n_rows": pl.Int64(),
        "example": pl.String(),
    }
)
_FAULTS_SCHEMA = pl.Schema({"node": pl.String(), "kind": pl.String(), "n_readings": pl.Int64()})
_SPELLS_SCHEMA = pl.Schema(
    {
        "node": pl.String(),
        "kind": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "stopped_at": pl.Datetime("us", "UTC"),
    }
)


class _RelativeWindow(TypedDict):
    """Window in seconds since the origin; the origin in microseconds since 1970."""

    start_s: float
    end_s: float
    origin_us: int


class SimulatedSite:
    """A site whose jobs, power and energy are determined by a seed and the study's window."""

    def __init__(
        self, source: Mapping[str, Any], *, site: str, seed: int, start: datetime, end: datetime
    ) -> None:
        """Simulate the jobs of the study's window; `from_config` reads the configuration."""
        self.site, self.seed, self.start, self.end = site, seed, start, end
        self._origin = start - timedelta(days=WARM_UP_DAYS)
        self._study_s = (WARM_UP_DAYS * DAY_S, round((end - self._origin).total_seconds()))
        self._end_s = self._study_s[1] + _READ_OUT_S
        self._nodes = hardware.build_nodes(source, seed=seed)
        self._outages = outages.draw_outages(
            self._nodes,
            random_generator(seed, "outages"),
            origin=self._origin,
            study_s=self._study_s,
            end_s=self._end_s,
        )
        requests = workload.build_requests(
            source,
            hardware.node_counts(source),
            seed=seed,
            start=self._origin,
            end=end,
            study_days=(end - start) / timedelta(days=1),
        )
        scheduler = Scheduler(
            self._nodes, self._outages, random_generator(seed, "scheduler"), end_s=self._end_s
        )
        self._jobs = scheduler.run(requests)
        oar_records.assign_job_ids(self._jobs)
        self._electricity = Electricity(
            seed,
            self._nodes,
            self._jobs,
            self._outages,
            study_s=self._study_s,
            end_s=self._end_s,
            meter=MeterGains.from_source(source),
        )

    @classmethod
    def from_config(cls, source: Mapping[str, Any], *, site: str = "nancy") -> SimulatedSite:
        """Site of a configuration.

        Args:
            source: `start` and `end` of the study (ISO days, end excluded); optionally `seed`,
                `nodes` ({cluster: count}), `jobs` (number aimed at), `mix` ({activity: weight}),
                `habits` and `habit_share` (`habits.choose_habits`), `meter` ({low, high,
                correlation}; `meters.MeterGains`), `without_meters` and `without_series`
                (clusters, or `seed`).
            site: Name of the site in the tables.

        Raises:
            InputError: A key has a wrong value.
        """
        start, end = _midnight(source, "start"), _midnight(source, "end")
        if end <= start:
            raise InputError(
                "the study ends before it starts", where="study", do="set end to a day after start"
            )
        seed = source.get("seed", DEFAULT_SEED)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(
                f"{seed!r} is not a seed", where="source.seed", do="set a whole number, 0 or more"
            )
        return cls(source, site=site, seed=seed, start=start, end=end)

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node (`schemas.Nodes`)."""
        return hardware.describe_nodes(self._nodes, site=self.site)

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that ran in [start, end), or were submitted in it and never started.

        No row is rejected.
        """
        jobs = self._jobs_of_window(start, end)
        return JobRecords(
            oar_records.jobs_frame(
                jobs, self._jobs, site=self.site, origin=self._origin, end_s=self._end_s
            ),
            oar_records.allocations_frame(jobs),
            pl.LazyFrame(schema=_REJECTED_SCHEMA),
        )

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame:
        """Maintenance, failures and removals of nodes in [start, end) (`schemas.States`)."""
        first_s, last_s = self._seconds_since_origin(start), self._seconds_since_origin(end)
        outages_of_window = [o for o in self._outages if o.start_s < last_s and o.stop_s > first_s]
        return outages.states_frame(outages_of_window, origin=self._origin, end_s=self._end_s)

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Readings in [start, end), one frame a node; none for another metric or without a BMC.

        Raises:
            InputError: The site has no such cluster.
        """
        names = self._node_names(cluster) if metric == SIMULATED_METRIC else []
        frames = (self.power_of(name, start=start, end=end) for name in names)
        return (frame for frame in frames if frame is not None)

    def power_of(self, node: str, *, start: datetime, end: datetime) -> pl.DataFrame | None:
        """Readings of one node in [start, end); None if its BMC is not read.

        Safe to call from several threads.

        Returns:
            `node`, `timestamp`, `power_w`, as in the protocol.

        Raises:
            InputError: The site has no such node.
        """
        sensor = self._electricity.sensor(self._node(node))
        return None if sensor is None else sensor.frame(**self._relative_window(start, end))

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Series of the nodes' exporters (`metrics.SIMULATED_SERIES`) in [start, end).

        There is one frame for each node with values; nodes without GPUs have no GPU series.

        Raises:
            InputError: The site has no such cluster.
        """
        frames = (
            self.devices_of(name, metric=metric, start=start, end=end)
            for name in self._node_names(cluster)
        )
        return (frame for frame in frames if frame is not None)

    def devices_of(
        self, node: str, *, metric: str, start: datetime, end: datetime
    ) -> pl.DataFrame | None:
        """Series of one node's exporter in [start, end); None if there are no values.

        Safe to call from several threads.

        Returns:
            `node`, `labels`, `timestamp`, `value`, as in the protocol.

        Raises:
            InputError: The site has no such node.
        """
        exporter = self._electricity.exporter(self._node(node), metric)
        return None if exporter is None else exporter.frame(**self._relative_window(start, end))

    def _node_names(self, cluster: str) -> list[str]:
        known = sorted({node.cluster for node in self._nodes})
        if cluster not in known:
            raise InputError(
                f"the simulated site has no cluster {cluster!r}",
                where="study.clusters",
                do=f"choose among {', '.join(known)}",
            )
        return [node.name for node in self._nodes if node.cluster == cluster]

    def _relative_window(self, start: datetime, end: datetime) -> _RelativeWindow:
        return {
            "start_s": max(0.0, self._seconds_since_origin(start)),
            "end_s": min(float(self._end_s), self._seconds_since_origin(end)),
            "origin_us": round(self._origin.timestamp()) * 1_000_000,
        }

    def sensor_steps_w(self) -> dict[str, float]:
        """Step of the sensors of each cluster, in watts; 0 if their BMCs are not read."""
        return {node.cluster: node.sensor_step_w or 0.0 for node in self._nodes}

    def meter_gains(self) -> dict[str, float]:
        """Gain (true power over reading) of the meters of each cluster whose BMCs are read."""
        gains = {node.cluster: self._electricity.gain(node) for node in self._nodes}
        return {cluster: gain for cluster, gain in gains.items() if gain is not None}

    def hidden_hardware(self) -> dict[str, HiddenHardware]:
        """Properties of the hardware of each cluster that no description publishes."""
        return {node.cluster: self._electricity.hidden_hardware(node) for node in self._nodes}

    def faults(self, *, start: datetime, end: datetime) -> pl.LazyFrame:
        """Number of faulty readings in [start, end), by node and kind of fault.

        Returns:
            `node`, `kind` (`sensors.FAULT_KINDS`), `n_readings`; `duplicate` counts second copies,
            `stuck` all readings of stuck intervals, `drop_out` those of a few watts under jobs.
        """
        window_s = {
            "start_s": self._seconds_since_origin(start),
            "end_s": self._seconds_since_origin(end),
        }
        rows = [
            (node.name, kind, n)
            for node in self._nodes
            if (sensor := self._electricity.sensor(node)) is not None
            for kind, n in sorted(sensor.faults(**window_s).items())
        ]
        return pl.LazyFrame(rows, schema=_FAULTS_SCHEMA, orient="row")

    def sensor_spells(self) -> pl.LazyFrame:
        """Spells of hours in which a sensor is stuck or drops out.

        Returns:
            `node`, `kind` (`stuck`, `drop_out`), `started_at`, `stopped_at`.
        """
        rows = [
            (
                node,
                kind,
                self._origin + timedelta(seconds=first_s),
                self._origin + timedelta(seconds=last_s),
            )
            for node, spells in sorted(self._electricity.spells.items())
            for kind, intervals in (("stuck", spells.stuck), ("drop_out", spells.drop_outs))
            for first_s, last_s in sorted(intervals)
        ]
        return pl.LazyFrame(rows, schema=_SPELLS_SCHEMA, orient="row")

    def truth(self) -> pl.LazyFrame:
        """True energy of each job on each of its nodes within the study (`schemas.Truth`).

        It is the integral of the node's power over the time of the allocation, without suspensions,
        times the share. The energy of inner jobs is subtracted from their container. The metered
        energy is what a perfect meter of the node's gain would have read.
        """
        rows = [row for node in self._nodes for row in self._electricity.true_energies(node)]
        return pl.LazyFrame(rows, schema=_TRUTH_SCHEMA, orient="row").sort("job_id", "node")

    def true_kinds(self) -> pl.LazyFrame:
        """True kind, role and phase of each job of the study (`oar_records.true_kinds_frame`)."""
        return oar_records.true_kinds_frame(self._jobs_of_window(self.start, self.end), self._jobs)

    def power_function(self, node: str) -> PowerFunction:
        """Power of a node as a function of the seconds since the simulation's origin.

        The origin is midnight UTC, `WARM_UP_DAYS` before the study.

        Raises:
            InputError: The site has no such node.
        """
        return self._electricity.power_function(self._node(node))

    def true_cumulative_j(self, node: str, at: Sequence[datetime] | pl.Series) -> Floats:
        """True energy of a node from the start of the study to each time, in joules.

        Raises:
            InputError: The site has no such node, or a time lies outside the simulation.
        """
        instants = pl.Series("at", at, dtype=pl.Datetime("us", "UTC"))
        times_us = instants.dt.epoch("us").to_numpy() - round(self._origin.timestamp()) * 1_000_000
        times_s = times_us / 1e6
        if len(times_s) and (times_s.min() < 0 or times_s.max() > self._end_s):
            raise InputError(
                "a time lies outside the simulation",
                where=node,
                do=f"set times from {self._origin:%Y-%m-%d} to {self.end:%Y-%m-%d} 12:00 UTC",
            )
        power = self.power_function(node)
        start_j = power.energy_j(np.array([float(self._study_s[0])]))
        return np.asarray(power.energy_j(times_s) - start_j)

    def _node(self, name: str) -> Node:
        for node in self._nodes:
            if node.name == name:
                return node
        raise InputError(
            "the simulated site has no such node", where=name, do="set a node of nodes()"
        )

    def _seconds_since_origin(self, at: datetime) -> float:
        return (at - self._origin).total_seconds()

    def _jobs_of_window(self, start: datetime, end: datetime) -> list[Job]:
        first_s, last_s = self._seconds_since_origin(start), self._seconds_since_origin(end)
        return [
            job
            for job in self._jobs
            if oar_records.is_in_window(job, first_s=first_s, last_s=last_s)
        ]


def _midnight(source: Mapping[str, Any], key: str) -> datetime:
    """Midnight UTC of a day of the configuration, which is a text or a date."""
    value = source.get(key)
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise InputError(
            f"{value!r} is not a day", where=f"study.{key}", do="write it as 2025-03-03"
        ) from None
    return datetime.combine(day, time(), tzinfo=UTC)
