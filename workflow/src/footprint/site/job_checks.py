"""Checks of single records of OAR jobs: which can be used, and why the others cannot.

Reasons are those of `tables.SetAside`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from footprint.site.oar import ENDED, STATES, SUSPENDED, TIMES

EARLIEST_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""No job is older: the first OAR is of 2002."""

LATEST_S = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""A time after this is in milliseconds, or a sentinel such as 2^53. The clock of this machine is
no bound: a study must give the same tables on any day."""

LONGEST_S = 10 * 366 * 86_400
"""Ten years: longer than any walltime that a cluster grants, and than most clusters live."""

UNKNOWN_STATE = "state that OAR does not have, and no end"
MILLISECONDS = "time in milliseconds, or after 2100"
TOO_EARLY = "time before 2000"
ENDS_FIRST = "ended before it started"
TOO_LONG = "ended more than ten years after its start"
BAD_WALLTIME = "runs with a walltime of 0, negative or over ten years"

NO_START = "terminated, but no start is recorded"
NO_END = "ended, but no end is recorded"
NO_TIMES = "no file says when it ran"
NO_NODES = "no file names its nodes"
HELD_NOTHING = "held no core of a node"

END_REJECTED = "ended, but the record of its end is rejected"
OTHER_END = "two different ends: that of the fuller record is used"
NO_WALLTIME = "runs without a walltime, and later jobs held its cores"

SPELL_UNKNOWN = "suspension with impossible times: unknown when it was suspended"
SPELL_CUT = "suspension before the start or after the end of its job: cut there"

END_USED = "state that OAR does not have: the recorded end is used"
WALLTIME_DROPPED = "walltime of 0, negative or over ten years, of a job that ended: unknown"


def has_ended() -> pl.Expr:
    """Whether a record is of a job that is over; one in an unknown state is, if it has an end."""
    foreign = ~pl.col("state").is_in(STATES) & pl.col("stopped_at").is_not_null()
    return pl.col("state").is_in(ENDED) | foreign


def fault() -> pl.Expr:
    """Why a record (`oar.RECORD`) is useless whatever others say of the job; null: it is not."""
    start, stop = pl.col("started_at"), pl.col("stopped_at")
    late = pl.any_horizontal(pl.col(name) >= LATEST_S for name in TIMES).fill_null(False)
    early = pl.any_horizontal(pl.col(name) < EARLIEST_S for name in TIMES).fill_null(False)
    runs = ~has_ended() & start.is_not_null()
    reasons = {
        UNKNOWN_STATE: ~pl.col("state").is_in(STATES) & stop.is_null(),
        MILLISECONDS: late,
        TOO_EARLY: early,
        ENDS_FIRST: stop < start,
        TOO_LONG: stop - start > LONGEST_S,
        BAD_WALLTIME: runs & ~is_walltime(),
    }
    found = pl.coalesce(
        pl.when(condition.fill_null(False)).then(pl.lit(reason))
        for reason, condition in reasons.items()
    )
    return pl.coalesce("fault", found)


def is_walltime() -> pl.Expr:
    """Whether a walltime is one that OAR can grant; null where there is none."""
    return pl.col("walltime_s").is_between(1, LONGEST_S)


def incomplete() -> pl.Expr:
    """Why a job cannot be used after all its records were merged; null: it can."""
    start, stop = pl.col("started_at"), pl.col("stopped_at")
    reasons = {
        NO_START: (pl.col("state") == "terminated") & start.is_null(),
        NO_END: pl.col("state").is_in(ENDED) & start.is_not_null() & stop.is_null(),
    }
    return pl.coalesce(
        pl.when(condition.fill_null(False)).then(pl.lit(reason))
        for reason, condition in reasons.items()
    )


def revived() -> pl.Expr:
    """Why a record without an end cannot be used: another one, rejected, says that it ended.

    Its rows are all records, with their `fault`.
    """
    rejected = pl.col("fault").is_not_null() & has_ended().fill_null(False)
    open_ended = pl.col("fault").is_null() & ~has_ended()
    ended_too = (pl.col("fault").is_null() & has_ended()).any().over("job_id")
    is_revived = open_ended & rejected.any().over("job_id") & ~ended_too
    is_revived &= pl.col("job_id").is_not_null()
    return pl.when(is_revived).then(pl.lit(END_REJECTED))


def suspensions(jobs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Jobs whose suspensions lie within them, and `job_id`, `file`, `reason` of those that changed.

    A suspension that begins before its job or ends after it is cut there. Suspensions are unknown
    (null) where one of the job's ends before it starts, or has a time that no job has.

    Args:
        jobs: Rows as `oar.RECORD` describes them, one a job.
    """
    spells = (
        jobs.filter(pl.col("suspensions").list.len() > 0)
        .select("job_id", "file", "suspensions", began="started_at", ended="stopped_at")
        .explode("suspensions")
        .unnest("suspensions")
    )
    since, until = pl.col("started_at"), pl.col("stopped_at")
    impossible = (until < since) | (since < EARLIEST_S) | (since >= LATEST_S) | (until >= LATEST_S)
    beyond = (since < pl.col("began")) | (since > pl.col("ended")) | (until > pl.col("ended"))
    beyond |= until < pl.col("began")
    low = pl.max_horizontal("started_at", "began")
    high = pl.when(until.is_not_null()).then(pl.min_horizontal("stopped_at", "ended"))
    last = pl.coalesce(high, "ended", LATEST_S)
    found = (
        spells.with_columns(
            low=low,
            high=high,
            stays=low < last,
            impossible=impossible.fill_null(False),
            beyond=beyond.fill_null(False),
        )
        .group_by("job_id", "file", maintain_order=True)
        .agg(
            pl.col("impossible", "beyond").any(),
            within=pl.struct(started_at="low", stopped_at="high").filter("stays"),
        )
        .filter(pl.col("impossible") | pl.col("beyond"))
    )
    reason = pl.when("impossible").then(pl.lit(SPELL_UNKNOWN)).otherwise(pl.lit(SPELL_CUT))
    changed = pl.col("changed").fill_null(False)
    within = pl.when(changed).then("within").otherwise("suspensions")
    known = found.select(
        "job_id", within=pl.when(~pl.col("impossible")).then("within"), changed=pl.lit(True)
    )
    joined = jobs.join(known, on="job_id", how="left", maintain_order="left")
    cleaned = joined.with_columns(suspensions=within).select(jobs.columns)
    return cleaned, found.select("job_id", "file", reason=reason)


