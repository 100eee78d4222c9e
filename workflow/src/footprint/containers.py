"""Containers and the jobs inside them, by the types of jobs."""

from __future__ import annotations

import polars as pl


def inside_themselves(jobs: pl.LazyFrame) -> list[int]:
    """Jobs whose types say that they are inside themselves, or in a circle of containers, sorted.

    Args:
        jobs: `tables.Jobs`.
    """
    own = pl.format("inner={}", "job_id")
    found = jobs.filter(pl.col("types").list.contains(own)).select("job_id").collect()
    edges = set(pairs(jobs).collect().iter_rows())
    n_edges = -1
    while len(edges) != n_edges:
        n_edges = len(edges)
        inner, outer = {edge[0] for edge in edges}, {edge[1] for edge in edges}
        edges = {edge for edge in edges if edge[0] in outer and edge[1] in inner}
    return sorted({*found["job_id"], *(job for edge in edges for job in edge)})


def pairs(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Pairs of a container job and a job inside it, as types have them.

    A container has the type `container` or `container=NAME`; a job inside it `inner=JOB_ID` or
    `inner=NAME` (OAR manual, job types).

    Args:
        jobs: `tables.Jobs`.

    Returns:
        `job_id` (the inner job), `container_id`.
    """
    types = jobs.select("job_id", "types").explode("types", empty_as_null=False, keep_nulls=False)
    kind = pl.col("types").str.extract_groups(r"^(?<word>container|inner)(?:=(?<name>.+))?$")
    words = types.select("job_id", kind.struct.field("word"), kind.struct.field("name"))
    containers = words.filter(pl.col("word") == "container").select(
        "job_id", name=pl.concat_list(pl.col("job_id").cast(pl.String), "name")
    )
    return (
        words.filter((pl.col("word") == "inner") & pl.col("name").is_not_null())
        .join(
            containers.explode("name", empty_as_null=False, keep_nulls=False).select(
                "name", container_id="job_id"
            ),
            on="name",
        )
        .select("job_id", "container_id")
        .unique()
    )
