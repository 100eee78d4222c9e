"""Readers' tables of the phases: their numbers, order and formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.vocabulary import KINDS, STAGES
from footprint.phases.ratio import NO_TRAINING_REASON, RATIO_DEFINITION
from footprint.report import wording
from footprint.report.tables import formats, phases
from footprint.report.tables.formats import ReaderTable
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities, PhaseStages
from footprint.schemas.validation import PhaseAccuracy, PhaseEvaluation
from footprint.schemas.writing import conform
from tests.report.tables.test_estimates import cell, headers
from tests.report.tables.test_formats import Page, tex_rows, written
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")


def ratio(name: str, scope: str = "paper", **changes: Any) -> dict[str, Any]:
    """A row of `schemas.PhaseRatio`: R is 5, and 7 with all that is unknown."""
    usual = {"scope": scope, "name": name, "n_runs": 40, "n_labelled": 3, "role_basis": "label"}
    usual |= {"measured_kwh": 81.0, "estimated_kwh": 0.0, "total_kwh": 81.0}
    usual |= {"training_kwh": 10.0, "inference_kwh": 1.0}
    usual |= {"development_kwh": 50.0, "unknown_kwh": 20.0, "idle_kwh": 8.5, "ratio": 5.0}
    usual |= {"unknown_gpu_h": 0.0, "n_uncertain_reported": 0}
    usual |= {"ratio_low": 2.0, "ratio_high": 6.0, "ratio_all_unknown": 7.0}
    usual |= {"development_known_frac": 1.0, "training_known_frac": 1.0}
    row = usual | {"baseline_ratio": 0.7, "ratio_reason": None} | changes
    if row["ratio"] is not None and "ratio_low" not in changes:
        row["ratio_low"] = min(2.0, row["ratio"])
    if row["ratio"] is not None and "ratio_high" not in changes:
        row["ratio_high"] = max(6.0, row["ratio"])
    return row


def bare(name: str, scope: str = "paper", **changes: Any) -> dict[str, Any]:
    """A row without any reported training."""
    unknown = ("training_kwh", "inference_kwh", "ratio", "ratio_low", "ratio_high", "role_basis")
    nothing = dict.fromkeys((*unknown, "ratio_all_unknown", "baseline_ratio", "idle_kwh"))
    nothing |= {"n_labelled": 0, "ratio_reason": NO_TRAINING_REASON, "training_known_frac": None}
    return ratio(name, scope, **(nothing | changes))


def half_measured(name: str, scope: str = "paper", **changes: Any) -> dict[str, Any]:
    """A row whose training has a known energy for half of its time."""
    ratios = ("ratio", "ratio_low", "ratio_high", "ratio_all_unknown", "baseline_ratio")
    half = {
        "ratio_reason": "50 % of training known",
        "training_known_frac": 0.5,
    }
    return ratio(name, scope, **(dict.fromkeys(ratios) | half | changes))


def ratio_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return conform(PhaseRatio, frame_of_schema(PhaseRatio, *rows))


def evaluation_frame(*rows: tuple[str, str, str, int, float]) -> pl.DataFrame:
    columns = ["method", "truth", "kind", "n_jobs", "total_kwh"]
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return conform(PhaseEvaluation, frame_of_schema(PhaseEvaluation, *named))


NO_ACCURACY = PhaseAccuracy.create_empty()
EVALUATION = (
    ("weights", "training_run", "training_run", 6, 80.0),
    ("weights", "training_run", "unknown", 2, 10.0),
    ("weights", "training_run", "inference_run", 2, 10.0),
    ("weights", "debug", "debug", 81, 1.5),
    ("weights", "debug", "training_run", 9, 0.5),
    ("baseline", "training_run", "training_run", 5, 20.0),
    ("baseline", "training_run", "debug", 5, 80.0),
    ("baseline", "debug", "debug", 90, 2.0),
)


@pytest.fixture(scope="module")
def made() -> dict[str, ReaderTable]:
    rows = [
        ratio("enhancement", unknown_gpu_h=70.0),
        bare("parsing", total_kwh=700.0),
        ratio("q", "project"),
    ]
    return {
        "phases": phases.phases_table(ratio_frame(*rows)),
        "evaluation": phases.evaluation_table(evaluation_frame(*EVALUATION), NO_ACCURACY),
    }


NAMES = ["phases", "evaluation"]


class TestPhases:
    def test_columns_of_a_paper_have_its_numbers(self, made: dict[str, ReaderTable]) -> None:
        table = made["phases"]
        assert headers(table) == [
            *("Name", "Runs", "Labelled", "Reported", "Uncertain"),
            "Total (kWh)",
            *("Development (kWh)", "Development low (kWh)", "Development high (kWh)"),
            "Development measured (%)",
            *("Training (kWh)", "Training low (kWh)", "Training high (kWh)"),
            "Training measured (%)",
            *("Inference (kWh)", "Inference low (kWh)", "Inference high (kWh)"),
            *("Unknown (kWh)", "Unknown low (kWh)", "Unknown high (kWh)"),
            *("Idle in holds (kWh)", "Energy unknown (GPU h)"),
            *("R (×)", "R low (×)", "R high (×)", "R all unknown (×)", "R exit states (×)"),
            "R not given",
        ]
        row = table.rows.row(by_predicate=pl.col("name") == "enhancement", named=True)
        values = [row[column.name] for column in table.columns]
        assert values[:5] == ["enhancement", 40, 3, "label", 0]
        assert [values[5], values[6], values[10]] == [81.0, 50.0, 10.0]
        assert [values[14], values[17], *values[20:22]] == [1.0, 20.0, 8.5, 70.0]
        assert values[22:] == [5.0, 2.0, 6.0, 7.0, 0.7, None]

    def test_rows_have_papers_before_projects_and_largest_first(
        self, made: dict[str, ReaderTable]
    ) -> None:
        rows = made["phases"].rows
        assert rows["name"].to_list() == ["parsing", "enhancement", "q"]
        assert rows["group"].to_list() == ["Papers", "Papers", "Projects"]

    def test_unknown_values_are_dashes(self, made: dict[str, ReaderTable], tmp_path: Path) -> None:
        page = Page(written(made["phases"], tmp_path)["html"])
        (row,) = (row for row in page.rows if row[:1] == ["parsing"])
        unknown = formats.UNKNOWN_CELL
        assert row[3] == unknown
        assert row[22:] == [unknown] * 5 + [NO_TRAINING_REASON]

    def test_ratio_of_a_half_measured_training_is_replaced_by_its_reason(
        self, tmp_path: Path
    ) -> None:
        table = phases.phases_table(ratio_frame(half_measured("speech"), bare("parsing")))
        for form, text in written(table, tmp_path).items():
            said = text.replace("\\%", "%").replace("\\,", " ").replace("\n", " ")
            assert form == "csv" or "speech (50 % of training known)" in said, form
        assert cell(table, "speech", "ratio_reason") == "50 % of training known"
        assert "parsing (" not in table.note

    def test_note_begins_with_the_definition_of_r(self, made: dict[str, ReaderTable]) -> None:
        assert made["phases"].note.startswith(RATIO_DEFINITION)
        assert "E_development / E_best_training" in RATIO_DEFINITION

    def test_note_names_papers_with_reported_runs_of_uncertain_kind(self) -> None:
        rows = [
            ratio("speech", n_uncertain_reported=2),
            ratio("parsing", n_uncertain_reported=1),
            ratio("q", "project", n_uncertain_reported=3),
        ]
        note = phases.phases_table(ratio_frame(*rows)).note
        assert "training for inference: parsing (1 run), speech (2 runs)." in note or (
            "training for inference: speech (2 runs), parsing (1 run)." in note
        )


class TestStages:
    def test_rows_have_papers_first_and_stages_in_their_order(self, tmp_path: Path) -> None:
        rows = [
            {"scope": scope, "name": name, "stage": stage, "n_runs": 2, "total_kwh": 5.0}
            | {"total_low_kwh": 4.0, "total_high_kwh": 6.5, "measured_frac": 0.5}
            for scope, name, stage in [
                ("project", "q", None),
                ("paper", "p", None),
                ("paper", "p", "hyperparam"),
                ("paper", "p", "explore"),
            ]
        ]
        table = phases.stages_table(frame_of_schema(PhaseStages, *rows).collect())
        assert table.rows.select("group", "stage").rows() == [
            ("p", "exploration"),
            ("p", "hyperparameters"),
            ("p", "unknown"),
        ]
        assert headers(table)[:4] == ["Stage", "Runs", "Total (kWh)", "Low (kWh)"]
        assert "hyperparameters" in written(table, tmp_path)["tex"]

    def test_stage_names_are_those_of_all_stages(self) -> None:
        assert tuple(wording.STAGE_NAMES) == STAGES


class TestSensitivities:
    def test_rows_have_the_jobs_of_a_paper_first_and_the_used_value_before_others(self) -> None:
        rows = [
            ("project", "q", "idle_holds", "out", 3.0, False),
            ("paper", "speech", "idle_holds", "out", 4.0, False),
            ("paper", "speech", "idle_holds", "in", 5.0, True),
            ("paper", "speech", "membership", "same_people", 9.0, False),
            ("paper", "speech", "membership", "labelled", 5.0, True),
        ]
        names = ("scope", "name", "choice", "value", "ratio", "is_headline")
        frame = conform(
            PhaseSensitivities,
            frame_of_schema(
                PhaseSensitivities, *(dict(zip(names, row, strict=True)) for row in rows)
            ),
        )
        table = phases.sensitivities_table(frame)
        columns = ["group", "choice", "value", "ratio", "used"]
        assert table.rows.select(columns).rows() == [
            ("speech", "jobs of the paper", "labelled", 5.0, "yes"),
            ("speech", "jobs of the paper", "same people", 9.0, "no"),
            ("speech", "idle holds", "in", 5.0, "yes"),
            ("speech", "idle holds", "out", 4.0, "no"),
            ("project q", "idle holds", "out", 3.0, "no"),
        ]


class TestEvaluation:
    def test_groups_are_classifiers_by_energy_and_jobs(self, made: dict[str, ReaderTable]) -> None:
        rows = made["evaluation"].rows
        assert rows["group"].unique(maintain_order=True).to_list() == [
            "Weights, by energy",
            "Weights, by number of jobs",
            "Exit-state rule, by energy",
            "Exit-state rule, by number of jobs",
        ]
        assert rows["truth"].to_list() == ["debug", "training", "all"] * 4
        assert rows["is_total"].to_list() == [False, False, True] * 4

    def test_recall_and_accuracy_match_a_hand_calculation(
        self, made: dict[str, ReaderTable]
    ) -> None:
        right = made["evaluation"].rows["recall_frac"].to_list()
        rules = [1.5 / 2.0, 0.8, 81.5 / 102.0, 0.9, 0.6, 87 / 100]
        baseline = [1.0, 0.2, 22.0 / 102.0, 1.0, 0.5, 95 / 100]
        assert right == pytest.approx(rules + baseline, rel=1e-12)

    def test_columns_of_kinds_sum_to_one_in_each_row(self, made: dict[str, ReaderTable]) -> None:
        rows = made["evaluation"].rows
        training = rows.row(1, named=True)
        found = {name: training[name] for name in KINDS if training[name]}
        assert found == pytest.approx(
            {"training_run": 0.8, "inference_run": 0.1, "unknown": 0.1}, rel=1e-12
        )
        assert (training["n_jobs"], training["total_kwh"]) == (10, 100.0)
        sums = rows.select(pl.sum_horizontal(KINDS)).to_series().to_list()
        assert sums == pytest.approx([1.0] * 12, rel=1e-12)

    def test_recall_by_energy_of_a_kind_without_energy_is_unknown(self) -> None:
        table = phases.evaluation_table(
            evaluation_frame(("weights", "debug", "debug", 3, 0.0)), NO_ACCURACY
        )
        assert table.rows["recall_frac"].to_list() == [None, None, 1.0, 1.0]

    def test_note_has_the_share_of_right_kinds_with_its_interval_by_method(self) -> None:
        accuracy = pl.DataFrame(
            [
                ("weights", "energy", 0.98, 0.955, 0.997),
                ("weights", "jobs", 0.92, 0.88, 0.955),
                ("everything_is_training", "energy", 0.904, 0.862, 0.937),
                ("baseline", "energy", None, None, None),
            ],
            schema=["method", "weight", "right_frac", "right_low_frac", "right_high_frac"],
            orient="row",
        )
        note = phases.evaluation_table(evaluation_frame(*EVALUATION), accuracy).note
        assert note.endswith(
            "people: weights: 98.0 % (95.5 to 99.7) of the energy and 92.0 % (88.0 to 95.5) of the "
            "jobs; everything a training: 90.4 % (86.2 to 93.7) of the energy."
        )


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
    printed = [column for column in table.columns if column.printed]
    lines = tex_rows(text["tex"])
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(printed) - 1 for line in lines)
    assert text["tex"].isascii()
    assert not re.findall(r"(?<!\\)[%#_^]", text["tex"])


def test_printed_sensitivities_are_those_that_change_r() -> None:
    values = [("labelled", 10.0), ("same_people", 10.4), ("same_folder", 10.5), ("likely", None)]
    rows = [
        {"scope": "paper", "name": name, "choice": "membership", "value": value, "ratio": factor}
        | {"is_headline": value == "labelled"}
        for name, factors in (
            ("speech", values),
            ("bare", [(value, None) for value, _ in values]),
        )
        for value, factor in factors
    ]
    rows.append(
        {"scope": "paper", "name": "speech", "choice": "idle_holds", "value": "in", "ratio": 10.0}
        | {"is_headline": True}
    )
    rows.append(
        {"scope": "paper", "name": "speech", "choice": "idle_holds", "value": "out", "ratio": 9.0}
        | {"is_headline": False}
    )
    frame = frame_of_schema(PhaseSensitivities, *rows).collect()
    table = phases.sensitivities_table(frame)
    assert table.printed().rows.select("group", "value", "ratio").rows() == [
        ("speech", "labelled", 10.0),
        ("speech", "same folder", 10.5),
        ("speech", "out", 9.0),
    ]
    assert len(table.rows) == 10


def test_printed_confusion_matrices_are_those_by_energy(made: dict[str, ReaderTable]) -> None:
    table = made["evaluation"]
    headings = table.rows["group"].unique(maintain_order=True).to_list()
    printed = table.printed().rows["group"].unique(maintain_order=True).to_list()
    assert printed == [heading for heading in headings if heading.endswith("by energy")]
    assert len(headings) == 2 * len(printed)


def test_tables_without_rows_are_written(tmp_path: Path) -> None:
    for table in (
        phases.phases_table(ratio_frame()),
        phases.evaluation_table(evaluation_frame(), NO_ACCURACY),
    ):
        text = written(table, tmp_path)
        assert len(text["csv"].splitlines()) == 1
        assert table.title in text["html"]
        assert r"\end{table}" in text["tex"]


def test_phases_table_without_labels_has_energies_and_no_ratio(tmp_path: Path) -> None:
    table = phases.phases_table(ratio_frame(bare("p")))
    assert cell(table, "p", "ratio") is None
    assert cell(table, "p", "development_kwh") == 50.0
    assert written(table, tmp_path)["csv"].count("Papers") == 1
