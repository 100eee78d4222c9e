"""Runs: the jobs that did one piece of work, as a training resumed after each walltime.

A long training is often a chain of jobs, each of which goes on where the one before was cut short.
The chain is what a person would call a run; `merge` finds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import numpy as np
import polars as pl

from footprint import node_names
from footprint.intervals import Integers
from footprint.node_names import GRID5000

Arrays = Literal["lines", "together"]
MERGED_BY = pl.Enum(["single", "chain", "array"])

WALLTIME_TOLERANCE_S = 60
"""A job that lasted its walltime less this was ended by it, where no event says so: OAR ends a job
up to some seconds before or after its walltime."""

WORTH_RESUMING_S = 3600
"""What a person, or a failure of unknown cause, ended sooner is not taken for the first part of a
chain. Attempts of minutes that are deleted and submitted again are the most frequent pairs of jobs
with one command: with them 48 % of the links found on the simulated site were right, without them
91 %, and 95 % of the links of its chains were found either way (seeds 51 to 53, at which nobody had
looked when the hour was chosen). An hour is the least that a training is expected to last."""

ENDED_BY_OAR = ("WALLTIME", "BESTEFFORT_KILL", "RESUBMIT_JOB_AUTOMATICALLY")
"""OAR's events of a job that did not choose its end: its walltime, another job that pushed it
aside, and a new job that OAR submitted in its place (OAR documentation, table `event_logs`)."""

DELETED = "FRAG_JOB_REQUEST"
"""Somebody asked to kill the job: its owner, an administrator, or OAR when a node failed."""

RESUBMIT_CODE = 99 * 256
"""Wait status by which a job of type `idempotent` asks OAR to submit it again (oarsub(1))."""

_IDENTITY = ("user", "project", "directory", "command", "cluster")
_HOLDS_ONLY = r"^\s*sleep\s+\S+\s*$|\bdo\s+sleep\b|\bjupyter\b"


def merge(
    jobs: pl.LazyFrame,
    *,
    gap_h: float,
    arrays: Arrays = "lines",
    allocations: pl.LazyFrame | None = None,
    node_pattern: str = GRID5000,
) -> pl.LazyFrame:
    """The run of each job.

    Args:
        jobs: `tables.Jobs`.
        gap_h: Longest time (h) from the end of a job to the start of the next of its chain.
        arrays: `lines`: each line of an array is a run of its own, unless it was resumed;
            `together`: all lines of an array that started are one run.
        allocations: `tables.Allocations`, from which follows the cluster of each job. Without them
            jobs of different clusters may be of one chain.
        node_pattern: Pattern of the nodes' names.

    Returns:
        `tables.RunOfJob`: one row a job, sorted by job; `run_id` is the smallest job id of the
        run. Of the runs of more than one job, `array` are those with an array taken together, and
        `chain` the others. Interactive jobs and jobs that never started are `single`.
    """
    records = _records(jobs, allocations, node_pattern)
    edges = _links(records, gap_h=gap_h)
    of_array = _lines_of_arrays(records).filter(arrays == "together")
    edges = pl.concat([edges, of_array])
    ids = records["job_id"].sort().to_numpy()
    run = _smallest_connected(
        len(ids),
        np.searchsorted(ids, edges["previous"].to_numpy()),
        np.searchsorted(ids, edges["next"].to_numpy()),
    )
    rows = records.sort("job_id").select("job_id", run_id=pl.Series(ids[run]))
    with_array = rows.join(of_array, left_on="job_id", right_on="next", how="semi")
    several = rows.group_by("run_id").len().filter(pl.col("len") > 1).select("run_id")
    merged_by = (
        pl.when(pl.col("run_id").is_in(with_array["run_id"].implode()))
        .then(pl.lit("array"))
        .when(pl.col("run_id").is_in(several["run_id"].implode()))
        .then(pl.lit("chain"))
        .otherwise(pl.lit("single"))
    )
    return rows.select("job_id", "run_id", merged_by=merged_by.cast(MERGED_BY)).lazy()


def links(
    jobs: pl.LazyFrame, *, gap_h: float, allocations: pl.LazyFrame | None = None
) -> pl.DataFrame:
    """Which job goes on with the work of which: `previous`, `next`, sorted, each job once in both.

    Two jobs are linked when all of this holds:

    - they have the same user, project, command and launching directory (without which a relative
      command names no script), and ran on the same clusters; neither is interactive, and the
      command is none that only holds nodes (`sleep`, `jupyter`);
    - they are the same line: both no line of an array, or both lines of the same index in an array
      (a source without `array_index` has it from the distance of the job's id to the array's: OAR
      numbers the lines of an array in a row). OAR submits a line that was pushed aside again as a
      job of its own, and so such a job may also follow a line that none of its own follows;
    - the next starts when the previous has stopped, at most `gap_h` later, and was submitted after
      that too, unless the previous ended by its walltime: that alone can be foreseen, and a job may
      wait for it (`oarsub -a`). A source without array ids cannot tell waiting jobs from lines of
      an array; there the next must have been submitted later whatever the end. Among several
      candidates the previous is the one that stopped last, so that jobs which overlap are never in
      one chain;
    - the previous was cut short. The first that is known decides: an event of `ENDED_BY_OAR`, or
      the exit code 99 of an `idempotent` job, says yes; any other exit code says no. Without events
      (null, or none at all), a job that lasted its walltime to within 60 s was ended by it, and one
      of type `besteffort` whose state is not `terminated` was pushed aside. What remains are ends
      of unknown or human cause, that is `FRAG_JOB_REQUEST` or the state `error`, and no exit code:
      they count when the job had lasted for an hour (`WORTH_RESUMING_S`).

    Args:
        jobs: `tables.Jobs`.
        gap_h: Longest time (h) between the two.
        allocations: `tables.Allocations`; see `merge`.
    """
    return _links(_records(jobs, allocations, GRID5000), gap_h=gap_h)


def _records(
    jobs: pl.LazyFrame, allocations: pl.LazyFrame | None, node_pattern: str
) -> pl.DataFrame:
    """Of each job: identity (a number), line, start, end, and whether it may lead or follow."""
    clusters = pl.LazyFrame(schema={"job_id": pl.Int64, "cluster": pl.String})
    if allocations is not None:
        cluster = node_names.cluster(pl.col("node"), node_pattern).alias("cluster")
        each = allocations.select("job_id", cluster).unique()
        clusters = each.group_by("job_id").agg(pl.col("cluster").sort().str.join(","))
    facts = jobs.join(clusters, on="job_id", how="left").collect()
    identities = facts.select(_IDENTITY).unique(maintain_order=True).with_row_index("identity")
    number = pl.col("job_id") - pl.col("array_id") + 1
    ran = pl.col("started_at").is_not_null() & (pl.col("job_type") != "INTERACTIVE").fill_null(True)
    resumable = (
        ran
        & (pl.col("command").str.strip_chars() != "").fill_null(False)
        & ~pl.col("command").str.contains(_HOLDS_ONLY).fill_null(True)
        # what stopped as it started did nothing
        & (pl.col("stopped_at") > pl.col("started_at")).fill_null(True)
    )
    return facts.join(identities, on=_IDENTITY, nulls_equal=True, maintain_order="left").select(
        "job_id",
        "identity",
        "started_at",
        "stopped_at",
        submitted_at=pl.min_horizontal("started_at", "submitted_at"),
        # an array, where it has more than one line
        array_id=pl.when(_is_line()).then("array_id"),
        line=pl.when(_is_line()).then(pl.coalesce("array_index", number)).fill_null(0),
        ran=ran,
        may_follow=resumable,
        may_lead=resumable & pl.col("stopped_at").is_not_null() & _cut_short(),
        foreseen=_by_walltime() & pl.col("array_id").is_not_null(),
    )


def _is_line() -> pl.Expr:
    several = (pl.len().over("array_id") > 1) | (pl.col("array_index") > 1).fill_null(False)
    return pl.col("array_id").is_not_null() & several


def _cut_short() -> pl.Expr:
    """Whether a job was ended before its work was done, as `links` explains."""
    event = pl.col("events").list.contains
    no_code = pl.col("exit_code").is_null()
    has_type = pl.col("types").list.contains
    by_oar = pl.any_horizontal(
        *(event(name).fill_null(False) for name in ENDED_BY_OAR),
        ((pl.col("exit_code") == RESUBMIT_CODE) & has_type("idempotent")).fill_null(False),
    )
    pushed = has_type("besteffort").fill_null(False) & (pl.col("state") != "terminated")
    somehow = event(DELETED).fill_null(False) | (pl.col("state") == "error")
    return (
        _by_walltime()
        | by_oar
        | (_no_events() & no_code & pushed)
        | (no_code & somehow & (_duration_s() >= WORTH_RESUMING_S))
    ).fill_null(False)


def _by_walltime() -> pl.Expr:
    """Whether a job was ended by its walltime."""
    lasted = _duration_s() >= pl.col("walltime_s") - WALLTIME_TOLERANCE_S
    told = pl.col("events").list.contains("WALLTIME")
    return (told | (_no_events() & pl.col("exit_code").is_null() & lasted)).fill_null(False)


def _no_events() -> pl.Expr:
    return (pl.col("events").list.len() == 0).fill_null(True)


def _duration_s() -> pl.Expr:
    return (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds()


def _links(records: pl.DataFrame, *, gap_h: float) -> pl.DataFrame:
    leads, follows = records.filter("may_lead"), records.filter("may_follow")
    line = ["identity", "line"]
    found = _last_stopped(leads, follows, by=line, moment="submitted_at", gap_h=gap_h)
    leads, follows = _left(leads, follows, found)
    waiting = _last_stopped(
        leads.filter("foreseen"), follows, by=line, moment="started_at", gap_h=gap_h
    )
    leads, follows = _left(leads, follows, waiting)
    # Lines that OAR submitted again are jobs of their own.
    again = _last_stopped(
        leads.filter(pl.col("line") > 0),
        follows.filter(pl.col("line") == 0),
        by=["identity"],
        moment="submitted_at",
        gap_h=gap_h,
    )
    return pl.concat([found, waiting, again]).sort("previous")


def _left(
    leads: pl.DataFrame, follows: pl.DataFrame, found: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Jobs that nothing follows, and jobs that follow nothing."""
    return (
        leads.join(found, left_on="job_id", right_on="previous", how="anti"),
        follows.join(found, left_on="job_id", right_on="next", how="anti"),
    )


