"""Tables of energy of the whole study, from the sums of its months, with logins concealed."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import polars as pl

from footprint.allocation import containers
from footprint.core import pseudonyms
from footprint.energy import job_energy, node_energy
from footprint.energy.study_records import StudyRecords
from footprint.schemas.raw import RejectedRows

TRIMMED_REASON = (
    "trimmed where another job holds the same cores for up to 60 s (flag overlap_trimmed)"
)
CIRCULAR_REASON = (
    "inside itself, or in containers inside each other: counted as inside none of them"
)


class StudyEnergy(NamedTuple):
    """Tables of the energy stage.

    Attributes:
        jobs: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        nodes: `schemas.NodeEnergy`.
        rejected: Jobs that held no node of the study, jobs that were trimmed, and jobs with
            circular types (`schemas.RejectedRows`).
    """

    jobs: pl.DataFrame
    job_nodes: pl.DataFrame
    nodes: pl.DataFrame
    rejected: pl.LazyFrame


def build_study_energy(
    records: StudyRecords,
    nodes: pl.LazyFrame,
    *,
    job_sums: pl.LazyFrame,
    classes: pl.LazyFrame,
    job_gaps: pl.LazyFrame | None = None,
    class_gaps: pl.LazyFrame | None = None,
    method: str,
    key: bytes,
) -> StudyEnergy:
    """Energy of the study's jobs and nodes, checked to add up.

    Args:
        records: Records of the study.
        nodes: `schemas.Nodes` of the study's clusters.
        job_sums: Sums of each cluster and month (`attribution.JOB_SUM_COLUMNS`).
        classes: Classes of each cluster and month (`node_energy.classify_energy`).
        job_gaps: Estimates of all clusters (`schemas.gaps.JobGaps`); None: nothing is estimated.
        class_gaps: The same by class (`schemas.gaps.ClassGaps`).
        method: Integration method.
        key: Key of the pseudonyms.

    Raises:
        ConservationError: Jobs and classes do not add up.
    """
    studied = nodes.filter(pl.col("valid_from") < records.window.end)
    hardware = (
        studied.sort("node", "valid_from")
        .group_by("node", maintain_order=True)
        .agg(pl.col("cluster").last(), has_gpu=pl.col("gpu_reservable").last().list.any())
    )
    kept, n_elsewhere = job_energy.jobs_of_study(records.jobs, records.allocations, studied)
    per_node = job_energy.job_node_energies(
        job_sums, hardware, method=method, gaps=job_gaps
    ).collect()
    by_class = node_energy.node_class_energies(classes, hardware, class_gaps).collect()
    job_energy.check_job_sums(per_node, by_class, records.window)
    jobs = job_energy.job_energies(per_node.lazy(), replace(records, jobs=kept))
    trimmed = records.trimmed_jobs()
    circular = containers.circular_container_jobs(kept)
    rejected = pl.LazyFrame(
        {
            "stage": ["jobs"] * 3,
            "source": ["study.clusters", "overlaps", "types"],
            "reason": ["held no node of the studied clusters", TRIMMED_REASON, CIRCULAR_REASON],
            "n_rows": [n_elsewhere, len(trimmed), len(circular)],
            "example": [
                None,
                None if trimmed.is_empty() else str(trimmed.min()),
                str(circular[0]) if circular else None,
            ],
        },
        schema=pl.DataFrame(RejectedRows.create_empty()).schema,
    )
    return StudyEnergy(
        pseudonyms.conceal_logins(jobs, key=key).collect(),
        per_node,
        by_class,
        rejected.filter(pl.col("n_rows") > 0),
    )
