"""Download the power of a cluster and month: read a node, clean it, write it, go on to the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from footprint import partitions, tables
from footprint.cleaning import clean
from footprint.site import Site


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
) -> pl.DataFrame:
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

    Returns:
        `tables.Quality` of the readings inside [start, end).
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
    accounts: list[pl.DataFrame] = []

    def samples() -> Iterator[pl.DataFrame]:
        for raw in site.power(
            metric=metric, cluster=cluster, start=start - margin, end=end + margin
        ):
            if raw.is_empty():
                continue
            kept, account = clean(
                raw,
                max_plausible_power_w=limits[raw["node"][0]],
                max_gap_s=max_gap_s,
                start=start,
                end=end,
            )
            accounts.append(account)
            yield kept

    partitions.write(samples(), path)
    empty = pl.DataFrame(tables.Quality.create_empty())
    return pl.concat([empty, *accounts], how="diagonal_relaxed").select(empty.columns)
