"""Totals of jobs on nodes, jobs and groups."""

import polars as pl
import pytest

from footprint.totals.study_totals import add_job_totals, add_totals_of_jobs, group_intervals
from tests.support.totals_inputs import error_model, frame, job_node

ROWS = [
    job_node(1, "a-1", 10.0, user="x"),
    job_node(2, "a-1", 6.0, own_readings_kwh=1.0, same_job_kwh=3.0, user="x"),
    job_node(2, "u-1", None, virtual_meter_kwh=5.0, user="x"),
    job_node(3, "u-1", None, user="y") | {"estimated_kwh": None, "unknown_node_h": 2.5},
    job_node(4, "a-1", 8.0, user="z"),
    job_node(4, "w-1", None, user="z") | {"estimated_kwh": None, "unknown_node_h": 4.0},
    job_node(5, "a-2", 0.0, user="z"),
]


def test_job_node_totals_are_measured_plus_estimated() -> None:
    found = add_job_totals(frame(*ROWS), error_model()).collect()
    assert found["total_kwh"].to_list() == [10.0, 10.0, 5.0, None, 8.0, None, 0.0]
    assert found["measured_frac"].to_list() == [1.0, 0.6, 0.0, None, 1.0, None, None]
    basis = ["none", "same_job", "virtual_meter", None, "none", None, "none"]
    assert found["estimate_basis"].to_list() == basis
    known = found.drop_nulls("total_kwh")
    assert (known["total_low_kwh"] <= known["total_kwh"]).all()
    assert (known["total_high_kwh"] >= known["total_kwh"]).all()
    assert found["total_low_kwh"].is_null().to_list() == found["total_kwh"].is_null().to_list()


def test_job_totals_replace_columns_of_earlier_totals() -> None:
    rows = frame(*ROWS).with_columns(total_kwh=0.0, total_low_kwh=0.0, total_high_kwh=0.0)
    found = add_job_totals(rows, error_model()).collect()
    assert found["total_high_kwh"][0] > 10


def test_totals_of_jobs_take_the_interval_of_their_nodes() -> None:
    jobs = pl.LazyFrame(
        {
            "job_id": [2, 1, 3, 9],
            "measured_kwh": [6.0, 10.0, None, 0.0],
            "estimated_kwh": [9.0, 0.0, None, 0.0],
        }
    )
    found = add_totals_of_jobs(jobs, frame(*ROWS), error_model()).collect()
    assert found["job_id"].to_list() == [2, 1, 3, 9]
    assert found["total_kwh"].to_list() == [15.0, 10.0, None, 0.0]
    assert found["measured_frac"].to_list() == [0.4, 1.0, None, None]
    assert found["estimate_basis"].to_list() == ["virtual_meter", "none", None, "none"]
    assert found["total_low_kwh"][0] < 15 < found["total_high_kwh"][0]
    assert found.select("total_low_kwh", "total_high_kwh").rows()[2:] == [(None, None), (0.0, 0.0)]


def test_group_conserves_energy_and_counts_unknown_time() -> None:
    unknown = job_node(6, "u-1", None, user="y") | {"estimated_kwh": None, "unknown_node_h": 1.5}
    found = group_intervals(frame(*ROWS, unknown), ["user"], error_model())
    columns = ("user", "measured_kwh", "estimated_kwh", "total_kwh", "unknown_node_h")
    assert found.select(columns).rows() == [
        ("x", 16.0, 9.0, 25.0, 0.0),
        ("y", None, None, None, 4.0),
        ("z", 8.0, 0.0, 8.0, 4.0),
    ]
    assert found["measured_frac"].to_list() == [pytest.approx(0.64), None, 1.0]
    assert found["total_low_kwh"].is_null().to_list() == [False, True, False]


def test_group_intervals_contain_totals_and_do_not_depend_on_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = frame(*(job_node(n, "a-1", float(n), name=f"g{n}") for n in range(1, 8)))
    found = group_intervals(rows, ["name"], error_model())
    monkeypatch.setattr("footprint.totals.study_totals.GROUPS_AT_ONCE", 2)
    assert group_intervals(rows, ["name"], error_model()).equals(found)
    assert (found["total_low_kwh"] <= found["total_kwh"]).all()


def test_group_intervals_without_rows_are_empty() -> None:
    assert group_intervals(frame(*ROWS).head(0), ["user"], error_model()).is_empty()
