"""Series of the devices of a cluster in a month: power of its GPUs cleaned, others as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from footprint import partitions, tables
from footprint.activity import RECENT_S
from footprint.errors import InputError
from footprint.site import Site
from footprint.site.kwollect import GPU_POWER_METRIC

# No GPU draws so much; an exporter's "no value" is 2147483632.
MAX_PLAUSIBLE_POWER_W = 5_000.0


def download(
    site: Site,
    path: str | Path,
    *,
    cluster: str,
    start: datetime,
    end: datetime,
    max_gap_s: float,
) -> pl.DataFrame:
    """Write the readings of a cluster's GPUs that samples of power in [start, end) may need.

    Args:
        site: Source of the readings.
        path: The partition to write (`tables.DevicePower`).
        cluster: Cluster.
        start: Start of the month, or of the study inside it.
        end: End of it, excluded.
        max_gap_s: Longest time between samples of power: a reading may be needed for a sample that
            comes so long before `start`.

    Returns:
        Readings inside [start, end) that were set aside (`tables.SetAside`).
    """
    first = start - timedelta(seconds=max_gap_s + RECENT_S)
    dropped = [pl.DataFrame(schema={"node": pl.String(), "reason": pl.String()})]

    def readings() -> Iterator[pl.DataFrame]:
        for raw in site.devices(metric=GPU_POWER_METRIC, cluster=cluster, start=first, end=end):
            judged = judge(gpu_power(raw))
            inside = pl.col("timestamp") >= start
            dropped.append(judged.filter(inside).drop_nulls("reason").select("node", "reason"))
            kept = judged.filter(pl.col("reason").is_null())
            yield from kept.partition_by("gpu", maintain_order=True)

    partitions.write(readings(), path, schema=partitions.DEVICE_SCHEMA)
    counted = (
        pl.concat(dropped)
        .group_by("reason")
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("node").min())
        .with_columns(stage=pl.lit("devices"), source=pl.lit(f"{cluster} from {start:%Y-%m-%d}"))
    )
    set_aside: pl.DataFrame = tables.conform(tables.SetAside, counted)
    return set_aside


def write_series(series: Iterable[pl.DataFrame], path: str | Path) -> int:
    """Write a series (`tables.DeviceSeries`), of values at the same time only the least.

    Args:
        series: `node`, `labels`, `timestamp`, `value`, one frame a node, by name.
        path: The partition to write.

    Returns:
        How many values were left out since there was another at the same time.
    """
    n_left_out = 0

    def parts() -> Iterator[pl.DataFrame]:
        nonlocal n_left_out
        for frame in series:
            ordered = frame.sort("labels", "timestamp", "value", nulls_last=True)
            once = ordered.unique(["labels", "timestamp"], keep="first", maintain_order=True)
            n_left_out += len(frame) - len(once)
            yield from once.partition_by("labels", maintain_order=True)

    partitions.write(parts(), path, schema=partitions.SERIES_SCHEMA)
    return n_left_out


def gpu_power(raw: pl.DataFrame) -> pl.DataFrame:
    """Readings with the index of the GPU that their labels name: `node`, `gpu`, ..., `power_w`.

    Raises:
        InputError: A reading does not say in its label `gpu` whose it is.
    """
    gpu = pl.col("labels").str.json_path_match("$.gpu").cast(pl.UInt8, strict=False)
    found = raw.select("node", gpu.alias("gpu"), "timestamp", power_w="value")
    for row in found.filter(pl.col("gpu").is_null()).head(1).iter_rows(named=True):
        what = f"the reading of {row['node']} at {row['timestamp']} has no label `gpu`"
        raise InputError(what, where=GPU_POWER_METRIC, do="leave the series out")
    return found


def judge(raw: pl.DataFrame) -> pl.DataFrame:
    """Readings of a node's GPUs, sorted, with the `reason` why one is set aside, or null.

    Args:
        raw: `node`, `gpu`, `timestamp`, `power_w` of one node, in any order.
    """
    power, moment = pl.col("power_w"), ["gpu", "timestamp"]
    reason = (
        pl.when(power.is_null() | power.is_nan())
        .then(pl.lit("not a number"))
        .when(power <= 0)
        .then(pl.lit("0 W or less"))
        .when(power > MAX_PLAUSIBLE_POWER_W)
        .then(pl.lit("more than a GPU can draw"))
    )
    again = pl.col("reason").is_null() & (pl.int_range(pl.len()).over(*moment, "reason") > 0)
    return (
        raw.sort(*moment, "power_w", nulls_last=True)
        .with_columns(reason=reason)
        .with_columns(reason=pl.when(again).then(pl.lit("repeated")).otherwise("reason"))
    )
