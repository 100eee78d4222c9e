"""Inputs of the estimators, collected from the tables of a study."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.estimators import inputs, registry
from footprint.estimators.inputs import EstimatorInputs
from footprint.schemas.estimates import CpuSeries, GpuPower, Recorded
from tests.support.api_answers import nodes_table
from tests.support.estimator_inputs import (
    A40,
    AT_NOON,
    KEPLER,
    MIXED,
    SCHEMA,
    described_node,
    frame_of_schema,
    tables_of_jobs,
)

pytestmark = pytest.mark.filterwarnings("error")

HOUR = timedelta(hours=1)
WHOLE: dict[str, Any] = {"job_id": 1, "gpus": 2.0}
PLAIN = nodes_table(described_node("gruss-1", A40, A40), described_node("gros-1", gib=96))


def gathered(*jobs: dict[str, Any], **more: Any) -> EstimatorInputs:
    return inputs.collect_inputs(tables_of_jobs(*jobs, **more))


def held(*jobs: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return gathered(*jobs, **more).job_nodes.collect().to_dicts()


def one(*jobs: dict[str, Any], **more: Any) -> dict[str, Any]:
    (row,) = held(*jobs, **more)
    return row


def gpu_power(**row: Any) -> pl.LazyFrame:
    usual = {"job_id": 1, "node": "gruss-1", "gpu_hours": 2.0, "covered_gpu_hours": 2.0}
    return frame_of_schema(GpuPower, usual | {"energy_kwh": 0.36} | row)


def cpu_series(**row: Any) -> pl.LazyFrame:
    usual = {"job_id": 1, "node": "gruss-1", "duration_s": 3600.0}
    usual |= {"load_covered_s": 3600.0, "core_use_frac": 0.25, "thread_load_cubed": 0.008}
    usual |= {"package_covered_s": 3600.0, "package_power_w": 100.0}
    return frame_of_schema(CpuSeries, usual | row)


# The node


def test_inputs_joins_amounts_held_with_the_hardware_of_the_node() -> None:
    row = one({"job_id": 1, "cores": [0], "gpus": 0.5, "hours": 3, "coverage_frac": 0.75})
    assert row == {
        "job_id": 1,
        "node": "gruss-1",
        "coverage_frac": 0.75,
        "gpu_hours": 1.5,
        "core_hours": 3,
        "memory_gbh": 192,  # 256 GB x 1 of 4 cores x 3 h
        "cpu_model": "AMD EPYC 7352",
        "n_cpus": 2,
        "n_cores": 4,
        "n_threads": 8,
        "tdp_w": 155,
        "memory_gb": 256,
        "gpu_limit_w": 235,
        "gpu_mlco2_w": 245,
        "pre_volta_frac": 1,
        "gpu_series_w": None,
        "core_use_frac": None,
        "thread_load_cubed": None,
        "package_power_w": None,
    }
    assert list(row) == list(inputs.JOB_NODE_COLUMNS)


def test_inputs_has_the_columns_of_the_test_helper() -> None:
    assert gathered(WHOLE).job_nodes.collect_schema() == SCHEMA


@pytest.mark.parametrize(("cores", "gib_h"), [([0, 1, 2, 3], 256), ([1, 2], 128), ([3], 64)])
def test_inputs_memory_is_held_by_the_part_of_the_cores(cores: list[int], gib_h: float) -> None:
    found = gathered({"job_id": 1, "cores": cores}, nodes=PLAIN)
    assert found.job_nodes.collect()["memory_gbh"].to_list() == [gib_h]
    assert found.jobs.collect()["memory_gbh"].to_list() == [gib_h]


def test_inputs_sums_memory_over_nodes_and_sorts_rows() -> None:
    inputs_of_job = [{"job_id": 1, "hours": 2}, {"job_id": 1, "hours": 2, "node": "gros-1"}]
    found = gathered({"job_id": 2, "node": "gros-1"}, *inputs_of_job, nodes=PLAIN)
    rows = found.job_nodes.select("job_id", "node", "memory_gbh").collect().rows()
    assert rows == [(1, "gros-1", 192), (1, "gruss-1", 512), (2, "gros-1", 96)]
    assert found.jobs.select("job_id", "memory_gbh").collect().rows() == [(1, 704), (2, 96)]


def test_inputs_node_without_gpu_has_null_gpu_values() -> None:
    row = one({"job_id": 1, "node": "gros-1"}, nodes=PLAIN)
    names = ("gpu_limit_w", "gpu_mlco2_w", "pre_volta_frac")
    assert [row[name] for name in names] == [None] * 3


def test_inputs_leaves_out_nodes_outside_the_study_and_keeps_their_jobs() -> None:
    found = gathered({"job_id": 1, "node": "grele-1"}, {"job_id": 2}, nodes=PLAIN)
    assert found.job_nodes.select("job_id", "node").collect().rows() == [(2, "gruss-1")]
    assert found.jobs.select("job_id", "memory_gbh").collect().rows() == [(1, 0), (2, 256)]


def test_inputs_job_partly_outside_the_study_keeps_the_nodes_inside() -> None:
    assert one({"job_id": 1, "node": "grele-1"}, {"job_id": 1}, nodes=PLAIN)["node"] == "gruss-1"


def test_inputs_job_without_nodes_has_known_nodes_unless_flagged() -> None:
    nothing: dict[str, Any] = {"node": None, "cores": [], "hours": 0}
    found = gathered(
        {"job_id": 1, "flags": ["shared_node"], "gpus": 2, "hours": 2, "coverage_frac": 0.5},
        {"job_id": 2, "flags": ["never_started"], "started_at": None} | nothing,
        {"job_id": 3, "flags": ["still_running", "nodes_unknown"]} | nothing,
    )
    names = ("job_id", "duration_s", "coverage_frac", "gpu_hours", "core_hours", "memory_gbh")
    assert found.jobs.select(*names, "has_known_nodes").collect().rows() == [
        (1, 7200, 0.5, 4, 8, 512, True),
        (2, 0, 1, 0, 0, 0, True),
        (3, 0, 1, 0, 0, 0, False),
    ]


# The period


@pytest.mark.parametrize(
    ("started_after", "memory_gb", "limit_w"),
    [
        (-200 * HOUR, 128, 235),  # before the first period: that one is the nearest
        (-1 * HOUR, 128, 235),
        (timedelta(0), 256, 300),
        (5 * HOUR, 256, 300),
    ],
)
def test_inputs_uses_the_hardware_at_the_start_of_the_job(
    started_after: timedelta, memory_gb: float, limit_w: float
) -> None:
    old = nodes_table(described_node("gruss-1", KEPLER, KEPLER, gib=128))
    periods = [
        old.with_columns(
            valid_from=pl.lit(AT_NOON - 100 * HOUR, old.schema["valid_from"]),
            valid_until=pl.lit(AT_NOON, old.schema["valid_until"]),
        ),
        nodes_table(described_node("gruss-1", A40, A40)).with_columns(
            valid_from=pl.lit(AT_NOON, old.schema["valid_from"])
        ),
    ]
    # it goes on for 10 hours, and so into the second period
    job = {"job_id": 1, "started_at": AT_NOON + started_after, "hours": 10, "gpus": 2}
    row = one(job, nodes=pl.concat(periods))
    assert (row["memory_gb"], row["gpu_limit_w"]) == (memory_gb, limit_w)
    assert row["memory_gbh"] == 10 * memory_gb


# GPUs of several kinds


@pytest.mark.parametrize(
    ("cores", "limit_w", "mlco2_w", "pre_volta"),
    [
        ([0], 235, 245, 1),
        ([0, 1], 235, 245, 1),
        ([3], 300, None, 0),
        # weighted by the limits: what is left of them are the 300 W of the card with a counter
        ([0, 3], (235 + 300) / 2, None, 235 / (235 + 300)),
        ([0, 1, 2], (1 * 235 + 0.5 * 300) / 1.5, None, 235 / (235 + 0.5 * 300)),
        ([0, 1, 2, 3], (235 + 300) / 2, None, 235 / (235 + 300)),
    ],
)
def test_inputs_mixed_gpus_counts_those_that_the_job_held(
    cores: list[int], limit_w: float, mlco2_w: float | None, pre_volta: float
) -> None:
    row = one({"job_id": 1, "cores": cores, "gpus": len(cores) / 2})
    assert row["gpu_limit_w"] == pytest.approx(limit_w, rel=1e-12)
    assert row["gpu_mlco2_w"] == mlco2_w
    assert row["pre_volta_frac"] == pytest.approx(pre_volta, rel=1e-12)


def test_inputs_gpus_with_different_limits_are_several_kinds() -> None:
    nodes = nodes_table(described_node("gruss-1", A40, ("A40", "250.00 W")))
    limits = [
        one({"job_id": 1, "cores": cores, "gpus": 1}, nodes=nodes)["gpu_limit_w"]
        for cores in ([0, 1], [2, 3])
    ]
    assert limits == [300, 250]


def test_inputs_gpus_with_different_generations_are_several_kinds() -> None:
    old = ("GeForce GTX 980", "300.00 W")  # Maxwell; ML CO2 Impact lacks inputs_of_job
    nodes = nodes_table(described_node("gruss-1", old, A40))
    found = [
        one({"job_id": 1, "cores": cores, "gpus": 1}, nodes=nodes)["pre_volta_frac"]
        for cores in ([0, 1], [2, 3])
    ]
    assert found == [1, 0]


def test_inputs_ignores_a_gpu_that_cannot_be_reserved() -> None:
    node = described_node("gruss-1", KEPLER, A40)
    node["gpu_devices"]["nvidia0"]["reservation"] = False
    row = one({"job_id": 1, "gpus": 1}, nodes=nodes_table(node))
    assert (row["gpu_limit_w"], row["gpu_mlco2_w"], row["pre_volta_frac"]) == (300, None, 0)


def test_inputs_unknown_generation_has_null_pre_volta_part() -> None:
    nodes = nodes_table(
        described_node("gruss-1", ("Brand-New", "900.00 W"), ("Brand-New", "900.00 W"))
    )
    row = one(WHOLE, nodes=nodes)
    assert (row["gpu_limit_w"], row["gpu_mlco2_w"], row["pre_volta_frac"]) == (900, None, None)


@pytest.mark.parametrize(
    ("cores", "limit_w", "pre_volta"),
    [([0, 1], None, None), ([2, 3], 300, 0), ([1, 2], None, None)],
)
def test_inputs_unknown_limit_is_null_for_jobs_that_held_the_gpu(
    cores: list[int], limit_w: float | None, pre_volta: float | None
) -> None:
    nodes = nodes_table(described_node("gruss-1", ("Brand-New", None), A40))
    row = one({"job_id": 1, "cores": cores, "gpus": 1}, nodes=nodes)
    assert (row["gpu_limit_w"], row["pre_volta_frac"]) == (limit_w, pre_volta)


def test_inputs_unknown_memory_is_null_and_memory_without_nodes_is_0() -> None:
    nodes = nodes_table(
        described_node("gruss-1", main_memory=None), described_node("nova-1", main_memory=None)
    )
    jobs = [{"job_id": 1, "node": "nova-1"}, {"job_id": 2, "node": None, "cores": [], "hours": 0}]
    jobs += [{"job_id": 3}, {"job_id": 3, "node": "nova-1"}]
    found = gathered(*jobs, nodes=nodes)
    rows = found.job_nodes.select("job_id", "memory_gb", "memory_gbh").collect().rows()
    # gruss is in the catalogue with 256 GB
    assert rows == [(1, None, None), (3, 256, 256), (3, None, None)]
    assert dict(found.jobs.select("job_id", "memory_gbh").collect().iter_rows()) == {
        1: None,
        2: 0,
        3: None,
    }


NOT_CATALOGUED = described_node(
    "nova-1", ("Brand-New", None), ("Brand-New", None), processor={"model": "Z", "version": "80"}
)
"""A node whose processor and GPUs are in no table."""


def test_estimate_of_unknown_hardware_is_null_with_its_basis() -> None:
    inputs_of_job = gathered(
        {"job_id": 1, "node": "nova-1", "gpus": 2}, nodes=nodes_table(NOT_CATALOGUED)
    )

    def energy_and_basis(name: str) -> tuple[float | None, str]:
        row = registry.estimate_jobs(inputs_of_job, registry.ESTIMATORS[name]).row(0, named=True)
        return row["energy_kwh"], row["basis"]

    assert energy_and_basis("mlco2") == (None, "unknown")
    assert energy_and_basis("mlco2_table") == (None, "table")
    for name in ("green_algorithms", "green_algorithms_pue_3", "ga4hpc", "codecarbon_3"):
        assert energy_and_basis(name) == (None, "unknown")
    # 2 GPUs of 200 W, 4 cores of 12 W and 256 GB of 0.3725 W for an hour
    assert energy_and_basis("green_algorithms_any") == (
        pytest.approx(0.400 + 0.048 + 0.09536),
        "any",
    )


def test_estimate_of_unknown_memory_is_null_where_memory_counts() -> None:
    nodes = nodes_table(described_node("nova-1", A40, A40, main_memory=None))
    inputs_of_job = gathered({"job_id": 1, "node": "nova-1", "gpus": 2}, nodes=nodes)
    mlco2 = registry.estimate_jobs(inputs_of_job, registry.ESTIMATORS["mlco2"]).row(0, named=True)
    assert (mlco2["energy_kwh"], mlco2["memory_kwh"], mlco2["basis"]) == (0.6, 0, "tdp")
    assert mlco2["memory_gbh"] is None
    ga = registry.estimate_jobs(inputs_of_job, registry.ESTIMATORS["green_algorithms"]).row(
        0, named=True
    )
    assert (ga["energy_kwh"], ga["memory_kwh"], ga["basis"]) == (None, None, "tdp+unknown")
    assert ga["gpu_kwh"] == 0.6
    assert ga["cpu_kwh"] == pytest.approx(0.310)  # 2 x 155 W for an hour


def test_estimate_of_unknown_hardware_uses_series() -> None:
    series = gpu_power(node="nova-1")
    inputs_of_job = gathered(
        {"job_id": 1, "node": "nova-1", "gpus": 2},
        nodes=nodes_table(NOT_CATALOGUED),
        gpu_power=series,
        cpu_series=cpu_series(node="nova-1"),
    )
    row = registry.estimate_jobs(inputs_of_job, registry.ESTIMATORS["codecarbon_2"]).row(
        0, named=True
    )
    assert row["basis"] == "series"
    assert row["gpu_kwh"] == pytest.approx(0.36)
    assert row["energy_kwh"] == pytest.approx(0.36 + 0.1 + 256 * 503.77 / 512 * 3 / 8 / 1000)


def test_inputs_unknown_core_of_a_mixed_node_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^job 1: holds core 7 of gruss-1"):
        held({"job_id": 1, "cores": [0, 7]})


# Series


@pytest.mark.parametrize(
    ("covered_gpu_hours", "energy_kwh", "power_w"),
    [(2.0, 0.36, 180), (1.0, 0.18, 180), (0.999, 0.18, None), (0.0, 0.0, None)],
)
def test_inputs_uses_gpu_power_that_covers_half_of_the_time(
    covered_gpu_hours: float, energy_kwh: float, power_w: float | None
) -> None:
    series = gpu_power(covered_gpu_hours=covered_gpu_hours, energy_kwh=energy_kwh)
    found = one(WHOLE, gpu_power=series)["gpu_series_w"]
    assert found == (None if power_w is None else pytest.approx(power_w, rel=1e-12))


def test_inputs_gpu_power_without_gpu_hours_is_null() -> None:
    none = {"gpu_hours": 0.0, "covered_gpu_hours": 0.0, "energy_kwh": 0.0}
    assert one(WHOLE, gpu_power=gpu_power(**none))["gpu_series_w"] is None


@pytest.mark.parametrize(
    ("covered", "known"),
    [
        ({}, (0.25, 0.008, 100)),
        ({"load_covered_s": 1800.0, "package_covered_s": 1799.0}, (0.25, 0.008, None)),
        ({"load_covered_s": 1799.0, "package_covered_s": 1800.0}, (None, None, 100)),
        ({"load_covered_s": 0.0, "package_covered_s": 0.0}, (None, None, None)),
        ({"duration_s": 0.0, "load_covered_s": 0.0, "package_covered_s": 0.0}, (None,) * 3),
    ],
)
def test_inputs_uses_load_and_rapl_that_cover_half_of_the_time(
    covered: dict[str, float], known: tuple[float | None, ...]
) -> None:
    row = one(WHOLE, cpu_series=cpu_series(**covered))
    names = ("core_use_frac", "thread_load_cubed", "package_power_w")
    assert tuple(row[name] for name in names) == known


def test_inputs_joins_series_by_job_and_node() -> None:
    inputs_of_job = [WHOLE, {"job_id": 1, "node": "gros-1"}, {"job_id": 2}]
    rows = held(*inputs_of_job, nodes=PLAIN, gpu_power=gpu_power(), cpu_series=cpu_series())
    found = [(row["job_id"], row["node"], row["package_power_w"] is not None) for row in rows]
    assert found == [(1, "gros-1", False), (1, "gruss-1", True), (2, "gruss-1", False)]
    assert [row["gpu_series_w"] is not None for row in rows] == [False, True, False]


# All together


def test_inputs_without_records_has_an_empty_table_of_them() -> None:
    found = gathered(WHOLE)
    assert found.recorded.collect().is_empty()
    assert found.recorded.collect_schema() == Recorded.create_empty().schema


def test_inputs_from_files_equal_inputs_from_tables(tmp_path: Path) -> None:
    records = frame_of_schema(
        Recorded,
        {"job_id": 1, "tools": "codecarbon", "n_runs": 1, "duration_s": 9.0, "energy_kwh": 1.0},
    )
    jobs = [WHOLE, {"job_id": 2, "node": "gros-1"}]
    nodes = pl.concat([MIXED, PLAIN.filter(node="gros-1")])
    made = tables_of_jobs(*jobs, nodes=nodes, cpu_series=cpu_series(), recorded=records)
    files: dict[str, Any] = {}
    for name, frame in made._asdict().items():
        files[name] = tmp_path / f"{name}.parquet"
        frame.collect().write_parquet(files[name])
    other = frame_of_schema(
        GpuPower,
        {"job_id": 9, "node": "grele-1", "gpu_hours": 1, "covered_gpu_hours": 1, "energy_kwh": 0.1},
    )
    files["gpu_power"] = [tmp_path / "gruss.parquet", tmp_path / "grele.parquet"]
    for frame, path in zip((gpu_power(), other), files["gpu_power"], strict=True):
        frame.collect().write_parquet(path)
    of_files = inputs.scan_inputs(files)
    of_tables = inputs.collect_inputs(made._replace(gpu_power=gpu_power()))
    for loaded, expected in zip(of_files, of_tables, strict=True):
        assert_frame_equal(loaded.collect(), expected.collect())
    assert of_files.job_nodes.collect()["gpu_series_w"].to_list() == [pytest.approx(180), None]
    without = inputs.scan_inputs(files | {"gpu_power": [], "cpu_series": [], "recorded": []})
    assert without.job_nodes.collect()["gpu_series_w"].null_count() == 2
    assert without.recorded.collect().is_empty()


def test_codecarbon_pre_volta_counts_only_the_gpus_with_a_counter() -> None:
    inputs_of_job = gathered({"job_id": 1, "cores": [0, 1, 2, 3], "gpus": 2})
    for name in ("codecarbon_2_pre_volta", "codecarbon_3_pre_volta"):
        row = registry.estimate_jobs(inputs_of_job, registry.ESTIMATORS[name]).row(0, named=True)
        assert row["gpu_kwh"] == pytest.approx(0.300, rel=1e-12)  # an hour of the A40 alone
