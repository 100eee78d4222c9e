"""Precedence: the order in which label sources count, and contradictions within a source.

The sources are rows of label files for single runs, ledgers, names of jobs, and rows of label files
for groups. Within a source that people write while they
work (a ledger, names of jobs), a run may have two values of one statement, as for a job that
trains, then tests. The value with the longest time is used; the others are reported as
contradictions. Between sources, the first one with a value takes precedence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from footprint.core.sums import exact_sum, sum_or_zero
from footprint.core.vocabulary import LABEL_FIELDS, LABEL_VALUES
from footprint.schemas.labels import JobLabels
from footprint.schemas.writing import conform

LOG = logging.getLogger(__name__)

STATEMENT_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "where": pl.String(),
        "weight_s": pl.Float64(),
        **dict.fromkeys(LABEL_FIELDS, pl.String()),
    }
)
"""Labels of a job with their place in the source, and the seconds of the job that they cover."""


class SourceLabels(NamedTuple):
    """Labels of one source (`schemas.JobLabels`), and a message for each contradiction."""

    labels: pl.DataFrame
    contradictions: list[str]


def resolve_contradictions(rows: pl.DataFrame, run_of_job: pl.LazyFrame) -> SourceLabels:
    """Choose one value of each statement for each run, by the longest time.

    The value holds for all jobs of the run. Where two values have the longest time, none is used.

    Args:
        rows: Labels of one source (`STATEMENT_SCHEMA`); null statements are not set.
        run_of_job: `schemas.RunOfJob`.
    """
    runs = run_of_job.select("job_id", "run_id").collect()
    found = runs.sort("job_id").select("run_id", "job_id")
    messages: list[str] = []
    for statement in LABEL_FIELDS:
        values = (
            rows.filter(pl.col(statement).is_not_null())
            .join(runs, on="job_id")
            .select("run_id", "where", value=statement, weight_s=pl.col("weight_s").fill_null(0.0))
        )
        by_value = (
            values.group_by("run_id", "value")
            .agg(sum_or_zero(pl.col("weight_s")), pl.col("where").sort())
            .sort("run_id", "weight_s", "value", descending=[False, True, False])
        )
        is_tied = exact_sum(pl.col("weight_s") == pl.col("weight_s").max()).over("run_id") > 1
        longest = by_value.with_columns(is_tied=is_tied).unique(
            "run_id", keep="first", maintain_order=True
        )
        used = longest.filter(~pl.col("is_tied"))
        messages += _contradiction_messages(statement, by_value, used)
        found = found.join(
            used.select("run_id", pl.col("value").alias(statement)), on="run_id", how="left"
        )
    has_label = pl.any_horizontal(pl.col(name).is_not_null() for name in LABEL_FIELDS)
    return SourceLabels(_conform_labels(found.filter(has_label)), messages)


def _contradiction_messages(
    statement: str, by_value: pl.DataFrame, used: pl.DataFrame
) -> list[str]:
    """A message for each value that is not used."""
    contradicting = (
        by_value.filter(pl.len().over("run_id") > 1)
        .join(used.select("run_id", used="value"), on="run_id", how="left", maintain_order="left")
        .filter(pl.col("value") != pl.col("used").fill_null(""))
    )
    return [
        f"{where[0]}: {statement} {value!r} is not used: "
        + (
            f"{used_value!r} labels more of the run of job {run}"
            if used_value
            else f"another {statement} labels as much of the run of job {run}"
        )
        for run, value, where, used_value in contradicting.select(
            "run_id", "value", "where", "used"
        ).iter_rows()
    ]


def log_warnings(messages: Iterable[str]) -> None:
    """Log messages as warnings."""
    for message in messages:
        LOG.warning("%s", message)


def log_contradictions(source: SourceLabels) -> pl.LazyFrame:
    """Log the contradictions of a source, and return its labels (`schemas.JobLabels`)."""
    log_warnings(source.contradictions)
    return source.labels.lazy()


def labels_by_precedence(
    *, files: pl.LazyFrame, ledgers: Iterable[SourceLabels], job_names: SourceLabels
) -> pl.DataFrame:
    """Labels of each job from its first source: label files, then ledgers, then names of jobs.

    Logs the contradictions of ledgers and job names. Label files that contradict themselves are
    refused by `matching.match_label_files`.

    Args:
        files: Labels of label files (`schemas.JobLabels`).
        ledgers: Labels of each ledger.
        job_names: Labels in names of jobs.

    Returns:
        `schemas.JobLabels`.
    """
    others = [log_contradictions(source) for source in (*ledgers, job_names)]
    return apply_precedence([files, *others])


def apply_precedence(sources: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Labels of each job from the first source that has a value, statement by statement.

    A phase follows from kind and role: a source with a kind or a role excludes the phase of a later
    source.

    Args:
        sources: `schemas.JobLabels` of each source, in the order of precedence.

    Returns:
        `schemas.JobLabels`.
    """
    labels = pl.concat(
        each.select(
            "job_id", *(pl.col(name).cast(pl.String) for name in LABEL_FIELDS)
        ).with_columns(source=pl.lit(place))
        for place, each in enumerate(sources)
    ).sort("job_id", "source")
    sets_phase = pl.any_horizontal(pl.col(name).is_not_null() for name in ("kind", "role", "phase"))
    first_source = pl.col("source").filter(sets_phase).min().over("job_id")
    return _conform_labels(
        labels.with_columns(phase=pl.when(pl.col("source") == first_source).then("phase"))
        .group_by("job_id")
        .agg(pl.col(name).drop_nulls().first() for name in LABEL_FIELDS)
        .collect()
    )


def _conform_labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as `schemas.JobLabels`."""
    cast = (pl.col(name).cast(pl.Enum(values)) for name, values in LABEL_VALUES.items())
    found: pl.DataFrame = conform(JobLabels, rows.with_columns(cast))
    return found
