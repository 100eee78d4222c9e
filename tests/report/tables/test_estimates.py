"""Readers' tables of the estimators: their numbers, order and formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.estimators import comparison
from footprint.estimators.registry import ESTIMATORS
from footprint.report.tables import estimates, formats
from footprint.report.tables.formats import ReaderTable
from footprint.schemas.estimates import EstimateRatios, Hardware
from footprint.schemas.levels import Levels
from footprint.schemas.writing import conform
from tests.report.tables.test_formats import Page, tex_rows, written
from tests.support import study_frames
from tests.support.estimator_inputs import frame_of_schema
from tests.support.figure_checks import levels_of_study
from tests.support.study_frames import PROVENANCE, estimate_row, estimates_frame

pytestmark = pytest.mark.filterwarnings("error")

MLCO2, GREEN, CARBON = "mlco2@025b988", "green_algorithms@3.0", "codecarbon_2@2.8.4"


def level(name: str, method: str, kwh: float | None, **changes: Any) -> dict[str, Any]:
    """A row of `schemas.Levels`, of a project unless told."""
    usual = {"level": "project", "name": name, "method": method, "n_jobs": 10}
    usual |= {"covered_kwh": kwh, "total_kwh": kwh}
    if method == "bmc":
        usual["measured_kwh"] = kwh
    return usual | changes


def levels_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return conform(Levels, frame_of_schema(Levels, *rows))


def of_site(method: str, kwh: float | None, **changes: Any) -> dict[str, Any]:
    return level("nancy", method, kwh, level="site", **changes)


def ratio(estimator: str, group: str = "all", name: str = "all", **changes: Any) -> dict[str, Any]:
    """A row of `schemas.EstimateRatios`."""
    usual = {"estimator": estimator, "group": group, "name": name, "n_jobs": 10}
    usual |= {"n_jobs_unknown": 0, "measured_kwh": 2.0, "estimated_kwh": 3.0, "total_ratio": 1.5}
    parts = {"ratio_p05": 0.5, "ratio_p25": 1.0, "ratio_p50": 1.4, "ratio_p75": 2.0}
    return usual | parts | {"ratio_p95": 4.0} | changes


def ratios_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return conform(EstimateRatios, frame_of_schema(EstimateRatios, *rows))


def cell(table: ReaderTable, name: str, column: str) -> Any:
    first = table.columns[0].name
    return table.rows.row(by_predicate=pl.col(first) == name, named=True)[column]


def headers(table: ReaderTable) -> list[str]:
    return [f"{each.header} ({each.unit})" if each.unit else each.header for each in table.columns]


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study(n_jobs=150)


@pytest.fixture(scope="module")
def study_ratios(study: study_frames.StudyFrames) -> pl.DataFrame:
    gpus = {"gpu_models": ["A40"] * 4, "gpu_generations": ["Ampere"] * 4, "gpus": [0, 1, 2, 3]}
    gpus |= {"gpu_limits_w": [300.0] * 4, "gpu_mlco2_w": [None] * 4}
    facts = {"valid_from": study_frames.START, "cpu_model": "X", "tdp_w": 125.0, "n_cpus": 1}
    facts |= {"n_cores": 16, "n_threads": 32, "memory_gb": 96.0}
    held = study.job_nodes.select("node", "cluster", "has_gpu").unique().iter_rows(named=True)
    rows = [
        facts | {name: value if node["has_gpu"] else [] for name, value in gpus.items()} | node
        for node in held
    ]
    found = comparison.ratios_by_group(
        study.estimates.lazy(),
        study.job_energy.lazy(),
        study.job_nodes.lazy(),
        frame_of_schema(Hardware, *rows),
    )
    return conform(EstimateRatios, found)


@pytest.fixture(scope="module")
def made(study: study_frames.StudyFrames, study_ratios: pl.DataFrame) -> dict[str, ReaderTable]:
    made = [
        estimates.methods_table(levels_of_study(study), pue=1.0),
        estimates.ratios_table(study_ratios),
        estimates.estimators_table(study_ratios, study.estimates.lazy()),
    ]
    return {table.name: table for table in made}


NAMES = ["methods", "ratios", "estimators"]


class TestMethods:
    ROWS = (
        of_site(
            "bmc",
            100.0,
            coverage_frac=0.97,
            total_low_kwh=98.0,
            total_high_kwh=103.0,
            measured_frac=1.0,
        ),
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
        level("idle", "bmc", 40.0, level="overhead"),
    )

    def test_columns_of_four_methods_have_energies_and_ratios(self) -> None:
        table = estimates.methods_table(levels_frame(*self.ROWS), pue=1.0)
        assert headers(table) == [
            "Name",
            "Jobs",
            "Time with readings (%)",
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

    def test_rows_begin_with_site_then_largest_and_omit_overhead(self) -> None:
        table = estimates.methods_table(levels_frame(*self.ROWS), pue=1.0)
        assert table.rows["name"].to_list() == ["nancy", "large", "small", "unmeasured"]
        assert table.rows["group"].to_list() == ["Site", *["Projects"] * 3]
        assert table.rows["is_total"].to_list() == [True, False, False, False]
        assert cell(table, "large", "mlco2_x") == pytest.approx(75 / 80, rel=1e-12)
        assert cell(table, "large", "green_algorithms") is None
        assert cell(table, "unmeasured", "mlco2_x") is None

    def test_pue_is_in_the_note_and_multiplies_energies_alone(self) -> None:
        plain, scaled = (
            estimates.methods_table(levels_frame(*self.ROWS), pue=pue) for pue in (1.0, 1.25)
        )
        assert scaled.note == plain.note + " Every method is multiplied by a PUE of 1.25."
        assert "PUE" not in plain.note
        for name in ("bmc", "low", "high", "mlco2", "green_algorithms", "codecarbon_2"):
            expected = cell(plain, "nancy", name) * 1.25
            assert cell(scaled, "nancy", name) == pytest.approx(expected, rel=1e-12)
        for name in ("coverage_frac", "n_jobs", "mlco2_x", "codecarbon_2_x"):
            assert scaled.rows[name].equals(plain.rows[name])

    def test_rows_of_a_study_match_the_rows_of_the_measurement(
        self, study: study_frames.StudyFrames, made: dict[str, ReaderTable]
    ) -> None:
        measured = levels_of_study(study).filter(
            pl.col("method") == "bmc", pl.col("level") != "overhead"
        )
        rows = made["methods"].rows
        assert len(rows) == len(measured)
        assert rows["bmc"].sum() == pytest.approx(measured["measured_kwh"].sum(), rel=1e-12)
        groups = rows["group"].unique(maintain_order=True).to_list()
        assert groups == ["Site", "Queues", "Projects", "People", "Papers"]


class TestRatios:
    def test_rows_have_all_estimators_for_all_jobs_then_four_methods_by_group(self) -> None:
        others = ["ga4hpc@0.4", "mlco2_table@025b988"]
        rows = [ratio(label) for label in (CARBON, *others, GREEN, MLCO2)]
        rows += [
            ratio(label, group, "gros")
            for group in ("gpu_model", "cluster", "gpu_generation")
            for label in (CARBON, *others, MLCO2)
        ]
        table = estimates.ratios_table(ratios_frame(*rows))
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

    def test_durations_are_sorted_by_length(self) -> None:
        rows = [ratio(MLCO2, "duration", name) for name in comparison.DURATION_BOUNDS_S]
        table = estimates.ratios_table(ratios_frame(*rows))
        assert table.rows["name"].to_list() == list(comparison.DURATION_BOUNDS_S)

    def test_columns_have_the_total_before_the_quantiles(self) -> None:
        table = estimates.ratios_table(ratios_frame(ratio(MLCO2, n_jobs_unknown=3)))
        assert headers(table) == [
            *(
                "Jobs of",
                "Estimator",
                "Jobs compared",
                "No estimate",
                "Measured (kWh)",
                "Estimate (kWh)",
            ),
            *("Total (×)", "5 % (×)", "25 % (×)", "Median (×)", "75 % (×)", "95 % (×)"),
        ]
        (row,) = table.rows.iter_rows(named=True)
        values = [row[column.name] for column in table.columns]
        assert values == ["all jobs", MLCO2, 10, 3, 2.0, 3.0, 1.5, 0.5, 1.0, 1.4, 2.0, 4.0]
        assert "PUE in their name are multiplied by it, the measurement is not" in table.note

    def test_printed_rows_are_those_of_all_jobs_and_durations(self) -> None:
        groups = {"cluster": "gros", "gpu_model": "A40", "duration": "under 10 min"}
        rows = [ratio(MLCO2), *(ratio(MLCO2, *group) for group in groups.items())]
        table = estimates.ratios_table(ratios_frame(*rows))
        assert table.printed().rows["name"].to_list() == ["all jobs", "under 10 min"]
        assert table.printed().note.endswith("Shortened: the CSV has all 4 rows.")
        assert table.rows.height == 4


class TestEstimators:
    def test_rows_list_counted_parts_and_end_with_the_measurement(self) -> None:
        told = [estimate_row(1, label, 1.0) for label in (CARBON, MLCO2)]
        table = estimates.estimators_table(
            ratios_frame(ratio(MLCO2), ratio(MLCO2, "cluster", "gros", total_ratio=9.0)),
            estimates_frame(told).lazy(),
        )
        assert headers(table) == [
            *("Estimator", "Multiplies", "GPU", "CPU", "Memory", "Other parts", "Basis", "Jobs"),
            "Total (×)",
        ]
        assert table.rows["estimator"].to_list() == [MLCO2, CARBON, "bmc"]
        seen = table.rows.select("gpu", "cpu", "memory", "rest").rows()
        assert seen == [("yes", "no", "no", "no"), ("yes", "yes", "yes", "no"), ("yes",) * 4]
        assert table.rows["group"].to_list() == ["ML CO2 Impact", "CodeCarbon", "Measured"]
        assert cell(table, MLCO2, "says") == ESTIMATORS["mlco2"].description
        assert table.rows["total_ratio"].to_list() == [1.5, None, None]
        assert table.rows["n_jobs"].to_list() == [10, None, None]

    def test_basis_is_the_most_frequent_of_jobs_with_allocations(self) -> None:
        bases = ["none"] * 3 + ["tdp"] + ["series+tdp"] * 2
        told = [estimate_row(job, CARBON, 1.0, basis=basis) for job, basis in enumerate(bases)]
        table = estimates.estimators_table(ratios_frame(), estimates_frame(told).lazy())
        assert cell(table, CARBON, "basis") == "series+tdp"
        assert cell(table, "bmc", "basis") is None

    def test_rows_follow_the_order_of_the_registry(self, made: dict[str, ReaderTable]) -> None:
        labels = [each.label for each in ESTIMATORS.values()]
        found = made["estimators"].rows["estimator"].to_list()
        assert found == [*(each for each in labels if each in study_frames.ESTIMATOR_POWERS), "bmc"]


@pytest.mark.parametrize("name", NAMES)
def test_formats_of_a_table_have_the_same_rows(
    made: dict[str, ReaderTable], tmp_path: Path, name: str
) -> None:
    table = made[name]
    text = written(table, tmp_path)
    back = pl.read_csv(text["csv"].encode())
    assert back.height == len(table.rows) > 1
    assert back.columns == ["group", *headers(table), "Source"]
    page = Page(text["html"])
    n_printed = len(table.printed().rows)
    assert len([row for row in page.rows if len(row) == len(table.columns)]) == 1 + n_printed
    assert page.loaded == []
    assert table.printed().note in "".join(cell for row in page.rows for cell in row)
    printed = [column for column in table.columns if column.printed]
    lines = tex_rows(text["tex"])
    assert len(lines) > n_printed
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(printed) - 1 for line in lines)
    assert written(table, tmp_path) == text


@pytest.mark.parametrize("name", NAMES)
def test_latex_has_no_unescaped_characters(made: dict[str, ReaderTable], name: str) -> None:
    text = formats.table_latex(made[name], provenance=PROVENANCE)
    assert "|" not in text
    assert not re.findall(r"(?<!\\)[%#_^]", text)
    assert text.isascii(), {character for character in text if not character.isascii()}


def test_tables_without_rows_are_written(study: study_frames.StudyFrames, tmp_path: Path) -> None:
    no_ratios, no_estimates = ratios_frame(), estimates_frame([]).lazy()
    estimators = estimates.estimators_table(no_ratios, no_estimates)
    assert estimators.rows["estimator"].to_list() == ["bmc"]
    for table, height in (
        (estimates.methods_table(levels_frame(), pue=1.0), 0),
        (estimates.ratios_table(no_ratios), 0),
        (estimators, 1),
    ):
        text = written(table, tmp_path)
        assert len(text["csv"].splitlines()) == 1 + height
        assert table.title in text["html"]
        assert r"\end{table}" in text["tex"]
    measured = levels_of_study(study).filter(pl.col("method") == "bmc")
    alone = estimates.methods_table(measured, pue=1.0)
    assert cell(alone, "nancy", "mlco2") is cell(alone, "nancy", "mlco2_x") is None
    assert cell(alone, "nancy", "bmc") > 0
