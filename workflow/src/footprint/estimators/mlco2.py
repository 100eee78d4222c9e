"""ML CO2 Impact: power of the GPUs x hours, and nothing else.

Lacoste, Luccioni, Schmidt and Dandres, "Quantifying the carbon emissions of machine learning"
(2019). The calculator multiplies hours by the watts that its own table gives for the hardware
(data/gpus.csv of github.com/mlco2/impact, commit 025b988).
"""

from __future__ import annotations

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import NO_BASIS, NOTHING, TABLE, TDP, Rates, energy

VERSION = "025b988"


def _gpus_alone(facts: Facts, *, gpu_w: str, basis: int) -> pl.LazyFrame:
    rates = Rates(
        gpu_w=pl.col(gpu_w),
        core_w=NOTHING,
        memory_w_per_gb=NOTHING,
        gpu_basis=pl.lit(basis),
        cpu_basis=NO_BASIS,
    )
    return energy(facts, rates)


def by_limit(facts: Facts) -> pl.LazyFrame:
    """GPU hours x the power limit of the GPUs held."""
    return _gpus_alone(facts, gpu_w="gpu_limit_w", basis=TDP)


def by_table(facts: Facts) -> pl.LazyFrame:
    """GPU hours x the watts of the tool's own table; null for GPUs that it does not have."""
    return _gpus_alone(facts, gpu_w="gpu_mlco2_w", basis=TABLE)


ESTIMATORS = (
    Estimator(
        name="mlco2",
        version=VERSION,
        tool="ML CO2 Impact",
        says="GPU hours × power limit",
        sees=("gpu",),
        estimate=by_limit,
    ),
    Estimator(
        name="mlco2_table",
        version=VERSION,
        tool="ML CO2 Impact",
        says="GPU hours × watts of the tool’s own table",
        sees=("gpu",),
        estimate=by_table,
    ),
)
