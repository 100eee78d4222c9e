"""ML CO2 Impact: power of the GPUs x hours, without any other part.

Lacoste, Luccioni, Schmidt and Dandres, "Quantifying the carbon emissions of machine learning"
(2019). The calculator multiplies hours by the watts of its own hardware table (data/gpus.csv of
github.com/mlco2/impact, commit 025b988).
"""

from __future__ import annotations

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import (
    NO_BASIS,
    NO_POWER,
    TABLE_BASIS,
    TDP_BASIS,
    PowerRates,
    energy_of_jobs,
)

VERSION = "025b988"


def _estimate_gpus(inputs: EstimatorInputs, *, gpu_w: str, basis: int) -> pl.LazyFrame:
    rates = PowerRates(
        gpu_w=pl.col(gpu_w),
        core_w=NO_POWER,
        memory_w_per_gb=NO_POWER,
        gpu_basis=pl.lit(basis),
        cpu_basis=NO_BASIS,
    )
    return energy_of_jobs(inputs, rates)


def estimate_from_power_limit(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return GPU hours x the power limit of the GPUs held, as `rates.energy_of_jobs` returns it."""
    return _estimate_gpus(inputs, gpu_w="gpu_limit_w", basis=TDP_BASIS)


def estimate_from_tool_table(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return GPU hours x the watts of the tool's own table; null for GPUs that the table lacks."""
    return _estimate_gpus(inputs, gpu_w="gpu_mlco2_w", basis=TABLE_BASIS)


ESTIMATORS = (
    Estimator(
        name="mlco2",
        version=VERSION,
        tool="ML CO2 Impact",
        description="GPU hours × power limit",
        parts=("gpu",),
        estimate=estimate_from_power_limit,
    ),
    Estimator(
        name="mlco2_table",
        version=VERSION,
        tool="ML CO2 Impact",
        description="GPU hours × watts of the tool’s own table",
        parts=("gpu",),
        estimate=estimate_from_tool_table,
    ),
)
