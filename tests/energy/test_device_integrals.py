"""Integrals of device series over the segments of nodes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from footprint.energy.device_integrals import integrate_series
from footprint.energy.node_hardware import NODE_HARDWARE_SCHEMA
from footprint.schemas.gaps import Segments
from footprint.sources import monthly_files

START = datetime(2025, 3, 1, tzinfo=UTC)
ORIGIN_US = int(START.timestamp()) * 1_000_000
ROWS = [("c-1", 0, 600), ("c-1", 600, 1000), ("c-2", 0, 1000)]
SEGMENTS = pl.DataFrame(
    [
        {
            "node": node,
            "from_us": ORIGIN_US + start_s * 1_000_000,
            "to_us": ORIGIN_US + end_s * 1_000_000,
            "share": 0.0,
            "is_unavailable": False,
            "duration_s": float(end_s - start_s),
            "covered_s": 0.0,
            "energy_j": 0.0,
            "weight": 1.0,
        }
        for node, start_s, end_s in ROWS
    ],
    schema=pl.DataFrame(Segments.create_empty()).schema,
)
HARDWARE = pl.DataFrame(
    [
        {"node": "c-1", "cluster": "c", "has_gpu": True, "n_gpus": 2, "n_cores": 8},
        {"node": "c-2", "cluster": "c", "has_gpu": False, "n_gpus": 0, "n_cores": 8},
    ],
    schema=NODE_HARDWARE_SCHEMA,
)


def write_gpu(folder: Path, *gpus: tuple[int, float, int]) -> list[str]:
    """Monthly file of GPUs (number, power, seconds of readings) of c-1."""
    frames = [
        pl.DataFrame(
            {
                "node": "c-1",
                "gpu": pl.Series([gpu] * (end_s // 10 + 1), dtype=pl.UInt8),
                "timestamp": pl.Series(
                    [START + timedelta(seconds=s) for s in range(0, end_s + 1, 10)],
                    dtype=pl.Datetime("us", "UTC"),
                ),
                "power_w": power_w,
            }
        )
        for gpu, power_w, end_s in gpus
    ]
    path = folder / "devices.parquet"
    monthly_files.write_monthly_file(frames, path, schema=monthly_files.DEVICE_POWER_SCHEMA)
    return [str(path)]


def write_load(folder: Path, **loads: float) -> list[str]:
    """Monthly file of a constant load of nodes, by name with `_` for `-`."""
    times = [START + timedelta(seconds=s) for s in range(0, 1001, 10)]
    frames = [
        pl.DataFrame({"node": name.replace("_", "-"), "labels": "{}", "timestamp": times})
        .with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")), value=pl.lit(load))
        .select("node", "labels", "timestamp", "value")
        for name, load in loads.items()
    ]
    path = folder / "load.parquet"
    monthly_files.write_monthly_file(frames, path, schema=monthly_files.DEVICE_SERIES_SCHEMA)
    return [str(path)]


def test_gpu_power_counts_while_every_gpu_is_known(tmp_path: Path) -> None:
    devices = write_gpu(tmp_path, (0, 100.0, 1000), (1, 50.0, 800))
    found = integrate_series(SEGMENTS, HARDWARE, devices=devices, load=[])
    assert found["gpu_covered_s"].to_list() == pytest.approx([600, 200, 1000])
    assert found["gpu_j"].to_list() == pytest.approx([600 * 150, 200 * 150, 0])
    assert found["load_s"].null_count() == found["load_covered_s"].null_count() == 3


def test_node_with_a_gpu_without_series_has_no_covered_time(tmp_path: Path) -> None:
    devices = write_gpu(tmp_path, (0, 100.0, 1000))
    found = integrate_series(SEGMENTS, HARDWARE, devices=devices, load=[])
    assert found["gpu_covered_s"].to_list() == [0, 0, 1000]
    assert found["gpu_j"].to_list() == [0, 0, 0]


def test_load_is_relative_to_cores_and_at_most_one(tmp_path: Path) -> None:
    load = write_load(tmp_path, c_1=4.0, c_2=20.0)
    found = integrate_series(SEGMENTS, HARDWARE, devices=[], load=load)
    assert found["load_s"].to_list() == pytest.approx([300, 200, 1000])
    assert found["load_covered_s"].to_list() == pytest.approx([600, 400, 1000])
    # without their series, GPUs are unknown
    assert found["gpu_j"].to_list() == [None, None, 0]


def test_empty_series_cover_nothing(tmp_path: Path) -> None:
    found = integrate_series(
        SEGMENTS, HARDWARE, devices=write_gpu(tmp_path), load=write_load(tmp_path)
    )
    assert found["gpu_covered_s"].to_list() == [0, 0, 1000]
    assert found["load_covered_s"].to_list() == [0, 0, 0]


def test_no_segments_give_no_rows() -> None:
    assert integrate_series(SEGMENTS.clear(), HARDWARE, devices=[], load=[]).is_empty()
