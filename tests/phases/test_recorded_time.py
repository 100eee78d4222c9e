"""Tests of the node time held by the records of jobs, inside and outside the study."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.core.sums import sum_or_zero
from footprint.phases import ratio, recorded_time
from footprint.schemas.energy import JobNodeEnergy
from footprint.schemas.raw import Jobs
from tests.phases.test_ratio import ratio_table, run

pytestmark = pytest.mark.filterwarnings("error")

START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 3, 4, tzinfo=UTC)
S_PER_H = 3600.0

Row = dict[str, Any]


def hours_after_start(hours: float | None) -> datetime | None:
    """A moment by its hours after the start of the study."""
    return None if hours is None else START + timedelta(hours=hours)


def job(job_id: int, started_h: float | None, stopped_h: float | None, **more: Any) -> Row:
    times = {"started_at": hours_after_start(started_h), "stopped_at": hours_after_start(stopped_h)}
    return {"job_id": job_id, **times, "walltime_s": None, "suspensions": None} | more


def job_node(
    job_id: int, node: str, hours: float, covered: float | None, share: float = 1.0
) -> Row:
    row = {"job_id": job_id, "node": node, "share": share if hours else None}
    unknown_h = share * hours * (1 - (covered or 0.0))
    return row | {"duration_s": hours * S_PER_H, "unknown_node_h": unknown_h}


def time_of_jobs(
    jobs: list[Row], nodes: list[tuple[int, str]], job_nodes: list[Row]
) -> pl.LazyFrame:
    schema = Jobs.create_empty().schema
    names = ("job_id", "started_at", "stopped_at", "walltime_s", "suspensions")
    of_nodes = JobNodeEnergy.create_empty().schema
    columns = ("job_id", "node", "share", "duration_s", "unknown_node_h")
    return recorded_time.recorded_time_of_jobs(
        pl.LazyFrame(jobs, {name: schema[name] for name in names}),
        pl.LazyFrame(nodes, {"job_id": pl.Int64(), "node": pl.String()}, orient="row"),
        pl.LazyFrame(job_nodes, {name: of_nodes.get(name, pl.Float64()) for name in columns}),
        start=START,
        end=END,
    )


def node_hours(*args: Any) -> dict[int, tuple[float, float]]:
    """Held node hours, and those with known energy, of each job."""
    rows = (
        time_of_jobs(*args)
        .group_by("job_id")
        .agg(sum_or_zero(pl.col("held_s", "known_s")) / S_PER_H)
        .collect()
    )
    return {row["job_id"]: (row["held_s"], row["known_s"]) for row in rows.to_dicts()}


def test_held_time_inside_study_is_share_times_time() -> None:
    rows = [job_node(1, "a-1", 4, 0.5, 0.25), job_node(2, "a-1", 2, None, 0.5)]
    found = node_hours([job(1, 0, 4), job(2, 4, 6)], [(1, "a-1"), (2, "a-1")], rows)
    assert found == {1: (1.0, 0.5), 2: (1.0, 0.0)}


def test_held_time_on_node_outside_study_is_whole_and_unmeasured() -> None:
    nodes = [(1, "a-1"), (1, "b-1")]
    assert node_hours([job(1, 1, 5)], nodes, [job_node(1, "a-1", 4, 1.0)]) == {1: (8.0, 4.0)}


def test_held_time_outside_window_is_unmeasured() -> None:
    # 24 h of half a node, of which 20 h before the window; 6 h, of which 4 h after it
    rows = [job_node(1, "a-1", 4, 1.0, 0.5), job_node(2, "a-1", 2, 1.0)]
    found = node_hours([job(1, -20, 4), job(2, 22, 28)], [(1, "a-1"), (2, "a-1")], rows)
    assert found == {1: (12.0, 2.0), 2: (6.0, 2.0)}


def test_held_time_of_job_outside_window_is_unmeasured() -> None:
    rows = [job_node(2, "a-1", 1, 1.0)]
    assert node_hours([job(1, -5, -2), job(2, 0, 1)], [(1, "a-1"), (2, "a-1")], rows)[1] == (
        3.0,
        0.0,
    )


def test_held_time_of_job_that_lost_its_time_to_another_is_zero() -> None:
    rows = [job_node(2, "a-1", 1, 1.0)]
    assert node_hours([job(1, 0, 1), job(2, 0, 1)], [(1, "a-1"), (2, "a-1")], rows)[1] == (0.0, 0.0)


def test_held_time_without_known_nodes_is_one_unmeasured_node() -> None:
    assert node_hours([job(1, 2, 5), job(2, None, None)], [], []) == {1: (3.0, 0.0)}


def test_held_time_without_end_ends_by_walltime_or_with_study() -> None:
    jobs = [job(1, -2, None, walltime_s=3 * 3600), job(2, -2, None)]
    rows = [job_node(1, "a-1", 1, 1.0), job_node(2, "a-2", 24, 1.0)]
    assert node_hours(jobs, [(1, "a-1"), (2, "a-2")], rows) == {
        1: (3.0, 1.0),
        2: (26.0, 24.0),
    }


def test_held_time_before_window_excludes_suspensions() -> None:
    pause = [{"started_at": hours_after_start(-8), "stopped_at": hours_after_start(-3)}]
    jobs = [job(1, -10, 4, suspensions=pause)]
    assert node_hours(jobs, [(1, "a-1")], [job_node(1, "a-1", 4, 1.0)]) == {1: (9.0, 4.0)}


@pytest.mark.parametrize(
    ("jobs", "nodes", "job_nodes", "reason"),
    [
        # 4 h on a-1 and on b-1, which the study lacks; development 2 h on a-1
        (
            [job(1, 1, 5), job(2, 6, 8)],
            [(1, "a-1"), (1, "b-1"), (2, "a-1")],
            [job_node(1, "a-1", 4, 1.0), job_node(2, "a-1", 2, 1.0)],
            "50 % of training known",
        ),
        # 24 h, of which 20 h before the study
        (
            [job(1, -20, 4), job(2, 6, 8)],
            [(1, "a-1"), (2, "a-1")],
            [job_node(1, "a-1", 4, 1.0), job_node(2, "a-1", 2, 1.0)],
            "16 % of training known",
        ),
        # all inside
        (
            [job(1, 1, 5), job(2, 6, 8)],
            [(1, "a-1"), (2, "a-1")],
            [job_node(1, "a-1", 4, 1.0), job_node(2, "a-1", 2, 1.0)],
            None,
        ),
    ],
)
def test_ratio_coverage_includes_time_outside_the_study(
    jobs: list[Row], nodes: list[tuple[int, str]], job_nodes: list[Row], reason: str | None
) -> None:
    rows = [run(1, "training_run", 0.8), run(2, "training_run", 0.4)]
    runs = pl.LazyFrame({"run_id": [1, 2], "job_ids": [[1], [2]]})
    time = ratio.time_of_runs(runs, time_of_jobs(jobs, nodes, job_nodes))
    labels = [{"run_id": 1, "role": "reported"}, {"run_id": 2, "role": "other"}]
    (row,) = ratio_table(rows, labels, time=time).filter(scope="paper").to_dicts()
    assert row["ratio_reason"] == reason
    assert row["ratio"] == (0.5 if reason is None else None)
