"""The power of single GPUs, for the gate `two_part`: whose activity a node's energy came from.

What a node draws above its idle power is split over its GPUs in proportion to what each draws above
its own idle power, and of each GPU's part a job has the part of the GPU that it holds. Everything
is linear in the parts held, as in `footprint.gates`: a GPU has pieces, running integrals at cuts
and segments as a node has. Equations in `docs/method.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint import gates, segments
from footprint.gpu_gates import node_of
from footprint.integration import Running
from footprint.intervals import Floats, Integers
from footprint.summation import total

# Kwollect collects the series of GPUs every 15 s: three readings may be missing.
RECENT_S = 60.0

IDLE_QUANTILE = 0.05

# GPUs of one model differ by less than this when idle; one that is further above the lowest of its
# node was busy all the time.
IDLE_RATIO = 2.0

# Readings of an idle GPU wander by a few watts, which say nothing about who uses the node.
IDLE_MARGIN_W = 5.0


@dataclass(frozen=True)
class Activity:
    """What is known of the GPUs of a cluster.

    Attributes:
        pieces: Who held them: result of `gpu_gates.build`.
        read: Gives the readings of a node's GPUs over the study: `gpu`, `timestamp`, `power_w`,
            without nulls, ascending in time for each GPU.
        reservable: The GPUs of each node that jobs can hold.
    """

    pieces: pl.DataFrame
    read: Callable[[str], pl.DataFrame]
    reservable: Mapping[str, Sequence[int]]

    @classmethod
    def load(
        cls, devices: Sequence[str], *, gpu_gates: str, nodes: str, cluster: str
    ) -> Activity | None:
        """What files tell; None without files of readings.

        Args:
            devices: Partitions of `tables.DevicePower` of every month of the study.
            gpu_gates: Result of `gpu_gates.build`.
            nodes: `tables.Nodes`.
            cluster: The cluster.
        """
        if not devices:
            return None
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

        def read(node: str) -> pl.DataFrame:
            own = pl.scan_parquet(list(devices)).filter(pl.col("node") == node)
            readings = own.select("gpu", "timestamp", "power_w").collect()
            # partitions begin with the end of the month before
            return readings.unique(["gpu", "timestamp"]).sort("gpu", "timestamp")

        pieces = pl.scan_parquet(gpu_gates).filter(node_of().str.starts_with(f"{cluster}-"))
        return cls(pieces.collect(), read, dict(described.collect().iter_rows()))

    def measure(
        self, node: str, cuts_us: Integers, totals: Running, partition: segments.Partition
    ) -> Measured:
        """Running integrals and pieces of the GPUs of one node; none where it has no readings.

        Args:
            node: The node.
            cuts_us: The node's cuts, among which are the bounds of all its GPUs' pieces.
            totals: The node's samples.
            partition: The period.
        """
        readings = self.read(node)
        own = segments.in_microseconds(self.pieces.filter(node_of() == node), partition)
        if totals.method.name == "inner_trapezoid":
            own = segments.snap(own, pl.Series(totals.times_us))
        own = segments.clip(own, partition)
        if readings.is_empty():
            return Measured(pl.DataFrame(schema=AT), own.clear())
        required = self.reservable.get(node, [])
        parts = parts_of_gpus(totals.times_us, readings, required=required)
        at = pl.concat(
            pl.DataFrame(
                {"node": f"{node}/{gpu}", "cut_us": cuts_us}
                | dict(zip(RUNNING, above_idle(totals, part, cuts_us), strict=True)),
                schema=AT,
            )
            for gpu, part in parts.items()
        )
        return Measured(at, own)


class Measured(NamedTuple):
    """Running integrals of a node's GPUs at its cuts, and the GPUs' pieces."""

    at: pl.DataFrame
    pieces: pl.DataFrame


class Shared(NamedTuple):
    """What GPUs used, by job and by segment of their nodes.

    Attributes:
        jobs: `job_id`, `node`, `active_j`, its variance `active_j2`, and `active_edge_j`, what
            `edge_j` of `energy.sum_jobs` is for it.
        segments: `node`, `from_us`, `known_j` (energy of all GPUs), its variance `known_j2`,
            `active_j` (of it, what jobs have) and `counted_j` (the same with bounds as snapped).
            Of a part p of the energy above idle, the variance is p^2 times that of the whole; p
            times it is more, and adds up over GPUs.
    """

    jobs: pl.DataFrame
    segments: pl.DataFrame


OF_SEGMENT = ("known_j", "known_j2", "active_j", "counted_j")
RUNNING = ("active_j", "active_s")
AT = pl.Schema({"node": pl.String(), "cut_us": pl.Int64()} | dict.fromkeys(RUNNING, pl.Float64()))


def idle_power_w(readings: pl.DataFrame) -> dict[int, float]:
    """Idle power of each GPU of a node: the 5th percentile of its readings.

    One that never idled has the lowest of the others', which are of its model.

    Args:
        readings: `gpu`, `power_w`, over the study.
    """
    own = pl.col("power_w")
    return dict(
        readings.group_by("gpu")
        .agg(own.quantile(IDLE_QUANTILE, "linear"))
        .with_columns(pl.when(own <= IDLE_RATIO * own.min()).then(own).otherwise(own.min()))
        .sort("gpu")
        .iter_rows()
    )


def parts_of_gpus(
    times_us: Integers, readings: pl.DataFrame, *, required: Sequence[int]
) -> dict[int, Floats]:
    """Part of each GPU in what all of a node draw above idle, from each of its samples to the next.

    The parts add up to 1 where every GPU that jobs can hold has a reading in the `RECENT_S` before
    the sample and some GPU is not idle. Elsewhere the activity is unknown, and they are all 0: a
    GPU without a reading may be the busy one.

    Args:
        times_us: Times of the node's samples.
        readings: `gpu`, `timestamp`, `power_w`, ascending in time for each GPU.
        required: GPUs that jobs can hold.
    """
    idle_w = idle_power_w(readings)
    known = np.ones(len(times_us), dtype=bool)
    above_w = {}
    for gpu in sorted({*required, *idle_w}):
        own = readings.filter(pl.col("gpu") == gpu)
        at_us, power_w = own["timestamp"].cast(pl.Int64).to_numpy(), own["power_w"].to_numpy()
        row = np.searchsorted(at_us, times_us, side="right") - 1
        recent = row >= 0
        recent[recent] = times_us[recent] - at_us[row[recent]] <= RECENT_S * 1e6
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


def above_idle(totals: Running, part: Floats, moments_us: Integers) -> tuple[Floats, Floats]:
    """Running integrals of a part of a node's power above its idle power, and of covered time.

    Args:
        totals: The node's samples.
        part: Part that counts, from each sample to the next.
        moments_us: Moments up to which is integrated.

    Returns:
        Joules and seconds, a row a moment.
    """
    times_us, method = totals.times_us, totals.method
    if not len(times_us):
        return np.zeros(len(moments_us)), np.zeros(len(moments_us))
    limit_w = np.inf if totals.idle_power_w is None else totals.idle_power_w
    above_w = totals.power_w - np.minimum(totals.power_w, limit_w)
    length_us = np.append(np.diff(times_us), 0).astype(np.float64)
    length_us[length_us > method.max_gap_s * 1e6] = 0.0
    end_w = above_w if method.name == "left_hold" else np.append(above_w[1:], 0.0)
    row = np.searchsorted(times_us, moments_us, side="right") - 1
    last = np.maximum(row, 0)
    since_us = np.where(length_us[last] > 0, moments_us - times_us[last], 0.0) * (row >= 0)
    reached = np.divide(since_us, length_us[last], out=np.zeros(len(row)), where=since_us > 0)
    covered_us = _before(length_us, last) + since_us
    if method.name == "sum_of_samples":
        count = np.searchsorted(times_us, moments_us, side="left")
        sums_w = _before(totals.weighted(above_w * part), count)
        return sums_w * totals.period_s, covered_us * 1e-6
    mean_w = above_w[last] + (end_w - above_w)[last] * reached * 0.5
    passed = _before((above_w + end_w) * 0.5 * length_us * part, last)
    return (passed + mean_w * since_us * part[last]) * 1e-6, covered_us * 1e-6


def _before(values: Floats, count: Integers) -> Floats:
    """Sum of the first `count` values, for each count."""
    sums: Floats = np.concatenate([[0.0], np.cumsum(values)])[count]
    return sums


def share_out(
    measured: Sequence[Measured], cut: pl.DataFrame, sensors: pl.DataFrame, *, snapped: bool
) -> Shared:
    """What GPUs used, by job and by segment.

    Args:
        measured: Result of `Activity.measure` for each node.
        cut: Segments of the nodes.
        sensors: `node`, `period_s`.
        snapped: Whether bounds were moved to samples.
    """
    at = pl.concat([each.at for each in measured])
    own = pl.concat([each.pieces for each in measured])
    gained = segments.between_cuts(
        at,
        own if snapped else None,
        gates.occupancy(own.lazy()).collect(),
        pl.DataFrame(schema={"node": pl.String(), "from_us": pl.Int64(), "to_us": pl.Int64()}),
        quantities=RUNNING,
    ).with_columns(gpu="node", node=node_of())
    above_j = pl.col("energy_j") - pl.col("floor_j")
    part = pl.when(above_j > 0).then(pl.col("active_j") / above_j).otherwise(0.0).clip(0.0, 1.0)
    of_gpus = gained.join(
        cut.select("node", "from_us", "energy_j", "floor_j", "spread_j2"),
        on=["node", "from_us"],
        maintain_order="left",
    ).with_columns(active_j2=part * pl.col("spread_j2"))
    return Shared(_of_jobs(own, of_gpus, sensors), _of_segments(of_gpus))


def _of_segments(cut: pl.DataFrame) -> pl.DataFrame:
    joules = pl.col("active_j")
    return cut.group_by("node", "from_us").agg(
        known_j=total(joules),
        known_j2=total(pl.col("active_j2")),
        active_j=total(pl.col("share") * joules),
        counted_j=total(pl.col("counted") * joules),
    )


def _of_jobs(pieces: pl.DataFrame, cut: pl.DataFrame, sensors: pl.DataFrame) -> pl.DataFrame:
    sums = cut.select(pl.col(*RUNNING, "active_j2").cum_sum().over("gpu"), "to_us", node="gpu")
    energy = segments.gained(pieces, sums, RUNNING, bounds=("from_us", "to_us"))
    spread = segments.gained(pieces, sums, ["active_j2"], bounds=("held_from_us", "held_to_us"))
    held, covered_s = pl.col("share"), pl.col("active_s")
    edges = (pl.col("opens").cast(pl.Float64) + pl.col("closes").cast(pl.Float64)) / 2
    mean_w = pl.when(covered_s > 0).then(pl.col("active_j") / covered_s).otherwise(0.0)
    return (
        pieces.hstack(energy)
        .hstack(spread)
        .with_columns(node=node_of())
        .join(sensors, on="node")
        .group_by("job_id", "node")
        .agg(
            active_j=total(held * pl.col("active_j")),
            active_j2=total(held * pl.col("active_j2")).clip(lower_bound=0.0),
            active_edge_j=total(edges * mean_w * pl.col("period_s") * held),
        )
    )
