"""Stand-alone power of a node without series, from its hardware.

`P = exp(m) (I + S U)` with the share `S` of the node that is held (at most 1), the power `I` of the
idle node and the power `U` that its use adds:

- `I = b (TDP + 0.15 L) + a 0.10 L`: the virtual meter's prior with GPUs at 10 % of their power
  limits `L`;
- `U = 0.40 a (L - 0.10 L) + c 0.2 TDP` with GPUs, `c 0.7 TDP` without: typical use of those who
  hold a node.

The inputs are those of Green Algorithms (Lannelongue, Grealey and Inouye, Advanced Science 8, 2021)
without memory, whose 0.3725 W/GB exceed the power of whole nodes with terabytes. Green Algorithms
has no idle power and assumes full use; a ratio of 0.45 to 0.64 to it (0.83 without GPUs) is what
this formula gives with `m = 0`.

`m` is the mean over the measured clusters of the same kind (with or without GPUs) of
`log(measured / by hardware)` and of two prior values 0: `m = sum_c m_c / (n + 2)`. A measured
cluster uses its own ratio, shrunk towards the mean by the time observed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from footprint.core.units import H_PER_S
from footprint.energy.virtual_meter import (
    H_PER_OBSERVATION,
    MAX_OBSERVATIONS,
    PRIOR,
    base_power_w,
)

IDLE_GPU_FRAC = 0.10
"""Idle power of a GPU over its power limit (4 to 15 % in makers' and users' reports)."""
GPU_USE_FRAC = 0.40
"""Mean use of a held GPU between its idle power and its limit."""
LOAD_WITH_GPUS = 0.2
"""Mean load per core of a held node with GPUs."""
LOAD_WITHOUT_GPUS = 0.7
"""Mean load per core of a held node without GPUs."""
N_PRIOR_CLUSTERS = 2.0
"""Weight of `m = 0` in the mean over clusters, in clusters."""


def idle_power_w() -> pl.Expr:
    """Power of the idle node in W by hardware, from `tdp_w`, `gpu_limit_w`; null: unknown."""
    gpus_w = PRIOR.gpu_factor * IDLE_GPU_FRAC * _limit_w()
    return PRIOR.base_frac * base_power_w(limit_w=pl.col("gpu_limit_w")) + gpus_w


def added_power_w() -> pl.Expr:
    """Power in W that the use of a whole node adds by hardware; null: unknown hardware."""
    load = pl.when("has_gpu").then(LOAD_WITH_GPUS).otherwise(LOAD_WITHOUT_GPUS)
    gpus_w = PRIOR.gpu_factor * GPU_USE_FRAC * (1.0 - IDLE_GPU_FRAC) * _limit_w()
    return gpus_w + PRIOR.load_frac * load * pl.col("tdp_w")


def hardware_power_w() -> pl.Expr:
    """Power of a node in W by hardware with `share` held, not calibrated; null: unknown."""
    return idle_power_w() + pl.col("share").clip(0.0, 1.0) * added_power_w()


def mean_log_ratio(log_ratios: Mapping[str, float]) -> float:
    """Return `m` of the measured clusters of one kind; 0 if there is none."""
    total = sum(log_ratios[name] for name in sorted(log_ratios))
    return total / (len(log_ratios) + N_PRIOR_CLUSTERS)


def own_log_ratio(log_ratio: float, common: float, *, duration_s: float) -> float:
    """Return `m` of a measured cluster: its own ratio, shrunk towards the common one."""
    n = min(duration_s * H_PER_S / H_PER_OBSERVATION, MAX_OBSERVATIONS)
    return (n * log_ratio + common) / (n + 1.0)


def log_ratio(measured_j: float, by_hardware_j: float) -> float:
    """Return `log(measured / by hardware)`; both are above 0."""
    return math.log(measured_j / by_hardware_j)


def _limit_w() -> pl.Expr:
    """Sum of the GPUs' power limits; 0 for a node without GPUs."""
    return pl.when("has_gpu").then("gpu_limit_w").otherwise(0.0)
