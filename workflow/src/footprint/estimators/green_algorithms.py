"""Green Algorithms: power of GPUs, cores and memory x hours x PUE.

Lannelongue, Grealey and Inouye, "Green Algorithms: Quantifying the Carbon Footprint of
Computation", Advanced Science 8 (2021): hours x (n_c P_c u_c + n_g P_g u_g + n_m x 0.3725 W/GB)
x PUE, with cores c, GPUs g, memory m, powers P and uses u. Data of the calculator: versions 2.2
and 3.0 (github.com/GreenAlgorithms). All uses are 1, the default of the calculator.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import ANY_BASIS, TDP_BASIS, PowerRates, energy_of_jobs
from footprint.hardware.topology import WATTS_PER_CORE, WATTS_PER_GB, WATTS_PER_GPU

PUE_VERSION_2 = 1.67
"""Default PUE up to data version 2.2 (Uptime Institute 2019)."""
PUE_VERSION_3 = 1.56
"""Default PUE of data version 3.0."""


def core_tdp_w() -> pl.Expr:
    """Thermal design power of a core in W, not rounded (the tool's table rounds to 0.1 W)."""
    return pl.col("tdp_w") * pl.col("n_cpus") / pl.col("n_cores")


def estimate_from_hardware(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return the energy from the thermal design power and power limits of the hardware held."""
    rates = PowerRates(
        gpu_w=pl.col("gpu_limit_w"),
        core_w=core_tdp_w(),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(TDP_BASIS),
        cpu_basis=pl.lit(TDP_BASIS),
    )
    return energy_of_jobs(inputs, rates)


def estimate_from_any_hardware(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return the energy with the tool's values for the choice "Any": 200 W a GPU, 12 W a core."""
    rates = PowerRates(
        gpu_w=pl.lit(WATTS_PER_GPU),
        core_w=pl.lit(WATTS_PER_CORE),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(ANY_BASIS),
        cpu_basis=pl.lit(ANY_BASIS),
    )
    return energy_of_jobs(inputs, rates)


_estimator = partial(Estimator, tool="Green Algorithms")

ESTIMATORS = (
    _estimator(
        name="green_algorithms",
        version="3.0",
        description="hours × (GPU limits + TDP of cores + memory)",
        estimate=estimate_from_hardware,
    ),
    _estimator(
        name="green_algorithms_any",
        version="3.0",
        description="the same with 200 W a GPU and 12 W a core",
        estimate=estimate_from_any_hardware,
    ),
    _estimator(
        name="green_algorithms_pue_2",
        version="2.2",
        description=f"the same × the tool’s PUE of {PUE_VERSION_2}",
        estimate=estimate_from_hardware,
        pue=PUE_VERSION_2,
    ),
    _estimator(
        name="green_algorithms_pue_3",
        version="3.0",
        description=f"the same × the tool’s PUE of {PUE_VERSION_3}",
        estimate=estimate_from_hardware,
        pue=PUE_VERSION_3,
    ),
)
