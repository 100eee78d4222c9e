"""Fitted models of power: errors with a cluster left out, prediction, and unknown hardware."""

from __future__ import annotations

import math

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.energy import virtual_meter
from footprint.energy.node_hardware import NODE_HARDWARE_SCHEMA
from footprint.energy.power_model import OBSERVED_SCHEMA, fit_power_models, predict_power
from footprint.energy.virtual_meter import PRIOR

H_S = 3600.0
GPU_W, TDP_W, LIMIT_W = 300.0, 200.0, 500.0
LOADS = (0.1, 0.5, 0.9)


def hardware_of(*clusters: str, **changes: object) -> pl.DataFrame:
    row = {
        "has_gpu": True,
        "n_gpus": 2,
        "gpu_limit_w": LIMIT_W,
        "gpu_generation": "Turing",
        "n_cpus": 2,
        "tdp_w": TDP_W,
        "n_cores": 32,
        "memory_gib": 128.0,
    } | changes
    names = [{"node": f"{cluster}-{k}", "cluster": cluster} for cluster in clusters for k in (1, 2)]
    return pl.DataFrame([name | row for name in names], schema=NODE_HARDWARE_SCHEMA)


def segments_of(*clusters: str, factor: float = 1.0, **changes: object) -> pl.DataFrame:
    """Segments of 10 h whose measured power is that of the prior virtual meter times `factor`."""
    rows = []
    for cluster in clusters:
        for k in (1, 2):
            for number, load in enumerate(LOADS):
                gpu_w = GPU_W * (1 + number)
                base_w = TDP_W + 0.15 * LIMIT_W
                parts_w = (gpu_w, base_w, load * TDP_W)
                power_w = sum(t * each for t, each in zip(PRIOR, parts_w, strict=True))
                rows.append(
                    {
                        "node": f"{cluster}-{k}",
                        "share": 1.0,
                        "duration_s": 10 * H_S,
                        "covered_s": 10 * H_S,
                        "energy_j": factor * power_w * 10 * H_S,
                        "gpu_j": gpu_w * 10 * H_S,
                        "gpu_covered_s": 10 * H_S,
                        "load_s": load * 10 * H_S,
                        "load_covered_s": 10 * H_S,
                        "job_ids": [10 * k + number],
                    }
                    | changes
                )
    return pl.DataFrame(rows, schema=OBSERVED_SCHEMA)


NO_SERIES = {"gpu_j": None, "gpu_covered_s": 0.0, "load_s": None, "load_covered_s": 0.0}
NO_READINGS = {"energy_j": 0.0, "covered_s": 0.0}


def row_of(models: pl.DataFrame, cluster: str, basis: str = "virtual_meter") -> dict[str, object]:
    is_row = (pl.col("cluster") == cluster) & (pl.col("basis").cast(pl.String) == basis)
    (found,) = models.filter(is_row).iter_rows(named=True)
    return found


def test_models_without_measured_cluster_are_the_prior() -> None:
    models = fit_power_models(segments_of("a", **NO_READINGS), hardware_of("a", "b"))
    assert models.height == 4
    for cluster in ("a", "b"):
        metered, by_hardware = row_of(models, cluster), row_of(models, cluster, "hardware")
        assert [metered[name] for name in PRIOR._fields] == pytest.approx(list(PRIOR))
        assert by_hardware["hardware_log_ratio"] == 0
        for row, prior_sd in ((metered, 0.12), (by_hardware, 0.25)):
            assert (row["is_measured"], row["is_extrapolated"]) == (False, True)
            assert (row["measured_kwh"], row["error_log"], row["n_clusters"]) == (None, None, 0)
            assert row["cluster_sd_log"] == pytest.approx(math.sqrt(2) * prior_sd)
            # the prior is one model: its error is common to all clusters in part
            assert (row["mean_sd_log"], row["degrees_of_freedom"]) == (prior_sd, 3.0)


