"""Energy of jobs from the power of one GPU, of one core and of one GB of memory.

All tools but those that recorded something are linear in what a job held: hours of GPUs, of cores
and of GB. A job on part of a node so has its share of cores and memory, and its own GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from footprint.estimators.facts import Facts
from footprint.summation import by_run

BASES = ("series", "load", "tdp", "table", "any", "unknown")
SERIES, LOAD, TDP, TABLE, ANY, UNKNOWN = (1 << place for place in range(len(BASES)))
"""Where a power comes from, as bits, so that the bases of a job's nodes are their union.

`unknown` replaces the basis of a power that is null because the catalogue lacks the hardware. The
table of a tool (`table`) lacks hardware of its own.
"""

KWH_PER_WH = 1e-3

AMOUNTS = {"gpu": "gpu_hours", "cpu": "core_hours", "memory": "memory_gbh"}
POWERS = {"gpu": "gpu_power_w", "cpu": "core_power_w", "memory": "memory_w_per_gb"}
PARTS = ("job_id", "basis", *AMOUNTS.values(), *POWERS.values(), "gpu_kwh", "cpu_kwh", "memory_kwh")
"""What an estimator gives of each job, beside `energy_kwh` and `covered_kwh`, both without PUE."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Powers, as expressions over the columns of `facts.HELD`; null: the tool cannot tell.

    Attributes:
        gpu_w: Of one GPU.
        core_w: Of one core.
        memory_w_per_gb: Of one GB of memory.
        gpu_basis: Where the power of a GPU comes from (bits of `BASES`).
        cpu_basis: Where that of a core comes from.
    """

    gpu_w: pl.Expr
    core_w: pl.Expr
    memory_w_per_gb: pl.Expr
    gpu_basis: pl.Expr
    cpu_basis: pl.Expr


NOTHING = pl.lit(0.0)
NO_BASIS = pl.lit(0)


def energy(facts: Facts, rates: Rates) -> pl.LazyFrame:
    """Energy of each job: amounts held times powers, added up over its nodes.

    Args:
        facts: What jobs held.
        rates: Powers.

    Returns:
        `PARTS`, `energy_kwh` and `covered_kwh`, one row a job that held a node.
    """
    powers = {"gpu": rates.gpu_w, "cpu": rates.core_w, "memory": rates.memory_w_per_gb}
    parts = {
        f"{part}_kwh": _part(pl.col(AMOUNTS[part]), power * KWH_PER_WH)
        for part, power in powers.items()
    }
    per_node = (
        facts.held.select(
            "job_id",
            *AMOUNTS.values(),
            **parts,
            covered_frac=pl.col("coverage_frac").fill_null(0.0),
            basis=_held_bits("gpu_hours", _basis(rates.gpu_w, rates.gpu_basis))
            | _held_bits("core_hours", _basis(rates.core_w, rates.cpu_basis))
            | pl.when(parts["memory_kwh"].is_null()).then(UNKNOWN).otherwise(0),
        )
        .with_columns(energy_kwh=pl.sum_horizontal(*parts, ignore_nulls=False))
        .with_columns(covered_kwh=pl.col("energy_kwh") * pl.col("covered_frac"))
    )
    sums = [*AMOUNTS.values(), *parts, "energy_kwh", "covered_kwh"]
    return (
        by_run(per_node.collect(), ["job_id"], sums=sums, unions=["basis"])
        .lazy()
        .with_columns(
            *mean_powers(),
            basis=_basis_text(),
        )
        .select(*PARTS, "energy_kwh", "covered_kwh")
    )


def mean_powers() -> list[pl.Expr]:
    """Energy over amount of each part, in watts; null where nothing was held."""
    return [
        pl.when(pl.col(amount) > 0)
        .then(pl.col(f"{part}_kwh") / pl.col(amount) * (1 / KWH_PER_WH))
        .alias(POWERS[part])
        for part, amount in AMOUNTS.items()
    ]


def _part(amount: pl.Expr, power_kw: pl.Expr) -> pl.Expr:
    """Amount x power; a part that is not held, or that the tool leaves out, is 0 in any case."""
    return pl.when((amount <= 0) | (power_kw == 0)).then(0.0).otherwise(amount * power_kw)


def _basis(power_w: pl.Expr, basis: pl.Expr) -> pl.Expr:
    """The basis of a power; `UNKNOWN` for a null, unless a tool's own table has the gap."""
    return pl.when(power_w.is_null() & (basis != TABLE)).then(UNKNOWN).otherwise(basis)


def _held_bits(amount: str, basis: pl.Expr) -> pl.Expr:
    return pl.when(pl.col(amount) > 0).then(basis.cast(pl.Int64)).otherwise(0)


def _basis_text() -> pl.Expr:
    texts = {
        bits: "+".join(name for place, name in enumerate(BASES) if bits >> place & 1) or "none"
        for bits in range(1 << len(BASES))
    }
    return pl.col("basis").replace_strict(texts, return_dtype=pl.String)
