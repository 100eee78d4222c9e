"""Tests of the total energies of runs: sums of their jobs, with intervals that contain them."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.phases import energies

pytestmark = pytest.mark.filterwarnings("error")

RUN_OF_JOB = pl.LazyFrame({"job_id": [1, 2, 3, 4], "run_id": [1, 1, 3, 4]})
JOBS = pl.LazyFrame(
    {
        "job_id": [1, 2, 3, 4],
        "measured_kwh": [3.0, None, None, 2.0],
        "estimated_kwh": [1.0, 2.0, None, 0.0],
    }
)
JOB_NODES = pl.LazyFrame(
    {
        "job_id": [1, 2, 3, 4],
        "node": ["a-1", "a-1", "a-1", "b-1"],
        "cluster": ["a", "a", "a", "b"],
        "share": [1.0, 1.0, 0.5, 1.0],
        "duration_s": 7200.0,
        "covered_s": [3600.0, 0.0, 0.0, 7200.0],
        "measured_kwh": [3.0, None, None, 2.0],
        "estimated_kwh": [1.0, 2.0, None, 0.0],
    }
)


def energies_of_runs(errors: energies.StudyErrors | None) -> pl.DataFrame:
    jobs = energies.complete_jobs(JOBS)
    return energies.energy_of_runs(RUN_OF_JOB, jobs, errors).collect()


def test_energy_of_runs_sums_known_totals_of_jobs() -> None:
    found = energies_of_runs(None)
    assert found.select("run_id", *energies.ENERGY_COLUMNS).rows() == [
        (1, 3.0, 3.0, 6.0),
        (3, None, None, None),
        (4, 2.0, 0.0, 2.0),
    ]
    assert found["measured_frac"].to_list() == [0.5, None, 1.0]
    assert found["total_low_kwh"].null_count() == found["total_high_kwh"].null_count() == 3


def test_intervals_of_runs_contain_totals_and_are_null_where_these_are() -> None:
    errors = energies.errors_of_study(
        JOB_NODES,
        job_energy=pl.LazyFrame(schema={"job_id": pl.Int64, "similar": pl.Int64}),
        virtual_meter=None,
        meters=None,
    )
    found = energies_of_runs(errors)
    assert found["total_low_kwh"].is_null().to_list() == [False, True, False]
    known = found.drop_nulls("total_kwh")
    assert (known["total_low_kwh"] <= known["total_kwh"]).all()
    assert (known["total_high_kwh"] >= known["total_kwh"]).all()
    # the gain of the meters, 0.95 to 1.15
    ends = known.filter(run_id=4).select("total_low_kwh", "total_high_kwh").row(0)
    assert ends == pytest.approx((1.88, 2.32), abs=0.03)


def test_unknown_time_of_tables_without_parts_is_that_without_estimate() -> None:
    found = energies.complete_job_nodes(JOB_NODES).collect()
    # job 3: half of the node for two hours
    assert found["unknown_node_h"].to_list() == [0.0, 0.0, 1.0, 0.0]
    assert found["own_readings_kwh"].to_list() == [1.0, 2.0, None, 0.0]


def test_columns_of_totals_are_kept_where_the_table_has_them() -> None:
    given = JOBS.with_columns(total_kwh=pl.lit(9.0), measured_frac=pl.lit(0.1))
    found = energies.complete_jobs(given).collect()
    assert found["total_kwh"].to_list() == [9.0] * 4
    assert found["measured_frac"].to_list() == [0.1] * 4
