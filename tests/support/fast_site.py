"""A simulated study without samples: integrals over segments, exact and by formula.

The jobs, hardware, gains and faults are those of the simulated site. Its noise, whose mean is 0, is
left out, so that power is piecewise constant and the energy over a segment is a difference of two
cumulative sums. A study of two weeks takes seconds instead of minutes. From the segments on,
everything is computed by the code of the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.allocation import node_allocations
from footprint.core import calendar
from footprint.core.units import KWH_PER_J
from footprint.energy import segments as cuts
from footprint.energy.attribution import JOB_SUM_COLUMNS
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC, LOAD_METRIC
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.electricity import Electricity
from footprint.sources.simulated.hardware import Node

Floats = NDArray[np.float64]
MAX_GAP_S = 30.0
_QUANTITIES = (
    *("energy_j", "covered_s", "true_j"),
    *("gpu_j", "gpu_covered_s", "load_s", "load_covered_s"),
)


class Steps(NamedTuple):
    """A piecewise constant function of time, 0 before its first step."""

    starts_s: Floats
    values: Floats

    def at(self, times_s: Floats) -> Floats:
        """Values at times."""
        index = np.searchsorted(self.starts_s, times_s, side="right") - 1
        return np.where(index >= 0, self.values[index.clip(0)], 0.0)


@dataclass(frozen=True)
class FastStudy:
    """A study without samples.

    Attributes:
        site: The simulated site.
        window: Window of the study.
        nodes: `schemas.Nodes`.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        overlaps: Overlaps of the allocations.
        node_allocations: `node_allocations.ALLOCATION_SCHEMA`.
        segments: `schemas.gaps.Segments` of all nodes, with `true_j`.
        series: `schemas.gaps.SegmentSeries`; clusters without series have null values.
        job_sums: `attribution.JOB_SUM_COLUMNS` by job and node.
        truth: `job_id`, `node`, `true_kwh`, `metered_kwh`.
    """

    site: SimulatedSite
    window: calendar.Window
    nodes: pl.DataFrame
    jobs: pl.DataFrame
    allocations: pl.DataFrame
    overlaps: pl.DataFrame
    node_allocations: pl.DataFrame
    segments: pl.DataFrame
    series: pl.DataFrame
    job_sums: pl.DataFrame
    truth: pl.DataFrame


def build_fast_study(source: Mapping[str, Any]) -> FastStudy:
    """Simulate a study under the gate `reserved`.

    Args:
        source: Configuration of the simulated source, with `start` and `end`.
    """
    site = SimulatedSite.from_config(source)
    window = calendar.study_window(str(source["start"]), str(source["end"]))
    start, end = window
    records = site.jobs(start=start, end=end)
    jobs, allocations = records.jobs.collect(), records.allocations.collect()
    nodes = site.nodes().collect()
    built = node_allocations.build_allocations(
        jobs.lazy(), allocations.lazy(), nodes.lazy(), start=start, end=end, gate="reserved"
    )
    limits = cuts.IntegrationWindow.of(start, end)
    held = cuts.clip_to_window(cuts.with_bounds_in_microseconds(built.allocations, limits), limits)
    segments = _segments(site, held, built.allocations, limits)
    return FastStudy(
        site=site,
        window=window,
        nodes=nodes,
        jobs=jobs,
        allocations=allocations,
        overlaps=built.overlaps,
        node_allocations=built.allocations,
        segments=segments.select(
            *("node", "from_us", "to_us", "share", "is_unavailable", "duration_s"),
            *("covered_s", "energy_j", "true_j"),
            weight=pl.lit(1.0),
        ),
        series=_series(site, segments),
        job_sums=_job_sums(held, segments),
        truth=_truth(site, held, segments),
    )


def _segments(
    site: SimulatedSite,
    held: pl.DataFrame,
    allocations: pl.DataFrame,
    limits: cuts.IntegrationWindow,
) -> pl.DataFrame:
    """Segments of all nodes with `_QUANTITIES`."""
    states = site.states(start=site.start, end=site.end).collect()
    away = cuts.unavailable_intervals(states, limits)
    away_by_node, held_by_node = dict(cuts.rows_by_node(away)), dict(cuts.rows_by_node(held))
    origin_us = limits.start_us - site._study_s[0] * 1_000_000
    names, of_cuts, integrals = [], [], []
    for node in site._nodes:
        at_us = cuts.cuts_of_node(
            held_by_node.get(node.name, held.clear()),
            away_by_node.get(node.name, away.clear()),
            limits,
        )
        names.append(node.name)
        of_cuts.append(at_us)
        integrals.append(_node_integrals(site._electricity, node, (at_us - origin_us) / 1e6))
    at_cuts = cuts.integrals_at_cuts(names, of_cuts, integrals, quantities=_QUANTITIES)
    occupancy = node_allocations.occupancy(allocations.lazy()).collect()
    found = cuts.segments_between_cuts(at_cuts, None, occupancy, away, quantities=_QUANTITIES)
    return found.rename({"unavailable": "is_unavailable"}).with_columns(
        covered_s=pl.min_horizontal("covered_s", "duration_s")
    )


def _node_integrals(electricity: Electricity, node: Node, cuts_s: Floats) -> Floats:
    """Cumulative `_QUANTITIES` of a node at the cuts, in seconds since the origin."""
    power = electricity.power_function(node)._power
    drawn = Steps(power.breaks_s, power.base_w)
    gain = electricity.gain(node)
    read = _complement(_lost_intervals(electricity, node)) if gain is not None else _never()
    hidden = electricity.hidden_hardware(node)
    scraped = _never()
    if node.has_series:
        jobs = electricity._jobs[node.name]
        scraped = _union(
            [
                (float(job.started_s or 0), float(electricity._stop_s(job)))
                for job, _ in jobs
                if "deploy" not in job.request.types
            ]
        )
    gpu, load = _never(), _never()
    from footprint.sources.simulated.exporters import exported_values

    work = electricity._work_of(node)
    for metric in (GPU_POWER_METRIC, LOAD_METRIC):
        values = exported_values(metric, node, work, hidden, seed=electricity._seed)
        if metric == GPU_POWER_METRIC and values is not None:
            gpu = _gpu_power(values, hidden.series_factor)
        elif metric == LOAD_METRIC and values is not None:
            load = Steps(values._breaks_s, np.minimum(values._busy / node.n_cores, 1.0))
    always = Steps(np.zeros(1), np.ones(1))
    return np.array(
        [
            _cumulative(drawn, read, cuts_s) / (gain or 1.0),
            _cumulative(always, read, cuts_s),
            _cumulative(drawn, always, cuts_s),
            _cumulative(gpu, scraped, cuts_s),
            _cumulative(always, scraped if node.gpus else always, cuts_s),
            _cumulative(load, scraped, cuts_s),
            _cumulative(always, scraped, cuts_s),
        ]
    )


def _gpu_power(values: Any, factor: float) -> Steps:
    """Power of all GPUs of a node as its exporter reports it."""
    stacks = values._stacks
    starts_s = np.unique(np.concatenate([stack.breaks_s for stack in stacks]))
    total = np.zeros(len(starts_s))
    for stack, idle_w, limit_w in zip(stacks, values._idle_w, values._limit_w, strict=True):
        own = Steps(stack.breaks_s, stack.base_w).at(starts_s)
        total += np.minimum(idle_w + own, limit_w)
    return Steps(starts_s, factor * total)


def _never() -> Steps:
    return Steps(np.zeros(1), np.zeros(1))


def _union(intervals: list[tuple[float, float]]) -> Steps:
    """1 inside any of the intervals, else 0."""
    if not intervals:
        return _never()
    bounds = np.array([bound for interval in intervals for bound in interval])
    changes = np.tile([1, -1], len(intervals))
    order = np.argsort(bounds, kind="stable")
    inside = (np.cumsum(changes[order]) > 0).astype(float)
    return Steps(np.concatenate(([0.0], bounds[order])), np.concatenate(([0.0], inside)))


def _complement(intervals: list[tuple[float, float]]) -> Steps:
    inside = _union(intervals)
    return Steps(inside.starts_s, 1.0 - inside.values)


def _lost_intervals(electricity: Electricity, node: Node) -> list[tuple[float, float]]:
    """Intervals without usable readings: gaps of more than `MAX_GAP_S`, stuck, drop-outs."""
    sensor = electricity.sensor(node)
    assert sensor is not None
    present = np.flatnonzero(sensor._copies)
    wide = np.flatnonzero(np.diff(present) > MAX_GAP_S / 5)
    clock = sensor._clock
    lost = [
        (
            float(clock.times_us(present[at], present[at] + 1)[0] / 1e6),
            float(clock.times_us(present[at + 1], present[at + 1] + 1)[0] / 1e6),
        )
        for at in wide
    ]
    spells = electricity.spells[node.name]
    return lost + list(spells.stuck) + list(spells.drop_outs)


def _cumulative(values: Steps, weight: Steps, at_s: Floats) -> Floats:
    """Integral of `values x weight` from the origin to each time."""
    starts_s = np.unique(np.concatenate([values.starts_s, weight.starts_s, at_s[-1:]]))
    rates = values.at(starts_s) * weight.at(starts_s)
    reached = np.concatenate(([0.0], np.cumsum(rates[:-1] * np.diff(starts_s))))
    return np.interp(at_s, starts_s, reached)


def _series(site: SimulatedSite, segments: pl.DataFrame) -> pl.DataFrame:
    """`schemas.gaps.SegmentSeries`: null GPU series where the cluster has none."""
    has_series = {node.name: node.has_series for node in site._nodes}
    has_gpus = {node.name: bool(node.gpus) for node in site._nodes}
    known = pl.col("node").replace_strict(has_series, return_dtype=pl.Boolean)
    gpus = pl.col("node").replace_strict(has_gpus, return_dtype=pl.Boolean)
    of_gpus = pl.when(~gpus | known)
    return segments.select(
        "node",
        "from_us",
        gpu_j=of_gpus.then("gpu_j"),
        gpu_covered_s=of_gpus.then("gpu_covered_s"),
        load_s=pl.when(known).then("load_s"),
        load_covered_s=pl.when(known).then("load_covered_s"),
    )


def _between(held: pl.DataFrame, segments: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Sums over the segments of each allocation."""
    sums = segments.select("node", "to_us", pl.col(names).cum_sum().over("node"))
    return cuts.energy_between(held, sums, names, bounds=("held_from_us", "held_to_us"))


