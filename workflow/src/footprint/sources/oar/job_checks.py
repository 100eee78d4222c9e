"""Reasons for which single records of jobs, or whole jobs, are rejected.

The reasons are values of `schemas.RejectedRows.reason`, and docs/exports.md lists them.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from footprint.sources.oar.job_records import (
    ENDED_STATES,
    JOB_STATES,
    SUSPENDED_STATES,
    TIME_FIELDS,
)

EARLIEST_TIME_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""Earliest time of a job. The first OAR is of 2002."""

LATEST_TIME_S = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""A time from here on is in milliseconds, or a sentinel such as 2^53. The clock of this machine is
not the limit, since a study must give the same tables on any day."""

LONGEST_DURATION_S = 10 * 366 * 86_400
"""Ten years: longer than any walltime that a cluster grants, and than the life of most clusters."""

REPEATED_RECORD = "repeated"
OUTSIDE_WINDOW = "outside the window"
OTHER_CLUSTERS = "on other clusters only"
NODE_OF_OTHER_CLUSTER = "node of another cluster"

UNKNOWN_STATE = "state that OAR does not have, and no end"
MILLISECONDS = "time in milliseconds, or after 2100"
TOO_EARLY = "time before 2000"
ENDS_BEFORE_START = "ended before it started"
TOO_LONG = "ended more than ten years after its start"
IMPOSSIBLE_WALLTIME = "runs with a walltime of 0, negative or over ten years"

NO_START = "terminated, but no start is recorded"
NO_END = "ended, but no end is recorded"
NO_TIMES = "no file has its start and end"
NO_NODES = "no file names its nodes"
HELD_NOTHING = "held no core of a node"

END_REJECTED = "ended, but the record of its end is rejected"
DIFFERENT_END = "two different ends: the end of the fuller record is used"
NO_WALLTIME = "runs without a walltime, and later jobs held its cores"

IMPOSSIBLE_SUSPENSION = "suspension with impossible times: unknown when it was suspended"
CLIPPED_SUSPENSION = "suspension before the start or after the end of its job: cut there"

UNKNOWN_STATE_END_USED = "state that OAR does not have: the recorded end is used"
WALLTIME_DROPPED = "walltime of 0, negative or over ten years, of a job that ended: unknown"


def has_ended() -> pl.Expr:
    """Return whether a record is of a job that has ended.

    A job in a state unknown to OAR has ended if it has an end.
    """
    foreign = ~pl.col("state").is_in(JOB_STATES) & pl.col("stopped_at").is_not_null()
    return pl.col("state").is_in(ENDED_STATES) | foreign


def record_fault() -> pl.Expr:
    """Return why a record cannot be used whatever other records of its job contain; null: it can.

    The rows are those of `job_records.RECORD_SCHEMA`.
    """
    start, stop = pl.col("started_at"), pl.col("stopped_at")
    late = pl.any_horizontal(pl.col(name) >= LATEST_TIME_S for name in TIME_FIELDS).fill_null(False)
    early = pl.any_horizontal(pl.col(name) < EARLIEST_TIME_S for name in TIME_FIELDS).fill_null(
        False
    )
    runs = ~has_ended() & start.is_not_null()
    found = _first_reason(
        {
            UNKNOWN_STATE: ~pl.col("state").is_in(JOB_STATES) & stop.is_null(),
            MILLISECONDS: late,
            TOO_EARLY: early,
            ENDS_BEFORE_START: stop < start,
            TOO_LONG: stop - start > LONGEST_DURATION_S,
            IMPOSSIBLE_WALLTIME: runs & ~is_possible_walltime(),
        }
    )
    return pl.coalesce("fault", found)


def is_possible_walltime() -> pl.Expr:
    """Return whether OAR can grant a walltime; null where there is none."""
    return pl.col("walltime_s").is_between(1, LONGEST_DURATION_S)


def missing_time_reason() -> pl.Expr:
    """Return why a job cannot be used after all its records were merged; null: it can."""
    start, stop = pl.col("started_at"), pl.col("stopped_at")
    return _first_reason(
        {
            NO_START: (pl.col("state") == "terminated") & start.is_null(),
            NO_END: pl.col("state").is_in(ENDED_STATES) & start.is_not_null() & stop.is_null(),
        }
    )


def rejected_end_reason() -> pl.Expr:
    """Return why a record without an end cannot be used: a rejected record of its job has ended.

    Null where the record can be used. The rows are all records of the jobs, with their fault.
    """
    rejected = pl.col("fault").is_not_null() & has_ended().fill_null(False)
    open_ended = pl.col("fault").is_null() & ~has_ended()
    ended_too = (pl.col("fault").is_null() & has_ended()).any().over("job_id")
    is_revived = open_ended & rejected.any().over("job_id") & ~ended_too
    is_revived &= pl.col("job_id").is_not_null()
    return pl.when(is_revived).then(pl.lit(END_REJECTED))


def clip_suspensions(jobs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return jobs with their suspensions clipped to the job, and the jobs that this changed.

    Suspensions are unknown (null) if one of the job's ends before it starts, or has an impossible
    time.

    Args:
        jobs: One row a job, with the columns of `job_records.RECORD_SCHEMA`.

    Returns:
        The jobs, and `job_id`, `file`, `reason` of the jobs whose suspensions changed.
    """
    intervals = (
        jobs.filter(pl.col("suspensions").list.len() > 0)
        .select("job_id", "file", "suspensions", job_start="started_at", job_end="stopped_at")
        .explode("suspensions")
        .unnest("suspensions")
    )
    start, stop = pl.col("started_at"), pl.col("stopped_at")
    impossible = (
        (stop < start)
        | (start < EARLIEST_TIME_S)
        | (start >= LATEST_TIME_S)
        | (stop >= LATEST_TIME_S)
    )
    beyond = (start < pl.col("job_start")) | (start > pl.col("job_end"))
    beyond |= (stop > pl.col("job_end")) | (stop < pl.col("job_start"))
    low = pl.max_horizontal("started_at", "job_start")
    high = pl.when(stop.is_not_null()).then(pl.min_horizontal("stopped_at", "job_end"))
    last = pl.coalesce(high, "job_end", LATEST_TIME_S)
    changed = (
        intervals.with_columns(
            low=low,
            high=high,
            is_kept=low < last,
            impossible=impossible.fill_null(False),
            beyond=beyond.fill_null(False),
        )
        .group_by("job_id", "file", maintain_order=True)
        .agg(
            pl.col("impossible", "beyond").any(),
            clipped=pl.struct(started_at="low", stopped_at="high").filter("is_kept"),
        )
        .filter(pl.col("impossible") | pl.col("beyond"))
    )
    reason = (
        pl.when("impossible")
        .then(pl.lit(IMPOSSIBLE_SUSPENSION))
        .otherwise(pl.lit(CLIPPED_SUSPENSION))
    )
    replacements = changed.select(
        "job_id",
        clipped=pl.when(~pl.col("impossible")).then("clipped"),
        is_changed=pl.lit(True),
    )
    is_changed = pl.col("is_changed").fill_null(False)
    cleaned = (
        jobs.join(replacements, on="job_id", how="left", maintain_order="left")
        .with_columns(suspensions=pl.when(is_changed).then("clipped").otherwise("suspensions"))
        .select(jobs.columns)
    )
    return cleaned, changed.select("job_id", "file", reason=reason)


