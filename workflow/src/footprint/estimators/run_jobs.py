"""The OAR job of each run that an energy tool recorded: by its names, else by its node and time."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from footprint.core.sums import exact_sum

CLOCK_MARGIN = timedelta(seconds=120)
"""Longest time that a run may extend beyond its job: clocks differ, and OAR cleans up."""
LOCAL_TIMEZONE = "Europe/Paris"
"""Time zone of times without an offset (`tool_logs.run_records`)."""

OUTSIDE_JOB_TIME = "not while its job ran"
JOB_UNKNOWN = "its job is not known"
SEVERAL_JOBS_NAMED = "several jobs that its names contain ran at the time"
NO_JOB_ON_HOST = "no job held its host at the time"
ONE_JOB_ON_HOST_IN_UTC = "no job held its host at the time; one did if its clock is in UTC"
SEVERAL_JOBS_ON_HOST = "several jobs held its host at the time"
NO_JOB_OR_HOST_NAMED = "neither a job nor a host is named"
CLOCK_IN_UTC = "its clock is in UTC, since only then its job ran: read as such"


def assign_jobs(runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame) -> pl.DataFrame:
    """Recorded runs with their `job`, or the `reason` for having none.

    A run belongs to the job that it names. If its names contain several numbers, one of them must
    be a job that ran then. Other runs belong to the only job that held their host all the time.
    Times without an offset that are outside the named job are read as UTC where that fits, with a
    `limit`: containers often have no time zone.

    Args:
        runs: `index`; `job_id`, `job_candidates` and `host` (hints); `started_at`, `stopped_at`
            (null: unknown), `is_local_time` (whether the times have no offset; null: they have);
            `reason` (not null: only counted), `limit`, and any other columns.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.

    Returns:
        The rows of `runs` by `index`, with `job`, and a `reason` where it is null.
    """
    times = jobs.select("job_id", since="started_at", until="stopped_at")
    open_runs = runs.filter(pl.col("reason").is_null())
    found = _find_jobs(open_runs, times, allocations)
    is_late = pl.col("why").is_in([OUTSIDE_JOB_TIME, NO_JOB_ON_HOST]) & pl.col("is_local_time")
    late = open_runs.join(found, on="index").filter(is_late).drop("job", "why", "is_named")
    in_utc = late.with_columns(_read_as_utc("started_at"), _read_as_utc("stopped_at"))
    again = _find_jobs(in_utc, times, allocations).drop_nulls("job")
    shifted = in_utc.join(again.filter("is_named"), on="index").select(
        "index", "job", utc_start="started_at", utc_stop="stopped_at"
    )
    by_host = again.filter(~pl.col("is_named"))["index"].implode()
    is_shifted = pl.col("utc_start").is_not_null()
    why = (
        pl.when(pl.col("index").is_in(by_host))
        .then(pl.lit(ONE_JOB_ON_HOST_IN_UTC))
        .otherwise("why")
    )
    return (
        runs.join(found.drop("is_named"), on="index", how="left")
        .join(shifted, on="index", how="left", suffix="_in_utc")
        .with_columns(
            job=pl.coalesce("job", "job_in_utc"),
            started_at=pl.coalesce("utc_start", "started_at"),
            stopped_at=pl.coalesce("utc_stop", "stopped_at"),
            limit=pl.coalesce("limit", pl.when(is_shifted).then(pl.lit(CLOCK_IN_UTC))),
            reason=pl.coalesce("reason", pl.when(~is_shifted).then(why)),
        )
        .drop("why", "job_in_utc", "utc_start", "utc_stop")
        .sort("index")
    )


def _read_as_utc(name: str) -> pl.Expr:
    """A time that was read as local time, read as UTC."""
    return pl.col(name).dt.convert_time_zone(LOCAL_TIMEZONE).dt.replace_time_zone("UTC")


def _is_inside_job() -> pl.Expr:
    """Whether a run is inside its job, from `since` to `until`; a null `until` is still running."""
    starts = (pl.col("started_at") >= pl.col("since") - CLOCK_MARGIN).fill_null(False)
    return starts & (pl.col("stopped_at") <= pl.col("until") + CLOCK_MARGIN).fill_null(True)


def _find_jobs(runs: pl.DataFrame, times: pl.LazyFrame, allocations: pl.LazyFrame) -> pl.DataFrame:
    """Job of each run.

    Returns:
        `index`; `job`; `is_named` (whether the run names it); `why` there is none, else null.
    """
    named = _named_jobs(runs, times)
    others = named.filter(~pl.col("names_job").fill_null(False))
    by_host = _jobs_on_host(runs.join(others.select("index"), on="index"), times, allocations)
    n_named, n_on_host = pl.col("n_named"), pl.col("n_on_host")
    candidates = pl.col("job_candidates").list.len().fill_null(0) > 0
    why = (
        pl.when(n_named == 1)
        .then(None)
        .when(n_named > 1)
        .then(pl.lit(SEVERAL_JOBS_NAMED))
        .when("names_job")
        .then(pl.lit(OUTSIDE_JOB_TIME))
        .when(n_on_host == 1)
        .then(None)
        .when(n_on_host > 1)
        .then(pl.lit(SEVERAL_JOBS_ON_HOST))
        .when(n_named == 0)
        .then(pl.lit(OUTSIDE_JOB_TIME))
        .when(pl.col("job_id").is_not_null() | candidates)
        .then(pl.lit(JOB_UNKNOWN))
        .when(pl.col("host").is_not_null())
        .then(pl.lit(NO_JOB_ON_HOST))
        .otherwise(pl.lit(NO_JOB_OR_HOST_NAMED))
    )
    is_named = (n_named == 1).fill_null(False)
    return (
        named.join(by_host, on="index", how="left")
        .with_columns(why=why, is_named=is_named)
        .select(
            "index",
            "is_named",
            "why",
            job=pl.when(pl.col("why").is_null()).then(
                pl.when("is_named").then("named_job").otherwise("job_on_host")
            ),
        )
    )


def _named_jobs(runs: pl.DataFrame, times: pl.LazyFrame) -> pl.DataFrame:
    """Jobs that the names of each run contain; candidates count where `job_id` is not a known job.

    Returns:
        The rows of `runs`, with `names_job` (whether `job_id` is known), `n_named` (named jobs that
        the run is inside of; null: no named job is known), `named_job` (one of these).
    """
    hints = runs.lazy().select("index", "job_id", "job_candidates", "started_at", "stopped_at")
    given = hints.select(pl.exclude("job_candidates"), is_candidate=pl.lit(False))
    candidates = (
        hints.with_columns(job_id=pl.col("job_candidates"))
        .drop("job_candidates")
        .explode("job_id", empty_as_null=False, keep_nulls=False)
        .with_columns(is_candidate=pl.lit(True))
    )
    known = pl.concat([given, candidates], how="diagonal").join(times, on="job_id")
    found = (
        known.filter(pl.col("is_candidate") == pl.col("is_candidate").min().over("index"))
        .unique(["index", "job_id"])
        .group_by("index")
        .agg(
            names_job=~pl.col("is_candidate").first(),
            n_named=exact_sum(_is_inside_job()),
            named_job=pl.col("job_id").filter(_is_inside_job()).min(),
        )
    )
    return runs.lazy().join(found, on="index", how="left").collect()


def _jobs_on_host(
    runs: pl.DataFrame, times: pl.LazyFrame, allocations: pl.LazyFrame
) -> pl.DataFrame:
    """Jobs that held the host of each run all the time.

    A node has had thousands of jobs: each run is joined only with jobs that held its host on the
    day that it started.

    Returns:
        `index`, `n_on_host`, `job_on_host` (the job, where `n_on_host` is 1).
    """
    started = pl.col("started_at")
    first, last = runs.select(started.min(), started.max().alias("last")).row(0)
    earliest, latest = (pl.lit(at, dtype=pl.Datetime("us", "UTC")) for at in (first, last))
    since, until = pl.col("since") - CLOCK_MARGIN, pl.col("until") + CLOCK_MARGIN
    held = (
        allocations.select("job_id", host="node")
        .join(runs.lazy().select("host").unique(), on="host", how="semi")
        .join(times, on="job_id")
        .filter(since <= latest, (until >= earliest).fill_null(True))
        .with_columns(
            day=pl.date_ranges(
                pl.max_horizontal(since, earliest).dt.date(),
                pl.min_horizontal(until, latest).dt.date(),
            )
        )
        .explode("day")
    )
    return (
        runs.lazy()
        .select("index", "host", "started_at", "stopped_at", day=started.dt.date())
        .join(held, on=["host", "day"])
        .filter(_is_inside_job())
        .group_by("index")
        .agg(n_on_host=pl.len(), job_on_host=pl.col("job_id").first())
        .collect()
    )
