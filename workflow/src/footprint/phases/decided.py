"""The tables of the stage, put together: each run, and the run of each job."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.conservation import CONSERVED_FRAC, ConservationError
from footprint.phases import kinds, roles
from footprint.summation import total


class Decided(NamedTuple):
    """`tables.Runs` and `tables.PhaseOfJob`."""

    runs: pl.LazyFrame
    jobs: pl.LazyFrame


def decide(
    evidence: pl.LazyFrame,
    *,
    thresholds: kinds.Thresholds,
    run_of_job: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    labelled: pl.LazyFrame,
) -> Decided:
    """Kind, role and phase of each run: labels first, else rules.

    Args:
        evidence: Result of `evidence.gather`.
        thresholds: Where the rules draw their lines.
        run_of_job: `tables.RunOfJob`.
        job_energy: `tables.JobEnergy`; jobs of other nodes than the study's have no row.
        labelled: `tables.Labelled`.

    Raises:
        ConservationError: Energies of runs do not add up to those of jobs.
    """
    said = roles.of_runs(labelled)
    classified = kinds.labelled(
        kinds.classify(evidence, thresholds), said.select("run_id", "kind").drop_nulls()
    )
    jobs = run_of_job.join(
        job_energy.select("job_id", "user", "project", "energy_kwh", began="started_at"),
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
    facts = ("started_at", "stopped_at", "duration_s", "gpu_hours", "energy_kwh", "idle_kwh")
    runs = (
        members.join(evidence.select("run_id", *facts), on="run_id")
        .join(classified, on="run_id")
        .join(said.select("run_id", "paper"), on="run_id", how="left")
        .with_columns(rule_set=pl.lit(kinds.RULE_SET))
        .collect()
        .lazy()
    )
    decided = (
        runs.join(roles.assign(runs, said), on="run_id")
        .drop("paper")
        .sort("run_id")
        .collect()
        .lazy()
    )
    _check(decided, jobs)
    of_job = jobs.select("job_id", "run_id", "energy_kwh").join(
        decided.select("run_id", "kind", "role", "phase"), on="run_id"
    )
    return Decided(decided, of_job.sort("job_id"))


def _check(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> None:
    of_runs, of_jobs = (
        frame.select(total(pl.col("energy_kwh"))).collect().item() for frame in (runs, jobs)
    )
    if abs(of_runs - of_jobs) > CONSERVED_FRAC * max(of_jobs, 1e-6):
        raise ConservationError(f"runs used {of_runs} kWh and their jobs {of_jobs} kWh")
