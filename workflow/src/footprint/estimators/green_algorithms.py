"""Green Algorithms: power of GPUs, cores and memory x hours x PUE.

Lannelongue, Grealey and Inouye, "Green Algorithms: Quantifying the Carbon Footprint of
Computation", Advanced Science 8 (2021), and the calculator's data, versions 2.2 and 3.0
(github.com/GreenAlgorithms). All is assumed to be fully used, as the calculator does unless told
otherwise.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import ANY, KWH_PER_WH, TDP, Rates, energy
from footprint.nodes import WATTS_PER_CORE, WATTS_PER_GB, WATTS_PER_GPU

PUE_2 = 1.67
"""Default PUE up to data version 2.2 (Uptime Institute 2019)."""
PUE_3 = 1.56
"""Default PUE of data version 3.0."""


def power_w(
    *,
    n_cores: float,
    core_w: float,
    n_gpus: float,
    gpu_w: float,
    memory_gb: float,
    core_use: float = 1.0,
    gpu_use: float = 1.0,
) -> float:
    """Power that the equation multiplies by hours: n_c P_c u_c + n_g P_g u_g + n_m x 0.3725 W/GB.

    Args:
        n_cores: Cores.
        core_w: Thermal design power of a core: that of the processor over its cores.
        n_gpus: GPUs.
        gpu_w: Power limit of a GPU.
        memory_gb: Memory reserved; it is never scaled by its use.
        core_use: Part of the cores that is used, 1 unless known.
        gpu_use: Part of the GPUs that is used, 1 unless known.
    """
    return n_cores * core_w * core_use + n_gpus * gpu_w * gpu_use + memory_gb * WATTS_PER_GB


def energy_kwh(power_w: float, *, hours: float, pue: float = 1.0, scaling: float = 1.0) -> float:
    """The rest of the equation: hours x power x PUE x 0.001 x PSF.

    Args:
        power_w: Result of `power_w`.
        hours: Run time.
        pue: Power usage effectiveness.
        scaling: Pragmatic scaling factor: how often the computation was made.
    """
    return hours * power_w * pue * KWH_PER_WH * scaling


def tdp_of_core_w() -> pl.Expr:
    """Thermal design power of a core, not rounded (the tool's table rounds to 0.1 W)."""
    return pl.col("tdp_w") * pl.col("n_cpus") / pl.col("n_cores")


def of_hardware(facts: Facts) -> pl.LazyFrame:
    """The equation with the thermal design power and the power limits of the hardware held."""
    rates = Rates(
        gpu_w=pl.col("gpu_limit_w"),
        core_w=tdp_of_core_w(),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(TDP),
        cpu_basis=pl.lit(TDP),
    )
    return energy(facts, rates)


def of_any_hardware(facts: Facts) -> pl.LazyFrame:
    """The equation with what the tool takes when a user chooses "Any": 200 W a GPU, 12 W a core."""
    rates = Rates(
        gpu_w=pl.lit(WATTS_PER_GPU),
        core_w=pl.lit(WATTS_PER_CORE),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(ANY),
        cpu_basis=pl.lit(ANY),
    )
    return energy(facts, rates)


_of = partial(Estimator, tool="Green Algorithms")

ESTIMATORS = (
    _of(
        name="green_algorithms",
        version="3.0",
        says="hours × (GPU limits + TDP of cores + memory)",
        estimate=of_hardware,
    ),
    _of(
        name="green_algorithms_any",
        version="3.0",
        says="the same with 200 W a GPU and 12 W a core",
        estimate=of_any_hardware,
    ),
    _of(
        name="green_algorithms_pue_2",
        version="2.2",
        says=f"the same × the tool’s PUE of {PUE_2}",
        estimate=of_hardware,
        pue=PUE_2,
    ),
    _of(
        name="green_algorithms_pue_3",
        version="3.0",
        says=f"the same × the tool’s PUE of {PUE_3}",
        estimate=of_hardware,
        pue=PUE_3,
    ),
)
