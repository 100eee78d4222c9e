"""Totals and ratios of a simulated study against their true values, at every level."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from footprint.core.sums import exact_sum, known_sum, quotient, sum_or_zero
from footprint.core.vocabulary import MEASURED_METHOD, NO_PROJECT, OTHERS, SMALL_GROUPS
from footprint.energy.job_count import has_held_node

TOTAL_LEVELS = ("site", "project", "user", "paper")
"""Levels whose totals are compared."""

RATIO_LEVEL, JOB_LEVEL = "ratio", "job"
_LEVEL_TYPE = pl.Enum([*TOTAL_LEVELS, RATIO_LEVEL, JOB_LEVEL])
_MERGED_NAMES = (OTHERS, SMALL_GROUPS)


def true_energies(
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    *,
    truth: pl.LazyFrame,
    kinds: pl.LazyFrame,
    labels: pl.LazyFrame,
) -> pl.LazyFrame:
    """Energy of each job of the study with its true energy and true phase.

    Args:
        job_energy: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        truth: `schemas.Truth`; nodes outside the study are not counted.
        kinds: `schemas.TrueKinds`.
        labels: `schemas.JobLabels`, which assign jobs to papers.

    Returns:
        `job_id`, `user`, `project`, `paper` (null: no label), `phase` (the true one), `duration_s`,
        `total_kwh`, `total_low_kwh`, `total_high_kwh`, `true_kwh`, sorted by job.
    """
    of_study = truth.join(job_nodes.select("job_id", "node"), on=["job_id", "node"], how="semi")
    true = of_study.group_by("job_id").agg(sum_or_zero(pl.col("true_kwh")))
    return (
        job_energy.filter(has_held_node())
        .select(
            "job_id",
            "user",
            pl.col("project").fill_null(NO_PROJECT),
            "duration_s",
            *("total_kwh", "total_low_kwh", "total_high_kwh"),
        )
        .join(true, on="job_id", how="left")
        .with_columns(pl.col("true_kwh").fill_null(0.0))
        .join(labels.select("job_id", "paper"), on="job_id", how="left")
        .join(kinds.select("job_id", "phase"), on="job_id", how="left")
        .sort("job_id")
    )


def compare_totals(jobs: pl.LazyFrame, levels: pl.LazyFrame, ratio: pl.LazyFrame) -> pl.LazyFrame:
    """Compare the totals of levels, the ratios of papers and the jobs with their true values.

    Args:
        jobs: Result of `true_energies`.
        levels: `schemas.Levels`.
        ratio: `schemas.PhaseRatio`.

    Returns:
        `schemas.AgainstTruth`, sorted by level and name.
    """
    of_jobs = jobs.collect()
    of_levels = levels.filter(
        pl.col("method") == MEASURED_METHOD, pl.col("total_kwh").is_not_null()
    ).collect()
    groups = [_compare_level(of_jobs, of_levels, level) for level in TOTAL_LEVELS]
    # a paper whose reported training is not in the study has no true R to compare with
    compared = pl.concat([*groups, _compare_ratios(of_jobs, ratio)]).drop_nulls("truth")
    compared = compared.with_columns(
        is_inside=(
            (pl.col("truth") >= pl.col("low")) & (pl.col("truth") <= pl.col("high")).fill_null(True)
        ).fill_null(False)
    )
    compared = compared.with_columns(
        n_compared=pl.lit(1, pl.Int64),
        n_inside=pl.col("is_inside").cast(pl.Int64),
        miss_half_widths=_miss_half_widths(),
    )
    return (
        pl.concat([compared, _count_jobs(of_jobs)], how="diagonal")
        .with_columns(
            pl.col("level").cast(_LEVEL_TYPE),
            error_frac=quotient(pl.col("total"), pl.col("truth")) - 1,
        )
        .sort("level", "name")
        .lazy()
    )


def _compare_level(jobs: pl.DataFrame, levels: pl.DataFrame, level: str) -> pl.DataFrame:
    """Totals of one level with their true energies."""
    own = levels.filter(pl.col("level") == level)
    if level == "paper":
        own = own.filter(~pl.col("name").is_in(_MERGED_NAMES))
    shown = own["name"].to_list()
    group = pl.lit(shown[0] if shown else None, pl.String) if level == "site" else pl.col(level)
    truth = (
        jobs.with_columns(name=_shown_name(group, shown))
        .drop_nulls("name")
        .group_by("name")
        .agg(truth=sum_or_zero(pl.col("true_kwh")))
    )
    return own.join(truth, on="name", how="left").select(
        "level",
        "name",
        total="total_kwh",
        low="total_low_kwh",
        # a total without part of its energy is a lower bound
        high=pl.when(pl.col("unknown_node_h").fill_null(0.0) <= 0).then("total_high_kwh"),
        truth=pl.col("truth").fill_null(0.0),
        unit=pl.lit("kWh"),
    )


def _shown_name(group: pl.Expr, shown: Collection[str]) -> pl.Expr:
    """Name under which the levels show the group of a job; null: they leave it out."""
    merged = next((name for name in _MERGED_NAMES if name in shown), None)
    rest = pl.when(group.is_not_null()).then(pl.lit(merged, pl.String))
    return pl.when(group.is_in(list(shown))).then(group).otherwise(rest)


def _compare_ratios(jobs: pl.DataFrame, ratio: pl.LazyFrame) -> pl.DataFrame:
    """Ratios of papers with those of the true energies of their true phases."""
    true = (
        jobs.drop_nulls("paper")
        .group_by(name="paper")
        .agg(truth=quotient(*(_energy_of_phase(phase) for phase in ("development", "training"))))
    )
    papers = ratio.filter(pl.col("scope") == "paper", pl.col("ratio").is_not_null()).collect()
    return papers.join(true, on="name").select(
        pl.lit(RATIO_LEVEL).alias("level"),
        "name",
        total="ratio",
        low="ratio_low",
        high="ratio_high",
        truth="truth",
        unit=pl.lit("1"),
    )


def _energy_of_phase(phase: str) -> pl.Expr:
    return sum_or_zero(pl.col("true_kwh").filter(pl.col("phase") == phase))


def _miss_half_widths() -> pl.Expr:
    """Distance of the truth from the nearer end of the interval, in half widths."""
    low, high, truth = pl.col("low"), pl.col("high"), pl.col("truth")
    distance = pl.max_horizontal(low - truth, truth - high)
    return pl.when("is_inside").then(0.0).otherwise(quotient(distance, (high - low) / 2))


def _count_jobs(jobs: pl.DataFrame) -> pl.DataFrame:
    """Number of jobs with a total, and of those whose interval contains the true energy."""
    true_kwh = pl.col("true_kwh")
    compared = jobs.filter(
        pl.col("duration_s") > 0, pl.col("total_kwh").is_not_null(), true_kwh > 0
    )
    inside = true_kwh.is_between("total_low_kwh", "total_high_kwh")
    return compared.select(
        pl.lit(JOB_LEVEL).alias("level"),
        pl.lit("all jobs").alias("name"),
        total=known_sum(pl.col("total_kwh")),
        truth=known_sum(true_kwh),
        unit=pl.lit("kWh"),
        n_compared=pl.len().cast(pl.Int64),
        n_inside=exact_sum(inside).cast(pl.Int64),
    ).head(1)
