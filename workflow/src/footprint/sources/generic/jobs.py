"""Jobs of the generic tables `jobs` and `allocations`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Jobs, RejectedRows
from footprint.schemas.writing import conform
from footprint.sources.generic import cells, columns, folders, rows
from footprint.sources.kwollect.fields import parse_times
from footprint.sources.oar import job_checks

ENDED_BY_SCHEDULER = {
    "terminated": ("COMPLETED", "COMPLETING", "DONE", "F", "C", "FINISHED", "TERMINATED"),
    "error": (
        *("FAILED", "EXIT", "CANCELLED", "TIMEOUT", "DEADLINE", "NODE_FAIL", "BOOT_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "ERROR", "KILLED", "ZOMBI"),
    ),
}
"""States of ended jobs of Slurm, LSF, PBS and OAR, by the state of `schemas.Jobs`."""

EVENTS_OF_STATE = {
    "TIMEOUT": "WALLTIME",
    "CANCELLED": "FRAG_JOB_REQUEST",
    "PREEMPTED": "BESTEFFORT_KILL",
}
"""Events by which later stages know how a job ended, by the state that says so."""

NO_START = "ended, but no start is given"
NO_NODES = "started, but no table names its nodes"
"""Reasons beside those of `oar.job_checks`."""

TEXT_COLUMNS = ("project", "queue", "name", "command", "directory", "request")
"""Columns of texts that may be null."""


def read_jobs(directory: Path) -> pl.DataFrame:
    """Read the table `jobs`: its columns, null where no file has them, and `file`.

    Raises:
        InputError: A file cannot be read or has a faulty cell.
    """
    kinds = {column.name: cells.DTYPES[column.kind] for column in columns.JOBS}
    empty = pl.DataFrame(schema={**kinds, "file": pl.String})
    blocks = [
        block.with_columns(file=pl.lit(name))
        for path in folders.table_files(directory, "jobs")
        for name in [folders.relative_name(path, directory)]
        for block in rows.read_rows(path, table="jobs", where=name)
    ]
    return pl.concat([empty, *blocks], how="diagonal")


def job_rows(jobs: pl.DataFrame, *, site: str) -> pl.DataFrame:
    """Jobs as `schemas.Jobs`.

    Args:
        jobs: Result of `read_jobs`, each job once, without faults.
        site: Site of the jobs.

    Raises:
        InputError: An interval of suspension cannot be read.
    """
    started, stopped = pl.col("started_at"), pl.col("stopped_at")
    given = pl.col("state").str.strip_chars().str.to_uppercase().str.extract(r"^([A-Z_]+)")
    by_times = (
        pl.when(stopped.is_not_null())
        .then(pl.lit("terminated"))
        .when(started.is_not_null())
        .then(pl.lit("running"))
        .otherwise(pl.lit("waiting"))
    )
    names = {name: state for state, all_names in ENDED_BY_SCHEDULER.items() for name in all_names}
    ended = given.replace_strict(names, default=None, return_dtype=pl.String)
    # without a text or a telling state, it is unknown whether there was an event
    event = given.replace_strict(EVENTS_OF_STATE, default=None, return_dtype=pl.String)
    events = pl.coalesce("events", event).str.extract_all(r"\S+")
    interactive = pl.col("interactive")
    found = jobs.with_columns(
        site=pl.lit(site),
        state=pl.when(stopped.is_not_null() | started.is_null())
        .then(pl.coalesce(ended, by_times))
        .otherwise(by_times),
        events=events,
        types=pl.col("types").fill_null("").str.extract_all(r"\S+"),
        job_type=pl.when(interactive)
        .then(pl.lit("INTERACTIVE"))
        .when(~interactive)
        .then(pl.lit("PASSIVE")),
        suspensions=_suspensions(jobs),
    )
    table: pl.DataFrame = conform(Jobs, found)
    return table


def _suspensions(jobs: pl.DataFrame) -> pl.Series:
    """Intervals of suspension of each job, from texts; null where a job has none given."""
    dtype = Jobs.create_empty().schema["suspensions"]
    texts = jobs["suspensions"]
    if not texts.is_not_null().any():
        return pl.Series("suspensions", [None] * len(jobs), dtype=dtype)
    parsed = list(_parsed_suspensions(jobs))
    return pl.Series("suspensions", parsed, dtype=dtype)


def _parsed_suspensions(jobs: pl.DataFrame) -> Iterator[list[dict[str, datetime]] | None]:
    for job_id, file, text in jobs.select("job_id", "file", "suspensions").iter_rows():
        if text is None:
            yield None
            continue
        found = []
        for part in text.split():
            bounds = parse_times(pl.Series(part.split("/"), dtype=pl.String)).to_list()
            if len(bounds) != 2 or None in bounds or bounds[1] < bounds[0]:
                where = f"{file}, job {job_id}, column suspensions"
                do = "write start/end, each with an offset"
                raise InputError(f"{part!r:.60} is no interval", where=where, do=do)
            found.append({"started_at": bounds[0], "stopped_at": bounds[1]})
        yield found


def usable_jobs(
    jobs: pl.DataFrame, *, start: datetime, end: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Jobs of [start, end), each once, and the rejected rows.

    Rejected are jobs that end before they start, more than ten years after it, or without a start;
    all but one record of a job; and jobs outside the window. Of several records of a job, that with
    the latest end is used. A job that never started is placed by its submission.

    Args:
        jobs: Result of `read_jobs`.
        start: Start of the window.
        end: End of the window, excluded.

    Returns:
        The jobs, and `schemas.RejectedRows`.
    """
    started, stopped = pl.col("started_at"), pl.col("stopped_at")
    lasts = (stopped - started).dt.total_seconds()
    fault = (
        pl.when(stopped < started)
        .then(pl.lit(job_checks.ENDS_BEFORE_START))
        .when(lasts > job_checks.LONGEST_DURATION_S)
        .then(pl.lit(job_checks.TOO_LONG))
        # Slurm gives cancelled jobs that never started an end, and no start
        .when(started.is_null() & stopped.is_not_null() & ~_was_never_started())
        .then(pl.lit(NO_START))
    )
    judged = jobs.with_columns(reason=fault)
    usable = judged.filter(pl.col("reason").is_null())
    ordered = usable.sort("job_id", "stopped_at", "started_at", nulls_last=False)
    is_last = pl.col("job_id") != pl.col("job_id").shift(-1)
    judged_twice = ordered.with_columns(is_last=is_last.fill_null(True))
    once = judged_twice.filter("is_last").drop("is_last")
    repeated = judged_twice.filter(~pl.col("is_last")).with_columns(
        reason=pl.lit(job_checks.REPEATED_RECORD)
    )
    ran = (started < end) & ((stopped > start) | stopped.is_null() | (started >= start))
    submitted = pl.col("submitted_at").is_between(start, end, closed="left").fill_null(True)
    inside = pl.when(started.is_not_null()).then(ran).otherwise(submitted)
    outside = once.filter(~inside).with_columns(reason=pl.lit(job_checks.OUTSIDE_WINDOW))
    rejected = pl.concat(
        each.select("file", "reason", "job_id")
        for each in (judged.drop_nulls("reason"), repeated, outside)
    )
    never = pl.when(started.is_not_null()).then(stopped)
    return once.filter(inside).drop("reason").with_columns(stopped_at=never), rejected_jobs(
        rejected
    )


def _was_never_started() -> pl.Expr:
    state = pl.col("state").str.to_uppercase()
    return state.str.starts_with("CANCELLED").fill_null(False)


def rejected_jobs(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts of rejected jobs by file and reason (`schemas.RejectedRows`).

    Args:
        rows: `file`, `reason`, `job_id`.
    """
    counted = rows.group_by("file", "reason").agg(
        n_rows=pl.len().cast(pl.Int64), example=pl.format("job {}", pl.col("job_id").min())
    )
    found: pl.DataFrame = conform(
        RejectedRows, counted.rename({"file": "source"}).with_columns(stage=pl.lit("jobs"))
    )
    return found
