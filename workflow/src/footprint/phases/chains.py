"""Merge the jobs of one piece of work into runs.

A long training is often a chain of jobs, each of which resumes the interrupted job before it. Such
a chain is one run; `merge_jobs_into_runs` finds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import numpy as np
import polars as pl

from footprint.core.arrays import Integers
from footprint.sources import node_names
from footprint.sources.node_names import GRID5000_PATTERN

ArrayMode = Literal["lines", "together"]
MERGED_BY_TYPE = pl.Enum(["single", "chain", "array"])

WALLTIME_TOLERANCE_S = 60
"""A job without events that lasted at least its walltime less this was ended by its walltime. OAR
ends a job up to some seconds before or after its walltime."""

WORTH_RESUMING_S = 3600
"""A job that a person or an unknown failure ended sooner than this does not lead a chain.
Attempts of minutes that are deleted and submitted again are the most frequent pairs of jobs with
one command. With them 48 % of the links found on the simulated site were right, without them 91 %;
95 % of the links of its chains were found either way (seeds 51 to 53, which were not used to choose
the hour). An hour is the shortest expected training."""

OAR_ENDING_EVENTS = ("WALLTIME", "BESTEFFORT_KILL", "RESUBMIT_JOB_AUTOMATICALLY")
"""OAR's events of a job that did not end by itself: it reached its walltime, was preempted by
another job, or was resubmitted by OAR as a new job (OAR documentation, table `event_logs`)."""

DELETION_EVENT = "FRAG_JOB_REQUEST"
"""Event of a request to kill the job by its owner, an administrator, or OAR when a node failed."""

RESUBMIT_EXIT_CODE = 99 * 256
"""Wait status with which a job of type `idempotent` requests its resubmission (oarsub(1))."""

_IDENTITY_COLUMNS = ("user", "project", "directory", "command", "cluster")
_WAITING_COMMAND = r"^\s*sleep\s+\S+\s*$|\bdo\s+sleep\b|\bjupyter\b"


def merge_jobs_into_runs(
    jobs: pl.LazyFrame,
    *,
    gap_h: float,
    arrays: ArrayMode = "lines",
    allocations: pl.LazyFrame | None = None,
    node_pattern: str = GRID5000_PATTERN,
) -> pl.LazyFrame:
    """Run of each job.

    Args:
        jobs: `schemas.Jobs`.
        gap_h: Longest time (h) from the end of a job to the start of the next of its chain.
        arrays: `lines`: each line of an array is a run of its own, unless it was resumed;
            `together`: all lines of an array that started are one run.
        allocations: `schemas.Allocations`, from which follows the cluster of each job. Without them
            jobs of different clusters may be of one chain.
        node_pattern: Pattern of the nodes' names.

    Returns:
        `schemas.RunOfJob`: one row a job, sorted by job; `run_id` is the smallest job id of the
        run. `merged_by` is `array` for runs with lines of an array taken together, `chain` for
        other runs of several jobs, and `single` for runs of one job. Interactive jobs and jobs
        that never started are `single`.
    """
    records = linkable_jobs(jobs, allocations, node_pattern)
    edges = link_resumed_jobs(records, gap_h=gap_h)
    array_edges = _array_links(records).filter(arrays == "together")
    edges = pl.concat([edges, array_edges])
    ids = records["job_id"].sort().to_numpy()
    first_index = _smallest_connected(
        len(ids),
        np.searchsorted(ids, edges["previous"].to_numpy()),
        np.searchsorted(ids, edges["next"].to_numpy()),
    )
    rows = records.sort("job_id").select("job_id", run_id=pl.Series(ids[first_index]))
    with_array = rows.join(array_edges, left_on="job_id", right_on="next", how="semi")
    several = rows.group_by("run_id").len().filter(pl.col("len") > 1).select("run_id")
    merged_by = (
        pl.when(pl.col("run_id").is_in(with_array["run_id"].implode()))
        .then(pl.lit("array"))
        .when(pl.col("run_id").is_in(several["run_id"].implode()))
        .then(pl.lit("chain"))
        .otherwise(pl.lit("single"))
    )
    return rows.select("job_id", "run_id", merged_by=merged_by.cast(MERGED_BY_TYPE)).lazy()


def linkable_jobs(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame | None = None,
    node_pattern: str = GRID5000_PATTERN,
) -> pl.DataFrame:
    """Of each job: identity (a number), line, start, end, and whether it may lead or follow.

    Args:
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`, which give the cluster of each job. Without them jobs of
            different clusters may be linked.
        node_pattern: Pattern of the nodes' names.
    """
    clusters = pl.LazyFrame(schema={"job_id": pl.Int64, "cluster": pl.String})
    if allocations is not None:
        cluster = node_names.cluster_of_column(pl.col("node"), node_pattern).alias("cluster")
        each = allocations.select("job_id", cluster).unique()
        clusters = each.group_by("job_id").agg(pl.col("cluster").sort().str.join(","))
    facts = jobs.join(clusters, on="job_id", how="left").collect()
    distinct = facts.select(_IDENTITY_COLUMNS).unique(maintain_order=True)
    identities = distinct.with_row_index("identity")
    index_from_id = pl.col("job_id") - pl.col("array_id") + 1
    ran = pl.col("started_at").is_not_null() & (pl.col("job_type") != "INTERACTIVE").fill_null(True)
    resumable = (
        ran
        & (pl.col("command").str.strip_chars() != "").fill_null(False)
        & ~pl.col("command").str.contains(_WAITING_COMMAND).fill_null(True)
        # a job that stopped as it started did nothing
        & (pl.col("stopped_at") > pl.col("started_at")).fill_null(True)
    )
    numbered = facts.join(identities, on=_IDENTITY_COLUMNS, nulls_equal=True, maintain_order="left")
    return numbered.select(
        "job_id",
        "identity",
        "started_at",
        "stopped_at",
        submitted_at=pl.min_horizontal("started_at", "submitted_at"),
        # arrays of one line count as no array
        array_id=pl.when(_is_array_line()).then("array_id"),
        line=pl.when(_is_array_line()).then(pl.coalesce("array_index", index_from_id)).fill_null(0),
        ran=ran,
        may_follow=resumable,
        may_lead=resumable & pl.col("stopped_at").is_not_null() & _is_interrupted(),
        can_be_foreseen=_reached_walltime() & pl.col("array_id").is_not_null(),
    )


def _is_array_line() -> pl.Expr:
    """Whether a job is a line of an array of several lines."""
    has_several = (pl.len().over("array_id") > 1) | (pl.col("array_index") > 1).fill_null(False)
    return pl.col("array_id").is_not_null() & has_several


def _is_interrupted() -> pl.Expr:
    """Whether a job ended before its work was done, by the conditions of `link_resumed_jobs`."""
    has_event = pl.col("events").list.contains
    has_no_code = pl.col("exit_code").is_null()
    has_type = pl.col("types").list.contains
    was_ended_by_oar = pl.any_horizontal(
        *(has_event(name).fill_null(False) for name in OAR_ENDING_EVENTS),
        ((pl.col("exit_code") == RESUBMIT_EXIT_CODE) & has_type("idempotent")).fill_null(False),
    )
    was_preempted = has_type("besteffort").fill_null(False) & (pl.col("state") != "terminated")
    has_unclear_end = has_event(DELETION_EVENT).fill_null(False) | (pl.col("state") == "error")
    return (
        _reached_walltime()
        | was_ended_by_oar
        | (_has_no_events() & has_no_code & was_preempted)
        | (has_no_code & has_unclear_end & (_duration_s() >= WORTH_RESUMING_S))
    ).fill_null(False)


def _reached_walltime() -> pl.Expr:
    """Whether a job was ended by its walltime."""
    lasted_walltime = _duration_s() >= pl.col("walltime_s") - WALLTIME_TOLERANCE_S
    has_event = pl.col("events").list.contains("WALLTIME")
    has_no_record = _has_no_events() & pl.col("exit_code").is_null()
    return (has_event | (has_no_record & lasted_walltime)).fill_null(False)


def _has_no_events() -> pl.Expr:
    return (pl.col("events").list.len() == 0).fill_null(True)


def _duration_s() -> pl.Expr:
    return (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds()


def link_resumed_jobs(records: pl.DataFrame, *, gap_h: float) -> pl.DataFrame:
    """Pairs of an interrupted job and the job that resumes it.

    Two jobs are linked when all of these conditions hold:

    - They have the same user, project, command and launching directory (a relative command names no
      script without its directory), and ran on the same clusters. Neither is interactive, and the
      command does more than hold nodes (`sleep`, `jupyter`).
    - They are the same line: neither is a line of an array, or both are lines of the same index in
      an array. A source without `array_index` has it from the distance of the job's id to the
      array's, because OAR numbers the lines of an array in a row. OAR resubmits a preempted line as
      a job outside arrays, so that such a job may also follow a line that no line follows.
    - The next job starts after the previous job stopped, at most `gap_h` later. It was also
      submitted after that, unless the previous job ended by its walltime: this end alone can be
      foreseen, and a job may wait for it (`oarsub -a`). A source without array ids does not
      distinguish waiting jobs from lines of an array; there the next job must have been submitted
      later in all cases. Among several candidates the previous job is the one that stopped last,
      so that jobs that overlap are never in one chain.
    - The previous job was interrupted. An event of `OAR_ENDING_EVENTS`, or the exit code 99 of an
      `idempotent` job, proves it; any other exit code excludes it. Without events (null or empty),
      a job that lasted its walltime to within 60 s was ended by it, and a job of type `besteffort`
      whose state is not `terminated` was preempted. The remaining ends have an unknown or human
      cause: `FRAG_JOB_REQUEST` or the state `error`, and no exit code. They count when the job had
      lasted for an hour (`WORTH_RESUMING_S`).

    Args:
        records: Result of `linkable_jobs`.
        gap_h: Longest time (h) between the two jobs.

    Returns:
        `previous`, `next` (job ids), sorted by `previous`; each job is at most once in each column.
    """
    leads, follows = records.filter("may_lead"), records.filter("may_follow")
    line = ["identity", "line"]
    later = _pair_with_last_stopped(leads, follows, by=line, moment="submitted_at", gap_h=gap_h)
    leads, follows = _unlinked(leads, follows, later)
    waiting = _pair_with_last_stopped(
        leads.filter("can_be_foreseen"), follows, by=line, moment="started_at", gap_h=gap_h
    )
    leads, follows = _unlinked(leads, follows, waiting)
    # OAR resubmits a line as a job outside arrays.
    resubmitted = _pair_with_last_stopped(
        leads.filter(pl.col("line") > 0),
        follows.filter(pl.col("line") == 0),
        by=["identity"],
        moment="submitted_at",
        gap_h=gap_h,
    )
    return pl.concat([later, waiting, resubmitted]).sort("previous")


def _unlinked(
    leads: pl.DataFrame, follows: pl.DataFrame, links: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Jobs that no job follows, and jobs that follow no job."""
    return (
        leads.join(links, left_on="job_id", right_on="previous", how="anti"),
        follows.join(links, left_on="job_id", right_on="next", how="anti"),
    )


def _pair_with_last_stopped(
    leads: pl.DataFrame,
    follows: pl.DataFrame,
    *,
    by: list[str],
    moment: Literal["submitted_at", "started_at"],
    gap_h: float,
) -> pl.DataFrame:
    """Pairs of each following job with the leading job that had stopped last at its `moment`.

    Each job is in one pair. The pairs are those of a stack: the end of a leading job pushes it, the
    moment of a following job pops the top. Pushes and pops at one height alternate, so that
    neighbours among them are the pairs, and no loop is needed.

    Args:
        leads: Records of jobs that may be resumed.
        follows: Records of jobs that may resume another.
        by: Columns in which the two jobs of a pair agree.
        moment: Column of the time of `follows` before which the leading job must have stopped.
        gap_h: Longest time (h) between the two jobs.

    Returns:
        `previous`, `next`.
    """
    columns = ["job_id", *by]
    events = pl.concat(
        [
            leads.select(*columns, bound="stopped_at", at="stopped_at", step=pl.lit(1)),
            follows.select(*columns, bound="started_at", at=moment, step=pl.lit(-1)),
        ]
    ).sort(*by, "at", "step", "job_id", descending=[False] * (len(by) + 1) + [True, False])
    height = pl.col("step").cum_sum()
    # A pop of the empty stack leaves it empty.
    n_failed_pops = pl.min_horizontal(height.cum_min(), 0)
    stack_height = (height - n_failed_pops).over(by)
    is_pop = pl.col("step") == -1
    is_failed_pop = is_pop & (n_failed_pops < n_failed_pops.shift(1, fill_value=0)).over(by)
    popped_height = pl.when(is_pop).then(stack_height + 1).otherwise(stack_height)
    pairs = (
        events.with_columns(height=popped_height, is_failed_pop=is_failed_pop)
        .filter(~pl.col("is_failed_pop"))
        .with_columns(
            pl.col("job_id", "bound", "step").shift(1).over(*by, "height").name.suffix("_before")
        )
        .filter(pl.col("step") == -1, pl.col("step_before") == 1)
        .filter(pl.col("bound") - pl.col("bound_before") <= timedelta(hours=gap_h))
    )
    return pairs.select(previous="job_id_before", next="job_id")


def _array_links(records: pl.DataFrame) -> pl.DataFrame:
    """Links of each line of an array that ran with the first line: `previous`, `next`."""
    first = pl.col("job_id").min().over("array_id")
    return (
        records.filter(pl.col("ran") & pl.col("array_id").is_not_null())
        .select(previous=first, next="job_id")
        .filter(pl.col("previous") != pl.col("next"))
    )


def _smallest_connected(n: int, one: Integers, other: Integers) -> Integers:
    """Smallest number that each of the numbers 0 to n - 1 is connected to by pairs `one`, `other`.

    Each step gives both ends of a pair the smaller of their marks and replaces each mark by the
    mark of its number. The number of steps grows with the logarithm of the longest chain.
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
