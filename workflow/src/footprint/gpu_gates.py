"""Who held which part of which GPU, and when, for the gate `two_part`.

A GPU is treated as a node of its own, called `graffiti-3/0`, so that all that holds for the pieces
of nodes, containers and suspensions included, holds for those of GPUs.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from footprint import gates, overlaps, shares
from footprint.summation import total


def gpu_name(node: str | pl.Expr, gpu: str | pl.Expr) -> pl.Expr:
    """Name of a GPU among nodes, from columns with its node and its index there."""
    return pl.format("{}/{}", node, gpu)


def node_of(gpu: str = "node") -> pl.Expr:
    """The node of a GPU, from a column with its `gpu_name`."""
    return pl.col(gpu).str.replace(r"/\d+$", "")


def reserved_parts(
    jobs: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> pl.LazyFrame:
    """Part of each GPU that each job holds: cores held of the GPU / cores of the GPU.

    Args:
        jobs: As for `shares.held_cores`.
        allocations: The same.
        nodes: The same.

    Returns:
        The columns of `shares.reserved_shares`, with the GPU as `node` and the part as `share`.
        `gpus` and `cores` are 0: the pieces of the nodes count them.
    """
    return (
        shares.held_cores(jobs, allocations, nodes)
        .drop_nulls("gpu")
        .group_by("job_id", node=gpu_name("node", "gpu"))
        .agg(share=shares.without_residue(total(pl.col("gpus"))))
        .with_columns(gpus=pl.lit(0.0), cores=pl.lit(0.0))
        .sort("job_id", "node")
    )


def build(
    jobs: pl.LazyFrame,
    allocations: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Gate pieces of every job on every GPU that jobs can hold; arguments as for `gates.build`.

    Returns:
        Pieces (`gates.PIECES`), sorted by GPU and start.

    Raises:
        InputError: A core that a node does not have, or more than the whole of a GPU held.
    """
    pieces = gates.holds(jobs, reserved_parts(jobs, allocations, nodes), end=end)
    inner = gates.inner_jobs(jobs)
    cores = shares.held_cores(jobs, allocations, nodes).drop_nulls("gpu")
    parts = cores.select(
        "job_id",
        "core",
        node=gpu_name("node", "gpu"),
        share="gpus",
        gpus=pl.lit(0.0),
        cores=pl.lit(0.0),
    )
    lost = overlaps.taken(pieces, parts, jobs, inner, start=start, end=end)
    overlaps.check(lost)
    pieces = gates.without_overlaps(pieces, lost)
    whole = gates.clip(gates.without_inner_jobs(pieces, inner), start=start, end=end).collect()
    gates.check_containers(whole)
    gates.check_shares(whole, of="GPU")
    return whole
