"""What people say about their jobs: the files of `labels.files` (docs/labels.md has the format).

`read` knows nothing of jobs, `match` nothing of files. A label may select any job of a run; what it
says holds for all of them, since a run is one thing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from operator import and_

import polars as pl

from footprint.errors import InputError
from footprint.label_files import (
    ALLOWED,
    STATEMENTS,
    Label,
    read,
    regex,
)

__all__ = [
    "ALLOWED",
    "STATEMENTS",
    "Label",
    "match",
    "read",
    "said",
    "table",
]

LOG = logging.getLogger(__name__)

MATCHED = {"label": pl.Int64(), "job_id": pl.Int64()}


def table(labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame) -> pl.LazyFrame:
    """Everything that labels say: `tables.Labelled`, a row for each job of the runs they select.

    Args:
        labels: Labels.
        jobs: `tables.Jobs`.
        run_of_job: `tables.RunOfJob`.

    Raises:
        InputError: Two labels contradict each other about a run; the message names both rows.
    """
    matched = match(labels, jobs, run_of_job)
    every = [
        said(labels, matched, statement=name, run_of_job=run_of_job).collect()
        for name in STATEMENTS
    ]
    rows = pl.concat([each.select("job_id") for each in every]).unique().sort("job_id")
    for each in every:
        rows = rows.join(each, on="job_id", how="left", maintain_order="left")
    return rows.with_columns(
        pl.col(name).cast(pl.Enum(values)) for name, values in ALLOWED.items()
    ).lazy()


def match(
    labels: Sequence[Label], jobs: pl.LazyFrame, run_of_job: pl.LazyFrame | None = None
) -> pl.DataFrame:
    """Which label selects which job: `label` (its place in `labels`) and `job_id`, sorted.

    A label without a job is a warning that names its file and line, as is a job id, an array or a
    chain that is not among `jobs`: a typing mistake must not shrink a paper unnoticed.

    Args:
        labels: Labels.
        jobs: `tables.Jobs`.
        run_of_job: `tables.RunOfJob`, which labels by `chain` need.

    Raises:
        ValueError: A label by `chain`, and no runs.
    """
    if run_of_job is None and any(label.chain is not None for label in labels):
        raise ValueError("labels by `chain` need the run of each job")
    facts = jobs.select(
        "job_id",
        "array_id",
        "user",
        "name",
        "command",
        pl.coalesce("started_at", "submitted_at").alias("at"),
    ).collect()
    by_id = pl.DataFrame(
        [(i, job) for i, label in enumerate(labels) for job in label.jobs], MATCHED, orient="row"
    )
    named = by_id.join(facts, on="job_id", how="semi")
    arrays = _numbers(labels, "array").join(facts, left_on="number", right_on="array_id")
    patterns = [
        facts.filter(_selected(label)).select(pl.lit(i, pl.Int64).alias("label"), "job_id")
        for i, label in enumerate(labels)
        if label.user is not None
    ]
    rows = [named, arrays.select("label", "job_id"), *patterns]
    if run_of_job is not None:
        runs = run_of_job.select("job_id", "run_id").collect().join(facts, on="job_id", how="semi")
        chains = _numbers(labels, "chain").join(runs, left_on="number", right_on="job_id")
        rows.append(chains.join(runs, on="run_id").select("label", "job_id"))
    matched = pl.concat(rows)
    _warn_of_absent(labels, by_id.join(named, on=["label", "job_id"], how="anti"), matched)
    return matched.unique().sort("label", "job_id")


def said(
    labels: Sequence[Label],
    matched: pl.DataFrame,
    *,
    statement: str,
    run_of_job: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """What labels say of each job: `job_id` and the column `statement`, sorted by job.

    Args:
        labels: Labels.
        matched: The result of `match` for them.
        statement: `paper`, `kind`, `role` or `phase`.
        run_of_job: `tables.RunOfJob`: what is said of a job holds for all of its run. None: for
            the job alone.

    Raises:
        InputError: Two labels contradict each other about a job or a run: the message names both
            rows.
    """
    says = pl.DataFrame(
        [(i, getattr(label, statement)) for i, label in enumerate(labels)],
        {"label": pl.Int64(), statement: pl.String()},
        orient="row",
    ).drop_nulls()
    runs = (
        matched.select("job_id", run_id="job_id").unique()
        if run_of_job is None
        else run_of_job.select("job_id", "run_id").collect()
    )
    rows = matched.join(says, on="label").join(runs, on="job_id").sort("run_id", "job_id", "label")
    first = rows.unique("run_id", keep="first", maintain_order=True)
    against = rows.join(first, on="run_id", suffix="_first", maintain_order="left").filter(
        pl.col(statement) != pl.col(f"{statement}_first")
    )
    if not against.is_empty():
        raise _contradiction(labels, against, statement, of="job" if run_of_job is None else "run")
    return (
        first.select("run_id", statement)
        .join(runs, on="run_id")
        .select("job_id", statement)
        .sort("job_id")
        .lazy()
    )


def _contradiction(
    labels: Sequence[Label], against: pl.DataFrame, statement: str, *, of: str
) -> InputError:
    clash = against.row(0, named=True)
    others = against["run_id"].n_unique() - 1
    one, other = clash["job_id_first"], clash["job_id"]
    what = f"job {one}" if one == other else f"the run of jobs {one} and {other}"
    return InputError(
        f"{what} has two {statement}s: {clash[f'{statement}_first']!r} here and "
        f"{clash[statement]!r} at {labels[clash['label']].where}"
        + (f" (so have {others} more {of}s)" if others else ""),
        where=labels[clash["label_first"]].where,
        do=f"a {of} has one {statement}: narrow one of the two rows",
    )


def _numbers(labels: Sequence[Label], selector: str) -> pl.DataFrame:
    """The `number` that each label gives for a selector, where it gives one."""
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


def _selected(label: Label) -> pl.Expr:
    """Whether a job is one of those that a label selects by user, patterns and period."""
    conditions = [pl.col("user") == label.user]
    for column, pattern in (("name", label.name), ("command", label.command)):
        if pattern is not None:
            conditions.append(pl.col(column).str.contains(regex(pattern)))
    if label.start is not None:
        conditions.append(pl.col("at") >= label.start)
    if label.end is not None:
        conditions.append(pl.col("at") < label.end)
    return reduce(and_, conditions)
