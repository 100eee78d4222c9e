"""Power by hardware alone, by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest

from footprint.energy import hardware_power


def power_w(**changes: object) -> float | None:
    row = {"has_gpu": True, "gpu_limit_w": 600.0, "tdp_w": 310.0, "share": 1.0}
    types = {"gpu_limit_w": pl.Float64, "tdp_w": pl.Float64, "share": pl.Float64}
    frame = pl.DataFrame([row | changes], schema_overrides=types)
    found: float | None = frame.select(hardware_power.hardware_power_w()).item()
    return found


def test_power_of_an_idle_node_is_base_and_idle_gpus() -> None:
    assert power_w(share=0.0) == pytest.approx(0.45 * (310 + 0.15 * 600) + 1.05 * 60)


def test_power_in_use_grows_with_the_share_held_up_to_the_whole_node() -> None:
    idle_w = 0.45 * (310 + 0.15 * 600) + 1.05 * 60
    added_w = 1.05 * 0.4 * 540 + 0.75 * 0.2 * 310
    assert power_w(share=0.5) == pytest.approx(idle_w + 0.5 * added_w)
    assert power_w(share=1.0) == pytest.approx(idle_w + added_w)
    assert power_w(share=1.7) == power_w(share=1.0)


def test_power_of_a_node_without_gpus_ignores_their_limit() -> None:
    found = power_w(has_gpu=False, gpu_limit_w=None)
    assert found == pytest.approx(0.45 * 310 + 0.75 * 0.7 * 310)


@pytest.mark.parametrize("name", ["gpu_limit_w", "tdp_w"])
def test_power_of_unknown_hardware_is_null(name: str) -> None:
    assert power_w(**{name: None}) is None


def test_power_in_use_has_the_usual_ratio_to_green_algorithms() -> None:
    gruss = power_w()
    assert gruss is not None
    assert 0.45 <= gruss / (310 + 600 + 256 * 0.3725) <= 0.64


def test_mean_log_ratio_counts_two_clusters_without_correction() -> None:
    assert hardware_power.mean_log_ratio({}) == 0
    assert hardware_power.mean_log_ratio({"a": 0.3}) == pytest.approx(0.1)
    assert hardware_power.mean_log_ratio({"a": 0.3, "b": -0.1}) == pytest.approx(0.05)


def test_own_log_ratio_weighs_four_hours_as_one_cluster() -> None:
    found = hardware_power.own_log_ratio(0.4, 0.1, duration_s=4 * 3600)
    assert found == pytest.approx(0.25)
    assert hardware_power.own_log_ratio(0.4, 0.1, duration_s=1e9) == pytest.approx(80.1 / 201)


def test_log_ratio_is_natural() -> None:
    assert hardware_power.log_ratio(2.0, 1.0) == pytest.approx(math.log(2))
