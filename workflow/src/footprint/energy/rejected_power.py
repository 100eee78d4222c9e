"""Rejected rows of power: clusters without a usable reading, drop-outs and stuck sensors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.sums import exact_sum
from footprint.core.units import H_PER_S
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources.cleaning import DROP_OUT_KIND, STUCK_KIND
from footprint.sources.kwollect import metrics

REJECTION_REASONS = {
    "n_nan": "not a number",
    "n_not_positive": "0 W or less",
    "n_spike": "above `max_plausible_power_w`",
    "n_drop_out": "below `integration.off_threshold_w` under a job",
    "n_incomplete": "a part of the node missing",
    "n_stuck": "constant although power changed",
}
"""Reason of a rejected reading by the column of `schemas.Quality` that counts it."""

REASON_OF_SPELL_KIND = {
    DROP_OUT_KIND: "reading below `integration.off_threshold_w` while a job held the node: a dead "
    "sensor, or a unit other than W",
    STUCK_KIND: "constant reading of a stuck sensor although the node's power must have changed",
}
"""Reason of the rejected readings of a spell by its kind."""

_Row = tuple[str, str, int, str | None]
"""`source`, `reason`, `n_rows` and `example` of a rejected row."""


def rejected_power_from_files(
    files: Any, *, clusters: Collection[str], metric: str
) -> pl.DataFrame:
    """Rejected rows of power (`rejected_power_rows`), from the files of a study.

    Args:
        files: Paths of `nodes`, and of the `quality` and `spells` of each month; for `exports`,
            `converted`.
        clusters: Clusters of the study.
        metric: Metric integrated.
    """
    folder = files.get("converted")
    return rejected_power_rows(
        pl.read_parquet(files.quality),
        pl.read_parquet(files.spells),
        pl.read_parquet(files.nodes),
        clusters=clusters,
        metric=metric,
        converted=Path(folder) if folder else None,
    )


def rejected_power_rows(
    quality: pl.DataFrame,
    spells: pl.DataFrame,
    nodes: pl.DataFrame,
    *,
    clusters: Collection[str],
    metric: str,
    converted: Path | None = None,
) -> pl.DataFrame:
    """Rows for clusters without a usable reading, and for failed sensors (`schemas.RejectedRows`).

    `n_rows` of a cluster without a usable reading counts the readings received of the metric, or of
    other metrics where there are none of the metric. `n_rows` of drop-outs and stuck sensors counts
    readings; their node hours are in the example.

    Args:
        quality: `schemas.Quality` of the study.
        spells: `schemas.SensorSpells` of the study.
        nodes: `schemas.Nodes`.
        clusters: Clusters of the study.
        metric: Metric integrated.
        converted: For `exports`, the folder with the converted files; None for other sources.
    """
    cluster_of = nodes.select("node", "cluster").unique()
    counts = (
        quality.join(cluster_of, on="node")
        .group_by("cluster")
        .agg(
            exact_sum(pl.col("n_read", "n_kept", *REJECTION_REASONS)),
            example=pl.col("node").filter(pl.col("n_read") > 0).min(),
        )
    )
    counts_of = {row["cluster"]: row for row in counts.iter_rows(named=True)}
    others = _count_other_metrics(converted, cluster_of, metric)
    rows = []
    for cluster in sorted(clusters):
        found = counts_of.get(cluster)
        if found is None or not found["n_read"]:
            rows.append(_row_without_readings(cluster, nodes, metric, others))
        elif not found["n_kept"]:
            why = ", ".join(word for name, word in REJECTION_REASONS.items() if found[name])
            reason = f"no usable reading of {metric}: all {why}"
            rows.append((cluster, reason, found["n_read"], found["example"]))
    for kind in REASON_OF_SPELL_KIND:
        rows += _rows_of_spells(spells, cluster_of, kind)
    schema = RejectedRows.create_empty().schema
    columns = ("source", "reason", "n_rows", "example")
    found_rows = pl.DataFrame(rows, schema={name: schema[name] for name in columns}, orient="row")
    result: pl.DataFrame = conform(RejectedRows, found_rows.with_columns(stage=pl.lit("power")))
    return result


def _row_without_readings(
    cluster: str, nodes: pl.DataFrame, metric: str, others: pl.DataFrame
) -> _Row:
    """Row of a cluster without any reading of the metric, with the reason."""
    own = others.filter(pl.col("cluster") == cluster)
    if len(own):
        names = ", ".join(own["metric"].unique().sort())
        reason = f"no reading of {metric}, of other metrics only"
        return cluster, reason, own.select(exact_sum(pl.col("n_rows"))).item(), names
    collected = pl.col("power_metrics").list.set_intersection(list(metrics.stored_names(metric)))
    declared = nodes.filter((pl.col("cluster") == cluster) & pl.col("power_metrics").is_not_null())
    if len(declared) and not declared.select((collected.list.len() > 0).any()).item():
        return cluster, f"no reading: {metric} is not collected unless a job asks for it", 0, None
    return cluster, f"no reading of {metric} in the source", 0, None


def _count_other_metrics(
    converted: Path | None, cluster_of: pl.DataFrame, metric: str
) -> pl.DataFrame:
    """Rows of other metrics in the files: `metric`, `cluster`, `n_rows`."""
    from footprint.sources.exports.conversion import SERIES_COUNTS_COLUMNS, SERIES_COUNTS_FILE

    path = None if converted is None else converted / SERIES_COUNTS_FILE
    seen = (
        pl.read_parquet(path)
        if path and path.is_file()
        else pl.DataFrame(schema=SERIES_COUNTS_COLUMNS)
    )
    names = metrics.stored_names(metric)
    return (
        seen.filter(~pl.col("metric").is_in(names))
        .join(cluster_of.rename({"node": "device"}), on="device")
        .select("metric", "cluster", "n_rows")
    )


def _rows_of_spells(spells: pl.DataFrame, cluster_of: pl.DataFrame, kind: str) -> list[_Row]:
    """Row of each cluster with spells of a kind: readings, node hours, the node with the most.

    The hours of a spell are from its first to its last reading.
    """
    own = spells.filter(pl.col("kind").cast(pl.String) == kind).join(cluster_of, on="node")
    lasted_us = (pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds()
    by_node = own.group_by("cluster", "node").agg(
        exact_sum(pl.col("n_readings")), us=exact_sum(lasted_us)
    )
    by_cluster = (
        by_node.sort("us", "node", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(exact_sum(pl.col("n_readings", "us")), pl.col("node").first())
        .sort("cluster")
    )
    reason = REASON_OF_SPELL_KIND[kind]
    return [
        (
            cluster,
            reason,
            n_readings,
            f"{node}, {us * 1e-6 * H_PER_S:.3g} node hours of its cluster",
        )
        for cluster, n_readings, us, node in by_cluster.iter_rows()
    ]
