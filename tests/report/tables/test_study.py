"""Readers' tables of the whole study: summary, hardware and carbon."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from footprint.report.tables import formats
from footprint.report.tables import study as study_tables
from footprint.schemas.energy import NodePower
from footprint.schemas.estimates import Hardware
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import PhaseRatio
from tests.report.test_summary import CARBON, FACTORS, LEVELS, NODES, frame, ratio
from tests.support import study_frames
from tests.support.figure_checks import levels_of_study

pytestmark = pytest.mark.filterwarnings("error")


def by_name(table: formats.ReaderTable) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in table.rows.iter_rows(named=True)}


def summary(
    levels: list[dict[str, Any]], nodes: list[Any], ratios: list[dict[str, Any]]
) -> formats.ReaderTable:
    return study_tables.study_summary_table(
        frame(Levels, levels),
        study_frames.node_energy_frame(nodes),
        frame(PhaseRatio, ratios),
    )


def test_study_summary_has_nodes_classes_projects_and_phases() -> None:
    table = summary(LEVELS, NODES, [ratio("paper", "singing"), ratio("paper", "x")])
    rows = by_name(table)
    assert rows["All nodes"]["n"] == 2
    assert rows["All nodes"]["total_kwh"] == pytest.approx(1400)
    assert rows["All nodes"]["measured_frac"] == pytest.approx(1.0)
    assert rows["GPU nodes"]["part_frac"] == pytest.approx(12 / 14)
    assert rows["Held by jobs"]["n"] == 1200
    assert rows["Held by jobs"]["total_low_kwh"] == pytest.approx(900)
    assert rows["speech"]["measured_frac"] == pytest.approx(0.75)
    assert rows["Overhead"]["total_kwh"] == pytest.approx(400)
    assert rows["Overhead"]["node_h"] == pytest.approx(10)
    assert rows["Without readings"]["total_kwh"] is None
    assert rows["Without readings"]["part_frac"] is None
    assert rows["speech"]["part_frac"] == pytest.approx(0.9)
    assert rows["dark"]["total_kwh"] is None
    assert rows["Development"]["total_kwh"] == pytest.approx(2 * 4085)
    assert rows["Development"]["part_frac"] == pytest.approx(4085 / 4137.3)
    assert rows["Development"]["n"] == 2
    groups = table.rows["group"].unique(maintain_order=True).to_list()
    assert groups[0] == "Nodes"
    assert groups[-1] == "Energy of papers by phase"
    assert "Idle, without a job" in formats.table_html(table, provenance="p")


def test_study_summary_pools_the_phases_of_papers_with_a_ratio_alone() -> None:
    half = {"ratio": None, "ratio_reason": "50 % of training known"}
    table = summary(
        LEVELS, NODES, [ratio("paper", "a"), ratio("paper", "b", training_kwh=500.0, **half)]
    )
    rows = by_name(table)
    assert rows["Training of reported models"]["total_kwh"] == pytest.approx(52.3)
    assert rows["Training of reported models"]["part_frac"] == pytest.approx(52.3 / 4137.3)
    assert rows["Development"]["n"] == 1
    assert "papers with R (1 of 2 papers have none and are left out)" in table.note
    assert "left out" not in summary(LEVELS, NODES, [ratio("paper", "a")]).note
    none = summary(LEVELS, NODES, [ratio("paper", "b", **half)])
    assert "Energy of papers by phase" not in none.rows["group"].to_list()
    assert "(1 of 1 papers have none and are left out)" in none.note


def test_study_summary_without_measurement_has_unknown_energies() -> None:
    dark = [("grappe-1", NODES[0][1], "no_data", None, 24.0)]
    unknown = by_name(summary([], dark, []))["All nodes"]
    assert unknown["total_kwh"] is None
    assert unknown["part_frac"] is None
    assert unknown["measured_frac"] is None
    table = summary([], [], [])
    assert table.rows.is_empty()
    for text in (formats.table_html, formats.table_csv, formats.table_latex):
        assert text(table, provenance="p")


def test_study_summary_rows_sum_to_all_nodes() -> None:
    study = study_frames.invented_study()
    table = study_tables.study_summary_table(
        levels_of_study(study), study.node_energy, frame(PhaseRatio, [])
    )
    rows = by_name(table)
    whole = rows["All nodes"]["total_kwh"]
    assert rows["GPU nodes"]["total_kwh"] + rows["Other nodes"]["total_kwh"] == pytest.approx(whole)
    classes = rows["Held by jobs"]["total_kwh"] + rows["Overhead"]["total_kwh"]
    assert classes == pytest.approx(whole)


def hardware(node: str, gpus: list[str], *, since: int = 1970) -> dict[str, Any]:
    return {
        "node": node,
        "valid_from": datetime(since, 1, 1, tzinfo=UTC),
        "cluster": node.rpartition("-")[0],
        "cpu_model": "Xeon",
        "tdp_w": 85.0,
        "n_cpus": 2,
        "n_cores": 16,
        "n_threads": 32,
        "memory_gb": 128.0,
        "gpus": list(range(len(gpus))),
        "gpu_models": gpus,
        "gpu_generations": ["Turing"] * len(gpus),
        "gpu_limits_w": [250.0] * len(gpus),
        "gpu_mlco2_w": [None] * len(gpus),
    }


def power(node: str, idle_w: float | None, max_w: float | None) -> dict[str, Any]:
    row = {"node": node, "cluster": node.rpartition("-")[0], "n_idle_samples": 3}
    return row | {"idle_power_w": idle_w, "idle_basis": None, "max_power_w": max_w}


def test_hardware_table_merges_nodes_with_the_same_hardware() -> None:
    nodes = [
        hardware("a-1", ["T4", "T4"]),
        hardware("a-1", ["A40"], since=2024),  # the latest description counts
        hardware("a-2", ["A40"]),
        hardware("a-3", ["A40", "T4"]),
        hardware("b-1", []),
    ]
    powers = [power("a-1", 100, 400), power("a-2", 120, 420), power("a-3", None, None)]
    table = study_tables.hardware_table(frame(Hardware, nodes), frame(NodePower, powers))
    wanted = ["cluster", "n_nodes", "n_measured", "gpus", "gpu_limit_w", "idle_power_w"]
    assert table.rows.select(wanted).rows() == [
        ("a", 2, 2, "1 × A40", 250.0, 110.0),
        ("a", 1, 0, "A40, T4", 500.0, None),
        ("b", 1, 0, None, None, None),
    ]
    assert table.rows["cpu_tdp_w"].to_list() == [170.0] * 3
    assert "2 × Xeon" in formats.table_latex(table, provenance="p").replace(r"$\times$", "×")
    empty = study_tables.hardware_table(frame(Hardware, []), frame(NodePower, []))
    assert empty.rows.is_empty()


def test_hardware_table_leaves_unknown_hardware_empty_and_names_it() -> None:
    nodes = [
        hardware("a-1", ["A40", "X"]) | {"gpu_limits_w": [300.0, None]},
        hardware("b-1", []) | {"tdp_w": None, "cpu_model": "Z80"},
    ]
    table = study_tables.hardware_table(frame(Hardware, nodes), frame(NodePower, []))
    # half of a sum is no sum
    assert table.rows.select("gpu_limit_w", "cpu_tdp_w").rows() == [(None, 170), (None, None)]
    assert "lacks: GPU X: power limit; processor Z80: thermal design power." in table.note


MAKING = {"kg_per_gpu_node": 2000, "kg_per_cpu_node": 1000, "lifetime_y": 5, "source": "a guess"}


def carbon_table(rows: list[dict[str, Any]], **options: Any) -> formats.ReaderTable:
    arguments: dict[str, Any] = {"pue": 1.0, "factors": FACTORS, "embodied": None}
    return study_tables.carbon_table(frame(Carbon, rows), **(arguments | options))


def test_carbon_table_has_a_column_for_each_factor() -> None:
    table = carbon_table(CARBON)
    assert [column.header for column in table.columns] == ["Name", "Total", "RTE", "cycle"]
    wanted = ["name", "total_kwh", "factor_0", "factor_1", "is_total"]
    assert table.rows.select(wanted).rows() == [
        ("nancy", 1000.0, pytest.approx(20.0), pytest.approx(56.0), True),
        ("singing", 4137.0, pytest.approx(82.74), pytest.approx(231.672), False),
    ]
    assert "RTE: 20 g/kWh, direct; RTE's report." in table.note
    assert "cycle: 56 g/kWh, life cycle; a study." in table.note
    assert "PUE is 1, so without cooling" in table.note
    assert "Embodied" not in table.note
    assert "RTE (kg)" in formats.table_csv(table, provenance="p")


def test_carbon_table_note_explains_own_hours_and_embodied_carbon() -> None:
    site = {"level": "site", "name": "nancy", "carbon_kg": 30.0}
    hours = {"factor": "eco2mix", "convention": "direct", "g_per_kwh": 25.0, "energy_frac": 0.9}
    made = {"factor": "embodied", "convention": "embodied"}
    table = carbon_table([*CARBON, site | hours, site | made], pue=1.5, embodied=MAKING)
    headers = [column.header for column in table.columns]
    assert headers == ["Name", "Total", "RTE", "By own hours", "cycle", "Embodied"]
    assert "25.0 g/kWh for the site, known for 90.0 % of its energy" in table.note
    assert "2000 kg for making a GPU node and 1000 kg for another, spread over 5" in table.note
    assert "PUE is 1.5." in table.note
    assert table.rows["factor_3"].to_list() == [30.0, None]


def test_carbon_table_without_carbon_is_empty() -> None:
    table = carbon_table([])
    assert table.rows.is_empty()
    assert "Carbon of each level" in formats.table_html(table, provenance="p")
