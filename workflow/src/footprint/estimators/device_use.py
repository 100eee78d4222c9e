"""Energy of GPUs, and load and power of processors, while jobs held them, from their own series.

The power of a GPU is integrated over its allocations as the power of a node is
(`footprint.energy.attribution`). Processors have means over a job's time on the node: the series do
not separate the processes of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import polars as pl

from footprint.allocation.gpu_allocations import node_of_gpu
from footprint.core.sums import sum_consecutive, sum_or_zero
from footprint.core.units import H_PER_S, KWH_PER_J
from footprint.energy import attribution
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.schemas.estimates import CpuSeries, GpuPower
from footprint.schemas.raw import DeviceSeries
from footprint.schemas.writing import conform
from footprint.sources import monthly_files, node_names
from footprint.sources.node_names import GRID5000_PATTERN

SERIES_PERIOD_S = 15.0
"""Kwollect collects the series of exporters every 15 s."""
MAX_GAP_S = 60.0
"""Longest time between readings that is integrated: up to three may be missing."""

_SUM_COLUMNS = ("duration_s", "share_s", "share_covered_s", "energy_j")


def integrate_gpu_power(
    devices: Sequence[str], allocations: pl.DataFrame, *, start: datetime, end: datetime
) -> pl.DataFrame:
    """Energy of the GPUs that each job held, in kWh (`schemas.GpuPower`).

    Args:
        devices: Monthly files of `schemas.DevicePower` of a cluster, of all months.
        allocations: Result of `gpu_allocations.build_gpu_allocations`, of the cluster's nodes.
        start: Start of the study.
        end: End of the study, excluded.
    """
    held = allocations.filter(pl.col("share") > 0)
    method = IntegrationMethod("trapezoid", MAX_GAP_S, 0.0, SERIES_PERIOD_S)
    sums = _sum_while_held(
        held,
        monthly_files.gpu_power_reader(*devices),
        IntegrationSettings("reserved", method),
        start=start,
        end=end,
    )
    by_node = (
        sums.with_columns(node=node_of_gpu())
        .group_by("job_id", "node")
        .agg(sum_or_zero(pl.col("share_s", "share_covered_s", "energy_j")))
    )
    found: pl.DataFrame = conform(
        GpuPower,
        by_node.select(
            "job_id",
            "node",
            gpu_hours=pl.col("share_s") * H_PER_S,
            covered_gpu_hours=pl.col("share_covered_s").clip(lower_bound=0.0) * H_PER_S,
            energy_kwh=pl.col("energy_j").clip(lower_bound=0.0) * KWH_PER_J,
        ),
    )
    return found


def integrate_cpu_series(
    allocations: pl.DataFrame,
    hardware: pl.DataFrame,
    *,
    load: Sequence[str],
    package: Sequence[str],
    policy: str,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Load and power of processors while each job held part of their node (`schemas.CpuSeries`).

    Args:
        allocations: Allocations of `node_allocations.build_allocations`, of the cluster's nodes.
        hardware: `schemas.Hardware` of the cluster.
        load: Monthly files of `schemas.DeviceSeries` of the load average; empty: unknown.
        package: Monthly files of `schemas.DeviceSeries` of the processors' energy counters; empty:
            unknown.
        policy: Gate of the allocations.
        start: Start of the study.
        end: End of the study, excluded.
    """
    sizes = hardware.select("node", "valid_from", "n_cores", "n_threads").sort("valid_from")
    held = allocations.filter(pl.col("share") > 0)
    method = IntegrationMethod("left_hold", MAX_GAP_S, 0.0, SERIES_PERIOD_S)
    gate = IntegrationSettings("binary" if policy == "binary" else "reserved", method)
    mean = partial(_mean_while_held, held, gate=gate, start=start, end=end)

    def read_load(node: str, *, of_threads: bool) -> pl.DataFrame:
        size = pl.col("n_threads" if of_threads else "n_cores")
        part = (pl.col("value") / size.fill_null(size.drop_nulls().first())).clip(0.0, 1.0)
        own = sizes.filter(pl.col("node") == node).drop("node")
        values = _read_series(load, node).join_asof(own, left_on="timestamp", right_on="valid_from")
        return values.select("timestamp", power_w=part.pow(3) if of_threads else part)

    key = ["job_id", "node"]
    use = mean(partial(read_load, of_threads=False), "core_use_frac", "load_covered_s")
    cubed = mean(partial(read_load, of_threads=True), "thread_load_cubed", "cubed_covered_s")
    watts = mean(partial(package_power, package), "package_power_w", "package_covered_s")
    found: pl.DataFrame = conform(
        CpuSeries,
        use.join(cubed.drop("duration_s"), on=key).join(watts.drop("duration_s"), on=key),
    )
    return found


