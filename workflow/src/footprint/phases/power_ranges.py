"""Idle and highest power of nodes and GPUs, between which power levels are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.energy import gpu_attribution
from footprint.hardware import catalogue

MAX_IDLE_RATIO = 1.25
"""GPUs of one model idle within a quarter of each other's power. A GPU further above the lowest of
its cluster was busy at every reading. Exporters report most while jobs hold the node."""

MIN_RANGE_W = 1.0
"""Power range of a node with constant readings: a sensor resolves whole watts at best."""


class PowerRange(NamedTuple):
    """Idle and highest power (W), which are the power levels 0 and 1."""

    idle_w: float
    max_w: float


def node_power_ranges(node_power: pl.DataFrame) -> dict[str, PowerRange]:
    """Idle and highest power of each node of a cluster where both are known.

    The highest power is at least the median of the cluster, because the readings of a node that was
    never busy span its noise alone.

    Args:
        node_power: `schemas.NodePower` of one cluster.
    """
    median_w = pl.col("max_power_w").median()
    raised = node_power.with_columns(max_power_w=pl.max_horizontal("max_power_w", median_w))
    rows = raised.drop_nulls(["idle_power_w", "max_power_w"]).sort("node")
    return {
        node: PowerRange(idle_w, max(max_w, idle_w + MIN_RANGE_W))
        for node, idle_w, max_w in rows.select("node", "idle_power_w", "max_power_w").iter_rows()
    }


def gpu_limits_w(hardware: pl.DataFrame) -> dict[str, dict[int, float]]:
    """Power limit (W) of each GPU of each node where it is known, by the node's last description.

    Args:
        hardware: `schemas.Hardware`.
    """
    each_gpu = (
        catalogue.latest_hardware(hardware)
        .select("node", "gpus", "gpu_limits_w")
        .explode("gpus", "gpu_limits_w", empty_as_null=False, keep_nulls=False)
    )
    limits: dict[str, dict[int, float]] = {}
    for node, gpu, limit_w in each_gpu.drop_nulls().iter_rows():
        limits.setdefault(node, {})[gpu] = limit_w
    return limits


def gpu_power_ranges(
    nodes: Sequence[str],
    read_gpus: Callable[[str], pl.DataFrame],
    limits: Mapping[str, Mapping[int, float]],
) -> dict[str, dict[int, PowerRange]]:
    """Idle power and power limit of each GPU of a cluster where both are known.

    Idle power comes from `gpu_attribution.gpu_idle_power_w`. It is at most `MAX_IDLE_RATIO` times
    the lowest idle power of the cluster's GPUs with the same limit.

    Args:
        nodes: Names of the cluster's nodes.
        read_gpus: Returns the readings of a node's GPUs.
        limits: Result of `gpu_limits_w`.
    """
    idle_w = {node: gpu_attribution.gpu_idle_power_w(read_gpus(node)) for node in nodes}
    lowest_w: dict[float, float] = {}
    for node in nodes:
        for gpu, limit_w in limits.get(node, {}).items():
            own_w = idle_w[node].get(gpu, np.inf)
            lowest_w[limit_w] = min(own_w, lowest_w.get(limit_w, np.inf))
    return {
        node: {
            gpu: PowerRange(own_w, max(limit_w, own_w + MIN_RANGE_W))
            for gpu, limit_w in sorted(limits.get(node, {}).items())
            if gpu in idle_w[node]
            for own_w in [min(idle_w[node][gpu], MAX_IDLE_RATIO * lowest_w[limit_w])]
        }
        for node in nodes
    }
