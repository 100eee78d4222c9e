"""Totals of groups of jobs and of overhead classes, with intervals and measured fractions."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.totals.error_model import ErrorModel
from footprint.totals.job_totals import ESTIMATE_PARTS
from footprint.totals.known_total import known_total
from footprint.totals.study_totals import group_intervals


def totals_of_groups(rows: pl.LazyFrame, model: ErrorModel) -> pl.LazyFrame:
    """Return the totals of groups of jobs.

    Args:
        rows: `schemas.JobNodeEnergy` with `name` of the group, and `similar` of the jobs.
        model: Errors of the study.

    Returns:
        `name`, the columns of `study_totals.group_intervals`, `covered_kwh` (measured),
        `coverage_frac` (of share x time) and `gpu_node_frac` (of the total).
    """
    held_s = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    covered_s = held_s * pl.col("coverage_frac").fill_null(0.0)
    fractions = rows.group_by("name").agg(
        coverage_frac=quotient(sum_or_zero(covered_s), sum_or_zero(held_s)).clip(0.0, 1.0),
        gpu_node_frac=_gpu_node_frac(),
    )
    return (
        group_intervals(rows, ["name"], model)
        .lazy()
        .join(fractions, on="name", how="left")
        .with_columns(covered_kwh="measured_kwh")
    )


def totals_of_overhead(node_energy: pl.LazyFrame, model: ErrorModel) -> pl.LazyFrame:
    """Return the totals of each class of node time but `job`.

    Classes without energy and without unknown time are left out. The row `no_data` has only unknown
    time; it includes time of jobs.

    Args:
        node_energy: `schemas.NodeEnergy`.
        model: Errors of the study. Each node counts as one run of a class.

    Returns:
        As `totals_of_groups`, with null `coverage_frac`.
    """
    rows = (
        _with_estimate_parts(node_energy)
        .filter(pl.col("class") != "job")
        .with_columns(name=pl.col("class").cast(pl.String), share=pl.lit(1.0))
        .group_by("name", "node", "cluster", "has_gpu", "share")
        .agg(
            known_sum(pl.col("measured_kwh", "estimated_kwh", *ESTIMATE_PARTS.values())),
            sum_or_zero(pl.col("unknown_node_h")),
            covered_s=sum_or_zero(pl.col("duration_s").filter(pl.col("measured_kwh") > 0)),
        )
        .sort("name", "node")
        .collect()
        .lazy()
    )
    return (
        group_intervals(rows, ["name"], model)
        .lazy()
        .join(rows.group_by("name").agg(gpu_node_frac=_gpu_node_frac()), on="name", how="left")
        .with_columns(covered_kwh="measured_kwh")
        .filter((pl.col("unknown_node_h") > 0) | (pl.col("total_kwh") > 0))
    )


def _with_estimate_parts(node_energy: pl.LazyFrame) -> pl.LazyFrame:
    """Classes of nodes with their estimated energy by basis, and `unknown_node_h`.

    Where the table has no bases, a node of a cluster with readings counts as estimated from its own
    readings, another by its hardware, which has the widest interval. Where it has no unknown time,
    all of `no_data` is unknown.
    """
    present = node_energy.collect_schema().names()
    estimated = pl.col("estimated_kwh")
    is_read = (pl.col("measured_kwh").max().over("cluster") > 0).fill_null(False)
    parts = {name: pl.lit(0.0) for name in ESTIMATE_PARTS.values()} | {
        "own_readings_kwh": pl.when(is_read).then(estimated).otherwise(0.0),
        "hardware_kwh": pl.when(~is_read).then(estimated).otherwise(0.0),
    }
    is_no_data = pl.col("class") == "no_data"
    unknown = {
        "unknown_node_h": pl.when(is_no_data).then(pl.col("duration_s") * H_PER_S).otherwise(0.0)
    }
    missing = {} if set(parts) <= set(present) else parts
    return node_energy.with_columns(**missing, **({} if "unknown_node_h" in present else unknown))


def _gpu_node_frac() -> pl.Expr:
    """Part of the total energy that nodes with GPUs drew."""
    energy = known_total()
    return quotient(sum_or_zero(energy.filter("has_gpu")), sum_or_zero(energy)).clip(0.0, 1.0)
