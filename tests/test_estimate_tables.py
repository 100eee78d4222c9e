"""Readers' tables of the estimators: their numbers, their order, and that each format is whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import paper_frames
import polars as pl
import pytest
from estimating import of_schema
from figure_checks import a_study_levels
from paper_frames import PROVENANCE, estimate, estimates_frame
from test_report_tables import Page, tex_rows, written

from footprint import comparison, estimate_tables, report_tables, tables
from footprint.estimators.registry import ESTIMATORS
from footprint.report_tables import ReaderTable

pytestmark = pytest.mark.filterwarnings("error")

MLCO2, GREEN, CARBON = "mlco2@025b988", "green_algorithms@3.0", "codecarbon_2@2.8.4"


def level(name: str, method: str, kwh: float | None, **changes: Any) -> dict[str, Any]:
    """A row of `tables.Levels`, of a project unless told."""
    usual = {"level": "project", "name": name, "method": method, "n_jobs": 10, "energy_kwh": kwh}
    return usual | changes


def levels_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return tables.conform(tables.Levels, of_schema(tables.Levels, *rows))


def of_site(method: str, kwh: float | None, **changes: Any) -> dict[str, Any]:
    return level("nancy", method, kwh, level="site", **changes)


def ratio(estimator: str, group: str = "all", name: str = "all", **changes: Any) -> dict[str, Any]:
    """A row of `tables.EstimateRatios`."""
    usual = {"estimator": estimator, "group": group, "name": name, "n_jobs": 10}
    usual |= {"n_jobs_unknown": 0, "measured_kwh": 2.0, "estimated_kwh": 3.0, "total_ratio": 1.5}
    parts = {"ratio_p05": 0.5, "ratio_p25": 1.0, "ratio_p50": 1.4, "ratio_p75": 2.0}
    return usual | parts | {"ratio_p95": 4.0} | changes


def ratios_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return tables.conform(tables.EstimateRatios, of_schema(tables.EstimateRatios, *rows))


def cell(table: ReaderTable, name: str, column: str) -> Any:
    first = table.columns[0].name
    return table.rows.row(by_predicate=pl.col(first) == name, named=True)[column]


def headers(table: ReaderTable) -> list[str]:
    return [f"{each.header} ({each.unit})" if each.unit else each.header for each in table.columns]


@pytest.fixture(scope="module")
def study() -> paper_frames.Study:
    return paper_frames.study(n_jobs=150)


@pytest.fixture(scope="module")
def study_ratios(study: paper_frames.Study) -> pl.DataFrame:
    gpus = {"gpu_models": ["A40"] * 4, "gpu_generations": ["Ampere"] * 4, "gpus": [0, 1, 2, 3]}
    gpus |= {"gpu_limits_w": [300.0] * 4, "gpu_mlco2_w": [None] * 4}
    facts = {"valid_from": paper_frames.START, "cpu_model": "X", "tdp_w": 125.0, "n_cpus": 1}
    facts |= {"n_cores": 16, "n_threads": 32, "memory_gb": 96.0}
    held = study.job_nodes.select("node", "cluster", "has_gpu").unique().iter_rows(named=True)
    rows = [
        facts | {name: value if node["has_gpu"] else [] for name, value in gpus.items()} | node
        for node in held
    ]
    found = comparison.ratios(
        study.estimates.lazy(),
        study.job_energy.lazy(),
        study.job_nodes.lazy(),
        of_schema(tables.Hardware, *rows),
    )
    return tables.conform(tables.EstimateRatios, found)


@pytest.fixture(scope="module")
def made(study: paper_frames.Study, study_ratios: pl.DataFrame) -> dict[str, ReaderTable]:
    made = [
        estimate_tables.methods_table(a_study_levels(study), pue=1.0),
        estimate_tables.ratios_table(study_ratios),
        estimate_tables.estimators_table(study_ratios, study.estimates.lazy()),
    ]
    return {table.name: table for table in made}


NAMES = ["methods", "ratios", "estimators"]


class TestMethods:
    ROWS = (
        of_site("bmc", 100.0, coverage_frac=0.97, energy_low_kwh=98.0, energy_high_kwh=103.0),
        of_site(MLCO2, 125.0),
        of_site(GREEN, 180.0),
        of_site(CARBON, 88.0),
        of_site("ga4hpc@0.4", 150.0),
        level("small", "bmc", 20.0),
        level("small", MLCO2, 50.0),
        level("large", "bmc", 80.0),
        level("large", MLCO2, 75.0),
        level("unmeasured", "bmc", None),
        level("unmeasured", MLCO2, 0.0),
        level("idle", "bmc", 40.0, level="offset"),
    )

    def test_the_four_methods_stand_side_by_side(self) -> None:
        table = estimate_tables.methods_table(levels_frame(*self.ROWS), pue=1.0)
        assert headers(table) == [
            "Name",
            "Jobs",
            "Measured (%)",
            "BMC (kWh)",
            "Low (kWh)",
            "High (kWh)",
            "MLCO2 (kWh)",
            "MLCO2 (×)",
            "GA (kWh)",
            "GA (×)",
            "CC (kWh)",
            "CC (×)",
        ]
        (site, *_) = table.rows.iter_rows(named=True)
        values = [site[column.name] for column in table.columns]
        assert values[:6] == ["nancy", 10, 0.97, 100.0, 98.0, 103.0]
        assert values[6::2] == [125.0, 180.0, 88.0]
        assert values[7::2] == pytest.approx([1.25, 1.8, 0.88], rel=1e-12)

    def test_the_site_is_first_and_the_largest_of_a_level_and_nothing_beside_the_jobs(self) -> None:
        table = estimate_tables.methods_table(levels_frame(*self.ROWS), pue=1.0)
        assert table.rows["name"].to_list() == ["nancy", "large", "small", "unmeasured"]
        assert table.rows["group"].to_list() == ["Site", *["Projects"] * 3]
        assert table.rows["is_total"].to_list() == [True, False, False, False]
        assert cell(table, "large", "mlco2_x") == pytest.approx(75 / 80, rel=1e-12)
        assert cell(table, "large", "green_algorithms") is None
        assert cell(table, "unmeasured", "mlco2_x") is None

    def test_a_pue_is_told_and_multiplies_energies_alone(self) -> None:
        plain, scaled = (
            estimate_tables.methods_table(levels_frame(*self.ROWS), pue=pue) for pue in (1.0, 1.25)
        )
        assert scaled.note == plain.note + " Every method is multiplied by a PUE of 1.25."
        assert "PUE" not in plain.note
        for name in ("bmc", "low", "high", "mlco2", "green_algorithms", "codecarbon_2"):
            expected = cell(plain, "nancy", name) * 1.25
            assert cell(scaled, "nancy", name) == pytest.approx(expected, rel=1e-12)
        for name in ("coverage_frac", "n_jobs", "mlco2_x", "codecarbon_2_x"):
            assert scaled.rows[name].equals(plain.rows[name])

    def test_every_row_of_a_study_is_of_the_measurement(
        self, study: paper_frames.Study, made: dict[str, ReaderTable]
    ) -> None:
        measured = a_study_levels(study).filter(
            pl.col("method") == "bmc", pl.col("level") != "offset"
        )
        rows = made["methods"].rows
        assert len(rows) == len(measured)
        assert rows["bmc"].sum() == pytest.approx(measured["energy_kwh"].sum(), rel=1e-12)
        groups = rows["group"].unique(maintain_order=True).to_list()
        assert groups == ["Site", "Queues", "Projects", "People", "Papers"]


class TestRatios:
    def test_all_estimators_of_all_jobs_then_the_four_methods_by_group(self) -> None:
        others = ["ga4hpc@0.4", "mlco2_table@025b988"]
        rows = [ratio(label) for label in (CARBON, *others, GREEN, MLCO2)]
        rows += [
            ratio(label, group, "gros")
            for group in ("gpu_model", "cluster", "gpu_generation")
            for label in (CARBON, *others, MLCO2)
        ]
        table = estimate_tables.ratios_table(ratios_frame(*rows))
        assert table.rows["estimator"].to_list() == [
            *(MLCO2, "mlco2_table@025b988", GREEN, "ga4hpc@0.4", CARBON),
            *(MLCO2, CARBON) * 3,
        ]
        assert table.rows["group"].unique(maintain_order=True).to_list() == [
            "All jobs",
            "By cluster",
            "By GPU generation",
            "By GPU model",
        ]

    def test_durations_stand_by_length(self) -> None:
        rows = [ratio(MLCO2, "duration", name) for name in comparison.DURATIONS]
        table = estimate_tables.ratios_table(ratios_frame(*rows))
        assert table.rows["name"].to_list() == list(comparison.DURATIONS)

    def test_the_total_stands_before_the_quantiles(self) -> None:
        table = estimate_tables.ratios_table(ratios_frame(ratio(MLCO2, n_jobs_unknown=3)))
        assert headers(table) == [
            *(
                "Jobs of",
                "Estimator",
                "Jobs compared",
                "Not told",
                "Measured (kWh)",
                "Estimate (kWh)",
            ),
            *("Total (×)", "5 % (×)", "25 % (×)", "Median (×)", "75 % (×)", "95 % (×)"),
        ]
        (row,) = table.rows.iter_rows(named=True)
        values = [row[column.name] for column in table.columns]
        assert values == ["all", MLCO2, 10, 3, 2.0, 3.0, 1.5, 0.5, 1.0, 1.4, 2.0, 4.0]
        assert "PUE are multiplied by it, the measurement is not" in table.note


class TestEstimators:
    def test_what_each_counts_and_the_measurement_last(self) -> None:
        told = [estimate(1, label, 1.0) for label in (CARBON, MLCO2)]
        table = estimate_tables.estimators_table(
            ratios_frame(ratio(MLCO2), ratio(MLCO2, "cluster", "gros", total_ratio=9.0)),
            estimates_frame(told).lazy(),
        )
        assert headers(table) == [
            *("Estimator", "Multiplies", "GPU", "CPU", "Memory", "Rest", "Basis", "Jobs"),
            "Total (×)",
        ]
        assert table.rows["estimator"].to_list() == [MLCO2, CARBON, "bmc"]
        seen = table.rows.select("gpu", "cpu", "memory", "rest").rows()
        assert seen == [("yes", "no", "no", "no"), ("yes", "yes", "yes", "no"), ("yes",) * 4]
        assert table.rows["group"].to_list() == ["ML CO2 Impact", "CodeCarbon", "Measured"]
        assert cell(table, MLCO2, "says") == ESTIMATORS["mlco2"].says
        assert table.rows["total_ratio"].to_list() == [1.5, None, None]
        assert table.rows["n_jobs"].to_list() == [10, None, None]

    def test_the_basis_is_that_of_most_jobs_that_held_something(self) -> None:
        bases = ["none"] * 3 + ["tdp"] + ["series+tdp"] * 2
        told = [estimate(job, CARBON, 1.0, basis=basis) for job, basis in enumerate(bases)]
        table = estimate_tables.estimators_table(ratios_frame(), estimates_frame(told).lazy())
        assert cell(table, CARBON, "basis") == "series+tdp"
        assert cell(table, "bmc", "basis") is None

    def test_its_order_is_that_of_the_registry(self, made: dict[str, ReaderTable]) -> None:
        labels = [each.label for each in ESTIMATORS.values()]
        found = made["estimators"].rows["estimator"].to_list()
        assert found == [*(each for each in labels if each in paper_frames.ESTIMATORS), "bmc"]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_tells_the_same(
    made: dict[str, ReaderTable], tmp_path: Path, name: str
) -> None:
    table = made[name]
    text = written(table, tmp_path)
    back = pl.read_csv(text["csv"].encode())
    assert back.height == len(table.rows) > 1
    assert back.columns == ["group", *headers(table), "Source"]
    page = Page(text["html"])
    assert len([row for row in page.rows if len(row) == len(table.columns)]) == 1 + back.height
    assert page.loaded == []
    assert table.note in "".join(cell for row in page.rows for cell in row)
    printed = [column for column in table.columns if column.printed]
    lines = tex_rows(text["tex"])
    assert len(lines) > back.height
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(printed) - 1 for line in lines)
    assert written(table, tmp_path) == text


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_plain(made: dict[str, ReaderTable], name: str) -> None:
    text = report_tables.latex(made[name], provenance=PROVENANCE)
    assert "|" not in text
    assert not re.findall(r"(?<!\\)[%#_^]", text)
    assert text.isascii(), {character for character in text if not character.isascii()}


def test_tables_of_nothing_are_written(study: paper_frames.Study, tmp_path: Path) -> None:
    no_ratios, no_estimates = ratios_frame(), estimates_frame([]).lazy()
    estimators = estimate_tables.estimators_table(no_ratios, no_estimates)
    assert estimators.rows["estimator"].to_list() == ["bmc"]
    for table, height in (
        (estimate_tables.methods_table(levels_frame(), pue=1.0), 0),
        (estimate_tables.ratios_table(no_ratios), 0),
        (estimators, 1),
    ):
        text = written(table, tmp_path)
        assert len(text["csv"].splitlines()) == 1 + height
        assert table.title in text["html"]
        assert r"\end{table}" in text["tex"]
    measured = a_study_levels(study).filter(pl.col("method") == "bmc")
    alone = estimate_tables.methods_table(measured, pue=1.0)
    assert cell(alone, "nancy", "mlco2") is cell(alone, "nancy", "mlco2_x") is None
    assert cell(alone, "nancy", "bmc") > 0
