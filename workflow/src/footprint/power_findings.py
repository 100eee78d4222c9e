"""What the judgement of power readings means for a study: job flags and rows of the summary."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from footprint import held_time, kwollect_metrics, tables
from footprint.cleaning import DROP_OUT, STUCK
from footprint.summation import exact_sum
from footprint.units import H_PER_S

FLAGS = {STUCK: "stuck_sensor", DROP_OUT: "sensor_drop_out"}
"""Flag of a job by the kind of a spell that it held a node in."""

WORDS = {
    "n_nan": "not a number",
    "n_not_positive": "0 W or less",
    "n_spike": "above `max_plausible_power_w`",
    "n_drop_out": "below `integration.off_threshold_w` under a job",
    "n_incomplete": "a part of the node missing",
}


class Findings(NamedTuple):
    """What the judgement of readings adds to the tables of a study.

    Attributes:
        flags: `job_id`, `sensor_flags`.
        set_aside: `tables.SetAside`.
    """

    flags: pl.DataFrame
    set_aside: pl.LazyFrame


def find(files: Any, *, clusters: Collection[str], metric: str, end: datetime) -> Findings:
    """Flags of jobs and rows for the summary, from the files of a study.

    Args:
        files: Paths of `nodes`, `jobs`, `allocations`, and of each month's `quality` and `spells`;
            for `exports`, `converted`.
        clusters: Clusters of the study.
        metric: Metric integrated.
        end: End of the study.
    """
    spells, folder = pl.read_parquet(files.spells), files.get("converted")
    held = held_time.intervals(
        pl.scan_parquet(files.jobs), pl.scan_parquet(files.allocations), end=end
    )
    rows = set_aside(
        pl.read_parquet(files.quality),
        spells,
        pl.read_parquet(files.nodes),
        clusters=clusters,
        metric=metric,
        converted=Path(folder) if folder else None,
    )
    return Findings(flags(spells, held), rows.lazy())


def flags(spells: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Flags of jobs that held a node while its sensor failed: `job_id`, `sensor_flags`.

    Args:
        spells: `tables.SensorSpells`.
        held: `held_time.intervals`.
    """
    touching = (
        held.join(spells.rename({"started_at": "first", "stopped_at": "last"}), on="node")
        .filter((pl.col("first") < pl.col("stopped_at")) & (pl.col("last") >= pl.col("started_at")))
        .select("job_id", "kind")
        .unique()
        .join(
            pl.DataFrame({"kind": list(FLAGS), "place": range(len(FLAGS))}).cast(
                {"kind": spells.schema["kind"]}
            ),
            on="kind",
        )
        .sort("job_id", "place")
    )
    words = pl.col("kind").cast(pl.String).replace_strict(FLAGS, return_dtype=pl.String)
    return touching.group_by("job_id", maintain_order=True).agg(sensor_flags=words)


