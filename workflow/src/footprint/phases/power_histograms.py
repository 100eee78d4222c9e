"""Power histograms of jobs: seconds at each power level, from samples and allocations.

A power level is 0 at idle power and 1 at the highest power, of the node or of a GPU. Histograms
exist for the nodes of a job, and for its GPUs where these have readings. The share of the time
below or above any threshold follows from the histogram, so that thresholds can be varied without
reading the samples again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from footprint.allocation.gpu_allocations import node_of_gpu
from footprint.core import gaps
from footprint.core.arrays import Floats, Integers, sorted_distinct
from footprint.energy.sample_intervals import covered_since, last_samples
from footprint.estimators.device_use import MAX_GAP_S as MAX_GPU_GAP_S
from footprint.phases.power_ranges import (
    PowerRange,
    gpu_limits_w,
    gpu_power_ranges,
    node_power_ranges,
)
from footprint.schemas.phases import N_POWER_BINS, PowerHistograms
from footprint.schemas.writing import conform
from footprint.sources.calibration import Calibration

HISTOGRAM_SCHEMA = pl.Schema(
    {"job_id": pl.Int64(), "node": pl.String(), "histogram_s": pl.Array(pl.Float64(), N_POWER_BINS)}
)

WHOLE_NODE_SHARE = 0.99
"""Share from which a node counts as held by one job alone; the rest is rounding."""


def measure_power_histograms(
    nodes: Sequence[str],
    read_power: Callable[[str], pl.DataFrame],
    read_gpus: Callable[[str], pl.DataFrame] | None,
    *,
    allocations: pl.DataFrame,
    gpu_allocations: pl.DataFrame | None,
    node_power: pl.DataFrame,
    hardware: pl.DataFrame,
    max_gap_s: float,
    calibration: Calibration | None = None,
) -> pl.DataFrame:
    """Power histograms of every job on the nodes of a cluster, over the study.

    The samples of one node at a time are in memory.

    Args:
        nodes: Names of the cluster's nodes.
        read_power: Returns a node's `timestamp` and `power_w` over the study, strictly ascending in
            time.
        read_gpus: Returns the readings of a node's GPUs (`gpu`, `timestamp`, `power_w`), ascending
            in time for each GPU; None: GPUs have no readings.
        allocations: `node_allocations.ALLOCATION_SCHEMA` of the nodes.
        gpu_allocations: Result of `gpu_allocations.build_gpu_allocations`, needed with `read_gpus`.
        node_power: `schemas.NodePower` of the cluster.
        hardware: `schemas.Hardware`; the power limit of a GPU is its highest power.
        max_gap_s: Longest time (s) from a sample of a node to the next. A sample counts until the
            next one within this time, and not at all before a longer gap, as in the integration of
            energy.
        calibration: Applied to a node's samples, as in `node_power`.

    Returns:
        `schemas.PowerHistograms`. There is no row for a node without idle or highest power, nor
        for a job without a reading of its node or GPUs.
    """
    ranges = node_power_ranges(node_power)
    limits = gpu_limits_w(hardware)
    held = _by_node(allocations)
    gpus_held = _by_node(gpu_allocations, of_gpus=True)
    line = calibration or Calibration()
    power = (pl.col("power_w") * line.slope + line.offset).clip(lower_bound=0.0)
    held_nodes = [node for node in nodes if node in ranges and node in held]
    no_rows = pl.DataFrame(schema=HISTOGRAM_SCHEMA)
    of_nodes = [no_rows]
    for node in held_nodes:
        samples = read_power(node).with_columns(power_w=power)
        of_nodes.append(
            job_histograms(node, samples, ranges[node], held[node], max_gap_s=max_gap_s)
        )
    gpu_nodes = [node for node in held_nodes if read_gpus is not None and node in gpus_held]
    of_gpus = [no_rows]
    if read_gpus is not None and gpu_nodes:
        gpu_ranges = gpu_power_ranges(gpu_nodes, read_gpus, limits)
        for node in gpu_nodes:
            of_gpus.append(gpu_histograms(node, read_gpus(node), gpu_ranges[node], gpus_held[node]))
    table: pl.DataFrame = conform(
        PowerHistograms, _join_histograms(pl.concat(of_nodes), pl.concat(of_gpus), ranges)
    )
    return table


def _join_histograms(
    of_nodes: pl.DataFrame, of_gpus: pl.DataFrame, ranges: Mapping[str, PowerRange]
) -> Any:
    """Rows of `schemas.PowerHistograms`, from `HISTOGRAM_SCHEMA` of nodes and of GPUs."""
    names = list(ranges)
    watts = pl.DataFrame(
        {
            "node": names,
            "idle_power_w": [ranges[name].idle_w for name in names],
            "max_power_w": [ranges[name].max_w for name in names],
        },
        schema={"node": pl.String(), "idle_power_w": pl.Float64(), "max_power_w": pl.Float64()},
    )
    return (
        of_nodes.rename({"histogram_s": "node_histogram_s"})
        .join(
            of_gpus.rename({"histogram_s": "gpu_histogram_s"}),
            on=["job_id", "node"],
            how="full",
            coalesce=True,
        )
        .join(watts, on="node")
        .with_columns(pl.col("node_histogram_s", "gpu_histogram_s").cast(pl.List(pl.Float64)))
    )


def _by_node(allocations: pl.DataFrame | None, *, of_gpus: bool = False) -> dict[str, pl.DataFrame]:
    """Allocations with a share above 0 by node; `of_gpus`: their `node` column names a GPU."""
    if allocations is None:
        return {}
    held = allocations.filter(pl.col("share") > 0).with_columns(
        held_node=node_of_gpu() if of_gpus else pl.col("node")
    )
    return {
        str(node): rows.drop("held_node")
        for (node,), rows in held.partition_by("held_node", as_dict=True).items()
    }


def gpu_histograms(
    node: str,
    readings: pl.DataFrame,
    ranges: Mapping[int, PowerRange],
    allocations: pl.DataFrame,
) -> pl.DataFrame:
    """GPU seconds of each job of a node at each power level: seconds x share of the GPU.

    Args:
        node: The node.
        readings: `gpu`, `timestamp`, `power_w` of its GPUs, ascending in time for each.
        ranges: Idle power and power limit of each GPU.
        allocations: Result of `gpu_allocations.build_gpu_allocations` of the node's GPUs.

    Returns:
        `HISTOGRAM_SCHEMA`, summed over the GPUs of a job, sorted by job.
    """
    each_gpu = [
        job_histograms(
            node,
            own,
            ranges[gpu],
            allocations.filter(pl.col("node") == f"{node}/{gpu}"),
            max_gap_s=MAX_GPU_GAP_S,
            by_share=True,
        )
        for (gpu,), own in readings.partition_by("gpu", as_dict=True).items()
        if gpu in ranges
    ]
    rows = pl.concat([pl.DataFrame(schema=HISTOGRAM_SCHEMA), *each_gpu]).sort(
        "job_id", maintain_order=True
    )
    return _sum_by_job(node, rows["job_id"].to_numpy(), rows["histogram_s"].to_numpy())


def job_histograms(
    node: str,
    samples: pl.DataFrame,
    power_range: PowerRange,
    allocations: pl.DataFrame,
    *,
    max_gap_s: float,
    by_share: bool = False,
) -> pl.DataFrame:
    """Seconds of one node or GPU at each power level while each job held part of it.

    Args:
        node: Name of the node in the rows.
        samples: `timestamp`, `power_w`, strictly ascending in time.
        power_range: Idle and highest power.
        allocations: `node_allocations.ALLOCATION_SCHEMA` of this node or GPU.
        max_gap_s: Longest time (s) for which a sample counts.
        by_share: Whether seconds are multiplied by the share held, as GPU seconds are.

    Returns:
        `HISTOGRAM_SCHEMA`, sorted by job; no row for a job without samples.
    """
    held = allocations.filter(pl.col("share") > 0).sort("job_id", "started_at")
    if held.is_empty() or samples.is_empty():
        return pl.DataFrame(schema=HISTOGRAM_SCHEMA)
    times_us = samples["timestamp"].to_numpy().view(np.int64)
    range_w = power_range.max_w - power_range.idle_w
    level = (samples["power_w"].to_numpy() - power_range.idle_w) / range_w
    seconds = interval_histograms(
        times_us,
        np.clip(level * N_POWER_BINS, 0, N_POWER_BINS - 1).astype(np.int64),
        np.append(gaps.covered_us(np.diff(times_us), max_gap_s), 0),
        starts_us=held["started_at"].cast(pl.Int64).to_numpy(),
        stops_us=held["stopped_at"].cast(pl.Int64).to_numpy(),
    )
    if by_share:
        seconds *= held["share"].to_numpy()[:, None]
    return _sum_by_job(node, held["job_id"].to_numpy(), seconds)


def _sum_by_job(node: str, jobs: Integers, seconds: Floats) -> pl.DataFrame:
    """Sum adjacent rows of one job, and leave out jobs without a second."""
    if not len(jobs):
        return pl.DataFrame(schema=HISTOGRAM_SCHEMA)
    first = np.flatnonzero(np.diff(jobs, prepend=jobs[0] - 1))
    per_job = np.add.reduceat(seconds, first, axis=0)
    is_nonzero = per_job.sum(axis=1) > 0
    return pl.DataFrame(
        {
            "job_id": jobs[first][is_nonzero],
            "node": pl.repeat(node, int(np.count_nonzero(is_nonzero)), eager=True, dtype=pl.String),
            "histogram_s": pl.Series(per_job[is_nonzero], dtype=HISTOGRAM_SCHEMA["histogram_s"]),
        },
        schema=HISTOGRAM_SCHEMA,
    )


def interval_histograms(
    times_us: Integers,
    bins: Integers,
    covered_us: Integers,
    *,
    starts_us: Integers,
    stops_us: Integers,
) -> Floats:
    """Seconds in each bin inside each interval [start, stop), to the microsecond.

    As in `energy.kernel`, an interval is the difference of two cumulative integrals, at cuts. The
    integral of a bin is the sum of the covered time of its samples. One count by bin replaces the
    forty series of weights, mostly 0, that the kernel would need. Sums are in whole microseconds,
    so that differences are exact.

    Args:
        times_us: Times of the samples, ascending, one at least.
        bins: Bin of each sample.
        covered_us: Covered time from each sample to the next.
        starts_us: Start of each interval.
        stops_us: End of each interval.

    Returns:
        One row an interval, `N_POWER_BINS` columns.
    """
    cuts_us = sorted_distinct(np.concatenate([starts_us, stops_us]))
    row = last_samples(times_us, cuts_us)
    n_between = np.diff(row, prepend=0, append=len(times_us))
    between = np.repeat(np.arange(len(cuts_us) + 1), n_between)
    # Sums of whole microseconds are exact in doubles up to 2^53, which is 285 years.
    counted = np.bincount(
        between * N_POWER_BINS + bins,
        weights=covered_us,
        minlength=(len(cuts_us) + 1) * N_POWER_BINS,
    )
    cumulative_us = np.cumsum(counted.reshape(-1, N_POWER_BINS), axis=0)[:-1]
    elapsed_us = covered_since(times_us[row], covered_us[row], cuts_us)
    cumulative_us[np.arange(len(cuts_us)), bins[row]] += elapsed_us
    start, stop = (np.searchsorted(cuts_us, moments) for moments in (starts_us, stops_us))
    return np.asarray((cumulative_us[stop] - cumulative_us[start]) * 1e-6, dtype=np.float64)


def time_frac_below(histogram: str, level: float) -> pl.Expr:
    """Share of a histogram's time below a power level; a bin cut by it counts in proportion.

    Args:
        histogram: Column of seconds at each power level.
        level: From 0 (idle) to 1 (highest).

    Returns:
        Null where there is no histogram.
    """
    whole, part = divmod(min(max(level, 0.0), 1.0) * N_POWER_BINS, 1.0)
    bins = pl.col(histogram)
    cut_bin = bins.list.get(int(whole), null_on_oob=True).fill_null(0.0) * round(part, 9)
    return (bins.list.head(int(whole)).list.sum() + cut_bin) / bins.list.sum()


def own_time_frac_below(level: float, *, gpu_level: float) -> pl.Expr:
    """Share of the time that a job's own hardware spent below a power level.

    Other jobs raise the power of a shared node and not that of the job's own GPUs, so the histogram
    of the GPUs counts where it exists. On a node of its own the lower share of the two counts,
    because processors may work while the GPUs are idle.

    Args:
        level: Power level of the node.
        gpu_level: Power level of the GPUs.

    Returns:
        An expression of `node_histogram_s`, `gpu_histogram_s` and `node_share`; null without
        histograms.
    """
    node, gpus = (
        time_frac_below("node_histogram_s", level),
        time_frac_below("gpu_histogram_s", gpu_level),
    )
    has_whole_node = (pl.col("node_share") >= WHOLE_NODE_SHARE).fill_null(False)
    return (
        pl.when(gpus.is_null())
        .then(node)
        .when(has_whole_node)
        .then(pl.min_horizontal(gpus, node))
        .otherwise(gpus)
    )
