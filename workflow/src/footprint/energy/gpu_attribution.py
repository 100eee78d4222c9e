"""Attribution by the power of single GPUs, for the gate `two_part`.

The energy of a node above its idle power is split over its GPUs in proportion to the power of each
above its own idle power. A job gets of each GPU's part the part of the GPU that it holds. All sums
are linear in allocations: a GPU has allocations, cumulative integrals at cuts, and segments as a
node has. Equations: docs/method.md, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.allocation import node_allocations
from footprint.allocation.gpu_allocations import node_of_gpu
from footprint.core.arrays import Floats, Integers
from footprint.core.sums import sum_or_zero
from footprint.energy import segments
from footprint.energy.kernel import KERNEL_COLUMNS, CumulativeIntegrals, NodeSamples
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.sources.kwollect.metrics import MAX_READING_AGE_S

IDLE_QUANTILE = 0.05
"""Quantile of a GPU's readings that is its idle power."""

MAX_IDLE_RATIO = 2.0
"""Highest ratio of the idle powers of a node's GPUs, which are of one model.

A GPU with a higher quantile is assumed never to have idled.
"""

IDLE_MARGIN_W = 5.0
"""Power above idle that counts as idle: readings of an idle GPU vary by a few watts."""

GPU_SEGMENT_COLUMNS = ("gpu_energy_j", "gpu_variance_j2", "active_j", "counted_j")

GPU_INTEGRAL_COLUMNS = ("active_j", "active_s")
"""Cumulative integrals of a GPU: its part of the node's energy above idle, and covered time."""


@dataclass(frozen=True)
class GpuActivity:
    """Allocations and readings of the GPUs of a cluster.

    Attributes:
        allocations: Result of `gpu_allocations.build_gpu_allocations`.
        read: Returns the readings of a node's GPUs over the study: `gpu`, `timestamp`, `power_w`,
            without nulls, ascending in time for each GPU.
        reservable: GPUs of each node that jobs can hold.
    """

    allocations: pl.DataFrame
    read: Callable[[str], pl.DataFrame]
    reservable: Mapping[str, Sequence[int]]

    @classmethod
    def from_files(
        cls, devices: Sequence[str], *, gpu_allocations: str, nodes: str, cluster: str
    ) -> GpuActivity | None:
        """Allocations and readings from files; None without files of readings.

        Args:
            devices: Monthly files (`schemas.DevicePower`) of the whole study.
            gpu_allocations: File with the result of `gpu_allocations.build_gpu_allocations`.
            nodes: File of `schemas.Nodes`.
            cluster: The cluster.
        """
        if not devices:
            return None
        from footprint.sources import monthly_files  # loads pyarrow, which few users need

        described = (
            pl.scan_parquet(nodes)
            .filter(pl.col("cluster") == cluster)
            .sort("node", "valid_from")
            .group_by("node", maintain_order=True)
            .last()
            .explode("gpus", "gpu_reservable", empty_as_null=False, keep_nulls=False)
            .filter(pl.col("gpu_reservable"))
            .group_by("node")
            .agg("gpus")
        )

        of_cluster = node_of_gpu().str.starts_with(f"{cluster}-")
        allocations = pl.scan_parquet(gpu_allocations).filter(of_cluster)
        return cls(
            allocations.collect(),
            monthly_files.gpu_power_reader(*devices),
            dict(described.collect().iter_rows()),
        )

    def of_node(
        self,
        node: str,
        samples: NodeSamples,
        method: IntegrationMethod,
        window: segments.IntegrationWindow,
    ) -> NodeGpus | None:
        """Activity and allocations of the GPUs of one node; None without readings.

        Args:
            node: The node.
            samples: Samples of the node.
            method: How samples are integrated.
            window: Window that is integrated.
        """
        readings = self.read(node)
        if readings.is_empty():
            return None
        own = segments.with_bounds_in_microseconds(
            self.allocations.filter(node_of_gpu() == node), window
        )
        if method.name == "inner_trapezoid":
            own = segments.snap_to_samples(own, pl.Series(samples.times_us))
        parts = activity_parts_of_gpus(
            samples.times_us, readings, required=self.reservable.get(node, [])
        )
        names = [f"{node}/{gpu}" for gpu in parts]
        return NodeGpus(names, np.stack([*parts.values()]), segments.clip_to_window(own, window))


