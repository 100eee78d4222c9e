"""Parsed output of OAR's commands, on recorded output of a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_oar import answers
from snakemake_executor_plugin_oar.answers import OarError, Verdict

ADMISSION_MESSAGE = "[ADMISSION RULE] Modify resource description with type constraints\n"


def ended_job(**changes: Any) -> dict[str, Any]:
    return {"state": "Terminated", "exit_code": 0, "events": [], "walltime": 600} | changes


def killed_job(*events: tuple[str, str], **changes: Any) -> dict[str, Any]:
    event_rows = [{"type": kind, "description": text} for kind, text in events]
    return ended_job(state="Error", exit_code=None, events=event_rows) | changes


# --- submission ---------------------------------------------------------------------------------


def recorded_submissions(shared_data: Path) -> list[tuple[str, int, str]]:
    """Command, exit status and output of each call of oarsub."""
    text = (shared_data / "oar/oarstat/submit.txt").read_text(encoding="utf-8")
    pattern = r"^\$ (.*?)   # as \w+, rc=(\d+)\n(.*?)(?=^\$ |\Z)"
    return [(a, int(b), c) for a, b, c in re.findall(pattern, text, re.M | re.S)]


def test_submitted_job_id_recorded_submissions_returns_id_or_raises_reason(
    shared_data: Path,
) -> None:
    submissions = recorded_submissions(shared_data)
    accepted = [
        answers.submitted_job_id(text, status) for _, status, text in submissions if status == 0
    ]
    assert len(set(accepted)) == len(accepted) == 20
    refusals = []
    for _, status, text in submissions:
        if status:
            with pytest.raises(OarError) as error:
                answers.submitted_job_id(text, status)
            refusals.append(str(error.value))
    assert refusals[:2] == [
        "There are not enough resources for your request",
        "[ADMISSION RULE] Error: unknown job type: nonsense",
    ]
    assert refusals[2].startswith('Bad resource request (ERROR: column "nosuch" does not exist')
    assert len(refusals) == 3
    assert "\n" not in "".join(refusals)


def test_submitted_job_id_positive_id_with_failed_status_returns_id() -> None:
    """While the server is down, `Job is killed` is wrong: the job runs once the server is back."""
    output = (
        f"{ADMISSION_MESSAGE}OAR_JOB_ID=25\nError: cannot contact the executor. Job is killed.\n"
    )
    assert answers.submitted_job_id(output, 9) == "25"


@pytest.mark.parametrize(
    "text", ["", ADMISSION_MESSAGE, f"{ADMISSION_MESSAGE}OAR_JOB_ID=-5\n", "OAR_JOB_ID=\n"]
)
def test_submitted_job_id_no_id_and_no_reason_raises_with_status(text: str) -> None:
    with pytest.raises(OarError, match=r"^oarsub ended with status 8, without a job$"):
        answers.submitted_job_id(text, 8)


def test_submitted_job_id_array_returns_first_job_id() -> None:
    assert answers.submitted_job_id("OAR_JOB_ID=8\nOAR_JOB_ID=9\nOAR_ARRAY_ID=7\n", 0) == "8"


# --- output of oarstat ----------------------------------------------------------------------------


def test_job_verdict_recorded_jobs_returns_reason(shared_data: Path) -> None:
    expected = {
        "ok": Verdict(True),
        "monitor": Verdict(True),
        "besteff": Verdict(True),
        "failed": Verdict(False, "exit status 3"),
        "nocmd": Verdict(False, "exit status 127"),
        "signal": Verdict(False, "killed by signal 9 (Killed)"),
        "walltime": Verdict(False, "killed at the end of its walltime of 12 s"),
        "bekill": Verdict(False, "killed to make room for a job that is not besteffort"),
        "deleted": Verdict(False, "deleted by bob"),
        "deleted-while-waiting": Verdict(False, "deleted by bob"),
        **dict.fromkeys(("gpu", "twonodes", "waiting", "hold", "resv"), None),
    }
    files = sorted((shared_data / "oar/oarstat").glob("oarstat-fj-*.json"))
    found = {}
    for file in files:
        [job] = answers.parse_jobs(file.read_text(encoding="utf-8")).values()
        found[file.stem.removeprefix("oarstat-fj-")] = answers.job_verdict(job)
    assert found == expected


def test_parse_jobs_recorded_output_returns_jobs_by_id(shared_data: Path) -> None:
    text = (shared_data / "oar/oarstat/oarstat-f-J.json").read_text(encoding="utf-8")
    assert set(answers.parse_jobs(text)) == {"19", "21", "22", "23", "24"}
    nothing = (shared_data / "oar/oarstat/oarstat-unknown.txt").read_text(encoding="utf-8")
    assert nothing == ""
    assert answers.parse_jobs(nothing) == {}


@pytest.mark.parametrize("text", ["DBI connect failed\nmore", '["a list"]'])
def test_parse_jobs_output_not_json_object_raises(text: str) -> None:
    with pytest.raises(OarError, match=r"oarstat returned .*, which is not a JSON object"):
        answers.parse_jobs(text)


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (ended_job(exit_code=None), "ended without an exit status"),
        (ended_job(exit_code=256), "exit status 1"),
        (ended_job(exit_code=15), "killed by signal 15 (Terminated)"),
        (killed_job(message="Cannot reach the node"), "Cannot reach the node"),
        (killed_job(), "ended in state Error"),
        (killed_job(("FRAG_JOB_REQUEST", "somebody asked")), "somebody asked"),
        (
            killed_job(
                ("PING_CHECKER_NODE_SUSPECTED", "no answer from gres-1"),
                ("SWITCH_INTO_ERROR_STATE", "[bipbip 3] Ask to change the job state"),
            ),
            "no answer from gres-1",
        ),
    ],
)
def test_job_verdict_failed_job_returns_reason(job: dict[str, Any], reason: str) -> None:
    assert answers.job_verdict(job) == Verdict(False, reason)


@pytest.mark.parametrize(
    "state",
    ["Waiting", "Hold", "toLaunch", "Launching", "Running", "Suspended", "Finishing", "toError"],
)
def test_job_verdict_job_not_ended_returns_none(state: str) -> None:
    assert answers.job_verdict(ended_job(state=state)) is None


def test_parse_jobs_json_object_returns_jobs_by_id() -> None:
    assert answers.parse_jobs(json.dumps({"7": ended_job()})) == {"7": ended_job()}
