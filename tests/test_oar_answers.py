"""What OAR answers to a submission and about a job, on answers of a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_oar import answers
from snakemake_executor_plugin_oar.answers import OarError, Verdict

CHATTER = "[ADMISSION RULE] Modify resource description with type constraints\n"


def ended(**changes: Any) -> dict[str, Any]:
    return {"state": "Terminated", "exit_code": 0, "events": [], "walltime": 600} | changes


def killed(*events: tuple[str, str], **changes: Any) -> dict[str, Any]:
    told = [{"type": kind, "description": text} for kind, text in events]
    return ended(state="Error", exit_code=None, events=told) | changes


# --- submission ---------------------------------------------------------------------------------


def recorded_submissions(shared_data: Path) -> list[tuple[str, int, str]]:
    """Command, exit status and output of each call of oarsub."""
    text = (shared_data / "oar/oarstat/submit.txt").read_text(encoding="utf-8")
    pattern = r"^\$ (.*?)   # as \w+, rc=(\d+)\n(.*?)(?=^\$ |\Z)"
    return [(a, int(b), c) for a, b, c in re.findall(pattern, text, re.M | re.S)]


def test_recorded_submissions(shared_data: Path) -> None:
    told = recorded_submissions(shared_data)
    accepted = [answers.submitted(text, status) for _, status, text in told if status == 0]
    assert len(set(accepted)) == len(accepted) == 20
    refusals = []
    for _, status, text in told:
        if status:
            with pytest.raises(OarError) as error:
                answers.submitted(text, status)
            refusals.append(str(error.value))
    assert refusals[:2] == [
        "There are not enough resources for your request",
        "[ADMISSION RULE] Error: unknown job type: nonsense",
    ]
    assert refusals[2].startswith('Bad resource request (ERROR: column "nosuch" does not exist')
    assert len(refusals) == 3
    assert "\n" not in "".join(refusals)


def test_a_positive_id_counts_whatever_the_status() -> None:
    """The server was down: `Job is killed` is wrong, the job runs when the server is back."""
    said = f"{CHATTER}OAR_JOB_ID=25\nError: cannot contact the executor. Job is killed.\n"
    assert answers.submitted(said, 9) == "25"


@pytest.mark.parametrize("text", ["", CHATTER, f"{CHATTER}OAR_JOB_ID=-5\n", "OAR_JOB_ID=\n"])
def test_no_id_and_no_reason(text: str) -> None:
    with pytest.raises(OarError, match=r"^oarsub ended with status 8, without a job$"):
        answers.submitted(text, 8)


def test_the_id_of_an_array_is_no_id() -> None:
    assert answers.submitted("OAR_JOB_ID=8\nOAR_JOB_ID=9\nOAR_ARRAY_ID=7\n", 0) == "8"


# --- what oarstat says ----------------------------------------------------------------------------


def test_recorded_jobs(shared_data: Path) -> None:
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
        [job] = answers.jobs(file.read_text(encoding="utf-8")).values()
        found[file.stem.removeprefix("oarstat-fj-")] = answers.verdict(job)
    assert found == expected


def test_recorded_answers_about_many_jobs(shared_data: Path) -> None:
    text = (shared_data / "oar/oarstat/oarstat-f-J.json").read_text(encoding="utf-8")
    assert set(answers.jobs(text)) == {"19", "21", "22", "23", "24"}
    nothing = (shared_data / "oar/oarstat/oarstat-unknown.txt").read_text(encoding="utf-8")
    assert nothing == ""
    assert answers.jobs(nothing) == {}


@pytest.mark.parametrize("text", ["DBI connect failed\nmore", '["a list"]'])
def test_an_answer_that_is_none(text: str) -> None:
    with pytest.raises(OarError, match=r"oarstat answered .*, not JSON"):
        answers.jobs(text)


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (ended(exit_code=None), "ended without an exit status"),
        (ended(exit_code=256), "exit status 1"),
        (ended(exit_code=15), "killed by signal 15 (Terminated)"),
        (killed(message="Cannot reach the node"), "Cannot reach the node"),
        (killed(), "ended in state Error"),
        (killed(("FRAG_JOB_REQUEST", "somebody asked")), "somebody asked"),
        (
            killed(
                ("PING_CHECKER_NODE_SUSPECTED", "no answer from gres-1"),
                ("SWITCH_INTO_ERROR_STATE", "[bipbip 3] Ask to change the job state"),
            ),
            "no answer from gres-1",
        ),
    ],
)
def test_other_ways_to_fail(job: dict[str, Any], reason: str) -> None:
    assert answers.verdict(job) == Verdict(False, reason)


@pytest.mark.parametrize(
    "state",
    ["Waiting", "Hold", "toLaunch", "Launching", "Running", "Suspended", "Finishing", "toError"],
)
def test_a_job_that_goes_on_has_no_verdict(state: str) -> None:
    assert answers.verdict(ended(state=state)) is None


def test_keys_of_jobs_are_their_ids() -> None:
    assert answers.jobs(json.dumps({"7": ended()})) == {"7": ended()}
