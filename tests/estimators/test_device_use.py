"""Series of GPUs and processors, integrated while jobs hold them, against sums by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.allocation import node_allocations
from footprint.estimators import device_use
from footprint.schemas.estimates import CpuSeries, GpuPower, Hardware
from footprint.sources import monthly_files
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 31, tzinfo=UTC)
APRIL = datetime(2025, 4, 1, tzinfo=UTC)
END = datetime(2025, 4, 2, tzinfo=UTC)
NOON_S = 43_200.0
KWH = 1 / 3.6e6  # of a joule

Readings = dict[float, float]  # of a value by second since START


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def every_15_s(since: float, until: float, value: float) -> Readings:
    return dict.fromkeys(np.arange(since, until + 1, 15.0).tolist(), value)


def allocations(*rows: tuple[int, str, float, float, float]) -> pl.DataFrame:
    """Allocations of (job, node or GPU, seconds from, to, share)."""
    named = [
        {"job_id": j, "node": n, "started_at": at(a), "stopped_at": at(b), "share": s}
        | {"gpus": 0.0, "cores": 0.0, "opens": True, "closes": True}
        for j, n, a, b, s in rows
    ]
    return pl.DataFrame(named, schema=node_allocations.ALLOCATION_SCHEMA)


def frame_of(readings: Readings, value: str, **columns: Any) -> pl.DataFrame:
    rows = [{"timestamp": at(second), value: each} for second, each in sorted(readings.items())]
    types = {"timestamp": pl.Datetime("us", "UTC"), value: pl.Float64()}
    return pl.DataFrame(rows, schema=types).with_columns(
        **{name: pl.lit(each) for name, each in columns.items()}
    )


def gpu_monthly_file(path: Path, **of_gpus: Readings) -> str:
    """A monthly file of the GPUs of graffiti-1, as `g0` and `g1`."""
    frames = [
        frame_of(readings, "power_w", node="graffiti-1", gpu=int(name[1:])).cast({"gpu": pl.UInt8})
        for name, readings in sorted(of_gpus.items())
    ]
    monthly_files.write_monthly_file(frames, path, schema=monthly_files.DEVICE_POWER_SCHEMA)
    return str(path)


def used(devices: list[str], held: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """`schemas.GpuPower` by job, whose jobs are on one node each."""
    rows = device_use.integrate_gpu_power(devices, held, start=START, end=END)
    assert GpuPower.is_valid(rows)
    return {row["job_id"]: row for row in rows.iter_rows(named=True)}


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


class TestGpuPower:
    def test_gpu_power_constant_power_gives_power_times_time(self, tmp_path: Path) -> None:
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=every_15_s(NOON_S, NOON_S + 3600, 200))
        held = allocations((1, "graffiti-1/0", NOON_S + 600, NOON_S + 2400, 1.0))
        row = used([path], held)[1]
        assert row["node"] == "graffiti-1"
        assert row["gpu_hours"] == row["covered_gpu_hours"] == near(0.5)
        assert row["energy_kwh"] == near(0.2 * 0.5)

    def test_gpu_power_interpolates_bounds_between_readings(self, tmp_path: Path) -> None:
        readings = {0: 100.0, 15: 200.0, 30: 200.0, 45: 400.0, 60: 100.0}
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=readings)
        row = used([path], allocations((1, "graffiti-1/0", 10, 40, 1.0)))[1]
        # 166.7 W at 10 s and 333.3 W at 40 s
        joules = (500 / 3 + 200) / 2 * 5 + 200 * 15 + (200 + 1000 / 3) / 2 * 10
        assert row["energy_kwh"] == near(joules * KWH)
        assert row["covered_gpu_hours"] == near(30 / 3600)

    def test_gpu_power_half_a_gpu_has_half_of_its_energy(self, tmp_path: Path) -> None:
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=every_15_s(0, 3600, 240))
        held = allocations((1, "graffiti-1/0", 0, 3600, 0.5), (2, "graffiti-1/0", 0, 1800, 0.5))
        rows = used([path], held)
        assert rows[1]["energy_kwh"] == near(0.24 * 0.5 * 1.0)
        assert rows[1]["gpu_hours"] == near(0.5 * 1.0)
        assert rows[2]["energy_kwh"] == near(0.24 * 0.5 * 0.5)
        assert rows[2]["covered_gpu_hours"] == near(0.5 * 0.5)

    def test_gpu_power_each_job_has_the_energy_of_its_own_gpus(self, tmp_path: Path) -> None:
        own = {"g0": every_15_s(0, 7200, 50), "g1": every_15_s(0, 7200, 250)}
        path = gpu_monthly_file(tmp_path / "g.parquet", **own)
        held = allocations(
            (1, "graffiti-1/0", 0, 3600, 1.0),
            (2, "graffiti-1/1", 0, 3600, 1.0),
            (3, "graffiti-1/0", 3600, 7200, 1.0),
            (3, "graffiti-1/1", 3600, 7200, 1.0),
        )
        rows = used([path], held)
        assert {job: row["energy_kwh"] for job, row in rows.items()} == {
            1: near(0.05),
            2: near(0.25),
            3: near(0.05 + 0.25),
        }
        assert rows[3]["gpu_hours"] == rows[3]["covered_gpu_hours"] == near(2.0)

    def test_gpu_power_overlap_of_monthly_files_counts_once(self, tmp_path: Path) -> None:
        midnight_s = (APRIL - START).total_seconds()
        march = every_15_s(midnight_s - 1800, midnight_s + 60, 300)
        april = every_15_s(midnight_s - 60, midnight_s + 1800, 300)
        paths = [
            gpu_monthly_file(tmp_path / f"{name}.parquet", g0=readings)
            for name, readings in (("march", march), ("april", april))
        ]
        held = allocations((1, "graffiti-1/0", midnight_s - 600, midnight_s + 600, 1.0))
        for order in (paths, paths[::-1]):
            row = used(order, held)[1]
            assert row["covered_gpu_hours"] == row["gpu_hours"] == near(1 / 3)
            assert row["energy_kwh"] == near(0.3 / 3)

    @pytest.mark.parametrize(("silent_s", "covered_s"), [(60, 600), (75, 525)])
    def test_gpu_power_gap_of_more_than_60_s_is_not_covered(
        self, tmp_path: Path, silent_s: float, covered_s: float
    ) -> None:
        readings = every_15_s(0, 300, 100) | every_15_s(300 + silent_s, 600, 100)
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=readings)
        row = used([path], allocations((1, "graffiti-1/0", 0, 600, 1.0)))[1]
        assert row["gpu_hours"] == near(600 / 3600)
        assert row["covered_gpu_hours"] == near(covered_s / 3600)
        assert row["energy_kwh"] == near(100 * covered_s * KWH)

    def test_gpu_power_gpu_without_readings_is_not_covered(self, tmp_path: Path) -> None:
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=every_15_s(0, 3600, 100))
        row = used([path], allocations((1, "graffiti-1/1", 0, 3600, 1.0)))[1]
        assert (row["gpu_hours"], row["covered_gpu_hours"], row["energy_kwh"]) == (1.0, 0.0, 0.0)
        # one reading alone covers no time
        path = gpu_monthly_file(tmp_path / "g.parquet", g0={1800: 100.0})
        assert (
            used([path], allocations((1, "graffiti-1/0", 0, 3600, 1.0)))[1]["covered_gpu_hours"]
            == 0
        )

    def test_gpu_power_job_without_a_share_has_no_row(self, tmp_path: Path) -> None:
        path = gpu_monthly_file(tmp_path / "g.parquet", g0=every_15_s(0, 3600, 100))
        emptied = (1, "graffiti-1/0", 0.0, 3600.0, 0.0)  # a container whose inner job has it all
        assert set(used([path], allocations(emptied, (2, "graffiti-1/0", 0, 3600, 1.0)))) == {2}
        assert used([path], allocations()) == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices")


@settings(max_examples=40)
@given(
    st.lists(st.none() | st.integers(1, 700), min_size=2, max_size=40),
    st.lists(st.integers(0, 600), max_size=6),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_gpu_power_of_jobs_sums_to_the_energy_of_the_gpu(
    folder: Path, watts: list[int | None], cuts: list[int], part: float
) -> None:
    readings = {15.0 * i: float(w) for i, w in enumerate(watts) if w is not None}
    bounds = sorted({0, 600, *cuts})
    held = [
        (job, "graffiti-1/0", float(low), float(high), share)
        for place, (low, high) in enumerate(pairwise(bounds))
        for job, share in ((2 * place, part), (2 * place + 1, 1 - part))
        if share
    ]
    path = gpu_monthly_file(folder / "g.parquet", g0=readings or {700.0: 1.0})
    rows = used([path], allocations(*held)).values()
    times = sorted(readings)
    pairs = [(a, b) for a, b in pairwise(times) if b - a <= 60]
    joules = sum((readings[a] + readings[b]) / 2 * (b - a) for a, b in pairs)
    assert sum(row["energy_kwh"] for row in rows) == near(joules * KWH)
    covered_s = sum(b - a for a, b in pairs)
    assert sum(row["covered_gpu_hours"] for row in rows) == near(covered_s / 3600)
    assert sum(row["gpu_hours"] for row in rows) == near(600 / 3600)


# Processors: gros-1 has 4 cores and 8 threads


def series(path: Path, **of_labels: Readings) -> str:
    """A monthly file of a series of gros-1, by its labels."""
    frames = [
        frame_of(readings, "value", node="gros-1", labels=f'{{"package":"{name}"}}')
        for name, readings in sorted(of_labels.items())
    ]
    monthly_files.write_monthly_file(frames, path, schema=monthly_files.DEVICE_SERIES_SCHEMA)
    return str(path)


def use(
    held: pl.DataFrame, *, load: list[str], package: list[str], policy: str = "reserved"
) -> dict[int, dict[str, Any]]:
    """`schemas.CpuSeries` by job."""
    hardware: dict[str, Any] = {
        "node": "gros-1",
        "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
        "cluster": "gros",
        "tdp_w": 125.0,
    }
    hardware |= {"cpu_model": "X", "n_cpus": 2, "n_cores": 4, "n_threads": 8, "memory_gb": 96.0}
    of_gpus = ("gpus", "gpu_models", "gpu_generations", "gpu_limits_w", "gpu_mlco2_w")
    rows = device_use.integrate_cpu_series(
        held,
        frame_of_schema(Hardware, hardware | {name: [] for name in of_gpus}).collect(),
        load=load,
        package=package,
        policy=policy,
        start=START,
        end=END,
    )
    assert CpuSeries.is_valid(rows)
    return {row["job_id"]: row for row in rows.iter_rows(named=True)}


class TestLoad:
    def test_cpu_series_divides_the_load_by_cores_and_by_threads(self, tmp_path: Path) -> None:
        path = series(tmp_path / "l.parquet", load={0: 2.0, 15: 2.0, 30: 4.0, 45: 4.0, 60: 0.0})
        row = use(allocations((1, "gros-1", 0, 60, 0.25)), load=[path], package=[])[1]
        # a load of 2 for 30 s, of 4 for 30 s: a half and all of the cores
        assert row["core_use_frac"] == near((30 * 2 / 4 + 30 * 4 / 4) / 60)
        assert row["thread_load_cubed"] == near((30 * (2 / 8) ** 3 + 30 * (4 / 8) ** 3) / 60)
        assert row["load_covered_s"] == row["duration_s"] == near(60)

    def test_cpu_series_load_above_the_number_of_cores_counts_as_full(self, tmp_path: Path) -> None:
        path = series(tmp_path / "l.parquet", load={0: 6.0, 15: 6.0, 30: 20.0, 45: 20.0, 60: 20.0})
        row = use(allocations((1, "gros-1", 0, 60, 1.0)), load=[path], package=[])[1]
        assert row["core_use_frac"] == 1.0
        assert row["thread_load_cubed"] == near(((6 / 8) ** 3 * 30 + 1 * 30) / 60)

    def test_cpu_series_load_of_0_is_a_value(self, tmp_path: Path) -> None:
        path = series(tmp_path / "l.parquet", load=every_15_s(0, 60, 0.0))
        row = use(allocations((1, "gros-1", 0, 60, 1.0)), load=[path], package=[])[1]
        assert (row["core_use_frac"], row["thread_load_cubed"]) == (0.0, 0.0)
        assert row["load_covered_s"] == near(60)

    def test_cpu_series_mean_is_weighted_by_the_share(self, tmp_path: Path) -> None:
        path = series(tmp_path / "l.parquet", load=every_15_s(0, 585, 4.0) | {600.0: 0.0, 615: 0.0})
        held = allocations((1, "gros-1", 0, 600, 0.25), (1, "gros-1", 600, 615, 1.0))
        row = use(held, load=[path], package=[])[1]
        assert row["core_use_frac"] == near((0.25 * 600 * 1 + 1.0 * 15 * 0) / (0.25 * 600 + 15))
        assert row["duration_s"] == near(615)

    def test_cpu_series_leaves_out_values_that_are_not_numbers(self, tmp_path: Path) -> None:
        odd = {30: float("nan"), 45: float("inf")}
        path = series(tmp_path / "l.parquet", load=every_15_s(0, 90, 1.0) | odd)
        row = use(allocations((1, "gros-1", 0, 90, 1.0)), load=[path], package=[])[1]
        assert row["core_use_frac"] == near(1 / 4)
        assert row["load_covered_s"] == near(90)

    def test_cpu_series_binary_gate_allows_overlapping_jobs(self, tmp_path: Path) -> None:
        path = series(tmp_path / "l.parquet", load=every_15_s(0, 600, 1.0))
        held = allocations((1, "gros-1", 0, 600, 1.0), (2, "gros-1", 300, 450, 1.0))
        rows = use(held, load=[path], package=[], policy="binary")
        assert {job: row["core_use_frac"] for job, row in rows.items()} == {
            1: near(1 / 4),
            2: near(1 / 4),
        }
        assert {job: row["load_covered_s"] for job, row in rows.items()} == {
            1: near(600),
            2: near(150),
        }

    def test_cpu_series_without_series_is_null(self) -> None:
        row = use(allocations((1, "gros-1", 0, 600, 0.5)), load=[], package=[])[1]
        assert row["duration_s"] == near(600)
        assert (row["load_covered_s"], row["package_covered_s"]) == (0, 0)
        means = ("core_use_frac", "thread_load_cubed", "package_power_w")
        assert [row[name] for name in means] == [None] * 3
        assert use(allocations(), load=[], package=[]) == {}


def watts(tmp_path: Path, **of_labels: Readings) -> list[tuple[float, float]]:
    """Seconds and watts that `package_power` gives."""
    path = series(tmp_path / "p.parquet", **of_labels)
    seconds = (pl.col("timestamp") - START).dt.total_seconds()
    return device_use.package_power([path], "gros-1").select(seconds, "power_w").rows()


class TestPackages:
    def test_package_power_sums_the_counters_of_two_sockets(self, tmp_path: Path) -> None:
        first = {0: 5000.0, 15: 5000 + 15 * 100, 30: 6500 + 15 * 40, 45: 7100 + 15 * 40}
        other = {0: 0.0, 15: 15 * 50.0, 30: 750 + 15 * 50, 45: 1500 + 15 * 60}
        found = watts(tmp_path, first=first, other=other)
        assert found == [(0, near(100 + 50)), (15, near(40 + 50)), (30, near(40 + 60))]
        row = use(
            allocations((1, "gros-1", 5, 20, 0.5)), load=[], package=[str(tmp_path / "p.parquet")]
        )[1]
        assert row["package_power_w"] == near((10 * 150 + 5 * 90) / 15)
        assert row["package_covered_s"] == near(15)
        assert row["core_use_frac"] is None

    def test_package_power_keeps_the_last_power_where_a_counter_restarts(
        self, tmp_path: Path
    ) -> None:
        found = watts(tmp_path, only={0: 0.0, 15: 1500.0, 30: 3000.0, 45: 100.0, 60: 850.0})
        assert found == [(0, near(100)), (15, near(100)), (30, near(100)), (45, near(50))]
        path = str(tmp_path / "p.parquet")
        row = use(allocations((1, "gros-1", 0, 45, 1.0)), load=[], package=[path])[1]
        assert row["package_power_w"] == near(100)
        assert row["package_covered_s"] == near(45)

    def test_package_power_counts_the_other_socket_where_a_counter_restarts(
        self, tmp_path: Path
    ) -> None:
        anew = {0: 0.0, 15: 1500.0, 30: 3000.0, 45: 100.0, 60: 1600.0}  # 100 W
        other = {0: 0.0, 15: 750.0, 30: 1500.0, 45: 2250.0, 60: 3000.0}  # 50 W
        watts(tmp_path, anew=anew, other=other)
        path = str(tmp_path / "p.parquet")
        row = use(allocations((1, "gros-1", 0, 45, 1.0)), load=[], package=[path])[1]
        assert row["package_power_w"] == near(100 + 50)

    def test_package_power_keeps_the_last_power_where_a_socket_lacks_a_value(
        self, tmp_path: Path
    ) -> None:
        lacking = {0: 0.0, 15: 1500.0, 30: float("nan"), 45: 4500.0, 60: 6000.0}  # 100 W
        other = {0: 0.0, 15: 750.0, 30: 1500.0, 45: 2250.0, 60: 3000.0}  # 50 W
        watts(tmp_path, lacking=lacking, other=other)
        path = str(tmp_path / "p.parquet")
        row = use(allocations((1, "gros-1", 0, 45, 1.0)), load=[], package=[path])[1]
        assert row["package_power_w"] == near(100 + 50)

    def test_package_power_leaves_out_values_that_are_not_numbers(self, tmp_path: Path) -> None:
        readings = {0: 0.0, 15: float("nan"), 30: 3000.0, 45: 4500.0}
        assert watts(tmp_path, only=readings) == [(0, near(100)), (30, near(100))]


def test_allocations_on_cluster_are_those_on_its_nodes_and_gpus() -> None:
    names = ["gros-1", "gros-12/0", "gros-x-1", "gros-x-1/3", "grosgrain-1", "graffiti-1/0"]
    held = allocations(*((job, name, 0.0, 60.0, 1.0) for job, name in enumerate(names)))
    for cluster, jobs in {"gros": [0, 1], "gros-x": [2, 3], "graffiti": [5], "gro": []}.items():
        assert device_use.allocations_on_cluster(held, cluster)["job_id"].to_list() == jobs
