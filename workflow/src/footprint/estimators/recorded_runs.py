"""The OAR job of each run that an energy tool recorded, and the recorded energy of each job."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import timedelta
from typing import NamedTuple

import polars as pl

from footprint.core import sums, units
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

CLOCK_MARGIN = timedelta(seconds=120)
"""Longest time that a run may extend beyond its job: clocks differ, and OAR cleans up."""

ENERGY_COLUMNS = ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh")

RECORDED_JOB_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "tools": pl.String(),
        "n_runs": pl.Int64(),
        "duration_s": pl.Float64(),
        "gpu_kwh": pl.Float64(),
        "cpu_kwh": pl.Float64(),
        "memory_kwh": pl.Float64(),
        "energy_kwh": pl.Float64(),
    }
)
"""Recorded energy of a job in kWh, summed over its runs; null where a run lacks the value."""

OUTSIDE_JOB_TIME = "not while its job ran"
JOB_UNKNOWN = "its job is not known"
NO_JOB_ON_HOST = "no job held its host at the time"
SEVERAL_JOBS_ON_HOST = "several jobs held its host at the time"
NO_JOB_OR_HOST_NAMED = "neither a job nor a host is named"
TOO_MUCH_POWER = "more power than the nodes can draw"
SAME_TIME_BY_OTHER_TOOL = "another tool recorded the same time"
SAME_MACHINE_AND_TIME = "the same machine, at the same time"
MAX_OVERLAP_S = 5.0
"""Longest overlap of runs that follow each other: a tool writes its times in whole seconds."""


class RecordedJobs(NamedTuple):
    """Recorded energy of jobs (`RECORDED_JOB_SCHEMA`); rejected runs (`schemas.RejectedRows`)."""

    jobs: pl.DataFrame
    rejected: pl.DataFrame


def match_runs_to_jobs(
    runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> RecordedJobs:
    """Energy that tools recorded in each job. Every run counts once: in a job, or as rejected.

    A run belongs to the job that it names, else to the only job that held its host all the time.
    Tools record whole machines: among overlapping runs of one machine, the longest is used.

    Args:
        runs: Recorded runs (`tool_logs.runs.RUNS`); runs with a `reason` are only counted.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes`.

    Returns:
        Jobs with at least one run (`RECORDED_JOB_SCHEMA`), by job, and rejected runs
        (`schemas.RejectedRows`, stage `recorded`), by file and reason.
    """
    found = assign_jobs(runs.with_row_index("index"), jobs, allocations)
    found = found.join(power_limits_of_jobs(found, allocations, nodes), on="job", how="left")
    most_kwh = pl.col("duration_s") * pl.col("limit_w") * units.KWH_PER_J
    found = _add_reason(found, pl.col("energy_kwh") > most_kwh, TOO_MUCH_POWER)
    overlapped = _overlapped_on_machine(found, allocations)
    found = _add_reason(found, pl.col("index").is_in(overlapped), SAME_MACHINE_AND_TIME)
    found = _add_reason(
        found, pl.col("index").is_in(_also_by_codecarbon(found)), SAME_TIME_BY_OTHER_TOOL
    )
    return RecordedJobs(_sum_by_job(found), _count_rejected(found))


def _add_reason(runs: pl.DataFrame, condition: pl.Expr, reason: str) -> pl.DataFrame:
    """Runs with a `reason` where a condition holds; an earlier reason stays."""
    marked = pl.when(condition).then(pl.lit(reason))
    return runs.with_columns(reason=pl.coalesce("reason", marked))


def _is_inside_job() -> pl.Expr:
    """Whether a run is inside its job, from `since` to `until`; a null `until` is still running."""
    starts = (pl.col("started_at") >= pl.col("since") - CLOCK_MARGIN).fill_null(False)
    return starts & (pl.col("stopped_at") <= pl.col("until") + CLOCK_MARGIN).fill_null(True)


def assign_jobs(runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame) -> pl.DataFrame:
    """Recorded runs with their `job`, or the `reason` for having none.

    Args:
        runs: `index`, `job_id` and `host` (hints), `started_at`, `stopped_at` (null: unknown),
            `reason` (not null: only counted), and any other columns.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.

    Returns:
        The rows of `runs` by `index`, with `job`, and a `reason` where it is null.
    """
    times = jobs.select("job_id", since="started_at", until="stopped_at")
    named = (
        runs.lazy()
        .join(times.with_columns(is_known=pl.lit(True)), on="job_id", how="left")
        .with_columns(pl.col("is_known").fill_null(False), is_inside=_is_inside_job())
        .drop("since", "until")
        .collect()
    )
    others = named.filter(~pl.col("is_known"), pl.col("reason").is_null())
    by_host = _jobs_on_host(others, times, allocations)
    known, n_jobs = pl.col("is_known"), pl.col("n_jobs")
    reason = (
        pl.when(known)
        .then(pl.when(~pl.col("is_inside")).then(pl.lit(OUTSIDE_JOB_TIME)))
        .when(n_jobs == 1)
        .then(None)
        .when(n_jobs > 1)
        .then(pl.lit(SEVERAL_JOBS_ON_HOST))
        .when(pl.col("job_id").is_not_null())
        .then(pl.lit(JOB_UNKNOWN))
        .when(pl.col("host").is_not_null())
        .then(pl.lit(NO_JOB_ON_HOST))
        .otherwise(pl.lit(NO_JOB_OR_HOST_NAMED))
    )
    return (
        named.join(by_host, on="index", how="left")
        .with_columns(
            reason=pl.coalesce("reason", reason),
            job=pl.when(known).then("job_id").when(n_jobs == 1).then("only_job"),
        )
        .sort("index")
    )


def _jobs_on_host(
    runs: pl.DataFrame, times: pl.LazyFrame, allocations: pl.LazyFrame
) -> pl.DataFrame:
    """Jobs that held the host of each run all the time.

    A node has had thousands of jobs: each run is joined only with jobs that held its host on the
    day that it started.

    Returns:
        `index`, `n_jobs`, `only_job` (the job, where `n_jobs` is 1).
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
        .agg(n_jobs=pl.len(), only_job=pl.col("job_id").first())
        .collect()
    )


def power_limits_of_jobs(
    runs: pl.DataFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.DataFrame:
    """Highest plausible power of all nodes of a job; null when one of them has no description.

    Args:
        runs: Rows with the column `job`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes`.

    Returns:
        `job`, `limit_w` in W.
    """
    most = nodes.group_by("node").agg(pl.col("max_plausible_power_w").max())
    watts = pl.col("max_plausible_power_w")
    return (
        allocations.select("node", job="job_id")
        .join(runs.lazy().select("job").unique(), on="job", how="semi")
        .join(most, on="node", how="left")
        .group_by("job")
        .agg(limit_w=_sum_if_complete(watts))
        .collect()
    )


def _sum_if_complete(values: pl.Expr) -> pl.Expr:
    """Sum of values; null when one is unknown."""
    return pl.when(values.null_count() == 0).then(sums.known_sum(values))


def _also_by_codecarbon(runs: pl.DataFrame) -> pl.Series:
    """Indices, as one list, of other tools' runs that overlap a CodeCarbon run of the same job.

    Both count the same energy. Among CodeCarbon's runs that started before such a run ended, the
    last one to end decides whether any overlaps it.
    """
    used = runs.filter(pl.col("reason").is_null())
    is_codecarbon = pl.col("tool") == "codecarbon"
    codecarbon = (
        used.filter(is_codecarbon)
        .select("job", began="started_at", ended="stopped_at")
        .sort("began")
        .with_columns(pl.col("ended").cum_max().over("job"))
    )
    overlaps = (
        used.filter(~is_codecarbon)
        .sort("stopped_at")
        .join_asof(
            codecarbon,
            left_on="stopped_at",
            right_on="began",
            by="job",
            allow_exact_matches=False,
            check_sortedness=False,  # both are sorted, but Polars cannot check it by job, and warns
        )
        .filter(pl.col("ended") > pl.col("started_at"))
    )
    return overlaps["index"].implode()


def _overlapped_on_machine(runs: pl.DataFrame, allocations: pl.LazyFrame) -> pl.Series:
    """Indices, as one list, of runs that a longer run of the same tool and machine overlaps.

    The machine of a run is the node of its job where the job held one node, else its host. A run
    without a host, of a job on several nodes, is not compared.
    """
    used = runs.filter(pl.col("reason").is_null())
    nodes = (
        allocations.select("node", job="job_id")
        .join(used.lazy().select("job").unique(), on="job", how="semi")
        .group_by("job")
        .agg(n_nodes=pl.col("node").n_unique())
        .collect()
    )
    only = pl.when(pl.col("n_nodes") == 1).then(pl.lit("the only node")).otherwise("host")
    of_machines = (
        used.join(nodes, on="job", how="left")
        .select("index", "job", "tool", "started_at", "stopped_at", "duration_s", machine=only)
        .drop_nulls("machine")
        .sort("duration_s", "started_at", "index", descending=[True, False, False])
    )
    times = pl.col("started_at", "stopped_at").dt.epoch("us") / 1e6
    taken: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
    overlapped = []
    for index, job, tool, machine, start_s, stop_s in of_machines.select(
        "index", "job", "tool", "machine", times
    ).iter_rows():
        used_times = taken.setdefault((job, tool, machine), [])
        place = bisect_left(used_times, (start_s, stop_s))
        near = used_times[max(place - 1, 0) : place + 1]
        allowed_s = min(MAX_OVERLAP_S, 0.5 * (stop_s - start_s))
        if any(min(stop_s, stop) - max(start_s, start) > allowed_s for start, stop in near):
            overlapped.append(index)
        else:
            insort(used_times, (start_s, stop_s))
    return pl.Series("index", overlapped, runs.schema["index"]).implode()


def _sum_by_job(runs: pl.DataFrame) -> pl.DataFrame:
    """Energy of the runs that are used, summed by job (`RECORDED_JOB_SCHEMA`)."""
    return (
        runs.filter(pl.col("reason").is_null())
        .group_by("job")
        .agg(
            pl.col("tool").unique().sort().str.join("+").alias("tools"),
            pl.len().alias("n_runs"),
            *(
                _sum_if_complete(pl.col(name)).alias(name)
                for name in ("duration_s", *ENERGY_COLUMNS)
            ),
        )
        .rename({"job": "job_id"})
        .sort("job_id")
        .select(list(RECORDED_JOB_SCHEMA))
        .cast(RECORDED_JOB_SCHEMA)
    )


def _count_rejected(runs: pl.DataFrame) -> pl.DataFrame:
    """Number of rejected runs by file and reason (`schemas.RejectedRows`)."""
    counted = (
        runs.filter(pl.col("reason").is_not_null())
        .group_by("source", "reason")
        .agg(
            n_rows=pl.len().cast(pl.Int64),
            example=pl.coalesce(
                pl.format("line {}", pl.col("line").min()), pl.lit("the whole file")
            ),
        )
        .with_columns(stage=pl.lit("recorded"))
        .select(RejectedRows.column_names())
    )
    rejected: pl.DataFrame = conform(RejectedRows, counted)
    return rejected
