"""Every number of levels and carbon, against sums by hand of a small study.

These tests must find the faults of tests/support/mutations.yaml.
"""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.energy.energy_tables import EnergyTables
from footprint.levels import carbon, levels
from footprint.levels.selection import LevelSelection
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.writing import conform
from tests.support.study_frames import (
    ERROR_MODEL,
    START,
    estimate_row,
    estimates_frame,
    job_energy_frame,
    job_node_row,
    job_nodes_frame,
    node_energy_frame,
)

pytestmark = pytest.mark.filterwarnings("error")

DAY = date(2025, 3, 3)

# Job 1 held half of a GPU node for two hours, of which one was measured, and a whole other node;
# job 2 a whole GPU node; job 3 half an hour of a node without readings.
NODES = job_nodes_frame(
    [
        job_node_row(
            *(1, "graffiti-1", 3.0),
            share=0.5,
            duration_s=7200.0,
            covered_s=3600.0,
            estimated_kwh=2.0,
            gpu_hours=4.0,
            core_hours=8.0,
            sampling_kwh=0.3,
        ),
        job_node_row(1, "gros-1", 1.0, estimated_kwh=0.5, core_hours=18.0),
        job_node_row(
            2, "graffiti-2", 5.0, estimated_kwh=1.0, gpu_hours=6.0, core_hours=10.0, gap_kwh=0.4
        ),
        job_node_row(3, "gros-2", None, duration_s=1800.0, core_hours=9.0),
    ]
)
OWNERS = [
    {"job_id": 1, "user": "u-amy", "project": "speech", "queue": "production"},
    {"job_id": 2, "user": "u-bob", "project": "speech", "queue": "production"},
    {"job_id": 3, "user": "u-bob", "project": "parsing", "queue": "besteffort"},
]
NODE_ENERGY = node_energy_frame(
    [
        ("graffiti-1", DAY, "job", 8.0, 2.0),
        ("graffiti-1", DAY, "idle", 3.0, 6.0),
        ("gros-1", DAY, "idle", 0.75, 10.0),
        ("gros-1", DAY + timedelta(days=1), "idle", 0.25, 10.0),
        ("gros-1", DAY, "stranded", 0.5, 1.0),
        ("gros-2", DAY, "no_data", None, 9.0),
    ]
)
ESTIMATES = estimates_frame(
    [
        estimate_row(1, "whole@1", 6.0, covered_kwh=4.0),
        estimate_row(2, "whole@1", 3.0, covered_kwh=2.5),
        estimate_row(3, "whole@1", 1.0, covered_kwh=0.0),
        estimate_row(1, "part@1", 6.0, covered_kwh=4.0),
        estimate_row(2, "part@1", None),
        estimate_row(3, "part@1", None),
    ]
)
JOBS = job_energy_frame(NODES, OWNERS)
PAPERS = pl.DataFrame({"job_id": [1], "paper": ["demo"]})


def levels_table() -> pl.DataFrame:
    rows = levels.energy_by_level(
        EnergyTables(JOBS.lazy(), NODES.lazy(), NODE_ENERGY.lazy()),
        PAPERS.lazy(),
        ESTIMATES.lazy(),
        site="nancy",
        selection=LevelSelection(minimum_group=1),
        redistribution="energy",
        model=ERROR_MODEL,
    )
    table: pl.DataFrame = conform(Levels, rows)
    return table


def level_row(level: str, name: str, method: str = "bmc") -> dict[str, Any]:
    (row,) = levels_table().filter(level=level, name=name, method=method).iter_rows(named=True)
    return row


def test_levels_of_site_equal_hand_sums() -> None:
    assert level_row("site", "nancy") == {
        "level": "site",
        "name": "nancy",
        "method": "bmc",
        "n_jobs": 3,
        "n_users": 2,
        "measured_kwh": pytest.approx(9.0),
        "total_kwh": pytest.approx(12.5),
        # 1.05 x 12.5. Meters, rectangular: 0.0707 x 12.5 common to both clusters, 0.0707 x 11 of
        # graffiti and 0.0707 x 1.5 of gros, a variance of 0.466. Independent: 0.3 / 1.96 of
        # sampling, 0.4 / 1.96 of a gap, and 0.02 / sqrt(3) of 6.5 and of 6 kWh by run, 0.0755.
        # 1.93 sqrt(0.541), where 1.93 lies between the factor of a normal error and of a rectangle
        "total_low_kwh": pytest.approx(13.125 - 1.42, abs=0.06),
        "total_high_kwh": pytest.approx(13.125 + 1.42, abs=0.06),
        "measured_frac": pytest.approx(9.0 / 12.5),
        "covered_kwh": pytest.approx(9.0),
        # 0.5 x 1 + 1 + 1 h of 0.5 x 2 + 1 + 1 + 0.5 h
        "coverage_frac": pytest.approx(2.5 / 3.5),
        "estimated_kwh": pytest.approx(3.5),
        "unknown_node_h": pytest.approx(0.5),
        "gpu_node_frac": pytest.approx(11.0 / 12.5),
        "gpu_hours": pytest.approx(10.0),
        "core_hours": pytest.approx(45.0),
        "overhead_kwh": pytest.approx(4.5),
    }


