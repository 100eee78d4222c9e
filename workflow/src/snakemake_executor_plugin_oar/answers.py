"""Parsed output of OAR's commands: the id of a submitted job, and how a job ended."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

Job = Mapping[str, Any]
"""Fields of a job in the output of `oarstat -f -J`."""

ENDED_STATES = ("Terminated", "Error")


class OarError(Exception):
    """A refusal or an error of OAR, in one line."""


class Verdict(NamedTuple):
    """How a job ended: success, or the reason for its failure."""

    success: bool
    reason: str = ""


def submitted_job_id(text: str, status: int) -> str:
    """Id of the job that `oarsub` submitted.

    A positive id counts whatever the status: if the server is down, `oarsub` ends with an error,
    and the job runs once the server is back.

    Args:
        text: Output of `oarsub`; messages of admission rules precede the id.
        status: Exit status of `oarsub`.

    Raises:
        OarError: No job was submitted; with the messages of OAR that are specific to this job.
    """
    match = re.search(r"^OAR_JOB_ID=(\d+)\s*$", text, re.M)
    if match:
        return match[1]
    lines = [line.strip() for line in text.splitlines()]
    usual = r"OAR_JOB_ID=.*|\[ADMISSION RULE\] (?!.*error).*|\[ERROR\] Oarsub failed.*|"
    specific = [line for line in lines if not re.fullmatch(usual, line, re.I)]
    reason = " ".join(" ".join(specific).split())
    raise OarError(reason or f"oarsub ended with status {status}, without a job")


def parse_jobs(text: str) -> dict[str, Job]:
    """Jobs by id, from the output of `oarstat -J`; an empty output means no jobs.

    Raises:
        OarError: The output is not a JSON object.
    """
    if not text.strip():
        return {}
    try:
        jobs = json.loads(text)
    except ValueError:
        jobs = None
    if not isinstance(jobs, dict):
        raise OarError(
            f"oarstat returned {text.strip().splitlines()[0][:100]!r}, which is not a JSON object"
        )
    return jobs


def job_verdict(job: Job) -> Verdict | None:
    """How a job ended; None before its end.

    OAR's state is `Terminated` whether the script failed or succeeded; the exit code distinguishes
    the two. The state `Error` is that of a job that OAR killed; its events contain the reason.

    Args:
        job: Job with `state`, `exit_code`, `events` and `walltime`.
    """
    if job["state"] not in ENDED_STATES:
        return None
    if job["state"] == "Error":
        return Verdict(False, _kill_reason(job))
    if job["exit_code"] is None:
        return Verdict(False, "ended without an exit status")
    status = os.waitstatus_to_exitcode(int(job["exit_code"]))
    if status < 0:
        return Verdict(False, f"killed by signal {-status} ({signal.strsignal(-status)})")
    return Verdict(status == 0, f"exit status {status}" if status else "")


def _kill_reason(job: Job) -> str:
    """Reason for which OAR killed a job, from its events."""
    events = {each["type"]: str(each["description"]) for each in job.get("events") or ()}
    if "WALLTIME" in events:
        return f"killed at the end of its walltime of {job['walltime']} s"
    if "BESTEFFORT_KILL" in events:
        return "killed to make room for a job that is not besteffort"
    if "FRAG_JOB_REQUEST" in events:
        requester = re.search(r"^User (\S+) requested", events["FRAG_JOB_REQUEST"])
        return f"deleted by {requester[1]}" if requester else events["FRAG_JOB_REQUEST"]
    reasons = [text for kind, text in events.items() if not kind.startswith("S")]
    return "; ".join(reasons) or job.get("message") or "ended in state Error"
