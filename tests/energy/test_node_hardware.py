"""Hardware of nodes from their descriptions and the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from footprint.energy.node_hardware import NODE_HARDWARE_SCHEMA, summarise_hardware

OLD, NEW = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2025))


def hardware(**changes: object) -> dict[str, object]:
    return {
        "node": "gros-1",
        "valid_from": OLD,
        "cluster": "gros",
        "tdp_w": 125.0,
        "n_cpus": 2,
        "n_cores": 36,
        "memory_gb": 96.0,
        "gpu_limits_w": [],
        "gpu_generations": [],
    } | changes


def summarise(*rows: dict[str, object]) -> dict[str, dict[str, object]]:
    types = {"gpu_limits_w": pl.List(pl.Float64), "gpu_generations": pl.List(pl.String)}
    frame = pl.DataFrame(list(rows), schema_overrides=types)
    found = summarise_hardware(frame)
    assert found.schema == NODE_HARDWARE_SCHEMA
    return {row["node"]: row for row in found.iter_rows(named=True)}


def test_hardware_of_a_node_without_gpus_sums_its_sockets() -> None:
    node = summarise(hardware())["gros-1"]
    assert (node["has_gpu"], node["n_gpus"], node["gpu_limit_w"]) == (False, 0, 0.0)
    assert (node["tdp_w"], node["gpu_generation"]) == (250.0, None)


def test_hardware_of_gpus_has_their_summed_limit_and_newest_generation() -> None:
    gpus = {"gpu_limits_w": [250.0, 300.0], "gpu_generations": ["Turing", "Ampere"]}
    node = summarise(hardware(**gpus))["gros-1"]
    assert (node["has_gpu"], node["n_gpus"]) == (True, 2)
    assert (node["gpu_limit_w"], node["gpu_generation"]) == (550.0, "Ampere")


def test_hardware_with_an_unknown_part_is_null() -> None:
    gpus = {"gpu_limits_w": [250.0, None], "gpu_generations": ["Turing", None]}
    node = summarise(hardware(tdp_w=None, memory_gb=None, **gpus))["gros-1"]
    assert node["n_gpus"] == 2
    for name in ("gpu_limit_w", "gpu_generation", "tdp_w", "memory_gib"):
        assert node[name] is None


def test_hardware_is_the_last_description() -> None:
    found = summarise(hardware(), hardware(valid_from=NEW, tdp_w=150.0), hardware(node="gros-2"))
    assert found["gros-1"]["tdp_w"] == 300.0
    assert found["gros-2"]["tdp_w"] == 250.0
