"""Readings in many Parquet files, each of some nodes and times, to be asked for node by node.

Inside a file, rows are sorted by node and time and cut into small row groups, so that the rows of
one node are read without those of the others. An index says which nodes and times a file holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

ROWS_A_GROUP = 1 << 15
PLACE: dict[str, Any] = {
    "file": pl.String,
    "node": pl.String,
    "first": pl.Datetime("us", "UTC"),
    "last": pl.Datetime("us", "UTC"),
}


def write(readings: pl.DataFrame, target: Path) -> pl.DataFrame:
    """Write readings to a file of their own; which nodes and times it holds (PLACE).

    Args:
        readings: `node`, `timestamp` and any other columns, in any order. Without rows, no file is
            written.
        target: The file.
    """
    kept = readings.sort("node", "timestamp", maintain_order=True)
    if len(kept):
        kept.write_parquet(target, compression="zstd", row_group_size=ROWS_A_GROUP)
    time = pl.col("timestamp")
    return (
        kept.group_by("node", maintain_order=True)
        .agg(first=time.min(), last=time.max())
        .select(pl.lit(target.name).alias("file"), "node", "first", "last")
    )


def read(
    directory: Path,
    index: pl.DataFrame,
    *,
    nodes: Collection[str],
    start: datetime,
    end: datetime,
) -> Iterator[pl.DataFrame]:
    """Readings in [start, end) of each node that has some, one frame a node, by name.

    Args:
        directory: Folder of the files.
        index: What `write` returned for each of them.
        nodes: Nodes asked for.
        start: Start of the window.
        end: End of the window, excluded.
    """
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    overlaps = (pl.col("first") < end) & (pl.col("last") >= start)
    for node in sorted(nodes):
        found = index.filter((pl.col("node") == node) & overlaps)["file"].to_list()
        if found:
            readings = pl.scan_parquet([directory / name for name in found])
            frame = readings.filter((pl.col("node") == node) & inside).collect()
            if len(frame):
                yield frame
