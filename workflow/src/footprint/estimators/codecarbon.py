"""CodeCarbon: energy of GPUs and processors as read, plus a model of the memory.

Schmidt et al., github.com/mlco2/codecarbon, versions 2.8.4, 3.3.1 and 3.3.2 (core/cpu.py,
core/gpu_device.py, external/hardware.py, external/ram.py). In a job, the tool reads energy counters
of NVIDIA's driver (NVML) and of the processors (RAPL). Here, series of Kwollect replace both where
they exist. GPUs without a series count with their power limit, which the tool itself never assumes;
processors without a series count by the tool's own table and fallbacks. The tool counts the whole
machine; a job on part of a node gets its share.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.estimators.rates import (
    ANY_BASIS,
    LOAD_BASIS,
    SERIES_BASIS,
    TABLE_BASIS,
    TDP_BASIS,
    PowerRates,
    energy_of_jobs,
)
from footprint.hardware.catalogue import read_cpus

MEAN_TDP_FRAC = 0.5
"""Part of the thermal design power drawn on average (`CONSUMPTION_PERCENTAGE_CONSTANT`)."""
UNKNOWN_CPU_W = 85.0
"""Power of an unknown processor in version 2 (`POWER_CONSTANT`)."""
UNKNOWN_CPU_W_PER_THREAD = 4.0
"""Power of an unknown processor in version 3 for each thread of the machine
(`DEFAULT_POWER_PER_CORE`). It is multiplied by the sockets again, a defect of the tool."""
WATTS_PER_GB = 3 / 8
"""3 W for every 8 GB, up to version 2."""
WATTS_PER_DIMM = 5.0
ARM_DIMM_FRAC = 1.5 / WATTS_PER_DIMM
"""Power of a module of a machine with ARM processors (1.5 W; at least 3 W), over other machines."""
ARM_CPU_PATTERN = "^(?:Ampere|Carmel|Grace|Neoverse|ThunderX2) "
DIMM_SIZES_GB = (128, 64, 32, 16, 8, 4)
VISIBLE_MEMORY_FRAC = 503.77 / 512
"""Part of the installed memory that the system reports to the tool, as measured on gemini-1."""


def n_dimms(memory_gb: float) -> int:
    """Number of memory modules that version 3 assumes for the memory that the system reports."""
    for limit_gb, count in ((2, 1), (16, 2), (64, 4), (128, 8)):
        if memory_gb <= limit_gb:
            return count
    size_gb = next(size for size in DIMM_SIZES_GB if size <= memory_gb / 8)
    return min(-int(-memory_gb // size_gb), 32)


def memory_power_w(memory_gb: float) -> float:
    """Power of the memory in version 3, in W.

    A module counts 5 W; modules beyond 4, 8 and 16 count 90, 80 and 70 % of it.

    Args:
        memory_gb: Memory installed.
    """
    n = n_dimms(memory_gb * VISIBLE_MEMORY_FRAC)
    weights = (1.0 * min(n, 4), 0.9 * max(min(n, 8) - 4, 0), 0.8 * max(min(n, 16) - 8, 0))
    return max(2 * WATTS_PER_DIMM, WATTS_PER_DIMM * (sum(weights) + 0.7 * max(n - 16, 0)))


def _memory_w_per_gb_version_3(inputs: EstimatorInputs) -> pl.Expr:
    """Power of a GB in version 3, by the memory and the processors of the node."""
    sizes = inputs.job_nodes.select(pl.col("memory_gb").unique()).collect()["memory_gb"].to_list()
    by_size = {size: memory_power_w(size) / size for size in sizes if size is not None}
    is_arm = pl.col("cpu_model").str.contains(ARM_CPU_PATTERN).fill_null(False)
    power = pl.col("memory_gb").replace_strict(by_size, default=None, return_dtype=pl.Float64)
    return power * pl.when(is_arm).then(ARM_DIMM_FRAC).otherwise(1.0)


def _with_socket_power(
    inputs: EstimatorInputs, *, column: str, unknown: pl.Expr
) -> EstimatorInputs:
    """Inputs whose nodes have the power of a socket that the tool takes, and where it is from.

    Processors that the catalogue lacks, so that the tool's answer is not known, have their design
    power.

    Args:
        inputs: Inputs of the jobs.
        column: Column of `catalogue.read_cpus` with the tool's powers.
        unknown: Power of a socket that the tool does not find, in W.

    Returns:
        The inputs, whose `job_nodes` also have `socket_w` in W and `socket_basis`.
    """
    answers = read_cpus().lazy().select("cpu_model", tool_w=column, is_asked=pl.lit(True))
    is_found, is_asked = pl.col("tool_w").is_not_null(), pl.col("is_asked").fill_null(False)
    basis = pl.when(is_found).then(TABLE_BASIS).when(is_asked).then(ANY_BASIS)
    job_nodes = inputs.job_nodes.join(
        answers, on="cpu_model", how="left", maintain_order="left"
    ).with_columns(
        socket_w=pl.when(is_found).then("tool_w").when(is_asked).then(unknown).otherwise("tdp_w"),
        socket_basis=basis.otherwise(TDP_BASIS),
    )
    return inputs._replace(job_nodes=job_nodes)


def _cpu_w_version_3() -> pl.Expr:
    """Power of the processors without RAPL in version 3.

    Socket x sockets x (0.1 + 0.9 load^3), or half of socket x sockets without a load.
    """
    by_load = 0.1 + 0.9 * pl.col("thread_load_cubed")
    return pl.col("socket_w") * pl.col("n_cpus") * by_load.fill_null(MEAN_TDP_FRAC)


def _build_rates(
    *, fallback_w: pl.Expr, fallback: pl.Expr, memory: pl.Expr, counted: pl.Expr
) -> PowerRates:
    gpus, cpus = pl.col("gpu_series_w"), pl.col("package_power_w")
    return PowerRates(
        gpu_w=pl.coalesce(gpus, "gpu_limit_w") * counted,
        core_w=pl.coalesce(cpus, fallback_w) / pl.col("n_cores"),
        memory_w_per_gb=memory,
        gpu_basis=pl.when(gpus.is_not_null()).then(SERIES_BASIS).otherwise(TDP_BASIS),
        cpu_basis=pl.when(cpus.is_not_null()).then(SERIES_BASIS).otherwise(fallback),
    )


def _counted_frac(no_counter_is_zero: bool) -> pl.Expr:
    """Part of the GPUs held that the tool counts the energy of."""
    return 1.0 - pl.col("pre_volta_frac") if no_counter_is_zero else pl.lit(1.0)


def estimate_by_version_2(
    inputs: EstimatorInputs, *, no_counter_is_zero: bool = False
) -> pl.LazyFrame:
    """Return the energy of each job by version 2, as `rates.energy_of_jobs` returns it.

    Args:
        inputs: Inputs of the jobs.
        no_counter_is_zero: Count GPUs without an energy counter as 0, a defect of the tool.
    """
    rates = _build_rates(
        fallback_w=pl.col("socket_w") * MEAN_TDP_FRAC,  # of one socket
        fallback=pl.col("socket_basis"),
        memory=pl.lit(WATTS_PER_GB * VISIBLE_MEMORY_FRAC),
        counted=_counted_frac(no_counter_is_zero),
    )
    unknown = pl.lit(UNKNOWN_CPU_W)
    return energy_of_jobs(
        _with_socket_power(inputs, column="codecarbon_2_w", unknown=unknown), rates
    )


def estimate_by_version_3(
    inputs: EstimatorInputs, *, no_counter_is_zero: bool = False
) -> pl.LazyFrame:
    """Return the energy of each job by version 3, as `rates.energy_of_jobs` returns it.

    Args:
        inputs: Inputs of the jobs.
        no_counter_is_zero: Count GPUs without an energy counter as 0, a defect of the tool up to
            3.3.1. Version 3.3.2 averages their power.
    """
    has_load = pl.col("thread_load_cubed").is_not_null()
    rates = _build_rates(
        fallback_w=_cpu_w_version_3(),
        fallback=pl.when(has_load).then(LOAD_BASIS).otherwise("socket_basis"),
        memory=_memory_w_per_gb_version_3(inputs),
        counted=_counted_frac(no_counter_is_zero),
    )
    unknown = pl.coalesce("n_threads", "n_cores") * UNKNOWN_CPU_W_PER_THREAD
    return energy_of_jobs(
        _with_socket_power(inputs, column="codecarbon_3_w", unknown=unknown), rates
    )


PRE_VOLTA_DESCRIPTION = "the same, cards before Volta counted as 0 as the tool does"
PRE_VOLTA_DESCRIPTION_3 = "version 3 up to 3.3.1: the same, cards before Volta counted as 0"

ESTIMATORS = (
    Estimator(
        name="codecarbon_2",
        version="2.8.4",
        tool="CodeCarbon",
        description="GPUs and CPUs as read, else limit and half of one socket; 3/8 W a GB",
        estimate=estimate_by_version_2,
    ),
    Estimator(
        name="codecarbon_2_pre_volta",
        version="2.8.4",
        tool="CodeCarbon",
        description=PRE_VOLTA_DESCRIPTION,
        estimate=partial(estimate_by_version_2, no_counter_is_zero=True),
    ),
    Estimator(
        name="codecarbon_3",
        version="3.3.2",
        tool="CodeCarbon",
        description="GPUs and CPUs as read, else limit and sockets by load; 5 W a memory module",
        estimate=estimate_by_version_3,
    ),
    Estimator(
        name="codecarbon_3_pre_volta",
        version="3.3.1",
        tool="CodeCarbon",
        description=PRE_VOLTA_DESCRIPTION_3,
        estimate=partial(estimate_by_version_3, no_counter_is_zero=True),
    ),
)
