"""Power traces of runs by hand."""

from datetime import timedelta

import polars as pl
import pytest

from footprint.report.page import run_rows, traces
from tests.report.page.inputs import END, START, job_energy_of, level, levels_frame, run, runs_frame

pytestmark = pytest.mark.filterwarnings("error")

LEVELS = levels_frame(level("speech", "project", 40.0), level("u-1", "user", 40.0))
NO_PAPERS = pl.DataFrame(schema={"job_id": pl.Int64, "paper": pl.String})
MINUTES = 7 * 24 * 60


def power(node: str, watts: float, *, until_h: float = 168.0) -> pl.LazyFrame:
    """A reading a minute from the start of the study; the run is from hour 10 to 20."""
    times = [START + timedelta(minutes=minute) for minute in range(int(until_h * 60))]
    values = [watts if 600 <= minute < 1200 else 100.0 for minute in range(len(times))]
    return pl.LazyFrame(
        {"node": node, "timestamp": times, "power_w": values},
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


def traces_of(nodes: list[str], *frames: pl.LazyFrame) -> list[dict]:
    frame = runs_frame(run(1, 5.0, 10.0, at_h=10.0), run(2, None, 0.0, at_h=3.0))
    jobs = job_energy_of(frame)
    runs = run_rows.runs_of_page(frame, jobs, NO_PAPERS, LEVELS)
    allocations = pl.DataFrame({"job_id": [1] * len(nodes), "node": nodes})
    return traces.power_traces(runs, jobs, allocations, frames, start=START, end=END)


def test_trace_has_the_power_of_all_nodes_and_time_around_the_run() -> None:
    [found] = traces_of(["a-1", "a-2"], power("a-1", 500.0), power("a-2", 300.0))
    assert found["run_id"] == 1
    assert found["nodes"] == ["a-1", "a-2"]
    # 5 % of 10 h before the run, at 9:30
    assert found["start_s"] == round(START.timestamp()) + 570 * 60
    assert found["step_s"] == 300
    # 11 h of 5 minutes
    assert found["power_w"] == [200] * 6 + [800] * 120 + [200] * 6
    since = round(START.timestamp()) + 36000
    assert found["spans"] == [[since, since + 36000]]


def test_trace_is_unknown_where_a_node_has_no_reading() -> None:
    [found] = traces_of(["a-1", "a-2"], power("a-1", 500.0), power("a-2", 300.0, until_h=15.0))
    assert found["power_w"][:66] == [200] * 6 + [800] * 60
    assert set(found["power_w"][66:]) == {None}


def test_trace_of_unmeasured_nodes_is_unknown() -> None:
    [found] = traces_of(["a-1", "b-1"], power("a-1", 500.0))
    assert set(found["power_w"]) == {None}


def test_study_without_power_has_traces_without_values() -> None:
    [found] = traces_of(["a-1"])
    assert set(found["power_w"]) == {None}


def test_trace_of_a_chain_has_the_nodes_of_the_job_of_each_time() -> None:
    frame = runs_frame(run(1, 5.0, 10.0, at_h=10.0, job_ids=[1, 2]))
    times = {"started_at": [10.0, 15.0], "stopped_at": [14.0, 20.0]}
    jobs = pl.DataFrame(
        {"job_id": [1, 2], "clusters": [["a"], ["a"]]}
        | {name: [START + timedelta(hours=hour) for hour in hours] for name, hours in times.items()}
    )
    runs = run_rows.runs_of_page(frame, jobs, NO_PAPERS, LEVELS)
    allocations = pl.DataFrame({"job_id": [1, 2], "node": ["a-1", "a-2"]})
    frames = [power("a-1", 500.0), power("a-2", 300.0)]
    [found] = traces.power_traces(runs, jobs, allocations, frames, start=START, end=END)
    assert found["nodes"] == ["a-1", "a-2"]
    # 30 minutes before; a-1 to the start of the second job; a-2 to its end, and after it
    assert found["power_w"] == [100] * 6 + [500] * 60 + [300] * 60 + [100] * 6
    assert len(found["spans"]) == 2
