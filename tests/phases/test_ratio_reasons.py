"""Tests of R of phases of unknown energy and of projects without labels: null, with a reason."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.phases import ratio
from tests.phases.test_ratio import (
    LABELS,
    PAPER_RUNS,
    Row,
    paper_row,
    ratio_table,
    run,
    time_frame,
)

pytestmark = pytest.mark.filterwarnings("error")


def ratio_of(**known_s: float) -> tuple[float | None, str | None]:
    row = paper_row(PAPER_RUNS, LABELS, time=time_frame(PAPER_RUNS, **known_s))
    return row["ratio"], row["ratio_reason"]


def test_ratio_of_fully_measured_phases_has_no_reason() -> None:
    row = paper_row(PAPER_RUNS, LABELS)
    assert (row["ratio"], row["ratio_reason"]) == (5.0, None)
    assert (row["development_known_frac"], row["training_known_frac"]) == (1.0, 1.0)


def test_ratio_training_measured_for_half_of_its_time_is_null() -> None:
    # runs 1 and 2 trained, an hour each; run 2 was not measured
    assert ratio_of(run_2=0.0) == (None, "50 % of training known")


def test_ratio_development_measured_for_less_than_nine_tenths_is_null() -> None:
    # runs 4 to 8, an hour each: 4.4 of 5 hours
    assert ratio_of(run_4=1440.0) == (None, "88 % of development known")


def test_ratio_reason_contains_both_phases() -> None:
    reason = "88 % of development, 50 % of training known"
    assert ratio_of(run_2=0.0, run_4=1440.0) == (None, reason)


def test_ratio_of_phases_measured_for_exactly_nine_tenths_is_given() -> None:
    assert ratio_of(run_2=2880.0, run_4=1800.0) == (5.0, None)
    assert ratio_of(run_2=2876.0)[0] is None
    # 89.9 % is rounded down
    assert ratio_of(run_2=2876.0)[1] == "89 % of training known"


def test_ratio_with_unmeasured_inference_and_unknown_runs_is_given() -> None:
    row = paper_row(PAPER_RUNS, LABELS, time=time_frame(PAPER_RUNS, run_3=0.0, run_9=0.0))
    assert row["ratio"] == 5.0
    # but with the unknown run as development, 5 of its 6 hours are measured
    assert row["ratio_all_unknown"] is None


def test_ratio_coverage_weights_runs_by_share_and_time_held() -> None:
    short = time_frame(PAPER_RUNS, run_2=0.0).with_columns(
        held_s=pl.when(pl.col("run_id") == 2).then(300.0).otherwise("held_s")
    )
    row = paper_row(PAPER_RUNS, LABELS, time=short)
    assert row["training_known_frac"] == pytest.approx(3600 / 3900, rel=1e-12)
    assert row["ratio"] == 5.0


def test_baseline_ratio_with_phases_of_unknown_energy_is_null() -> None:
    exit_states = pl.LazyFrame(
        {"run_id": [1, 4, 5, 9], "phase": ["development", "training", "unknown", "development"]}
    )
    row = paper_row(PAPER_RUNS, LABELS, baseline=exit_states)
    assert row["baseline_ratio"] == pytest.approx(28.0 / 30.0, rel=1e-12)
    # run 9 is of unknown kind by the rules, so that R needs no energy of it
    row = paper_row(
        PAPER_RUNS, LABELS, baseline=exit_states, time=time_frame(PAPER_RUNS, run_9=1800.0)
    )
    assert (row["ratio"], row["baseline_ratio"]) == (5.0, None)


def test_ratio_without_training_has_its_reason_before_coverage() -> None:
    row = paper_row(
        PAPER_RUNS[3:], [{"run_id": 4, "role": "other"}], time=time_frame(PAPER_RUNS, run_5=0)
    )
    assert (row["ratio"], row["ratio_reason"]) == (None, ratio.NO_TRAINING_REASON)


def test_ratio_of_training_without_recorded_time_is_null_with_reason() -> None:
    rows = [run(1, "training_run", None), run(2, "debug", 1.0)]
    nothing = pl.LazyFrame(
        schema={"run_id": pl.Int64()} | dict.fromkeys(ratio.TIME_COLUMNS, pl.Float64())
    )
    row = paper_row(rows, LABELS[:1], time=nothing)
    assert (row["ratio"], row["ratio_reason"]) == (None, "energy of training unknown")


def test_time_of_runs_sums_the_jobs_and_nodes_of_each_run() -> None:
    runs = pl.LazyFrame({"run_id": [1, 3, 9], "job_ids": [[1, 2], [3], [9]]})
    of_jobs = pl.LazyFrame(
        {
            "job_id": [1, 1, 2, 3, 4],
            "held_s": [50.0, 100.0, 40.0, 0.0, 70.0],
            "known_s": [25.0, 0.0, 40.0, 0.0, 70.0],
        }
    )
    found = ratio.time_of_runs(runs, of_jobs).collect()
    assert found.rows() == [(1, 190.0, 65.0), (3, 0.0, 0.0)]


PAPER_P = [run(1, "training_run", 10.0), run(2, "debug", 30.0)]


def project_ratio(*more: Row, labels: list[Row] | None = None) -> tuple[float | None, str | None]:
    rows = ratio_table([*PAPER_P, *more], labels or LABELS[:1]).filter(scope="project")
    (row,) = rows.iter_rows(named=True)
    return row["ratio"], row["ratio_reason"]


def test_ratio_of_project_with_labels_of_all_papers_is_given() -> None:
    # the only paper
    assert project_ratio() == (3.0, None)
    # 4 of 44 kWh are without a paper, at most 10 %: (30 + 4) / 10
    assert project_ratio(run(3, "debug", 4.0, paper=None)) == (3.4, None)


def test_ratio_of_project_with_unlabelled_runs_is_null_with_reason() -> None:
    assert project_ratio(run(3, "debug", 5.0, paper=None)) == (None, ratio.UNCOVERED_REASON)


def test_ratio_of_project_with_a_paper_without_training_is_null_with_reason() -> None:
    other = run(3, "inference_run", 1.0, paper="other")
    assert project_ratio(other) == (None, ratio.UNCOVERED_REASON)
    trained = [run(3, "training_run", 10.0, paper="other")]
    # assumed: the largest of the other paper
    assert project_ratio(*trained) == (1.5, None)


def test_ratio_of_project_without_any_label_is_null_with_reason() -> None:
    rows = [run(1, "training_run", 10.0, paper=None), run(2, "debug", 30.0, paper=None)]
    (row,) = ratio_table(rows).iter_rows(named=True)
    # the training is assumed, and its energy is known
    assert (row["training_kwh"], row["development_kwh"]) == (10.0, 30.0)
    assert (row["ratio"], row["ratio_reason"]) == (None, ratio.UNCOVERED_REASON)
    assert (row["ratio_all_unknown"], row["baseline_ratio"]) == (None, None)


def test_ratio_of_training_that_is_estimated_alone_is_given() -> None:
    estimated = {"measured_kwh": None, "estimated_kwh": 10.0, "total_kwh": 10.0}
    rows = [run(1, "training_run", None, **estimated), run(2, "debug", 30.0)]
    row = paper_row(rows, LABELS[:1], time=time_frame(rows, run_1=3600.0))
    assert (row["ratio"], row["ratio_reason"]) == (3.0, None)
    assert (row["training_measured_frac"], row["development_measured_frac"]) == (0.0, 1.0)
    assert (row["measured_kwh"], row["estimated_kwh"], row["total_kwh"]) == (30.0, 10.0, 40.0)
