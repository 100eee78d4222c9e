"""Probability that an unlabelled run belongs to a paper, as a sum of log-odds of a few clues.

`WEIGHTS` has the log-odds of each clue. They were chosen by hand, before any result was seen, and
are fitted to nothing; `tests/benchmarks/cover_ratios.py` shows what they are worth on simulated
sites. A directory or command that all runs of a person share is no clue: its weight is multiplied
by the share of the person's runs that differ.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import polars as pl

from footprint.core.sums import quotient, sum_or_zero

WEIGHTS = {
    "person": -2.0,
    "other_person": -5.0,
    "other_project": -2.0,
    "directory": 4.0,
    "other_directory": -2.0,
    "command": 4.0,
    "other_command": -1.0,
    "outside_period": -2.0,
    "same_day": 1.0,
    "neighbour": 1.0,
    "other_neighbour": -1.0,
}
"""Natural logarithms of odds: the sum of those that apply gives the probability.

- `person`, `other_person`: an owner of labelled runs submitted it, or somebody else did: the odds
  before all other clues, 12 % and 0.7 %.
- `other_project`: its project is none of the labelled runs.
- `directory`: a labelled run was submitted from the same directory, times the share of the owner's
  runs from other directories; `other_directory`: its directory is known and is none of these.
- `command`, `other_command`: the same for the command (`membership.command_key`).
- `outside_period`: it started before the first labelled run did, or after the last had ended.
- `same_day`: a labelled run of its owner started within 24 hours.
- `neighbour`, `other_neighbour`: each of the labelled runs of its owner just before and just after
  it is of this paper, or of another.
"""

LIKELY = 0.5
"""Probability from which a run counts as likely."""

NEAR = timedelta(hours=24)


def member_probabilities(of_papers: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Probability of each unlabelled run to belong to each paper whose people or folders it shares.

    Where a run may belong to several papers, its probabilities are scaled to a sum of at most 1.

    Args:
        of_papers: Labelled runs: `run_id`, `paper`, `login`, `project`, `directory`,
            `command_key` (null: unknown), `started_at`, `stopped_at` (null: still runs).
        candidates: Unlabelled runs, with these columns except `paper`.

    Returns:
        `paper`, `run_id`, `probability`, sorted.
    """
    pairs = _pairs(of_papers, candidates)
    for column in ("directory", "command_key"):
        pairs = _with_matches(pairs, of_papers, candidates, column)
    pairs = _with_times(pairs, of_papers)
    pairs = _with_neighbours(pairs, of_papers)
    scored = pairs.select("paper", "run_id", probability=1 / (1 + (-log_odds()).exp()))
    of_runs = scored.group_by("run_id").agg(total=sum_or_zero(pl.col("probability")))
    scaled = pl.col("probability") / pl.max_horizontal("total", 1.0)
    return (
        scored.join(of_runs, on="run_id")
        .select("paper", "run_id", probability=scaled)
        .sort("paper", "run_id")
    )


def periods_of_papers(of_papers: pl.LazyFrame) -> pl.LazyFrame:
    """First start and last end of the labelled runs of each paper.

    Args:
        of_papers: `paper`, `started_at`, `stopped_at` (null: still runs).

    Returns:
        `paper`, `first_start`, `last_end` (null: a run still runs).
    """
    stopped = pl.col("stopped_at")
    return of_papers.group_by("paper").agg(
        first_start=pl.col("started_at").min(),
        last_end=pl.when(stopped.is_not_null().all()).then(stopped.max()),
    )


def is_in_period() -> pl.Expr:
    """Whether a run started in the period of `periods_of_papers`, from its columns."""
    started = pl.col("started_at")
    is_before_end = (started <= pl.col("last_end")).fill_null(True)
    return (started >= pl.col("first_start")) & is_before_end


def log_odds() -> pl.Expr:
    """Log-odds of a pair of run and paper from the columns of its clues."""
    directory, command = pl.col("directory_unlike_frac"), pl.col("command_key_unlike_frac")
    neighbours = pl.col("n_neighbours").cast(pl.Float64)
    others = pl.col("n_other_neighbours").cast(pl.Float64)
    return (
        pl.when("is_person").then(WEIGHTS["person"]).otherwise(WEIGHTS["other_person"])
        + pl.when("is_project").then(0.0).otherwise(WEIGHTS["other_project"])
        + _match("directory", directory)
        + _match("command_key", command)
        + pl.when("is_in_period").then(0.0).otherwise(WEIGHTS["outside_period"])
        + pl.when("is_same_day").then(WEIGHTS["same_day"]).otherwise(0.0)
        + neighbours * WEIGHTS["neighbour"]
        + others * WEIGHTS["other_neighbour"]
    )


