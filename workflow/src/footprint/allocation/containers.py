"""Container jobs and the jobs inside them, by the types of jobs."""

from __future__ import annotations

import polars as pl


def inner_jobs(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Pairs of a container job and a job inside it, without those of `circular_container_jobs`.

    Args:
        jobs: `schemas.Jobs`.

    Returns:
        `job_id` (the inner job), `container_id`.
    """
    all_pairs = container_pairs(jobs)
    circular = pl.LazyFrame({"job_id": circular_container_jobs(jobs)}, schema={"job_id": pl.Int64})
    by_container = circular.rename({"job_id": "container_id"})
    both = all_pairs.join(circular, on="job_id", how="semi").join(
        by_container, on="container_id", how="semi"
    )
    return all_pairs.join(both, on=["job_id", "container_id"], how="anti")


def circular_container_jobs(jobs: pl.LazyFrame) -> list[int]:
    """Jobs that are inside themselves or in a circle of containers by their types, sorted.

    Args:
        jobs: `schemas.Jobs`.
    """
    own = pl.format("inner={}", "job_id")
    found = jobs.filter(pl.col("types").list.contains(own)).select("job_id").collect()
    edges = set(container_pairs(jobs).collect().iter_rows())
    n_edges = -1
    while len(edges) != n_edges:
        n_edges = len(edges)
        inner, outer = {edge[0] for edge in edges}, {edge[1] for edge in edges}
        edges = {edge for edge in edges if edge[0] in outer and edge[1] in inner}
    return sorted({*found["job_id"], *(job for edge in edges for job in edge)})


def container_pairs(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Pairs of a container job and a job inside it, as the types define them.

    A container has the type `container` or `container=NAME`. A job inside it has `inner=JOB_ID` or
    `inner=NAME` (OAR manual, job types).

    Args:
        jobs: `schemas.Jobs`.

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
