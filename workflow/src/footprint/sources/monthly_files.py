"""Monthly files: one Parquet file a cluster and calendar month, with a row group a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from footprint.schemas.raw import DevicePower, Power

POWER_SCHEMA = pa.schema(
    [
        pa.field("node", pa.large_string(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("power_w", pa.float64(), nullable=False),
    ]
)
"""Columns of `schemas.Power`: power of nodes, a row group a node."""

DEVICE_POWER_SCHEMA = POWER_SCHEMA.insert(1, pa.field("gpu", pa.uint8(), nullable=False))
"""Columns of `schemas.DevicePower`: power of GPUs, a row group a GPU."""

DEVICE_SERIES_SCHEMA = pa.schema(
    [
        POWER_SCHEMA.field("node"),
        pa.field("labels", pa.large_string(), nullable=False),
        POWER_SCHEMA.field("timestamp"),
        pa.field("value", pa.float64()),
    ]
)
"""Columns of `schemas.DeviceSeries`: other series, a row group a node and set of labels."""


class OrderError(AssertionError):
    """Samples for a monthly file that are not sorted by node and time, or that repeat a time."""


def write_monthly_file(
    frames: Iterable[pl.DataFrame], path: str | Path, *, schema: pa.Schema = POWER_SCHEMA
) -> None:
    """Write a monthly file, with a row group for each node (or GPU, or set of labels).

    Args:
        frames: `schemas.Power` of one node each, in the order of the nodes' names; or
            `schemas.DevicePower` of one GPU each, by node and GPU; or `schemas.DeviceSeries` of one
            set of labels each, by node and labels.
        path: The monthly file.
        schema: `POWER_SCHEMA`, `DEVICE_POWER_SCHEMA` or `DEVICE_SERIES_SCHEMA`.

    Raises:
        OrderError: Nodes or times are not strictly ascending. Only neighbours are compared, so that
            one frame at a time is in memory.
    """
    *key, _, value = schema.names
    previous: tuple[Any, ...] = ()
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
            current = frame.select(key).row(0)
            is_ascending = frame.select(
                (pl.col("timestamp").diff().drop_nulls() > pl.duration()).all()
                & pl.all_horizontal(
                    pl.col(name) == of for name, of in zip(key, current, strict=True)
                ).all()
            ).item()
            if current <= previous or not is_ascending:
                what = " ".join(map(str, current))
                raise OrderError(f"{path}: samples of {what} are not sorted by node and time")
            previous = current
            rows = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
            # not rows.cast(schema), which imports pyarrow.compute in 0.04 s
            table = pa.Table.from_arrays(rows.columns, schema=schema)
            writer.write_table(table, row_group_size=len(frame))


def sample_reader(*paths: str | Path) -> Callable[[str], pl.DataFrame]:
    """Open monthly files, and return a function that reads the samples of one node.

    Only the footers of the files are read at first, and later the row groups of the node.

    Args:
        paths: Monthly files of one cluster (`schemas.Power`). Their margins may overlap.

    Returns:
        A function from the name of a node to its samples, `timestamp` (UTC) and `power_w` (W),
        strictly ascending in time; empty when the node has no sample.
    """
    series = _open_series(paths, n_keys=1)
    return lambda node: _join_months(series.get((node,), []))


def gpu_power_reader(*paths: str | Path) -> Callable[[str], pl.DataFrame]:
    """Open monthly files of GPUs, and return a function that reads those of one node, or one GPU.

    Only the footers of the files are read at first, and later the row groups of the GPUs.

    Args:
        paths: Monthly files of one cluster (`schemas.DevicePower`). Their margins may overlap.

    Returns:
        A function from the name of a node, or of a GPU as in `gres-1/0`, to `gpu`, `timestamp`
        (UTC) and `power_w` (W), strictly ascending in time for each GPU; empty without readings.
    """
    series = _open_series(paths, n_keys=2)
    empty = pl.DataFrame(DevicePower.create_empty()).drop("node")

    def read(name: str) -> pl.DataFrame:
        node, _, only = name.partition("/")
        own = [key for key in sorted(series) if key[0] == node and only in ("", str(key[1]))]
        return pl.concat(
            [empty]
            + [
                _join_months(series[key]).select(pl.lit(key[1], pl.UInt8).alias("gpu"), pl.all())
                for key in own
            ]
        )

    return read


_Month = tuple[pq.ParquetFile, int]
"""Monthly file, and the number of a row group in it."""


def _open_series(paths: Iterable[str | Path], n_keys: int) -> dict[tuple[Any, ...], list[_Month]]:
    """Row groups of each series by the first `n_keys` columns, which are constant in a group."""
    series: dict[tuple[Any, ...], list[_Month]] = {}
    for path in paths:
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            of = tuple(group.column(place).statistics.min for place in range(n_keys))
            series.setdefault(of, []).append((file, number))
    return series


def _join_months(groups: Iterable[_Month]) -> pl.DataFrame:
    """Samples of successive months; each month starts after the end of the month before.

    Polars would read the footer again for each row group, and take twice as long.
    """
    columns = ["timestamp", "power_w"]
    months = [
        pl.DataFrame(file.read_row_group(number, columns=columns, use_threads=False))
        for file, number in groups
    ]
    months.sort(key=lambda month: month["timestamp"][0])
    parts = months[:1] or [pl.DataFrame(Power.create_empty()).select(columns)]
    for month in months[1:]:
        end = parts[-1]["timestamp"][-1]
        later = month[month["timestamp"].search_sorted(end, side="right") :]
        parts += [later] if len(later) else []
    return pl.concat(parts)


def cluster_nodes(path: str | Path, cluster: str) -> list[str]:
    """Names of a cluster's nodes, sorted as in monthly files.

    Args:
        path: File of `schemas.Nodes`.
        cluster: Cluster.
    """
    nodes = pl.scan_parquet(path).filter(pl.col("cluster") == cluster)
    return nodes.select(pl.col("node").unique().sort()).collect()["node"].to_list()
