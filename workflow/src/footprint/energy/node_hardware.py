"""Hardware of each node as the power models need it: one row a node, from its last description."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum
from footprint.hardware.catalogue import (
    HardwareSettings,
    latest_hardware,
    look_up_hardware,
    order_generations,
)

NODE_HARDWARE_SCHEMA = pl.Schema(
    {
        "node": pl.String(),
        "cluster": pl.String(),
        "has_gpu": pl.Boolean(),
        "n_gpus": pl.Int64(),
        "gpu_limit_w": pl.Float64(),
        "gpu_generation": pl.String(),
        "n_cpus": pl.Int64(),
        "tdp_w": pl.Float64(),
        "n_cores": pl.Int64(),
        "memory_gib": pl.Float64(),
    }
)
"""Columns of the hardware of nodes.

`gpu_limit_w` is the sum of the power limits of the node's GPUs and `tdp_w` the sum of the thermal
design power of its sockets; both are null if a part is unknown. `gpu_generation` is the newest of
the node; null: no GPU, or one is unknown.
"""


def describe_node_hardware(
    nodes: pl.LazyFrame | pl.DataFrame, given: HardwareSettings | None = None
) -> pl.DataFrame:
    """Return the hardware of each node (`NODE_HARDWARE_SCHEMA`), sorted by node.

    Values come from the description, else the configuration, else the catalogue; unknown ones are
    null.

    Args:
        nodes: `schemas.Nodes` of the study's clusters.
        given: `hardware` of the configuration; None: empty.
    """
    return summarise_hardware(look_up_hardware(nodes.lazy(), given))


def summarise_hardware(hardware: pl.DataFrame) -> pl.DataFrame:
    """Return the hardware of each node (`NODE_HARDWARE_SCHEMA`) from `schemas.Hardware`."""
    limits, generations = pl.col("gpu_limits_w"), pl.col("gpu_generations")
    n_gpus = limits.list.len()
    rows = latest_hardware(hardware).select(
        "node",
        "cluster",
        has_gpu=n_gpus > 0,
        n_gpus=n_gpus.cast(pl.Int64),
        gpu_limit_w=pl.when(limits.list.drop_nulls().list.len() == n_gpus).then(
            limits.list.eval(known_sum(pl.element())).list.first().fill_null(0.0)
        ),
        generations=pl.when(generations.list.drop_nulls().list.len() == n_gpus).then(generations),
        n_cpus=pl.col("n_cpus").cast(pl.Int64),
        tdp_w=pl.col("tdp_w") * pl.col("n_cpus"),
        n_cores=pl.col("n_cores").cast(pl.Int64),
        memory_gib=pl.col("memory_gb"),
    )
    newest = [
        order_generations(set(of_node))[-1] if of_node else None
        for of_node in rows["generations"].to_list()
    ]
    return (
        rows.with_columns(pl.Series("gpu_generation", newest, dtype=pl.String))
        .select(list(NODE_HARDWARE_SCHEMA))
        .cast(NODE_HARDWARE_SCHEMA)
        .sort("node")
    )