def test_models_of_one_measured_cluster_have_the_prior_error_elsewhere() -> None:
    models = fit_power_models(segments_of("a"), hardware_of("a", "b"))
    measured, other = row_of(models, "a"), row_of(models, "b")
    assert measured["is_measured"]
    assert measured["error_log"] == pytest.approx(0, abs=1e-9)  # left out, the prior is right
    energy_kwh = segments_of("a")["energy_j"].to_list()
    assert measured["measured_kwh"] == pytest.approx(math.fsum(energy_kwh) / 3.6e6)
    assert (other["is_measured"], other["is_extrapolated"]) == (False, False)
    assert other["cluster_sd_log"] == pytest.approx(0.12)
    assert other["mean_sd_log"] == pytest.approx(0.12)


def test_error_of_a_cluster_is_by_the_model_of_the_others() -> None:
    observed = pl.concat([segments_of("a", factor=1.2), segments_of("b")])
    models = fit_power_models(observed, hardware_of("a", "b", "c"))
    only_b = fit_power_models(segments_of("b"), hardware_of("a", "b"))
    predicted = predict_power(segments_of("a"), hardware_of("a"), only_b).collect()
    predicted_kwh = math.fsum(predicted["power_w"] * predicted["duration_s"]) / 3.6e6
    left_out = row_of(models, "a")
    assert left_out["predicted_kwh"] == pytest.approx(predicted_kwh)
    measured_kwh = left_out["measured_kwh"]
    assert isinstance(measured_kwh, float)
    assert left_out["error_log"] == pytest.approx(math.log(measured_kwh / predicted_kwh))
    assert left_out["error_log"] == pytest.approx(math.log(1.2), abs=1e-6)
    errors = [row_of(models, name)["error_log"] for name in ("a", "b")]
    variance = sum(float(str(d)) ** 2 for d in errors) / 2
    scale = math.sqrt((4 * 0.12**2 + variance) / 5)
    assert row_of(models, "c")["cluster_sd_log"] == pytest.approx(scale)


def test_error_by_hardware_is_by_the_ratio_of_the_others() -> None:
    observed = pl.concat([segments_of("a", factor=1.3), segments_of("b")])
    models = fit_power_models(observed, hardware_of("a", "b"))
    only_b = row_of(fit_power_models(segments_of("b"), hardware_of("b")), "b", "hardware")
    raw_b = only_b["error_log"]  # left out, the prior ratio 0 remains
    raw_a = raw_b + math.log(1.3)
    assert row_of(models, "a", "hardware")["error_log"] == pytest.approx(raw_a - raw_b / 3)


def test_models_of_eight_measured_clusters_count_them() -> None:
    clusters = [f"c{k}" for k in range(8)]
    observed = pl.concat([segments_of(c, factor=0.9 + 0.03 * k) for k, c in enumerate(clusters)])
    models = fit_power_models(observed, hardware_of(*clusters, "new"))
    new = row_of(models, "new")
    assert (new["n_clusters"], new["degrees_of_freedom"]) == (8, 11.0)
    assert new["mean_sd_log"] == pytest.approx(float(str(new["cluster_sd_log"])) / math.sqrt(8))


def test_models_by_hardware_count_clusters_of_the_same_kind() -> None:
    without = hardware_of(
        "cpu", has_gpu=False, n_gpus=0, gpu_limit_w=0.0, gpu_generation=None, tdp_w=250.0
    )
    models = fit_power_models(
        segments_of("gpu", factor=2.0), pl.concat([hardware_of("gpu"), without])
    )
    row = row_of(models, "cpu", "hardware")
    assert (row["n_clusters"], row["hardware_log_ratio"]) == (0, 0.0)
    assert row_of(models, "gpu", "hardware")["n_clusters"] == 1
    assert row_of(models, "cpu")["n_clusters"] == 1


