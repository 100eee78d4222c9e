"""Unlabelled runs that may belong to a paper: of the same people, or from the same folder.

Which runs belong to a paper is usually the largest uncertainty of its R, and it is a choice: labels
list some jobs, and other jobs of the same work carry no label. Each rule here adds runs that no
label assigns to any paper.
"""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import OTHERS, SMALL_GROUPS

LABELLED = "labelled"
"""Membership by labels alone, which the ratio of a paper uses."""

ADDED_RUNS = ("same_people", "same_folder", "same_people_or_folder")
"""Rules that add unlabelled runs to those of a paper."""


def unlabelled_runs_of_papers(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Unlabelled runs that each rule adds to a paper.

    - `same_people`: an owner and the project are those of labelled runs of the paper, and the run
      started between the first start and the last end of these.
    - `same_folder`: submitted from the directory of a labelled run of the paper, at any time. A run
      of unknown directory counts where owner and command are those of a labelled run.
    - `same_people_or_folder`: either.

    Args:
        runs: `schemas.Runs` with the column `paper` of the labels. Runs that never started are left
            out.
        jobs: `schemas.Jobs`. The first job of a run gives its owner, directory and command.

    Returns:
        `paper`, `value` (a rule of `ADDED_RUNS`), `run_id`, sorted. A run can be added to several
        papers.
    """
    first = jobs.select(
        pl.col("job_id").alias("run_id"),
        pl.col("user").alias("login"),
        *(_known_text(name) for name in ("directory", "command")),
    )
    started = (
        runs.filter(pl.col("kind").is_not_null())
        .select("run_id", "paper", "project", "started_at", "stopped_at")
        .join(first, on="run_id", how="left")
        .collect()
        .lazy()
    )
    of_papers = started.filter(
        pl.col("paper").is_not_null() & ~pl.col("paper").is_in([OTHERS, SMALL_GROUPS])
    )
    candidates = started.filter(pl.col("paper").is_null()).drop("paper")
    people = _runs_of_people(of_papers, candidates)
    folder = _runs_from_folders(of_papers, candidates)
    either = pl.concat([people, folder]).unique()
    parts = zip(ADDED_RUNS, (people, folder, either), strict=True)
    return pl.concat(
        part.select("paper", pl.lit(name).alias("value"), "run_id") for name, part in parts
    ).sort("paper", "value", "run_id")


def _known_text(name: str) -> pl.Expr:
    return pl.when(pl.col(name).str.len_bytes() > 0).then(pl.col(name)).alias(name)


def _runs_of_people(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Runs of the owners and projects of a paper, within its time span: `paper`, `run_id`."""
    spans = of_papers.group_by("paper").agg(
        first_start=pl.col("started_at").min(),
        # a run without an end still runs
        last_end=pl.when(pl.col("stopped_at").is_not_null().all()).then(pl.col("stopped_at").max()),
    )
    owners = of_papers.select("paper", "login").drop_nulls().unique()
    projects = of_papers.select("paper", "project").unique()
    started_at = pl.col("started_at")
    is_before_end = (started_at <= pl.col("last_end")).fill_null(True)
    return (
        candidates.join(owners, on="login")
        .join(projects, on=["paper", "project"], how="semi", nulls_equal=True)
        .join(spans, on="paper")
        .filter((started_at >= pl.col("first_start")) & is_before_end)
        .select("paper", "run_id")
        .unique()
    )


def _runs_from_folders(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Runs submitted from the directories of a paper, or of its commands: `paper`, `run_id`."""
    directories = of_papers.select("paper", "directory").drop_nulls().unique()
    commands = of_papers.select("paper", "login", "command").drop_nulls().unique()
    without_directory = candidates.filter(pl.col("directory").is_null())
    return pl.concat(
        [
            candidates.join(directories, on="directory").select("paper", "run_id"),
            without_directory.join(commands, on=["login", "command"]).select("paper", "run_id"),
        ]
    ).unique()
