"""Energies of jobs against metered and true ones: selection, errors and their summary."""

from typing import Any

import polars as pl
import pytest

from footprint.schemas.validation import SimulationCheck
from footprint.schemas.writing import conform
from footprint.validation import against_truth

STEPS = {"fine": 1.0, "coarse": 36.0, "none": 0.0}


def compare_jobs(*jobs: dict[str, Any]) -> pl.DataFrame:
    """Comparison of jobs with ids from 1: by default an hour on a `fine` node without error.

    `metered` has the energy of a perfect meter on each node, `true` that which the node drew (by
    default 1.1 times as much), `clusters` the cluster of each node. The total is 2.2 kWh.
    """
    usual = {
        "clusters": ["fine"],
        "metered": [2.0],
        "measured_kwh": 2.0,
        "total_kwh": 2.2,
        "low": 2.0,
        "high": 2.4,
        "duration_s": 3600.0,
        "coverage_frac": 1.0,
    }
    filled = [{"job_id": i, **usual, **job} for i, job in enumerate(jobs, start=1)]
    energies = pl.LazyFrame(
        [
            {
                **{
                    key: job[key]
                    for key in (
                        *("job_id", "measured_kwh", "total_kwh", "duration_s", "coverage_frac"),
                    )
                },
                "total_low_kwh": job["low"],
                "total_high_kwh": job["high"],
            }
            for job in filled
        ],
        schema_overrides={"measured_kwh": pl.Float64, "total_kwh": pl.Float64},
    )
    nodes = pl.LazyFrame(
        [{"job_id": job["job_id"], "cluster": each} for job in filled for each in job["clusters"]]
    )
    truth = pl.LazyFrame(
        [
            {
                "job_id": job["job_id"],
                "metered_kwh": each,
                "true_kwh": true,
            }
            for job in filled
            for each, true in zip(
                job["metered"],
                job.get("true", [1.1 * (each or 0.0) for each in job["metered"]]),
                strict=True,
            )
        ],
        schema={"job_id": pl.Int64, "metered_kwh": pl.Float64, "true_kwh": pl.Float64},
    )
    return against_truth.compare_with_truth(energies, nodes, truth, STEPS).collect()


def test_error_is_against_metered_and_interval_against_true_energy() -> None:
    over, under = compare_jobs(
        {"measured_kwh": 2.02}, {"measured_kwh": 1.5, "low": 1.9, "high": 2.1}
    ).rows(named=True)
    assert over["error_frac"] == pytest.approx(0.01)
    assert over["width_frac"] == pytest.approx(0.4 / 2.2)
    assert over["inside"] is True
    assert under["error_frac"] == pytest.approx(-0.25)
    assert under["inside"] is False  # 2.2 kWh are true, and 2.0 kWh metered


def test_comparison_of_estimated_jobs_has_an_interval_and_no_error() -> None:
    job = compare_jobs(
        {"measured_kwh": None, "coverage_frac": 0.0, "metered": [None], "true": [2.3]}
    ).row(0, named=True)
    assert (job["error_frac"], job["step_w"], job["compared"]) == (None, None, False)
    assert job["inside"] is True
    assert job["width_frac"] == pytest.approx(0.4 / 2.3)


def test_comparison_sums_truth_over_nodes_of_a_job() -> None:
    job = compare_jobs({"clusters": ["fine", "coarse"], "metered": [0.5, 1.5]}).row(0, named=True)
    assert job["metered_kwh"] == 2
    assert job["true_kwh"] == pytest.approx(2.2)
    assert job["error_frac"] == 0
    assert job["step_w"] == 36  # step of its coarsest sensor


@pytest.mark.parametrize(
    ("job", "is_compared"),
    [
        ({}, True),
        ({"duration_s": 600.5}, True),
        ({"duration_s": 600.0}, False),
        ({"coverage_frac": 1 - 1e-10}, True),
        ({"coverage_frac": 0.999}, False),
    ],
)
def test_comparison_excludes_short_and_uncovered_jobs(
    job: dict[str, Any], is_compared: bool
) -> None:
    assert compare_jobs(job)["compared"].to_list() == [is_compared]


@pytest.mark.parametrize(
    "job",
    [
        {"total_kwh": None},
        {"duration_s": 0.0},
        {"metered": [0.0]},
        {"metered": []},
    ],
)
def test_comparison_omits_jobs_without_total_or_truth(job: dict[str, Any]) -> None:
    assert compare_jobs(job, {})["job_id"].to_list() == [2]


def test_summary_gives_errors_by_sensor_step_and_over_all() -> None:
    jobs = compare_jobs(
        {"measured_kwh": 2.02},
        {"measured_kwh": 1.96},
        {"measured_kwh": 3.0, "duration_s": 60.0, "low": 2.9, "high": 3.3},  # too short to compare
        {"clusters": ["coarse"], "measured_kwh": 2.2, "low": 2.3, "high": 2.5},
        {"measured_kwh": None, "coverage_frac": 0.0, "metered": [None], "true": [2.2]},
    )
    table = conform(SimulationCheck, against_truth.summarise_errors(jobs.lazy()))
    assert table["sensors"].to_list() == ["1 W", "36 W", "all", "no readings"]
    fine, coarse, together, unread = table.rows(named=True)
    assert (fine["n_jobs"], fine["n_jobs_compared"]) == (3, 2)
    assert fine["largest_error_frac"] == pytest.approx(0.02)
    assert fine["median_error_frac"] == pytest.approx(0.015)
    assert fine["inside_frac"] == pytest.approx(2 / 3)
    assert fine["median_width_frac"] == pytest.approx(0.4 / 2.2)
    assert (unread["n_jobs"], unread["n_jobs_compared"], unread["inside_frac"]) == (1, 0, 1)
    assert unread["largest_error_frac"] is None
    assert (coarse["n_jobs"], coarse["inside_frac"]) == (1, 0)
    assert together["n_jobs"] == 5
    assert together["largest_error_frac"] == pytest.approx(0.1)
    assert together["inside_frac"] == pytest.approx(3 / 5)


def test_summary_without_known_jobs_is_empty() -> None:
    nothing = compare_jobs({"total_kwh": None})
    summary = conform(SimulationCheck, against_truth.summarise_errors(nothing.lazy()))
    assert summary.is_empty()


def test_sensor_steps_match_the_simulated_site() -> None:
    source = {
        "start": "2025-03-03",
        "end": "2025-03-04",
        "nodes": {"grat": 1, "gres": 1},
        "jobs": 5,
    }
    assert against_truth.sensor_steps_w(source, site="nancy") == {"grat": 36.0, "gres": 0.0}
