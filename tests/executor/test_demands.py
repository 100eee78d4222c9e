"""Options of `oarsub` for a job, and records of submitted jobs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_oar import demands, records
from snakemake_executor_plugin_oar.records import EarlierJob


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (1, "0:01:00"),
        (0.5, "0:00:30"),
        (90, "1:30:00"),
        (1440.001, "24:00:01"),
        (6000, "100:00:00"),
    ],
)
def test_format_walltime_minutes_returns_hours_minutes_seconds(
    minutes: float, expected: str
) -> None:
    assert demands.format_walltime(minutes) == expected


@pytest.mark.parametrize("minutes", [0, -5])
def test_format_walltime_not_positive_raises(minutes: float) -> None:
    with pytest.raises(ValueError, match=f"must be positive, not {minutes} min"):
        demands.format_walltime(minutes)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"cores": 2}, "host=1/core=2"),
        ({"cores": 1, "memory_mb": 5000}, "host=1/core=1"),
        ({"cores": 1, "memory_mb": 5000, "memory_per_core_mb": 2000}, "host=1/core=3"),
        ({"cores": 4, "memory_mb": 5000, "memory_per_core_mb": 2000}, "host=1/core=4"),
        ({"cores": 8, "gpus": 2, "memory_mb": 9e6, "memory_per_core_mb": 1}, "host=1/gpu=2"),
        ({"cores": 8, "gpus": 1, "request": "host=2"}, "host=2"),
    ],
)
def test_resource_request_needs_returns_one_node(needs: dict[str, Any], expected: str) -> None:
    request = demands.resource_request(runtime_min=61, **needs)
    assert request == f"{expected},walltime=1:01:00"


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"cores": 0}, "cores is too small: 0"),
        ({"cores": 1, "gpus": -1}, "gpu is too small: -1"),
        ({"cores": 1, "memory_mb": -2}, "mem_mb is too small: -2"),
    ],
)
def test_resource_request_number_too_small_raises(needs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        demands.resource_request(runtime_min=1, **needs)


def test_command_words_submission_returns_oarsub_command() -> None:
    submission = demands.Submission(
        script="/home/a b/job.sh",
        directory="/home/a b",
        log="/home/a b/%jobid%.log",
        name="integrate",
        resources="host=1/core=2,walltime=0:10:00",
    )
    log = "/home/a b/%jobid%.log"
    assert submission.command_words() == [
        *("oarsub", "-n", "integrate", "-l", "host=1/core=2,walltime=0:10:00"),
        *("-d", "/home/a b", "-O", log, "-E", log, "'/home/a b/job.sh'"),
    ]
    more = {"queue": "production", "project": "speech", "properties": "memnode > 9"}
    words = submission._replace(types=("exotic", "night"), **more).command_words()
    assert words[5:15] == [
        *("-q", "production", "--project", "speech", "-p", "memnode > 9"),
        *("-t", "exotic", "-t", "night"),
    ]


def test_job_name_special_characters_are_replaced_and_length_is_limited() -> None:
    assert demands.job_name("integrate", ["gres", "2025-03"]) == "integrate.gres.2025-03"
    assert demands.job_name("plot", ["a b/c'"]) == "plot.a_b_c_"
    assert len(demands.job_name("r" * 200)) == 90


# --- records of earlier runs ----------------------------------------------------------------------


def job(rule: str, *outputs: str, **params: Any) -> Any:
    """A stand-in for a job of Snakemake."""
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule),
        output=list(outputs),
        input=["in.parquet"],
        params=params,
        is_group=lambda: False,
    )


def group(*jobs: Any) -> Any:
    """A stand-in for a group of jobs of Snakemake."""
    return SimpleNamespace(jobs=jobs, is_group=lambda: True)


def test_output_fingerprints_rule_or_parameter_changed_differ() -> None:
    fingerprints = {
        name: records.output_fingerprints(each)["a"]
        for name, each in {
            "same": job("integrate", "a", code="1", start=Path("x")),
            "again": job("integrate", "a", start=Path("x"), code="1"),
            "code": job("integrate", "a", code="2", start=Path("x")),
            "rule": job("gather", "a", code="1", start=Path("x")),
        }.items()
    }
    assert fingerprints["same"] == fingerprints["again"]
    assert len(set(fingerprints.values())) == 3


def test_output_fingerprints_group_has_outputs_of_members() -> None:
    members = job("integrate", "a", "b"), job("integrate", "c")
    together = records.output_fingerprints(group(*members))
    assert together == records.output_fingerprints(members[0]) | records.output_fingerprints(
        members[1]
    )


def test_find_earlier_jobs_script_in_folder_is_matched(tmp_path: Path) -> None:
    folder = tmp_path / "my study/.snakemake"
    script = folder / "tmp.x/job.sh"
    script.parent.mkdir(parents=True)
    records.write_record(script, {"a": "mark"})
    jobs = {
        "5": {"command": f"'{script}'"},
        "6": {"command": "sleep 600"},
        "7": {"command": f"'{folder}/tmp.gone/job.sh'"},
        "8": {"command": "/elsewhere/.snakemake/tmp.x/job.sh"},
        "9": {"command": None},
        "10": {"command": "echo it's"},
    }
    assert records.find_earlier_jobs(jobs, folder) == [EarlierJob("5", {"a": "mark"})]


EARLIER = [EarlierJob("5", {"a": "1", "b": "2"}), EarlierJob("6", {"c": "3"})]


@pytest.mark.parametrize(
    ("wanted", "ids", "are_equal"),
    [
        ({"a": "1", "b": "2"}, ["5"], True),
        ({"b": "2"}, ["5"], True),  # one output of a group
        ({"a": "1", "c": "3"}, ["5", "6"], True),
        ({"a": "other"}, ["5"], False),  # the fingerprint changed
        ({"a": "1", "d": "4"}, ["5"], False),  # part of a new group
        ({"d": "4"}, [], False),
    ],
)
def test_jobs_that_write_wanted_outputs_returns_ids_and_equality(
    wanted: dict[str, str], ids: list[str], are_equal: bool
) -> None:
    assert records.jobs_that_write(wanted, EARLIER) == (ids, are_equal)
