"""The time of nodes, cut at every moment at which something changes.

A job starts or stops, a node's state changes, a day ends: between two cuts, shares are constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from footprint.integration import QUANTITIES, at
from footprint.intervals import Integers, Method, ascending
from footprint.shares import without_residue
from footprint.summation import total

# States in which nobody could use a node. In standby it could be woken: its low power shows that.
UNAVAILABLE_STATES = ("absent", "suspected", "dead", "maintenance")

# Few enough for arrays to stay in the cache, and many enough for their length to matter.
NODES_AT_ONCE = 20

BOUNDS = ("held_from_us", "held_to_us", "from_us", "to_us")


class Partition(NamedTuple):
    """The period that is integrated, between UTC midnights, in microseconds since 1970."""

    start_us: int
    end_us: int

    @classmethod
    def of(cls, start: datetime, end: datetime) -> Partition:
        """The partition [start, end)."""
        low, high = pl.Series([start, end]).cast(pl.Datetime("us", "UTC")).cast(pl.Int64)
        return cls(low, high)

    def midnights_us(self) -> Integers:
        """Every UTC midnight of the partition, its end included."""
        return np.arange(self.start_us, self.end_us + 1, 86_400_000_000)


def in_microseconds(pieces: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Pieces inside the partition, with bounds `held_from_us`, `held_to_us`, and a copy to snap.

    Args:
        pieces: `gates.PIECES`, which may reach beyond the partition.
        partition: The period.
    """
    start = pl.col("started_at").cast(pl.Int64)
    stop = pl.col("stopped_at").cast(pl.Int64)
    return pieces.filter((start < partition.end_us) & (stop > partition.start_us)).with_columns(
        held_from_us=start, held_to_us=stop, from_us=start, to_us=stop
    )


def snap(pieces: pl.DataFrame, times_us: pl.Series) -> pl.DataFrame:
    """Bounds `from_us` and `to_us` moved inward to the samples, for `inner_trapezoid`.

    A bound that is not the job's own (a clipping) stays. Without a sample inside, the piece has no
    length.
    """
    never = pl.Series([2**62], dtype=pl.Int64)
    first = pl.concat([times_us, never]).gather(
        times_us.search_sorted(pieces["held_from_us"], side="left")
    )
    last = pl.concat([-never, times_us]).gather(
        times_us.search_sorted(pieces["held_to_us"], side="right")
    )
    return pieces.with_columns(
        from_us=pl.when("opens").then(first).otherwise("from_us"),
        to_us=pl.when("closes").then(last).otherwise("to_us"),
    )