def _last_stopped(
    leads: pl.DataFrame,
    follows: pl.DataFrame,
    *,
    by: list[str],
    moment: Literal["submitted_at", "started_at"],
    gap_h: float,
) -> pl.DataFrame:
    """Pairs of a job and the one that had stopped last at its `moment`, each job in one pair.

    A stack: each end of a job is put on it, each moment takes what lies on top. Ends and moments of
    the same height alternate, so that neighbours among them are the pairs, without a loop.
    """
    columns = ["job_id", *by]
    events = pl.concat(
        [
            leads.select(*columns, bound="stopped_at", at="stopped_at", step=pl.lit(1)),
            follows.select(*columns, bound="started_at", at=moment, step=pl.lit(-1)),
        ]
    ).sort(*by, "at", "step", "job_id", descending=[False] * (len(by) + 1) + [True, False])
    height = pl.col("step").cum_sum()
    # Who finds the stack empty leaves it empty.
    missed = pl.min_horizontal(height.cum_min(), 0)
    on_stack = (height - missed).over(by)
    taken = pl.col("step") == -1
    found_none = taken & (missed < missed.shift(1, fill_value=0)).over(by)
    level = pl.when(taken).then(on_stack + 1).otherwise(on_stack)
    pairs = (
        events.with_columns(level=level, found_none=found_none)
        .filter(~pl.col("found_none"))
        .with_columns(
            pl.col("job_id", "bound", "step").shift(1).over(*by, "level").name.suffix("_before")
        )
        .filter(pl.col("step") == -1, pl.col("step_before") == 1)
        .filter(pl.col("bound") - pl.col("bound_before") <= timedelta(hours=gap_h))
    )
    return pairs.select(previous="job_id_before", next="job_id")


def _lines_of_arrays(records: pl.DataFrame) -> pl.DataFrame:
    """Each line of an array that ran, linked to the first of them."""
    first = pl.col("job_id").min().over("array_id")
    return (
        records.filter(pl.col("ran") & pl.col("array_id").is_not_null())
        .select(previous=first, next="job_id")
        .filter(pl.col("previous") != pl.col("next"))
    )


def _smallest_connected(n: int, one: Integers, other: Integers) -> Integers:
    """The smallest of the numbers 0 to n - 1 that each is connected to, by pairs `one`, `other`.

    Each step gives both ends of a pair the smaller mark of the two and follows marks to their own:
    the number of steps grows with the logarithm of the longest chain.
    """
    mark = np.arange(n)
    while True:
        before = mark.copy()
        smaller = np.minimum(mark[one], mark[other])
        for end in (one, other):
            np.minimum.at(mark, mark[end], smaller)
            np.minimum.at(mark, end, smaller)
        mark = mark[mark]
        if np.array_equal(mark, before):
            return mark
