"""Idle and maximum power of each node, from its own samples."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from footprint.integration import Calibration

IDLE_QUANTILE = 0.05
MAX_QUANTILE = 0.995

# A percentile of a few readings says nothing: a minute of samples at 5 s.
MIN_SAMPLES = 12


def measure(
    samples: Iterable[tuple[str, pl.DataFrame]],
    occupancy: pl.DataFrame,
    *,
    off_threshold_w: float,
    calibration: Calibration | None = None,
) -> pl.DataFrame:
    """Idle and maximum power of each node over the study.

    Idle is the 5th percentile of the samples without a job, and with the node on; the maximum is
    the 99.5th percentile of all.

    Args:
        samples: Node, and its `timestamp`, `power_w` over the whole study, without margins: of
            these nobody knows whether a job held the node.
        occupancy: `gates.OCCUPANCY`.
        off_threshold_w: Samples below it are standby, not idle.
        calibration: Applied to the readings first, as in the integration.

    Returns:
        `node`, `idle_power_w`, `max_power_w` (null where there are too few samples),
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
    node: str, frame: pl.DataFrame, occupancy: pl.DataFrame, off_threshold_w: float
) -> tuple[str, float | None, float | None, int]:
    steps = occupancy.filter(pl.col("node") == node)
    held = frame.select("timestamp", "power_w").join_asof(
        steps.select("at", "share"), left_on="timestamp", right_on="at"
    )
    free = (pl.col("share").fill_null(0.0) <= 0) & (pl.col("power_w") >= off_threshold_w)
    idle_w = held.filter(free)["power_w"]
    return (
        node,
        idle_w.quantile(IDLE_QUANTILE, "linear") if len(idle_w) >= MIN_SAMPLES else None,
        frame["power_w"].quantile(MAX_QUANTILE, "linear") if len(frame) >= MIN_SAMPLES else None,
        len(idle_w),
    )


def complete(
    measured: pl.DataFrame,
    *,
    cluster: str,
    idle_power_w: float | None,
    max_power_w: float | None,
) -> pl.DataFrame:
    """Fill what was not measured: from configuration, else from the cluster's other nodes.

    Args:
        measured: Result of `measure`.
        cluster: The nodes' cluster.
        idle_power_w: What the configuration gives for the cluster.
        max_power_w: The same.

    Returns:
        `tables.NodePower`.
    """
    idle, own = pl.col("idle_power_w"), pl.col("idle_power_w").is_not_null()
    return measured.with_columns(
        cluster=pl.lit(cluster),
        idle_basis=pl.when(own)
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


def idle_by_node(path: str | None) -> dict[str, float] | None:
    """Idle power by node of a `tables.NodePower` file; None without a file."""
    if not path:
        return None
    known = pl.read_parquet(path).drop_nulls("idle_power_w")
    return dict(known.select("node", "idle_power_w").iter_rows())
