"""Closed form of intervals against draws."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.units import Z95
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_totals import draw_groups
from footprint.totals.job_totals import group_ends, intervals_of_rows
from tests.support.totals_inputs import error_model, frame, job_node

LINE = {"slope": 1.1, "slope_error": 0.005, "offset": 3.0, "offset_error": 2.0, "residual_w": 4.0}

JOBS = {
    "measured": [job_node(1, "a-1", 10.0, sampling_kwh=0.2, resolution_kwh=0.1)],
    "measured on two nodes": [job_node(1, "a-1", 10.0), job_node(1, "a-2", 8.0, gap_kwh=1.0)],
    "measured on two clusters": [job_node(1, "a-1", 10.0), job_node(1, "b-1", 8.0)],
    "estimated": [job_node(1, "u-1", virtual_meter_kwh=10.0)],
    "estimated by hardware": [job_node(1, "u-1", hardware_kwh=10.0)],
    "estimated on both bases": [job_node(1, "u-1", virtual_meter_kwh=6.0, hardware_kwh=4.0)],
    "estimated on two clusters": [
        job_node(1, "u-1", virtual_meter_kwh=6.0),
        job_node(1, "v-1", virtual_meter_kwh=5.0),
    ],
    "mixed": [job_node(1, "a-1", 10.0), job_node(1, "u-1", virtual_meter_kwh=6.0)],
    "mixed on one node": [job_node(1, "a-1", 10.0, virtual_meter_kwh=6.0, own_readings_kwh=2.0)],
    "noisy": [job_node(1, "a-1", 10.0, sampling_kwh=2.0)],
}


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("job", JOBS)
def test_closed_form_agrees_with_draws(job: str, correlation: float) -> None:
    _check_against_draws(JOBS[job], correlation=correlation)


@pytest.mark.parametrize("job", ["measured", "measured on two clusters", "mixed"])
def test_closed_form_agrees_with_draws_of_calibrated_meters(job: str) -> None:
    _check_against_draws(JOBS[job], calibration={"a": LINE})


def test_interval_of_a_calibration_takes_its_covariance() -> None:
    # 1 kW for an hour, at a reading of (1000 - 3) / 1.1 W; slope and offset have the covariance
    # -380 x 0.005^2 W
    model = error_model(calibration={"a": LINE | {"mean_reading_w": 380.0}})
    reading_w = 997 / 1.1
    variance = (0.005 * reading_w) ** 2 + 2**2 + 4**2 - 2 * reading_w * 380 * 0.005**2
    half = Z95 * variance**0.5 * 1e-3
    found = group_ends(frame(job_node(1, "a-1", 1.0)), ["job_id"], model)
    assert found["total_low_kwh"].item() == pytest.approx(1 - half)
    assert found["total_high_kwh"].item() == pytest.approx(1 + half)


def test_errors_of_estimates_from_gains_are_means_over_the_calibrating_clusters() -> None:
    # a is calibrated: (0.005 x 380)^2 + 2^2 + 4^2 - 2 x 380 x 380 x 0.005^2 W^2, of 421 W; b has
    # half of the default interval, 0.1 of 1.05, in common with other clusters
    model = error_model(calibration={"a": LINE | {"mean_reading_w": 380.0}})
    row = model.cluster_table(["b"]).row(0, named=True)
    assert row["virtual_meter_rest_sd"] == pytest.approx(16.39**0.5 / 421 / 2)
    assert row["virtual_meter_own_width"] == pytest.approx(0.5**0.5 * 0.1 / 1.05 / 2)


@pytest.mark.parametrize("df", [3, 20])
@pytest.mark.parametrize("job", ["estimated", "estimated on two clusters", "mixed"])
def test_closed_form_agrees_with_draws_at_any_degrees_of_freedom(job: str, df: int) -> None:
    _check_against_draws(JOBS[job], df=df)


def _check_against_draws(job: list, **settings: object) -> None:
    """Each end differs by at most 6 % of the width: 4 000 draws of t know it to 1 or 2 %."""
    model = error_model(**settings)
    drawn = draw_groups(group_amounts(frame(*job), ["job_id"], model), model).interval()
    found = group_ends(frame(*job), ["job_id"], model)
    low, high = drawn.select("total_low_kwh", "total_high_kwh").row(0)
    width = high - low
    assert found["total_low_kwh"].item() == pytest.approx(low, abs=0.06 * width)
    assert found["total_high_kwh"].item() == pytest.approx(high, abs=0.06 * width)


def test_ends_of_a_job_on_one_node_are_those_of_its_row() -> None:
    rows = frame(
        job_node(1, "a-1", 10.0, sampling_kwh=1.0),
        job_node(2, "u-1", virtual_meter_kwh=3.0),
        job_node(3, "a-1", 1.0),
        job_node(3, "b-1", 1.0),
    )
    model = error_model()
    of_rows = intervals_of_rows(rows, model).filter(pl.col("job_id") < 3).collect()
    of_jobs = group_ends(rows, ["job_id"], model)
    columns = ["job_id", "total_low_kwh", "total_high_kwh"]
    assert of_rows.select(columns).rows() == of_jobs.filter(pl.col("job_id") < 3).rows()
    assert of_jobs["job_id"].to_list() == [1, 2, 3]


def test_ends_of_one_job_agree_on_both_paths() -> None:
    """A job on two nodes, of which one drew nothing, has the ends of its only row."""
    model = error_model()
    row = job_node(1, "a-1", 10.0, sampling_kwh=1.0, gap_kwh=0.5, own_readings_kwh=1.0)
    one = group_ends(frame(row), ["job_id"], model).row(0)
    two = group_ends(frame(row, job_node(1, "a-2", 0.0)), ["job_id"], model).row(0)
    assert two == pytest.approx(one)


def test_intervals_keep_rows_in_order_and_unknown_rows_null() -> None:
    rows = frame(
        job_node(2, "a-1", 10.0),
        job_node(1, "u-1") | {"estimated_kwh": None},
        job_node(3, "a-1", 0.0),
    )
    found = intervals_of_rows(rows, error_model()).collect()
    assert found["job_id"].to_list() == [2, 1, 3]
    assert found["total_low_kwh"].is_null().to_list() == [False, True, False]
    assert found.select("total_low_kwh", "total_high_kwh").row(2) == (0.0, 0.0)


energies = st.floats(0, 1e4)
rows_of_jobs = st.lists(
    st.builds(
        lambda job, node, kwh, virtual, hardware, gap: job_node(
            job, node, kwh, virtual_meter_kwh=virtual, hardware_kwh=hardware, gap_kwh=gap
        ),
        st.integers(1, 4),
        st.sampled_from(["a-1", "a-2", "b-1", "u-1"]),
        *[energies] * 4,
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: (row["job_id"], row["node"]),
)


@given(rows_of_jobs, st.randoms(use_true_random=False))
def test_ends_contain_totals_in_any_order_of_rows(rows: list, random) -> None:
    model = error_model()
    found = group_ends(frame(*rows), ["job_id"], model)
    total = (
        frame(*rows).group_by("job_id").agg(pl.col("measured_kwh", "estimated_kwh").sum()).collect()
    )
    both = found.join(total, on="job_id").with_columns(
        total=pl.col("measured_kwh") + pl.col("estimated_kwh")
    )
    assert (both["total_low_kwh"] <= both["total"] * (1 + 1e-12)).all()
    assert (both["total_high_kwh"] >= both["total"] * (1 - 1e-12)).all()
    shuffled = frame(*random.sample(rows, len(rows)))
    assert group_ends(shuffled, ["job_id"], model).equals(found)


@given(rows_of_jobs)
def test_ends_scale_with_all_energies(rows: list) -> None:
    model = error_model()
    found = group_ends(frame(*rows), ["job_id"], model)
    columns = [name for name in rows[0] if name.endswith("_kwh")]
    twice = group_ends(frame(*rows).with_columns(pl.col(columns) * 2), ["job_id"], model)
    for name in ("total_low_kwh", "total_high_kwh"):
        assert twice[name].to_list() == pytest.approx((found[name] * 2).to_list(), rel=1e-9)
