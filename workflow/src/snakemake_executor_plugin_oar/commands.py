"""Calls of OAR's commands: `oarsub`, `oarstat` and `oardel`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from datetime import datetime, timedelta

from snakemake_executor_plugin_oar import answers
from snakemake_executor_plugin_oar.answers import Job, OarError
from snakemake_executor_plugin_oar.demands import Submission

COMMAND_TIMEOUT_S = 120
"""Time after which a command is assumed to hang."""


def check_installed() -> None:
    """Check that OAR's commands are on the path.

    Raises:
        OarError: A command is missing.
    """
    missing = [name for name in ("oarsub", "oarstat", "oardel") if shutil.which(name) is None]
    if missing:
        raise OarError(
            f"{', '.join(missing)}: no such command here; start on a frontend of a site, which has "
            "OAR's commands, or without the profile"
        )


def oarsub(submission: Submission) -> str:
    """Submit a job, and return its id.

    Raises:
        OarError: OAR refused the job; the message contains the command.
    """
    words = submission.command_words()
    done = _run_command(words)
    try:
        return answers.submitted_job_id(done.stdout + done.stderr, done.returncode)
    except OarError as error:
        raise OarError(f"{error} (of: {shlex.join(words)})") from None


def oarstat(ids: Iterable[str]) -> dict[str, Job]:
    """Fields of jobs by id; ids that OAR does not list are missing.

    Args:
        ids: Ids of jobs.

    Raises:
        OarError: `oarstat` failed.
    """
    return _oarstat("-f", *(word for each in ids for word in ("-j", each)))


def jobs_since(moment: datetime) -> dict[str, Job]:
    """Jobs of this user that have not ended, and jobs that ended since a moment, by id.

    Args:
        moment: Local time, which `oarstat --gantt` expects.

    Raises:
        OarError: `oarstat` failed.
    """
    now = datetime.now() + timedelta(minutes=1)
    window = f"{moment:%F %T}, {now:%F %T}"
    current = _oarstat("-u")
    history = _oarstat("--gantt", window)  # second: includes jobs that ended after the first call
    return {**history.get("jobs", {}), **current}


def oardel(ids: Iterable[str]) -> None:
    """Request the end of jobs.

    Args:
        ids: Ids of jobs.

    Raises:
        OarError: `oardel` failed.
    """
    done = _run_command(["oardel", *ids])
    if done.returncode:
        raise OarError(_failure_message(done, "oardel"))


def _oarstat(*options: str) -> dict[str, Job]:
    done = _run_command(["oarstat", "-J", *options])
    if done.returncode:
        raise OarError(_failure_message(done, "oarstat"))
    return answers.parse_jobs(done.stdout)


def _failure_message(done: subprocess.CompletedProcess[str], name: str) -> str:
    """Exit status of a command and the last line of its output."""
    lines = (done.stderr or done.stdout).strip().splitlines() or [""]
    return f"{name} ended with status {done.returncode}: {lines[-1]}".rstrip(": ")


def _run_command(words: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        # a session of its own: Ctrl-C must not interrupt a submission
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OarError(f"{words[0]}: {error}") from None