def _job_sums(held: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Sums of jobs on nodes as `attribution.sum_by_job` gives them, without errors of samples."""
    own = held.hstack(_between(held, segments, ["energy_j", "covered_s", "duration_s"]))
    share = pl.col("share")
    terms = {
        "duration_s": pl.col("duration_s"),
        "covered_s": pl.col("covered_s"),
        "gpu_s": pl.col("gpus") * pl.col("duration_s"),
        "core_s": pl.col("cores") * pl.col("duration_s"),
        "share_s": share * pl.col("duration_s"),
        "share_covered_s": share * pl.col("covered_s"),
        "energy_j": share * pl.col("energy_j"),
    }
    absent = [name for name in JOB_SUM_COLUMNS if name not in terms]
    return (
        own.select("job_id", "node", **terms, **dict.fromkeys(absent, pl.lit(0.0)))
        .group_by("job_id", "node", maintain_order=True)
        .agg(pl.col(JOB_SUM_COLUMNS).sum())
        .sort("job_id", "node")
    )


def _truth(site: SimulatedSite, held: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """True energy of each job on each node."""
    own = held.hstack(_between(held, segments, ["true_j"]))
    gains = {node.name: site._electricity.gain(node) for node in site._nodes}
    gain = pl.col("node").replace_strict(gains, return_dtype=pl.Float64)
    true = (
        own.group_by("job_id", "node", maintain_order=True)
        .agg(true_kwh=(pl.col("share") * pl.col("true_j")).sum() * KWH_PER_J)
        .sort("job_id", "node")
    )
    return true.with_columns(metered_kwh=pl.col("true_kwh") / gain)
