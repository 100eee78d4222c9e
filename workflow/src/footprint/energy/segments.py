"""Segments: the time of each node between neighbouring cuts.

A cut is a moment at which a job starts or stops, the state of a node changes, or a UTC day ends.
Between two cuts all shares are constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.allocation.shares import without_residue
from footprint.core.arrays import Floats, Integers, sorted_distinct
from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import UNAVAILABLE_STATES
from footprint.energy.kernel import KERNEL_COLUMNS

BOUND_COLUMNS = ("held_from_us", "held_to_us", "from_us", "to_us")
"""Bounds of an allocation: as held, and as its energy counts (snapped for `inner_trapezoid`)."""


UNAVAILABLE_SCHEMA = pl.Schema({"node": pl.String(), "from_us": pl.Int64(), "to_us": pl.Int64()})


class IntegrationWindow(NamedTuple):
    """Window of time that is integrated, between UTC midnights, in microseconds since 1970."""

    start_us: int
    end_us: int

    @classmethod
    def of(cls, start: datetime, end: datetime) -> IntegrationWindow:
        """The window [start, end)."""
        low, high = pl.Series([start, end]).cast(pl.Datetime("us", "UTC")).cast(pl.Int64)
        return cls(low, high)

    def midnights_us(self) -> Integers:
        """UTC midnights of the window, its end included, in microseconds since 1970."""
        return np.arange(self.start_us, self.end_us + 1, 86_400_000_000)


def with_bounds_in_microseconds(
    allocations: pl.DataFrame, window: IntegrationWindow
) -> pl.DataFrame:
    """Allocations that overlap with the window, with `BOUND_COLUMNS` in microseconds.

    Args:
        allocations: `node_allocations.ALLOCATION_SCHEMA`, which may reach beyond the window.
        window: The window.
    """
    start = pl.col("started_at").cast(pl.Int64)
    stop = pl.col("stopped_at").cast(pl.Int64)
    return allocations.filter((start < window.end_us) & (stop > window.start_us)).with_columns(
        held_from_us=start, held_to_us=stop, from_us=start, to_us=stop
    )


def snap_to_samples(allocations: pl.DataFrame, times_us: pl.Series) -> pl.DataFrame:
    """Allocations with `from_us` and `to_us` moved inward to samples, for `inner_trapezoid`.

    A bound at which the job itself does not start or stop stays. Without a sample inside, `from_us`
    is after `to_us`.

    Args:
        allocations: Result of `with_bounds_in_microseconds`, of one node.
        times_us: Times of the node's samples.
    """
    never = pl.Series([2**62], dtype=pl.Int64)
    first = pl.concat([times_us, never]).gather(
        times_us.search_sorted(allocations["held_from_us"], side="left")
    )
    last = pl.concat([-never, times_us]).gather(
        times_us.search_sorted(allocations["held_to_us"], side="right")
    )
    return allocations.with_columns(
        from_us=pl.when("opens").then(first).otherwise("from_us"),
        to_us=pl.when("closes").then(last).otherwise("to_us"),
    )


def clip_to_window(allocations: pl.DataFrame, window: IntegrationWindow) -> pl.DataFrame:
    """Allocations clipped to the window; an interval snapped beyond the window is empty.

    `opens` and `closes` stay true only where the job itself starts or stops inside the window: an
    allocation that is cut at the end of a month has one edge in each month, not two.
    """
    clipped = allocations.with_columns(
        pl.col(BOUND_COLUMNS).clip(window.start_us, window.end_us),
        opens=pl.col("opens") & (pl.col("held_from_us") >= window.start_us),
        closes=pl.col("closes") & (pl.col("held_to_us") <= window.end_us),
    )
    return clipped.with_columns(to_us=pl.max_horizontal("from_us", "to_us"))


def cuts_of_node(
    allocations: pl.DataFrame, states: pl.DataFrame, window: IntegrationWindow
) -> Integers:
    """Cuts of one node in microseconds, the window's start and end included, ascending.

    Args:
        allocations: Allocations on the node, with `BOUND_COLUMNS`.
        states: Result of `unavailable_intervals` for the node.
        window: The window.
    """
    changes = [allocations[bound] for bound in BOUND_COLUMNS] + [states["from_us"], states["to_us"]]
    moments = [window.midnights_us(), *(each.to_numpy() for each in changes)]
    return sorted_distinct(np.concatenate(moments).clip(*window))


def unavailable_intervals(states: pl.DataFrame | None, window: IntegrationWindow) -> pl.DataFrame:
    """Intervals (`node`, `from_us`, `to_us`) of the window in which nodes were unavailable.

    Args:
        states: `schemas.States`; None: nodes were always available.
        window: The window.
    """
    if states is None:
        return pl.DataFrame(schema=UNAVAILABLE_SCHEMA)
    bounds = {
        "from_us": pl.col("started_at").cast(pl.Int64),
        "to_us": pl.col("stopped_at").cast(pl.Int64).fill_null(window.end_us),
    }
    return (
        states.filter(pl.col("state").is_in(UNAVAILABLE_STATES))
        .select(
            "node",
            *(
                bound.clip(window.start_us, window.end_us).alias(name)
                for name, bound in bounds.items()
            ),
        )
        .filter(pl.col("to_us") > pl.col("from_us"))
    )


def rows_by_node(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each node with its rows."""
    for key, rows in frame.partition_by("node", as_dict=True).items():
        yield str(key[0]), rows


