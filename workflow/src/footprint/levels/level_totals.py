"""Totals of groups of jobs and of overhead classes, with intervals and measured fractions."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum, quotient, sum_or_zero
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


def totals_of_overhead(
    node_energy: pl.LazyFrame, job_nodes: pl.LazyFrame, model: ErrorModel
) -> pl.LazyFrame:
    """Return the totals of each class of node time but `job`.

    Classes without energy and without unknown time are left out.

    Args:
        node_energy: `schemas.NodeEnergy`.
        job_nodes: `schemas.JobNodeEnergy`, for the bases of estimates: estimates of overhead have
            those of the jobs on the same cluster.
        model: Errors of the study. Each node counts as one run of a class.

    Returns:
        As `totals_of_groups`, with null `coverage_frac`.
    """
    rows = (
        _with_estimate_parts(node_energy, job_nodes)
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


def _with_estimate_parts(node_energy: pl.LazyFrame, job_nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Classes of nodes with their estimated energy by basis, which the classes do not keep.

    Free nodes have no series of devices: a cluster with readings has estimates from its own
    readings, and another has estimates by its hardware, which have the widest interval. Free parts
    of nodes with a job are in the parts of the cluster's jobs, where some energy of these was
    estimated.
    """
    parts = list(ESTIMATE_PARTS.values())
    of_jobs = job_nodes.group_by("cluster").agg(
        sum_or_zero(pl.col(name)).alias(f"{name}_of_jobs") for name in parts
    )
    whole = pl.sum_horizontal(f"{name}_of_jobs" for name in parts)
    is_read = (pl.col("measured_kwh").max().over("cluster") > 0).fill_null(False)
    usual = {name: pl.lit(0.0) for name in parts} | {
        "own_readings_kwh": is_read.cast(pl.Float64),
        "hardware_kwh": (~is_read).cast(pl.Float64),
    }
    return node_energy.join(of_jobs, on="cluster", how="left").with_columns(
        (
            pl.col("estimated_kwh")
            * pl.when(pl.col("class").cast(pl.String) == "stranded")
            .then(quotient(pl.col(f"{name}_of_jobs"), whole))
            .fill_null(usual[name])
        ).alias(name)
        for name in parts
    )


def _gpu_node_frac() -> pl.Expr:
    """Part of the total energy that nodes with GPUs drew."""
    energy = known_total()
    return quotient(sum_or_zero(energy.filter("has_gpu")), sum_or_zero(energy)).clip(0.0, 1.0)
