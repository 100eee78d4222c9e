"""Job records with one fault each, run with Snakemake to the energies of jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.cases import Case
from tests.support.project import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

HOUR_KWH = 0.2
"""Energy of an hour of grele-1, which draws 200 W in each of these cases."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("cases"))


def flags_by_job(case: Case) -> dict[int, list[str]]:
    jobs = case.table("energy/jobs").sort("job_id")
    return dict(jobs.select("job_id", "flags").iter_rows())


def rejected_counts(case: Case) -> dict[str, int]:
    """Counts of rejected rows by reason, without those of power."""
    table = case.table("energy/rejected")
    return dict(table.filter(table["stage"] != "power").select("reason", "n_rows").iter_rows())


def test_case_unknown_state_keeps_recorded_end(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-05-unknown-state", tmp_path)
    # added: unusable jobs, and a state of an undescribed node
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
    assert flags_by_job(case) == {1: []}
    assert rejected_counts(case) == {
        "state that OAR does not have: the recorded end is used": 1,
        "terminated, but no start is recorded": 1,
        "time in milliseconds, or after 2100": 1,
        "held no core of a node": 1,
        "runs with a walltime of 0, negative or over ten years": 1,
        'counted in "total" of the answer, but listed in no file': 395,
        "node that is not described": 1,
    }
    assert "Traceback" not in ran.output


def test_case_renamed_queue_keeps_one_node(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-10-queue-renamed", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(HOUR_KWH, rel=1e-3)}


def test_case_bare_resource_ids_give_flagged_whole_node(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-11-oar3-resources", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {10: pytest.approx(HOUR_KWH, rel=1e-3)}
    assert flags_by_job(case) == {10: ["whole_node_assumed"]}


def test_case_types_as_text_become_list(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-15-types-as-text", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(HOUR_KWH, rel=1e-3)}
    jobs = pl.read_parquet(case.directory / "resources/nancy/jobs.parquet")
    assert jobs["types"].to_list() == [["besteffort"]]


def test_case_overlap_of_seconds_is_trimmed_and_counted(
    project: Project, tmp_path: Path, shared_cases: Path
) -> None:
    case = Case(shared_cases / "cluster-20-overlap-of-10-s", tmp_path)
    case.run(project)
    second_kwh = HOUR_KWH / 3600
    assert case.energies_kwh() == {
        1: pytest.approx(3590 * second_kwh, rel=1e-6),
        2: pytest.approx(70 * second_kwh, rel=1e-6),  # the last reading is of 11:01:00
    }
    assert flags_by_job(case) == {1: ["overlap_trimmed"], 2: ["partly_measured"]}
    nodes = case.table("energy/nodes")
    held = nodes.filter(nodes["class"] == "job")["measured_kwh"].to_list()
    assert held == [pytest.approx(3660 * second_kwh, rel=1e-9)]
    assert list(rejected_counts(case).values()) == [1]
