"""Checks of single records of OAR jobs: which can be used, and why the others cannot.

Reasons are those of `tables.SetAside`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from footprint.site.oar import ENDED, STATES, TIMES

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
