"""Time and memory of the estimates of a cluster, without or with readings, on invented segments.

uv run --group benchmark python tests/benchmarks/estimate_gaps.py --jobs 1000000
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from footprint.allocation import node_allocations
from footprint.core.calendar import Window
from footprint.energy import gap_energy, observed_segments, power_model
from footprint.energy.node_hardware import NODE_HARDWARE_SCHEMA

START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 56
N_NODES = 60
SHARE = 0.25


def invent_allocations(n_jobs: int, rng: np.random.Generator) -> pl.DataFrame:
    """Jobs that follow one another on each quarter of each node."""
    lanes = 4 * N_NODES
    per_lane = n_jobs // lanes
    length_us = DAYS * 86_400_000_000
    cuts = np.sort(rng.integers(1, length_us, (lanes, 2 * per_lane)), axis=1)
    starts, stops = cuts[:, ::2].ravel(), cuts[:, 1::2].ravel()
    origin = int(START.timestamp()) * 1_000_000
    node = np.repeat([f"gres-{lane // 4 + 1}" for lane in range(lanes)], per_lane)
    time_type = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "job_id": np.arange(len(starts)),
            "node": node,
            "started_at": pl.Series(starts + origin).cast(time_type),
            "stopped_at": pl.Series(stops + origin).cast(time_type),
        }
    ).with_columns(
        share=pl.lit(SHARE),
        gpus=pl.lit(1.0),
        cores=pl.lit(4.0),
        opens=pl.lit(True),
        closes=pl.lit(True),
    )


def invent_segments(
    allocations: pl.DataFrame, *, covered_frac: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Segments of the allocations and of UTC days, some with readings."""
    origin = int(START.timestamp()) * 1_000_000
    midnights = [origin + day * 86_400_000_000 for day in range(DAYS + 1)]
    days = allocations.select(pl.col("node").unique()).join(
        pl.DataFrame({"from_us": midnights}), how="cross"
    )
    bounds = [
        allocations.select("node", from_us=pl.col(name).cast(pl.Int64))
        for name in ("started_at", "stopped_at")
    ]
    cuts = pl.concat([*bounds, days]).unique().sort("node", "from_us")
    steps = node_allocations.occupancy(allocations.lazy()).collect()
    held = cuts.join_asof(
        steps.select("node", "share", at=pl.col("at").cast(pl.Int64)).sort("node", "at"),
        left_on="from_us",
        right_on="at",
        by="node",
        check_sortedness=False,
    )
    covered = pl.Series(rng.random(len(held)) < covered_frac)
    duration_s = (pl.col("to_us") - pl.col("from_us")) * 1e-6
    return (
        held.with_columns(
            pl.col("share").fill_null(0.0),
            to_us=pl.col("from_us").shift(-1).over("node"),
            is_covered=covered,
        )
        .drop_nulls("to_us")
        .with_columns(duration_s=duration_s, is_unavailable=pl.lit(False), weight=pl.lit(1.0))
        .with_columns(covered_s=pl.when("is_covered").then("duration_s").otherwise(0.0))
        .with_columns(energy_j=pl.col("covered_s") * (300 + 800 * pl.col("share")))
    )


def invent_series(segments: pl.DataFrame) -> pl.DataFrame:
    """Series that cover each segment."""
    return segments.select(
        "node",
        "from_us",
        gpu_j=pl.col("duration_s") * (100 + 700 * pl.col("share")),
        gpu_covered_s="duration_s",
        load_s=pl.col("duration_s") * 0.2,
        load_covered_s="duration_s",
    )


def invent_hardware(nodes: list[str]) -> pl.DataFrame:
    """Nodes with four GPUs of 300 W."""
    kind = {"cluster": "gres", "has_gpu": True, "n_gpus": 4, "gpu_limit_w": 1200.0}
    kind |= {"gpu_generation": "Ampere", "n_cpus": 2, "tdp_w": 300.0, "n_cores": 32}
    rows = [{"node": node, "memory_gib": 256.0, **kind} for node in nodes]
    return pl.DataFrame(rows, schema=NODE_HARDWARE_SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--covered", type=float, default=0.0, help="part of the segments")
    parser.add_argument("--fit", action="store_true", help="fit the models, too")
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    allocations = invent_allocations(arguments.jobs, rng)
    segments = invent_segments(allocations, covered_frac=arguments.covered, rng=rng)
    series = invent_series(segments)
    hardware = invent_hardware(segments["node"].unique().sort().to_list())
    window = Window(START, START + timedelta(days=DAYS))
    begun = time.perf_counter()
    observed = observed_segments.observed_segments(
        segments.lazy(), series.lazy(), allocations.lazy(), window
    )
    models = power_model.fit_power_models(observed, hardware)
    if arguments.fit:
        print(f"fit: {time.perf_counter() - begun:.1f} s, {len(observed)} observed segments")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    begun = time.perf_counter()
    found = gap_energy.estimate_gaps(
        segments,
        allocations,
        window,
        gate="reserved",
        hardware=hardware,
        models=models,
        series=series,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(allocations)} jobs, {len(segments)} segments, {len(found.jobs)} estimates: "
        f"{time.perf_counter() - begun:.1f} s, {before:.2f} to {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
