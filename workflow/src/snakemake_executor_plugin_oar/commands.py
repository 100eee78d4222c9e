"""OAR's commands, called."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from datetime import datetime, timedelta

from snakemake_executor_plugin_oar import answers
from snakemake_executor_plugin_oar.answers import Job, OarError
from snakemake_executor_plugin_oar.demands import Submission

LONGEST_S = 120
"""Seconds after which a command counts as hanging."""


def check_installed() -> None:
    """Raise an OarError where a command of OAR is missing."""
    missing = [name for name in ("oarsub", "oarstat", "oardel") if shutil.which(name) is None]
    if missing:
        raise OarError(
            f"{', '.join(missing)}: no such command here; start on a frontend of a site, where "
            "OAR's commands are, or without the profile"
        )


def oarsub(submission: Submission) -> str:
    """Submit a job; gives its id.

    Raises:
        OarError: OAR refused it; with the command.
    """
    words = submission.words()
    done = _run(words)
    try:
        return answers.submitted(done.stdout + done.stderr, done.returncode)
    except OarError as error:
        raise OarError(f"{error} (of: {shlex.join(words)})") from None


def oarstat(ids: Iterable[str]) -> dict[str, Job]:
    """All that OAR knows of some jobs, by their id; those that it does not know are left out.

    Raises:
        OarError: OAR did not answer.
    """
    return _oarstat("-f", *(word for each in ids for word in ("-j", each)))


def jobs_since(moment: datetime) -> dict[str, Job]:
    """Jobs of this user that have not ended, and jobs that ended since a moment, by their id.

    Raises:
        OarError: OAR did not answer.
    """
    now = datetime.now() + timedelta(minutes=1)
    span = f"{moment:%F %T}, {now:%F %T}"  # local time, as the command wants it
    going_on = _oarstat("-u")
    history = _oarstat("--gantt", span)  # asked second: what ended in between is in it
    return {**history.get("jobs", {}), **going_on}


def oardel(ids: Iterable[str]) -> None:
    """Ask OAR to end jobs.

    Raises:
        OarError: OAR did not take it in.
    """
    done = _run(["oardel", *ids])
    if done.returncode:
        raise OarError(_last_line(done, "oardel"))


def _oarstat(*options: str) -> dict[str, Job]:
    done = _run(["oarstat", "-J", *options])
    if done.returncode:
        raise OarError(_last_line(done, "oarstat"))
    return answers.jobs(done.stdout)


def _last_line(done: subprocess.CompletedProcess[str], name: str) -> str:
    said = (done.stderr or done.stdout).strip().splitlines() or [""]
    return f"{name} ended with status {done.returncode}: {said[-1]}".rstrip(": ")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        # In a session of its own, so that Ctrl-C does not break off a submission half-way.
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OarError(f"{words[0]}: {error}") from None