def _match(column: str, unlike_frac: pl.Expr) -> pl.Expr:
    name = column.removesuffix("_key")
    return (
        pl.when(f"is_{column}")
        .then(WEIGHTS[name] * unlike_frac)
        .when(pl.col(column).is_not_null() & pl.col(f"has_{column}"))
        .then(WEIGHTS[f"other_{name}"])
        .otherwise(0.0)
    )


def _pairs(of_papers: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Runs and papers that share a person or a directory, with `is_person`, `is_project`."""
    found = [
        candidates.join(of_papers.select("paper", column).drop_nulls().unique(), on=column).select(
            "paper", "run_id"
        )
        for column in ("login", "directory")
    ]
    pairs = pl.concat(found).unique().join(candidates, on="run_id")
    return _flag(_flag(pairs, of_papers, "login", "is_person"), of_papers, "project", "is_project")


def _flag(pairs: pl.DataFrame, of_papers: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """Pairs with whether the value of a column is among those of the paper's labelled runs."""
    known = of_papers.select("paper", column).unique().with_columns(pl.lit(True).alias(name))
    return pairs.join(known, on=["paper", column], how="left", nulls_equal=True).with_columns(
        pl.col(name).fill_null(False)
    )


def _with_matches(
    pairs: pl.DataFrame, of_papers: pl.DataFrame, candidates: pl.DataFrame, column: str
) -> pl.DataFrame:
    """Pairs with `is_`, `has_` and `_unlike_frac` of a directory or command.

    `has_`: whether it is known of some labelled run; `_unlike_frac`: share of the runs of the
    owner, labelled or not, that have another one.
    """
    known = of_papers.drop_nulls(column).select("paper").unique()
    columns = ["login", column]
    all_runs = pl.concat([of_papers.select(columns), candidates.select(columns)])
    alike = pl.len().over(columns).cast(pl.Float64)
    unlike = 1 - quotient(alike, pl.len().over("login").cast(pl.Float64))
    shares = all_runs.with_columns(unlike.alias(f"{column}_unlike_frac")).unique()
    matched = _flag(pairs, of_papers.drop_nulls(column), column, f"is_{column}")
    return (
        matched.join(
            known.with_columns(pl.lit(True).alias(f"has_{column}")), on="paper", how="left"
        )
        .join(shares, on=columns, how="left", nulls_equal=True)
        .with_columns(pl.col(f"has_{column}").fill_null(False))
    )


def _with_times(pairs: pl.DataFrame, of_papers: pl.DataFrame) -> pl.DataFrame:
    """Pairs with `is_in_period` and `is_same_day`."""
    periods = periods_of_papers(of_papers.lazy()).collect()
    pairs = pairs.join(periods, on="paper").with_columns(is_in_period=is_in_period())
    labelled = of_papers.select("paper", "login", "started_at", near_at="started_at")
    pairs, labelled = pairs.sort("started_at", "run_id", "paper"), labelled.sort("started_at")
    nearest = pairs.join_asof(
        labelled,
        on="started_at",
        by=["paper", "login"],
        strategy="nearest",
        check_sortedness=False,
    )
    distance = (pl.col("started_at") - pl.col("near_at")).abs()
    return nearest.with_columns(is_same_day=(distance <= NEAR).fill_null(False))


def _with_neighbours(pairs: pl.DataFrame, of_papers: pl.DataFrame) -> pl.DataFrame:
    """Pairs with `n_neighbours` and `n_other_neighbours` (0 to 2)."""
    labelled = of_papers.sort("started_at", "run_id").select("login", "started_at", "paper")
    pairs = pairs.sort("started_at", "run_id", "paper")
    directions: tuple[tuple[str, Literal["backward", "forward"]], ...] = (
        ("before", "backward"),
        ("after", "forward"),
    )
    for name, strategy in directions:
        pairs = pairs.join_asof(
            labelled.rename({"paper": name}),
            on="started_at",
            by="login",
            strategy=strategy,
            allow_exact_matches=name == "before",
            check_sortedness=False,
        )
    ends = [pl.col("before"), pl.col("after")]
    return pairs.with_columns(
        n_neighbours=pl.sum_horizontal(
            (end == pl.col("paper")).fill_null(False).cast(pl.Int8) for end in ends
        ),
        n_other_neighbours=pl.sum_horizontal(
            (end != pl.col("paper")).fill_null(False).cast(pl.Int8) for end in ends
        ),
    )