def outlasted(jobs: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """`job_id` of running jobs without a walltime whose cores later jobs held.

    Nothing bounds such a job, but that it has ended when the next job has its cores. Jobs inside a
    container, jobs that share their cores and suspended jobs do not tell.

    Args:
        jobs: Rows as `oar.RECORD` describes them, one a job.
        held: `tables.Allocations`.
    """
    started = jobs.filter(pl.col("started_at").is_not_null())
    endless = started.filter(~has_ended() & pl.col("walltime_s").is_null())
    endless = endless.filter(
        ~pl.col("state").is_in(SUSPENDED), pl.col("suspensions").list.len().fill_null(0) == 0
    )
    near = held.join(endless, on="job_id", how="semi").select("node").unique()
    kind = pl.col("types").list.eval(pl.element().str.extract("^(container|timesharing|inner)"))
    spans = started.select("job_id", "started_at", kinds=kind)
    cores = (
        held.join(near, on="node", how="semi")
        .select("job_id", "node", core="cores")
        .explode("core")
        .join(spans, on="job_id")
    )
    by = ["node", "core"]
    pairs = cores.join(endless, on="job_id", how="semi").join(cores, on=by, suffix="_later")

    def has(column: str, word: str) -> pl.Expr:
        return pl.col(column).list.contains(word).fill_null(False)

    allowed = has("kinds", "container") & has("kinds_later", "inner")
    allowed |= has("kinds", "timesharing") & has("kinds_later", "timesharing")
    later = (pl.col("started_at_later") > pl.col("started_at")) & ~allowed
    return pairs.filter(later).select("job_id").unique()
