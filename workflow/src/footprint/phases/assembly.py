"""Assemble the tables of the phases: one row a run, and the run of each job."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.energy.conservation import CONSERVATION_TOLERANCE_FRAC, ConservationError
from footprint.phases import (
    classifier,
    energies,
    group_agreement,
    kind_weights,
    recalibration,
    roles,
    weighed_kinds,
)
from footprint.schemas.labels import GroupLabels

_JOB_ENERGIES = (*energies.ENERGY_COLUMNS, *energies.INTERVAL_COLUMNS)


class PhaseTables(NamedTuple):
    """Tables of the phases.

    Attributes:
        runs: `schemas.Runs`.
        jobs: `schemas.PhaseOfJob`.
        labels: `schemas.JobLabels`, with the labels of groups for the runs that agree with them.
        group_runs: `schemas.GroupRuns`.
    """

    runs: pl.LazyFrame
    jobs: pl.LazyFrame
    labels: pl.LazyFrame
    group_runs: pl.DataFrame


def assemble_phase_tables(
    features: pl.LazyFrame,
    *,
    thresholds: classifier.Thresholds,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    labelled: pl.LazyFrame,
    jobs: pl.LazyFrame,
    groups: pl.LazyFrame | None = None,
    errors: energies.StudyErrors | None = None,
) -> PhaseTables:
    """Kind, role and phase of each run, from labels first and from the weights otherwise.

    Labels of groups hold for the runs that agree with their group (`group_agreement`), and labelled
    runs recalibrate the kinds of their command, user and project (`recalibration`).

    Args:
        features: Result of `features.collect_features`.
        thresholds: Thresholds, of which the smallest probability of a kind is used.
        run_of_job: `schemas.RunOfJob`.
        job_energy: `schemas.JobEnergy`. Jobs on nodes outside the study have no row.
        labelled: `schemas.JobLabels`, without the labels of groups.
        jobs: `schemas.Jobs`, for the commands of the runs.
        groups: `schemas.GroupLabels`. None: no label is of a group.
        errors: Nodes of the jobs and errors of the study. None: runs have no intervals.

    Raises:
        ConservationError: The energies of runs do not sum to those of their jobs.
    """
    weights = kind_weights.load_weights()
    complete = energies.complete_jobs(job_energy)
    of_jobs = run_of_job.join(
        complete.select("job_id", "user", "project", *_JOB_ENERGIES, began="started_at"),
        on="job_id",
    )
    members = (
        of_jobs.sort("run_id", "began", "job_id", nulls_last=True)
        .group_by("run_id", maintain_order=True)
        .agg(
            pl.col("user", "project", "merged_by").first(),
            job_ids="job_id",
        )
    )
    amounts = ("started_at", "stopped_at", "duration_s", "gpu_hours", "idle_kwh")
    run_energies = energies.energy_of_runs(run_of_job, complete, errors).collect().lazy()
    least = thresholds.min_probability
    found = weighed_kinds.weigh_runs(features, weights=weights, min_probability=least).collect()
    checked = _check_groups(found, features, run_energies, labelled, groups, run_of_job)
    labels = roles.labels_of_runs(checked.labels)
    kinds = labels.select("run_id", "kind").drop_nulls()
    owners = members.select("run_id", "user", "project").join(
        run_energies.select("run_id", "total_kwh"), on="run_id"
    )
    recalibrated = _recalibrate(found, kinds, owners, jobs, features, min_probability=least)
    classified = weighed_kinds.with_labelled_kinds(recalibrated.lazy(), kinds)
    runs = (
        members.join(features.select("run_id", *amounts), on="run_id")
        .join(run_energies, on="run_id")
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
    _check_conservation(with_phases, of_jobs)
    phase_of_job = of_jobs.select("job_id", "run_id", *_JOB_ENERGIES).join(
        with_phases.select("run_id", "kind", "role", "phase"), on="run_id"
    )
    return PhaseTables(with_phases, phase_of_job.sort("job_id"), checked.labels, checked.group_runs)


def _check_groups(
    found: pl.DataFrame,
    features: pl.LazyFrame,
    run_energies: pl.LazyFrame,
    labelled: pl.LazyFrame,
    groups: pl.LazyFrame | None,
    run_of_job: pl.LazyFrame,
) -> group_agreement.CheckedLabels:
    """Labels with those of groups, and the runs of each labelled group."""
    amounts = features.select("run_id", "duration_s", "gpu_hours", "node_share", "n_nodes")
    runs = (
        found.lazy()
        .select("run_id", "kind", "confidence")
        .join(amounts, on="run_id")
        .join(run_energies.select("run_id", "total_kwh"), on="run_id")
        .with_columns(**group_agreement.power_of_runs())
    )
    none = pl.DataFrame(GroupLabels.create_empty()).lazy()
    return group_agreement.check_groups(
        runs, single=labelled, groups=none if groups is None else groups, run_of_job=run_of_job
    )


def _recalibrate(
    found: pl.DataFrame,
    kinds: pl.LazyFrame,
    owners: pl.LazyFrame,
    jobs: pl.LazyFrame,
    features: pl.LazyFrame,
    *,
    min_probability: float,
) -> pl.DataFrame:
    """Kinds by the weights, recalibrated by the labelled kinds.

    Args:
        found: Result of `weighed_kinds.weigh_runs`.
        kinds: `run_id`, `kind` of labels.
        owners: `run_id`, `user`, `project`, `total_kwh`.
        jobs: `schemas.Jobs`. The first job of a run gives its command.
        features: `run_id`, `command_work`, `ran_s`.
        min_probability: Smallest probability of a kind that is not `unknown`.
    """
    commands = (
        jobs.select("command", run_id="job_id")
        .join(features.select("run_id", "command_work", "ran_s"), on="run_id")
        .select("run_id", group=recalibration.alike_runs())
    )
    rows = (
        found.lazy()
        .select("run_id", "kind", *weighed_kinds.PROBABILITY_COLUMNS)
        .join(owners, on="run_id", how="left")
        .join(commands, on="run_id", how="left")
        .sort("run_id")
        .collect()
    )
    changed = recalibration.recalibrate(rows, kinds.collect())
    return recalibration.decide_kinds(found, changed, min_probability=min_probability)


def _check_conservation(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> None:
    sums = [sum_or_zero(pl.col(name)).alias(name) for name in energies.ENERGY_COLUMNS]
    of_runs, of_jobs = (frame.select(sums).collect().row(0) for frame in (runs, jobs))
    for name, runs_kwh, jobs_kwh in zip(energies.ENERGY_COLUMNS, of_runs, of_jobs, strict=True):
        if abs(runs_kwh - jobs_kwh) > CONSERVATION_TOLERANCE_FRAC * max(jobs_kwh, 1e-6):
            raise ConservationError(
                f"{name} of runs sums to {runs_kwh} kWh, that of their jobs to {jobs_kwh} kWh"
            )
