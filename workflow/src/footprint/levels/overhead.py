"""Redistribution: the overhead energy of nodes given to jobs by one of several rules."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import OVERHEAD_CLASSES
from footprint.totals.known_total import known_total

REDISTRIBUTIONS = ("none", "energy", "resource_hours", "users")
"""Values of `levels.redistribution` in the configuration."""


def redistribute_overhead(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, node_energy: pl.LazyFrame, *, redistribution: str
) -> pl.LazyFrame:
    """Part of the overhead energy that each job is given; the parts sum to all overhead energy.

    The overhead energy is the total energy of the classes stranded, idle, standby and unavailable.
    The rules are

    - `energy`: in proportion to the total energy of jobs;
    - `resource_hours`: overhead of GPU nodes in proportion to GPU hours held on GPU nodes, overhead
      of other nodes in proportion to core hours held on other nodes. When nobody held nodes of one
      sort, their overhead follows the hours on the other;
    - `users`: equal parts for all active users (those whose jobs held a node), and among the jobs
      of a user in proportion to node hours held (share x time).

    Where a rule has no weights (no energy known, no hours), users get equal parts, and where a
    user's jobs held no time, the jobs of that user get equal parts.

    Args:
        jobs: `job_id`, `user`, one row for each job that held a node.
        job_nodes: `schemas.JobNodeEnergy` of these jobs.
        node_energy: `schemas.NodeEnergy`.
        redistribution: One of `REDISTRIBUTIONS` but `none`.

    Returns:
        `job_id`, `overhead_kwh`.
    """
    overhead = node_energy.filter(pl.col("class").is_in(OVERHEAD_CLASSES))
    has_gpu, energy = pl.col("has_gpu"), known_total()
    pools = overhead.select(
        sum_or_zero(energy.filter(has_gpu)).alias("gpu_pool"),
        sum_or_zero(energy.filter(~has_gpu)).alias("cpu_pool"),
    )
    node_seconds = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    weights = job_nodes.group_by("job_id").agg(
        sum_or_zero(energy).alias("w_energy"),
        sum_or_zero(pl.col("gpu_hours").filter(has_gpu)).alias("w_gpu"),
        sum_or_zero(pl.col("core_hours").filter(~has_gpu)).alias("w_cpu"),
        sum_or_zero(node_seconds).alias("w_held"),
    )
    within_user = _weight_frac(pl.col("w_held"), pl.len(), over="user")
    by_user = within_user / pl.col("user").n_unique()
    by_energy, by_gpu, by_cpu = (
        _weight_frac(pl.col(weight), None) for weight in ("w_energy", "w_gpu", "w_cpu")
    )
    both = pl.col("gpu_pool") + pl.col("cpu_pool")
    overhead_kwh = {
        "energy": both * pl.coalesce(by_energy, by_user),
        "resource_hours": pl.col("gpu_pool") * pl.coalesce(by_gpu, by_cpu, by_user)
        + pl.col("cpu_pool") * pl.coalesce(by_cpu, by_gpu, by_user),
        "users": both * by_user,
    }[redistribution]
    return (
        jobs.select("job_id", "user")
        .join(weights, on="job_id", how="left")
        .with_columns(pl.col("w_energy", "w_gpu", "w_cpu", "w_held").fill_null(0.0))
        .sort("job_id")
        .join(pools, how="cross")
        .select("job_id", overhead_kwh.alias("overhead_kwh"))
    )


def _weight_frac(weight: pl.Expr, count: pl.Expr | None, *, over: str | None = None) -> pl.Expr:
    """A weight over the sum of weights; where that is 0, 1 / `count`, or null without a count."""
    whole = sum_or_zero(weight) if over is None else sum_or_zero(weight).over(over)
    equal = None if count is None else 1.0 / (count if over is None else count.over(over))
    return pl.when(whole > 0).then(weight / whole).otherwise(equal)
