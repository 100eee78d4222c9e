"""Partitions of any size, as the pipeline writes them: samples of nodes, and gates of jobs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from footprint import gates, partitions

START, END = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)
PERIOD_S = 5.0007
SAMPLES_A_NODE = round((END - START).total_seconds() / PERIOD_S)
SLOTS = 4
"""Jobs that hold a quarter of a node each, side by side."""

MOST_NODES = 124
"""A cluster and month has at most as many nodes as the largest cluster of Nancy."""

CORES = 2
"""Rules that run at once, so that there are at least as many clusters and months."""


@dataclass(frozen=True)
class Partition:
    """A cluster and month: samples, gates (`gates.PIECES` and `gates.OCCUPANCY`), and nodes."""

    power: Path
    held: Path
    occupancy: Path
    nodes: list[str]


def write(folder: Path, *, n_nodes: int, n_jobs: int) -> list[Partition]:
    """Node-months of samples with `n_jobs` jobs on them, a file a cluster and month."""
    made, rng = [], np.random.default_rng(1)
    at_once = min(MOST_NODES, math.ceil(n_nodes / CORES))
    for first in range(0, n_nodes, at_once):
        nodes = [f"c-{i:05d}" for i in range(first, min(first + at_once, n_nodes))]
        power, held, occupancy = (
            folder / f"{first}.{name}.parquet" for name in ("power", "gates", "occupancy")
        )
        partitions.write((samples(node, rng) for node in nodes), power)
        jobs_here = max(1, n_jobs * len(nodes) // n_nodes)
        first_id = n_jobs * first // n_nodes
        gated = pieces(nodes, jobs_here, rng, first_id=first_id)
        gated.write_parquet(held)
        gates.occupancy(gated.lazy()).collect().write_parquet(occupancy)
        made.append(Partition(power, held, occupancy, nodes))
    return made


def samples(node: str, rng: np.random.Generator) -> pl.DataFrame:
    """Thirty days of a node at 1 W steps: plateaus, noise, and a gap now and then."""
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


def pieces(
    nodes: list[str], n_jobs: int, rng: np.random.Generator, *, first_id: int = 0
) -> pl.DataFrame:
    """Gates of `n_jobs` jobs, one after the other on each quarter of each node."""
    return pl.DataFrame(
        list(_rows(nodes, n_jobs, rng, first_id)), schema=gates.PIECES, orient="row"
    )


def _rows(
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
