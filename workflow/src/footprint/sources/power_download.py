"""Power of a cluster and month: reads, cleans and writes the readings of one node at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.calendar import Window
from footprint.schemas.energy import Quality, SensorSpells
from footprint.sources import monthly_files, series
from footprint.sources.cleaning import CleaningSettings, clean_readings
from footprint.sources.held_time import HeldTime
from footprint.sources.kwollect import means
from footprint.sources.protocol import Site


class DownloadQuality(NamedTuple):
    """Counts of a month's readings by node and day, and failures of sensors.

    Attributes:
        quality: `schemas.Quality`.
        spells: `schemas.SensorSpells`.
    """

    quality: pl.DataFrame
    spells: pl.DataFrame


def download_power(
    site: Site,
    nodes: pl.DataFrame,
    path: str | Path,
    *,
    metric: str,
    cluster: str,
    window: Window,
    settings: CleaningSettings,
    sum_over: str | None = None,
    held: Mapping[str, HeldTime] | None = None,
    gpu_power: Callable[[str], pl.DataFrame] | None = None,
) -> DownloadQuality:
    """Write the monthly file of a cluster: samples in a window with a margin of `max_gap_s`.

    Args:
        site: Source of the readings.
        nodes: `schemas.Nodes`.
        path: The monthly file to write (`schemas.Power`).
        metric: Kwollect metric.
        cluster: Cluster.
        window: The month, or the part of the study inside it.
        settings: Gaps, lowest power and calibration of the cluster.
        sum_over: Label that distinguishes the parts of a node, whose power is summed.
        held: Intervals in which jobs held each node; a node without an entry was never held.
        gpu_power: Reads the GPU power of a node in the month (`monthly_files.gpu_power_reader`);
            None: unknown.

    Returns:
        `schemas.Quality` and `schemas.SensorSpells` of the readings inside the window.

    Raises:
        InputError: A node has several series of the metric (`series.merge_series`).
    """
    # from the description valid at the end; from the first one where all begin later
    limit = pl.col("max_plausible_power_w")
    at_end = limit.filter(pl.col("valid_from") <= window.end).last()
    limits = dict(
        nodes.filter(pl.col("cluster") == cluster)
        .sort("node", "valid_from")
        .group_by("node", maintain_order=True)
        .agg(pl.coalesce(at_end, limit.first()))
        .iter_rows()
    )
    margin = timedelta(seconds=settings.max_gap_s)
    start, end = window.start - margin, window.end + margin
    quality = [pl.DataFrame(Quality.create_empty())]
    spells = [pl.DataFrame(SensorSpells.create_empty())]

    def samples() -> Iterator[pl.DataFrame]:
        for raw in site.power(metric=metric, cluster=cluster, start=start, end=end):
            if raw.is_empty():
                continue
            node = raw["node"][0]
            readings = series.merge_series(raw, metric=metric, sum_over=sum_over)
            cleaned = clean_readings(
                _expand_means(readings, start=start, end=end),
                max_plausible_power_w=limits[node],
                window=window,
                settings=settings,
                held=(held or {}).get(node),
                read_gpu_power=partial(gpu_power, node) if gpu_power else None,
            )
            quality.append(cleaned.quality)
            spells.append(cleaned.spells)
            yield cleaned.samples

    monthly_files.write_monthly_file(samples(), path)
    counts = pl.concat(quality, how="diagonal_relaxed").select(quality[0].columns)
    return DownloadQuality(counts, pl.concat(spells))


def _expand_means(readings: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Readings in which means over 5 minutes are expanded, unless the source expanded them."""
    if "from_summary" not in readings.columns:
        is_used = pl.col("reason").is_null() if "reason" in readings.columns else pl.lit(True)
        expanded = means.replace_means(readings.filter(is_used), start=start, end=end)
        readings = pl.concat([expanded, readings.filter(~is_used)], how="diagonal")
    return means.reject_differing_means(readings)
