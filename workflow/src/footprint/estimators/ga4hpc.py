"""GreenAlgorithms4HPC: the equation of Green Algorithms over a workload manager's accounts.

github.com/GreenAlgorithms/GreenAlgorithms4HPC, version 0.4. It takes the processor time that a job
used (TotalCPU of SLURM) instead of cores x hours; OAR keeps no such account. Where the load average
of the node is known, cores held x (load / cores of the node) stands for it, else all is used.
"""

from __future__ import annotations

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.green_algorithms import tdp_of_core_w
from footprint.estimators.rates import LOAD, TDP, Rates, energy
from footprint.nodes import WATTS_PER_GB

VERSION = "0.4"


def _of_use(facts: Facts, use: pl.Expr) -> pl.LazyFrame:
    known = pl.col("core_use_frac").is_not_null()
    rates = Rates(
        gpu_w=pl.col("gpu_limit_w"),
        core_w=tdp_of_core_w() * use.fill_null(1.0),
        memory_w_per_gb=pl.lit(WATTS_PER_GB),
        gpu_basis=pl.lit(TDP),
        cpu_basis=pl.when(known).then(LOAD).otherwise(TDP),
    )
    return energy(facts, rates)


def of_use(facts: Facts) -> pl.LazyFrame:
    """Core hours used x TDP of a core + GPU hours x limit + GB hours x 0.3725 W."""
    return _of_use(facts, pl.col("core_use_frac"))


def idle_as_full(facts: Facts) -> pl.LazyFrame:
    """The same with a defect of the tool: a use of exactly 0 is read as unknown, thus as full."""
    use = pl.col("core_use_frac")
    return _of_use(facts, pl.when(use > 0).then(use))


ESTIMATORS = (
    Estimator(
        name="ga4hpc",
        version=VERSION,
        tool="GreenAlgorithms4HPC",
        says="core hours used × TDP + GPU hours × limit + memory",
        estimate=of_use,
    ),
    Estimator(
        name="ga4hpc_idle_as_full",
        version=VERSION,
        tool="GreenAlgorithms4HPC",
        says="the same, no processor time counted as full use",
        estimate=idle_as_full,
        usual=False,
    ),
)
