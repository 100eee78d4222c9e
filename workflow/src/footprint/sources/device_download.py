"""Series of GPUs and node exporters of a cluster and month: GPU power cleaned, others unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import monthly_files
from footprint.sources.kwollect.metrics import GPU_POWER_METRIC, MAX_READING_AGE_S
from footprint.sources.protocol import Site
from footprint.sources.series import gpus_of_readings

MAX_PLAUSIBLE_GPU_POWER_W = 5_000.0
"""Highest power of a GPU, in W; an exporter without a value reports 2147483632."""


def download_gpu_power(
    site: Site,
    path: str | Path,
    *,
    cluster: str,
    start: datetime,
    end: datetime,
    max_gap_s: float,
) -> pl.DataFrame:
    """Write the power of a cluster's GPUs that attribution in [start, end) may need.

    Args:
        site: Source of the readings.
        path: The monthly file to write (`schemas.DevicePower`).
        cluster: Cluster.
        start: Start of the month, or of the study inside it.
        end: End of the month or study, excluded.
        max_gap_s: Longest time between samples of node power that is not a gap, in seconds; a
            sample that long before `start` needs readings too.

    Returns:
        Readings in [start, end) that were rejected (`schemas.RejectedRows`).

    Raises:
        InputError: A reading has no label `gpu`.
    """
    first = start - timedelta(seconds=max_gap_s + MAX_READING_AGE_S)
    rejected = [pl.DataFrame(schema={"node": pl.String(), "reason": pl.String()})]

    def readings() -> Iterator[pl.DataFrame]:
        for raw in site.devices(metric=GPU_POWER_METRIC, cluster=cluster, start=first, end=end):
            for own in _groups_in_order(with_gpu_index(raw), "gpu"):
                judged = mark_rejected_readings(own)
                inside = pl.col("timestamp") >= start
                rejected.append(judged.drop_nulls("reason").filter(inside).select("node", "reason"))
                yield judged.filter(pl.col("reason").is_null())

    monthly_files.write_monthly_file(readings(), path, schema=monthly_files.DEVICE_POWER_SCHEMA)
    counted = (
        pl.concat(rejected)
        .group_by("reason")
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("node").min())
        .with_columns(stage=pl.lit("devices"), source=pl.lit(f"{cluster} from {start:%Y-%m-%d}"))
    )
    table: pl.DataFrame = conform(RejectedRows, counted)
    return table


def write_device_series(series: Iterable[pl.DataFrame], path: str | Path) -> int:
    """Write a series (`schemas.DeviceSeries`), with the lowest of several values at one time.

    Args:
        series: `node`, `labels`, `timestamp`, `value`, one frame a node, by name.
        path: The monthly file to write.

    Returns:
        Number of values left out, because there was a lower or equal one at the same time.
    """
    n_left_out = 0

    def sorted_series() -> Iterator[pl.DataFrame]:
        nonlocal n_left_out
        for frame in series:
            for own in _groups_in_order(frame, "labels"):
                ordered = own.sort("timestamp", "value", nulls_last=True)
                once = ordered.filter(pl.col("timestamp").ne_missing(pl.col("timestamp").shift()))
                n_left_out += len(own) - len(once)
                yield once

    monthly_files.write_monthly_file(
        sorted_series(), path, schema=monthly_files.DEVICE_SERIES_SCHEMA
    )
    return n_left_out


def _groups_in_order(frame: pl.DataFrame, column: str) -> list[pl.DataFrame]:
    """Rows of each value of a column, in the order of the values."""
    parts = frame.partition_by(column, as_dict=True)
    return [parts[value] for value in sorted(parts)]


def with_gpu_index(raw: pl.DataFrame) -> pl.DataFrame:
    """Readings with the index of their GPU, from the label `gpu`.

    Args:
        raw: `node`, `labels`, `timestamp`, `value`, as from `Site.devices`.

    Returns:
        `node`, `gpu`, `timestamp`, `power_w` (W).

    Raises:
        InputError: A reading has no label `gpu`.
    """
    gpus = gpus_of_readings(raw, device="node", where=GPU_POWER_METRIC, do="remove this series")
    return raw.select("node", gpus.alias("gpu"), "timestamp", power_w="value")


def mark_rejected_readings(raw: pl.DataFrame) -> pl.DataFrame:
    """Readings of a GPU, sorted, with the `reason` of rejected ones, else null.

    Args:
        raw: `node`, `gpu`, `timestamp`, `power_w` (W) of one GPU, in any order.
    """
    power, time = pl.col("power_w"), pl.col("timestamp")
    reason = (
        pl.when(power.is_null() | power.is_nan())
        .then(pl.lit("not a number"))
        .when(power <= 0)
        .then(pl.lit("0 W or less"))
        .when(power > MAX_PLAUSIBLE_GPU_POWER_W)
        .then(pl.lit("more than a GPU can draw"))
    )
    # readings of one time without a reason are neighbours: others are lower, or higher, or last
    is_valid = pl.col("reason").is_null()
    is_repeated = is_valid & is_valid.shift() & (time == time.shift())
    return (
        raw.sort("timestamp", "power_w", nulls_last=True)
        .with_columns(reason=reason)
        .with_columns(reason=pl.when(is_repeated).then(pl.lit("repeated")).otherwise("reason"))
    )
