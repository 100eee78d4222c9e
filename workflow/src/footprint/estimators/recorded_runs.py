"""The recorded energy of each job, from the runs that energy tools recorded, and rejected runs."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core import sums, units
from footprint.estimators import run_jobs, run_overlaps
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

ENERGY_COLUMNS = ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh")

RECORDED_JOB_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "tools": pl.String(),
        "n_runs": pl.Int64(),
        "duration_s": pl.Float64(),
        "least_node_s": pl.Float64(),
        "gpu_kwh": pl.Float64(),
        "cpu_kwh": pl.Float64(),
        "memory_kwh": pl.Float64(),
        "energy_kwh": pl.Float64(),
    }
)
"""Recorded energy of a job in kWh, summed over its runs; null where a run lacks the value.

`least_node_s` is the time that was recorded on the node with the least of it, 0 for a node without
records.
"""

TOO_MUCH_POWER = "more power than the nodes can draw"


class RecordedJobs(NamedTuple):
    """Recorded energy of jobs (`RECORDED_JOB_SCHEMA`); rejected runs (`schemas.RejectedRows`)."""

    jobs: pl.DataFrame
    rejected: pl.DataFrame


def match_runs_to_jobs(
    runs: pl.DataFrame, jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> RecordedJobs:
    """Energy that tools recorded in each job. Every run counts once: in a job, or as rejected.

    `run_jobs` finds the job of a run, and `run_overlaps` the runs that record the same energy.

    Args:
        runs: Recorded runs (`tool_logs.runs.RUNS`); runs with a `reason` are only counted.
        jobs: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes`.

    Returns:
        Jobs with at least one run (`RECORDED_JOB_SCHEMA`), by job, and rejected runs
        (`schemas.RejectedRows`, stage `recorded`), by file and reason. Runs that are used with a
        limit are in both.
    """
    found = run_jobs.assign_jobs(runs.with_row_index("index"), jobs, allocations)
    held = (
        allocations.select("node", job="job_id")
        .join(found.lazy().select("job").unique(), on="job", how="semi")
        .unique(["job", "node"])
        .collect()
        .lazy()
    )
    found = found.join(power_limits_of_jobs(held, nodes), on="job", how="left")
    most_kwh = pl.col("duration_s") * pl.col("limit_w") * units.KWH_PER_J
    too_much = pl.when(pl.col("energy_kwh") > most_kwh).then(pl.lit(TOO_MUCH_POWER))
    found = found.with_columns(reason=pl.coalesce("reason", too_much))
    found = run_overlaps.with_machine(found, held)
    overlapping = run_overlaps.overlapping_runs(found.filter(pl.col("reason").is_null()))
    found = (
        found.join(overlapping, on="index", how="left")
        .with_columns(reason=pl.coalesce("reason", "why"))
        .sort("index")
    )
    return RecordedJobs(_sum_by_job(found, held), _count_rejected(found))


def power_limits_of_jobs(nodes_of_jobs: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.DataFrame:
    """Highest plausible power of all nodes of a job; null when one of them has no description.

    Args:
        nodes_of_jobs: `job`, `node`, without repetitions.
        nodes: `schemas.Nodes`.

    Returns:
        `job`, `limit_w` in W.
    """
    most = nodes.group_by("node").agg(pl.col("max_plausible_power_w").max())
    return (
        nodes_of_jobs.join(most, on="node", how="left")
        .group_by("job")
        .agg(limit_w=_sum_if_complete(pl.col("max_plausible_power_w")))
        .collect()
    )


def _sum_if_complete(values: pl.Expr) -> pl.Expr:
    """Sum of values; null when one is unknown."""
    return pl.when(values.null_count() == 0).then(sums.known_sum(values))


def _sum_by_job(runs: pl.DataFrame, nodes_of_jobs: pl.LazyFrame) -> pl.DataFrame:
    """Energy of the runs that are used, summed by job (`RECORDED_JOB_SCHEMA`)."""
    used = runs.filter(pl.col("reason").is_null())
    by_node = used.group_by("job", node="machine").agg(
        recorded_s=sums.sum_or_zero(pl.col("duration_s"))
    )
    least = (
        nodes_of_jobs.join(by_node.lazy(), on=["job", "node"], how="left")
        .group_by("job")
        .agg(least_node_s=pl.col("recorded_s").fill_null(0.0).min())
        .collect()
    )
    return (
        used.group_by("job")
        .agg(
            pl.col("tool").unique().sort().str.join("+").alias("tools"),
            pl.len().alias("n_runs"),
            *(
                _sum_if_complete(pl.col(name)).alias(name)
                for name in ("duration_s", *ENERGY_COLUMNS)
            ),
        )
        .join(least, on="job", how="left")
        .rename({"job": "job_id"})
        .sort("job_id")
        .with_columns(pl.col("least_node_s").fill_null(0.0))
        .select(list(RECORDED_JOB_SCHEMA))
        .cast(RECORDED_JOB_SCHEMA)
    )


def _count_rejected(runs: pl.DataFrame) -> pl.DataFrame:
    """Number of rejected runs, and of used runs with a limit, by file (`schemas.RejectedRows`)."""
    counted = (
        runs.with_columns(reason=pl.coalesce("reason", "limit"))
        .filter(pl.col("reason").is_not_null())
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
