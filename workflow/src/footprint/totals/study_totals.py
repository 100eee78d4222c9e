"""Totals, intervals and measured fractions that rules and later stages add to tables."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import known_sum, sum_by_group, sum_or_zero
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_totals import draw_groups
from footprint.totals.job_totals import (
    ESTIMATE_PARTS,
    estimate_basis,
    group_ends,
    intervals_of_rows,
    measured_fraction,
    total_energy,
)

GROUPS_AT_ONCE = 256
"""Groups that are drawn at once, which bounds the memory."""


def add_job_totals(job_nodes: pl.LazyFrame, model: ErrorModel) -> pl.LazyFrame:
    """Add totals and intervals to jobs on nodes.

    Args:
        job_nodes: `schemas.energy.JobNodeEnergy`: `job_id`, `node`, `cluster`, `share`,
            `covered_s`, `measured_kwh`, `estimated_kwh` with its parts (`own_readings_kwh`,
            `same_job_kwh`, `virtual_meter_kwh`, `hardware_kwh`), `sampling_kwh`, `resolution_kwh`,
            `gap_kwh`.
        model: Errors of the study.

    Returns:
        The rows in their order with `total_kwh`, `total_low_kwh`, `total_high_kwh`,
        `measured_frac`, `estimate_basis`; null where `estimated_kwh` is.
    """
    return (
        intervals_of_rows(job_nodes, model)
        .with_columns(total_kwh=total_energy(), estimate_basis=estimate_basis())
        .with_columns(measured_frac=measured_fraction())
    )


def add_totals_of_jobs(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, model: ErrorModel
) -> pl.LazyFrame:
    """Add totals and intervals to jobs.

    Args:
        jobs: `job_id`, `measured_kwh`, `estimated_kwh`.
        job_nodes: As in `add_job_totals`, of these jobs.
        model: Errors of the study.

    Returns:
        The jobs in their order with the columns that `add_job_totals` adds. A job without rows in
        `job_nodes` has the interval of its total alone.
    """
    added = ("total_kwh", "total_low_kwh", "total_high_kwh", "measured_frac", "estimate_basis")
    ends = group_ends(job_nodes, ["job_id"], model)
    columns = list(ESTIMATE_PARTS.values())
    parts = sum_by_group(
        job_nodes.select("job_id", *columns).collect(),
        ["job_id"],
        first=[],
        **{f"_{column}": pl.col(column) for column in columns},
    )
    kept = [name for name in jobs.collect_schema().names() if name not in added]
    return (
        jobs.select(kept)
        .join(ends.lazy(), on="job_id", how="left", maintain_order="left")
        .join(parts.lazy(), on="job_id", how="left", maintain_order="left")
        .with_columns(total_kwh=total_energy())
        .with_columns(
            total_low_kwh=_when_known(pl.min_horizontal("total_low_kwh", "total_kwh")),
            total_high_kwh=_when_known(pl.max_horizontal("total_high_kwh", "total_kwh")),
            measured_frac=measured_fraction(),
            estimate_basis=estimate_basis("_"),
        )
        .select(*kept, *added)
    )


def _when_known(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("total_kwh").is_not_null()).then(value)


def group_intervals(rows: pl.LazyFrame, by: Sequence[str], model: ErrorModel) -> pl.DataFrame:
    """Return energies and intervals of groups of jobs on nodes, from draws.

    A group sums what is known: rows without an estimate count with their measured energy, and
    `unknown_node_h` is their time.

    Args:
        rows: `schemas.energy.JobNodeEnergy` with the columns of `by`, and `similar` of the jobs.
        by: Columns that make a group.
        model: Errors of the study.

    Returns:
        `by`, `measured_kwh` and `estimated_kwh` (null where no row has one), `total_kwh`,
        `total_low_kwh`, `total_high_kwh` (null where both are null), `measured_frac`,
        `unknown_node_h`, sorted by `by`.
    """
    by = list(by)
    known = rows.group_by(by).agg(
        known_sum(pl.col("measured_kwh").drop_nulls()),
        known_sum(pl.col("estimated_kwh").drop_nulls()),
        sum_or_zero(pl.col("unknown_node_h")),
    )
    amounts = group_amounts(rows, by, model)
    names = amounts.select(by).unique().sort(by)
    ends = [
        draw_groups(
            amounts.join(names.slice(start, GROUPS_AT_ONCE), on=by, how="semi", nulls_equal=True),
            model,
        ).interval()
        for start in range(0, max(len(names), 1), GROUPS_AT_ONCE)
    ]
    total = pl.col("measured_kwh").fill_null(0.0) + pl.col("estimated_kwh").fill_null(0.0)
    has_any = pl.col("measured_kwh").is_not_null() | pl.col("estimated_kwh").is_not_null()
    return (
        known.collect()
        .join(pl.concat(ends).drop("total_kwh"), on=by, how="left", nulls_equal=True)
        .with_columns(total_kwh=pl.when(has_any).then(total))
        .with_columns(
            total_low_kwh=_when_known(pl.min_horizontal("total_low_kwh", "total_kwh")),
            total_high_kwh=_when_known(pl.max_horizontal("total_high_kwh", "total_kwh")),
            measured_frac=measured_fraction(),
        )
        .select(
            *by,
            *("measured_kwh", "estimated_kwh", "total_kwh", "total_low_kwh", "total_high_kwh"),
            *("measured_frac", "unknown_node_h"),
        )
        .sort(by)
    )
