"""Tests of R of phases with less than 90 % of the time measured: null, with a reason."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.phases import ratio
from tests.phases.test_ratio import LABELS, PAPER_RUNS, paper_row, run, time_frame, variants_frame

pytestmark = pytest.mark.filterwarnings("error")


def ratio_of(**measured_s: float) -> tuple[float | None, str | None]:
    row = paper_row(PAPER_RUNS, LABELS, time=time_frame(PAPER_RUNS, **measured_s))
    return row["ratio"], row["ratio_reason"]


def test_ratio_of_fully_measured_phases_has_no_reason() -> None:
    row = paper_row(PAPER_RUNS, LABELS)
    assert (row["ratio"], row["ratio_reason"]) == (5.0, None)
    assert (row["development_coverage_frac"], row["training_coverage_frac"]) == (1.0, 1.0)


def test_ratio_training_measured_for_half_of_its_time_is_null() -> None:
    # runs 1 and 2 trained, an hour each; run 2 was not measured
    assert ratio_of(run_2=0.0) == (None, "50 % of training measured")


def test_ratio_development_measured_for_less_than_nine_tenths_is_null() -> None:
    # runs 4 to 8, an hour each: 4.4 of 5 hours
    assert ratio_of(run_4=1440.0) == (None, "88 % of development measured")


def test_ratio_reason_contains_both_phases() -> None:
    reason = "88 % of development, 50 % of training measured"
    assert ratio_of(run_2=0.0, run_4=1440.0) == (None, reason)


def test_ratio_of_phases_measured_for_exactly_nine_tenths_is_given() -> None:
    assert ratio_of(run_2=2880.0, run_4=1800.0) == (5.0, None)
    assert ratio_of(run_2=2876.0)[0] is None
    # 89.9 % is rounded down
    assert ratio_of(run_2=2876.0)[1] == "89 % of training measured"


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
    assert row["training_coverage_frac"] == pytest.approx(3600 / 3900, rel=1e-12)
    assert row["ratio"] == 5.0


def test_baseline_ratio_with_unmeasured_phases_of_its_own_is_null() -> None:
    exit_states = pl.LazyFrame(
        {"run_id": [1, 4, 5, 6], "phase": ["development", "training", "unknown", "development"]}
    )
    in_neither_phase = {"run_2": 0.0, "run_5": 0.0}  # by the exit-state rule
    row = paper_row(
        PAPER_RUNS, LABELS, baseline=exit_states, time=time_frame(PAPER_RUNS, **in_neither_phase)
    )
    assert row["baseline_ratio"] == pytest.approx(14.0 / 30.0, rel=1e-12)
    for part in ({"run_4": 1800.0}, {"run_6": 1800.0}):
        row = paper_row(
            PAPER_RUNS, LABELS, baseline=exit_states, time=time_frame(PAPER_RUNS, **part)
        )
        assert row["baseline_ratio"] is None


def test_ratio_range_with_variant_of_partly_measured_phase_is_null() -> None:
    # run 9 is unknown and hardly measured; a variant makes it development: 5.1 of 6 hours
    time = time_frame(PAPER_RUNS, run_9=360.0)
    varied = variants_frame((9, 1, "debug"), (4, 2, "unknown"))
    row = paper_row(PAPER_RUNS, LABELS, variants=varied, time=time)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (5.0, None, None)
    row = paper_row(PAPER_RUNS, LABELS, variants=variants_frame((4, 2, "unknown")), time=time)
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2.0, 5.0, 5.0)


def test_ratio_range_with_variant_of_unmeasured_development_is_null() -> None:
    rows = [run(1, "training_run", 8.0), run(2, "unknown", None)]
    varied = variants_frame((2, 1, "debug"))
    row = paper_row(rows, LABELS[:1], variants=varied)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (0.0, None, None)


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
    assert (row["ratio"], row["ratio_reason"]) == (None, "training without measured energy")


def test_time_of_runs_sums_the_jobs_and_nodes_of_each_run() -> None:
    runs = pl.LazyFrame({"run_id": [1, 3, 9], "job_ids": [[1, 2], [3], [9]]})
    of_jobs = pl.LazyFrame(
        {
            "job_id": [1, 1, 2, 3, 4],
            "held_s": [50.0, 100.0, 40.0, 0.0, 70.0],
            "measured_s": [25.0, 0.0, 40.0, 0.0, 70.0],
        }
    )
    found = ratio.time_of_runs(runs, of_jobs).collect()
    assert found.rows() == [(1, 190.0, 65.0), (3, 0.0, 0.0)]
