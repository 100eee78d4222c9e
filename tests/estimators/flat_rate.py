"""Flat rate: the same power for every GPU and core; the module that a test adds to the registry."""

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import ANY_BASIS, NO_POWER, PowerRates, energy_of_jobs


def flat(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return the energy at 100 W a GPU and 5 W a core."""
    any_basis = pl.lit(ANY_BASIS)
    rates = PowerRates(
        gpu_w=pl.lit(100.0),
        core_w=pl.lit(5.0),
        memory_w_per_gb=NO_POWER,
        gpu_basis=any_basis,
        cpu_basis=any_basis,
    )
    return energy_of_jobs(inputs, rates)


ESTIMATORS = (
    Estimator(name="flat_rate", version="1", tool="Flat rate", description="100 W", estimate=flat),
)
