"""The whole study from the sums of its months: energies in kWh, with people's names concealed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import polars as pl

from footprint import containers, job_energy, privacy, tables

TRIMMED = "trimmed where another job holds the same cores for up to 60 s (flag overlap_trimmed)"
CIRCULAR = "inside itself, or in containers inside each other: counted as inside none of them"


class Gathered(NamedTuple):
    """The tables of the energy stage."""

    jobs: pl.DataFrame
    job_nodes: pl.DataFrame
    nodes: pl.DataFrame
    set_aside: pl.LazyFrame


def gather(
    *,
    nodes: pl.LazyFrame,
    records: pl.LazyFrame,
    allocations: pl.LazyFrame,
    overlaps: pl.DataFrame,
    job_sums: pl.LazyFrame,
    classes: pl.LazyFrame,
    clusters: list[str],
    method: str,
    start: datetime,
    end: datetime,
    key: bytes,
) -> Gathered:
    """Energy of the study's jobs and nodes, checked to add up.

    Args:
        nodes: `tables.Nodes`.
        records: `tables.Jobs`.
        allocations: `tables.Allocations`.
        overlaps: Jobs that hold less of a node than they reserved (`overlaps.OVERLAPS`).
        job_sums: Sums of each cluster and month (`energy.JOB_SUMS`).
        classes: Classes of each cluster and month.
        clusters: Clusters of the study.
        method: Integration method.
        start: Start of the study.
        end: End of the study, excluded.
        key: Key of the pseudonyms.

    Returns:
        `tables.JobEnergy`, `tables.JobNodeEnergy`, `tables.NodeEnergy`, and the jobs set aside
        since they held no node of the study, with those that were trimmed, and those whose types
        cannot be (`tables.SetAside`).

    Raises:
        energy.ConservationError: Jobs and classes do not add up.
    """
    studied = nodes.filter(pl.col("cluster").is_in(clusters) & (pl.col("valid_from") < end))
    hardware = (
        studied.sort("node", "valid_from")
        .group_by("node", maintain_order=True)
        .agg(pl.col("cluster").last(), has_gpu=pl.col("gpu_reservable").last().list.any())
    )
    kept, n_elsewhere = job_energy.of_study(records, allocations, studied)
    per_node = job_energy.job_nodes(job_sums, hardware, method=method).collect()
    by_class = job_energy.node_classes(classes, hardware).collect()
    job_energy.check(per_node, by_class, start=start, end=end)
    trimmed = overlaps.filter(pl.col("kind") == "trimmed")["job_id"]
    jobs = job_energy.jobs(
        per_node.lazy(), kept, allocations, start=start, end=end, trimmed=trimmed.unique()
    )
    circular = containers.inside_themselves(kept)
    set_aside = pl.LazyFrame(
        {
            "stage": ["jobs"] * 3,
            "source": ["study.clusters", "overlaps", "types"],
            "reason": ["held no node of the studied clusters", TRIMMED, CIRCULAR],
            "n_rows": [n_elsewhere, len(trimmed), len(circular)],
            "example": [
                None,
                None if trimmed.is_empty() else str(trimmed.min()),
                str(circular[0]) if circular else None,
            ],
        },
        schema=pl.DataFrame(tables.SetAside.create_empty()).schema,
    )
    return Gathered(
        privacy.conceal(jobs, key=key).collect(),
        per_node,
        by_class,
        set_aside.filter(pl.col("n_rows") > 0),
    )
