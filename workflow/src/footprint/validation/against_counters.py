"""Energies of jobs by samples of power, against the energy counters of their nodes.

A counter integrates inside of the meter, so that it shows what the sampling of power misses. Both
come from one meter, and an error of its gain is in both.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from footprint.core.arrays import Floats, Integers
from footprint.core.sums import known_sum, quotient
from footprint.core.units import KWH_PER_J
from footprint.sources.generic import counters

MIN_COMPARED_DURATION_S = 60.0
"""Shorter allocations have too few readings: the energy at their bounds is interpolated."""

MIN_COVERAGE_FRAC = 0.95
"""Least part of an allocation with samples, since the counter has the energy of gaps as well."""

RESOLUTION_HALF_WIDTH = 1 - 0.05**0.5
"""Half width at 95 % of the error of a difference of two counts, in steps of the counter.

Each count is cut to a step, which is a rectangular error; the difference has a triangular one from
-1 to +1 step (JCGM 100:2008, 4.3.9 and F.2.2.1).
"""

ENERGIES_SCHEMA = {
    "job_id": pl.Int64,
    "node": pl.String,
    "counter_kwh": pl.Float64,
    "step_kwh": pl.Float64,
    "is_whole": pl.Boolean,
}
"""Energies by counters: the step, and whether the counter runs through the allocation."""


def compare_with_counters(
    job_nodes: pl.DataFrame,
    allocations: pl.DataFrame,
    readings: Iterable[pl.DataFrame],
    *,
    max_gap_s: float,
) -> pl.DataFrame:
    """Measured energy of each job on each node that it held alone, and that of the node's counter.

    Args:
        job_nodes: `schemas.JobNodeEnergy`.
        allocations: `node_allocations.ALLOCATION_SCHEMA`.
        readings: Readings of counters (`counters.COUNTER_COLUMNS`), one frame a node.
        max_gap_s: Longest time between two readings that is not a gap.

    Returns:
        `schemas.AgainstCounters`.
    """
    whole = allocations.filter(pl.col("share") == 1)
    rows: list[dict[str, Any]] = []
    for frame in readings:
        node = frame["node"][0]
        held = whole.filter(pl.col("node") == node)
        if len(held):
            rows += _energies_of_node(frame, held, max_gap_s)
    # a suspended job has several allocations on a node
    energies = (
        pl.DataFrame(rows, schema=ENERGIES_SCHEMA)
        .group_by("job_id", "node")
        .agg(known_sum(pl.col("counter_kwh")), pl.col("step_kwh").max(), pl.col("is_whole").all())
    )
    half_width = RESOLUTION_HALF_WIDTH * pl.col("step_kwh")
    ratio = quotient(pl.col("measured_kwh"), pl.col("counter_kwh"))
    return (
        job_nodes.filter(pl.col("share") == 1)
        .join(energies, on=["job_id", "node"])
        .with_columns(
            counter_low_kwh=(pl.col("counter_kwh") - half_width).clip(0),
            counter_high_kwh=pl.col("counter_kwh") + half_width,
            ratio=pl.when(pl.col("counter_kwh") > 0).then(ratio),
            compared=pl.col("is_whole")
            & (pl.col("duration_s") > MIN_COMPARED_DURATION_S)
            & (pl.col("coverage_frac") >= MIN_COVERAGE_FRAC).fill_null(False)
            & (pl.col("counter_kwh") > 0),
        )
        .sort("job_id", "node")
    )


def counter_energy_j(times_us: Integers, energies_j: Floats, moments_us: Integers) -> Floats:
    """Values of a counter at moments, interpolated linearly between its readings.

    Before the first and after the last reading it is constant.

    Args:
        times_us: Times of the readings, ascending, in microseconds.
        energies_j: Readings, in J.
        moments_us: Moments, in microseconds.
    """
    return np.interp(moments_us, times_us, energies_j)


def _energies_of_node(
    frame: pl.DataFrame, held: pl.DataFrame, max_gap_s: float
) -> list[dict[str, Any]]:
    """Energies of allocations on a node (`ENERGIES_SCHEMA`), from readings near each of them."""
    moves = counters.counter_moves(frame)
    if len(moves) < 2:
        return []
    times_us = moves["timestamp"].to_numpy().view(np.int64)
    energies_j = moves["energy_j"].to_numpy()
    step_kwh = float(np.diff(energies_j)[np.diff(energies_j) > 0].min(initial=np.inf)) * KWH_PER_J
    margin_us = round(max_gap_s * 1e6)
    found = []
    for job_id, node, start, end in held.select(
        "job_id", "node", "started_at", "stopped_at"
    ).iter_rows():
        bounds_us = np.array([_microseconds(start), _microseconds(end)])
        low = np.searchsorted(times_us, bounds_us[0] - margin_us)
        high = np.searchsorted(times_us, bounds_us[1] + margin_us, side="right")
        near_us, near_j = times_us[low:high], energies_j[low:high]
        if len(near_us) < 2:
            continue
        first_j, last_j = counter_energy_j(near_us, near_j, bounds_us)
        is_whole = bool((np.diff(near_j) > 0).all() and (np.diff(near_us) <= margin_us).all())
        found.append(
            {
                "job_id": job_id,
                "node": node,
                "counter_kwh": max(last_j - first_j, 0.0) * KWH_PER_J,
                "step_kwh": step_kwh,
                "is_whole": is_whole,
            }
        )
    return found


def _microseconds(time: datetime) -> int:
    return round(time.timestamp() * 1e6)


def summarise_ratios(compared: pl.DataFrame) -> pl.DataFrame:
    """Ratios of measured energies to counters, by cluster and over all.

    Args:
        compared: `schemas.AgainstCounters`.

    Returns:
        `cluster` (`all`: every cluster), `n_compared`, `measured_kwh`, `counter_kwh`, `ratio_p50`,
        `ratio_p05`, `ratio_p95`.
    """
    used = compared.filter("compared")
    ratio = pl.col("ratio")
    of_all = used.with_columns(cluster=pl.lit("all"))
    parts = [used, of_all] if used["cluster"].n_unique() > 1 else [of_all]
    return (
        pl.concat(parts)
        .group_by("cluster")
        .agg(
            known_sum(pl.col("measured_kwh", "counter_kwh")),
            n_compared=pl.len(),
            ratio_p50=ratio.median(),
            ratio_p05=ratio.quantile(0.05, "linear"),
            ratio_p95=ratio.quantile(0.95, "linear"),
        )
        .sort(pl.col("cluster") == "all", "cluster")
    )
