"""Assemble the tables of the phases: one row a run, and the run of each job."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.energy.conservation import CONSERVATION_TOLERANCE_FRAC, ConservationError
from footprint.phases import classifier, energies, kind_weights, roles, weighed_kinds

_JOB_ENERGIES = (*energies.ENERGY_COLUMNS, *energies.INTERVAL_COLUMNS)


class PhaseTables(NamedTuple):
    """`schemas.Runs` and `schemas.PhaseOfJob`."""

    runs: pl.LazyFrame
    jobs: pl.LazyFrame


def assemble_phase_tables(
    features: pl.LazyFrame,
    *,
    thresholds: classifier.Thresholds,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    labelled: pl.LazyFrame,
    errors: energies.StudyErrors | None = None,
) -> PhaseTables:
    """Kind, role and phase of each run, from labels first and from the weights otherwise.

    Args:
        features: Result of `features.collect_features`.
        thresholds: Thresholds, of which the smallest probability of a kind is used.
        run_of_job: `schemas.RunOfJob`.
        job_energy: `schemas.JobEnergy`. Jobs on nodes outside the study have no row.
        labelled: `schemas.JobLabels`.
        errors: Nodes of the jobs and errors of the study. None: runs have no intervals.

    Raises:
        ConservationError: The energies of runs do not sum to those of their jobs.
    """
    labels = roles.labels_of_runs(labelled)
    weights = kind_weights.load_weights()
    classified = weighed_kinds.with_labelled_kinds(
        weighed_kinds.weigh_runs(
            features, weights=weights, min_probability=thresholds.min_probability
        ),
        labels.select("run_id", "kind").drop_nulls(),
    )
    complete = energies.complete_jobs(job_energy)
    jobs = run_of_job.join(
        complete.select("job_id", "user", "project", *_JOB_ENERGIES, began="started_at"),
        on="job_id",
    )
    members = (
        jobs.sort("run_id", "began", "job_id", nulls_last=True)
        .group_by("run_id", maintain_order=True)
        .agg(
            pl.col("user", "project", "merged_by").first(),
            job_ids="job_id",
        )
    )
    amounts = ("started_at", "stopped_at", "duration_s", "gpu_hours", "idle_kwh")
    runs = (
        members.join(features.select("run_id", *amounts), on="run_id")
        .join(energies.energy_of_runs(run_of_job, complete, errors), on="run_id")
        .join(classified, on="run_id")
        .join(labels.select("run_id", "paper"), on="run_id", how="left")
        .with_columns(rule_set=pl.lit(weights.version))
        .collect()
        .lazy()
    )
    with_phases = (
        runs.join(roles.assign_roles(runs, labels), on="run_id")
        .drop("paper")
        .sort("run_id")
        .collect()
        .lazy()
    )
    _check_conservation(with_phases, jobs)
    phase_of_job = jobs.select("job_id", "run_id", *_JOB_ENERGIES).join(
        with_phases.select("run_id", "kind", "role", "phase"), on="run_id"
    )
    return PhaseTables(with_phases, phase_of_job.sort("job_id"))


def _check_conservation(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> None:
    sums = [sum_or_zero(pl.col(name)).alias(name) for name in energies.ENERGY_COLUMNS]
    of_runs, of_jobs = (frame.select(sums).collect().row(0) for frame in (runs, jobs))
    for name, runs_kwh, jobs_kwh in zip(energies.ENERGY_COLUMNS, of_runs, of_jobs, strict=True):
        if abs(runs_kwh - jobs_kwh) > CONSERVATION_TOLERANCE_FRAC * max(jobs_kwh, 1e-6):
            raise ConservationError(
                f"{name} of runs sums to {runs_kwh} kWh, that of their jobs to {jobs_kwh} kWh"
            )
