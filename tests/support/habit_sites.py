"""Features and true kinds of the runs of a simulated site, without its tables of readings.

Power is computed every half a minute instead of read every 5 s, with the noise and the step of the
sensor and without its faults. Energies are integrals of the power without noise, whose mean is 0.
Everything else is computed by the code of the pipeline. A site of two weeks takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.allocation import gpu_allocations, node_allocations
from footprint.core.sums import sum_or_zero
from footprint.core.units import H_PER_S, KWH_PER_J
from footprint.energy import idle_power
from footprint.hardware import catalogue
from footprint.phases import chains, features, power_histograms
from footprint.schemas.phases import PowerHistograms
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.exporters import exported_values
from footprint.sources.simulated.habits.requested import DEFAULT_LIMIT_S, PRODUCTION_LIMIT_S
from footprint.sources.simulated.hardware import Node

Floats = NDArray[np.float64]
Words = Literal["drawn", "silent", "none"]
Walltimes = Literal["drawn", "day", "limit", "none"]
Power = Literal["all", "nodes", "none"]

STEP_S = 30
GAP_H = 48.0
_OFF_THRESHOLD_W = 20.0
_DAY_S = 86400
_US_PER_S = 1_000_000
_HOLDING = r"^\s*sleep\s|\bsleep\b.*\bdone\b|\bjupyter\b|^\s*$"
_NO_READINGS = {"gpu": pl.UInt8(), "timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64()}


class HabitSite(NamedTuple):
    """Runs of a site.

    Attributes:
        features: Result of `features.collect_features`.
        truth: `run_id`, `kind`, `habit`, `user`, `true_kwh` of each run that started. Where jobs of
            several kinds are merged into one run, those of the kind with the most energy.
        jobs: `job_id`, `run_id`, `kind`, `habit`, `user`, `true_kwh` of each job that started.
    """

    features: pl.DataFrame
    truth: pl.DataFrame
    jobs: pl.DataFrame


class Withheld(NamedTuple):
    """What the features are computed without.

    Attributes:
        words: `silent`: names are null, and every command that starts a program is `./run.sh`;
            `none`: no command and no name is known.
        walltimes: `day`: a day for each job; `limit`: the limit of its queue; `none`: unknown.
        power: `nodes`: no readings of GPUs; `none`: no readings and no measured energy.
    """

    words: Words = "drawn"
    walltimes: Walltimes = "drawn"
    power: Power = "all"


NOTHING = Withheld()


def habit_source(
    seed: int, *, days: int = 14, jobs: int = 1000, habits: Any = "seed", **keys: Any
) -> dict[str, Any]:
    """Configuration of a site with habits, which starts on 3 March 2025.

    The clusters without series of GPUs are drawn by seed.

    Args:
        seed: Seed.
        days: Length of the study, at most 28.
        jobs: Number of jobs aimed at.
        habits: `source.habits`.
        keys: Other keys of `source`.
    """
    window = {"start": "2025-03-03", "end": f"2025-03-{3 + days:02d}"}
    drawn = {"kind": "simulated", "seed": seed, "habits": habits, "without_series": "seed"}
    return drawn | window | {"jobs": jobs} | keys


def site_runs(source: Mapping[str, Any], withheld: Withheld = NOTHING) -> HabitSite:
    """Simulate a site, and compute the features and the truth of its runs.

    Args:
        source: Configuration of the simulated source, with `start` and `end`.
        withheld: What the features are computed without.
    """
    return build_study(source).runs(withheld)


def build_study(source: Mapping[str, Any]) -> HabitStudy:
    """Simulate a site whose runs are then computed with more than one thing withheld."""
    return HabitStudy(SimulatedSite.from_config(source))


class HabitStudy:
    """Tables of a site that do not depend on what is withheld."""

    def __init__(self, site: SimulatedSite) -> None:
        """Compute allocations and energies."""
        self.site = site
        electricity = site._electricity
        # The courses of the jobs are drawn once instead of for each of power, GPUs and energies.
        for name in ("_work_of", "power_function"):
            setattr(electricity, name, cache(getattr(electricity, name)))
        records = site.jobs(start=site.start, end=site.end)
        self.jobs, self.allocations = records.jobs.collect(), records.allocations.collect()
        self.nodes = site.nodes().collect()
        tables = (self.jobs.lazy(), self.allocations.lazy(), self.nodes.lazy())
        window = {"start": site.start, "end": site.end}
        self.held = node_allocations.build_allocations(
            *tables, **window, gate="reserved"
        ).allocations
        self.held_gpus = gpu_allocations.build_gpu_allocations(*tables, **window)
        self.job_nodes = self._job_nodes()
        self._histograms = cache(self.power_histograms)

    def runs(self, withheld: Withheld) -> HabitSite:
        """Features and truth of the runs without what is withheld."""
        jobs = _without(self.jobs, withheld).lazy()
        run_of_job = chains.merge_jobs_into_runs(
            jobs, gap_h=GAP_H, allocations=self.allocations.lazy()
        ).collect()
        job_nodes = self.job_nodes.with_columns(
            measured_kwh=pl.when(withheld.power != "none").then("measured_kwh")
        )
        collected = features.collect_features(
            jobs=jobs,
            run_of_job=run_of_job.lazy(),
            job_energy=job_nodes.group_by("job_id", maintain_order=True)
            .agg(
                pl.col("duration_s").max(),
                gpu_hours=sum_or_zero(pl.col("gpu_hours")),
                measured_kwh=pl.when(pl.col("measured_kwh").is_not_null().any()).then(
                    sum_or_zero(pl.col("measured_kwh"))
                ),
            )
            .lazy(),
            job_nodes=job_nodes.lazy(),
            power_histograms=self._histograms(withheld.power).lazy(),
        ).collect()
        of_jobs = self._truth(run_of_job)
        return HabitSite(collected, _truth_of_runs(of_jobs), of_jobs)

    def power_histograms(self, power: Power) -> pl.DataFrame:
        """`schemas.PowerHistograms` of all clusters."""
        if power == "none":
            return pl.DataFrame(PowerHistograms.create_empty())
        occupancy = node_allocations.occupancy(self.held.lazy()).collect()
        hardware = catalogue.look_up_hardware(self.nodes.lazy())
        tables = []
        for cluster in sorted({node.cluster for node in self.site._nodes}):
            nodes = {node.name: node for node in self.site._nodes if node.cluster == cluster}
            with_meter = [name for name, node in nodes.items() if node.has_meter]
            samples = {name: self._samples(nodes[name]) for name in with_meter}
            gpus = {
                name: self._gpu_samples(nodes[name])
                for name in with_meter
                if power == "all" and nodes[name].has_series and nodes[name].gpus
            }
            node_power = idle_power.fill_node_power(
                idle_power.measure_node_power(
                    samples.items(), occupancy, off_threshold_w=_OFF_THRESHOLD_W
                ),
                cluster=cluster,
                idle_power_w=None,
                max_power_w=None,
            )
            on_cluster = pl.col("node").str.starts_with(f"{cluster}-")
            tables.append(
                power_histograms.measure_power_histograms(
                    with_meter,
                    samples.__getitem__,
                    gpus.__getitem__ if gpus else None,
                    allocations=self.held.filter(on_cluster),
                    gpu_allocations=self.held_gpus.filter(on_cluster) if gpus else None,
                    node_power=node_power,
                    hardware=hardware,
                    max_gap_s=2.0 * STEP_S,
                )
            )
        return pl.concat(tables)

    def _times_s(self) -> Floats:
        """Times of the samples in the study, in seconds since the simulation's origin."""
        first_s, last_s = self.site._study_s
        return np.arange(first_s, last_s, STEP_S, dtype=np.float64)

    def _timestamps(self, times_s: Floats) -> pl.Series:
        origin_us = round(self.site._origin.timestamp()) * _US_PER_S
        times_us = (times_s * _US_PER_S).astype(np.int64) + origin_us
        return pl.Series("timestamp", times_us).cast(pl.Datetime("us", "UTC"))

    def _samples(self, node: Node) -> pl.DataFrame:
        """`timestamp`, `power_w` as the BMC of a node would read it."""
        times_s = self._times_s()
        electricity = self.site._electricity
        read_w = electricity.power_function(node).power_w(times_s) / (electricity.gain(node) or 1.0)
        step_w = node.sensor_step_w or 1.0
        return pl.DataFrame(
            {"timestamp": self._timestamps(times_s), "power_w": np.round(read_w / step_w) * step_w}
        )

    def _gpu_samples(self, node: Node) -> pl.DataFrame:
        """`gpu`, `timestamp`, `power_w` of the GPUs of a node, while its exporter is scraped."""
        electricity, times_s = self.site._electricity, self._times_s()
        is_scraped = np.zeros(len(times_s), dtype=bool)
        for job, _ in electricity._jobs[node.name]:
            if "deploy" not in job.request.types:
                stop_s = electricity._stop_s(job)
                is_scraped |= (times_s >= (job.started_s or 0)) & (times_s < stop_s)
        times_s = times_s[is_scraped]
        values = exported_values(
            GPU_POWER_METRIC,
            node,
            electricity._work_of(node),
            electricity.hidden_hardware(node),
            seed=electricity._seed,
        )
        if values is None or not len(times_s):
            return pl.DataFrame(schema=_NO_READINGS)
        power_w = values.values(times_s, np.full((len(times_s), len(node.gpus)), 0.5))
        timestamps = self._timestamps(times_s)
        return pl.concat(
            [
                pl.DataFrame(
                    {"timestamp": timestamps, "power_w": power_w[:, gpu]},
                ).select(pl.lit(gpu, pl.UInt8).alias("gpu"), "timestamp", "power_w")
                for gpu in range(len(node.gpus))
            ]
        )

    def _job_nodes(self) -> pl.DataFrame:
        """Amounts and energies of each job on each node, as in `schemas.JobNodeEnergy`."""
        origin_us = round(self.site._origin.timestamp()) * _US_PER_S
        nodes = {node.name: node for node in self.site._nodes}
        parts = []
        for (name,), rows in self.held.partition_by(
            "node", as_dict=True, maintain_order=True
        ).items():
            node = nodes[str(name)]
            bounds_s = [
                (rows[column].cast(pl.Int64).to_numpy() - origin_us) / _US_PER_S
                for column in ("started_at", "stopped_at")
            ]
            low_j, high_j = self._energies_j(node, bounds_s)
            parts.append(
                rows.with_columns(
                    held_s=pl.Series(bounds_s[1] - bounds_s[0]),
                    node_j=pl.Series(high_j - low_j),
                    gain=pl.lit(self.site._electricity.gain(node), pl.Float64),
                )
            )
        return (
            pl.concat(parts)
            .group_by("job_id", "node", maintain_order=True)
            .agg(
                pl.col("share", "gain").first(),
                duration_s=sum_or_zero(pl.col("held_s")),
                gpu_hours=sum_or_zero(pl.col("gpus") * pl.col("held_s")) * H_PER_S,
                true_kwh=sum_or_zero(pl.col("share") * pl.col("node_j")) * KWH_PER_J,
            )
            .with_columns(
                covered_s=pl.when(pl.col("gain").is_null()).then(0.0).otherwise("duration_s"),
                measured_kwh=pl.col("true_kwh") / pl.col("gain"),
            )
            .sort("job_id", "node")
        )

    def _energies_j(self, node: Node, times_s: list[Floats]) -> list[Floats]:
        """Energy of a node from the origin to times, without noise, in joules."""
        power = self.site._electricity.power_function(node)._power
        ends_s = np.append(power.breaks_s, max(power.breaks_s[-1], self.site._end_s))
        reached_j = np.concatenate(([0.0], np.cumsum(power.base_w * np.diff(ends_s))))
        return [np.interp(each_s, ends_s, reached_j) for each_s in times_s]

    def _truth(self, run_of_job: pl.DataFrame) -> pl.DataFrame:
        energy = self.job_nodes.group_by("job_id", maintain_order=True).agg(
            true_kwh=sum_or_zero(pl.col("true_kwh"))
        )
        return (
            self.site.true_kinds()
            .collect()
            .drop_nulls("kind")
            .join(run_of_job.select("job_id", "run_id"), on="job_id")
            .join(self.jobs.select("job_id", "user"), on="job_id")
            .join(energy, on="job_id", how="left")
            .select(
                *("job_id", "run_id", "kind", "habit", "user"),
                true_kwh=pl.col("true_kwh").fill_null(0.0),
            )
            .sort("job_id")
        )


