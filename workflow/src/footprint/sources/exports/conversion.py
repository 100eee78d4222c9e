"""Readings in exported files of Kwollect, converted once to Parquet, to be read by node and month.

A folder has one Parquet file for each part of a source file that fits into memory, and an index of
the nodes and times of each (`indexed_readings`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import indexed_readings, node_names, rejected_files, series
from footprint.sources.kwollect import answers
from footprint.sources.kwollect import metrics as metric_names
from footprint.sources.kwollect.fields import SAVE_ANSWER_ADVICE
from footprint.sources.node_names import GRID5000_PATTERN, cluster_of
from footprint.sources.reference_api.descriptions import SAVE_NODE

log = logging.getLogger(__name__)

INDEX_FILE = "index.parquet"
"""Name of the file of the index (`indexed_readings.INDEX_COLUMNS`)."""

SERIES_COUNTS_FILE = "series.parquet"
"""Name of the file of counts of readings by metric and device (`SERIES_COUNTS_COLUMNS`)."""

SERIES_COUNTS_COLUMNS: dict[str, Any] = {
    "metric": pl.String,
    "device": pl.String,
    "n_rows": pl.Int64,
}
"""Columns of the counts: metric, device, and number of readings."""


def convert_power(
    paths: Sequence[Path],
    *,
    metrics: Sequence[str],
    nodes: Collection[str],
    directory: Path,
    stage: str = "power",
    pattern: str = GRID5000_PATTERN,
    site: str | None = None,
) -> pl.DataFrame:
    """Write the readings of each metric to a subfolder of its name, and count the rejected ones.

    Readings under a former name of a metric are readings of it. Rejected are readings of:

    - other metrics;
    - virtual devices `<node>-bmc`, under which Kwollect stores each reading of a BMC again;
    - devices that are not nodes;
    - nodes of clusters that are not described;
    - nodes of another site.

    The file `SERIES_COUNTS_FILE` in each subfolder has the number of readings by metric and device,
    of all metrics.

    Args:
        paths: Files of readings, in any format of `kwollect.answers`.
        metrics: The metrics to keep, as in `bmc_node_power_watt`.
        nodes: Described nodes.
        directory: Folder of the subfolders, which are created when missing.
        stage: `power`, or `devices` for readings of GPUs and processors.
        pattern: Pattern of the nodes' names.
        site: Site of the described nodes; None: all nodes are taken for nodes of it.

    Returns:
        Rejected readings by file and reason (`schemas.RejectedRows`).

    Raises:
        InputError: A file cannot be read, has readings of a node that is not described although its
            cluster is, or has a reading of a GPU without the label `gpu`; or no file has the
            metric.
    """
    described, is_of_devices = frozenset(nodes), stage == "devices"
    names_of = {metric: metric_names.stored_names(metric) for metric in metrics}
    names = [name for stored in names_of.values() for name in stored]
    is_wanted = pl.col("metric").is_in(names)
    for metric in metrics:
        (directory / metric).mkdir(parents=True, exist_ok=True)
    indices = {metric: [pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS)] for metric in metrics}
    series_counts = [pl.DataFrame(schema=SERIES_COUNTS_COLUMNS)]
    rejected = [pl.DataFrame(schema=RejectedRows.create_empty().schema)]
    for number, path in enumerate(paths):
        counts = [pl.DataFrame(schema=SERIES_COUNTS_COLUMNS)]
        written: dict[str, list[pl.DataFrame]] = {metric: [] for metric in metrics}
        try:
            for part, frame in enumerate(answers.read_file(path, with_labels=True, site=site)):
                count = frame.group_by("metric", "device").agg(n_rows=pl.len().cast(pl.Int64))
                _check_described(count.filter(is_wanted), path, described, pattern)
                counts.append(count)
                name = f"{number:05d}-{part:05d}-{path.name}.parquet"
                for metric, stored in names_of.items():
                    kept = frame.filter(pl.col("metric").is_in(stored))
                    if metric == metric_names.GPU_POWER_METRIC:
                        series.gpus_of_readings(
                            kept, device="device", where=str(path), do=SAVE_ANSWER_ADVICE
                        )
                    kept = kept.with_columns(labels=series.series_keys(kept["labels"]))
                    target = directory / metric / name
                    written[metric].append(_write_described(kept, described, target))
        except InputError as error:
            if not is_of_devices:
                raise
            # nothing optional stops a study
            log.warning("%s", error)
            entry = f"{path.parent.name}/{path.name}"
            rejected.append(rejected_files.reject_files([(entry, error.what)], stage=stage))
            continue
        for metric, index in written.items():
            indices[metric] += index
        series_counts += counts
        counted = _count_rejected(pl.concat(counts), path, names, described, pattern)
        rejected.append(counted.with_columns(stage=pl.lit(stage)))
    # a study needs the power of nodes; of GPUs there may be other series alone
    total = pl.concat(series_counts).group_by("metric", "device").agg(exact_sum(pl.col("n_rows")))
    found = set(total["metric"])
    if not is_of_devices and found and found.isdisjoint(names):
        do = f"set a metric that the files of {stage}/ have: {', '.join(sorted(found))}"
        what = f"no reading of {', '.join(metrics)}"
        raise InputError(what, where="integration.metric", do=do)
    for metric, index in indices.items():
        pl.concat(index).write_parquet(directory / metric / INDEX_FILE)
        total.sort("metric", "device").write_parquet(directory / metric / SERIES_COUNTS_FILE)
    table: pl.DataFrame = conform(RejectedRows, pl.concat(rejected))
    return table


def converted_readings(
    directory: Path, *, nodes: Collection[str], start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """Converted readings in [start, end), one frame for each node that has some, by name.

    Args:
        directory: Subfolder of a metric, written by `convert_power`.
        nodes: Nodes to read.
        start: Start of the window.
        end: End of the window, excluded.

    Yields:
        Columns `node`, `labels` (`series.series_keys`), `timestamp`, `power_w` (W).
    """
    index = pl.read_parquet(directory / INDEX_FILE)
    yield from indexed_readings.readings_by_node(
        directory, index, nodes=nodes, start=start, end=end
    )


def count_outside_study(
    directories: Sequence[Path],
    *,
    clusters: Collection[str],
    start: datetime,
    end: datetime,
    stage: str = "power",
    pattern: str = GRID5000_PATTERN,
) -> pl.DataFrame:
    """Counts of converted readings that the study does not use, by reason (`schemas.RejectedRows`).

    Every converted reading is counted either here or in `schemas.Quality`.

    Args:
        directories: Subfolders of metrics, written by `convert_power`.
        clusters: Clusters of the study.
        start: Start of the study.
        end: End of the study, excluded.
        stage: `power` or `devices`.
        pattern: Pattern of the nodes' names.
    """
    paths = sorted(
        directory / name
        for directory in directories
        for name in set(pl.read_parquet(directory / INDEX_FILE)["file"])
    )
    if not paths:
        return pl.DataFrame(RejectedRows.create_empty())
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    cluster = node_names.cluster_of_column(pl.col("node"), pattern)
    reason = (
        pl.when(~cluster.is_in(clusters))
        .then(pl.lit("cluster not studied"))
        .when(~inside)
        .then(pl.lit("outside the study's days"))
    )
    counted = (
        pl.scan_parquet(paths)
        .select("node", reason=reason)
        .drop_nulls("reason")
        .group_by("reason")
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("node").min())
        .select(
            pl.lit(stage).alias("stage"),
            pl.lit("all files").alias("source"),
            "reason",
            "n_rows",
            "example",
        )
    )
    found: pl.DataFrame = conform(RejectedRows, counted)
    return found


def _write_described(readings: pl.DataFrame, nodes: frozenset[str], target: Path) -> pl.DataFrame:
    """Write the readings of described nodes; their index (`indexed_readings.INDEX_COLUMNS`)."""
    kept = readings.filter(pl.col("device").is_in(nodes)).select(
        pl.col("device").alias("node"), "labels", "timestamp", power_w="value"
    )
    return indexed_readings.write_readings(kept, target)


def _check_described(count: pl.DataFrame, path: Path, nodes: frozenset[str], pattern: str) -> None:
    """Refuse readings of a node that is not described although its cluster is."""
    clusters = {cluster_of(node, pattern) for node in nodes}
    for device in sorted(set(count["device"]) - nodes):
        if "." not in device and cluster_of(device, pattern) in clusters:
            what = f"has readings of node {device}, which is not described"
            raise InputError(what, where=str(path), do=SAVE_NODE)


def _count_rejected(
    counts: pl.DataFrame,
    path: Path,
    names: Collection[str],
    nodes: frozenset[str],
    pattern: str,
) -> pl.DataFrame:
    """Counts of readings of a file that are not kept, by reason."""
    device = pl.col("device")
    is_other = ~pl.col("metric").is_in(names)
    is_node = node_names.cluster_of_column(device, pattern) != ""
    reason = (
        pl.when(is_other)
        .then(pl.lit("other metric"))
        .when(device.is_in(nodes))
        .then(None)
        .when(node_names.is_of_another_site(device))
        .then(pl.lit(node_names.OTHER_SITE_REASON))
        .when(device.str.ends_with("-bmc"))
        .then(pl.lit("virtual device"))
        .when(is_node)
        .then(pl.lit("other cluster"))
        .otherwise(pl.lit("not a node"))
    )
    example = pl.when(is_other).then("metric").otherwise("device")
    return (
        counts.with_columns(reason=reason, example=example)
        .drop_nulls("reason")
        .group_by("reason")
        .agg(exact_sum(pl.col("n_rows")), pl.col("example").min())
        .select(
            stage=pl.lit("power"),
            source=pl.lit(f"{path.parent.name}/{path.name}"),
            reason="reason",
            n_rows="n_rows",
            example="example",
        )
    )
