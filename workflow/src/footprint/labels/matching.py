"""Jobs that the labels of files select, and the labels of each job.

A label may select any job of a run; it then holds for all jobs of the run (docs/labels.md).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.core.vocabulary import LABEL_FIELDS, LABEL_VALUES
from footprint.labels.commands import group_of_command
from footprint.labels.files import Label, shell_pattern_to_regex
from footprint.schemas.labels import GroupLabels
from footprint.schemas.writing import conform

LOG = logging.getLogger(__name__)

MATCHED_SCHEMA = {"label": pl.Int64(), "job_id": pl.Int64()}
"""Columns of matched labels: place of the label, and a job that it selects."""


class MatchedLabels(NamedTuple):
    """Labels of jobs from rows that select single runs, and from rows that select groups.

    Attributes:
        single: `schemas.JobLabels`.
        groups: `schemas.GroupLabels`. Whether a label holds for a run of the group depends on the
            run's power and duration (`phases.group_agreement`).
    """

    single: pl.LazyFrame
    groups: pl.LazyFrame


def match_label_files(
    labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame
) -> MatchedLabels:
    """Labels of each job, apart for rows of single runs and rows of groups.

    Args:
        labels: Labels.
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`.

    Raises:
        InputError: Two rows for single runs, or two rows for groups, contradict each other.
    """
    matched = match_labels_to_jobs(labels, jobs, run_of_job)
    places = dict(enumerate(labels))
    is_group = pl.col("label").is_in([i for i, each in places.items() if each.group is not None])
    of_groups = matched.filter(is_group)
    runs = run_of_job.select("job_id", "run_id").collect()
    # Several group rows may select a run as long as they agree; the first one names the group.
    first = (
        of_groups.join(runs, on="job_id")
        .group_by("run_id")
        .agg(group=pl.col("label").min())
        .join(runs, on="run_id")
        .select("job_id", "group")
    )
    wheres = pl.DataFrame(
        [(i, each.where) for i, each in places.items()],
        {"group": pl.Int64(), "where": pl.String()},
        orient="row",
    )
    groups = (
        _labels_of_matched(labels, of_groups, run_of_job)
        .join(first.lazy(), on="job_id")
        .join(wheres.lazy(), on="group")
    )
    return MatchedLabels(
        _labels_of_matched(labels, matched.filter(~is_group), run_of_job),
        conform(GroupLabels, groups.collect()).lazy(),
    )


def _labels_of_matched(
    labels: Sequence[Label], matched: pl.DataFrame, run_of_job: pl.LazyFrame
) -> pl.LazyFrame:
    by_statement = [
        statement_of_jobs(labels, matched, statement=name, run_of_job=run_of_job).collect()
        for name in LABEL_FIELDS
    ]
    rows = pl.concat([each.select("job_id") for each in by_statement]).unique().sort("job_id")
    for each in by_statement:
        rows = rows.join(each, on="job_id", how="left", maintain_order="left")
    return rows.with_columns(
        pl.col(name).cast(pl.Enum(values)) for name, values in LABEL_VALUES.items()
    ).lazy()


def match_labels_to_jobs(
    labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame | None = None
) -> pl.DataFrame:
    """Jobs that each label selects.

    A label without a job is logged as a warning with its file and line, and so is a job id that is
    not among `jobs`: a typing mistake must not shrink a paper unnoticed.

    Args:
        labels: Labels.
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`, which labels by `chain` need.

    Returns:
        `label` (place in `labels`) and `job_id`, sorted.

    Raises:
        ValueError: A label by `chain`, and no `run_of_job`.
    """
    if run_of_job is None and any(label.chain is not None for label in labels):
        raise ValueError("labels by `chain` need the run of each job")
    selectable = jobs.select(
        "job_id",
        "array_id",
        "user",
        "name",
        "command",
        group_of_command(pl.col("command")).alias("group"),
        pl.coalesce("started_at", "submitted_at").alias("at"),
    ).collect()
    by_id = pl.DataFrame(
        [(i, job) for i, label in enumerate(labels) for job in label.jobs],
        MATCHED_SCHEMA,
        orient="row",
    )
    named = by_id.join(selectable, on="job_id", how="semi")
    arrays = _numbers_of_selector(labels, "array").join(
        selectable, left_on="number", right_on="array_id"
    )
    patterns = [
        selectable.filter(_is_selected(label)).select(pl.lit(i, pl.Int64).alias("label"), "job_id")
        for i, label in enumerate(labels)
        if label.user is not None
    ]
    rows = [named, arrays.select("label", "job_id"), *patterns]
    if run_of_job is not None:
        runs = (
            run_of_job.select("job_id", "run_id")
            .collect()
            .join(selectable, on="job_id", how="semi")
        )
        chains = _numbers_of_selector(labels, "chain").join(
            runs, left_on="number", right_on="job_id"
        )
        rows.append(chains.join(runs, on="run_id").select("label", "job_id"))
    matched = pl.concat(rows)
    _warn_of_absent(labels, by_id.join(named, on=["label", "job_id"], how="anti"), matched)
    return matched.unique().sort("label", "job_id")


def statement_of_jobs(
    labels: Sequence[Label],
    matched: pl.DataFrame,
    *,
    statement: str,
    run_of_job: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """Value of one statement for each job.

    Args:
        labels: Labels.
        matched: Result of `match_labels_to_jobs` for the labels.
        statement: One of `LABEL_FIELDS`.
        run_of_job: `schemas.RunOfJob`: a label of a job holds for all jobs of its run. None: for
            the job alone.

    Returns:
        `job_id` and the column `statement`, sorted by job.

    Raises:
        InputError: Two labels of a job or a run contradict each other; the message names both rows.
    """
    values = pl.DataFrame(
        [(i, getattr(label, statement)) for i, label in enumerate(labels)],
        {"label": pl.Int64(), statement: pl.String()},
        orient="row",
    ).drop_nulls()
    runs = (
        matched.select("job_id", run_id="job_id").unique()
        if run_of_job is None
        else run_of_job.select("job_id", "run_id").collect()
    )
    rows = (
        matched.join(values, on="label").join(runs, on="job_id").sort("run_id", "job_id", "label")
    )
    first = rows.unique("run_id", keep="first", maintain_order=True)
    contradicting = rows.join(first, on="run_id", suffix="_first", maintain_order="left").filter(
        pl.col(statement) != pl.col(f"{statement}_first")
    )
    if not contradicting.is_empty():
        raise _contradiction_error(
            labels, contradicting, statement, of="job" if run_of_job is None else "run"
        )
    return (
        first.select("run_id", statement)
        .join(runs, on="run_id")
        .select("job_id", statement)
        .sort("job_id")
        .lazy()
    )


def _contradiction_error(
    labels: Sequence[Label], contradicting: pl.DataFrame, statement: str, *, of: str
) -> InputError:
    first = contradicting.row(0, named=True)
    others = contradicting["run_id"].n_unique() - 1
    one, other = first["job_id_first"], first["job_id"]
    what = f"job {one}" if one == other else f"the run of jobs {one} and {other}"
    return InputError(
        f"{what} has two {statement}s: {first[f'{statement}_first']!r} here and "
        f"{first[statement]!r} at {labels[first['label']].where}"
        + (f" (and {others} more {of}s)" if others else ""),
        where=labels[first["label_first"]].where,
        do=f"a {of} has one {statement}: narrow one of the two rows",
    )


def _numbers_of_selector(labels: Sequence[Label], selector: str) -> pl.DataFrame:
    """Value of a selector by `label`, as `number`, for the labels that use the selector."""
    return pl.DataFrame(
        [(i, getattr(label, selector)) for i, label in enumerate(labels)],
        {"label": pl.Int64(), "number": pl.Int64()},
        orient="row",
    ).drop_nulls()


def _warn_of_absent(labels: Sequence[Label], absent: pl.DataFrame, matched: pl.DataFrame) -> None:
    """Warn of labels and job ids without a job. Users are not named: logs are published."""
    idle = sorted(set(range(len(labels))) - set(matched["label"]))
    for i in idle:
        by_array = labels[i].array is not None
        hint = " (array ids are null in sources that lack them)" if by_array else ""
        LOG.warning("%s: this label matches no job of the study%s", labels[i].where, hint)
    for i, jobs in absent.group_by("label", maintain_order=True).agg("job_id").iter_rows():
        if i not in idle:
            some = ", ".join(map(str, jobs[:5])) + (", ..." if len(jobs) > 5 else "")
            LOG.warning(
                "%s: %d of its jobs are not in the study: %s", labels[i].where, len(jobs), some
            )
    if idle:
        LOG.warning("%d of %d labels match no job of the study", len(idle), len(labels))


def _is_selected(label: Label) -> pl.Expr:
    """Whether a label selects a job by user, patterns and time of start."""
    conditions = [pl.col("user") == label.user]
    if label.group is not None:
        conditions.append(pl.col("group") == group_of_command(pl.lit(label.group)))
    for column, pattern in (("name", label.name), ("command", label.command)):
        if pattern is not None:
            conditions.append(pl.col(column).str.contains(shell_pattern_to_regex(pattern)))
    if label.start is not None:
        conditions.append(pl.col("at") >= label.start)
    if label.end is not None:
        conditions.append(pl.col("at") < label.end)
    return reduce(and_, conditions)
