"""Tables of jobs, allocations and rejected rows, from records of OAR jobs."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Jobs, RejectedRows
from footprint.schemas.writing import conform
from footprint.sources.node_names import GRID5000_PATTERN
from footprint.sources.oar import job_checks
from footprint.sources.oar.allocation_tables import allocation_table, held_node_rows
from footprint.sources.oar.fields import SAVE_JOBS, SAVE_RESOURCES
from footprint.sources.oar.job_records import JOB_STATES, NOT_STARTED_STATES, TIME_FIELDS
from footprint.sources.oar.record_merging import merge_records
from footprint.sources.oar.rejected_jobs import file_names, listed_values, rejected_rows, verb_form
from footprint.sources.protocol import JobRecords


def tables_from_records(
    records: pl.DataFrame,
    *,
    nodes: pl.DataFrame,
    site: str,
    start: datetime,
    end: datetime,
    pattern: str = GRID5000_PATTERN,
) -> JobRecords:
    """Return the jobs of a window: jobs that held a node of a described cluster or never started.

    Rejected rows are counted by file and reason: records with a fault (`job_checks.record_fault`),
    repeated records, jobs outside [start, end), started jobs that lack an end, times or nodes or
    held nothing, jobs whose nodes are all on clusters that `nodes` does not describe, and the nodes
    of other clusters of a job that also held described ones. A job that never started is placed by
    its submission. Limits of jobs that are kept are counted as well: an end in a state unknown to
    OAR, an impossible walltime of a job that ended (unknown then), clipped suspensions.

    Args:
        records: Records of any number of answers, with the columns of `job_records.RECORD_SCHEMA`.
        nodes: Hardware (`schemas.Nodes`) of every node of the clusters of the study.
        site: Site of the jobs.
        start: Start of the window.
        end: End of the window, excluded.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: Records of a job contradict each other; none of the jobs that ran has its times,
            or its nodes; a job held a resource that no file explains; a node of a described cluster
            has no description, or lacks a core that a job held; a node is of another site. The
            message lists all of the jobs or nodes.
    """
    records, *faulty = _usable_records(records)
    jobs, repeated = merge_records(records)
    jobs, *timeless = _with_times(jobs)
    jobs, *outside = _inside_window(jobs, start, end)
    jobs, *nodeless = _with_nodes(jobs)
    jobs, *limited = _with_limits(jobs)
    rejected = [*faulty, repeated, *timeless, *outside, *nodeless, *limited]
    held = held_node_rows(jobs, site=site, pattern=pattern)
    is_described = pl.col("cluster").is_in(nodes["cluster"].unique().implode())
    elsewhere, held = held.filter(~is_described), held.filter(is_described)
    is_here = pl.col("job_id").is_in(held["job_id"].unique().implode())
    is_away = pl.col("job_id").is_in(elsewhere["job_id"].unique().implode()) & ~is_here
    rejected.append(rejected_rows(jobs.filter(is_away), job_checks.OTHER_CLUSTERS))
    rejected.append(rejected_rows(elsewhere.filter(is_here), job_checks.NODE_OF_OTHER_CLUSTER))
    jobs = jobs.filter(~is_away)
    table = allocation_table(held, nodes=nodes)
    outlasted = job_checks.jobs_of_unknown_end(jobs, table)
    rejected.append(
        rejected_rows(jobs.join(outlasted, on="job_id", how="semi"), job_checks.NO_WALLTIME)
    )
    return JobRecords(
        _job_rows(jobs.join(outlasted, on="job_id", how="anti"), site).lazy(),
        table.join(outlasted, on="job_id", how="anti").lazy(),
        conform(RejectedRows, pl.concat(rejected)).lazy(),
    )


# Each of the next functions returns the rows that are kept, then frames of rejected rows.


def _usable_records(records: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Select records without a fault."""
    records = records.with_columns(fault=job_checks.record_fault())
    is_usable = pl.col("fault").is_null()
    faulty = rejected_rows(records.filter(~is_usable), pl.col("fault"))
    records = records.with_columns(reason=job_checks.rejected_end_reason()).filter(is_usable)
    revived = rejected_rows(records.drop_nulls("reason"), pl.col("reason"))
    return records.filter(pl.col("reason").is_null()).drop("reason"), faulty, revived


