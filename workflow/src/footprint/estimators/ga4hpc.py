"""GreenAlgorithms4HPC: the equation of Green Algorithms over the accounting of a workload manager.

github.com/GreenAlgorithms/GreenAlgorithms4HPC, version 0.4. The tool multiplies by the processor
time that a job used (TotalCPU of Slurm) instead of cores x hours. OAR does not record processor
time. Where the load average of the node is known, cores held x (load / cores of the node) replaces
it; elsewhere all cores held count as used.
"""

from __future__ import annotations

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.green_algorithms import core_tdp_w
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import LOAD_BASIS, TDP_BASIS, PowerRates, energy_of_jobs
from footprint.hardware.topology import WATTS_PER_GB

VERSION = "0.4"


def _estimate(inputs: EstimatorInputs, core_use: pl.Expr) -> pl.LazyFrame:
    """Return the energy of each job for a use of the cores; a null use counts as full use."""
    has_load = pl.col("core_use_frac").is_not_null()
    rates = PowerRates(
        gpu_w=pl.col("gpu_limit_w"),
        core_w=core_tdp_w() * core_use.fill_null(1.0),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(TDP_BASIS),
        cpu_basis=pl.when(has_load).then(LOAD_BASIS).otherwise(TDP_BASIS),
    )
    return energy_of_jobs(inputs, rates)


def estimate_from_core_use(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return core hours used x TDP of a core + GPU hours x power limit + GB hours x 0.3725 W."""
    return _estimate(inputs, pl.col("core_use_frac"))


def estimate_with_idle_as_full(inputs: EstimatorInputs) -> pl.LazyFrame:
    """Return the energy with a defect of the tool: a use of exactly 0 counts as full use."""
    core_use = pl.col("core_use_frac")
    return _estimate(inputs, pl.when(core_use > 0).then(core_use))


ESTIMATORS = (
    Estimator(
        name="ga4hpc",
        version=VERSION,
        tool="GreenAlgorithms4HPC",
        description="core hours used × TDP + GPU hours × limit + memory",
        estimate=estimate_from_core_use,
    ),
    Estimator(
        name="ga4hpc_idle_as_full",
        version=VERSION,
        tool="GreenAlgorithms4HPC",
        description="the same, no processor time counted as full use",
        estimate=estimate_with_idle_as_full,
        is_default=False,
    ),
)
