"""What part of a node the cores are that a job reserved."""

from __future__ import annotations

import polars as pl

from footprint.errors import InputError
from footprint.summation import total

# Shares are sums of fractions such as 1/3: above 1 by more than rounding means that two jobs
# overlap.
SHARE_TOLERANCE = 1e-9


def core_weights(nodes: pl.LazyFrame) -> pl.LazyFrame:
    """What each core of a node stands for: its share of the node and of its GPU.

    On a node with reservable GPUs a core carries 1 / (cores of its GPU x reservable GPUs) of the
    node, so that a GPU's cores together are one GPU's part of it; elsewhere, and where some core
    belongs to no GPU, 1 / cores.

    Args:
        nodes: `tables.Nodes`.

    Returns:
        `node`, `valid_from`, `core`, `gpu`, `share`, `gpus` (part of a GPU; 0 without one).
    """
    period = ["node", "valid_from"]
    gpu = pl.col("gpu")
    cores_of_gpu = pl.len().over([*period, "gpu"])
    n_gpus = gpu.drop_nulls().n_unique().over(period)
    every_core_has_gpu = gpu.is_not_null().all().over(period)
    return (
        nodes.select(*period, pl.col("cores").alias("core"), pl.col("core_gpus").alias("gpu"))
        .explode("core", "gpu", empty_as_null=True, keep_nulls=True)
        .select(
            *period,
            "core",
            "gpu",
            share=pl.when(every_core_has_gpu)
            .then(1.0 / (cores_of_gpu * n_gpus))
            .otherwise(1.0 / pl.len().over(period)),
            gpus=pl.when(gpu.is_not_null()).then(1.0 / cores_of_gpu).otherwise(0.0),
        )
    )


def held_cores(jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.LazyFrame:
    """The cores that each job holds, and what each stands for.

    The hardware is that of the day on which the job started.

    Args:
        jobs: `tables.Jobs`; only jobs that started count.
        allocations: `tables.Allocations`; only those on `nodes` count.
        nodes: `tables.Nodes`.

    Returns:
        `job_id`, `node`, and as of `core_weights` `core`, `gpu`, `share`, `gpus`.

    Raises:
        InputError: A job holds a core that its node does not have.
    """
    started = jobs.filter(pl.col("started_at").is_not_null()).select("job_id", "started_at")
    periods = nodes.select("node", "valid_from")
    held = (
        with_period(
            allocations.select("job_id", "node", core="cores").join(started, on="job_id"), periods
        )
        .explode("core", empty_as_null=False, keep_nulls=False)
        .join(core_weights(nodes), on=["node", "valid_from", "core"], how="left")
    )
    unknown = (
        held.filter(pl.col("share").is_null()).sort("job_id", "node", "core").head(1).collect()
    )
    if len(unknown):
        row = unknown.row(0, named=True)
        raise InputError(
            f"holds core {row['core']} of {row['node']}, which its description does not have",
            where=f"job {row['job_id']}",
            do="give the description of the node at the date of the job",
        )
    return held


def with_period(rows: pl.LazyFrame, periods: pl.LazyFrame) -> pl.LazyFrame:
    """Rows with the `valid_from` of their node's hardware on the day on which the job started.

    A job that started before the node's first period has that one.

    Args:
        rows: `job_id`, `node`, `started_at`, and more; those on nodes without a period are left
            out.
        periods: `node`, `valid_from`.
    """
    ordered = periods.unique().sort("node", "valid_from")
    first = ordered.group_by("node", maintain_order=True).agg(
        first_from=pl.col("valid_from").first()
    )
    return (
        rows.join(first, on="node")
        .sort("started_at", "job_id", "node")
        .join_asof(
            ordered.sort("valid_from", "node"),
            left_on="started_at",
            right_on="valid_from",
            by="node",
            check_sortedness=False,
        )
        .with_columns(pl.col("valid_from").fill_null(pl.col("first_from")))
        .drop("first_from")
    )


def reserved_shares(
    jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.LazyFrame:
    """Share of the node, GPUs and cores that each job holds on each of its nodes.

    Args:
        jobs: As for `held_cores`.
        allocations: The same.
        nodes: The same.

    Returns:
        `job_id`, `node`, `share`, `gpus`, `cores`.
    """
    return (
        held_cores(jobs, allocations, nodes)
        .group_by("job_id", "node")
        .agg(total(pl.col("share")), total(pl.col("gpus")), cores=pl.len().cast(pl.Float64))
        .with_columns(without_residue(pl.col("share")), without_residue(pl.col("gpus")))
        .sort("job_id", "node")
    )


def without_residue(share: pl.Expr) -> pl.Expr:
    """Shares without what sums of fractions leave: 1e-17 would be a job that is not there."""
    whole = share.round(0)
    return pl.when((share - whole).abs() < SHARE_TOLERANCE).then(whole).otherwise(share) + 0.0
