"""Energy of nodes that is published: by cluster, and by day, week or month."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import polars as pl

from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.vocabulary import SMALL_GROUPS
from footprint.levels.time_steps import calendar_step
from footprint.report.publication import rounding
from footprint.report.publication.columns import ROUNDED, columns_treated, public_columns
from footprint.report.publication.groups import people_of
from footprint.report.publication.rounding import JobList
from footprint.report.publication.study import FinishedStudy
from footprint.totals.known_total import known_total

TABLE = "node_energy"


class NodeRows(NamedTuple):
    """A public frame of nodes, and ids of the jobs behind its rows.

    Attributes:
        frame: The columns of `schemas.NodeEnergy`.
        jobs: Ids of jobs by the name of a cluster or the first day of a step.
    """

    frame: pl.DataFrame
    jobs: dict[str, pl.Series]


def nodes_by_cluster(study: FinishedStudy, jobs: pl.DataFrame, job_list: JobList) -> NodeRows:
    """Energy of nodes by cluster and class; clusters of few people are one.

    The sums of a cluster stand in the rows of one of its nodes, and its other nodes have none, so
    that figures and tables count the nodes.

    Args:
        study: The study.
        jobs: `schemas.JobEnergy`, jobs that count.
        job_list: The job list of the study.
    """
    used = jobs.select("job_id", "user", "clusters").explode("clusters").drop_nulls()
    people = people_of(used, "clusters")
    nodes = public_columns(TABLE, study.read(TABLE)).with_columns(day=pl.lit(study.start.date()))
    hidden: set[str] = set()
    while True:
        hidden = study.disclosure.hidden_groups(people, hidden)
        cluster = pl.when(pl.col("cluster").is_in(sorted(hidden))).then(pl.lit(SMALL_GROUPS))
        rows = nodes.with_columns(cluster.otherwise("cluster").alias("cluster"))
        merged = used.select("job_id", cluster=pl.col("clusters")).with_columns(
            cluster.otherwise("cluster").alias("cluster")
        )
        of_cluster = _jobs_by(merged, "cluster")
        digits = _digits(rows, "cluster", of_cluster, job_list)
        unsafe = {name for name, number in digits.items() if number is None}
        if not unsafe - {SMALL_GROUPS}:
            break
        hidden |= unsafe
    keys = ["cluster", "has_gpu", "class", "day"]
    sums = _rounded_sums(rows, keys, "cluster", digits).sort(keys)
    rest = rows.select(*keys, "node").unique().join(sums, on=[*keys, "node"], how="anti")
    rest = rest.sort(*keys, "node").with_columns(duration_s=pl.lit(0.0))
    return NodeRows(pl.concat([sums, rest], how="diagonal"), of_cluster)


def nodes_by_step(study: FinishedStudy, jobs: pl.DataFrame, job_list: JobList) -> NodeRows | None:
    """Energy of all nodes by class and calendar step; None: a step is that of too few people.

    Args:
        study: The study.
        jobs: `schemas.JobEnergy`, jobs that count.
        job_list: The job list of the study.
    """
    first_day, last_day = study.start.date(), (study.end - timedelta(days=1)).date()
    step = pl.max_horizontal(
        pl.col("day").cast(pl.Date).dt.truncate(calendar_step(study.start, study.end)),
        pl.lit(first_day),
    )
    days = pl.date_ranges(
        pl.col("started_at").dt.date(), pl.coalesce("stopped_at", pl.lit(study.end)).dt.date()
    )
    held = (
        jobs.select("job_id", "user", day=days)
        .explode("day")
        .filter(pl.col("day").is_between(first_day, last_day))
        .with_columns(day=step.cast(pl.String))
        .unique()
    )
    rows = public_columns(TABLE, study.read(TABLE)).with_columns(day=step)
    of_step = _jobs_by(held, "day")
    digits = _digits(rows.with_columns(pl.col("day").cast(pl.String)), "day", of_step, job_list)
    people = people_of(held, "day").values()
    if None in digits.values() or not all(study.disclosure.is_safe(each) for each in people):
        return None
    sums = _rounded_sums(rows, ["day", "class"], "day", digits).drop("node")
    return NodeRows(sums.sort("day", "class"), of_step)


def _jobs_by(rows: pl.DataFrame, column: str) -> dict[str, pl.Series]:
    """Ids of the jobs of each group."""
    groups = rows.group_by(column).agg(pl.col("job_id").unique().sort()).sort(column)
    return {str(name): pl.Series(ids) for name, ids in groups.iter_rows()}


def _digits(
    rows: pl.DataFrame, column: str, jobs: Mapping[str, pl.Series], job_list: JobList
) -> dict[str, int | None]:
    """Digits of each group of nodes, by the energy in jobs and by that of all classes."""
    kwh = known_total()
    sums = rows.group_by(column).agg(
        sum_or_zero(kwh.filter(pl.col("class") == "job")).alias("job"),
        sum_or_zero(kwh).alias("total_kwh"),
        quotient(sum_or_zero(pl.col("measured_kwh")), sum_or_zero(kwh)).alias("measured_frac"),
    )
    found: dict[str, int | None] = {}
    for row in sums.iter_rows(named=True):
        name = str(row[column])
        own = job_list.of_group(jobs[name]) if name in jobs else job_list
        numbers = [own.digits_of_row(each) for each in (row, {"total_kwh": row["job"]})]
        found[name] = None if None in numbers else min(n for n in numbers if n is not None)
    return found


def _rounded_sums(
    rows: pl.DataFrame, keys: list[str], column: str, digits: Mapping[str, int | None]
) -> pl.DataFrame:
    """Sums of nodes by `keys`, rounded; the estimate is the rounded total without what is measured.

    Groups without digits have none of the amounts.
    """
    sums = [
        (sum_or_zero if name == "duration_s" else known_sum)(pl.col(name)).alias(name)
        for name in columns_treated(TABLE, ROUNDED)
    ]
    number = pl.col(column).cast(pl.String).replace_strict(digits, return_dtype=pl.Int64)
    found = rows.group_by(keys).agg(pl.col("node").min(), *sums)
    found = found.with_columns(total_kwh=known_total(), digits=number)
    found = rounding.round_rows(TABLE, found, pl.col("digits")).drop("digits")
    rest = (pl.col("total_kwh") - pl.col("measured_kwh").fill_null(0.0)).clip(lower_bound=0.0)
    has_estimate = pl.col("estimated_kwh").is_not_null()
    return found.with_columns(estimated_kwh=pl.when(has_estimate).then(rest))
