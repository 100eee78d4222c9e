"""Movement of a node's GPU power, as evidence that the node's own power must have changed."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats, Integers
from footprint.core.sums import sum_by_group

BLOCK_S = 180
"""Duration of the blocks whose medians are compared, in seconds: in it, a reading follows power."""

MIN_READINGS = 3
"""Fewest readings of a GPU in a block, so that a single one does not decide."""

_BLOCK_US = BLOCK_S * 1_000_000

MIN_MOVEMENT_STEPS = 5.0
"""Smallest movement of the sum of GPU power that a sensor must report, in steps of the sensor."""

MIN_MOVEMENT_W = 25.0
"""The smallest movement whatever the step, in W: above the noise of a few GPUs at rest."""

STEP_QUANTILE = 0.1
"""Quantile of the changes between neighbouring readings that is taken for the sensor's step."""


def gpu_power_moves(gpu_power: pl.DataFrame, times_us: Integers, *, step_w: float) -> bool:
    """Whether the sum of a node's GPU power moved by more than its sensor can have overlooked.

    The power of each GPU in a block of `BLOCK_S` is the median of its readings, `MIN_READINGS` or
    more. Blocks count in which the node has a reading, and the power of each GPU is known that has
    a reading at any of these times. The highest sum of such a block must exceed the lowest by
    `MIN_MOVEMENT_STEPS` steps of the sensor, and by `MIN_MOVEMENT_W`.

    Args:
        gpu_power: `gpu`, `timestamp`, `power_w` (W) of the node (`schemas.DevicePower`).
        times_us: Times of the node's readings, ascending, in microseconds since 1970.
        step_w: Step of the node's sensor, in W.
    """
    at_us = pl.col("timestamp").dt.timestamp("us")
    inside = gpu_power.filter(at_us.is_between(int(times_us[0]), int(times_us[-1])))
    if inside.is_empty():
        return False
    by_gpu = (
        inside.with_columns(block=at_us // _BLOCK_US)
        .group_by("block", "gpu")
        .agg(pl.col("power_w").median(), n_readings=pl.len())
        .filter(pl.col("n_readings") >= MIN_READINGS)
    )
    n_gpus = inside["gpu"].n_unique()
    by_block = sum_by_group(
        by_gpu, ["block"], first=[], power_w=pl.col("power_w"), n_gpus=pl.lit(1.0)
    )
    read = pl.Series(np.unique(times_us // _BLOCK_US))
    sums_w = by_block.filter((pl.col("n_gpus") == n_gpus) & pl.col("block").is_in(read.implode()))[
        "power_w"
    ].to_numpy()
    if len(sums_w) < 2:
        return False
    movement_w = float(np.max(sums_w) - np.min(sums_w))
    return movement_w >= max(MIN_MOVEMENT_STEPS * step_w, MIN_MOVEMENT_W)


def sensor_step_w(power_w: Floats) -> float:
    """Step of a sensor in W: a low quantile of the changes between neighbouring readings.

    It is the highest reading if readings never change: they are multiples of the step.
    """
    changes_w = np.abs(np.diff(power_w))
    changes_w = changes_w[changes_w > 0]
    if not len(changes_w):
        return float(np.max(power_w, initial=0.0))
    return float(np.quantile(changes_w, STEP_QUANTILE, method="lower"))