def _truth_of_runs(jobs: pl.DataFrame) -> pl.DataFrame:
    """Kind, habit, user and energy of each run."""
    kinds = jobs.group_by("run_id", "kind", "habit").agg(
        pl.col("user").first(), own_kwh=sum_or_zero(pl.col("true_kwh"))
    )
    return (
        kinds.sort("run_id", "own_kwh", "kind", "habit", descending=[False, True, False, False])
        .group_by("run_id", maintain_order=True)
        .agg(pl.col("kind", "habit", "user").first(), true_kwh=sum_or_zero(pl.col("own_kwh")))
    )


def _without(jobs: pl.DataFrame, withheld: Withheld) -> pl.DataFrame:
    """Records of the jobs without what is withheld."""
    if withheld.words == "silent":
        starts_program = ~pl.col("command").str.contains(_HOLDING)
        jobs = jobs.with_columns(
            command=pl.when(starts_program).then(pl.lit("./run.sh")).otherwise("command"),
            name=pl.lit(None, pl.String),
        )
    elif withheld.words == "none":
        jobs = jobs.with_columns(command=pl.lit(None, pl.String), name=pl.lit(None, pl.String))
    walltimes: dict[Walltimes, pl.Expr] = {
        "drawn": pl.col("walltime_s"),
        "day": pl.lit(_DAY_S, pl.Int64),
        "limit": pl.when(pl.col("queue") == "default")
        .then(pl.lit(DEFAULT_LIMIT_S, pl.Int64))
        .otherwise(pl.lit(PRODUCTION_LIMIT_S, pl.Int64)),
        "none": pl.lit(None, pl.Int64),
    }
    return jobs.with_columns(walltime_s=walltimes[withheld.walltimes])