def jobs_of_unknown_end(jobs: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Return `job_id` of running jobs without a walltime whose cores later jobs held.

    Nothing bounds such a job, except that it has ended when the next job has its cores. Containers
    with inner jobs, jobs that share their cores, and suspended jobs are not considered.

    Args:
        jobs: One row a job, with the columns of `job_records.RECORD_SCHEMA`.
        held: `schemas.Allocations`.
    """
    started = jobs.filter(pl.col("started_at").is_not_null())
    endless = started.filter(~has_ended() & pl.col("walltime_s").is_null())
    endless = endless.filter(
        ~pl.col("state").is_in(SUSPENDED_STATES), pl.col("suspensions").list.len().fill_null(0) == 0
    )
    near = held.join(endless, on="job_id", how="semi").select("node").unique()
    kind = pl.col("types").list.eval(pl.element().str.extract("^(container|timesharing|inner)"))
    starts = started.select("job_id", "started_at", kinds=kind)
    cores = (
        held.join(near, on="node", how="semi")
        .select("job_id", "node", core="cores")
        .explode("core")
        .join(starts, on="job_id")
    )
    pairs = cores.join(endless, on="job_id", how="semi").join(
        cores, on=["node", "core"], suffix="_later"
    )

    def has_kind(column: str, kind: str) -> pl.Expr:
        return pl.col(column).list.contains(kind).fill_null(False)

    may_overlap = has_kind("kinds", "container") & has_kind("kinds_later", "inner")
    may_overlap |= has_kind("kinds", "timesharing") & has_kind("kinds_later", "timesharing")
    is_later = (pl.col("started_at_later") > pl.col("started_at")) & ~may_overlap
    return pairs.filter(is_later).select("job_id").unique()


def _first_reason(conditions: dict[str, pl.Expr]) -> pl.Expr:
    """Return the first reason whose condition is true; null if none is."""
    return pl.coalesce(
        pl.when(condition.fill_null(False)).then(pl.lit(reason))
        for reason, condition in conditions.items()
    )