def test_levels_of_project_and_paper_equal_hand_sums() -> None:
    project, other = level_row("project", "speech"), level_row("project", "parsing")
    assert (project["n_jobs"], project["n_users"], project["measured_kwh"]) == (2, 2, 9.0)
    assert (other["n_jobs"], other["measured_kwh"], other["unknown_node_h"]) == (1, None, 0.5)
    paper = level_row("paper", "demo")
    assert (paper["n_jobs"], paper["measured_kwh"], paper["estimated_kwh"]) == (1, 4.0, 2.5)
    # 4.5 kWh divided by the energies 6.5 and 6
    assert paper["overhead_kwh"] == pytest.approx(4.5 * 6.5 / 12.5)


def test_levels_of_overhead_equal_hand_sums() -> None:
    idle, stranded = level_row("overhead", "idle"), level_row("overhead", "stranded")
    assert (idle["measured_kwh"], idle["gpu_node_frac"]) == (4.0, 0.75)
    assert (stranded["measured_kwh"], stranded["gpu_node_frac"]) == (0.5, 0.0)
    assert level_row("overhead", "no_data")["unknown_node_h"] == 9.0
    assert levels_table().filter(level="overhead")["name"].to_list() == [
        *("idle", "no_data", "stranded"),
    ]


def test_levels_of_estimator_equal_hand_sums() -> None:
    site = level_row("site", "nancy", "whole@1")
    assert (site["n_jobs"], site["n_users"]) == (3, 2)
    # time with readings: 4 + 2.5 + 0; all time: 6 + 3 + 1
    assert (site["covered_kwh"], site["total_kwh"]) == (6.5, 10.0)
    assert (site["measured_kwh"], site["estimated_kwh"], site["total_low_kwh"]) == (None,) * 3
    partial = level_row("site", "nancy", "part@1")
    assert (partial["n_jobs"], partial["covered_kwh"], partial["total_kwh"]) == (3, None, None)
    paper = level_row("paper", "demo", "part@1")
    assert (paper["covered_kwh"], paper["total_kwh"]) == (4.0, 6.0)


FACTORS = [
    {"name": "direct", "convention": "direct", "g_per_kwh": 20.0, "source": "a"},
    {"name": "cycle", "convention": "life_cycle", "g_per_kwh": 50.0, "source": "b"},
]
EMBODIED = {"kg_per_gpu_node": 2000, "kg_per_cpu_node": 1000, "lifetime_y": 5, "source": "d"}


def field_names(record: type) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]


def carbon_row(level: str, name: str, factor: str, **options: Any) -> dict[str, Any]:
    study = {
        "levels": levels_table(),
        "job_energy": JOBS,
        "job_nodes": NODES,
        "node_energy": NODE_ENERGY,
        "papers": PAPERS,
        "records": JOBS.with_columns(walltime_s=pl.lit(None, pl.Int64)),
    }
    energies = carbon.CarbonInputs(
        **{name: study[name] for name in field_names(carbon.CarbonInputs)}
    )
    window = Window(START, START + timedelta(days=1))
    table = carbon.carbon_of_levels(energies, factors=FACTORS, pue=1.5, window=window, **options)
    rows = conform(Carbon, table).filter(level=level, name=name, factor=factor)
    (row,) = rows.iter_rows(named=True)
    return row


def test_carbon_of_site_equals_hand_sums() -> None:
    assert carbon_row("site", "nancy", "cycle") == {
        "level": "site",
        "name": "nancy",
        "factor": "cycle",
        "convention": "life_cycle",
        "total_kwh": pytest.approx(12.5),
        "unknown_node_h": pytest.approx(0.5),
        "g_per_kwh": 50.0,
        "carbon_kg": pytest.approx(12.5 * 1.5 * 0.05),
        "carbon_low_kg": pytest.approx(level_row("site", "nancy")["total_low_kwh"] * 0.075),
        "carbon_high_kg": pytest.approx(level_row("site", "nancy")["total_high_kwh"] * 0.075),
        "energy_frac": 1.0,
    }
    idle = carbon_row("overhead", "idle", "direct")
    assert (idle["total_kwh"], idle["carbon_kg"]) == (4.0, pytest.approx(4.0 * 1.5 * 0.02))


def test_carbon_by_hours_weights_intensities_by_energy() -> None:
    # Job 1 (6.5 kWh) runs for two hours, job 2 (6 kWh) in the first of them. The intensity is 10,
    # then 30 g/kWh; in the last half hour it is unknown.
    steps = pl.DataFrame(
        {
            "timestamp": [START, START + timedelta(hours=1)],
            "g_per_kwh": [10.0, 30.0],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )
    site = carbon_row("site", "nancy", "eco2mix", intensity=steps)
    of_job_1 = (10.0 * 1.0 + 30.0 * 0.5) / 1.5
    known_1, known_2 = 6.5 * 1.5 / 2, 6.0
    mean = (known_1 * of_job_1 + known_2 * 10.0) / (known_1 + known_2)
    assert site["g_per_kwh"] == pytest.approx(mean)
    assert site["energy_frac"] == pytest.approx((known_1 + known_2) / 12.5)
    assert site["carbon_kg"] == pytest.approx(12.5 * 1.5 * mean / 1000)
    assert site["convention"] == "direct"


def test_embodied_carbon_sums_over_nodes() -> None:
    site = carbon_row("site", "nancy", "embodied", embodied=EMBODIED)
    # GPU nodes 0.5 x 2 + 1 h, others 1 + 0.5 h
    life_h = 5 * 365.25 * 24
    assert site["carbon_kg"] == pytest.approx((2000 * 2.0 + 1000 * 1.5) / life_h)
    assert site["convention"] == "embodied"
