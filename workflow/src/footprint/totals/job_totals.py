"""Totals and intervals of jobs and of jobs on nodes, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import quotient, sum_by_group
from footprint.totals.closed_form import TERMS, interval_ends, interval_terms
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_amounts import (
    OPTIONAL_COLUMNS,
    group_amounts,
    row_amounts,
    total_variance,
)

ESTIMATE_PARTS = {
    "own_readings": "own_readings_kwh",
    "same_job": "same_job_kwh",
    "virtual_meter": "virtual_meter_kwh",
    "hardware": "hardware_kwh",
}
"""Bases of estimates, with the column of their energy, from the most to the least reliable."""


def total_energy() -> pl.Expr:
    """Return `measured_kwh` (0 where null) + `estimated_kwh`; null where the latter is null."""
    return pl.col("measured_kwh").fill_null(0.0) + pl.col("estimated_kwh")


def measured_fraction() -> pl.Expr:
    """Return `measured_kwh / total_kwh`; null where the total is null or 0."""
    return quotient(pl.col("measured_kwh").fill_null(0.0), pl.col("total_kwh")).clip(0.0, 1.0)


def estimate_basis(prefix: str = "") -> pl.Expr:
    """Return the basis of most of `estimated_kwh`: a key of `ESTIMATE_PARTS`, or `none`.

    It is null where `estimated_kwh` is null. The more reliable of equal bases is returned.

    Args:
        prefix: Prefix of the columns of the parts.
    """
    parts = [pl.col(prefix + column).fill_null(0.0) for column in ESTIMATE_PARTS.values()]
    largest = pl.max_horizontal(parts)
    basis = pl.lit("none")
    for name, part in reversed(list(zip(ESTIMATE_PARTS, parts, strict=True))):
        basis = pl.when((part == largest) & (largest > 0)).then(pl.lit(name)).otherwise(basis)
    return pl.when(pl.col("estimated_kwh").is_not_null()).then(basis)


def intervals_of_rows(rows: pl.LazyFrame, model: ErrorModel) -> pl.LazyFrame:
    """Add `total_low_kwh` and `total_high_kwh` to rows of jobs on nodes.

    Args:
        rows: `schemas.energy.JobNodeEnergy` with `estimated_kwh`.
        model: Errors of the study.

    Returns:
        The columns of the rows, in their order, and the two ends; null where `estimated_kwh` is.
    """
    names = rows.collect_schema().names()
    kept = [name for name in names if name not in ("total_low_kwh", "total_high_kwh")]
    # amounts take the names of some columns
    copies = {f"_{name}": pl.col(name) for name in kept}
    is_known = pl.col("estimated_kwh").is_not_null()
    total = total_energy()
    return (
        _row_ends(rows.select(*kept, **copies), list(copies), model)
        .rename({copy: copy.removeprefix("_") for copy in copies})
        .with_columns(
            total_low_kwh=pl.when(is_known).then(pl.min_horizontal("total_low_kwh", total)),
            total_high_kwh=pl.when(is_known).then(pl.max_horizontal("total_high_kwh", total)),
        )
    )


def _row_ends(rows: pl.LazyFrame, keys: list[str], model: ErrorModel) -> pl.LazyFrame:
    """Ends of the intervals of rows, each a group of its own: `keys` and the ends."""
    clusters = rows.select(pl.col("cluster").unique()).collect()["cluster"].to_list()
    deviations = ["sampling_sd", "resolution_sd", "gap_sd", "run_sd", "own_sd"]
    low, high = interval_ends({name: pl.col(name) for name in TERMS})
    return (
        row_amounts(rows, model.cluster_table(clusters))
        .with_columns(pl.col(deviations).pow(2))
        .with_columns(independent_kwh2=total_variance(deviations))
        .select(*keys, **interval_terms())
        .select(*keys, total_low_kwh=low, total_high_kwh=high)
    )


def group_ends(rows: pl.LazyFrame, by: Sequence[str], model: ErrorModel) -> pl.DataFrame:
    """Return the ends of the intervals of many groups, in closed form.

    Groups of one row, as most jobs are, are not summed, which is faster.

    Args:
        rows: Rows of jobs on nodes (`group_amounts.group_amounts`).
        by: Columns that make a group; `["job_id"]` for jobs.
        model: Errors of the study.

    Returns:
        `by`, `total_low_kwh`, `total_high_kwh`, sorted by `by`. Unknown energy counts as 0.
    """
    by = list(by)
    found = rows.select(pl.col(name) for name in _used_columns(rows, by)).collect()
    is_single = found.select(pl.struct(by).is_unique()).to_series()
    several = found.filter(~is_single)
    amounts = group_amounts(several.lazy(), by, model)
    table = model.cluster_table(amounts["cluster"].unique().to_list())
    terms = amounts.join(table, on="cluster", how="left").select(*by, **interval_terms())
    summed = sum_by_group(terms, by, first=[], **{name: pl.col(name) for name in TERMS})
    low, high = interval_ends({name: pl.col(name) for name in TERMS})
    single = _row_ends(found.filter(is_single).lazy(), by, model).collect()
    ends = summed.select(*by, total_low_kwh=low, total_high_kwh=high)
    return pl.concat([single, ends]).sort(by)


def _used_columns(rows: pl.LazyFrame, by: list[str]) -> list[str]:
    """Columns that amounts are computed from, where the rows have them."""
    used = (*by, "job_id", "node", "cluster", *OPTIONAL_COLUMNS)
    present = rows.collect_schema().names()
    return [name for name in dict.fromkeys(used) if name in present]