def with_flags(jobs: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Jobs with the flags of their sensors behind their own.

    Args:
        jobs: `tables.JobEnergy`.
        found: Result of `flags`.
    """
    added = jobs.join(found, on="job_id", how="left", maintain_order="left")
    more = pl.col("sensor_flags").fill_null(pl.lit([], dtype=pl.List(pl.String)))
    return added.with_columns(flags=pl.col("flags").list.concat(more)).drop("sensor_flags")


def set_aside(
    quality: pl.DataFrame,
    spells: pl.DataFrame,
    nodes: pl.DataFrame,
    *,
    clusters: Collection[str],
    metric: str,
    converted: Path | None = None,
) -> pl.DataFrame:
    """Clusters without any usable reading, and readings of too few watts (`tables.SetAside`).

    `n_rows` are readings received of a cluster without a usable one, of the metric or, where it has
    none of it, of other metrics; and readings that dropped out, with their node hours.

    Args:
        quality: `tables.Quality` of the study.
        spells: `tables.SensorSpells` of the study.
        nodes: `tables.Nodes`.
        clusters: Clusters of the study.
        metric: Metric integrated.
        converted: For `exports`, folder that `converted.convert_power` wrote.
    """
    cluster_of = nodes.select("node", "cluster").unique()
    counts = (
        quality.join(cluster_of, on="node")
        .group_by("cluster")
        .agg(
            exact_sum(pl.col("n_read", "n_kept", *WORDS)),
            example=pl.col("node").filter(pl.col("n_read") > 0).min(),
        )
    )
    known = {row["cluster"]: row for row in counts.iter_rows(named=True)}
    others = _other_metrics(converted, cluster_of, metric)
    rows = []
    for cluster in sorted(clusters):
        found = known.get(cluster)
        if found is None or not found["n_read"]:
            rows.append(_without_readings(cluster, nodes, metric, others))
        elif not found["n_kept"]:
            why = ", ".join(word for name, word in WORDS.items() if found[name])
            reason = f"no usable reading of {metric}: all {why}"
            rows.append((cluster, reason, found["n_read"], found["example"]))
    rows += _drop_outs(spells, cluster_of)
    schema = tables.SetAside.create_empty().schema
    columns = ("source", "reason", "n_rows", "example")
    found_rows = pl.DataFrame(rows, schema={name: schema[name] for name in columns}, orient="row")
    result: pl.DataFrame = tables.conform(
        tables.SetAside, found_rows.with_columns(stage=pl.lit("power"))
    )
    return result


_Row = tuple[str, str, int, str | None]


def _without_readings(cluster: str, nodes: pl.DataFrame, metric: str, others: pl.DataFrame) -> _Row:
    """Why a cluster has no reading at all."""
    own = others.filter(pl.col("cluster") == cluster)
    if len(own):
        names = ", ".join(own["metric"].unique().sort())
        reason = f"no reading of {metric}, of other metrics only"
        return cluster, reason, own.select(exact_sum(pl.col("n_rows"))).item(), names
    collected = pl.col("power_metrics").list.set_intersection(
        list(kwollect_metrics.names_of(metric))
    )
    declared = nodes.filter((pl.col("cluster") == cluster) & pl.col("power_metrics").is_not_null())
    if len(declared) and not declared.select((collected.list.len() > 0).any()).item():
        return cluster, f"no reading: {metric} is not collected unless a job asks for it", 0, None
    return cluster, f"no reading of {metric} in the source", 0, None


def _other_metrics(converted: Path | None, cluster_of: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Samples of other metrics that the files have: `metric`, `cluster`, `n_rows`."""
    from footprint.site.converted import SERIES, SERIES_SEEN

    path = None if converted is None else converted / SERIES_SEEN
    seen = pl.read_parquet(path) if path and path.is_file() else pl.DataFrame(schema=SERIES)
    names = kwollect_metrics.names_of(metric)
    return (
        seen.filter(~pl.col("metric").is_in(names))
        .join(cluster_of.rename({"node": "device"}), on="device")
        .select("metric", "cluster", "n_rows")
    )


def _drop_outs(spells: pl.DataFrame, cluster_of: pl.DataFrame) -> list[_Row]:
    """Readings of each cluster that dropped out, with their node hours and the node that has most.

    Hours are those from the first to the last reading of each spell.
    """
    low = spells.filter(pl.col("kind").cast(pl.String) == DROP_OUT).join(cluster_of, on="node")
    lasted_us = (pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds()
    by_node = low.group_by("cluster", "node").agg(
        exact_sum(pl.col("n_readings")), us=exact_sum(lasted_us)
    )
    by_cluster = (
        by_node.sort("us", "node", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(exact_sum(pl.col("n_readings", "us")), pl.col("node").first())
        .sort("cluster")
    )
    reason = (
        "reading below `integration.off_threshold_w` while a job held the node: a dead sensor, or "
        "a unit other than W"
    )
    return [
        (cluster, reason, n_readings, f"{node}, {us * 1e-6 * H_PER_S:.3g} node hours in all")
        for cluster, n_readings, us, node in by_cluster.iter_rows()
    ]
