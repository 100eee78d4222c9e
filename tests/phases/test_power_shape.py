"""Tests of the shape of power: own hardware, idle time, plateaus, bursts."""

import pytest

from footprint.phases.power_shape import SHAPE_COLUMNS, power_shapes
from tests.phases.test_classifier import features_frame, histogram

pytestmark = pytest.mark.filterwarnings("error")


def shape_of(**row: object) -> dict[str, float | None]:
    return power_shapes(features_frame(row).collect()).row(0, named=True)


def test_power_shapes_without_own_hardware_are_null() -> None:
    for row in ({}, {"node_histogram_s": histogram(s20=100), "node_share": 0.5}):
        assert set(shape_of(**row).values()) == {None}


def test_power_shapes_of_own_gpus_ignore_the_node() -> None:
    own = shape_of(gpu_histogram_s=histogram(s1=20, s20=80), node_histogram_s=histogram(s39=100))
    assert own["own_idle_frac"] == pytest.approx(0.2)
    assert own["own_level_frac"] == pytest.approx((0.2 * 1.5 + 0.8 * 20.5) / 40)
    assert own["own_over_250_frac"] == pytest.approx(0.8)
    assert own["own_over_750_frac"] == pytest.approx(0.0, abs=1e-6)
    assert own["idle_gpus_busy_node"] is None


def test_power_shapes_of_whole_node_use_a_tenth_of_its_range_as_idle() -> None:
    own = shape_of(node_histogram_s=histogram(s3=30, s4=70), node_share=1.0)
    assert own["own_idle_frac"] == pytest.approx(0.3)


def test_power_shapes_of_idle_gpus_on_busy_node() -> None:
    own = shape_of(
        gpu_histogram_s=histogram(s0=90, s20=10),
        node_histogram_s=histogram(s0=40, s9=60),
        node_share=1.0,
    )
    assert own["idle_gpus_busy_node"] == pytest.approx(0.6)


def test_plateau_is_the_window_with_most_time_above_idle() -> None:
    own = shape_of(gpu_histogram_s=histogram(s0=50, s19=10, s20=20, s21=10, s30=10))
    assert own["own_plateau_frac"] == pytest.approx(0.4)
    assert own["own_plateau_level_frac"] == pytest.approx(20.5 / 40)


def test_spread_of_one_bin_is_0_and_bursts_are_above_the_mean() -> None:
    steady = shape_of(gpu_histogram_s=histogram(s20=100))
    assert steady["own_spread_frac"] == pytest.approx(0, abs=1e-4)
    assert steady["own_burst_frac"] == 0
    uneven = shape_of(gpu_histogram_s=histogram(s10=90, s30=10))
    assert uneven["own_burst_frac"] == pytest.approx(0.1)
    assert uneven["own_spread_frac"] == pytest.approx(0.15, abs=1e-3)


def test_high_level_is_reached_by_a_tenth_of_the_time() -> None:
    assert shape_of(gpu_histogram_s=histogram(s4=89, s30=11))["own_high_level_frac"] == 0.75
    assert shape_of(gpu_histogram_s=histogram(s4=91, s30=9))[
        "own_high_level_frac"
    ] == pytest.approx(0.1)


def test_power_shapes_of_no_runs_have_all_columns() -> None:
    assert power_shapes(features_frame({}).collect().clear()).columns == list(SHAPE_COLUMNS)
