"""Attribution: the energy of jobs, and the classes of each node's energy, for a cluster and month.

Shares are constant over a segment (`segments`). An energy is therefore a product of the integrals
over a segment (`kernel`) and of weights that depend on the gate alone. Equations: docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from footprint.allocation import node_allocations
from footprint.core.arrays import Integers
from footprint.core.sums import sum_by_group
from footprint.energy import calibrated_samples, gpu_attribution, quantisation, segments
from footprint.energy.conservation import check_conservation
from footprint.energy.kernel import CumulativeIntegrals, cumulative_integrals
from footprint.energy.node_energy import classify_energy
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.sensor_period import NOMINAL_PERIOD_S
from footprint.sources.calibration import Calibration

JOB_SUM_COLUMNS = (
    "duration_s",
    "covered_s",
    "gpu_s",
    "core_s",
    "share_s",
    "share_covered_s",
    "energy_j",
    "variance_j2",
    "n_probes",
    "probe_w",
    "probe_w2",
    "quantisation_j",
    "edge_j",
)
"""Sums over a job's allocations on a node. `duration_s` and `covered_s` do not count shares."""

PROBE_COLUMNS = ("n_probes", "probe_w", "probe_w2", "probe_repeats")

SEGMENT_TERM_COLUMNS = (
    "duration_s",
    "covered_s",
    "rate_j",
    "rate_s",
    "rate_covered_s",
    "rate_variance_j2",
    *PROBE_COLUMNS,
)
"""Contributions of a segment to the jobs on its node; `rate_...` per unit of share."""


@dataclass(frozen=True)
class IntegrationSettings:
    """Settings of an integration.

    Attributes:
        gate: One of `vocabulary.GATES`.
        method: How samples are integrated.
        jobs_complete: Whether every job of the nodes is known. If not, time without a known job is
            `unattributed`, since an unknown job may have held the node.
        calibration: Line of the cluster; None: none.
    """

    gate: str
    method: IntegrationMethod
    jobs_complete: bool = True
    calibration: Calibration | None = None

    @classmethod
    def from_config(
        cls, integration: dict[str, Any], *, cluster: str, jobs_complete: bool
    ) -> IntegrationSettings:
        """Settings of a cluster from the key `integration` of a configuration."""
        method = IntegrationMethod(
            integration["method"],
            integration["max_gap_s"],
            integration["off_threshold_w"],
            NOMINAL_PERIOD_S.get(integration["metric"]),
        )
        line = Calibration.from_config(integration, cluster=cluster)
        return cls(integration["gate"], method, jobs_complete, line)


@dataclass(frozen=True)
class NodeRecords:
    """Records of nodes beside their power.

    Attributes:
        allocations: `node_allocations.ALLOCATION_SCHEMA`, which may reach beyond the window.
        occupancy: `node_allocations.OCCUPANCY_SCHEMA` of the whole study; None: that of
            `allocations`.
        states: `schemas.States`; None: the nodes were always available.
        idle_power_w: Idle power by node, for the gate `two_part`.
        gpus: Power of the nodes' GPUs, used by the gate `two_part` alone.
    """

    allocations: pl.DataFrame
    occupancy: pl.DataFrame | None = None
    states: pl.DataFrame | None = None
    idle_power_w: Mapping[str, float] | None = None
    gpus: gpu_attribution.GpuActivity | None = None

    def shares(self) -> pl.DataFrame:
        """Share held of each node from each change on (`node_allocations.OCCUPANCY_SCHEMA`)."""
        if self.occupancy is not None:
            return self.occupancy
        return node_allocations.occupancy(self.allocations.lazy()).collect()


class NodeIntegrals(NamedTuple):
    """Integrals of one node at its cuts.

    Attributes:
        cuts_us: Cuts in microseconds.
        integrals: Integrals of the node, and of its GPUs, at the cuts.
        allocations: Allocations on the node, clipped to the window.
        sensor: Node, period (s) and step (W) of its sensor.
        gpus: GPUs of the node; None: their power is not used.
    """

    cuts_us: Integers
    integrals: CumulativeIntegrals
    allocations: pl.DataFrame
    sensor: tuple[str, float, float]
    gpus: gpu_attribution.NodeGpus | None


class AttributedEnergy(NamedTuple):
    """Energy of jobs and nodes of a cluster and month.

    Attributes:
        jobs: `job_id`, `node`, `JOB_SUM_COLUMNS`, sorted.
        classes: `node`, `day`, `class`, `energy_j`, `duration_s`, `overcount_j`, `left_out_j`,
            sorted.
        segments: Time of nodes between cuts (`schemas.gaps.Segments`), sorted.
    """

    jobs: pl.DataFrame
    classes: pl.DataFrame
    segments: pl.DataFrame


