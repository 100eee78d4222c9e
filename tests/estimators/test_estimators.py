"""Energy of jobs by each estimator, against sums computed by hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from footprint.estimators import codecarbon, registry
from footprint.hardware.topology import WATTS_PER_GB
from tests.support.estimator_inputs import (
    GRAFFITI,
    GRATOUILLE,
    JOBS,
    SCENARIOS,
    inputs_of_jobs,
    job_node,
    scenario_inputs,
)

pytestmark = pytest.mark.filterwarnings("error")

Wh = float | None
Expected = tuple[str, *tuple[tuple[Wh, Wh, Wh], ...]]
"""Basis; then, for each node of the job, watt-hours of its GPUs, processors and memory."""

NOTHING: Expected = ("none", (0, 0, 0))
UNKNOWN: Expected = ("none", (None, None, None))
COMMON = {"no time": NOTHING, "never started": NOTHING, "nodes unknown": UNKNOWN}

# hours x GPUs x their limit
MLCO2: dict[str, Expected] = COMMON | {
    "whole node": ("tdp", (2 * 4 * 250, 0, 0)),
    "part": ("tdp", (3 * 1 * 250, 0, 0)),
    "no GPU": ("none", (0, 0, 0)),
    "two nodes": ("tdp", (2 * 1 * 250, 0, 0), (2 * 0.5 * 250, 0, 0)),
    "mixed nodes": ("tdp", (3 * 2 * 235, 0, 0), (3 * 1 * 300, 0, 0)),
    "no counter": ("tdp", (2 * 1 * 235, 0, 0)),
    "read": ("tdp", (3 * 1 * 250, 0, 0)),
    "loaded": ("tdp", (3 * 1 * 250, 0, 0)),
    "idle": ("none", (0, 0, 0)),
    "one kind": ("tdp", (2 * 1 * 235, 0, 0)),
    "other kind": ("tdp", (2 * 1 * 300, 0, 0)),
}
# the same with the tool's table: V100 300 W, K40 245 W, no A40
MLCO2_TABLE: dict[str, Expected] = COMMON | {
    "whole node": ("table", (2 * 4 * 250, 0, 0)),
    "part": ("table", (3 * 1 * 250, 0, 0)),
    "no GPU": ("none", (0, 0, 0)),
    "two nodes": ("table", (2 * 1 * 300, 0, 0), (2 * 0.5 * 300, 0, 0)),
    "mixed nodes": ("table", (3 * 2 * 245, 0, 0), (None, 0, 0)),
    "no counter": ("table", (2 * 1 * 245, 0, 0)),
    "one kind": ("table", (2 * 1 * 245, 0, 0)),
    "other kind": ("table", (None, 0, 0)),
}
# and hours x part of the node x (sockets x TDP, and GB x 0.3725 W)
GREEN: dict[str, Expected] = COMMON | {
    "whole node": ("tdp", (2 * 4 * 250, 2 * 2 * 85, 2 * 128 * 0.3725)),
    "part": ("tdp", (3 * 1 * 250, 3 * 2 * 85 / 4, 3 * 128 * 0.3725 / 4)),
    "no GPU": ("tdp", (0, 10 * 125, 10 * 96 * 0.3725)),
    "two nodes": (
        "tdp",
        (2 * 1 * 250, 2 * 2 * 105, 2 * 128 * 0.3725),
        (2 * 0.5 * 250, 2 * 2 * 105 / 2, 2 * 128 * 0.3725 / 2),
    ),
    "mixed nodes": (
        "tdp",
        (3 * 2 * 235, 3 * 2 * 85, 3 * 64 * 0.3725),
        (3 * 1 * 300, 3 * 2 * 155 / 2, 3 * 256 * 0.3725 / 2),
    ),
    "no counter": ("tdp", (2 * 1 * 235, 2 * 2 * 85 / 2, 2 * 64 * 0.3725 / 2)),
    "read": ("tdp", (3 * 1 * 250, 3 * 2 * 85 / 4, 3 * 128 * 0.3725 / 4)),
    "loaded": ("tdp", (3 * 1 * 250, 3 * 2 * 85 / 4, 3 * 128 * 0.3725 / 4)),
    "idle": ("tdp", (0, 10 * 125, 10 * 96 * 0.3725)),
    "one kind": ("tdp", (2 * 1 * 235, 2 * 2 * 155 / 2, 2 * 256 * 0.3725 / 2)),
    "other kind": ("tdp", (2 * 1 * 300, 2 * 2 * 155 / 2, 2 * 256 * 0.3725 / 2)),
}
# 200 W a GPU, 12 W a core
GREEN_ANY: dict[str, Expected] = COMMON | {
    "whole node": ("any", (2 * 4 * 200, 2 * 16 * 12, 2 * 128 * 0.3725)),
    "part": ("any", (3 * 1 * 200, 3 * 4 * 12, 3 * 128 * 0.3725 / 4)),
    "no GPU": ("any", (0, 10 * 18 * 12, 10 * 96 * 0.3725)),
    "two nodes": (
        "any",
        (2 * 1 * 200, 2 * 24 * 12, 2 * 128 * 0.3725),
        (2 * 0.5 * 200, 2 * 12 * 12, 2 * 128 * 0.3725 / 2),
    ),
    "mixed nodes": (
        "any",
        (3 * 2 * 200, 3 * 12 * 12, 3 * 64 * 0.3725),
        (3 * 1 * 200, 3 * 24 * 12, 3 * 256 * 0.3725 / 2),
    ),
    "read": ("any", (3 * 1 * 200, 3 * 4 * 12, 3 * 128 * 0.3725 / 4)),
    "one kind": ("any", (2 * 1 * 200, 2 * 2 * 12, 2 * 256 * 0.3725 / 2)),
}
# Green Algorithms, cores by their use: a quarter when loaded, nothing when idle
GA4HPC: dict[str, Expected] = GREEN | {
    "loaded": ("load+tdp", (3 * 1 * 250, 3 * 2 * 85 / 4 * 0.25, 3 * 128 * 0.3725 / 4)),
    "idle": ("load", (0, 0, 10 * 96 * 0.3725)),
}
GA4HPC_FULL: dict[str, Expected] = GA4HPC | {
    "idle": ("load", (0, 10 * 125, 10 * 96 * 0.3725)),
}
# limits, half a socket's TDP, 3/8 W a GB that the tool sees; 180 W a GPU and 100 W for both
# processors when read. The tool finds the processor of the nodes with two kinds of GPUs (`table`)
SEEN = 3 / 8 * 503.77 / 512  # as measured on gemini-1
CARBON_2: dict[str, Expected] = COMMON | {
    "whole node": ("tdp", (2 * 4 * 250, 2 * 85 / 2, 2 * 128 * SEEN)),
    "part": ("tdp", (3 * 1 * 250, 3 * 85 / 2 / 4, 3 * 128 * SEEN / 4)),
    "no GPU": ("tdp", (0, 10 * 125 / 2, 10 * 96 * SEEN)),
    "two nodes": (
        "tdp",
        (2 * 1 * 250, 2 * 105 / 2, 2 * 128 * SEEN),
        (2 * 0.5 * 250, 2 * 105 / 2 / 2, 2 * 128 * SEEN / 2),
    ),
    "mixed nodes": (
        "tdp",
        (3 * 2 * 235, 3 * 85 / 2, 3 * 64 * SEEN),
        (3 * 1 * 300, 3 * 155 / 2 / 2, 3 * 256 * SEEN / 2),
    ),
    "no counter": ("tdp", (2 * 1 * 235, 2 * 85 / 2 / 2, 2 * 64 * SEEN / 2)),
    "read": ("series", (3 * 1 * 180, 3 * 100 / 4, 3 * 128 * SEEN / 4)),
    "loaded": ("tdp", (3 * 1 * 250, 3 * 85 / 2 / 4, 3 * 128 * SEEN / 4)),
    "idle": ("tdp", (0, 10 * 125 / 2, 10 * 96 * SEEN)),
    "one kind": ("tdp+table", (2 * 1 * 235, 2 * 155 / 2 / 2, 2 * 256 * SEEN / 2)),
    "other kind": ("tdp+table", (2 * 1 * 300, 2 * 155 / 2 / 2, 2 * 256 * SEEN / 2)),
}
CARBON_2_PRE_VOLTA: dict[str, Expected] = CARBON_2 | {
    "mixed nodes": (
        "tdp",
        (0, 3 * 85 / 2, 3 * 64 * SEEN),
        (3 * 1 * 300, 3 * 155 / 2 / 2, 3 * 256 * SEEN / 2),
    ),
    "no counter": ("tdp", (0, 2 * 85 / 2 / 2, 2 * 64 * SEEN / 2)),
    "one kind": ("tdp+table", (0, 2 * 155 / 2 / 2, 2 * 256 * SEEN / 2)),
}
# half of both sockets' TDP, or by load; modules: 64 GB 20 W, 96 and 128 GB 38 W, 256 GB 70 W
CARBON_3: dict[str, Expected] = COMMON | {
    "whole node": ("tdp", (2 * 4 * 250, 2 * 2 * 85 / 2, 2 * 38)),
    "part": ("tdp", (3 * 1 * 250, 3 * 2 * 85 / 2 / 4, 3 * 38 / 4)),
    "no GPU": ("tdp", (0, 10 * 125 / 2, 10 * 38)),
    "two nodes": (
        "tdp",
        (2 * 1 * 250, 2 * 2 * 105 / 2, 2 * 38),
        (2 * 0.5 * 250, 2 * 2 * 105 / 2 / 2, 2 * 38 / 2),
    ),
    "mixed nodes": (
        "tdp",
        (3 * 2 * 235, 3 * 2 * 85 / 2, 3 * 20),
        (3 * 1 * 300, 3 * 2 * 155 / 2 / 2, 3 * 70 / 2),
    ),
    "no counter": ("tdp", (2 * 1 * 235, 2 * 2 * 85 / 2 / 2, 2 * 20 / 2)),
    "read": ("series", (3 * 1 * 180, 3 * 100 / 4, 3 * 38 / 4)),
    "loaded": ("load+tdp", (3 * 1 * 250, 3 * 2 * 85 * (0.1 + 0.9 * 0.2**3) / 4, 3 * 38 / 4)),
    "idle": ("load", (0, 10 * 125 * 0.1, 10 * 38)),
    "one kind": ("tdp+table", (2 * 1 * 235, 2 * 2 * 155 / 2 / 2, 2 * 70 / 2)),
    "other kind": ("tdp+table", (2 * 1 * 300, 2 * 2 * 155 / 2 / 2, 2 * 70 / 2)),
}
CARBON_3_PRE_VOLTA: dict[str, Expected] = CARBON_3 | {
    "mixed nodes": (
        "tdp",
        (0, 3 * 2 * 85 / 2, 3 * 20),
        (3 * 1 * 300, 3 * 2 * 155 / 2 / 2, 3 * 70 / 2),
    ),
    "no counter": ("tdp", (0, 2 * 2 * 85 / 2 / 2, 2 * 20 / 2)),
    "one kind": ("tdp+table", (0, 2 * 2 * 155 / 2 / 2, 2 * 70 / 2)),
}

EXPECTED: dict[str, dict[str, Expected]] = {
    "mlco2": MLCO2,
    "mlco2_table": MLCO2_TABLE,
    "green_algorithms": GREEN,
    "green_algorithms_any": GREEN_ANY,
    "green_algorithms_pue_2": GREEN,
    "green_algorithms_pue_3": GREEN,
    "ga4hpc": GA4HPC,
    "ga4hpc_idle_as_full": GA4HPC_FULL,
    "codecarbon_2": CARBON_2,
    "codecarbon_2_pre_volta": CARBON_2_PRE_VOLTA,
    "codecarbon_3": CARBON_3,
    "codecarbon_3_pre_volta": CARBON_3_PRE_VOLTA,
}
PUE = {"green_algorithms_pue_2": 1.67, "green_algorithms_pue_3": 1.56}
VERSIONS = {
    "mlco2": "025b988",
    "mlco2_table": "025b988",
    "green_algorithms_pue_2": "2.2",
    "ga4hpc": "0.4",
    "ga4hpc_idle_as_full": "0.4",
    "codecarbon_2": "2.8.4",
    "codecarbon_2_pre_volta": "2.8.4",
    "codecarbon_3": "3.3.2",
    "codecarbon_3_pre_volta": "3.3.1",
}
CASES = [(name, scenario) for name, cases in EXPECTED.items() for scenario in cases]

# duration and coverage of the job; duration of the record and its kWh of GPUs, processors, memory
# and all; kWh that are compared
Kwh = float | None
RECORDED: dict[str, tuple[dict[str, Any], tuple[float, Kwh, Kwh, Kwh, float], Kwh]] = {
    "of all of the job": ({"coverage_frac": 0.75}, (3600, 0.5, 0.1, 0.05, 0.65), 0.65 * 0.75),
    "of 90 % of the job": ({"coverage_frac": 0.5}, (3240, 0.5, 0.1, 0.05, 0.65), 0.65 * 0.5),
    "of less": ({}, (3239, 0.5, 0.1, 0.05, 0.65), None),
    "of a job half outside the study": ({}, (7200, 0.5, 0.1, 0.05, 0.65), None),
    "a little longer than the job": ({}, (4000, 0.5, 0.1, 0.05, 0.65), 0.65),
    "without parts": ({}, (3600, None, None, None, 0.65), 0.65),
    "without GPU": ({"gpu_hours": 0.0}, (3600, 0, 0.1, 0.05, 0.15), 0.15),
    "of a job that is not measured": ({"coverage_frac": None}, (3600, 0, 0.1, 0, 0.1), None),
    "of a job whose nodes are unknown": (
        {"known": False, "duration_s": 0.0, "coverage_frac": None},
        (3600, 0.5, 0.1, 0.05, 0.65),
        None,
    ),
    "of no time": ({"duration_s": 0.0, "coverage_frac": None}, (0, 0, 0, 0, 0.0), None),
}


@cache
def estimates(name: str) -> dict[int, dict[str, Any]]:
    rows = registry.estimate_jobs(scenario_inputs(), registry.ESTIMATORS[name])
    return {row["job_id"]: row for row in rows.iter_rows(named=True)}


def known_sum(terms: list[Wh]) -> Wh:
    return None if None in terms else sum(term for term in terms if term is not None)


def near(expected: Wh) -> Any:
    return None if expected is None else pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_estimator_gives_the_energy_computed_by_hand(name: str, scenario: str) -> None:
    basis, *nodes = EXPECTED[name][scenario]
    row = estimates(name)[JOBS[scenario]]
    pue = PUE.get(name, 1.0)
    coverages = [node["coverage_frac"] for node in SCENARIOS.get(scenario, [])] or [1.0]
    covered = [
        None if (wh := known_sum([*parts])) is None else wh * (coverage or 0.0)
        for parts, coverage in zip(nodes, coverages, strict=True)
    ]
    assert row["estimator"] == f"{name}@{VERSIONS.get(name, '3.0')}"
    assert row["basis"] == basis
    assert row["pue"] == pue
    for place, part in enumerate(("gpu_kwh", "cpu_kwh", "memory_kwh")):
        wh = known_sum([parts[place] for parts in nodes])
        assert row[part] == near(None if wh is None else wh / 1000)
    all_wh = known_sum([wh for parts in nodes for wh in parts])
    assert row["energy_kwh"] == near(None if all_wh is None else all_wh / 1000 * pue)
    covered_wh = known_sum(covered)
    assert row["covered_kwh"] == near(None if covered_wh is None else covered_wh / 1000 * pue)


@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_estimate_part_is_the_amount_held_times_a_power(name: str, scenario: str) -> None:
    row = estimates(name)[JOBS[scenario]]
    rows = SCENARIOS.get(scenario)
    for part, amount, power in (
        ("gpu_kwh", "gpu_hours", "gpu_power_w"),
        ("cpu_kwh", "core_hours", "core_power_w"),
        ("memory_kwh", "memory_gbh", "memory_w_per_gb"),
    ):
        if rows is not None:
            assert row[amount] == pytest.approx(sum(each[amount] for each in rows), rel=1e-12)
        if row[amount] == 0 or row[part] is None:
            assert row[power] is None
        else:
            assert row[amount] * row[power] / 1000 == near(row[part])


@pytest.mark.parametrize("record", RECORDED)
def test_recorded_estimator_gives_the_energy_of_the_record(record: str) -> None:
    changes, (duration_s, gpu, cpu, memory, energy), covered = RECORDED[record]
    kwh = {"gpu_kwh": gpu, "cpu_kwh": cpu, "memory_kwh": memory, "energy_kwh": energy}
    found = inputs_of_jobs(
        {1: [job_node(GRAFFITI, hours=1, cores=16, gpus=4)], 2: []},
        changes={1: changes},
        recorded=[{"job_id": 1, "duration_s": float(duration_s), **kwh}],
    )
    (row,) = registry.estimate_jobs(found, registry.ESTIMATORS["recorded"]).iter_rows(named=True)
    assert (row["job_id"], row["estimator"], row["basis"]) == (1, "recorded@1", "recorded")
    assert {name: row[name] for name in kwh} == kwh
    assert row["pue"] == 1
    assert row["covered_kwh"] == near(covered)
    # 4 GPUs, 16 cores and 128 GB for an hour
    n_gpus = changes.get("gpu_hours", 4)
    assert row["gpu_power_w"] == near(gpu * 1000 / 4 if n_gpus and gpu is not None else None)
    assert row["core_power_w"] == near(None if cpu is None else cpu * 1000 / 16)
    assert row["memory_w_per_gb"] == near(None if memory is None else memory * 1000 / 128)


@pytest.mark.parametrize(
    ("cores", "record", "is_compared"),
    [
        ([16], {"duration_s": 3600, "least_node_s": 3600}, True),
        ([15], {"duration_s": 3600, "least_node_s": 3600}, False),  # it recorded all 16 cores
        ([16, 24], {"duration_s": 7200, "least_node_s": 3600}, True),
        ([16, 24], {"duration_s": 6900, "least_node_s": 3300}, True),
        ([16, 24], {"duration_s": 6600, "least_node_s": 3000}, False),
        ([16, 24], {"duration_s": 3600, "least_node_s": 0}, False),  # of one of two nodes
        ([16, 23], {"duration_s": 7200, "least_node_s": 3600}, False),
    ],
)
def test_record_is_compared_if_it_covers_what_the_job_held(
    cores: list[int], record: dict[str, float], is_compared: bool
) -> None:
    nodes = [
        job_node(of, hours=1, cores=n) for of, n in zip((GRAFFITI, GRATOUILLE), cores, strict=False)
    ]
    recorded = [{"job_id": 1, "energy_kwh": 0.5} | {key: float(s) for key, s in record.items()}]
    found = inputs_of_jobs({1: nodes}, recorded=recorded)
    (row,) = registry.estimate_jobs(found, registry.ESTIMATORS["recorded"]).iter_rows(named=True)
    assert row["energy_kwh"] == 0.5
    assert row["covered_kwh"] == (0.5 if is_compared else None)


def test_recorded_estimator_without_a_record_of_the_job_has_no_row() -> None:
    whole = {1: [job_node(GRAFFITI, hours=1, cores=8, gpus=2)]}
    other = {"job_id": 3, "duration_s": 3600.0, "energy_kwh": 1.0}
    for recorded in ([], [other]):
        found = registry.estimate_jobs(
            inputs_of_jobs(whole, recorded=recorded), registry.ESTIMATORS["recorded"]
        )
        assert found.is_empty()


def test_estimator_cases_are_five_or_more_for_each() -> None:
    counts = Counter(name for name, _ in CASES) | Counter(recorded=len(RECORDED))
    others = {name for name in registry.ESTIMATORS if name.startswith("tracker_")}
    assert set(counts) == set(registry.ESTIMATORS) - others  # test_tracked.py has them
    assert min(counts.values()) >= 5
    assert all(set(COMMON) < set(cases) for cases in EXPECTED.values())


def test_estimate_of_a_job_that_held_nothing_is_exactly_0() -> None:
    for name in EXPECTED:
        for scenario in ("no time", "never started"):
            row = estimates(name)[JOBS[scenario]]
            for part in ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh", "covered_kwh"):
                assert row[part] == 0.0


@pytest.mark.parametrize(
    ("series", "basis"),
    [
        ({"gpu_series_w": 180.0}, "series+tdp"),
        ({"gpu_series_w": 180.0, "thread_load_cubed": 0.5}, "series+load"),
        ({"package_power_w": 100.0}, "series+tdp"),
        ({"package_power_w": 100.0, "thread_load_cubed": 0.5}, "series+tdp"),
        ({"gpu_series_w": 0.0, "package_power_w": 0.0}, "series"),
    ],
)
def test_estimate_basis_names_each_series_that_was_used(
    series: dict[str, float], basis: str
) -> None:
    one = [job_node(GRAFFITI, hours=1, cores=4, gpus=1, **series)]
    no_series = job_node(GRAFFITI, hours=1, cores=4, gpus=1, thread_load_cubed=0.5)
    found = inputs_of_jobs({1: one, 2: [*one, no_series]})
    rows = registry.estimate_jobs(found, registry.ESTIMATORS["codecarbon_3"])
    assert rows["basis"].to_list() == [basis, "series+load+tdp"]


def equation_kwh(
    *, hours: float, n_gpus: float, gpu_w: float, memory_gb: float, pue: float = 1.0
) -> float:
    """Equation of Green Algorithms without cores: hours x (n_g P_g + n_m x 0.3725) x PUE."""
    return hours * (n_gpus * gpu_w + memory_gb * WATTS_PER_GB) * pue / 1000


def test_green_algorithms_gives_the_published_example() -> None:
    # 8 GPUs x 300 W x 1 + 512 GB x 0.3725 W/GB = 2400 W + 190.72 W; the paper rounds to 2590.7 W
    published: dict[str, float] = {"n_gpus": 8, "gpu_w": 300, "memory_gb": 512}
    assert equation_kwh(hours=1, **published) == pytest.approx(2.59072, abs=1e-12)
    assert equation_kwh(hours=2, pue=1.67, **published) == pytest.approx(
        2.59072 * 2 * 1.67, abs=1e-9
    )
    node = {"n_cpus": 2, "n_cores": 40, "tdp_w": 135.0, "memory_gb": 512.0, "gpu_limit_w": 300.0}
    held_gpus = job_node(node, hours=1, cores=0, gpus=8) | {"memory_gbh": 512.0}
    rows = registry.estimate_jobs(
        inputs_of_jobs({1: [held_gpus]}), registry.ESTIMATORS["green_algorithms"]
    )
    assert rows["energy_kwh"].to_list() == [pytest.approx(2.59072, abs=1e-12)]
    assert rows["cpu_kwh"].to_list() == [0]
    with_pue = registry.estimate_jobs(
        inputs_of_jobs({1: [held_gpus]}), registry.ESTIMATORS["green_algorithms_pue_2"]
    )
    expected_kwh = equation_kwh(hours=1, pue=1.67, **published)
    assert with_pue["energy_kwh"].to_list() == [pytest.approx(expected_kwh, abs=1e-12)]


# modules: by steps up to 128 GB; above, of the largest size that fits 8 times, at most 32; the tool
# sees 503.77 of 512 GB; watts: 5 W for 4 modules, then 4.5 W for 4, 4 W for 8, and 3.5 W
@pytest.mark.parametrize(
    ("memory_gb", "modules_of_all", "modules_of_seen", "watts"),
    [
        (64, 4, 4, 4 * 5),
        (96, 8, 8, 4 * 5 + 4 * 4.5),
        (128, 8, 8, 4 * 5 + 4 * 4.5),
        (192, 12, 12, 4 * 5 + 4 * 4.5 + 4 * 4),  # 192 / 16 = 12; 188.9 / 16 = 11.8
        (256, 8, 16, 4 * 5 + 4 * 4.5 + 8 * 4),  # 256 / 32 = 8; 251.9 / 16 = 15.7
        (512, 8, 16, 4 * 5 + 4 * 4.5 + 8 * 4),  # 512 / 64 = 8; 503.8 / 32 = 15.7
        (1024, 8, 16, 4 * 5 + 4 * 4.5 + 8 * 4),  # 1024 / 128 = 8; 1007.5 / 64 = 15.7
        (6144, 32, 32, 4 * 5 + 4 * 4.5 + 8 * 4 + 16 * 3.5),  # 6144 / 128 = 48, at most 32
        (2, 1, 1, 2 * 5),  # no machine has less than two
        (16, 2, 2, 2 * 5),
    ],
)
def test_codecarbon_3_assumes_memory_modules_by_size(
    memory_gb: int, modules_of_all: int, modules_of_seen: int, watts: float
) -> None:
    assert codecarbon.n_dimms(memory_gb) == modules_of_all
    assert codecarbon.n_dimms(memory_gb * 503.77 / 512) == modules_of_seen
    assert codecarbon.memory_power_w(memory_gb) == pytest.approx(watts, abs=1e-12)


# What the installed versions 2.8.4, 3.3.1 and 3.3.2 answered for the names of the processors
@pytest.mark.parametrize(
    ("cpu_model", "two", "three"),
    [
        ("Intel Xeon E5-2650 v4", (85, "any"), (105, "table")),
        ("AMD EPYC 9254", (85, "any"), (200, "table")),
        ("AMD EPYC 7351", (170, "table"), (170, "table")),
        ("Intel Xeon Gold 5220", (125, "table"), (125, "table")),
        ("POWER8NVL 1.0", (85, "any"), (4 * 48, "any")),
        ("Intel Xeon E5-9999", (99, "tdp"), (99, "tdp")),  # not asked: the configured design power
        (None, (99, "tdp"), (99, "tdp")),
    ],
)
@pytest.mark.parametrize("load", [None, 0.008])
def test_codecarbon_takes_the_powers_that_the_tool_finds(
    cpu_model: str | None, two: tuple[int, str], three: tuple[int, str], load: float | None
) -> None:
    node = {"cpu_model": cpu_model, "n_cpus": 2, "n_cores": 24, "n_threads": 48, "tdp_w": 99.0}
    held = job_node(node | {"memory_gb": 128.0}, hours=1, cores=24, thread_load_cubed=load)
    rows = {
        name: registry.estimate_jobs(inputs_of_jobs({1: [held]}), registry.ESTIMATORS[name])
        for name in ("codecarbon_2", "codecarbon_3")
    }
    assert rows["codecarbon_2"]["cpu_kwh"].item() == near(two[0] / 2 / 1000)
    assert rows["codecarbon_2"]["basis"].item() == two[1]
    factor = 0.5 if load is None else 0.1 + 0.9 * load
    assert rows["codecarbon_3"]["cpu_kwh"].item() == near(2 * three[0] * factor / 1000)
    assert rows["codecarbon_3"]["basis"].item() == ("load" if load else three[1])


def test_codecarbon_3_counts_less_for_the_modules_of_arm_machines() -> None:
    altra = {"n_cpus": 1, "n_cores": 80, "n_threads": 80, "tdp_w": 210.0, "memory_gb": 1024.0}
    held = [
        job_node(altra | {"cpu_model": model}, hours=1, cores=80)
        for model in ("Ampere Altra Q80-30", "AMD EPYC 7742")
    ]
    found = inputs_of_jobs({place: [each] for place, each in enumerate(held)})
    rows = registry.estimate_jobs(found, registry.ESTIMATORS["codecarbon_3"])
    assert rows["memory_kwh"].to_list() == [near(0.3 * 0.070), near(0.070)]


def test_estimate_ignores_unknown_hardware_that_was_not_held() -> None:
    bare = {"n_cpus": 1, "n_cores": 18, "tdp_w": 125.0, "memory_gb": 96.0, "gpu_limit_w": None}
    found = inputs_of_jobs(
        {1: [job_node(bare, hours=1, cores=9)], 2: [job_node(bare, hours=1, cores=9, gpus=1)]}
    )
    rows = registry.estimate_jobs(found, registry.ESTIMATORS["mlco2"])
    assert rows["energy_kwh"].to_list() == [0, None]
