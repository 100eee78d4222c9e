"""Totals and intervals of jobs and of jobs on nodes, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import quotient, sum_by_group
from footprint.totals.closed_form import TERMS, interval_ends, interval_terms
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_amounts import group_amounts, row_amounts, total_variance

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
    clusters = rows.select(pl.col("cluster").unique()).collect()["cluster"].to_list()
    variances = ["sampling_sd", "resolution_sd", "gap_sd", "run_sd", "own_sd"]
    numbered = rows.select(kept).with_row_index("_row")
    low, high = interval_ends({name: pl.col(name) for name in TERMS})
    ends = (
        row_amounts(numbered, model.cluster_table(clusters))
        .with_columns(pl.col(name).pow(2) for name in variances)
        .with_columns(independent_kwh2=total_variance(variances))
        .select("_row", **interval_terms())
        .select("_row", total_low_kwh=low, total_high_kwh=high)
    )
    is_known = pl.col("estimated_kwh").is_not_null()
    return (
        numbered.join(ends, on="_row", maintain_order="left")
        .with_columns(
            total_low_kwh=pl.when(is_known).then(
                pl.min_horizontal("total_low_kwh", total_energy())
            ),
            total_high_kwh=pl.when(is_known).then(
                pl.max_horizontal("total_high_kwh", total_energy())
            ),
        )
        .drop("_row")
    )


def group_ends(rows: pl.LazyFrame, by: Sequence[str], model: ErrorModel) -> pl.DataFrame:
    """Return the ends of the intervals of many groups, in closed form.

    Args:
        rows: Rows of jobs on nodes (`group_amounts.group_amounts`).
        by: Columns that make a group; `["job_id"]` for jobs.
        model: Errors of the study.

    Returns:
        `by`, `total_low_kwh`, `total_high_kwh`, sorted by `by`. Unknown energy counts as 0.
    """
    by = list(by)
    amounts = group_amounts(rows, by, model)
    table = model.cluster_table(amounts["cluster"].unique().to_list())
    terms = amounts.join(table, on="cluster", how="left").select(*by, **interval_terms())
    summed = sum_by_group(terms, by, first=[], **{name: pl.col(name) for name in TERMS})
    low, high = interval_ends({name: pl.col(name) for name in TERMS})
    return summed.select(*by, total_low_kwh=low, total_high_kwh=high)