def attribute_energy(
    nodes: Sequence[str],
    read: Callable[[str], pl.DataFrame],
    settings: IntegrationSettings,
    records: NodeRecords,
    *,
    start: datetime,
    end: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Energy of every job on `nodes` in [start, end), and the classes of the nodes' energy.

    Arguments and errors are those of `attribute_with_segments`.

    Returns:
        `AttributedEnergy.jobs` and `AttributedEnergy.classes`.
    """
    found = attribute_with_segments(nodes, read, settings, records, start=start, end=end)
    return found.jobs, found.classes


def attribute_with_segments(
    nodes: Sequence[str],
    read: Callable[[str], pl.DataFrame],
    settings: IntegrationSettings,
    records: NodeRecords,
    *,
    start: datetime,
    end: datetime,
) -> AttributedEnergy:
    """Energy of every job on `nodes` in [start, end), by class and by segment of the nodes.

    The samples of one node are in memory at a time.

    Args:
        nodes: Names of the nodes.
        read: Returns the samples of a node: `timestamp`, `power_w`, strictly ascending in time.
        settings: Gate, method and calibration.
        records: Allocations and states of the nodes.
        start: Start of the window, a UTC midnight.
        end: End of the window, excluded, a UTC midnight.

    Raises:
        InputError: A node lacks the idle power that the gate needs, or the calibration gives less
            than 0 W for too many readings of a node (`calibrated_samples`).
        ConservationError: Classes do not add up to a node's integral and time, or jobs not to the
            class `job`.
    """
    window = segments.IntegrationWindow.of(start, end)
    here = records.allocations.filter(pl.col("node").is_in(nodes))
    method, is_snapped = settings.method, settings.method.name == "inner_trapezoid"
    held = segments.with_bounds_in_microseconds(here, window)
    held = held if is_snapped else segments.clip_to_window(held, window)
    held_by_node = dict(segments.rows_by_node(held))
    away = segments.unavailable_intervals(records.states, window).filter(
        pl.col("node").is_in(nodes)
    )
    away_by_node = dict(segments.rows_by_node(away))
    never, nowhere = held.clear(), away.clear()
    activity = records.gpus if settings.gate == "two_part" else None

    def measure(node: str) -> NodeIntegrals:
        samples = calibrated_samples.node_samples(
            node,
            read(node),
            method,
            calibration=settings.calibration,
            idle_power_w=records.idle_power_w,
            start=start,
        )
        own = held_by_node.get(node, never)
        if is_snapped:
            own = segments.clip_to_window(
                segments.snap_to_samples(own, pl.Series(samples.times_us)), window
            )
        cuts_us = segments.cuts_of_node(own, away_by_node.get(node, nowhere), window)
        gpus = activity.of_node(node, samples, method, window) if activity else None
        integrals = cumulative_integrals(samples, cuts_us, method, gpus.parts if gpus else None)
        sensor = (node, samples.period_s, samples.step_w)
        return NodeIntegrals(cuts_us, integrals, own, sensor, gpus)

    measured = [measure(node) for node in nodes]
    at_cuts = segments.integrals_at_cuts(
        nodes,
        [each.cuts_us for each in measured],
        [each.integrals.of_node for each in measured],
    )
    own = pl.concat([each.allocations for each in measured]) if is_snapped else held
    sensors = pl.DataFrame(
        [each.sensor for each in measured], schema=["node", "period_s", "step_w"], orient="row"
    )
    shares = records.shares().filter(pl.col("node").is_in(nodes))
    cut = segments.segments_between_cuts(at_cuts, own if is_snapped else None, shares, away)
    of_gpus = [(each.gpus, each.cuts_us, each.integrals) for each in measured if each.gpus]
    gpu_energy = (
        gpu_attribution.attribute_gpu_energy(of_gpus, cut, sensors, is_snapped=is_snapped)
        if of_gpus
        else None
    )
    weighted = attribution_weights(cut, settings, gpu_energy)
    jobs = sum_by_job(own, weighted, sensors, settings, gpu_energy)
    classes = classify_energy(weighted, gate=settings.gate, jobs_complete=settings.jobs_complete)
    check_conservation(jobs, classes, at_cuts, gate=settings.gate)
    return AttributedEnergy(jobs, classes, _segment_table(cut, settings.gate))


def _segment_table(cut: pl.DataFrame, gate: str) -> pl.DataFrame:
    """Segments as `schemas.gaps.Segments`, from `segments.segments_between_cuts`."""
    held = pl.col("share")
    is_divided = held > 0 if gate == "active" else pl.lit(False)
    return cut.select(
        "node",
        "from_us",
        "to_us",
        "share",
        is_unavailable="unavailable",
        duration_s="duration_s",
        covered_s="covered_s",
        energy_j="energy_j",
        weight=pl.when(is_divided).then(1.0 / held).otherwise(1.0),
    )


def attribution_weights(
    cut: pl.DataFrame,
    settings: IntegrationSettings,
    gpu_energy: gpu_attribution.GpuEnergy | None = None,
) -> pl.DataFrame:
    """Segments with the energy, time and variance that a job gets per unit of share.

    With S the share held of the node, a unit of share gets under `reserved` and `binary` the energy
    E, under `active` E / S, and under `two_part` the part below the idle power and 1 / S of the
    rest (docs/method.md, section 3). Energy of single GPUs is in `active_j` instead of `rate_j`.

    Args:
        cut: Result of `segments.segments_between_cuts`.
        settings: Gate and method.
        gpu_energy: Energy of GPUs by segment; None: none.

    Returns:
        The segments with `rate_j`, `rate_s`, `rate_covered_s`, `rate_variance_j2`, and
        `gpu_attribution.GPU_SEGMENT_COLUMNS`.
    """
    held, energy, idle = pl.col("share"), pl.col("energy_j"), pl.col("idle_energy_j")
    of_gpus, variance = pl.col("gpu_energy_j"), pl.col("variance_j2")
    if gpu_energy is None:
        cut = cut.with_columns(
            pl.lit(0.0).alias(name) for name in gpu_attribution.GPU_SEGMENT_COLUMNS
        )
    else:
        cut = cut.join(
            gpu_energy.segments, on=["node", "from_us"], how="left", maintain_order="left"
        ).with_columns(pl.col(gpu_attribution.GPU_SEGMENT_COLUMNS).fill_null(0.0))
        variance = (variance - pl.col("gpu_variance_j2")).clip(lower_bound=0.0)
    per_active = pl.when(held > 0).then(1.0 / held).otherwise(0.0)
    # Without all the jobs, S is too small and 1/S would give them the energy of unknown jobs.
    gate = settings.gate if settings.jobs_complete or settings.gate != "two_part" else "reserved"
    weight = per_active if gate in ("active", "two_part") else pl.lit(1.0)
    rate_j = {
        "active": energy * per_active,
        "two_part": idle + (energy - idle - of_gpus) * per_active,
    }.get(gate, energy - of_gpus)
    times = {"rate_s": pl.col("duration_s"), "rate_covered_s": pl.col("covered_s")}
    if gate == "active":
        times = {name: time * per_active for name, time in times.items()}
    return cut.with_columns(rate_j=rate_j, rate_variance_j2=variance * weight.pow(2), **times)


def sum_by_job(
    allocations: pl.DataFrame,
    weighted: pl.DataFrame,
    sensors: pl.DataFrame,
    settings: IntegrationSettings,
    gpu_energy: gpu_attribution.GpuEnergy | None = None,
) -> pl.DataFrame:
    """Sums (`JOB_SUM_COLUMNS`) over the allocations of each job on each node.

    Energy counts between the snapped bounds, time between the real ones. `edge_j` is the energy
    that a method without interpolation may miss at the bounds: half a period at the mean power for
    each real start and end of an allocation.

    Args:
        allocations: Allocations, clipped to the window.
        weighted: Result of `attribution_weights`.
        sensors: `node`, `period_s`, `step_w`.
        settings: Gate, method and calibration.
        gpu_energy: Energy of single GPUs by job, which is added; None: none.

    Returns:
        `job_id`, `node`, `JOB_SUM_COLUMNS`, sorted.
    """
    sums = weighted.select("node", "to_us", pl.col(SEGMENT_TERM_COLUMNS).cum_sum().over("node"))
    rows = allocations.hstack(
        segments.energy_between(
            allocations, sums, SEGMENT_TERM_COLUMNS, bounds=("held_from_us", "held_to_us")
        )
    )
    if settings.method.name == "inner_trapezoid":
        inner = segments.energy_between(allocations, sums, ["rate_j"], bounds=("from_us", "to_us"))
        rows = rows.with_columns(inner["rate_j"])

    share = pl.col("share")
    edges = (pl.col("opens").cast(pl.Float64) + pl.col("closes").cast(pl.Float64)) / 2
    mean_w = pl.when(pl.col("covered_s") > 0).then(pl.col("rate_j") / pl.col("covered_s"))
    sums_of = sum_by_group(
        rows.join(sensors, on="node").with_columns(
            edge_j=edges * mean_w.fill_null(0.0) * pl.col("period_s") * share
        ),
        ["job_id", "node"],
        first=["step_w"],
        **{name: pl.col(name) for name in ("duration_s", "covered_s", *PROBE_COLUMNS)},
        edge_j=pl.col("edge_j"),
        gpu_s=pl.col("gpus") * pl.col("duration_s"),
        core_s=pl.col("cores") * pl.col("duration_s"),
        share_s=share * pl.col("rate_s"),
        share_covered_s=share * pl.col("rate_covered_s"),
        energy_j=share * pl.col("rate_j"),
        variance_j2=share.pow(2) * pl.col("rate_variance_j2"),
    )
    if gpu_energy is not None:
        added = sums_of.join(
            gpu_energy.jobs, on=["job_id", "node"], how="left", maintain_order="left"
        )
        sums_of = added.with_columns(
            pl.col(name) + pl.col(f"active_{unit}").fill_null(0.0)
            for name, unit in {"energy_j": "j", "variance_j2": "j2", "edge_j": "edge_j"}.items()
        )
    return sums_of.with_columns(
        quantisation_j=quantisation.half_width_j(
            step_w=pl.col("step_w"),
            covered_s=pl.col("share_covered_s"),
            repeated_frac=pl.col("probe_repeats") / pl.col("n_probes"),
        ),
    ).select("job_id", "node", *JOB_SUM_COLUMNS)