class NodeGpus(NamedTuple):
    """GPUs of one node.

    Attributes:
        names: Names of the GPUs, as `gres-1/0`.
        parts: Part of each in the power above idle, a column for each sample of the node: the
            weights of `kernel.cumulative_integrals`.
        allocations: Allocations on the GPUs, clipped to the window.
    """

    names: list[str]
    parts: Floats
    allocations: pl.DataFrame


class GpuEnergy(NamedTuple):
    """Energy of GPUs by job, and by segment of their nodes.

    The variance of a part p of the energy above idle is p^2 times the variance of the whole.
    `gpu_variance_j2` and `active_j2` are p times it instead: more, and a sum over GPUs.

    Attributes:
        jobs: `job_id`, `node`, `active_j`, its variance `active_j2`, and its part `active_edge_j`
            of `edge_j` in `attribution.sum_by_job`.
        segments: `node`, `from_us`, `gpu_energy_j` (energy of all GPUs), its variance
            `gpu_variance_j2`, `active_j` (the part of it that jobs get) and `counted_j` (that part
            with bounds as snapped).
    """

    jobs: pl.DataFrame
    segments: pl.DataFrame


def gpu_idle_power_w(readings: pl.DataFrame) -> dict[int, float]:
    """Idle power (W) of each GPU of a node: the 5th percentile of its readings.

    A GPU whose 5th percentile exceeds twice the lowest of its node is assumed never to have idled
    and is given the lowest value.

    Args:
        readings: `gpu`, `power_w`, over the study.
    """
    own = pl.col("power_w")
    return dict(
        readings.group_by("gpu")
        .agg(own.quantile(IDLE_QUANTILE, "linear"))
        .with_columns(pl.when(own <= MAX_IDLE_RATIO * own.min()).then(own).otherwise(own.min()))
        .sort("gpu")
        .iter_rows()
    )


def activity_parts_of_gpus(
    times_us: Integers, readings: pl.DataFrame, *, required: Sequence[int]
) -> dict[int, Floats]:
    """Part (0 to 1) of each GPU in the power of all GPUs above idle, for each sample of the node.

    The parts add up to 1 where every GPU that jobs can hold has a reading in the
    `MAX_READING_AGE_S` before the sample and at least one GPU is not idle. Elsewhere the activity
    is unknown and all parts are
    0: a GPU without a reading may be the busy one.

    Args:
        times_us: Times of the node's samples.
        readings: `gpu`, `timestamp`, `power_w`, ascending in time for each GPU.
        required: GPUs that jobs can hold.

    Returns:
        By GPU, the part from each sample to the next.
    """
    idle_w = gpu_idle_power_w(readings)
    known = np.ones(len(times_us), dtype=bool)
    above_w = {}
    for gpu in sorted({*required, *idle_w}):
        own = readings.filter(pl.col("gpu") == gpu)
        at_us, power_w = own["timestamp"].cast(pl.Int64).to_numpy(), own["power_w"].to_numpy()
        row = np.searchsorted(at_us, times_us, side="right") - 1
        recent = row >= 0
        recent[recent] = times_us[recent] - at_us[row[recent]] <= MAX_READING_AGE_S * 1e6
        busy_w = np.zeros(len(times_us))
        busy_w[recent] = power_w[row[recent]] - idle_w.get(gpu, 0.0)
        above_w[gpu] = np.where(busy_w > IDLE_MARGIN_W, busy_w, 0.0)
        if gpu in required:
            known &= recent
    together_w = np.sum(list(above_w.values()), axis=0)
    known &= together_w > 0
    return {
        gpu: np.divide(busy_w, together_w, out=np.zeros(len(times_us)), where=known)
        for gpu, busy_w in above_w.items()
    }


