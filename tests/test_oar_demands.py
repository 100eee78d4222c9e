"""What a job needs, in the words of `oarsub`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_oar import demands, records
from snakemake_executor_plugin_oar.records import Earlier


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
def test_walltime(minutes: float, expected: str) -> None:
    assert demands.walltime(minutes) == expected


@pytest.mark.parametrize("minutes", [0, -5])
def test_no_time_is_refused(minutes: float) -> None:
    with pytest.raises(ValueError, match=f"above zero minutes, not {minutes}"):
        demands.walltime(minutes)


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
def test_resources(needs: dict[str, Any], expected: str) -> None:
    asked = demands.resource_request(runtime_min=61, **needs)
    assert asked == f"{expected},walltime=1:01:00"


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        ({"cores": 0}, "cores: 0"),
        ({"cores": 1, "gpus": -1}, "gpu: -1"),
        ({"cores": 1, "memory_mb": -2}, "mem_mb: -2"),
    ],
)
def test_numbers_that_make_no_sense(needs: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        demands.resource_request(runtime_min=1, **needs)


def test_the_command() -> None:
    told = demands.Submission(
        script="/home/a b/job.sh",
        directory="/home/a b",
        log="/home/a b/%jobid%.log",
        name="integrate",
        resources="host=1/core=2,walltime=0:10:00",
    )
    log = "/home/a b/%jobid%.log"
    assert told.words() == [
        *("oarsub", "-n", "integrate", "-l", "host=1/core=2,walltime=0:10:00"),
        *("-d", "/home/a b", "-O", log, "-E", log, "'/home/a b/job.sh'"),
    ]
    more = {"queue": "production", "project": "speech", "properties": "memnode > 9"}
    words = told._replace(types=("exotic", "night"), **more).words()
    assert words[5:15] == [
        *("-q", "production", "--project", "speech", "-p", "memnode > 9"),
        *("-t", "exotic", "-t", "night"),
    ]


def test_names_are_short_and_plain() -> None:
    assert demands.job_name("integrate", ["gres", "2025-03"]) == "integrate.gres.2025-03"
    assert demands.job_name("plot", ["a b/c'"]) == "plot.a_b_c_"
    assert len(demands.job_name("r" * 200)) == 90


# --- what earlier runs left -----------------------------------------------------------------------


def job(rule: str, *outputs: str, **params: Any) -> Any:
    """As a job of Snakemake."""
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule),
        output=list(outputs),
        input=["in.parquet"],
        params=params,
        is_group=lambda: False,
    )


def group(*jobs: Any) -> Any:
    return SimpleNamespace(jobs=jobs, is_group=lambda: True)


def test_a_fingerprint_follows_what_makes_an_output() -> None:
    marks = {
        name: records.outputs(each)["a"]
        for name, each in {
            "same": job("integrate", "a", code="1", start=Path("x")),
            "again": job("integrate", "a", start=Path("x"), code="1"),
            "code": job("integrate", "a", code="2", start=Path("x")),
            "rule": job("gather", "a", code="1", start=Path("x")),
        }.items()
    }
    assert marks["same"] == marks["again"]
    assert len(set(marks.values())) == 3


def test_a_group_has_the_outputs_of_its_members() -> None:
    members = job("integrate", "a", "b"), job("integrate", "c")
    together = records.outputs(group(*members))
    assert together == records.outputs(members[0]) | records.outputs(members[1])


def test_jobs_of_earlier_runs_are_found_by_their_script(tmp_path: Path) -> None:
    folder = tmp_path / "my study/.snakemake"
    script = folder / "tmp.x/job.sh"
    script.parent.mkdir(parents=True)
    records.write(script, {"a": "mark"})
    active = {
        "5": {"command": f"'{script}'"},
        "6": {"command": "sleep 600"},
        "7": {"command": f"'{folder}/tmp.gone/job.sh'"},
        "8": {"command": "/elsewhere/.snakemake/tmp.x/job.sh"},
        "9": {"command": None},
        "10": {"command": "echo it's"},
    }
    assert records.left_behind(active, folder) == [Earlier("5", {"a": "mark"})]


EARLIER = [Earlier("5", {"a": "1", "b": "2"}), Earlier("6", {"c": "3"})]


@pytest.mark.parametrize(
    ("wanted", "ids", "same"),
    [
        ({"a": "1", "b": "2"}, ["5"], True),
        ({"b": "2"}, ["5"], True),  # of a group, the rest of which is done
        ({"a": "1", "c": "3"}, ["5", "6"], True),
        ({"a": "other"}, ["5"], False),  # the code changed meanwhile
        ({"a": "1", "d": "4"}, ["5"], False),  # only a part of a new group
        ({"d": "4"}, [], False),
    ],
)
def test_who_makes_what_is_wanted(wanted: dict[str, str], ids: list[str], same: bool) -> None:
    assert records.makers(wanted, EARLIER) == (ids, same)
