"""Energy of jobs from the power of one GPU, of one core and of one GB of memory.

All tools without records are linear in what a job held: hours of GPUs, cores and GB. A job on part
of a node therefore has its share of cores and memory, and its own GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from footprint.core.sums import sum_consecutive
from footprint.estimators.inputs import EstimatorInputs

BASIS_NAMES = ("series", "load", "tdp", "table", "any", "unknown")
SERIES_BASIS, LOAD_BASIS, TDP_BASIS, TABLE_BASIS, ANY_BASIS, UNKNOWN_BASIS = (
    1 << place for place in range(len(BASIS_NAMES))
)
"""Bases of a power as bits: the bases of a job are the union over its nodes.

`series`: a series of the device; `load`: the load average; `tdp`: design power or power limit;
`table`: the tool's own table; `any`: a value for any hardware. `unknown` replaces the basis of a
power that is null because the catalogue lacks the hardware; hardware that the table of a tool lacks
keeps `table`.
"""

KWH_PER_WH = 1e-3

AMOUNT_COLUMNS = {"gpu": "gpu_hours", "cpu": "core_hours", "memory": "memory_gbh"}
POWER_COLUMNS = {"gpu": "gpu_power_w", "cpu": "core_power_w", "memory": "memory_w_per_gb"}
ESTIMATE_COLUMNS = (
    "job_id",
    "basis",
    *AMOUNT_COLUMNS.values(),
    *POWER_COLUMNS.values(),
    "gpu_kwh",
    "cpu_kwh",
    "memory_kwh",
)
"""Columns of an estimator's result beside `energy_kwh` and `covered_kwh`, all without PUE."""


@dataclass(frozen=True, kw_only=True)
class PowerRates:
    """Powers as expressions over the columns of `inputs.JOB_NODE_COLUMNS`; null if unknown.

    Attributes:
        gpu_w: Power of one GPU, in W.
        core_w: Power of one core, in W.
        memory_w_per_gb: Power of one GB of memory, in W.
        gpu_basis: Basis of the power of a GPU (bits of `BASIS_NAMES`).
        cpu_basis: Basis of the power of a core (bits of `BASIS_NAMES`).
    """

    gpu_w: pl.Expr
    core_w: pl.Expr
    memory_w_per_gb: pl.Expr
    gpu_basis: pl.Expr
    cpu_basis: pl.Expr


NO_POWER = pl.lit(0.0)
NO_BASIS = pl.lit(0)


def energy_of_jobs(inputs: EstimatorInputs, rates: PowerRates) -> pl.LazyFrame:
    """Energy of each job in kWh: amounts held x powers, summed over its nodes.

    Args:
        inputs: Inputs of the jobs.
        rates: Powers.

    Returns:
        `ESTIMATE_COLUMNS`, `energy_kwh` and `covered_kwh`, one row a job that held a node.
    """
    powers = {"gpu": rates.gpu_w, "cpu": rates.core_w, "memory": rates.memory_w_per_gb}
    parts = {
        f"{part}_kwh": _part_kwh(pl.col(AMOUNT_COLUMNS[part]), power * KWH_PER_WH)
        for part, power in powers.items()
    }
    per_node = (
        inputs.job_nodes.select(
            "job_id",
            *AMOUNT_COLUMNS.values(),
            **parts,
            covered_frac=pl.col("coverage_frac").fill_null(0.0),
            basis=_bits_if_held("gpu_hours", _basis_or_unknown(rates.gpu_w, rates.gpu_basis))
            | _bits_if_held("core_hours", _basis_or_unknown(rates.core_w, rates.cpu_basis))
            | pl.when(parts["memory_kwh"].is_null()).then(UNKNOWN_BASIS).otherwise(0),
        )
        .with_columns(energy_kwh=pl.sum_horizontal(*parts, ignore_nulls=False))
        .with_columns(covered_kwh=pl.col("energy_kwh") * pl.col("covered_frac"))
    )
    sums = [*AMOUNT_COLUMNS.values(), *parts, "energy_kwh", "covered_kwh"]
    return (
        sum_consecutive(per_node.collect(), ["job_id"], sums=sums, unions=["basis"])
        .lazy()
        .with_columns(
            *mean_powers(),
            basis=_basis_names(),
        )
        .select(*ESTIMATE_COLUMNS, "energy_kwh", "covered_kwh")
    )


def mean_powers() -> list[pl.Expr]:
    """Mean power of each part in W: energy over amount held; null where nothing was held."""
    return [
        pl.when(pl.col(amount) > 0)
        .then(pl.col(f"{part}_kwh") / pl.col(amount) * (1 / KWH_PER_WH))
        .alias(POWER_COLUMNS[part])
        for part, amount in AMOUNT_COLUMNS.items()
    ]


def _part_kwh(amount: pl.Expr, power_kw: pl.Expr) -> pl.Expr:
    """Amount x power; exactly 0 for a part that is not held or that the tool leaves out."""
    return pl.when((amount <= 0) | (power_kw == 0)).then(0.0).otherwise(amount * power_kw)


def _basis_or_unknown(power_w: pl.Expr, basis: pl.Expr) -> pl.Expr:
    """Basis of a power; `UNKNOWN_BASIS` for a null power, unless the tool's own table lacks it."""
    return pl.when(power_w.is_null() & (basis != TABLE_BASIS)).then(UNKNOWN_BASIS).otherwise(basis)


def _bits_if_held(amount: str, basis: pl.Expr) -> pl.Expr:
    """Bits of a basis; 0 where nothing of that amount was held."""
    return pl.when(pl.col(amount) > 0).then(basis.cast(pl.Int64)).otherwise(0)


def _basis_names() -> pl.Expr:
    """Names of the bits in the column `basis`, joined by `+`; `none` without a bit."""
    names = {
        bits: "+".join(name for place, name in enumerate(BASIS_NAMES) if bits >> place & 1)
        or "none"
        for bits in range(1 << len(BASIS_NAMES))
    }
    return pl.col("basis").replace_strict(names, return_dtype=pl.String)