def attribute_gpu_energy(
    measured: Sequence[tuple[NodeGpus, Integers, CumulativeIntegrals]],
    cut: pl.DataFrame,
    sensors: pl.DataFrame,
    *,
    is_snapped: bool,
) -> GpuEnergy:
    """Energy of GPUs by job and by segment.

    Args:
        measured: GPUs of each node, its cuts, which include the bounds of all allocations on its
            GPUs, and the integrals at the cuts with the weights `parts`.
        cut: Segments of the nodes: result of `segments.segments_between_cuts`.
        sensors: `node`, `period_s`.
        is_snapped: Whether bounds were moved to samples.
    """
    covered_s = KERNEL_COLUMNS.index("covered_s")
    at_cuts = segments.integrals_at_cuts(
        [name for gpus, _, _ in measured for name in gpus.names],
        [cuts_us for gpus, cuts_us, _ in measured for _ in gpus.names],
        [
            np.stack([active_j, integrals.of_node[covered_s]])
            for _, _, integrals in measured
            for active_j in integrals.above_idle_j
        ],
        quantities=GPU_INTEGRAL_COLUMNS,
    )
    allocations = pl.concat([gpus.allocations for gpus, _, _ in measured])
    of_segments = segments.segments_between_cuts(
        at_cuts,
        allocations if is_snapped else None,
        node_allocations.occupancy(allocations.lazy()).collect(),
        pl.DataFrame(schema=segments.UNAVAILABLE_SCHEMA),
        quantities=GPU_INTEGRAL_COLUMNS,
    ).with_columns(gpu="node", node=node_of_gpu())
    above_j = pl.col("energy_j") - pl.col("idle_energy_j")
    part = pl.when(above_j > 0).then(pl.col("active_j") / above_j).otherwise(0.0).clip(0.0, 1.0)
    of_gpus = of_segments.join(
        cut.select("node", "from_us", "energy_j", "idle_energy_j", "variance_j2"),
        on=["node", "from_us"],
        maintain_order="left",
    ).with_columns(active_j2=part * pl.col("variance_j2"))
    return GpuEnergy(_sum_by_job(allocations, of_gpus, sensors), _sum_by_segment(of_gpus))


def _sum_by_segment(of_gpus: pl.DataFrame) -> pl.DataFrame:
    """`GpuEnergy.segments` from the segments of GPUs."""
    joules = pl.col("active_j")
    return of_gpus.group_by("node", "from_us").agg(
        gpu_energy_j=sum_or_zero(joules),
        gpu_variance_j2=sum_or_zero(pl.col("active_j2")),
        active_j=sum_or_zero(pl.col("share") * joules),
        counted_j=sum_or_zero(pl.col("counted") * joules),
    )


def _sum_by_job(
    allocations: pl.DataFrame, of_gpus: pl.DataFrame, sensors: pl.DataFrame
) -> pl.DataFrame:
    """`GpuEnergy.jobs` from the segments of GPUs."""
    sums = of_gpus.select(
        pl.col(*GPU_INTEGRAL_COLUMNS, "active_j2").cum_sum().over("gpu"), "to_us", node="gpu"
    )
    energy = segments.energy_between(
        allocations, sums, GPU_INTEGRAL_COLUMNS, bounds=("from_us", "to_us")
    )
    variance = segments.energy_between(
        allocations, sums, ["active_j2"], bounds=("held_from_us", "held_to_us")
    )
    held, covered_s = pl.col("share"), pl.col("active_s")
    edges = (pl.col("opens").cast(pl.Float64) + pl.col("closes").cast(pl.Float64)) / 2
    mean_w = pl.when(covered_s > 0).then(pl.col("active_j") / covered_s).otherwise(0.0)
    return (
        allocations.hstack(energy)
        .hstack(variance)
        .with_columns(node=node_of_gpu())
        .join(sensors, on="node")
        .group_by("job_id", "node")
        .agg(
            active_j=sum_or_zero(held * pl.col("active_j")),
            active_j2=sum_or_zero(held * pl.col("active_j2")).clip(lower_bound=0.0),
            active_edge_j=sum_or_zero(edges * mean_w * pl.col("period_s") * held),
        )
    )
