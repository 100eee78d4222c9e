"""Errors of power models, by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest

from footprint.energy import model_errors


def without_readings(deviations: list[float], *, outside: bool = False) -> model_errors.ModelError:
    return model_errors.error_without_readings(deviations, prior_sd=0.12, is_extrapolated=outside)


def test_error_without_measured_cluster_is_the_prior_alone() -> None:
    assert without_readings([]) == pytest.approx((0.12, 0.12, 3.0))


def test_error_with_one_measured_cluster_has_the_scale_of_the_prior() -> None:
    assert without_readings([0.4]) == pytest.approx((0.12, 0.12, 4.0))


def test_error_with_two_measured_clusters_pools_them_with_the_prior() -> None:
    # v = (0.01 + 0.09) / 2 = 0.05; s^2 = (4 x 0.0144 + 0.05) / 5
    scale = math.sqrt((4 * 0.0144 + 0.05) / 5)
    assert without_readings([0.1, -0.3]) == pytest.approx((scale, scale / math.sqrt(2), 5.0))


def test_error_with_eight_measured_clusters_follows_their_deviations() -> None:
    scale = math.sqrt((4 * 0.0144 + 7 * 0.04) / 11)
    assert without_readings([0.2] * 8) == pytest.approx((scale, scale / math.sqrt(8), 11.0))


def test_error_of_extrapolation_doubles_the_variance_but_not_that_of_the_mean() -> None:
    inside, outside = without_readings([0.1, 0.2]), without_readings([0.1, 0.2], outside=True)
    assert outside.cluster_sd_log == pytest.approx(math.sqrt(2) * inside.cluster_sd_log)
    assert outside.mean_sd_log == inside.mean_sd_log


def test_error_with_readings_is_the_spread_of_nodes() -> None:
    # two nodes at +-0.1: v = 0.02; s^2 = (4 x 0.0016 + 0.02) / 5
    scale = math.sqrt((4 * 0.0016 + 0.02) / 5 * 1.5)
    found = model_errors.error_with_readings([0.1, -0.1], prior_sd=0.04)
    assert found == pytest.approx((scale, 0.0, 5.0))
    one = model_errors.error_with_readings([0.1], prior_sd=0.04)
    assert one == pytest.approx((0.04 * math.sqrt(2), 0.0, 4.0))


def runs(*rows: tuple[str, float, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [(cluster, covered_s, math.exp(log), 1.0) for cluster, covered_s, log in rows],
        schema=["cluster", "covered_s", "energy_j", "predicted_j"],
        schema_overrides={"covered_s": pl.Float64, "energy_j": pl.Float64},
        orient="row",
    )


def test_error_between_runs_is_within_clusters_and_of_long_runs() -> None:
    frame = runs(
        ("a", 700, 0.1), ("a", 700, 0.3), ("b", 700, 1.0), ("b", 700, 1.2), ("b", 600, 9.0)
    )
    # deviations +-0.1 in each cluster: q = 0.04 with 2 degrees of freedom
    found = model_errors.error_between_runs(frame, prior_sd=0.05)
    assert found == pytest.approx(math.sqrt((4 * 0.0025 + 0.04) / 6))


def test_error_between_no_runs_is_the_prior() -> None:
    assert model_errors.error_between_runs(runs().cast({"cluster": pl.String}), prior_sd=0.05) == (
        pytest.approx(0.05)
    )


def nodes(**changes: object) -> pl.DataFrame:
    row = {
        "has_gpu": True,
        "n_gpus": 2,
        "gpu_limit_w": 500.0,
        "gpu_generation": "Turing",
        "tdp_w": 200.0,
    }
    types = {"gpu_limit_w": pl.Float64, "tdp_w": pl.Float64, "gpu_generation": pl.String}
    return pl.DataFrame([row | changes], schema_overrides=types)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"tdp_w": 250.0}, False),  # 1.25 times the highest
        ({"tdp_w": 251.0}, True),
        ({"tdp_w": 159.0}, True),
        ({"tdp_w": None}, True),
        ({"gpu_limit_w": 626.0}, True),
        ({"gpu_limit_w": None}, True),
        ({"n_gpus": 4, "gpu_limit_w": 1000.0}, True),
        ({"has_gpu": False, "n_gpus": 0, "gpu_limit_w": 0.0, "gpu_generation": None}, True),
        ({"gpu_generation": "Ampere"}, False),  # one step newer
        ({"gpu_generation": "Hopper"}, True),
        ({"gpu_generation": "Pascal"}, True),
        ({"gpu_generation": "Vega20"}, True),
        ({"gpu_generation": None}, True),
    ],
)
def test_extrapolation_by_hardware(changes: dict[str, object], expected: bool) -> None:
    found = model_errors.is_extrapolated(nodes(**changes), nodes(), basis="hardware")
    assert found is expected


def test_extrapolation_of_the_virtual_meter_ignores_generations() -> None:
    for generation in ("Hopper", None):
        cluster = nodes(gpu_generation=generation)
        assert not model_errors.is_extrapolated(cluster, nodes(), basis="virtual_meter")


def test_extrapolation_without_measured_cluster_is_true() -> None:
    assert model_errors.is_extrapolated(nodes(), nodes().clear(), basis="virtual_meter")
