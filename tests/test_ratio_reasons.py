"""R of sides of which less than 90 % of the time was measured is null, with a reason."""

from __future__ import annotations

import polars as pl
import pytest
from test_phase_ratios import LABELS, PAPER, of_paper, run, time_frame, variants_frame

from footprint.phases import ratios

pytestmark = pytest.mark.filterwarnings("error")


def ratio_of(**measured_s: float) -> tuple[float | None, str | None]:
    row = of_paper(PAPER, LABELS, time=time_frame(PAPER, **measured_s))
    return row["ratio"], row["ratio_reason"]


def test_ratio_of_whole_sides_has_no_reason() -> None:
    row = of_paper(PAPER, LABELS)
    assert (row["ratio"], row["ratio_reason"]) == (5.0, None)
    assert (row["development_coverage_frac"], row["training_coverage_frac"]) == (1.0, 1.0)


def test_ratio_training_measured_for_half_of_its_time_is_null() -> None:
    # runs 1 and 2 trained, an hour each; run 2 was not measured
    assert ratio_of(run_2=0.0) == (None, "50 % of training measured")


def test_ratio_development_measured_for_less_than_nine_tenths_is_null() -> None:
    # runs 4 to 8, an hour each: 4.4 of 5 hours
    assert ratio_of(run_4=1440.0) == (None, "88 % of development measured")


def test_ratio_reason_names_both_sides() -> None:
    reason = "88 % of development, 50 % of training measured"
    assert ratio_of(run_2=0.0, run_4=1440.0) == (None, reason)


def test_ratio_of_sides_measured_for_exactly_nine_tenths_is_given() -> None:
    assert ratio_of(run_2=2880.0, run_4=1800.0) == (5.0, None)
    assert ratio_of(run_2=2876.0)[0] is None
    # 89.9 % are not said to be 90 %
    assert ratio_of(run_2=2876.0)[1] == "89 % of training measured"


def test_ratio_unmeasured_inference_and_unknown_runs_do_not_matter() -> None:
    row = of_paper(PAPER, LABELS, time=time_frame(PAPER, run_3=0.0, run_9=0.0))
    assert row["ratio"] == 5.0
    # but with the unknown run as development, 5 of its 6 hours are measured
    assert row["ratio_all_unknown"] is None


def test_ratio_runs_count_by_the_share_and_time_that_they_held() -> None:
    short = time_frame(PAPER, run_2=0.0).with_columns(
        held_s=pl.when(pl.col("run_id") == 2).then(300.0).otherwise("held_s")
    )
    row = of_paper(PAPER, LABELS, time=short)
    assert row["training_coverage_frac"] == pytest.approx(3600 / 3900, rel=1e-12)
    assert row["ratio"] == 5.0


def test_ratio_by_exit_states_needs_its_own_sides_measured() -> None:
    said = pl.LazyFrame(
        {"run_id": [1, 4, 5, 6], "phase": ["development", "training", "unknown", "development"]}
    )
    half = {"run_2": 0.0, "run_5": 0.0}  # of neither side by that rule
    row = of_paper(PAPER, LABELS, baseline=said, time=time_frame(PAPER, **half))
    assert row["baseline_ratio"] == pytest.approx(14.0 / 30.0, rel=1e-12)
    for part in ({"run_4": 1800.0}, {"run_6": 1800.0}):
        row = of_paper(PAPER, LABELS, baseline=said, time=time_frame(PAPER, **part))
        assert row["baseline_ratio"] is None


def test_ratio_range_is_null_where_a_variant_rests_on_a_half_measured_side() -> None:
    # run 9 is unknown and hardly measured; a variant makes it development: 5.1 of 6 hours
    time = time_frame(PAPER, run_9=360.0)
    varied = variants_frame((9, 1, "debug"), (4, 2, "unknown"))
    row = of_paper(PAPER, LABELS, variants=varied, time=time)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (5.0, None, None)
    row = of_paper(PAPER, LABELS, variants=variants_frame((4, 2, "unknown")), time=time)
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2.0, 5.0, 5.0)


def test_ratio_range_is_null_where_a_variant_has_only_unmeasured_development() -> None:
    rows = [run(1, "training_run", 8.0), run(2, "unknown", None)]
    varied = variants_frame((2, 1, "debug"))
    row = of_paper(rows, LABELS[:1], variants=varied)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (0.0, None, None)


def test_ratio_without_training_says_so_however_little_was_measured() -> None:
    row = of_paper(PAPER[3:], [{"run_id": 4, "role": "other"}], time=time_frame(PAPER, run_5=0))
    assert (row["ratio"], row["ratio_reason"]) == (None, ratios.NO_TRAINING)


def test_ratio_training_that_held_nothing_known_is_null_with_a_reason() -> None:
    rows = [run(1, "training_run", None), run(2, "debug", 1.0)]
    nothing = pl.LazyFrame(schema={"run_id": pl.Int64()} | dict.fromkeys(ratios.TIME, pl.Float64()))
    row = of_paper(rows, LABELS[:1], time=nothing)
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
    found = ratios.time_of_runs(runs, of_jobs).collect()
    assert found.rows() == [(1, 190.0, 65.0), (3, 0.0, 0.0)]
