"""What several sources say of the same runs: label files, ledgers, names of jobs.

Within a source that people write while they work (a ledger, names of jobs), two things may be said
of one run: a job that trains, then tests. What was said for longest holds, and the rest is told.
Between sources, the first that speaks holds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from footprint import tables
from footprint.summation import exact_sum, total
from footprint.vocabulary import ALLOWED, STATEMENTS

LOG = logging.getLogger(__name__)

ROWS = pl.Schema(
    {
        "job_id": pl.Int64(),
        "where": pl.String(),
        "weight_s": pl.Float64(),
        **dict.fromkeys(STATEMENTS, pl.String()),
    }
)
"""What is said of a job, where, and of how much of its time."""


class Weighed(NamedTuple):
    """What holds (`tables.Labelled`), and messages of what does not."""

    labelled: pl.DataFrame
    contradictions: list[str]


def weighed(rows: pl.DataFrame, run_of_job: pl.LazyFrame) -> Weighed:
    """One statement of each kind for each run, which holds for all of its jobs.

    Args:
        rows: `ROWS`; null statements say nothing.
        run_of_job: `tables.RunOfJob`.
    """
    runs = run_of_job.select("job_id", "run_id").collect()
    found = runs.sort("job_id").select("run_id", "job_id")
    messages: list[str] = []
    for statement in STATEMENTS:
        said = (
            rows.filter(pl.col(statement).is_not_null())
            .join(runs, on="job_id")
            .select("run_id", "where", value=statement, weight_s=pl.col("weight_s").fill_null(0.0))
        )
        by_value = (
            said.group_by("run_id", "value")
            .agg(total(pl.col("weight_s")), pl.col("where").sort())
            .sort("run_id", "weight_s", "value", descending=[False, True, False])
        )
        tied = exact_sum(pl.col("weight_s") == pl.col("weight_s").max()).over("run_id") > 1
        first = by_value.with_columns(tied=tied).unique("run_id", keep="first", maintain_order=True)
        holds = first.filter(~pl.col("tied"))
        messages += _messages(statement, by_value, holds)
        found = found.join(
            holds.select("run_id", pl.col("value").alias(statement)), on="run_id", how="left"
        )
    said_any = pl.any_horizontal(pl.col(name).is_not_null() for name in STATEMENTS)
    return Weighed(_labelled(found.filter(said_any)), messages)


def _messages(statement: str, by_value: pl.DataFrame, holds: pl.DataFrame) -> list[str]:
    """A line for each value that does not hold."""
    against = (
        by_value.filter(pl.len().over("run_id") > 1)
        .join(holds.select("run_id", held="value"), on="run_id", how="left", maintain_order="left")
        .filter(pl.col("value") != pl.col("held").fill_null(""))
    )
    return [
        f"{where[0]}: {statement} {value!r} does not hold: "
        + (
            f"{held!r} was said of more of the run of job {run}"
            if held
            else f"as much of the run of job {run} is said to be something else"
        )
        for run, value, where, held in against.select(
            "run_id", "value", "where", "held"
        ).iter_rows()
    ]


def warn(messages: Iterable[str]) -> None:
    """Write messages into the log of a rule."""
    for message in messages:
        LOG.warning("%s", message)


def heard(source: Weighed) -> pl.LazyFrame:
    """What holds of a source, once it is told what does not."""
    warn(source.contradictions)
    return source.labelled.lazy()


def first_of(sources: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """What the first source says that says something, statement by statement.

    A phase also counts kind and role as said: a source that gives a kind or a role leaves no room
    for the phase of a later one.

    Args:
        sources: `tables.Labelled`, those that hold first.

    Returns:
        `tables.Labelled`.
    """
    whole = pl.concat(
        each.select("job_id", *(pl.col(name).cast(pl.String) for name in STATEMENTS)).with_columns(
            source=pl.lit(place)
        )
        for place, each in enumerate(sources)
    ).sort("job_id", "source")
    speaks = pl.any_horizontal(pl.col(name).is_not_null() for name in ("kind", "role", "phase"))
    first_to_speak = pl.col("source").filter(speaks).min().over("job_id")
    return _labelled(
        whole.with_columns(phase=pl.when(pl.col("source") == first_to_speak).then("phase"))
        .group_by("job_id")
        .agg(pl.col(name).drop_nulls().first() for name in STATEMENTS)
        .collect()
    )


def _labelled(rows: pl.DataFrame) -> pl.DataFrame:
    cast = (pl.col(name).cast(pl.Enum(values)) for name, values in ALLOWED.items())
    found: pl.DataFrame = tables.conform(tables.Labelled, rows.with_columns(cast))
    return found
