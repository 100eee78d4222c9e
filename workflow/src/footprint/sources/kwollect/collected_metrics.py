"""Metrics that Kwollect collects of a node by default."""

from __future__ import annotations

import polars as pl

from footprint.sources.kwollect.metrics import stored_names


def uncollected_nodes(nodes: pl.DataFrame, metric: str) -> list[str]:
    """Nodes for which Kwollect does not collect a metric by default, sorted.

    Args:
        nodes: `schemas.Nodes`. Nodes whose `power_metrics` are null are left out.
        metric: The metric, by its current name.
    """
    names = sorted(stored_names(metric))
    is_collected = pl.col("power_metrics").list.set_intersection(names).list.len() > 0
    without = nodes.filter(pl.col("power_metrics").is_not_null() & ~is_collected)
    found: list[str] = without["node"].unique().sort().to_list()
    return found
