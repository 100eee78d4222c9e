"""Integrals of device series over the segments of nodes: energy of GPUs, and load.

Power models of nodes (`power_model`) use them where a node has no usable readings. Series are
integrated as those of jobs are (`footprint.estimators.device_use`): trapezoids for the power of
GPUs, each value until the next for the load, nothing between readings more than `MAX_GAP_S` apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from footprint.core.arrays import Integers
from footprint.core.sums import sum_or_zero
from footprint.energy.kernel import NodeSamples, cumulative_integrals
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.segments import integrals_at_cuts, rows_by_node
from footprint.schemas.gaps import SegmentSeries
from footprint.schemas.writing import conform
from footprint.sources import monthly_files

SERIES_PERIOD_S = 15.0
"""Kwollect collects the series of exporters every 15 s."""
MAX_GAP_S = 60.0
"""Longest time between readings that is integrated: up to three may be missing."""

_INTEGRAL_COLUMNS = ("value_s", "known_s")
_GPU_METHOD = IntegrationMethod("trapezoid", MAX_GAP_S, 0.0, SERIES_PERIOD_S)
_LOAD_METHOD = IntegrationMethod("left_hold", MAX_GAP_S, 0.0, SERIES_PERIOD_S)

ReadSeries = Callable[[str], dict[str, pl.DataFrame]]
"""Function from a node to its series by name, each of `timestamp`, `power_w`, ascending."""


def integrate_series(
    segments: pl.DataFrame,
    hardware: pl.DataFrame,
    *,
    devices: Sequence[str],
    load: Sequence[str],
) -> pl.DataFrame:
    """Integrate the power of GPUs and the load over each segment (`schemas.gaps.SegmentSeries`).

    Args:
        segments: `schemas.gaps.Segments` of a cluster.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`.
        devices: Monthly files of `schemas.DevicePower` of the cluster; empty: no such series.
        load: Monthly files of `schemas.DeviceSeries` of the load average; empty: no such series.
    """
    of_nodes = hardware.select("node", "n_gpus", "n_cores")
    rows = (
        segments.select("node", "from_us", "to_us", "duration_s")
        .sort("node", "from_us")
        .join(of_nodes, on="node", how="left", maintain_order="left")
    )
    key = ["node", "from_us"]
    gpus = _integrals(rows, _gpu_series(devices), _GPU_METHOD)
    loads = _integrals(rows, _load_series(load, of_nodes), _LOAD_METHOD)
    found = rows.join(_sum_of_gpus(gpus), on=key, how="left").join(
        loads.select(*key, load_s="value_s", load_covered_s="known_s"), on=key, how="left"
    )
    has_gpus = pl.col("n_gpus").fill_null(1) > 0
    is_complete = pl.col("n_series").fill_null(0) >= pl.col("n_gpus").fill_null(1)
    gpu_j = pl.when(is_complete).then("gpu_j").otherwise(0.0)
    gpu_covered_s = pl.when(is_complete).then("gpu_covered_s").otherwise(0.0)
    return conform(  # type: ignore[no-any-return]
        SegmentSeries,
        found.with_columns(
            gpu_j=_known(gpu_j, bool(devices), has_gpus, 0.0),
            gpu_covered_s=_known(gpu_covered_s, bool(devices), has_gpus, pl.col("duration_s")),
            load_s=pl.col("load_s").fill_null(0.0) if load else pl.lit(None, pl.Float64),
            load_covered_s=pl.col("load_covered_s").fill_null(0.0)
            if load
            else pl.lit(None, pl.Float64),
        ),
    )


def _known(
    value: pl.Expr, has_series: bool, has_gpus: pl.Expr, without: pl.Expr | float
) -> pl.Expr:
    """Value for nodes with GPUs, null without series; `without` for nodes without GPUs."""
    return pl.when(~has_gpus).then(without).otherwise(value if has_series else None)


def _integrals(rows: pl.DataFrame, read: ReadSeries, method: IntegrationMethod) -> pl.DataFrame:
    """Integral and covered time of each series of each node over each segment.

    Args:
        rows: `node`, `from_us`, `to_us`, sorted; the segments of a node follow one another.
        read: The series of a node.
        method: How values are integrated.

    Returns:
        `node`, `from_us`, `value_s`, `known_s`, one row a segment and series.
    """
    names: list[str] = []
    nodes: list[str] = []
    cuts: list[Integers] = []
    integrals = []
    for node, own in rows_by_node(rows):
        moments = own["from_us"].append(own["to_us"].tail(1)).to_numpy()
        for name, series in read(node).items():
            values = NodeSamples(
                series["timestamp"].cast(pl.Int64).to_numpy(),
                series["power_w"].to_numpy(),
                SERIES_PERIOD_S,
                0.0,
            )
            names.append(f"{node}\n{name}")
            nodes.append(node)
            cuts.append(moments)
            integrals.append(cumulative_integrals(values, moments, method).of_node[:2])
    if not names:
        schema = {"node": pl.String(), "from_us": pl.Int64()}
        return pl.DataFrame(schema=schema | dict.fromkeys(_INTEGRAL_COLUMNS, pl.Float64()))
    at_cuts = integrals_at_cuts(names, cuts, integrals, quantities=_INTEGRAL_COLUMNS)
    is_last = pl.col("node") != pl.col("node").shift(-1)
    return (
        at_cuts.with_columns(pl.col(each).shift(-1) - pl.col(each) for each in _INTEGRAL_COLUMNS)
        .filter(~is_last.fill_null(True))
        .with_columns(pl.col("node").str.split("\n").list.first())
        .select("node", pl.col("cut_us").alias("from_us"), *_INTEGRAL_COLUMNS)
    )


def _sum_of_gpus(integrals: pl.DataFrame) -> pl.DataFrame:
    """Energy of all GPUs of a node over the time for which each is known.

    Returns:
        `node`, `from_us`, `n_series`, `gpu_j`, `gpu_covered_s`; a GPU's mean power counts for the
        shortest known time of the node's GPUs.
    """
    known_s = pl.col("known_s")
    mean_w = pl.when(known_s > 0).then(pl.col("value_s") / known_s)
    return integrals.group_by("node", "from_us").agg(
        n_series=pl.len(),
        gpu_j=sum_or_zero(mean_w) * known_s.min(),
        gpu_covered_s=known_s.min(),
    )


def _gpu_series(devices: Sequence[str]) -> ReadSeries:
    """Function from a node to the power of each of its GPUs."""
    if not devices:
        return lambda _: {}
    read = monthly_files.gpu_power_reader(*devices)

    def series(node: str) -> dict[str, pl.DataFrame]:
        by_gpu = read(node).partition_by("gpu", as_dict=True, maintain_order=True)
        return {str(gpu): own for (gpu,), own in by_gpu.items()}

    return series


def _load_series(load: Sequence[str], hardware: pl.DataFrame) -> ReadSeries:
    """Function from a node to its load per core, at most 1."""
    if not load:
        return lambda _: {}
    n_cores = dict(hardware.select("node", "n_cores").iter_rows())
    scanned = pl.scan_parquet(list(load))

    def series(node: str) -> dict[str, pl.DataFrame]:
        if not n_cores.get(node):
            return {}
        values = (
            scanned.filter((pl.col("node") == node) & pl.col("value").is_finite())
            .select("timestamp", power_w=(pl.col("value") / n_cores[node]).clip(0.0, 1.0))
            .collect()
        )
        ordered = values.sort("timestamp", "power_w")
        return {"load": ordered.unique("timestamp", keep="first", maintain_order=True)}

    return series
