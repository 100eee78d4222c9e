"""Runs whose phase no label determines, by energy, for the choice of the reported training.

The list contains logins and commands, so that it is for the owner of the study alone.
`label_proposals` has the groups of runs whose kinds are worth a label.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import sum_or_zero

KINDS_NEEDING_ROLE = ("training_run", "inference_run")
"""Kinds whose phase depends on the role; runs of other kinds are development."""


def rank_unlabelled_runs(
    runs: pl.LazyFrame,
    labelled: pl.LazyFrame,
    jobs: pl.LazyFrame,
    *,
    user: str | None = None,
    project: str | None = None,
    paper: str | None = None,
) -> pl.LazyFrame:
    """Runs that labels do not settle, by energy.

    Labels settle a run when they give its phase, its kind and its role, or a kind whose phase does
    not depend on the role. Runs that never started are left out.

    Args:
        runs: `schemas.Runs`.
        labelled: `schemas.JobLabels`.
        jobs: `schemas.Jobs`.
        user: Only runs of this login (or pseudonym).
        project: Only runs of this project.
        paper: Only runs of this paper, by labels.

    Returns:
        `rank` (1 has the most energy; runs of unknown energy come last, by their GPU hours),
        `run_id`, `n_jobs`, `user` (login), `project`, `paper`, `name`, `command` (of first job),
        `started_at`, `duration_s`, `gpu_hours`, `total_kwh`, `cumulated_frac` (share of the
        energy of all listed runs that the runs up to this rank use; null: energy unknown), `kind`
        and `rule` (of the classifier), `role` (of labels). Sorted by rank.
    """
    labels = labelled.select(
        run_id="job_id",
        paper="paper",
        **{f"label_{name}": pl.col(name) for name in ("kind", "role", "phase")},
    )
    owners = jobs.select("name", "command", run_id="job_id", login="user")
    is_settled = pl.col("label_phase").is_not_null() | (
        pl.col("label_kind").is_not_null()
        & (
            pl.col("label_role").is_not_null()
            | ~pl.col("label_kind").cast(pl.String).is_in(KINDS_NEEDING_ROLE)
        )
    )
    criteria = {("login", "user"): user, ("project",): project, ("paper",): paper}
    conditions = [
        pl.any_horizontal(*(pl.col(name) == value for name in columns))
        for columns, value in criteria.items()
        if value is not None
    ]
    total_kwh = pl.col("total_kwh")
    rows = (
        runs.filter(pl.col("kind").is_not_null())
        .drop("role")
        # All jobs of a run have the same labels, and the first gives the run its id.
        .join(labels, on="run_id", how="left")
        .join(owners, on="run_id", how="left")
        .filter(~is_settled.fill_null(False), *conditions)
        .sort(
            total_kwh.fill_null(-1.0),
            "gpu_hours",
            "run_id",
            descending=[True, True, False],
        )
        .with_columns(
            cumulated_frac=total_kwh.cum_sum() / sum_or_zero(total_kwh),
            rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        )
    )
    return rows.select(
        "rank",
        "run_id",
        pl.col("job_ids").list.len().cast(pl.Int64).alias("n_jobs"),
        pl.coalesce("login", "user").alias("user"),
        "project",
        "paper",
        "name",
        "command",
        "started_at",
        "duration_s",
        "gpu_hours",
        "total_kwh",
        pl.when(total_kwh.is_not_null() & pl.col("cumulated_frac").is_finite())
        .then("cumulated_frac")
        .alias("cumulated_frac"),
        pl.col("kind").cast(pl.String),
        "rule",
        pl.col("label_role").cast(pl.String).alias("role"),
    )
