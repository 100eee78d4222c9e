"""What the GPUs and processors of a node did while a job held them, by their own series.

A GPU is integrated as a node is (`footprint.energy`), over the pieces of GPUs that jobs held. Of
the processors there are means over a job's time on the node: nobody can tell whose process ran
where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import polars as pl

from footprint import energy, gates, node_names, tables
from footprint.energy import Gate
from footprint.gpu_gates import node_of
from footprint.intervals import Method
from footprint.node_names import GRID5000
from footprint.summation import by_run, total
from footprint.units import H_PER_S, KWH_PER_J

PERIOD_S = 15.0
"""Kwollect collects the series of exporters every 15 s."""
MAX_GAP_S = 60.0
"""Three readings may be missing."""

_SUMS = ("duration_s", "share_s", "share_covered_s", "energy_j")


def gpu_power(
    devices: Sequence[str], pieces: pl.DataFrame, *, start: datetime, end: datetime
) -> pl.DataFrame:
    """Energy of the GPUs that each job held (`tables.GpuPower`).

    Args:
        devices: Partitions of `tables.DevicePower` of a cluster, of all months.
        pieces: Result of `gpu_gates.build`, of the cluster's nodes.
        start: Start of the study.
        end: End of the study, excluded.
    """

    def read(gpu: str) -> pl.DataFrame:
        node, _, index = gpu.rpartition("/")
        own = (pl.col("node") == node) & (pl.col("gpu") == int(index))
        found = pl.scan_parquet(list(devices)).filter(own).select("timestamp", "power_w").collect()
        # partitions begin with the end of the month before
        return found.unique("timestamp").sort("timestamp")

    held = pieces.filter(pl.col("share") > 0)
    method = Method("trapezoid", MAX_GAP_S, 0.0, PERIOD_S)
    sums = _while_held(held, read, Gate("reserved", method), start=start, end=end)
    by_node = (
        sums.with_columns(node=node_of())
        .group_by("job_id", "node")
        .agg(total(pl.col("share_s", "share_covered_s", "energy_j")))
    )
    found: pl.DataFrame = tables.conform(
        tables.GpuPower,
        by_node.select(
            "job_id",
            "node",
            gpu_hours=pl.col("share_s") * H_PER_S,
            covered_gpu_hours=pl.col("share_covered_s").clip(lower_bound=0.0) * H_PER_S,
            energy_kwh=pl.col("energy_j").clip(lower_bound=0.0) * KWH_PER_J,
        ),
    )
    return found


def cpu_series(
    pieces: pl.DataFrame,
    hardware: pl.DataFrame,
    *,
    load: Sequence[str],
    package: Sequence[str],
    policy: str,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """What the processors did while each job held part of their node (`tables.CpuSeries`).

    Args:
        pieces: Result of `gates.build`, of the cluster's nodes.
        hardware: `tables.Hardware` of the cluster.
        load: Partitions of `tables.DeviceSeries` of the load average; none: not known.
        package: The same of the processors' energy counters.
        policy: Gate of the pieces.
        start: Start of the study.
        end: End of the study, excluded.
    """
    sizes = hardware.select("node", "valid_from", "n_cores", "n_threads").sort("valid_from")
    held = pieces.filter(pl.col("share") > 0)
    method = Method("left_hold", MAX_GAP_S, 0.0, PERIOD_S)
    gate = Gate("binary" if policy == "binary" else "reserved", method)
    mean = partial(_mean, held, gate=gate, start=start, end=end)

    def load_of(node: str, *, threads: bool) -> pl.DataFrame:
        size = pl.col("n_threads" if threads else "n_cores")
        part = (pl.col("value") / size.fill_null(size.drop_nulls().first())).clip(0.0, 1.0)
        own = sizes.filter(pl.col("node") == node).drop("node")
        values = _of_node(load, node).join_asof(own, left_on="timestamp", right_on="valid_from")
        return values.select("timestamp", power_w=part.pow(3) if threads else part)

    key = ["job_id", "node"]
    use = mean(partial(load_of, threads=False), "core_use_frac", "load_covered_s")
    cubed = mean(partial(load_of, threads=True), "thread_load_cubed", "cubed_covered_s")
    watts = mean(partial(package_power, package), "package_power_w", "package_covered_s")
    found: pl.DataFrame = tables.conform(
        tables.CpuSeries,
        use.join(cubed.drop("duration_s"), on=key).join(watts.drop("duration_s"), on=key),
    )
    return found


def package_power(paths: Sequence[str], node: str) -> pl.DataFrame:
    """Power of all processors of a node from their energy counters: `timestamp`, `power_w`.

    A value holds until the next. Where a counter starts anew or lacks a value, the power of that
    processor before goes on; nothing is known until every processor has one.
    """
    joules, seconds = pl.col("value"), pl.col("timestamp").cast(pl.Int64) * 1e-6
    rate_w = (joules.diff() / seconds.diff()).shift(-1).over("labels", order_by="timestamp")
    known = _of_node(paths, node, by_labels=True).with_columns(power_w=rate_w).drop_nulls("power_w")
    each = known.select("timestamp").unique().join(known.select("labels").unique(), how="cross")
    goes_on = pl.when(pl.col("power_w") >= 0).then("power_w").forward_fill()
    every = (
        each.join(known, on=["timestamp", "labels"], how="left")
        .with_columns(power_w=goes_on.over("labels", order_by="timestamp"))
        .sort("timestamp", "labels")
    )
    return by_run(every, ["timestamp"], sums=["power_w"]).drop_nulls("power_w")


def _of_node(paths: Sequence[str], node: str, *, by_labels: bool = False) -> pl.DataFrame:
    """Values of a node in partitions of `tables.DeviceSeries`, which may be none."""
    if not paths:
        return pl.DataFrame(tables.DeviceSeries.create_empty()).drop("node")
    own = pl.scan_parquet(list(paths)).filter(pl.col("node") == node).drop("node")
    known = own.filter(pl.col("value").is_finite()).collect()
    return known.unique(["labels", "timestamp"] if by_labels else ["timestamp"]).sort("timestamp")


def _mean(
    held: pl.DataFrame,
    read: Callable[[str], pl.DataFrame],
    mean: str,
    covered_s: str,
    *,
    gate: Gate,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Mean of a series of each node while a job held part of it, and of how long it is known."""
    sums = _while_held(held, read, gate, start=start, end=end)
    covered = pl.col("share_covered_s")
    return sums.select(
        "job_id",
        "node",
        "duration_s",
        pl.when(covered > 0).then((pl.col("energy_j") / covered).clip(lower_bound=0)).alias(mean),
        (covered / pl.col("share_s") * pl.col("duration_s")).clip(lower_bound=0).alias(covered_s),
    )


def _while_held(
    held: pl.DataFrame,
    read: Callable[[str], pl.DataFrame],
    gate: Gate,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """`energy.JOB_SUMS` of each job and node over the whole study."""
    nodes = held["node"].unique().sort().to_list()
    if not nodes:
        empty = {"job_id": pl.Int64(), "node": pl.String()} | dict.fromkeys(_SUMS, pl.Float64())
        return pl.DataFrame(schema=empty)
    jobs, _ = energy.integrate(
        nodes,
        read,
        gate,
        pieces=held,
        occupancy=gates.occupancy(held.lazy()).collect(),
        states=pl.DataFrame(tables.States.create_empty()),
        start=start,
        end=end,
    )
    return jobs


def of_cluster(pieces: pl.DataFrame, cluster: str, pattern: str = GRID5000) -> pl.DataFrame:
    """Pieces on the nodes, or the GPUs of the nodes, of a cluster.

    Args:
        pieces: Pieces with `node`: a node, or a node and its GPU as in `gres-1/0`.
        cluster: The cluster.
        pattern: Pattern of the nodes' names.
    """
    return pieces.filter(node_names.cluster(node_of(), pattern) == cluster)