def test_models_ignore_the_order_of_nodes_and_hardware() -> None:
    observed = pl.concat([segments_of("a", factor=1.2), segments_of("b", factor=0.9)])
    nodes = hardware_of("a", "b", "c")
    models = fit_power_models(observed, nodes)
    reordered = observed.sort("node", descending=True, maintain_order=True)
    assert_frame_equal(models, fit_power_models(reordered, nodes[::-1]), check_exact=True)
    shuffled = observed.sample(fraction=1.0, shuffle=True, seed=1)
    assert_frame_equal(models, fit_power_models(shuffled, nodes), rel_tol=1e-9)


def test_error_between_runs_does_not_depend_on_the_error_of_the_cluster() -> None:
    models = fit_power_models(segments_of("a", factor=1.1), hardware_of("a"))
    # six runs with one ratio: q = 0, so s = 0.05 sqrt(4 / (4 + 5))
    assert row_of(models, "a")["run_sd_log"] == pytest.approx(0.05 * 2 / 3, abs=0.005)


def test_prediction_uses_the_best_basis_that_is_known() -> None:
    nodes = pl.concat([hardware_of("a"), hardware_of("b", tdp_w=None)])
    models = fit_power_models(segments_of("a"), nodes)
    rows = pl.concat(
        [
            segments_of("a").head(1),
            segments_of("a", **NO_SERIES).head(1),
            segments_of("b").head(1),
            segments_of("a", load_s=None, load_covered_s=None).head(1),
            segments_of("unknown").head(1),
        ]
    )
    found = predict_power(rows, nodes, models).collect()
    assert found["basis"].to_list() == ["virtual_meter", "hardware", None, "virtual_meter", None]
    assert found["power_w"].is_null().to_list() == [False, False, True, False, True]
    assert found.columns == [*rows.columns, "power_w", "basis"]
    assert found["power_w"][0] == pytest.approx(1.05 * 300 + 0.45 * 275 + 0.75 * 20)


def test_prediction_of_unknown_gpus_needs_their_series() -> None:
    nodes = hardware_of("a", gpu_limit_w=None)
    models = fit_power_models(segments_of("a"), nodes)
    rows = pl.concat([segments_of("a").head(1), segments_of("a", **NO_SERIES).head(1)])
    found = predict_power(rows, nodes, models).collect()
    assert found["basis"].to_list() == ["virtual_meter", None]
    assert not row_of(models, "a", "hardware")["is_measured"]


def test_prediction_by_hardware_follows_the_share_held() -> None:
    nodes = hardware_of("a")
    models = fit_power_models(segments_of("a", **NO_READINGS), nodes)
    rows = pl.concat([segments_of("a", share=s, **NO_SERIES).head(1) for s in (0.0, 0.5, 1.0)])
    idle_w, half_w, full_w = predict_power(rows.lazy(), nodes, models).collect()["power_w"]
    assert idle_w == pytest.approx(0.45 * 275 + 1.05 * 50)
    assert half_w == pytest.approx((idle_w + full_w) / 2)


def test_segments_with_few_readings_do_not_calibrate_the_virtual_meter() -> None:
    few = segments_of("a", covered_s=0.4 * 10 * H_S)
    models = fit_power_models(few, hardware_of("a"))
    assert not row_of(models, "a")["is_measured"]
    assert row_of(models, "a", "hardware")["is_measured"]


def test_cluster_with_minutes_of_readings_is_not_measured() -> None:
    short = segments_of("a", duration_s=500.0, covered_s=500.0, gpu_covered_s=500.0)
    models = fit_power_models(short, hardware_of("a"))
    assert not row_of(models, "a")["is_measured"]


def test_typical_load_replaces_an_unknown_load_in_the_fit_too() -> None:
    no_load = segments_of("a", load_s=None, load_covered_s=0.0)
    row = row_of(fit_power_models(no_load, hardware_of("a")), "a")
    assert row["is_measured"]
    assert virtual_meter.TYPICAL_GPU_NODE_LOAD == 0.2
