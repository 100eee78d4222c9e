"""CodeCarbon: what GPUs and processors report, plus a model of the memory.

Schmidt et al., github.com/mlco2/codecarbon, versions 2.8.4 and 3.3.1 (external/hardware.py,
external/ram.py). In a job, it reads energy counters of NVIDIA's driver (NVML) and of the processors
(RAPL). After the fact, series of Kwollect stand in for both where there are some. Without a series
of its GPUs, a job's are taken to draw their limit, which the tool itself never assumes; without one
of the processors, the tool's own fallbacks hold. The tool counts the whole machine; a job on part
of a node is given its share.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import LOAD, SERIES, TDP, Rates, energy

CONSTANT_USE = 0.5
"""Part of the thermal design power drawn on average (`CONSUMPTION_PERCENTAGE_CONSTANT`)."""
WATTS_PER_GB = 3 / 8
"""3 W for every 8 GB, up to version 2."""
WATTS_PER_DIMM = 5.0
DIMM_SIZES_GB = (128, 64, 32, 16, 8, 4)
SEEN_FRAC = 503.77 / 512
"""Memory that the system, and thus the tool, sees of what is installed: as measured on gemini-1."""


def n_dimms(memory_gb: float) -> int:
    """Memory modules that version 3 guesses for a machine, from the memory that it sees."""
    for limit_gb, count in ((2, 1), (16, 2), (64, 4), (128, 8)):
        if memory_gb <= limit_gb:
            return count
    size_gb = next(size for size in DIMM_SIZES_GB if size <= memory_gb / 8)
    return min(-int(-memory_gb // size_gb), 32)


def memory_w(memory_gb: float) -> float:
    """Power of the memory in version 3: 5 W a module, further ones at 90, 80 and 70 %.

    Args:
        memory_gb: Memory installed.
    """
    n = n_dimms(memory_gb * SEEN_FRAC)
    weights = (1.0 * min(n, 4), 0.9 * max(min(n, 8) - 4, 0), 0.8 * max(min(n, 16) - 8, 0))
    return max(2 * WATTS_PER_DIMM, WATTS_PER_DIMM * (sum(weights) + 0.7 * max(n - 16, 0)))


def _memory_3_w_per_gb(facts: Facts) -> pl.Expr:
    """Power of a GB in version 3, of the machines that there are."""
    sizes = facts.held.select(pl.col("memory_gb").unique()).collect()["memory_gb"].to_list()
    known = {size: memory_w(size) / size for size in sizes if size is not None}
    return pl.col("memory_gb").replace_strict(known, default=None, return_dtype=pl.Float64)


def _cpu_2_w() -> pl.Expr:
    """Processors of a node without RAPL in version 2: half the design power of one socket."""
    return pl.col("tdp_w") * CONSTANT_USE


def _cpu_3_w() -> pl.Expr:
    """The same in version 3: TDP x sockets x (0.1 + 0.9 load^3), or half of it without a load."""
    by_load = 0.1 + 0.9 * pl.col("thread_load_cubed")
    return pl.col("tdp_w") * pl.col("n_cpus") * by_load.fill_null(CONSTANT_USE)


def _rates(*, fallback_w: pl.Expr, fallback: pl.Expr, memory: pl.Expr, counted: pl.Expr) -> Rates:
    gpus, cpus = pl.col("gpu_series_w"), pl.col("package_power_w")
    return Rates(
        gpu_w=pl.coalesce(gpus, "gpu_limit_w") * counted,
        core_w=pl.coalesce(cpus, fallback_w) / pl.col("n_cores"),
        memory_w_per_gb=memory,
        gpu_basis=pl.when(gpus.is_not_null()).then(SERIES).otherwise(TDP),
        cpu_basis=pl.when(cpus.is_not_null()).then(SERIES).otherwise(fallback),
    )


def _counted(no_counter_is_zero: bool) -> pl.Expr:
    """Part of the GPUs held whose energy the tool reads."""
    return 1.0 - pl.col("pre_volta_frac") if no_counter_is_zero else pl.lit(1.0)


def version_2(facts: Facts, *, no_counter_is_zero: bool = False) -> pl.LazyFrame:
    """Energy by version 2; with its defect, cards without an energy counter used nothing."""
    rates = _rates(
        fallback_w=_cpu_2_w(),
        fallback=pl.lit(TDP),
        memory=pl.lit(WATTS_PER_GB),
        counted=_counted(no_counter_is_zero),
    )
    return energy(facts, rates)


def version_3(facts: Facts, *, no_counter_is_zero: bool = False) -> pl.LazyFrame:
    """Energy by version 3; with its defect, cards without an energy counter used nothing."""
    has_load = pl.col("thread_load_cubed").is_not_null()
    rates = _rates(
        fallback_w=_cpu_3_w(),
        fallback=pl.when(has_load).then(LOAD).otherwise(TDP),
        memory=_memory_3_w_per_gb(facts),
        counted=_counted(no_counter_is_zero),
    )
    return energy(facts, rates)


DEFECT = "the same, cards before Volta counted as 0 as the tool does"

ESTIMATORS = (
    Estimator(
        name="codecarbon_2",
        version="2.8.4",
        tool="CodeCarbon",
        says="GPUs and CPUs as read, else limit and half a socket’s TDP; 3/8 W a GB",
        estimate=version_2,
    ),
    Estimator(
        name="codecarbon_2_pre_volta",
        version="2.8.4",
        tool="CodeCarbon",
        says=DEFECT,
        estimate=partial(version_2, no_counter_is_zero=True),
    ),
    Estimator(
        name="codecarbon_3",
        version="3.3.1",
        tool="CodeCarbon",
        says="GPUs and CPUs as read, else limit and TDP by load; 5 W a memory module",
        estimate=version_3,
    ),
    Estimator(
        name="codecarbon_3_pre_volta",
        version="3.3.1",
        tool="CodeCarbon",
        says=DEFECT,
        estimate=partial(version_3, no_counter_is_zero=True),
    ),
)
