"""Unlabelled runs that may belong to a paper: of the same people, folder, command or period.

Which runs belong to a paper is usually the largest uncertainty of its R, and it is a choice: labels
list some jobs, and other jobs of the same work carry no label. Each rule here adds runs that no
label assigns to any paper. Runs that a label calls reported, without a paper, are never added: they
trained or ran the model of some paper, whereas added runs count as development.
"""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import OTHERS, SMALL_GROUPS
from footprint.labels.commands import step_free
from footprint.phases.membership_scores import (
    LIKELY,
    NEAR,
    is_in_period,
    member_probabilities,
    periods_of_papers,
)

LABELLED = "labelled"
"""Membership by labels alone, which the ratio of a paper uses."""

EXPECTED = "expected"
"""Membership by probability: each run counts by its probability to belong to the paper."""

ADDED_RUNS = (
    *("same_people", "same_folder", "same_people_or_folder"),
    *("same_command", "same_period", "likely", EXPECTED),
)
"""Rules that add unlabelled runs to those of a paper."""


def unlabelled_runs_of_papers(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Unlabelled runs that each rule adds to a paper.

    - `same_people`: an owner and the project are those of labelled runs of the paper, and the run
      started between the first start and the last end of these.
    - `same_folder`: submitted from the directory of a labelled run of the paper, at any time. A run
      of unknown directory counts where owner and command are those of a labelled run.
    - `same_people_or_folder`: either.
    - `same_command`: owner and command are those of a labelled run of the paper, at any time; the
      command without numbers, steps and names of settings files, but with their folders.
    - `same_period`: owner and project are those of a labelled run, and the run started within
      24 hours of a labelled run of its owner.
    - `likely`: its probability to belong to the paper is at least 0.5 (`membership_scores`).
    - `expected`: every run counts by this probability.

    Args:
        runs: `schemas.Runs` with the column `paper` of the labels. Runs that never started are left
            out.
        jobs: `schemas.Jobs`. The first job of a run gives its owner, directory and command.

    Returns:
        `paper`, `value` (a rule of `ADDED_RUNS`), `run_id`, `weight` (part of the run that counts:
        1, or its probability under `expected`), sorted. A run can be added to several papers.
    """
    first = jobs.select(
        pl.col("job_id").alias("run_id"),
        pl.col("user").alias("login"),
        *(_known_text(name) for name in ("directory", "command")),
    )
    started = (
        runs.filter(pl.col("kind").is_not_null())
        .select(
            "run_id", "paper", "project", "started_at", "stopped_at", is_reported=_is_reported()
        )
        .join(first, on="run_id", how="left")
        .with_columns(command_key=command_key(pl.col("command")))
        .collect()
        .lazy()
    )
    of_papers = started.drop("is_reported").filter(
        pl.col("paper").is_not_null() & ~pl.col("paper").is_in([OTHERS, SMALL_GROUPS])
    )
    is_candidate = pl.col("paper").is_null() & ~pl.col("is_reported")
    candidates = started.filter(is_candidate).drop("paper", "is_reported")
    people = _runs_of_people(of_papers, candidates)
    folder = _runs_from_folders(of_papers, candidates)
    scores = member_probabilities(of_papers.collect(), candidates.collect()).lazy()
    parts = {
        "same_people": people,
        "same_folder": folder,
        "same_people_or_folder": pl.concat([people, folder]).unique(),
        "same_command": _runs_of_commands(of_papers, candidates),
        "same_period": _runs_of_periods(of_papers, candidates),
        "likely": scores.filter(pl.col("probability") >= LIKELY),
        EXPECTED: scores,
    }
    weight = {EXPECTED: pl.col("probability")}
    return pl.concat(
        parts[name].select(
            "paper",
            pl.lit(name).alias("value"),
            "run_id",
            weight.get(name, pl.lit(1.0)).alias("weight"),
        )
        for name in ADDED_RUNS
    ).sort("paper", "value", "run_id")


def command_key(command: pl.Expr) -> pl.Expr:
    """A command without numbers, recipe step and names of settings files; their folders stay.

    >>> pl.select(command_key(pl.lit("./run.sh --stage 4 egs/dereverb/v012.yaml"))).item()
    './run.sh egs/dereverb/'
    """
    return step_free(command).str.replace_all(r"\d+", "").str.strip_chars()


def _is_reported() -> pl.Expr:
    """Whether a label, and no assumption, calls a run reported."""
    role, basis = (pl.col(name).cast(pl.String) for name in ("role", "role_basis"))
    return ((role == "reported") & (basis == "label")).fill_null(False)


def _known_text(name: str) -> pl.Expr:
    return pl.when(pl.col(name).str.len_bytes() > 0).then(pl.col(name)).alias(name)


def _of_owners_and_projects(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Candidates of an owner and a project of each paper, with the column `paper`."""
    owners = of_papers.select("paper", "login").drop_nulls().unique()
    projects = of_papers.select("paper", "project").unique()
    return candidates.join(owners, on="login").join(
        projects, on=["paper", "project"], how="semi", nulls_equal=True
    )


def _runs_of_people(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Runs of the owners and projects of a paper, within its time span: `paper`, `run_id`."""
    return (
        _of_owners_and_projects(of_papers, candidates)
        .join(periods_of_papers(of_papers), on="paper")
        .filter(is_in_period())
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


def _runs_of_commands(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Runs of the owners and commands of a paper: `paper`, `run_id`."""
    keys = ["login", "command_key"]
    commands = of_papers.select("paper", *keys).drop_nulls().unique()
    return candidates.join(commands, on=keys).select("paper", "run_id").unique()


def _runs_of_periods(of_papers: pl.LazyFrame, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Runs of the owners and projects of a paper, near one of its runs: `paper`, `run_id`."""
    labelled = of_papers.select("paper", "login", "started_at", near_at="started_at")
    return (
        _of_owners_and_projects(of_papers, candidates)
        .sort("started_at")
        .join_asof(
            labelled.sort("started_at"),
            on="started_at",
            by=["paper", "login"],
            strategy="nearest",
            tolerance=NEAR,
            check_sortedness=False,
        )
        .filter(pl.col("near_at").is_not_null())
        .select("paper", "run_id")
        .unique()
    )
