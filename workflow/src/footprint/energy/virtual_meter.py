"""Virtual meter: power of a node from series of its GPUs' power and of its load.

`P(t) = a sum_g G_g(t) + b (TDP + 0.15 L) + c TDP load(t)`, with the power `G` of each GPU, the
thermal design power `TDP` of all sockets, the sum `L` of the GPUs' power limits, the load per core
or thread (0 to 1), and `a, b, c >= 0`. `a` contains conversion losses and fans, `b` the idle
processors, memory, board and fans, `c` the range of the processors. Fans, boards and power supplies
are sized for the GPUs: gemini-1 (8 x 300 W) draws 1.2 kW when idle, over four times its TDP.

The common parameters minimise, over the measured clusters `m`,

`sum_m mean_m(((P - predicted) / P_m)^2) / s^2 + sum_k ((t_k - p_k) / s_k)^2`

with the mean over the time observed, the mean power `P_m` of the cluster (each cluster counts
alike), `s = 0.14`, the prior parameters `p` and their standard deviations `s_k`. The parameters of
a measured cluster are those of its own readings, shrunk towards the common ones; one independent
observation every four hours is assumed, at most 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from footprint.core.sums import sum_consecutive
from footprint.core.units import H_PER_S
from footprint.energy.ridge import fit_nonnegative
from footprint.hardware.topology import WATTS_PER_GPU


class Parameters(NamedTuple):
    """Parameters `a` (per W of GPUs), `b` (per W of base power) and `c` (per W of TDP)."""

    gpu_factor: float
    base_frac: float
    load_frac: float


PRIOR = Parameters(gpu_factor=1.05, base_frac=0.45, load_frac=0.75)
"""Parameters without data: 5 % losses, an idle node at half the TDP, processors up to 1.2 TDP."""
PRIOR_SD = Parameters(gpu_factor=0.10, base_frac=0.20, load_frac=0.25)
"""Standard deviations of the prior parameters."""
RESIDUAL_FRAC = 0.14
"""Error of the common model for one cluster, relative to its mean power."""
OWN_RESIDUAL_FRAC = 0.10
"""Error of a cluster's own model for one independent observation of that cluster."""
H_PER_OBSERVATION = 4.0
"""Time between independent observations: about the length of a training."""
MAX_OBSERVATIONS = 200.0

CHASSIS_FRAC = 0.15
"""Weight of the GPUs' power limits, beside the TDP, in the base power."""

MIN_SERIES_FRAC = 0.5
"""Least part of a segment that a series must cover to be used."""
TYPICAL_GPU_NODE_LOAD = 0.2
"""Load per core of a node with GPUs whose load is not recorded (trainings: 0.05 to 0.5)."""

REGRESSOR_COLUMNS = ("gpu_w", "base_w", "load_w")
"""Powers that `Parameters` multiply, in their order."""


class ClusterProducts(NamedTuple):
    """Products of a cluster's regressors and power, over its mean power squared.

    Attributes:
        products: Mean product of each pair of regressors.
        moments: Mean product of each regressor with the measured power.
        duration_s: Time observed.
    """

    products: tuple[tuple[float, ...], ...]
    moments: tuple[float, ...]
    duration_s: float


def regressors() -> list[pl.Expr]:
    """Return the columns `REGRESSOR_COLUMNS`; null where a series or the TDP is unknown.

    They need `duration_s`, `gpu_j`, `gpu_covered_s`, `load_s`, `load_covered_s` of a segment and
    `has_gpu`, `n_gpus`, `gpu_limit_w`, `tdp_w` of its node. A node without GPUs has no GPU power.
    Without a load series, a node with GPUs has `TYPICAL_GPU_NODE_LOAD`.
    """
    gpu_w = pl.when("has_gpu").then(_series_mean("gpu_j", "gpu_covered_s")).otherwise(0.0)
    load = _series_mean("load_s", "load_covered_s")
    typical = pl.when("has_gpu").then(TYPICAL_GPU_NODE_LOAD)
    load_w = pl.coalesce(load, typical) * pl.col("tdp_w")
    # the GPUs' power is known from their series, so an unknown limit matters little
    any_limit_w = WATTS_PER_GPU * pl.col("n_gpus")
    base_w = base_power_w(limit_w=pl.coalesce("gpu_limit_w", any_limit_w))
    return [gpu_w.alias("gpu_w"), base_w.alias("base_w"), load_w.alias("load_w")]


def base_power_w(*, limit_w: pl.Expr) -> pl.Expr:
    """Power in W that `b` multiplies, from `tdp_w` and the sum of the GPUs' power limits."""
    limits_w = pl.when("has_gpu").then(limit_w).otherwise(0.0)
    return pl.col("tdp_w") + CHASSIS_FRAC * limits_w


def sum_products(rows: pl.DataFrame) -> dict[str, ClusterProducts]:
    """Return the products of each cluster.

    Args:
        rows: `cluster`, `covered_s`, `energy_j` above 0, and `REGRESSOR_COLUMNS`, none null, sorted
            by cluster.
    """
    names = REGRESSOR_COLUMNS
    pairs = [(one, other) for k, one in enumerate(names) for other in names[k:]]
    time, energy = pl.col("covered_s"), pl.col("energy_j")
    terms = rows.select(
        "cluster",
        time,
        energy,
        *((time * pl.col(one) * pl.col(other)).alias(f"{one} {other}") for one, other in pairs),
        *((energy * pl.col(one)).alias(f"{one} power") for one in names),
    )
    sums = sum_consecutive(terms, ["cluster"], sums=terms.columns[1:])
    found = {}
    for row in sums.iter_rows(named=True):
        # the sum over time divided by (time x mean power^2)
        scale = row["covered_s"] / row["energy_j"] ** 2
        found[row["cluster"]] = ClusterProducts(
            tuple(
                tuple(
                    scale * row[f"{one} {other}" if i <= j else f"{other} {one}"]
                    for j, other in enumerate(names)
                )
                for i, one in enumerate(names)
            ),
            tuple(scale * row[f"{one} power"] for one in names),
            row["covered_s"],
        )
    return found


def fit_common(clusters: Mapping[str, ClusterProducts]) -> Parameters:
    """Return the common parameters of the measured clusters; `PRIOR` if there is none."""
    size = range(len(PRIOR))
    ordered = [clusters[name] for name in sorted(clusters)]
    return Parameters(
        *fit_nonnegative(
            [[sum(each.products[i][j] for each in ordered) for j in size] for i in size],
            [sum(each.moments[i] for each in ordered) for i in size],
            PRIOR,
            [RESIDUAL_FRAC**2 / sd**2 for sd in PRIOR_SD],
        )
    )


def fit_cluster(products: ClusterProducts, common: Parameters) -> Parameters:
    """Return the parameters of a measured cluster, shrunk towards the common ones."""
    n = min(products.duration_s * H_PER_S / H_PER_OBSERVATION, MAX_OBSERVATIONS)
    weights = [OWN_RESIDUAL_FRAC**2 / (n * sd**2) for sd in PRIOR_SD]
    return Parameters(*fit_nonnegative(products.products, products.moments, common, weights))


def _series_mean(integral: str, covered_s: str) -> pl.Expr:
    """Mean of a series over a segment; null where it covers too little."""
    known_s = pl.col(covered_s)
    is_enough = (known_s > 0) & (known_s >= MIN_SERIES_FRAC * pl.col("duration_s"))
    return pl.when(is_enough).then(pl.col(integral) / known_s)
