"""Idle and maximum power of each node, from its own samples."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from footprint.sources.calibration import Calibration

IDLE_QUANTILE = 0.05
"""Quantile of the samples without a job that is the idle power."""

MAX_QUANTILE = 0.995
"""Quantile of all samples that is the maximum power."""

MIN_SAMPLES = 12
"""Fewest samples for a quantile: a minute at 5 s."""


def measure_node_power(
    samples: Iterable[tuple[str, pl.DataFrame]],
    occupancy: pl.DataFrame,
    *,
    off_threshold_w: float,
    calibration: Calibration | None = None,
) -> pl.DataFrame:
    """Idle and maximum power (W) of each node over the study.

    The idle power is the 5th percentile of the samples without a job while the node is on. The
    maximum is the 99.5th percentile of all samples.

    Args:
        samples: Node, and its `timestamp`, `power_w` over the whole study, without margins: the
            occupancy outside the study is unknown.
        occupancy: `node_allocations.OCCUPANCY_SCHEMA`.
        off_threshold_w: Samples below it are standby, not idle.
        calibration: Line that is applied to the readings first, as in the integration; None: none.

    Returns:
        `node`, `idle_power_w`, `max_power_w` (null with fewer than `MIN_SAMPLES` samples),
        `n_idle_samples`.
    """
    line = calibration or Calibration()
    power = (pl.col("power_w") * line.slope + line.offset).clip(lower_bound=0.0)
    return pl.DataFrame(
        [
            _measure_node(node, frame.with_columns(power), occupancy, off_threshold_w)
            for node, frame in samples
        ],
        schema={
            "node": pl.String(),
            "idle_power_w": pl.Float64(),
            "max_power_w": pl.Float64(),
            "n_idle_samples": pl.Int64(),
        },
        orient="row",
    )


def _measure_node(
    node: str, samples: pl.DataFrame, occupancy: pl.DataFrame, off_threshold_w: float
) -> tuple[str, float | None, float | None, int]:
    """Row of one node in the result of `measure_node_power`."""
    steps = occupancy.filter(pl.col("node") == node)
    held = samples.select("timestamp", "power_w").join_asof(
        steps.select("at", "share"), left_on="timestamp", right_on="at"
    )
    is_free = (pl.col("share").fill_null(0.0) <= 0) & (pl.col("power_w") >= off_threshold_w)
    idle_w, power_w = held.filter(is_free)["power_w"], samples["power_w"]
    return (
        node,
        idle_w.quantile(IDLE_QUANTILE, "linear") if len(idle_w) >= MIN_SAMPLES else None,
        power_w.quantile(MAX_QUANTILE, "linear") if len(power_w) >= MIN_SAMPLES else None,
        len(idle_w),
    )


def fill_node_power(
    measured: pl.DataFrame,
    *,
    cluster: str,
    idle_power_w: float | None,
    max_power_w: float | None,
) -> pl.DataFrame:
    """Idle and maximum power of each node, with gaps filled from configuration or other nodes.

    A value that was not measured is the configured one, else the median of the cluster's nodes.

    Args:
        measured: Result of `measure_node_power`.
        cluster: Cluster of the nodes.
        idle_power_w: Configured idle power of the cluster; None: not configured.
        max_power_w: Configured maximum power of the cluster; None: not configured.

    Returns:
        `schemas.NodePower`.
    """
    idle, is_own = pl.col("idle_power_w"), pl.col("idle_power_w").is_not_null()
    return measured.with_columns(
        cluster=pl.lit(cluster),
        idle_basis=pl.when(is_own)
        .then(pl.lit("samples"))
        .when(pl.lit(idle_power_w is not None))
        .then(pl.lit("configuration"))
        .when(idle.median().is_not_null())
        .then(pl.lit("cluster")),
        idle_power_w=pl.coalesce(idle, pl.lit(idle_power_w, dtype=pl.Float64), idle.median()),
        max_power_w=pl.coalesce(
            "max_power_w", pl.lit(max_power_w, dtype=pl.Float64), pl.col("max_power_w").median()
        ),
    )


def read_idle_power(path: str | None) -> dict[str, float] | None:
    """Idle power (W) by node from a file of `schemas.NodePower`; None without a file."""
    if not path:
        return None
    known = pl.read_parquet(path).drop_nulls("idle_power_w")
    return dict(known.select("node", "idle_power_w").iter_rows())
