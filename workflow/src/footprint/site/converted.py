"""Samples of Kwollect, converted once to Parquet, to be asked for by cluster and month.

A folder has one Parquet file for each piece of a source file that fits into memory, and an index of
the nodes and times that each holds (`pieces`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint import kwollect_metrics, node_names, series, tables
from footprint.errors import InputError
from footprint.node_names import GRID5000, cluster_of
from footprint.site import kwollect, pieces
from footprint.site.reference import SAVE_NODE
from footprint.summation import exact_sum

INDEX = "index.parquet"
SERIES_SEEN = "series.parquet"
SERIES: dict[str, Any] = {"metric": pl.String, "device": pl.String, "n_rows": pl.Int64}


def convert_power(
    paths: Sequence[Path],
    *,
    metric: str,
    nodes: Collection[str],
    directory: Path,
    stage: str = "power",
    pattern: str = GRID5000,
    site: str | None = None,
) -> pl.DataFrame:
    """Write the samples of one metric to `directory`, and count those that are not of the study.

    Samples under a former name of the metric are samples of it. Set aside (`tables.SetAside`, by
    file): samples of other metrics, of the virtual devices `<node>-bmc` (Kwollect gives each
    reading of a BMC once more under that name), of devices that are no nodes, of nodes of
    clusters that are not described, and of nodes of another site. `SERIES_SEEN` in `directory`
    has how many samples of which metrics the nodes have.

    Args:
        paths: Files of samples, in any format that `kwollect.samples` reads.
        metric: The metric to keep, as in `bmc_node_power_watt`.
        nodes: Nodes described.
        directory: Folder to write; made when missing.
        stage: `power`, whose samples get a column `labels` (`series.keys`), or `devices` for
            samples of single GPUs, which get a column `gpu`.
        pattern: Pattern of the nodes' names.
        site: Site of the nodes described; None: all nodes are of it.

    Raises:
        InputError: A file cannot be read, or has samples of a node that is not described although
            others of its cluster are, or no file has the metric.
    """
    directory.mkdir(parents=True, exist_ok=True)
    described, by_gpu = frozenset(nodes), stage == "devices"
    names = kwollect_metrics.names_of(metric)
    wanted = pl.col("metric").is_in(names)
    places, seen = [pl.DataFrame(schema=pieces.PLACE)], [pl.DataFrame(schema=SERIES)]
    aside = [pl.DataFrame(schema=tables.SetAside.create_empty().schema)]
    for number, path in enumerate(paths):
        counts = [pl.DataFrame(schema=SERIES)]
        label = "gpu" if by_gpu else "labels"
        for part, frame in enumerate(kwollect.samples(path, label=label, site=site)):
            count = frame.group_by("metric", "device").agg(n_rows=pl.len().cast(pl.Int64))
            _check_described(count.filter(wanted), path, described, pattern)
            counts.append(count)
            target = directory / f"{number:05d}-{part:05d}-{path.name}.parquet"
            kept = frame.filter(wanted)
            if by_gpu:
                kept = kwollect.with_gpu(kept, path)
            else:
                kept = kept.with_columns(labels=series.keys(kept["labels"]))
            places.append(_write(kept, described, target))
        seen += counts
        counted = _set_aside(pl.concat(counts), path, names, described, pattern)
        aside.append(counted.with_columns(stage=pl.lit(stage)))
    # GPUs may be there with other series only; without power there is no study
    total = pl.concat(seen).group_by("metric", "device").agg(exact_sum(pl.col("n_rows")))
    metrics = set(total["metric"])
    if not by_gpu and metrics and metrics.isdisjoint(names):
        have = f"the files of {stage}/ have {', '.join(sorted(metrics))}"
        raise InputError(f"no sample of {metric}", where="integration.metric", do=have)
    pl.concat(places).write_parquet(directory / INDEX)
    total.sort("metric", "device").write_parquet(directory / SERIES_SEEN)
    set_aside: pl.DataFrame = tables.conform(tables.SetAside, pl.concat(aside))
    return set_aside


def power(
    directory: Path, *, nodes: Collection[str], start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """Samples in [start, end) of each node that has some, by name.

    Columns `node`, `timestamp`, `power_w`, and `gpu`, or `labels` where those of a node's samples
    differ.

    Args:
        directory: Folder that `convert_power` wrote.
        nodes: Nodes asked for.
        start: Start of the window.
        end: End of the window, excluded.
    """
    index = pl.read_parquet(directory / INDEX)
    for frame in pieces.read(directory, index, nodes=nodes, start=start, end=end):
        yield series.with_labels_that_differ(frame) if "labels" in frame.columns else frame


def outside_study(
    directory: Path,
    *,
    clusters: Collection[str],
    start: datetime,
    end: datetime,
    stage: str = "power",
    pattern: str = GRID5000,
) -> pl.DataFrame:
    """Converted samples that the study does not integrate, by reason (`tables.SetAside`).

    With these, every sample of the metric is either counted in the quality table or here.

    Args:
        directory: Folder that `convert_power` wrote.
        clusters: Clusters of the study.
        start: Start of the study.
        end: End of the study, excluded.
        stage: `power` or `devices`.
        pattern: Pattern of the nodes' names.
    """
    names = sorted(set(pl.read_parquet(directory / INDEX)["file"]))
    if not names:
        return pl.DataFrame(tables.SetAside.create_empty())
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    cluster = node_names.cluster(pl.col("node"), pattern)
    reason = (
        pl.when(~cluster.is_in(clusters))
        .then(pl.lit("cluster not studied"))
        .when(~inside)
        .then(pl.lit("outside the study's days"))
    )
    counted = (
        pl.scan_parquet([directory / name for name in names])
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
    found: pl.DataFrame = tables.conform(tables.SetAside, counted)
    return found


def _write(samples: pl.DataFrame, nodes: frozenset[str], target: Path) -> pl.DataFrame:
    """Write the samples of the nodes described; which nodes and times there are (pieces.PLACE)."""
    kept = samples.filter(pl.col("device").is_in(nodes)).select(
        pl.col("device").alias("node"), pl.col("^(gpu|labels)$"), "timestamp", power_w="value"
    )
    return pieces.write(kept, target)


def _check_described(count: pl.DataFrame, path: Path, nodes: frozenset[str], pattern: str) -> None:
    clusters = {cluster_of(node, pattern) for node in nodes}
    for device in sorted(set(count["device"]) - nodes):
        if "." not in device and cluster_of(device, pattern) in clusters:
            what = f"has samples of node {device}, which is not described"
            raise InputError(what, where=str(path), do=SAVE_NODE)


def _set_aside(
    counts: pl.DataFrame,
    path: Path,
    names: Collection[str],
    nodes: frozenset[str],
    pattern: str,
) -> pl.DataFrame:
    """Samples that were not kept, by reason."""
    device = pl.col("device")
    is_other = ~pl.col("metric").is_in(names)
    is_node = node_names.cluster(device, pattern) != ""
    reason = (
        pl.when(is_other)
        .then(pl.lit("other metric"))
        .when(device.is_in(nodes))
        .then(None)
        .when(node_names.is_of_another_site(device))
        .then(pl.lit(node_names.OTHER_SITE))
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