def package_power(paths: Sequence[str], node: str) -> pl.DataFrame:
    """Power of all processors of a node from their energy counters.

    Where a counter restarts or lacks a value, the processor keeps its last power. The power is
    unknown until every processor has a value.

    Args:
        paths: Monthly files of `schemas.DeviceSeries` of the energy counters, in J.
        node: The node.

    Returns:
        `timestamp`, `power_w`; a value holds until the next.
    """
    joules, seconds = pl.col("value"), pl.col("timestamp").cast(pl.Int64) * 1e-6
    rate_w = (joules.diff() / seconds.diff()).shift(-1).over("labels", order_by="timestamp")
    known = (
        _read_series(paths, node, by_labels=True).with_columns(power_w=rate_w).drop_nulls("power_w")
    )
    every_counter = (
        known.select("timestamp").unique().join(known.select("labels").unique(), how="cross")
    )
    last_power_w = pl.when(pl.col("power_w") >= 0).then("power_w").forward_fill()
    counters = (
        every_counter.join(known, on=["timestamp", "labels"], how="left")
        .with_columns(power_w=last_power_w.over("labels", order_by="timestamp"))
        .sort("timestamp", "labels")
    )
    return sum_consecutive(counters, ["timestamp"], sums=["power_w"]).drop_nulls("power_w")


def _read_series(paths: Sequence[str], node: str, *, by_labels: bool = False) -> pl.DataFrame:
    """Finite values of a node in monthly files of `schemas.DeviceSeries`; empty without files.

    Returns:
        `labels`, `timestamp`, `value`, sorted by time, one row for each time (and, `by_labels`,
        labels).
    """
    if not paths:
        return pl.DataFrame(DeviceSeries.create_empty()).drop("node")
    own = pl.scan_parquet(list(paths)).filter(pl.col("node") == node).drop("node")
    known = own.filter(pl.col("value").is_finite()).collect()
    return known.unique(["labels", "timestamp"] if by_labels else ["timestamp"]).sort("timestamp")


def _mean_while_held(
    held: pl.DataFrame,
    read_series: Callable[[str], pl.DataFrame],
    mean: str,
    covered_s: str,
    *,
    gate: IntegrationSettings,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Mean of the series of each node while a job held part of it, and the time that it covers.

    Args:
        held: Allocations with a share.
        read_series: Function from a node to its series (`timestamp`, `power_w`).
        mean: Column for the mean.
        covered_s: Column for the covered time, in seconds.
        gate: Gate and integration.
        start: Start of the study.
        end: End of the study, excluded.

    Returns:
        `job_id`, `node`, `duration_s` and the two columns.
    """
    sums = _sum_while_held(held, read_series, gate, start=start, end=end)
    covered = pl.col("share_covered_s")
    return sums.select(
        "job_id",
        "node",
        "duration_s",
        pl.when(covered > 0).then((pl.col("energy_j") / covered).clip(lower_bound=0)).alias(mean),
        (covered / pl.col("share_s") * pl.col("duration_s")).clip(lower_bound=0).alias(covered_s),
    )


def _sum_while_held(
    held: pl.DataFrame,
    read_series: Callable[[str], pl.DataFrame],
    gate: IntegrationSettings,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Sums of each job and node over the study, from `attribution.attribute_energy`."""
    nodes = held["node"].unique().sort().to_list()
    if not nodes:
        empty = {"job_id": pl.Int64(), "node": pl.String()} | dict.fromkeys(
            _SUM_COLUMNS, pl.Float64()
        )
        return pl.DataFrame(schema=empty)
    jobs, _ = attribution.attribute_energy(
        nodes,
        read_series,
        gate,
        NodeRecords(held),
        start=start,
        end=end,
    )
    return jobs


def allocations_on_cluster(
    allocations: pl.DataFrame, cluster: str, pattern: str = GRID5000_PATTERN
) -> pl.DataFrame:
    """Allocations on the nodes, or the GPUs of the nodes, of a cluster.

    Args:
        allocations: Rows with `node`: a node, or a node and its GPU as in `gres-1/0`.
        cluster: The cluster.
        pattern: Pattern of the nodes' names.
    """
    return allocations.filter(node_names.cluster_of_column(node_of_gpu(), pattern) == cluster)
