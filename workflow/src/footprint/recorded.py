"""Runs that energy tools recorded -> the OAR jobs that they were part of."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import timedelta
from typing import NamedTuple

import polars as pl

from footprint import summation, tables, units

MARGIN = timedelta(seconds=120)
"""A run may start and end so much outside its job: clocks differ, and OAR cleans up."""

ENERGIES = ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh")

JOBS = pl.Schema(
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
"""What tools recorded of a job, summed over its runs; null where a run does not know it."""

NOT_WHILE = "not while its job ran"
JOB_UNKNOWN = "its job is not known"
NO_JOB = "no job held its host at the time"
SEVERAL_JOBS = "several jobs held its host at the time"
NOTHING_NAMED = "neither a job nor a host is named"
TOO_MUCH = "more power than the nodes can draw"
ANOTHER_TOOL = "another tool recorded the same time"
SAME_MACHINE = "the same machine, at the same time"
SAME_TIME_S = 5.0
"""Runs that follow each other may overlap by so much: a tool writes its times in whole seconds."""


class Matched(NamedTuple):
    """What tools recorded of jobs, and the runs that are not used."""

    jobs: pl.DataFrame
    set_aside: pl.DataFrame


def match(
    runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> Matched:
    """Energy that tools recorded of each job; every run is in a job or set aside, and once.

    A run belongs to the job that it names, else to the only one that held its host all the time.
    Tools record whole machines: of runs of one machine that overlap, the longest is used.

    Args:
        runs: Runs (`site.recorded.RUNS`); those with a `reason` are only counted.
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`.
        nodes: `tables.Nodes`.

    Returns:
        Jobs with at least one run (`JOBS`), by job, and the runs that are set aside
        (`tables.SetAside`, stage `recorded`), by file and reason.
    """
    found = with_job(runs.with_row_index("index"), jobs, allocations)
    found = found.join(limits(found, allocations, nodes), on="job", how="left")
    most_kwh = pl.col("duration_s") * pl.col("limit_w") * units.KWH_PER_J
    found = _set_aside(found, pl.col("energy_kwh") > most_kwh, TOO_MUCH)
    found = _set_aside(found, pl.col("index").is_in(_again(found, allocations)), SAME_MACHINE)
    found = _set_aside(found, pl.col("index").is_in(_also_by_codecarbon(found)), ANOTHER_TOOL)
    return Matched(_by_job(found), _counted(found))


def _set_aside(runs: pl.DataFrame, condition: pl.Expr, reason: str) -> pl.DataFrame:
    """Runs with a reason where a condition holds; the first reason stays."""
    marked = pl.when(condition).then(pl.lit(reason))
    return runs.with_columns(reason=pl.coalesce("reason", marked))


def _inside() -> pl.Expr:
    """Whether a run lies in the time from `since` to `until`, which may be null: still running."""
    starts = (pl.col("started_at") >= pl.col("since") - MARGIN).fill_null(False)
    return starts & (pl.col("stopped_at") <= pl.col("until") + MARGIN).fill_null(True)


def with_job(runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame) -> pl.DataFrame:
    """Runs with the `job` that each is part of, or the reason why there is none.

    Args:
        runs: `index`, `job_id` and `host` (hints), `started_at`, `stopped_at` (null: not known),
            `reason` (not null: only counted), and any other columns.
        jobs: `tables.Jobs`.
        allocations: `tables.Allocations`.

    Returns:
        The same rows by `index`, with `job` and a `reason` where there is none.
    """
    times = jobs.select("job_id", since="started_at", until="stopped_at")
    named = (
        runs.lazy()
        .join(times.with_columns(is_known=pl.lit(True)), on="job_id", how="left")
        .with_columns(pl.col("is_known").fill_null(False), is_inside=_inside())
        .drop("since", "until")
        .collect()
    )
    others = named.filter(~pl.col("is_known"), pl.col("reason").is_null())
    by_host = _by_host(others, times, allocations)
    known, n_jobs = pl.col("is_known"), pl.col("n_jobs")
    reason = (
        pl.when(known)
        .then(pl.when(~pl.col("is_inside")).then(pl.lit(NOT_WHILE)))
        .when(n_jobs == 1)
        .then(None)
        .when(n_jobs > 1)
        .then(pl.lit(SEVERAL_JOBS))
        .when(pl.col("job_id").is_not_null())
        .then(pl.lit(JOB_UNKNOWN))
        .when(pl.col("host").is_not_null())
        .then(pl.lit(NO_JOB))
        .otherwise(pl.lit(NOTHING_NAMED))
    )
    return (
        named.join(by_host, on="index", how="left")
        .with_columns(
            reason=pl.coalesce("reason", reason),
            job=pl.when(known).then("job_id").when(n_jobs == 1).then("only_job"),
        )
        .sort("index")
    )


def _by_host(runs: pl.DataFrame, times: pl.LazyFrame, allocations: pl.LazyFrame) -> pl.DataFrame:
    """How many jobs held the host of each run all the time, and the job where it is only one.

    A node has had thousands of jobs: each run meets only those that held its host on the day that
    it started.
    """
    started = pl.col("started_at")
    first, last = runs.select(started.min(), started.max().alias("last")).row(0)
    earliest, latest = (pl.lit(at, dtype=pl.Datetime("us", "UTC")) for at in (first, last))
    since, until = pl.col("since") - MARGIN, pl.col("until") + MARGIN
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
        .filter(_inside())
        .group_by("index")
        .agg(n_jobs=pl.len(), only_job=pl.col("job_id").first())
        .collect()
    )


def limits(runs: pl.DataFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.DataFrame:
    """Power that the nodes of a job can draw; null when one of them is not described.

    Args:
        runs: With the column `job`.
        allocations: `tables.Allocations`.
        nodes: `tables.Nodes`.

    Returns:
        `job`, `limit_w`.
    """
    most = nodes.group_by("node").agg(pl.col("max_plausible_power_w").max())
    watts = pl.col("max_plausible_power_w")
    return (
        allocations.select("node", job="job_id")
        .join(runs.lazy().select("job").unique(), on="job", how="semi")
        .join(most, on="node", how="left")
        .group_by("job")
        .agg(limit_w=_sum_of_all(watts))
        .collect()
    )


def _sum_of_all(values: pl.Expr) -> pl.Expr:
    """Sum of values; null when one is not known."""
    return pl.when(values.null_count() == 0).then(summation.known_sum(values))


def _also_by_codecarbon(runs: pl.DataFrame) -> pl.Series:
    """Indices of other tools' runs during which CodeCarbon recorded the same job, in one list.

    Both count the same energy. Of CodeCarbon's runs that started before such a run ended, the one
    that ends last tells whether any overlaps it.
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
            check_sortedness=False,  # both are, but by job Polars cannot tell, and warns
        )
        .filter(pl.col("ended") > pl.col("started_at"))
    )
    return overlaps["index"].implode()


def _again(runs: pl.DataFrame, allocations: pl.LazyFrame) -> pl.Series:
    """Indices, in a list, of runs that a longer run of the same tool and machine overlaps.

    The machine of a run is its host, or the node of its job where that held only one. Of several
    nodes, a run that names none may be of any: nothing is said of it here.
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
    again = []
    for index, job, tool, machine, start_s, stop_s in of_machines.select(
        "index", "job", "tool", "machine", times
    ).iter_rows():
        spells = taken.setdefault((job, tool, machine), [])
        place = bisect_left(spells, (start_s, stop_s))
        near = spells[max(place - 1, 0) : place + 1]
        allowed_s = min(SAME_TIME_S, 0.5 * (stop_s - start_s))
        if any(min(stop_s, stop) - max(start_s, start) > allowed_s for start, stop in near):
            again.append(index)
        else:
            insort(spells, (start_s, stop_s))
    return pl.Series("index", again, runs.schema["index"]).implode()


def _by_job(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs that are used, summed by job (`JOBS`)."""
    return (
        runs.filter(pl.col("reason").is_null())
        .group_by("job")
        .agg(
            pl.col("tool").unique().sort().str.join("+").alias("tools"),
            pl.len().alias("n_runs"),
            *(_sum_of_all(pl.col(name)).alias(name) for name in ("duration_s", *ENERGIES)),
        )
        .rename({"job": "job_id"})
        .sort("job_id")
        .select(list(JOBS))
        .cast(JOBS)
    )


def _counted(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs that are not used, counted by file and reason (`tables.SetAside`)."""
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
        .select(tables.SetAside.column_names())
    )
    set_aside: pl.DataFrame = tables.conform(tables.SetAside, counted)
    return set_aside
