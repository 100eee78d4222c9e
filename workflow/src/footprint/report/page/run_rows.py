"""Runs of the report, with the project, person and paper by which the levels name them."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.vocabulary import MEASURED_METHOD, NO_PROJECT, OTHERS, SMALL_GROUPS

MOST_RUNS = 20_000
"""Most runs that the page lists one by one; above, it lists weeks of a person and phase."""


def runs_of_page(
    runs: pl.DataFrame,
    job_energy: pl.DataFrame,
    papers: pl.DataFrame,
    levels: pl.DataFrame,
) -> pl.DataFrame:
    """Runs that ran, the largest first, with the names by which the levels have them.

    Args:
        runs: `schemas.Runs`.
        job_energy: `schemas.JobEnergy`.
        papers: `job_id`, `paper`.
        levels: `schemas.Levels`.

    Returns:
        The columns of `runs`, and `paper` (of the first labelled job), `clusters` (joined by
        commas), `duration_h`. Projects and people that the
        levels do not name are `SMALL_GROUPS` and `OTHERS`.
    """
    ran = runs.filter(pl.col("kind").is_not_null())
    of_jobs = (
        ran.select("run_id", "job_ids", place=pl.int_ranges(pl.col("job_ids").list.len()))
        .explode("job_ids", "place")
        .rename({"job_ids": "job_id"})
        .join(papers.unique("job_id", keep="first", maintain_order=True), on="job_id", how="left")
        .join(job_energy.select("job_id", "clusters"), on="job_id", how="left")
        .sort("run_id", "place")
        .group_by("run_id", maintain_order=True)
        .agg(
            pl.col("paper").drop_nulls().first(),
            pl.col("clusters").explode().drop_nulls().unique().sort().str.join(", "),
        )
    )
    named = levels.filter(pl.col("method") == MEASURED_METHOD)
    project, user = pl.col("project"), pl.col("user")
    return (
        ran.join(of_jobs, on="run_id", how="left")
        .with_columns(
            project=pl.when(project.is_null() & pl.lit(_has(named, "project", NO_PROJECT)))
            .then(pl.lit(NO_PROJECT))
            .when(project.is_in(_names(named, "project")))
            .then(project)
            .otherwise(pl.lit(SMALL_GROUPS)),
            user=pl.when(user.is_in(_names(named, "user"))).then(user).otherwise(pl.lit(OTHERS)),
            paper=pl.when(pl.col("paper").is_in(_names(named, "paper")))
            .then("paper")
            .when(pl.col("paper").is_not_null())
            .then(pl.lit(SMALL_GROUPS)),
            duration_h=pl.col("duration_s") / 3600,
        )
        .sort("total_kwh", "run_id", descending=[True, False], nulls_last=True)
    )


def grouped_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """Weeks of a person, project, paper and phase, the largest first.

    Args:
        runs: Result of `runs_of_page`.

    Returns:
        `week`, `phase`, `user`, `project`, `paper`, `n_runs`, `duration_h`, `gpu_hours`,
        `total_kwh`, `measured_frac`.
    """
    keys = ["week", "phase", "user", "project", "paper"]
    week = pl.col("started_at").dt.truncate("1w").dt.date()
    return (
        runs.with_columns(week=week, phase=pl.col("phase").cast(pl.String))
        .group_by(keys)
        .agg(
            n_runs=pl.len(),
            duration_h=sum_or_zero(pl.col("duration_h")),
            gpu_hours=sum_or_zero(pl.col("gpu_hours")),
            total_kwh=known_sum(pl.col("total_kwh")),
            measured_kwh=sum_or_zero(pl.col("measured_kwh")),
        )
        .with_columns(
            measured_frac=pl.when(pl.col("total_kwh") > 0).then(
                pl.col("measured_kwh") / pl.col("total_kwh")
            )
        )
        .sort("total_kwh", *keys, descending=[True, *[False] * len(keys)], nulls_last=True)
        .drop("measured_kwh")
    )


def _names(levels: pl.DataFrame, level: str) -> list[str]:
    return levels.filter(pl.col("level") == level)["name"].to_list()


def _has(levels: pl.DataFrame, level: str, name: str) -> bool:
    return name in _names(levels, level)
