"""Kinds found against true kinds, weighted by energy: most jobs are short and matter little.

Unknown counts as wrong. What was not measured has no energy, and counts only among jobs.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint import tables
from footprint.job_count import holds_node
from footprint.summation import exact_sum, quotient, total


def confusion(
    found: Mapping[str, pl.LazyFrame],
    *,
    run_of_job: pl.LazyFrame,
    truth: pl.LazyFrame,
    job_energy: pl.LazyFrame,
) -> pl.DataFrame:
    """Jobs and energy by true kind and kind found.

    Args:
        found: `run_id`, `kind` by method, as in `{"rules": ..., "baseline": ...}`.
        run_of_job: `tables.RunOfJob`.
        truth: `job_id`, `kind`.
        job_energy: `job_id`, `n_nodes`, `energy_kwh`. Jobs that held no node are left out, as in
            every count of jobs.

    Returns:
        `tables.PhaseEvaluation`.
    """
    jobs = (
        truth.select("job_id", truth="kind")
        .drop_nulls("truth")
        .join(run_of_job.select("job_id", "run_id"), on="job_id")
        .join(job_energy.filter(holds_node()).select("job_id", "energy_kwh"), on="job_id")
    )
    told = pl.concat(
        jobs.join(kinds.select("run_id", "kind"), on="run_id", how="left").select(
            pl.lit(method).alias("method"),
            "truth",
            kind=pl.col("kind").cast(pl.String).fill_null("unknown"),
            energy_kwh=pl.col("energy_kwh").fill_null(0.0),
        )
        for method, kinds in found.items()
    )
    counted = told.group_by("method", "truth", "kind").agg(
        n_jobs=pl.len().cast(pl.Int64), energy_kwh=total(pl.col("energy_kwh"))
    )
    table: pl.DataFrame = tables.conform(tables.PhaseEvaluation, counted)
    return table


def accuracy(table: pl.DataFrame) -> pl.DataFrame:
    """Part of the energy, and of the jobs, whose kind was found.

    Args:
        table: `tables.PhaseEvaluation`.

    Returns:
        `method`, `n_jobs`, `energy_kwh`, `energy_frac`, `jobs_frac`, sorted by method.
    """
    return _right(table, ["method"])


def recall(table: pl.DataFrame) -> pl.DataFrame:
    """The same of each true kind, by `method` and `truth`."""
    return _right(table, ["method", "truth"])


def _right(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    right = pl.col("truth") == pl.col("kind")
    sums = table.group_by(by).agg(
        n_jobs=exact_sum(pl.col("n_jobs")),
        energy_kwh=total(pl.col("energy_kwh")),
        right_jobs=exact_sum(pl.col("n_jobs").filter(right)),
        right_kwh=total(pl.col("energy_kwh").filter(right)),
    )
    return sums.sort(by).select(
        *by,
        "n_jobs",
        "energy_kwh",
        energy_frac=quotient(pl.col("right_kwh"), pl.col("energy_kwh")),
        jobs_frac=pl.col("right_jobs") / pl.col("n_jobs"),
    )


def summary(table: pl.DataFrame) -> str:
    """Accuracy and recall as text, a column a method, for a log or the terminal.

    Args:
        table: `tables.PhaseEvaluation`.
    """
    methods = table["method"].unique().sort(descending=True).to_list()
    all_kinds = accuracy(table).with_columns(truth=pl.lit("all kinds"))
    rows = pl.concat([recall(table), all_kinds.select(recall(table).columns)])
    lines = [f"{'true kind':<14} {'jobs':>7} {'kWh':>10}"]
    lines[0] += "".join(f" {method + ' %':>12} {'jobs %':>7}" for method in methods)
    for truth in rows["truth"].unique(maintain_order=True):
        own = {row["method"]: row for row in rows.filter(truth=truth).iter_rows(named=True)}
        any_row = next(iter(own.values()))
        line = f"{truth:<14} {any_row['n_jobs']:>7} {any_row['energy_kwh']:>10.1f}"
        for method in methods:
            row = own[method]
            line += f" {_percent(row['energy_frac']):>12} {_percent(row['jobs_frac']):>7}"
        lines.append(line)
    return "\n".join(lines)


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:.1f}"
