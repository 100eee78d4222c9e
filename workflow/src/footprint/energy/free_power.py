"""Power of nodes that no job holds, relative to their idle power by hardware.

Sites put nodes in standby or switch them off while they are free, so that a free node without
readings and without series draws less than its idle power. How much less is known from the nodes
with readings: `ratio = sum measured / sum by hardware` over their free time, by whether they have
GPUs (sites put other nodes in standby first), by the state of the node, and by whether it was free
for more than `LONG_SPELL_S`. Clusters with less than
`MIN_MEASURED_S` of such time do not count; without any, the ratio is 1.
"""

from __future__ import annotations

from itertools import product

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.energy.power_model import predict_power
from footprint.schemas.gaps import FreePower, SegmentSeries
from footprint.schemas.writing import conform

LONG_SPELL_S = 3600.0
"""Free time from which on a node is expected to be in standby."""
MIN_MEASURED_S = 3600.0
"""Least measured free time of a cluster that counts."""

_KEY = ["has_gpu", "is_unavailable", "is_long"]


def free_spells(segments: pl.DataFrame) -> pl.DataFrame:
    """Segments of free nodes with `is_long`: whether they are part of a long free spell.

    Args:
        segments: `node`, `from_us`, `to_us`, `share`, `is_unavailable`, sorted by node and start.
    """
    is_free = pl.col("share") <= 0
    is_new = pl.any_horizontal(
        pl.col(name) != pl.col(name).shift(1) for name in ("node", "is_free", "is_unavailable")
    )
    spell_us = pl.col("to_us").max().over("free_spell") - pl.col("from_us").min().over("free_spell")
    return (
        segments.with_columns(is_free=is_free)
        .with_columns(free_spell=is_new.fill_null(True).cum_sum())
        .with_columns(is_long=spell_us > LONG_SPELL_S * 1e6)
        .filter("is_free")
        .drop("is_free", "free_spell")
    )


def measure_free_power(
    segments: pl.DataFrame, hardware: pl.DataFrame, models: pl.DataFrame
) -> pl.DataFrame:
    """Power of free nodes relative to their hardware (`schemas.gaps.FreePower`).

    Args:
        segments: `schemas.gaps.Segments` of all clusters and months.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`.
        models: `schemas.gaps.VirtualMeter`.
    """
    free = free_spells(segments.sort("node", "from_us")).filter(pl.col("covered_s") > 0)
    predicted = (
        predict_power(_without_series(free), hardware, models)
        .drop_nulls("power_w")
        .collect()
        .join(hardware.select("node", "cluster", "has_gpu"), on="node", maintain_order="left")
        .with_columns(predicted_j=pl.col("power_w") * pl.col("covered_s"))
    )
    sums = ["covered_s", "energy_j", "predicted_j"]
    by_cluster = predicted.group_by("cluster", *_KEY).agg(sum_or_zero(pl.col(sums)))
    found = (
        by_cluster.filter(pl.col("covered_s") >= MIN_MEASURED_S)
        .group_by(_KEY)
        .agg(sum_or_zero(pl.col(sums)))
    )
    kinds = pl.DataFrame(list(product([False, True], repeat=len(_KEY))), schema=_KEY, orient="row")
    ratio = pl.when(pl.col("predicted_j") > 0).then(pl.col("energy_j") / pl.col("predicted_j"))
    return conform(  # type: ignore[no-any-return]
        FreePower,
        kinds.join(found, on=_KEY, how="left").with_columns(
            measured_s=pl.col("covered_s").fill_null(0.0), ratio=ratio.fill_null(1.0)
        ),
    )


def scale_free_power(
    gaps: pl.DataFrame,
    segments: pl.DataFrame,
    hardware: pl.DataFrame,
    free_power: pl.DataFrame,
) -> pl.DataFrame:
    """Scale the power by hardware of segments of free nodes.

    Args:
        gaps: Segments with missing time: `node`, `from_us`, `basis`, `power_w`.
        segments: All segments of these nodes, sorted by node and start.
        hardware: `node_hardware.NODE_HARDWARE_SCHEMA`.
        free_power: Result of `measure_free_power`.
    """
    of_nodes = hardware.select("node", "has_gpu")
    free = free_spells(segments).join(of_nodes, on="node", maintain_order="left")
    ratios = free.join(free_power.select(*_KEY, "ratio"), on=_KEY)
    factor = pl.when(pl.col("basis") == "hardware").then(pl.col("ratio")).fill_null(1.0)
    return (
        gaps.join(
            ratios.select("node", "from_us", "ratio"),
            on=["node", "from_us"],
            how="left",
            maintain_order="left",
        )
        .with_columns(power_w=pl.col("power_w") * factor)
        .drop("ratio")
    )


def _without_series(rows: pl.DataFrame) -> pl.DataFrame:
    """Segments with the columns of `schemas.gaps.SegmentSeries`, all null."""
    columns = [name for name in SegmentSeries.column_names() if name not in ("node", "from_us")]
    return rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
