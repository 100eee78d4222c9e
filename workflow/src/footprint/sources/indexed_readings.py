"""Parquet files of readings with an index of their nodes and times.

A file has the readings of some nodes in some interval. Its rows are sorted by node and time and cut
into small row groups, so that a reader skips the rows of other nodes. The index lists the nodes and
times of each file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

ROWS_PER_GROUP = 1 << 15
"""Rows of a row group."""

INDEX_COLUMNS: dict[str, Any] = {
    "file": pl.String,
    "node": pl.String,
    "first": pl.Datetime("us", "UTC"),
    "last": pl.Datetime("us", "UTC"),
}
"""Columns of the index: name of a file, a node in it, and the node's first and last time."""


def write_readings(readings: pl.DataFrame, target: Path) -> pl.DataFrame:
    """Write readings to one file, and return the rows of the index about it (`INDEX_COLUMNS`).

    Args:
        readings: `node`, `timestamp` and any other columns, in any order. Without rows, no file is
            written.
        target: The file.
    """
    if readings.is_empty():
        return pl.DataFrame(schema=INDEX_COLUMNS)
    # parts by node, often in order already, take less than half of the time of a sort by both
    names = readings["node"].unique().sort()
    coded = readings.with_columns(pl.col("node").cast(pl.Enum(names)))
    parts = {part["node"][0]: part for part in coded.partition_by("node", maintain_order=True)}
    ordered = [_by_time(parts[name]) for name in names]
    pl.concat(ordered).with_columns(pl.col("node").cast(pl.String)).write_parquet(
        target, compression="zstd", row_group_size=ROWS_PER_GROUP
    )
    bounds = [(part["timestamp"][0], part["timestamp"][-1]) for part in ordered]
    return pl.DataFrame(
        [(target.name, name, *each) for name, each in zip(names, bounds, strict=True)],
        schema=INDEX_COLUMNS,
        orient="row",
    )


def _by_time(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings of one node by time, in their order where times are equal."""
    if readings["timestamp"].is_sorted():
        return readings
    return readings.sort("timestamp", maintain_order=True)


def readings_by_node(
    directory: Path,
    index: pl.DataFrame,
    *,
    nodes: Collection[str],
    start: datetime,
    end: datetime,
) -> Iterator[pl.DataFrame]:
    """Readings in [start, end), one frame for each node that has some, by name.

    Args:
        directory: Folder of the files.
        index: Concatenated results of `write_readings`.
        nodes: Nodes to read.
        start: Start of the window.
        end: End of the window, excluded.
    """
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    overlaps = (pl.col("first") < end) & (pl.col("last") >= start)
    for node in sorted(nodes):
        names = index.filter((pl.col("node") == node) & overlaps)["file"].to_list()
        if names:
            readings = pl.scan_parquet([directory / name for name in names])
            frame = readings.filter((pl.col("node") == node) & inside).collect()
            if len(frame):
                yield frame
