"""Download the power of a cluster and month: read a node, clean it, write it, go on to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint import partitions, series, tables
from footprint.cleaning import clean
from footprint.held_time import HeldTime
from footprint.integration import Calibration
from footprint.site import Site, means


class Accounts(NamedTuple):
    """What became of a month's readings, and where sensors failed."""

    quality: pl.DataFrame
    spells: pl.DataFrame


def download(
    site: Site,
    nodes: pl.DataFrame,
    path: str | Path,
    *,
    metric: str,
    cluster: str,
    start: datetime,
    end: datetime,
    max_gap_s: float,
    off_threshold_w: float = 0.0,
    sum_over: str | None = None,
    held: Mapping[str, HeldTime] | None = None,
    calibration: Calibration | None = None,
) -> Accounts:
    """Write a cluster's samples in [start, end), with a margin of `max_gap_s`, to a partition.

    Args:
        site: Source of the readings.
        nodes: `tables.Nodes`.
        path: The partition to write (`tables.Power`).
        metric: Kwollect metric.
        cluster: Cluster.
        start: Start of the month, or of the study inside it.
        end: End of it, excluded.
        max_gap_s: Longest time between samples that is not a gap.
        off_threshold_w: Power below it while a job holds the node is no measurement, unless the
            node's peak is low (`cleaning`).
        sum_over: Label that tells parts of a node apart, whose power is summed.
        held: When jobs held each node; of other nodes nothing is known.
        calibration: Of the cluster; limits are those of calibrated power.

    Returns:
        `tables.Quality` and `tables.SensorSpells` of the readings inside [start, end).

    Raises:
        InputError: The metric has several series of a node (`series.one_a_node`).
    """
    # by the description that holds at the end, or the first one where all are later
    limit = pl.col("max_plausible_power_w")
    at_end = limit.filter(pl.col("valid_from") <= end).last()
    limits = dict(
        nodes.filter(pl.col("cluster") == cluster)
        .sort("node", "valid_from")
        .group_by("node", maintain_order=True)
        .agg(pl.coalesce(at_end, limit.first()))
        .iter_rows()
    )
    margin = timedelta(seconds=max_gap_s)
    accounts = [pl.DataFrame(tables.Quality.create_empty())]
    spells = [pl.DataFrame(tables.SensorSpells.create_empty())]

    def samples() -> Iterator[pl.DataFrame]:
        for raw in site.power(
            metric=metric, cluster=cluster, start=start - margin, end=end + margin
        ):
            if raw.is_empty():
                continue
            node = raw["node"][0]
            one = series.one_a_node(raw, metric=metric, sum_over=sum_over)
            cleaned = clean(
                _with_means(one, start=start - margin, end=end + margin),
                max_plausible_power_w=limits[node],
                max_gap_s=max_gap_s,
                start=start,
                end=end,
                off_threshold_w=off_threshold_w,
                held=(held or {}).get(node),
                calibration=calibration,
            )
            accounts.append(cleaned.account)
            spells.append(cleaned.spells)
            yield cleaned.samples

    partitions.write(samples(), path)
    quality = pl.concat(accounts, how="diagonal_relaxed").select(accounts[0].columns)
    return Accounts(quality, pl.concat(spells))


def _with_means(readings: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Readings in which means over 5 minutes are unfolded, unless the source did so itself."""
    if "from_summary" in readings.columns:
        return readings
    if "reason" not in readings.columns:
        return means.stand_in(readings, start=start, end=end)
    used = pl.col("reason").is_null()
    unfolded = means.stand_in(readings.filter(used), start=start, end=end)
    return pl.concat([unfolded, readings.filter(~used)], how="diagonal")
