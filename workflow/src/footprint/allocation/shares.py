"""The part of a node that each core stands for, and the share that each job reserves."""

from __future__ import annotations

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import sum_or_zero

SHARE_TOLERANCE = 1e-9
"""Rounding error of a sum of fractions such as 1/3; a sum further above 1 is an overlap of jobs."""

SHARE_COLUMNS = ("share", "gpus", "cores")
"""What an allocation holds of a node: share (0 to 1), GPUs, and cores."""


def core_weights(nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Share of the node, and part of a GPU, that each core stands for.

    On a node with reservable GPUs a core has 1 / (cores of its GPU x reservable GPUs) of the node:
    the cores of a GPU together have the share of one GPU. Elsewhere, and where some core belongs to
    no GPU, a core has 1 / cores (docs/method.md, section 3).

    Args:
        nodes: `schemas.Nodes`.

    Returns:
        `node`, `valid_from`, `core`, `gpu`, `share`, `gpus` (part of a GPU; 0 without one).
    """
    version = ["node", "valid_from"]
    gpu = pl.col("gpu")
    cores_of_gpu = pl.len().over([*version, "gpu"])
    n_gpus = gpu.drop_nulls().n_unique().over(version)
    every_core_has_gpu = gpu.is_not_null().all().over(version)
    return (
        nodes.select(*version, pl.col("cores").alias("core"), pl.col("core_gpus").alias("gpu"))
        .explode("core", "gpu", empty_as_null=True, keep_nulls=True)
        .select(
            *version,
            "core",
            "gpu",
            share=pl.when(every_core_has_gpu)
            .then(1.0 / (cores_of_gpu * n_gpus))
            .otherwise(1.0 / pl.len().over(version)),
            gpus=pl.when(gpu.is_not_null()).then(1.0 / cores_of_gpu).otherwise(0.0),
        )
    )


def held_cores(jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Cores that each job holds, with the weights of the hardware at the start of the job.

    Args:
        jobs: `schemas.Jobs`; jobs that never started are left out.
        allocations: `schemas.Allocations`; allocations on nodes that `nodes` lacks are left out.
        nodes: `schemas.Nodes`.

    Returns:
        `job_id`, `node`, and as in `core_weights` `core`, `gpu`, `share`, `gpus`.

    Raises:
        InputError: A job holds a core that the description of its node lacks.
    """
    started = jobs.filter(pl.col("started_at").is_not_null()).select("job_id", "started_at")
    versions = nodes.select("node", "valid_from")
    held = (
        with_hardware_version(
            allocations.select("job_id", "node", core="cores").join(started, on="job_id"), versions
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
            f"holds core {row['core']} of {row['node']}, which the node's description lacks",
            where=f"job {row['job_id']}",
            do="add the description of the node at the date of the job",
        )
    return held


def with_hardware_version(rows: pl.LazyFrame, versions: pl.LazyFrame) -> pl.LazyFrame:
    """Rows with the `valid_from` of the hardware that their node had when the job started.

    A job that started before the first version of a node gets the first one.

    Args:
        rows: `job_id`, `node`, `started_at`, and more; rows on nodes without a version are left
            out.
        versions: `node`, `valid_from`.
    """
    ordered = versions.unique().sort("node", "valid_from")
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
    """Share of the node, GPUs and cores that each job reserves on each of its nodes.

    Args:
        jobs: As for `held_cores`.
        allocations: As for `held_cores`.
        nodes: As for `held_cores`.

    Returns:
        `job_id`, `node`, `share`, `gpus`, `cores`.
    """
    return (
        held_cores(jobs, allocations, nodes)
        .group_by("job_id", "node")
        .agg(
            sum_or_zero(pl.col("share")),
            sum_or_zero(pl.col("gpus")),
            cores=pl.len().cast(pl.Float64),
        )
        .with_columns(without_residue(pl.col("share")), without_residue(pl.col("gpus")))
        .sort("job_id", "node")
    )


def without_residue(share: pl.Expr) -> pl.Expr:
    """Shares within `SHARE_TOLERANCE` of a whole number as that number; others unchanged.

    Otherwise a residue of 1e-17 would count as a job that holds the node.
    """
    whole = share.round(0)
    return pl.when((share - whole).abs() < SHARE_TOLERANCE).then(whole).otherwise(share) + 0.0
