"""When jobs held a node, as far as the judgement of its readings needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from footprint import gates
from footprint.intervals import Integers, ascending
from footprint.segments import UNAVAILABLE_STATES

BOUNDS = ("started_at", "stopped_at")


def _none() -> Integers:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class HeldTime:
    """Intervals of one node in microseconds since 1970; starts and stops are sorted each by itself.

    Attributes:
        starts_us: Moments from which a job held the node.
        stops_us: Moments from which it did not any more.
        away_starts_us: Moments from which the node could not be used.
        away_stops_us: Moments from which it could again.
    """

    starts_us: Integers = field(default_factory=_none)
    stops_us: Integers = field(default_factory=_none)
    away_starts_us: Integers = field(default_factory=_none)
    away_stops_us: Integers = field(default_factory=_none)

    @property
    def bounds_us(self) -> Integers:
        """Moments at which a job began or ended on the node, ascending, each once."""
        both = np.concatenate([self.starts_us, self.stops_us])
        return ascending(both) if len(both) else both

    def is_held(self, times_us: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether a job held the node at each moment, and the node could be used."""
        away = _open_at(self.away_starts_us, self.away_stops_us, times_us) > 0
        return (_open_at(self.starts_us, self.stops_us, times_us) > 0) & ~away


def _open_at(starts_us: Integers, stops_us: Integers, times_us: Integers) -> Integers:
    """Number of intervals that each moment lies in."""
    begun = np.searchsorted(starts_us, times_us, side="right")
    ended = np.searchsorted(stops_us, times_us, side="right")
    return np.asarray(begun - ended)


def intervals(jobs: pl.LazyFrame, allocations: pl.LazyFrame, *, end: datetime) -> pl.DataFrame:
    """When each job held each of its nodes, suspensions left out.

    Args:
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`.
        end: End of the study, which bounds jobs without an end or a walltime.

    Returns:
        `job_id`, `node`, `started_at`, `stopped_at`.
    """
    whole = allocations.select(
        "job_id", "node", *(pl.lit(1.0).alias(name) for name in ("share", "gpus", "cores"))
    )
    held = gates.holds(jobs, whole, end=end)
    return held.select("job_id", "node", "started_at", "stopped_at").collect()


def load(files: Any, *, end: datetime) -> dict[str, HeldTime]:
    """When each node that a job or a state names was held.

    Args:
        files: Paths of `jobs`, `allocations` and `states`.
        end: End of the study.
    """
    held = intervals(pl.scan_parquet(files.jobs), pl.scan_parquet(files.allocations), end=end)
    return by_node(held, pl.read_parquet(files.states), end=end)


def by_node(held: pl.DataFrame, states: pl.DataFrame, *, end: datetime) -> dict[str, HeldTime]:
    """When each node of these tables was held.

    Args:
        held: Result of `intervals`.
        states: `tables.States`.
        end: End of the study, which bounds states that last.
    """
    away = states.filter(pl.col("state").is_in(UNAVAILABLE_STATES)).with_columns(
        pl.col("stopped_at").fill_null(pl.lit(end).cast(pl.Datetime("us", "UTC")))
    )
    of_jobs, of_states = _bounds_us(held), _bounds_us(away)
    none = (_none(), _none())
    return {
        node: HeldTime(*of_jobs.get(node, none), *of_states.get(node, none))
        for node in sorted(of_jobs.keys() | of_states.keys())
    }


def _bounds_us(intervals: pl.DataFrame) -> dict[str, tuple[Integers, Integers]]:
    """Starts and stops of each node's intervals, each sorted."""
    bounds = intervals.select(
        "node", *(pl.col(name).cast(pl.Datetime("us", "UTC")).cast(pl.Int64) for name in BOUNDS)
    )
    return {
        str(node): (np.sort(own["started_at"].to_numpy()), np.sort(own["stopped_at"].to_numpy()))
        for (node,), own in bounds.partition_by("node", as_dict=True).items()
    }
