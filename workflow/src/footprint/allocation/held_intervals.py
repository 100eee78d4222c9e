"""Intervals in which nodes are held, for the cleaning of their readings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from footprint.allocation.node_allocations import unclipped_allocations
from footprint.allocation.shares import SHARE_COLUMNS
from footprint.core.arrays import Integers
from footprint.core.vocabulary import UNAVAILABLE_STATES
from footprint.sources.held_time import HeldTime

BOUND_COLUMNS = ("started_at", "stopped_at")


def held_intervals_of_jobs(
    jobs: pl.LazyFrame, allocations: pl.LazyFrame, *, end: datetime
) -> pl.DataFrame:
    """Intervals in which each job holds each of its nodes, without its suspensions.

    Args:
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        end: End of the study, which bounds jobs without an end or a walltime.

    Returns:
        `job_id`, `node`, `started_at`, `stopped_at`.
    """
    whole_nodes = allocations.select(
        "job_id", "node", *(pl.lit(1.0).alias(name) for name in SHARE_COLUMNS)
    )
    held = unclipped_allocations(jobs, whole_nodes, end=end)
    return held.select("job_id", "node", *BOUND_COLUMNS).collect()


def read_held_time(files: Any, *, end: datetime) -> dict[str, HeldTime]:
    """Held time of each node that a job or a node state mentions, from files.

    Args:
        files: Paths of `jobs`, `allocations` and `states`.
        end: End of the study.
    """
    held = held_intervals_of_jobs(
        pl.scan_parquet(files.jobs), pl.scan_parquet(files.allocations), end=end
    )
    return held_time_of_nodes(held, pl.read_parquet(files.states), end=end)


def held_time_of_nodes(
    held: pl.DataFrame, states: pl.DataFrame, *, end: datetime
) -> dict[str, HeldTime]:
    """Held time of each node of these tables.

    Args:
        held: Result of `held_intervals_of_jobs`.
        states: `schemas.States`.
        end: End of the study, which bounds states without an end.
    """
    unavailable = states.filter(pl.col("state").is_in(UNAVAILABLE_STATES)).with_columns(
        pl.col("stopped_at").fill_null(pl.lit(end).cast(pl.Datetime("us", "UTC")))
    )
    of_jobs, of_states = _bounds_us(held), _bounds_us(unavailable)
    none = (np.empty(0, dtype=np.int64),) * 2
    return {
        node: HeldTime(*of_jobs.get(node, none), *of_states.get(node, none))
        for node in sorted(of_jobs.keys() | of_states.keys())
    }


def _bounds_us(held: pl.DataFrame) -> dict[str, tuple[Integers, Integers]]:
    """Starts and stops of each node's intervals in microseconds, each sorted."""
    bounds = held.select(
        "node",
        *(pl.col(name).cast(pl.Datetime("us", "UTC")).cast(pl.Int64) for name in BOUND_COLUMNS),
    )
    return {
        str(node): (np.sort(own["started_at"].to_numpy()), np.sort(own["stopped_at"].to_numpy()))
        for (node,), own in bounds.partition_by("node", as_dict=True).items()
    }
