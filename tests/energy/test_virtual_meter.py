"""The virtual meter's fit: it recovers parameters, shrinks, and counts clusters alike."""

from __future__ import annotations

import polars as pl
import pytest

from footprint.energy import virtual_meter
from footprint.energy.virtual_meter import PRIOR, ClusterProducts, Parameters

TRUE = Parameters(gpu_factor=1.15, base_frac=0.40, load_frac=0.90)
# power of GPUs, TDP and load x TDP of independent segments, in W
POWERS = [(100, 200, 20), (600, 200, 60), (150, 200, 180), (400, 200, 100), (30, 200, 10)]


def observed(
    cluster: str = "grele", *, truth: Parameters = TRUE, hours: float = 100.0
) -> pl.DataFrame:
    rows = [
        (cluster, 3600.0 * hours, *powers, sum(t * p for t, p in zip(truth, powers, strict=True)))
        for powers in POWERS
    ]
    names = ["cluster", "covered_s", *virtual_meter.REGRESSOR_COLUMNS, "power_w"]
    frame = pl.DataFrame(rows, schema=names, orient="row").cast(
        dict.fromkeys(names[2:], pl.Float64)
    )
    return frame.with_columns(energy_j=pl.col("power_w") * pl.col("covered_s"))


def products(*frames: pl.DataFrame) -> dict[str, ClusterProducts]:
    return virtual_meter.sum_products(pl.concat(frames))


def test_products_of_one_segment_by_hand() -> None:
    found = products(observed().head(1))["grele"]
    power_w = 1.15 * 100 + 0.40 * 200 + 0.90 * 20  # 213 W
    assert found.products[0][1] == pytest.approx(100 * 200 / power_w**2)
    assert found.products[1][0] == found.products[0][1]
    assert found.moments == pytest.approx([100 / power_w, 200 / power_w, 20 / power_w])
    assert found.duration_s == 360_000


def test_cluster_fit_with_much_data_recovers_the_parameters() -> None:
    of_cluster = products(observed(hours=1000))["grele"]
    assert virtual_meter.fit_cluster(of_cluster, PRIOR) == pytest.approx(TRUE, abs=0.01)


def test_cluster_fit_with_few_hours_stays_near_the_common_parameters() -> None:
    common = Parameters(1.0, 0.6, 0.7)
    of_cluster = products(observed(hours=0.001))["grele"]
    assert virtual_meter.fit_cluster(of_cluster, common) == pytest.approx(common, abs=0.01)


def test_common_fit_without_cluster_is_the_prior() -> None:
    assert virtual_meter.fit_common({}) == pytest.approx(PRIOR)


def test_common_fit_approaches_the_truth_with_the_number_of_clusters() -> None:
    def distance(n: int) -> float:
        many = products(*(observed(f"cluster-{k}") for k in range(n))) if n else {}
        found = virtual_meter.fit_common(many)
        return sum(abs(a - b) for a, b in zip(found, TRUE, strict=True))

    assert distance(0) > distance(1) > distance(2) > distance(8) > distance(60)
    assert distance(2000) < 0.01


def test_common_fit_counts_clusters_alike_whatever_their_time_and_number_of_segments() -> None:
    one, other = observed("a"), observed("b", truth=PRIOR)
    long = pl.concat([one, one, one])
    assert virtual_meter.fit_common(products(one, other)) == pytest.approx(
        virtual_meter.fit_common(products(long, other))
    )


def test_common_fit_of_clusters_without_gpus_keeps_the_prior_factor_of_gpus() -> None:
    without = observed().with_columns(gpu_w=pl.lit(0.0), energy_j=pl.col("covered_s") * 150.0)
    assert virtual_meter.fit_common(products(without)).gpu_factor == pytest.approx(PRIOR.gpu_factor)


def regressors(**changes: object) -> dict[str, float | None]:
    row = {
        "duration_s": 100.0,
        "has_gpu": True,
        "n_gpus": 2.0,
        "gpu_limit_w": 500.0,
        "tdp_w": 200.0,
        "gpu_j": 9000.0,
        "gpu_covered_s": 90.0,
        "load_s": 25.0,
        "load_covered_s": 50.0,
    }
    floats = {name: pl.Float64 for name in row if name != "has_gpu"}
    frame = pl.DataFrame([row | changes], schema_overrides=floats)
    return frame.select(virtual_meter.regressors()).row(0, named=True)


def test_regressors_are_mean_powers_over_the_covered_time() -> None:
    assert regressors() == {"gpu_w": 100.0, "base_w": 200 + 0.15 * 500, "load_w": 100.0}


def test_regressors_are_null_without_gpu_series_or_design_power() -> None:
    assert regressors(gpu_j=None, gpu_covered_s=0.0)["gpu_w"] is None
    assert regressors(gpu_covered_s=49.0)["gpu_w"] is None
    no_tdp = regressors(tdp_w=None)
    assert no_tdp["base_w"] is None
    assert no_tdp["load_w"] is None


def test_regressors_of_a_node_without_gpus_need_the_load_alone() -> None:
    found = regressors(has_gpu=False, gpu_j=None, gpu_covered_s=None)
    assert found == {"gpu_w": 0.0, "base_w": 200.0, "load_w": 100.0}
    assert regressors(has_gpu=False, load_s=None, load_covered_s=None)["load_w"] is None


def test_regressors_of_gpus_without_known_limit_assume_200_w() -> None:
    assert regressors(gpu_limit_w=None)["base_w"] == pytest.approx(200 + 0.15 * 400)


def test_regressors_of_gpus_without_load_series_have_a_typical_load() -> None:
    assert regressors(load_s=None, load_covered_s=0.0)["load_w"] == pytest.approx(0.2 * 200)
