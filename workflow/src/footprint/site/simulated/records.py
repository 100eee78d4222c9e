"""What OAR would have recorded of the simulated jobs, and what each of them truly was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from footprint.site.simulated.requests import Request
from footprint.site.simulated.schedule import Job

FIRST_JOB_ID = 5_204_117

_UTC = pl.Datetime("us", "UTC")
JOBS = pl.Schema(
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
ALLOCATIONS = pl.Schema(
    {
        "job_id": pl.Int64(),
        "node": pl.String(),
        "cores": pl.List(pl.UInt16()),
        "gpus": pl.List(pl.UInt8()),
        "basis": pl.Enum(["cores", "whole_node"]),
    }
)
TRUTH = pl.Schema(
    {
        "job_id": pl.Int64(),
        "kind": pl.String(),
        "role": pl.String(),
        "phase": pl.String(),
        "paper": pl.String(),
        "chain_id": pl.Int64(),
    }
)


def number(jobs: Sequence[Job]) -> None:
    """Give the jobs their ids, ascending with submission."""
    for rank, job in enumerate(jobs):
        job.job_id = FIRST_JOB_ID + rank


def is_of(job: Job, *, first_s: float, last_s: float) -> bool:
    """Whether a job held a node, or was submitted and never started, in [first_s, last_s).

    So does OAR's API decide which jobs it gives for a window. A job that ended as it started held
    nothing, and counts by its start.
    """
    if job.started_s is None:
        return first_s <= job.submitted_s < last_s
    ended = job.stopped_s is not None and job.stopped_s <= first_s
    return job.started_s < last_s and (job.started_s >= first_s or not ended)


def suspension_s(job: Job, *, end_s: float) -> tuple[int, int] | None:
    """Start and end of a job's suspension, in seconds since the simulation's origin.

    Args:
        job: Job.
        end_s: End of the simulation, at which the records are read out.

    Returns:
        None where no suspension is planned, or where it does not end before the job and before
        the simulation: such a job runs on.
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
    """Rows of `tables.Jobs`.

    Args:
        jobs: Jobs to write down.
        all_jobs: Every job, among which the first lines of arrays are found.
        site: Site.
        origin: Start of the simulation.
        end_s: End of the simulation, in seconds since its origin.
    """
    first_lines: dict[int, int] = {}
    for job in all_jobs:
        if job.request.array is not None:
            first_lines.setdefault(job.request.array, job.job_id)
    rows = [_row(job, first_lines, site=site, origin=origin, end_s=end_s) for job in jobs]
    return pl.LazyFrame(rows, schema=JOBS, orient="row")


def _row(
    job: Job, first_lines: dict[int, int], *, site: str, origin: datetime, end_s: float
) -> dict[str, Any]:
    request = job.request

    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else origin + timedelta(seconds=seconds)

    types = list(request.types)
    if job.container is not None:
        types.append(f"inner={job.container.job_id}")
    suspended = suspension_s(job, end_s=end_s)
    spells = [] if suspended is None else [suspended]
    array = request.array
    return {
        "job_id": job.job_id,
        "site": site,
        "user": request.login,
        "project": request.project,
        "queue": _queue(request),
        "name": request.name,
        "command": request.command,
        "directory": f"/home/{request.login}/{request.folder}",
        "request": wanted_resources(request),
        "job_type": "INTERACTIVE" if request.interactive else "PASSIVE",
        "types": types,
        "state": job.state,
        "array_id": job.job_id if array is None else first_lines[array],
        "array_index": request.array_index,
        "submitted_at": at(job.submitted_s),
        "started_at": at(job.started_s),
        "stopped_at": at(job.stopped_s),
        "walltime_s": request.walltime_s,
        "exit_code": job.exit_code,
        "events": list(job.events),
        "suspensions": [
            {"started_at": at(start), "stopped_at": at(stop)} for start, stop in spells
        ],
    }


def _queue(request: Request) -> str:
    if request.besteffort:
        return "besteffort"
    return "default" if request.cluster == "grouille" else "production"


def wanted_resources(request: Request) -> str:
    """The request as OAR words it: `-l "{type = 'default'}/host=1/gpu=1,walltime=12:0:0"`."""
    amount = f"/host={request.n_nodes}"
    if request.n_gpus:
        amount += f"/gpu={request.n_gpus}"
    elif request.n_cores:
        amount += f"/core={request.n_cores}"
    hours, rest = divmod(request.walltime_s, 3600)
    return f"-l \"{{type = 'default'}}{amount},walltime={hours}:{rest // 60}:{rest % 60}\""


def allocations_frame(jobs: Sequence[Job]) -> pl.LazyFrame:
    """Rows of `tables.Allocations`."""
    rows = [
        {
            "job_id": job.job_id,
            "node": node.name,
            "cores": node.cores_of(mask),
            "gpus": node.gpus_of(mask),
            "basis": "cores",
        }
        for job in jobs
        for node, mask in job.held
    ]
    return pl.LazyFrame(rows, schema=ALLOCATIONS)


def truth_frame(jobs: Sequence[Job], all_jobs: Sequence[Job]) -> pl.LazyFrame:
    """What each job truly was.

    Returns:
        `job_id`, `kind`, `role` (`reported` or `other`), `phase` (`training`, `inference`,
        `development`), `paper` (null: for none), `chain_id` (first job of its chain, if any).
        Kind, role and phase are null for jobs that never started.
    """
    first_links: dict[int, int] = {}
    for job in all_jobs:
        if job.request.chain is not None:
            first_links.setdefault(job.request.chain, job.job_id)
    rows = []
    for job in jobs:
        request = job.request
        started = job.started_s is not None
        rows.append(
            {
                "job_id": job.job_id,
                "kind": request.kind if started else None,
                "role": ("reported" if request.reported else "other") if started else None,
                "phase": _phase(request) if started else None,
                "paper": request.paper,
                "chain_id": None if request.chain is None else first_links[request.chain],
            }
        )
    return pl.LazyFrame(rows, schema=TRUTH)


def _phase(request: Request) -> str:
    if request.reported and request.kind == "training_run":
        return "training"
    if request.reported and request.kind == "inference_run":
        return "inference"
    return "development"
