"""Monthly files of any size, as the workflow writes them: samples and allocations of nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from footprint.allocation import node_allocations
from footprint.sources import monthly_files

START, END = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)
PERIOD_S = 5.0007
SAMPLES_A_NODE = round((END - START).total_seconds() / PERIOD_S)
SLOTS = 4
"""Concurrent jobs of a node, each with a quarter of it."""

MOST_NODES = 124
"""Nodes of the largest cluster of Nancy, the most that a monthly file has."""

CORES = 2
"""Concurrent rules; there are at least as many monthly files."""


@dataclass(frozen=True)
class MonthlySamples:
    """Files and nodes of a cluster and month: samples, allocations (`held`) and occupancy."""

    power: Path
    held: Path
    occupancy: Path
    nodes: list[str]


def write_months(folder: Path, *, n_nodes: int, n_jobs: int) -> list[MonthlySamples]:
    """Write node-months of samples with `n_jobs` jobs on them, one file a cluster and month."""
    made, rng = [], np.random.default_rng(1)
    at_once = min(MOST_NODES, math.ceil(n_nodes / CORES))
    for first in range(0, n_nodes, at_once):
        nodes = [f"c-{i:05d}" for i in range(first, min(first + at_once, n_nodes))]
        power, held, occupancy = (
            folder / f"{first}.{name}.parquet"
            for name in ("power", "node_allocations", "occupancy")
        )
        monthly_files.write_monthly_file((node_samples(node, rng) for node in nodes), power)
        jobs_here = max(1, n_jobs * len(nodes) // n_nodes)
        first_id = n_jobs * first // n_nodes
        allocations = random_allocations(nodes, jobs_here, rng, first_id=first_id)
        allocations.write_parquet(held)
        node_allocations.occupancy(allocations.lazy()).collect().write_parquet(occupancy)
        made.append(MonthlySamples(power, held, occupancy, nodes))
    return made


def node_samples(node: str, rng: np.random.Generator) -> pl.DataFrame:
    """Samples of thirty days of a node at 1 W steps: plateaus, noise, and occasional gaps."""
    seconds = (END - START).total_seconds()
    times_s = np.arange(-30, seconds + 30, PERIOD_S) + rng.uniform(0, 0.002)
    times_s = times_s[rng.random(len(times_s)) > 0.001]
    plateau_w = np.repeat(rng.uniform(200, 1500, len(times_s) // 720 + 1), 720)[: len(times_s)]
    power_w = np.round(plateau_w * (1 + 0.03 * rng.standard_normal(len(times_s))))
    times_us = (int(START.timestamp() * 1e6) + times_s * 1e6).astype(np.int64)
    return pl.DataFrame(
        {
            "node": pl.repeat(node, len(times_s), eager=True),
            "timestamp": pl.Series(times_us).cast(pl.Datetime("us", "UTC")),
            "power_w": power_w,
        }
    )


def random_allocations(
    nodes: list[str], n_jobs: int, rng: np.random.Generator, *, first_id: int = 0
) -> pl.DataFrame:
    """Allocations of `n_jobs` jobs, in sequence on each quarter of each node."""
    return pl.DataFrame(
        list(_allocation_rows(nodes, n_jobs, rng, first_id)),
        schema=node_allocations.ALLOCATION_SCHEMA,
        orient="row",
    )


def _allocation_rows(
    nodes: list[str], n_jobs: int, rng: np.random.Generator, first_id: int
) -> Iterator[tuple[object, ...]]:
    seconds = int((END - START).total_seconds())
    slots = [node for node in nodes for _ in range(SLOTS)]
    job_id = first_id
    for i, node in enumerate(slots):
        here = n_jobs * (i + 1) // len(slots) - n_jobs * i // len(slots)
        bounds = np.sort(rng.choice(seconds, 2 * here, replace=False)).tolist()
        for begin, stop in zip(bounds[::2], bounds[1::2], strict=True):
            at = (START + timedelta(seconds=second) for second in (begin, stop))
            yield (job_id, node, *at, 1 / SLOTS, 1.0, 4.0, True, True)
            job_id += 1
