"""Allocations of each job on single GPUs, for the gate `two_part`.

A GPU is treated as a node named `graffiti-3/0`, so that the rules for allocations on nodes
(containers, suspensions, overlaps) hold for GPUs as well.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint.allocation import shares
from footprint.allocation.node_allocations import check_shares, settle_allocations
from footprint.core.sums import sum_or_zero


def gpu_name(node: str | pl.Expr, gpu: str | pl.Expr) -> pl.Expr:
    """Name of a GPU among nodes, from columns with its node and its index on the node."""
    return pl.format("{}/{}", node, gpu)


def node_of_gpu(gpu: str = "node") -> pl.Expr:
    """Node of a GPU, from a column with its `gpu_name`."""
    return pl.col(gpu).str.replace(r"/\d+$", "")


def reserved_gpu_parts(
    jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.LazyFrame:
    """Part of each GPU that each job holds: cores held of the GPU / cores of the GPU.

    Args:
        jobs: As for `shares.held_cores`.
        allocations: As for `shares.held_cores`.
        nodes: As for `shares.held_cores`.

    Returns:
        The columns of `shares.reserved_shares`, with the GPU as `node` and the part as `share`.
        `gpus` and `cores` are 0, since the allocations on nodes count them.
    """
    return (
        shares.held_cores(jobs, allocations, nodes)
        .drop_nulls("gpu")
        .group_by("job_id", node=gpu_name("node", "gpu"))
        .agg(share=shares.without_residue(sum_or_zero(pl.col("gpus"))))
        .with_columns(gpus=pl.lit(0.0), cores=pl.lit(0.0))
        .sort("job_id", "node")
    )


def build_gpu_allocations(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Allocations of every job on every GPU that jobs can hold.

    Args:
        jobs: As for `node_allocations.build_allocations`.
        allocations: As for `node_allocations.build_allocations`.
        nodes: As for `node_allocations.build_allocations`.
        start: As for `node_allocations.build_allocations`.
        end: As for `node_allocations.build_allocations`.

    Returns:
        Allocations (`node_allocations.ALLOCATION_SCHEMA`), sorted by GPU and start.

    Raises:
        InputError: A job holds a core that its node lacks, or jobs hold more than the whole of a
            GPU.
    """
    cores = (
        shares.held_cores(jobs, allocations, nodes)
        .drop_nulls("gpu")
        .select(
            "job_id",
            "core",
            node=gpu_name("node", "gpu"),
            share="gpus",
            gpus=pl.lit(0.0),
            cores=pl.lit(0.0),
        )
    )
    parts = reserved_gpu_parts(jobs, allocations, nodes)
    built = settle_allocations(jobs, parts, cores, start=start, end=end).allocations
    check_shares(built, of="GPU")
    return built
