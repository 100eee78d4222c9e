"""Uncertainty budgets of the site and of each paper that is shown by name."""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import MEASURED_METHOD
from footprint.energy.job_count import has_held_node
from footprint.totals.budget import budget_of_groups
from footprint.totals.error_model import ErrorModel


def budget_of_levels(
    levels: pl.DataFrame,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    papers: pl.LazyFrame,
    *,
    site: str,
    model: ErrorModel,
) -> pl.DataFrame:
    """Return the uncertainty budgets (`schemas.totals.Uncertainty`).

    Args:
        levels: `schemas.Levels`, for the names of papers that are shown. A row of several small
            papers has no budget.
        job_energy: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        papers: `job_id`, `paper`.
        site: Name of the site.
        model: Errors of the study.
    """
    shown = levels.filter(pl.col("level") == "paper", pl.col("method") == MEASURED_METHOD)
    jobs = (
        job_energy.filter(has_held_node())
        .select("job_id", "similar", site=pl.lit(site))
        .join(papers.select("job_id", "paper"), on="job_id", how="left")
    )
    rows = job_nodes.join(jobs, on="job_id").collect().lazy()
    of_papers = rows.filter(pl.col("paper").is_in(shown["name"].implode()))
    return pl.concat(
        [
            budget_of_groups(rows, "site", "site", model),
            budget_of_groups(of_papers, "paper", "paper", model),
        ]
    )
