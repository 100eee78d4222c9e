"""Job records with one fault each, from Snakemake to the energies of the jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cases import Case
from running import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

HOUR_KWH = 0.2
"""An hour of grele-1, which draws 200 W in each of these cases."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("cases"))


def flags(case: Case) -> dict[int, list[str]]:
    jobs = case.table("energy/jobs").sort("job_id")
    return dict(jobs.select("job_id", "flags").iter_rows())


def rejected(case: Case) -> dict[str, int]:
    """Counts by reason, without the rows of power."""
    table = case.table("energy/set_aside")
    return dict(table.filter(table["stage"] != "power").select("reason", "n_rows").iter_rows())


def test_an_unknown_state_keeps_its_end(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-05-unknown-state", tmp_path)
    # beside it, jobs that cannot be used, and a state of a node that nobody described
    path = case.directory / "exports/jobs/a.json"
    document = json.loads(path.read_text("utf-8"))
    (good,) = document["items"]
    start = good["started_at"]
    wrong: list[dict[str, Any]] = [
        {"state": "terminated", "started_at": 0},
        {"state": "terminated", "started_at": start * 1000, "stopped_at": (start + 60) * 1000},
        {"state": "terminated", "resources_by_type": {}, "assigned_nodes": []},
        {"state": "running", "walltime": -1},
    ]
    document["items"] += [good | each | {"uid": 2 + n} for n, each in enumerate(wrong)]
    document["total"] = 400
    path.write_text(json.dumps(document), encoding="utf-8")
    (case.directory / "exports/states").mkdir()
    (case.directory / "exports/states/a.csv").write_text(
        "node,state,from,to\ngros-1,absent,2025-03-03T00:00:00Z,\n", encoding="utf-8"
    )
    ran = case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(HOUR_KWH, rel=1e-3)}
    assert flags(case) == {1: []}
    assert rejected(case) == {
        "state that OAR does not have: the recorded end is used": 1,
        "terminated, but no start is recorded": 1,
        "time in milliseconds, or after 2100": 1,
        "held no core of a node": 1,
        "runs with a walltime of 0, negative or over ten years": 1,
        'counted in "total" of the answer, but listed in no file': 395,
        "node that is not described": 1,
    }
    assert "Traceback" not in ran.said


def test_descriptions_that_differ_in_queues_are_one_node(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-10-queue-renamed", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(HOUR_KWH, rel=1e-3)}


def test_bare_resource_ids_are_the_whole_node_and_flagged(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-11-oar3-resources", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {10: pytest.approx(HOUR_KWH, rel=1e-3)}
    assert flags(case) == {10: ["whole_node_assumed"]}


def test_types_as_text_are_a_list(project: Project, tmp_path: Path, shared_cases: Path) -> None:
    case = Case(shared_cases / "cluster-15-types-as-text", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(HOUR_KWH, rel=1e-3)}
    jobs = pl.read_parquet(case.directory / "resources/nancy/jobs.parquet")
    assert jobs["types"].to_list() == [["besteffort"]]


def test_an_overlap_of_seconds_is_trimmed_and_counted(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-20-overlap-of-10-s", tmp_path)
    case.run(project)
    second_kwh = HOUR_KWH / 3600
    assert case.energies_kwh() == {
        1: pytest.approx(3590 * second_kwh, rel=1e-6),
        2: pytest.approx(70 * second_kwh, rel=1e-6),  # the last reading is of 11:01:00
    }
    assert flags(case) == {1: ["overlap_trimmed"], 2: ["partly_measured"]}
    nodes = case.table("energy/nodes")
    held = nodes.filter(nodes["class"] == "job")["energy_kwh"].to_list()
    assert held == [pytest.approx(3660 * second_kwh, rel=1e-9)]
    assert list(rejected(case).values()) == [1]
