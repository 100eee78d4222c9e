"""What OAR's commands say: whether a job was submitted, and what became of it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

Job = Mapping[str, Any]
"""A job as `oarstat -f -J` describes it."""

ENDED = ("Terminated", "Error")


class OarError(Exception):
    """What OAR refused or could not do, in one line."""


class Verdict(NamedTuple):
    """How a job ended: well, or why not."""

    success: bool
    reason: str = ""


def submitted(text: str, status: int) -> str:
    """Id of the job that `oarsub` submitted.

    A positive id counts whatever the status: when the server is down, `oarsub` ends with an error,
    and the job runs once the server is back.

    Args:
        text: All that `oarsub` wrote. Messages of admission rules stand before the id.
        status: Its exit status.

    Raises:
        OarError: There is no job; with what OAR said, but for its usual messages.
    """
    found = re.search(r"^OAR_JOB_ID=(\d+)\s*$", text, re.M)
    if found:
        return found[1]
    said = [line.strip() for line in text.splitlines()]
    usual = r"OAR_JOB_ID=.*|\[ADMISSION RULE\] (?!.*error).*|\[ERROR\] Oarsub failed.*|"
    telling = [line for line in said if not re.fullmatch(usual, line, re.I)]
    reason = " ".join(" ".join(telling).split())
    raise OarError(reason or f"oarsub ended with status {status}, without a job")


def jobs(text: str) -> dict[str, Job]:
    """Jobs by their id, of what `oarstat -J` wrote; nothing at all means no jobs.

    Raises:
        OarError: The text is no answer of `oarstat -J`.
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OarError(f"oarstat answered {text.strip().splitlines()[0][:100]!r}, not JSON")
    return found


def verdict(job: Job) -> Verdict | None:
    """How a job ended; None while it has not.

    A script that fails leaves its job `Terminated`, as one that succeeds does: the exit code tells
    them apart. `Error` is the end of a job that OAR killed; the events tell why.
    """
    if job["state"] not in ENDED:
        return None
    if job["state"] == "Error":
        return Verdict(False, _why_killed(job))
    if job["exit_code"] is None:
        return Verdict(False, "ended without an exit status")
    status = os.waitstatus_to_exitcode(int(job["exit_code"]))
    if status < 0:
        return Verdict(False, f"killed by signal {-status} ({signal.strsignal(-status)})")
    return Verdict(status == 0, f"exit status {status}" if status else "")


def _why_killed(job: Job) -> str:
    events = {each["type"]: str(each["description"]) for each in job.get("events") or ()}
    if "WALLTIME" in events:
        return f"killed at the end of its walltime of {job['walltime']} s"
    if "BESTEFFORT_KILL" in events:
        return "killed to make room for a job that is not besteffort"
    if "FRAG_JOB_REQUEST" in events:
        who = re.search(r"^User (\S+) requested", events["FRAG_JOB_REQUEST"])
        return f"deleted by {who[1]}" if who else events["FRAG_JOB_REQUEST"]
    told = [text for kind, text in events.items() if not kind.startswith("S")]
    return "; ".join(told) or job.get("message") or "ended in state Error"