def clip(pieces: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Pieces clipped to the partition; an interval snapped beyond its other end is empty.

    `opens` and `closes` stay true only where the job itself starts or stops inside the partition: a
    piece that is cut at the end of a month has one edge in each month, not two.
    """
    clipped = pieces.with_columns(
        pl.col(BOUNDS).clip(partition.start_us, partition.end_us),
        opens=pl.col("opens") & (pl.col("held_from_us") >= partition.start_us),
        closes=pl.col("closes") & (pl.col("held_to_us") <= partition.end_us),
    )
    return clipped.with_columns(to_us=pl.max_horizontal("from_us", "to_us"))


def cuts_of(pieces: pl.DataFrame, states: pl.DataFrame, partition: Partition) -> Integers:
    """Moments at which something changes on a node, the partition's start and end included."""
    changes = [pieces[bound] for bound in BOUNDS] + [states["from_us"], states["to_us"]]
    moments = [partition.midnights_us(), *(each.to_numpy() for each in changes)]
    return ascending(np.concatenate(moments).clip(*partition))


def unavailable(states: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Intervals (`node`, `from_us`, `to_us`) of the partition in which nodes were unavailable."""
    interval = {
        "from_us": pl.col("started_at").cast(pl.Int64),
        "to_us": pl.col("stopped_at").cast(pl.Int64).fill_null(partition.end_us),
    }
    return (
        states.filter(pl.col("state").is_in(UNAVAILABLE_STATES))
        .select(
            "node",
            *(
                at.clip(partition.start_us, partition.end_us).alias(name)
                for name, at in interval.items()
            ),
        )
        .filter(pl.col("to_us") > pl.col("from_us"))
    )


def by_node(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each node."""
    for key, rows in frame.partition_by("node", as_dict=True).items():
        yield str(key[0]), rows


def at_cuts(
    names: Sequence[str], before: Sequence[Mapping[str, Any]], method: Method
) -> pl.DataFrame:
    """Running integrals at cuts, the nodes one after the other: `node`, `cut_us`, `QUANTITIES`.

    Args:
        names: Nodes.
        before: Result of `Running.before` for the cuts of each.
        method: How power becomes energy.
    """
    some = (slice(low, low + NODES_AT_ONCE) for low in range(0, len(names), NODES_AT_ONCE))
    return pl.concat(_at_cuts(names[of], before[of], method) for of in some)


def _at_cuts(
    names: Sequence[str], before: Sequence[Mapping[str, Any]], method: Method
) -> pl.DataFrame:
    of_all = {name: np.concatenate([each[name] for each in before]) for name in before[0]}
    node = np.repeat(np.arange(len(names)), [len(each["moment_us"]) for each in before])
    return pl.DataFrame(
        {
            "node": pl.Series(names, dtype=pl.String).gather(node),
            "cut_us": of_all["moment_us"],
            **at(of_all, method),
        }
    )


def between_cuts(
    at: pl.DataFrame,
    snapped: pl.DataFrame | None,
    occupancy: pl.DataFrame,
    states: pl.DataFrame,
    *,
    quantities: Sequence[str] = QUANTITIES,
) -> pl.DataFrame:
    """The segments of all nodes, with what holds in each and what the running integrals gain.

    Args:
        at: `at_cuts` of the nodes, one after the other.
        snapped: The nodes' pieces, clipped, where bounds were snapped.
        occupancy: `gates.OCCUPANCY` of the whole study.
        states: Result of `unavailable`.
        quantities: Running integrals of `at`.

    Returns:
        `node`, `from_us`, `to_us`, `day`, `duration_s`, `share` (held of the node), `counted` (the
        same with bounds as snapped), `unavailable`, and the gain of each of `quantities`.
    """
    last = pl.col("node") != pl.col("node").shift(-1)
    cuts = at.select("node", "cut_us")
    share = _steps(cuts, occupancy.select("node", "share", at_us=pl.col("at").cast(pl.Int64)))
    counted = share if snapped is None else _height(cuts, snapped, weight=pl.col("share"))
    marked = at.with_columns(
        share,
        counted.alias("counted"),
        (_height(cuts, states, weight=pl.lit(1.0)) > 0).alias("unavailable"),
    )
    return (
        marked.with_columns(
            to_us=pl.col("cut_us").shift(-1),
            **{name: pl.col(name).shift(-1) - pl.col(name) for name in quantities},
        )
        .filter(~last.fill_null(True))
        .rename({"cut_us": "from_us"})
        .with_columns(
            day=pl.col("from_us").cast(pl.Datetime("us", "UTC")).dt.date(),
            duration_s=(pl.col("to_us") - pl.col("from_us")).cast(pl.Float64) * 1e-6,
        )
    )


def gained(
    pieces: pl.DataFrame, sums: pl.DataFrame, names: Sequence[str], *, bounds: tuple[str, str]
) -> pl.DataFrame:
    """What running sums gain over each piece, a row a piece.

    Args:
        pieces: Pieces, clipped.
        sums: `node`, `to_us`, and sums up to the end of each segment, node after node.
        names: The sums wanted.
        bounds: Columns of the pieces from and up to which they count.
    """
    if pieces.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Float64()))
    nodes = pl.Enum(sums["node"].unique(maintain_order=True))
    times_us = np.concatenate([sums["to_us"], *(pieces[bound] for bound in bounds)])
    first_us, span_us = int(times_us.min()), int(np.ptp(times_us)) + 1

    def moments(frame: pl.DataFrame, at_us: str) -> pl.Series:
        """A number a node and moment: to search for it takes half as long as a join."""
        node = frame["node"].cast(nodes, strict=False).to_physical().cast(pl.Int64)
        found: pl.Series = node * span_us + frame[at_us] - first_us
        return found

    ends = moments(sums, "to_us")

    def up_to(bound: str) -> pl.Expr:
        wanted = moments(pieces, bound)
        row = ends.search_sorted(wanted).clip(upper_bound=len(ends) - 1)
        # where no segment ends, as at the partition's start, there is nothing before
        is_end = (ends.gather(row) == wanted).fill_null(False)
        return pl.when(pl.lit(is_end)).then(pl.col(names).gather(pl.lit(row))).otherwise(0.0)

    begun, ended = (up_to(bound) for bound in bounds)
    return sums.select(ended - begun)


def _steps(cuts: pl.DataFrame, steps: pl.DataFrame) -> pl.Series:
    """Value at each cut of a step function that is 0 before its first step."""
    return cuts.join_asof(
        steps.sort("node", "at_us"),
        left_on="cut_us",
        right_on="at_us",
        by="node",
        check_sortedness=False,
    )["share"].fill_null(0.0)


def _height(cuts: pl.DataFrame, intervals: pl.DataFrame, *, weight: pl.Expr) -> pl.Series:
    """Sum at each cut of the weights of the intervals `from_us` to `to_us` that it lies in."""
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
        .agg(total(pl.col("weight")))
    )
    return (
        cuts.join(changes, on=["node", "cut_us"], how="left", maintain_order="left")
        .select(without_residue(pl.col("weight").fill_null(0.0).cum_sum().over("node")))
        .to_series()
    )
