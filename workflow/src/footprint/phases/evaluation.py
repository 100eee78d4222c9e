"""Compare assigned kinds with the true kinds of a simulated site, by jobs and by energy.

Accuracy is weighted by energy, because most jobs are short and use little. A job of kind `unknown`
counts as wrong. An unmeasured job has no energy and counts in the number of jobs alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.energy.job_count import has_held_node
from footprint.schemas.validation import PhaseEvaluation
from footprint.schemas.writing import conform


def confusion_table(
    kinds_by_method: Mapping[str, pl.LazyFrame],
    *,
    run_of_job: pl.LazyFrame,
    truth: pl.LazyFrame,
    job_energy: pl.LazyFrame,
) -> pl.DataFrame:
    """Number of jobs and energy by true kind and assigned kind.

    Args:
        kinds_by_method: `run_id`, `kind` by method, as in `{"rules": ..., "baseline": ...}`.
        run_of_job: `schemas.RunOfJob`.
        truth: `job_id`, `kind`.
        job_energy: `job_id`, `n_nodes`, `measured_kwh`. Jobs that held no node are left out, as in
            every count of jobs.

    Returns:
        `schemas.PhaseEvaluation`.
    """
    jobs = (
        truth.select("job_id", truth="kind")
        .drop_nulls("truth")
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .join(job_energy.filter(has_held_node()).select("job_id", "measured_kwh"), on="job_id")
    )
    classified = pl.concat(
        jobs.join(kinds.select("run_id", "kind"), on="run_id", how="left").select(
            pl.lit(method).alias("method"),
            "truth",
            kind=pl.col("kind").cast(pl.String).fill_null("unknown"),
            measured_kwh=pl.col("measured_kwh").fill_null(0.0),
        )
        for method, kinds in kinds_by_method.items()
    )
    counted = classified.group_by("method", "truth", "kind").agg(
        n_jobs=pl.len().cast(pl.Int64), measured_kwh=sum_or_zero(pl.col("measured_kwh"))
    )
    table: pl.DataFrame = conform(PhaseEvaluation, counted)
    return table


def accuracy_by_method(table: pl.DataFrame) -> pl.DataFrame:
    """Share of the energy, and of the jobs, with the right kind, by method.

    Args:
        table: `schemas.PhaseEvaluation`.

    Returns:
        `method`, `n_jobs`, `measured_kwh`, `energy_frac`, `jobs_frac`, sorted by method.
    """
    return _right_shares(table, ["method"])


def recall_by_kind(table: pl.DataFrame) -> pl.DataFrame:
    """Share of the energy, and of the jobs, with the right kind, by method and true kind.

    Args:
        table: `schemas.PhaseEvaluation`.

    Returns:
        `method`, `truth`, `n_jobs`, `measured_kwh`, `energy_frac`, `jobs_frac`, sorted by method
        and truth.
    """
    return _right_shares(table, ["method", "truth"])


def _right_shares(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    is_right = pl.col("truth") == pl.col("kind")
    sums = table.group_by(by).agg(
        n_jobs=exact_sum(pl.col("n_jobs")),
        measured_kwh=sum_or_zero(pl.col("measured_kwh")),
        right_jobs=exact_sum(pl.col("n_jobs").filter(is_right)),
        right_kwh=sum_or_zero(pl.col("measured_kwh").filter(is_right)),
    )
    return sums.sort(by).select(
        *by,
        "n_jobs",
        "measured_kwh",
        energy_frac=quotient(pl.col("right_kwh"), pl.col("measured_kwh")),
        jobs_frac=pl.col("right_jobs") / pl.col("n_jobs"),
    )


def format_summary(table: pl.DataFrame) -> str:
    """Accuracy and recall as text for a log or terminal, with a column for each method.

    Args:
        table: `schemas.PhaseEvaluation`.
    """
    methods = table["method"].unique().sort(descending=True).to_list()
    all_kinds = accuracy_by_method(table).with_columns(truth=pl.lit("all kinds"))
    recall = recall_by_kind(table)
    rows = pl.concat([recall, all_kinds.select(recall.columns)])
    lines = [f"{'true kind':<14} {'jobs':>7} {'kWh':>10}"]
    lines[0] += "".join(f" {method + ' %':>12} {'jobs %':>7}" for method in methods)
    for truth in rows["truth"].unique(maintain_order=True):
        by_method = {row["method"]: row for row in rows.filter(truth=truth).iter_rows(named=True)}
        any_row = next(iter(by_method.values()))
        line = f"{truth:<14} {any_row['n_jobs']:>7} {any_row['measured_kwh']:>10.1f}"
        for method in methods:
            row = by_method[method]
            line += f" {_percent(row['energy_frac']):>12} {_percent(row['jobs_frac']):>7}"
        lines.append(line)
    return "\n".join(lines)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction * 100:.1f}"