def integrals_at_cuts(
    names: Sequence[str],
    cuts_us: Sequence[Integers],
    integrals: Sequence[Floats],
    *,
    quantities: Sequence[str] = KERNEL_COLUMNS,
) -> pl.DataFrame:
    """Frame of cumulative integrals at the cuts of nodes: `node`, `cut_us`, `quantities`.

    Args:
        names: Nodes, or GPUs.
        cuts_us: Cuts of each, ascending.
        integrals: Integrals of each: a row for each of `quantities`, a column for each cut.
        quantities: Names of the integrals.

    Returns:
        Rows node after node, ascending in time.
    """
    node = np.repeat(np.arange(len(names)), [len(each) for each in cuts_us])
    return pl.DataFrame(
        {
            "node": pl.Series(names, dtype=pl.String).gather(node),
            "cut_us": np.concatenate(cuts_us),
            **dict(zip(quantities, np.concatenate(integrals, axis=1), strict=True)),
        }
    )


def segments_between_cuts(
    cumulative: pl.DataFrame,
    snapped: pl.DataFrame | None,
    occupancy: pl.DataFrame,
    states: pl.DataFrame,
    *,
    quantities: Sequence[str] = KERNEL_COLUMNS,
) -> pl.DataFrame:
    """Segments of all nodes, with the share held, the state, and the integrals over each.

    Args:
        cumulative: Result of `integrals_at_cuts`.
        snapped: Clipped allocations on the nodes, where bounds were snapped; None: they were not.
        occupancy: `node_allocations.OCCUPANCY_SCHEMA` of the whole study.
        states: Result of `unavailable_intervals`.
        quantities: Integrals of `cumulative`.

    Returns:
        `node`, `from_us`, `to_us`, `day`, `duration_s`, `share` (held of the node), `counted` (the
        share whose energy counts: as snapped), `unavailable`, and each of `quantities` over the
        segment.
    """
    is_last = pl.col("node") != pl.col("node").shift(-1)
    cuts = cumulative.select("node", "cut_us")
    share = _step_values(cuts, occupancy.select("node", "share", at_us=pl.col("at").cast(pl.Int64)))
    counted = share if snapped is None else _summed_weights(cuts, snapped, weight=pl.col("share"))
    marked = cumulative.with_columns(
        share,
        counted.alias("counted"),
        (_summed_weights(cuts, states, weight=pl.lit(1.0)) > 0).alias("unavailable"),
    )
    return (
        marked.with_columns(
            to_us=pl.col("cut_us").shift(-1),
            **{name: pl.col(name).shift(-1) - pl.col(name) for name in quantities},
        )
        .filter(~is_last.fill_null(True))
        .rename({"cut_us": "from_us"})
        .with_columns(
            day=pl.col("from_us").cast(pl.Datetime("us", "UTC")).dt.date(),
            duration_s=(pl.col("to_us") - pl.col("from_us")).cast(pl.Float64) * 1e-6,
        )
    )


def energy_between(
    allocations: pl.DataFrame, sums: pl.DataFrame, names: Sequence[str], *, bounds: tuple[str, str]
) -> pl.DataFrame:
    """Difference of cumulative sums between the bounds of each allocation, a row an allocation.

    Args:
        allocations: Clipped allocations.
        sums: `node`, `to_us`, and sums up to the end of each segment, node after node.
        names: Columns of the sums.
        bounds: Columns of the allocations with the start and the end.

    Returns:
        Columns `names`.
    """
    if allocations.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Float64()))
    nodes = pl.Enum(sums["node"].unique(maintain_order=True))
    times_us = np.concatenate([sums["to_us"], *(allocations[bound] for bound in bounds)])
    first_us, length_us = int(times_us.min()), int(np.ptp(times_us)) + 1

    def keys(frame: pl.DataFrame, time_column: str) -> pl.Series:
        """One number for a node and moment: searching for it takes half as long as a join."""
        node = frame["node"].cast(nodes, strict=False).to_physical().cast(pl.Int64)
        found: pl.Series = node * length_us + frame[time_column] - first_us
        return found

    ends = keys(sums, "to_us")

    def sums_up_to(bound: str) -> pl.Expr:
        wanted = keys(allocations, bound)
        row = ends.search_sorted(wanted).clip(upper_bound=len(ends) - 1)
        # the sums are 0 where no segment ends, as at the window's start
        is_end = (ends.gather(row) == wanted).fill_null(False)
        return pl.when(pl.lit(is_end)).then(pl.col(names).gather(pl.lit(row))).otherwise(0.0)

    begun, ended = (sums_up_to(bound) for bound in bounds)
    return sums.select(ended - begun)


def _step_values(cuts: pl.DataFrame, steps: pl.DataFrame) -> pl.Series:
    """Value at each cut of a step function that is 0 before its first step."""
    return cuts.join_asof(
        steps.sort("node", "at_us"),
        left_on="cut_us",
        right_on="at_us",
        by="node",
        check_sortedness=False,
    )["share"].fill_null(0.0)


def _summed_weights(cuts: pl.DataFrame, intervals: pl.DataFrame, *, weight: pl.Expr) -> pl.Series:
    """Sum at each cut of the weights of the intervals, `from_us` to `to_us`, that contain it."""
    if intervals.is_empty():
        return pl.zeros(len(cuts), eager=True)
    changes = (
        pl.concat(
            [
                intervals.select("node", cut_us="from_us", weight=weight),
                intervals.select("node", cut_us="to_us", weight=-weight),
            ]
        )
        .group_by("node", "cut_us")
        .agg(sum_or_zero(pl.col("weight")))
    )
    return (
        cuts.join(changes, on=["node", "cut_us"], how="left", maintain_order="left")
        .select(without_residue(pl.col("weight").fill_null(0.0).cum_sum().over("node")))
        .to_series()
    )