def _with_times(jobs: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Select jobs that never started or have their times.

    Raises:
        InputError: None of the jobs that ran has its times.
    """
    ran = ~pl.col("state").is_in(NOT_STARTED_STATES)
    timeless = jobs.filter(ran & ~pl.col("has_times"))
    if len(timeless) and len(timeless) == len(jobs.filter(ran)):
        raise InputError(
            f"{listed_values('job', timeless['job_id'])}"
            f" {verb_form(timeless['job_id'], 'is', 'are')}"
            f" {listed_values('', timeless['state'])}, but no file has the start and end",
            where=file_names(timeless),
            do=SAVE_JOBS,
        )
    kept = jobs.join(timeless, on="job_id", how="anti")
    return kept, rejected_rows(timeless, job_checks.NO_TIMES)


def _inside_window(jobs: pl.DataFrame, start: datetime, end: datetime) -> tuple[pl.DataFrame, ...]:
    """Select jobs that ran, or were submitted and never started, in [start, end)."""
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    job_start, job_end = pl.col("started_at"), pl.col("stopped_at")
    ran = (job_start < end_s) & ((job_end > start_s) | job_end.is_null() | (job_start >= start_s))
    submitted = pl.col("submitted_at").is_between(start_s, end_s, closed="left").fill_null(True)
    is_inside = pl.when(job_start.is_not_null()).then(ran).otherwise(submitted)
    outside = rejected_rows(jobs.filter(~is_inside), job_checks.OUTSIDE_WINDOW)
    jobs = jobs.filter(is_inside)
    reason = job_checks.missing_time_reason()
    incomplete = rejected_rows(jobs.filter(reason.is_not_null()), reason)
    return jobs.filter(reason.is_null()), outside, incomplete


def _with_nodes(jobs: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Select jobs that never started or held a node.

    Raises:
        InputError: None of the started jobs has its nodes, or a resource is not explained.
    """
    has_started = pl.col("started_at").is_not_null()
    nameless = jobs.filter(has_started & ~pl.col("has_node_fields"))
    if len(nameless) and len(nameless) == len(jobs.filter(has_started)):
        what = f"no file names the nodes of {listed_values('job', nameless['job_id'])}"
        raise InputError(what, where=file_names(nameless), do=SAVE_JOBS)
    jobs = jobs.join(nameless, on="job_id", how="anti")
    lost = jobs.drop_nulls("unknown_resource")
    if len(lost):
        resources = listed_values("resource", lost["unknown_resource"])
        what = (
            f"{listed_values('job', lost['job_id'])} held {resources}, "
            "which no table of resources has"
        )
        raise InputError(what, where=file_names(lost), do=SAVE_RESOURCES)
    held_nothing = has_started & (pl.col("held_nodes").list.len() == 0)
    return (
        jobs.filter(~held_nothing),
        rejected_rows(nameless, job_checks.NO_NODES),
        rejected_rows(jobs.filter(held_nothing), job_checks.HELD_NOTHING),
    )


def _with_limits(jobs: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """Keep all jobs, with impossible walltimes and suspensions removed, and count the changes."""
    has_foreign_state = ~pl.col("state").is_in(JOB_STATES)
    foreign = rejected_rows(jobs.filter(has_foreign_state), job_checks.UNKNOWN_STATE_END_USED)
    is_impossible = ~job_checks.is_possible_walltime().fill_null(True)
    dropped = rejected_rows(jobs.filter(is_impossible), job_checks.WALLTIME_DROPPED)
    jobs = jobs.with_columns(walltime_s=pl.when(~is_impossible).then("walltime_s"))
    jobs, clipped = job_checks.clip_suspensions(jobs)
    return jobs, foreign, dropped, rejected_rows(clipped, pl.col("reason"))


def _job_rows(jobs: pl.DataFrame, site: str) -> pl.DataFrame:
    """Return jobs as `schemas.Jobs`."""
    interval = pl.element().struct
    intervals = pl.struct(
        _utc(interval.field(name)).alias(name) for name in ("started_at", "stopped_at")
    )
    rows = jobs.with_columns(
        _utc(pl.col(TIME_FIELDS)),
        pl.col("types").fill_null([]),
        pl.col("suspensions").list.eval(intervals),
        site=pl.lit(site),
    )
    table: pl.DataFrame = conform(Jobs, rows)
    return table


def _utc(seconds: pl.Expr) -> pl.Expr:
    return (seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))
