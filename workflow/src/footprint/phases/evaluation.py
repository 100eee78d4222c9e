"""Compare assigned kinds with the true kinds of a simulated site, by jobs and by energy.

Accuracy is weighted by energy, because most jobs are short and use little. A job of kind `unknown`
counts as wrong. A job of unknown energy counts in the number of jobs alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.energy.job_count import has_held_node
from footprint.phases.energies import add_total
from footprint.schemas.validation import PhaseAccuracy, PhaseEvaluation
from footprint.schemas.writing import conform
from footprint.totals.bootstrap import share_interval

WEIGHTS = ("energy", "jobs")
"""What shares of `accuracy_table` are of."""


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
        job_energy: `job_id`, `n_nodes`, `total_kwh`. Jobs that held no node are left out, as in
            every count of jobs.

    Returns:
        `schemas.PhaseEvaluation`.
    """
    classified = _classified_jobs(
        kinds_by_method, run_of_job=run_of_job, truth=truth, job_energy=job_energy
    )
    counted = classified.group_by("method", "truth", "kind").agg(
        n_jobs=pl.len().cast(pl.Int64), total_kwh=sum_or_zero(pl.col("total_kwh"))
    )
    table: pl.DataFrame = conform(PhaseEvaluation, counted)
    return table


def accuracy_table(
    kinds_by_method: Mapping[str, pl.LazyFrame],
    *,
    run_of_job: pl.LazyFrame,
    truth: pl.LazyFrame,
    job_energy: pl.LazyFrame,
) -> pl.DataFrame:
    """Share of energy and of jobs with the right kind, with intervals by bootstrap over users.

    Jobs of a user resemble each other, so that users are drawn with replacement instead of jobs.

    Args:
        kinds_by_method: As in `confusion_table`.
        run_of_job: As in `confusion_table`.
        truth: As in `confusion_table`.
        job_energy: As in `confusion_table`, and `user`.

    Returns:
        `schemas.PhaseAccuracy`.
    """
    classified = _classified_jobs(
        kinds_by_method, run_of_job=run_of_job, truth=truth, job_energy=job_energy
    )
    users = job_energy.select("job_id", "user")
    is_right = pl.col("truth") == pl.col("kind")
    jobs = (
        classified.join(users, on="job_id")
        .with_columns(energy=pl.col("total_kwh"), jobs=pl.lit(1.0))
        .with_columns(
            pl.when(is_right).then(weight).otherwise(0.0).alias(f"right_{weight}")
            for weight in WEIGHTS
        )
        .sort("method", "job_id")
        .collect()
    )
    rows = [
        _accuracy_row(jobs.filter(pl.col("method") == method), method, weight)
        for method in sorted(kinds_by_method)
        for weight in WEIGHTS
    ]
    empty = PhaseAccuracy.create_empty()
    table: pl.DataFrame = conform(PhaseAccuracy, pl.LazyFrame(rows, empty.schema))
    return table


def _accuracy_row(jobs: pl.DataFrame, method: str, weight: str) -> dict[str, str | float | None]:
    right, whole = f"right_{weight}", weight
    low, high = share_interval(jobs, part=right, whole=whole, cluster="user")
    share = quotient(sum_or_zero(pl.col(right)), sum_or_zero(pl.col(whole)))
    return {
        "method": method,
        "weight": weight,
        "n_jobs": len(jobs),
        "n_users": jobs["user"].n_unique(),
        "right_frac": jobs.select(share).item(),
        "right_low_frac": low,
        "right_high_frac": high,
    }


def _classified_jobs(
    kinds_by_method: Mapping[str, pl.LazyFrame],
    *,
    run_of_job: pl.LazyFrame,
    truth: pl.LazyFrame,
    job_energy: pl.LazyFrame,
) -> pl.LazyFrame:
    """True and assigned kind of each job by method: `method`, `job_id`, `truth`, `kind`."""
    energies = add_total(job_energy).filter(has_held_node())
    jobs = (
        truth.select("job_id", truth="kind")
        .drop_nulls("truth")
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .join(energies.select("job_id", "total_kwh"), on="job_id")
    )
    return pl.concat(
        jobs.join(kinds.select("run_id", "kind"), on="run_id", how="left").select(
            pl.lit(method).alias("method"),
            "job_id",
            "truth",
            kind=pl.col("kind").cast(pl.String).fill_null("unknown"),
            total_kwh=pl.col("total_kwh").fill_null(0.0),
        )
        for method, kinds in kinds_by_method.items()
    )


def accuracy_by_method(table: pl.DataFrame) -> pl.DataFrame:
    """Share of the energy, and of the jobs, with the right kind, by method.

    Args:
        table: `schemas.PhaseEvaluation`.

    Returns:
        `method`, `n_jobs`, `total_kwh`, `energy_frac`, `jobs_frac`, sorted by method.
    """
    return _right_shares(table, ["method"])


def recall_by_kind(table: pl.DataFrame) -> pl.DataFrame:
    """Share of the energy, and of the jobs, with the right kind, by method and true kind.

    Args:
        table: `schemas.PhaseEvaluation`.

    Returns:
        `method`, `truth`, `n_jobs`, `total_kwh`, `energy_frac`, `jobs_frac`, sorted by method
        and truth.
    """
    return _right_shares(table, ["method", "truth"])


def _right_shares(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    is_right = pl.col("truth") == pl.col("kind")
    sums = table.group_by(by).agg(
        n_jobs=exact_sum(pl.col("n_jobs")),
        total_kwh=sum_or_zero(pl.col("total_kwh")),
        right_jobs=exact_sum(pl.col("n_jobs").filter(is_right)),
        right_kwh=sum_or_zero(pl.col("total_kwh").filter(is_right)),
    )
    return sums.sort(by).select(
        *by,
        "n_jobs",
        "total_kwh",
        energy_frac=quotient(pl.col("right_kwh"), pl.col("total_kwh")),
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
        line = f"{truth:<14} {any_row['n_jobs']:>7} {any_row['total_kwh']:>10.1f}"
        for method in methods:
            row = by_method[method]
            line += f" {_percent(row['energy_frac']):>12} {_percent(row['jobs_frac']):>7}"
        lines.append(line)
    return "\n".join(lines)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction * 100:.1f}"
