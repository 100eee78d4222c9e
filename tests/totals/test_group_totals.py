"""Draws of groups: correlations by hand, coverage, ratios, and independence of other groups."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.totals.error_draws import N_DRAWS
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_totals import draw_groups
from footprint.totals.student_t import t_quantile
from tests.support.totals_inputs import METERS, amounts, error_model, frame, job_node

TWO_CLUSTERS = amounts(("g", "a", 100.0, 0.0), ("g", "b", 50.0, 0.0))


@pytest.mark.parametrize(
    ("correlation", "variance"),
    # gains of half width 0.1 have the variance 0.01 / 3, covariances are r times as much
    [(0.0, 100**2 + 50**2), (0.5, 100**2 + 50**2 + 2 * 0.5 * 100 * 50), (1.0, 150**2)],
)
def test_draw_two_clusters_have_the_variance_of_their_correlation(
    correlation: float, variance: float
) -> None:
    found = draw_groups(TWO_CLUSTERS, error_model(correlation=correlation)).kwh[0]
    assert found.var() == pytest.approx(variance * 0.01 / 3, rel=0.04)
    assert found.mean() == pytest.approx(150 * 1.05, rel=1e-3)


def test_interval_of_common_gains_is_that_of_one_rectangle() -> None:
    found = draw_groups(TWO_CLUSTERS, error_model(correlation=1.0)).interval()
    assert found["total_low_kwh"].item() == pytest.approx(150 * 0.955, rel=1e-3)
    assert found["total_high_kwh"].item() == pytest.approx(150 * 1.145, rel=1e-3)


def test_interval_contains_total_when_gains_do_not() -> None:
    model = error_model(low=1.05, high=1.15)
    found = draw_groups(TWO_CLUSTERS, model).interval().row(0, named=True)
    assert found["total_low_kwh"] == found["total_kwh"] == 150.0
    assert found["total_high_kwh"] > 150 * 1.1


@pytest.mark.parametrize(("kwh", "low"), [(100.0, 100 - 1.96 * 2), (1.0, 0.0)])
def test_interval_of_independent_errors_is_normal_and_not_below_zero(
    kwh: float, low: float
) -> None:
    rows = amounts(("g", "a", kwh, 0.0)).with_columns(independent_kwh2=4.0)
    found = draw_groups(rows, error_model(low=1.0, high=1.0)).interval()
    assert found["total_low_kwh"].item() == pytest.approx(low, rel=1e-3)
    assert found["total_high_kwh"].item() == pytest.approx(kwh + 1.96 * 2, rel=1e-3)


def test_ratio_of_groups_on_one_cluster_cancels_the_gain() -> None:
    rows = amounts(("x", "a", 100.0, 0.0), ("y", "a", 40.0, 0.0))
    x, y = draw_groups(rows, error_model()).kwh
    assert x / y == pytest.approx(np.full(N_DRAWS, 2.5))
    assert (x / 100).std() > 0.05


def test_ratio_of_estimated_groups_on_one_cluster_cancels_their_common_error() -> None:
    rows = amounts(("x", "u", 0.0, 100.0), ("y", "u", 0.0, 40.0))
    x, y = draw_groups(rows, error_model()).kwh
    assert x / y == pytest.approx(np.full(N_DRAWS, 2.5))


@pytest.mark.parametrize("df", [3, 12])
def test_interval_of_estimates_is_t_in_the_logarithm(df: int) -> None:
    model = error_model(measured=(), cluster_sd=0.2, mean_sd=0.0, df=df)
    found = draw_groups(amounts(("g", "u", 0.0, 10.0)), model).interval()
    q = t_quantile(0.975, df) * 0.2
    assert found["total_high_kwh"].item() == pytest.approx(10 * math.exp(q), rel=0.03)
    assert found["total_low_kwh"].item() == pytest.approx(10 * math.exp(-q), rel=0.03)


def test_estimates_carry_the_gains_of_clusters_that_calibrate_them() -> None:
    rows = amounts(("m", "a", 10.0, 0.0), ("e", "u", 0.0, 10.0))
    model = error_model(measured=("a",), cluster_sd=0.0, mean_sd=0.0)
    estimated, measured = draw_groups(rows, model).kwh
    assert estimated == pytest.approx(measured)


def test_unmeasured_clusters_share_the_error_of_the_mean() -> None:
    rows = amounts(("g", "u", 0.0, 1.0), ("g", "v", 0.0, 1.0))
    model = error_model(measured=(), cluster_sd=0.03, mean_sd=0.04, df=400)
    found = np.log(draw_groups(rows, model).kwh[0] / 2)
    assert found.std() == pytest.approx(math.sqrt(0.04**2 + 0.03**2 / 2), rel=0.03)


def test_calibration_narrows_the_interval() -> None:
    line = {"slope": 1.1, "slope_error": 0.005, "offset": 0.0, "offset_error": 2.0}
    rows = amounts(("g", "a", 100.0, 0.0))
    plain, with_line, with_mean = (
        draw_groups(rows.with_columns(measured_node_h=250.0), error_model(calibration=each))
        .interval()
        .select(pl.col("total_high_kwh") - pl.col("total_low_kwh"))
        .item()
        for each in ({}, {"a": line}, {"a": line | {"mean_reading_w": 380.0}})
    )
    assert with_mean < with_line < plain / 5
    # 400 W for 250 h: independent errors are (0.005 x 363.6 W, 2 W)
    sd = 0.25 * math.hypot(0.005 * 400 / 1.1, 2.0)
    assert with_line == pytest.approx(2 * 1.96 * sd, rel=0.02)


def test_calibrated_cluster_keeps_its_centre() -> None:
    line = {"slope": 1.1, "slope_error": 0.005, "offset": 0.0, "offset_error": 2.0}
    found = draw_groups(amounts(("g", "a", 100.0, 0.0)), error_model(calibration={"a": line}))
    assert np.median(found.kwh) == pytest.approx(100, rel=1e-3)


rows_of_jobs = st.lists(
    st.builds(
        lambda job, node, kwh, virtual, name: job_node(
            job, node, kwh, virtual_meter_kwh=virtual, sampling_kwh=kwh * 0.02, name=name
        ),
        st.integers(1, 5),
        st.sampled_from(["a-1", "a-2", "b-1", "u-1"]),
        st.floats(0, 100),
        st.floats(0, 100),
        st.sampled_from(["x", "y", None]),
    ),
    min_size=1,
    max_size=10,
)


@given(rows_of_jobs, st.randoms(use_true_random=False))
def test_draws_are_independent_of_the_order_of_rows(rows: list, random) -> None:
    model = error_model()
    found, shuffled = (
        draw_groups(group_amounts(frame(*each), ["name"], model), model)
        for each in (rows, random.sample(rows, len(rows)))
    )
    assert_frame_equal(found.interval(), shuffled.interval(), check_exact=True)
    assert np.array_equal(found.kwh, shuffled.kwh)
    interval = found.interval()
    assert (interval["total_low_kwh"] <= interval["total_kwh"]).all()
    assert (interval["total_high_kwh"] >= interval["total_kwh"]).all()


@given(rows_of_jobs)
def test_draws_of_a_group_are_independent_of_other_groups(rows: list) -> None:
    model = error_model()
    found = group_amounts(frame(*rows), ["name"], model)
    whole = draw_groups(found, model)
    for at, name in enumerate(whole.names["name"]):
        alone = draw_groups(found.filter(pl.col("name").eq_missing(name)), model)
        assert np.array_equal(alone.kwh[0], whole.kwh[at])


def _truths(model: ErrorModel, n: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Amounts of a group, and its true energy in `n` worlds that follow the error model."""
    rng = np.random.default_rng(7)
    measured, estimated = {"a": 100.0, "b": 60.0}, {"u": 40.0, "v": 25.0}
    interval, df = model.interval, 5
    common = rng.uniform(-1, 1, n)
    gains = {
        cluster: interval.mid
        + interval.common_width * common
        + interval.own_width * rng.uniform(-1, 1, n)
        for cluster in measured
    }
    scale = np.sqrt(df / rng.chisquare(df, n))
    mean = 0.08 * rng.standard_normal(n)
    mean_gain = np.exp(np.mean([np.log(gain) for gain in gains.values()], axis=0))
    true = sum(gains[cluster] * kwh for cluster, kwh in measured.items())
    for kwh in estimated.values():
        true = true + kwh * mean_gain * np.exp(scale * (mean + 0.12 * rng.standard_normal(n)))
    true = true + 3.0 * rng.standard_normal(n)
    rows = amounts(
        *(("g", cluster, kwh, 0.0) for cluster, kwh in measured.items()),
        *(("g", cluster, 0.0, kwh) for cluster, kwh in estimated.items()),
    )
    return rows.with_columns(independent_kwh2=9 / 4), true


def test_interval_covers_95_percent_of_simulated_truths() -> None:
    model = error_model()
    rows, true = _truths(model, 4000)
    found = draw_groups(rows, model).interval().row(0, named=True)
    inside = (found["total_low_kwh"] <= true) & (true <= found["total_high_kwh"])
    assert inside.mean() == pytest.approx(0.95, abs=0.012)


def test_ranks_of_simulated_truths_are_uniform() -> None:
    model = error_model()
    rows, true = _truths(model, 4000)
    ranks = np.searchsorted(np.sort(draw_groups(rows, model).kwh[0]), true) / N_DRAWS
    assert ranks.mean() == pytest.approx(0.5, abs=0.02)
    assert ranks.std() == pytest.approx(12**-0.5, abs=0.01)


def test_model_without_virtual_meter_takes_priors() -> None:
    model = ErrorModel.of_study(None, METERS)
    found = draw_groups(amounts(("g", "a", 10.0, 0.0), ("g", "u", 0.0, 10.0)), model).interval()
    assert found["total_low_kwh"].item() < 16 < 24 < found["total_high_kwh"].item()


def test_draw_without_groups_returns_no_row() -> None:
    assert draw_groups(TWO_CLUSTERS.clear(), error_model()).interval().is_empty()
