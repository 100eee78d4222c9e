"""Power partitions: one Parquet file a cluster and month, a row group a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from footprint import tables

SCHEMA = pa.schema(
    [
        pa.field("node", pa.large_string(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("power_w", pa.float64(), nullable=False),
    ]
)


# The same of single GPUs: a row group a GPU.
DEVICE_SCHEMA = SCHEMA.insert(1, pa.field("gpu", pa.uint8(), nullable=False))
# Any other series: a row group a node and set of labels.
SERIES_SCHEMA = pa.schema(
    [
        SCHEMA.field("node"),
        pa.field("labels", pa.large_string(), nullable=False),
        SCHEMA.field("timestamp"),
        pa.field("value", pa.float64()),
    ]
)


class OrderError(AssertionError):
    """A partition that is not sorted by node and time, or that repeats a sample."""


def write(frames: Iterable[pl.DataFrame], path: str | Path, *, schema: pa.Schema = SCHEMA) -> None:
    """Write the samples of each node as a row group, so that one node can be read alone.

    Args:
        frames: `tables.Power` of one node each, in the order of the nodes' names; or
            `tables.DevicePower` of one GPU each, by node and GPU; or `tables.DeviceSeries` of one
            set of labels each, by node and labels.
        path: The partition.
        schema: `SCHEMA`, `DEVICE_SCHEMA` or `SERIES_SCHEMA`.

    Raises:
        OrderError: Nodes or times are not strictly ascending. A check by key would need the whole
            partition in memory; a comparison of neighbours does not.
    """
    *key, _, value = schema.names
    last: tuple[Any, ...] = ()
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["node", value],
        column_encoding={"timestamp": "DELTA_BINARY_PACKED"},
    ) as writer:
        for frame in frames:
            if frame.is_empty():
                continue
            each = frame.select(key).row(0)
            ascending = frame.select(
                (pl.col("timestamp").diff().drop_nulls() > pl.duration()).all()
                & pl.all_horizontal(
                    pl.col(name) == of for name, of in zip(key, each, strict=True)
                ).all()
            ).item()
            if each <= last or not ascending:
                what = " ".join(map(str, each))
                raise OrderError(f"{path}: samples of {what} are not sorted by node and time")
            last = each
            table = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer.write_table(table.cast(schema), row_group_size=len(frame))


def reader(*paths: str | Path) -> Callable[[str], pl.DataFrame]:
    """A function that reads the samples of one node, and of the files no more than their ends.

    Args:
        paths: A partition, or those of successive months, whose margins overlap.

    Returns:
        From the name of a node to its `timestamp` and `power_w`, strictly ascending in time; empty
        when the node has no sample.
    """
    files = [pq.ParquetFile(path) for path in paths]
    groups = [_groups(file.metadata) for file in files]
    none = pl.DataFrame(tables.Power.create_empty()).drop("node")

    def read(node: str) -> pl.DataFrame:
        months = [
            _row_group(file, of[node]) for file, of in zip(files, groups, strict=True) if node in of
        ]
        return _joined(months) if months else none

    return read


def _row_group(file: pq.ParquetFile, group: int) -> pl.DataFrame:
    """One node's samples. Polars, which would read the footer again, takes twice as long."""
    columns = ["timestamp", "power_w"]
    return pl.DataFrame(file.read_row_group(group, columns=columns, use_threads=False))


def _joined(months: list[pl.DataFrame]) -> pl.DataFrame:
    """Samples of successive months, each from where the one before ends."""
    months = sorted(months, key=lambda month: month["timestamp"][0])
    parts = months[:1]
    for month in months[1:]:
        reached = parts[-1]["timestamp"][-1]
        later = month[month["timestamp"].search_sorted(reached, side="right") :]
        parts += [later] if len(later) else []
    return pl.concat(parts)


def _groups(footer: pq.FileMetaData) -> dict[str, int]:
    """The row group of each node."""
    return {
        footer.row_group(group).column(0).statistics.min: group
        for group in range(footer.num_row_groups)
    }


def nodes_of(path: str | Path, cluster: str) -> list[str]:
    """Names of a cluster's nodes in a `tables.Nodes` file, in the order of partitions."""
    nodes = pl.scan_parquet(path).filter(pl.col("cluster") == cluster)
    return nodes.select(pl.col("node").unique().sort()).collect()["node"].to_list()
