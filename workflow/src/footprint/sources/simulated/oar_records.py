"""Records of the simulated jobs as OAR stores them, and the true kind of each job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.schedule import Job

FIRST_JOB_ID = 5_204_117

_UTC = pl.Datetime("us", "UTC")
JOBS_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "site": pl.String(),
        "user": pl.String(),
        "project": pl.String(),
        "queue": pl.String(),
        "name": pl.String(),
        "command": pl.String(),
        "directory": pl.String(),
        "request": pl.String(),
        "job_type": pl.String(),
        "types": pl.List(pl.String()),
        "state": pl.String(),
        "array_id": pl.Int64(),
        "array_index": pl.Int64(),
        "submitted_at": _UTC,
        "started_at": _UTC,
        "stopped_at": _UTC,
        "walltime_s": pl.Int64(),
        "exit_code": pl.Int64(),
        "events": pl.List(pl.String()),
        "suspensions": pl.List(pl.Struct({"started_at": _UTC, "stopped_at": _UTC})),
    }
)
ALLOCATIONS_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "cores": pl.List(pl.UInt16()),
        "gpus": pl.List(pl.UInt8()),
        "basis": pl.Enum(["cores", "whole_node"]),
    }
)
TRUE_KINDS_SCHEMA = pl.Schema(
    {
        "job_id": pl.Int64(),
        "kind": pl.String(),
        "role": pl.String(),
        "phase": pl.String(),
        "paper": pl.String(),
        "chain_id": pl.Int64(),
        "habit": pl.String(),
    }
)


def assign_job_ids(jobs: Sequence[Job]) -> None:
    """Assign ids to the jobs, ascending with submission."""
    for rank, job in enumerate(jobs):
        job.job_id = FIRST_JOB_ID + rank


def is_in_window(job: Job, *, first_s: float, last_s: float) -> bool:
    """Whether a job ran in [first_s, last_s), or was submitted in it and never started.

    OAR's API selects the jobs of a window by the same rule. A job that ended as it started counts
    by its start.
    """
    if job.started_s is None:
        return first_s <= job.submitted_s < last_s
    ended = job.stopped_s is not None and job.stopped_s <= first_s
    return job.started_s < last_s and (job.started_s >= first_s or not ended)


def suspension_interval_s(job: Job, *, end_s: float) -> tuple[int, int] | None:
    """Start and end of a job's suspension, in seconds since the simulation's origin.

    Args:
        job: Job.
        end_s: End of the simulation, when the records are read.

    Returns:
        None if no suspension is planned, or if it would not end before the job and before the
        simulation: such a job is not suspended.
    """
    planned = job.request.suspended
    if planned is None or job.started_s is None:
        return None
    start_s = job.started_s + planned[0]
    stop_s = start_s + planned[1]
    last_s = end_s if job.stopped_s is None else job.stopped_s
    return (start_s, stop_s) if stop_s < last_s else None


def jobs_frame(
    jobs: Sequence[Job], all_jobs: Sequence[Job], *, site: str, origin: datetime, end_s: float
) -> pl.LazyFrame:
    """Rows of `schemas.Jobs`.

    Args:
        jobs: Jobs of the table.
        all_jobs: All jobs of the site, which include the first job of each array.
        site: Site.
        origin: Start of the simulation.
        end_s: End of the simulation, in seconds since its origin.
    """
    first_array_jobs: dict[int, int] = {}
    for job in all_jobs:
        if job.request.array is not None:
            first_array_jobs.setdefault(job.request.array, job.job_id)
    rows = [_job_row(job, first_array_jobs, site=site, origin=origin, end_s=end_s) for job in jobs]
    return pl.LazyFrame(rows, schema=JOBS_SCHEMA, orient="row")


def _job_row(
    job: Job, first_array_jobs: dict[int, int], *, site: str, origin: datetime, end_s: float
) -> dict[str, Any]:
    request = job.request

    def timestamp(seconds: int | None) -> datetime | None:
        return None if seconds is None else origin + timedelta(seconds=seconds)

    types = list(request.types)
    if job.container is not None:
        types.append(f"inner={job.container.job_id}")
    suspended = suspension_interval_s(job, end_s=end_s)
    suspensions = [] if suspended is None else [suspended]
    array = request.array
    return {
        "job_id": job.job_id,
        "site": site,
        "user": request.login,
        "project": request.project,
        "queue": _queue_name(request),
        "name": request.name,
        "command": request.command,
        "directory": f"/home/{request.login}/{request.folder}",
        "request": oar_request(request),
        "job_type": "INTERACTIVE" if request.interactive else "PASSIVE",
        "types": types,
        "state": job.state,
        "array_id": job.job_id if array is None else first_array_jobs[array],
        "array_index": request.array_index,
        "submitted_at": timestamp(job.submitted_s),
        "started_at": timestamp(job.started_s),
        "stopped_at": timestamp(job.stopped_s),
        "walltime_s": request.walltime_s,
        "exit_code": job.exit_code,
        "events": list(job.events),
        "suspensions": [
            {"started_at": timestamp(start), "stopped_at": timestamp(stop)}
            for start, stop in suspensions
        ],
    }


def _queue_name(request: JobRequest) -> str:
    if request.is_besteffort:
        return "besteffort"
    return "default" if request.cluster == "grouille" else "production"


def oar_request(request: JobRequest) -> str:
    """Request in OAR's syntax: `-l "{type = 'default'}/host=1/gpu=1,walltime=12:0:0"`."""
    amount = f"/host={request.n_nodes}"
    if request.n_gpus:
        amount += f"/gpu={request.n_gpus}"
    elif request.n_cores:
        amount += f"/core={request.n_cores}"
    hours, rest = divmod(request.walltime_s, 3600)
    return f"-l \"{{type = 'default'}}{amount},walltime={hours}:{rest // 60}:{rest % 60}\""


def allocations_frame(jobs: Sequence[Job]) -> pl.LazyFrame:
    """Rows of `schemas.Allocations`."""
    rows = [
        {
            "job_id": job.job_id,
            "node": node.name,
            "cores": node.cores_of(mask),
            "gpus": node.gpus_of(mask),
            "basis": "cores",
        }
        for job in jobs
        for node, mask in job.allocation
    ]
    return pl.LazyFrame(rows, schema=ALLOCATIONS_SCHEMA)


def true_kinds_frame(jobs: Sequence[Job], all_jobs: Sequence[Job]) -> pl.LazyFrame:
    """True kind, role and phase of each job.

    Returns:
        `job_id`, `kind`, `role` (`reported` or `other`), `phase` (`training`, `inference`,
        `development`), `paper` (null: none), `chain_id` (first job of its chain, if any),
        `habit` (null: usual work). Kind, role and phase are null for jobs that never started.
    """
    first_chain_jobs: dict[int, int] = {}
    for job in all_jobs:
        if job.request.chain is not None:
            first_chain_jobs.setdefault(job.request.chain, job.job_id)
    rows = []
    for job in jobs:
        request = job.request
        started = job.started_s is not None
        rows.append(
            {
                "job_id": job.job_id,
                "kind": request.kind if started else None,
                "role": ("reported" if request.reported else "other") if started else None,
                "phase": _true_phase(request) if started else None,
                "paper": request.paper,
                "chain_id": None if request.chain is None else first_chain_jobs[request.chain],
                "habit": request.habit,
            }
        )
    return pl.LazyFrame(rows, schema=TRUE_KINDS_SCHEMA)


def _true_phase(request: JobRequest) -> str:
    if request.reported and request.kind == "training_run":
        return "training"
    if request.reported and request.kind == "inference_run":
        return "inference"
    return "development"
