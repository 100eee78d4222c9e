"""Figures of the phases and of energy per run: texts, marks and legibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from footprint.core.vocabulary import KINDS
from footprint.phases.ratio import RATIO_DEFINITION, UNCOVERED_REASON
from footprint.report import wording
from footprint.report.figures import energy_per_run, phases, sensitivities, style
from footprint.schemas.phases import PhaseSensitivities
from tests.report.figures.test_estimate_figures import panel, values
from tests.report.tables.test_phases import bare, half_measured, ratio, ratio_frame
from tests.support.estimator_inputs import frame_of_schema
from tests.support.figure_checks import (
    assert_column,
    assert_legible,
    assert_same_elsewhere,
    assert_same_file,
    title_text,
    written_text,
)
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")

NOTHING_KNOWN = "No run is known to have trained a reported model"


def choices_frame(*rows: tuple[str, str, str, float | None]) -> pl.DataFrame:
    """`schemas.PhaseSensitivities` of papers from rows of name, choice, value, R."""
    used = {"labelled", "label", "in"}
    return frame_of_schema(
        PhaseSensitivities,
        *(
            {"scope": "paper", "name": name, "choice": choice, "value": value, "ratio": ratio}
            | {"is_headline": value in used}
            for name, choice, value, ratio in rows
        ),
    ).collect()


def drawn_phases(*rows: dict[str, Any], choices: pl.DataFrame | None = None) -> Figure:
    varied = choices_frame() if choices is None else choices
    return phases.plot(ratio_frame(*rows), varied, provenance=PROVENANCE)


def energies(axes: Axes) -> dict[str, list[float]]:
    """Energies of the marks of each phase, from top to bottom."""
    markers = {marker: name for name, marker in phases.PHASE_MARKERS.items()}
    found: dict[str, list[float]] = {}
    for line in axes.lines:
        if line.get_marker() in markers:
            found.setdefault(markers[str(line.get_marker())], []).extend(line.get_xdata())
    return found


def runs_frame(**energies_kwh: list[float | None]) -> pl.DataFrame:
    """Runs of each kind with these energies."""
    rows = [(kind, kwh) for kind, every in energies_kwh.items() for kwh in every]
    schema = {"kind": pl.Enum(KINDS), "total_kwh": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def drawn_runs(weeks: float = 2.0, **energies_kwh: list[float | None]) -> Figure:
    return energy_per_run.plot(runs_frame(**energies_kwh), weeks=weeks, provenance=PROVENANCE)


MANY = [
    *(ratio(f"paper-of-a-long-title-{i:02}", total_kwh=1e6 / 3**i) for i in range(12)),
    *(
        ratio(f"project{i}", "project", role_basis="assumed", ratio=1234.5, ratio_high=2000.0)
        for i in range(3)
    ),
    bare("others (small groups)", "project"),
]
SPREAD = {
    kind: [10.0 ** (i % 4 - 2) * (1 + n / 10) for n in range(5 + 40 * i)]
    for i, kind in enumerate(KINDS)
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    return {"phases": drawn_phases(*MANY), "energy_per_run": drawn_runs(**SPREAD)}


FIGURES = ["phases", "energy_per_run"]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_legible(drawn: dict[str, Figure], name: str) -> None:
    assert_legible(drawn[name])
    assert "simulated site" in drawn[name].get_supxlabel()
    assert drawn[name].get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_figure_saved_twice_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path, form: str
) -> None:
    assert_same_file({name: drawn[name] for name in FIGURES}, tmp_path, form, least=4000)


def save_figures(phases_path: str, runs_path: str) -> None:
    """Save the figures that another process repeats."""
    style.save_figure(drawn_phases(*MANY), [phases_path])
    style.save_figure(drawn_runs(**SPREAD), [runs_path])


def test_figure_of_another_process_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path
) -> None:
    figures = {name: drawn[name] for name in FIGURES}
    assert_same_elsewhere(figures, tmp_path, module=__name__)


class TestPhases:
    def test_title_has_the_ratio_and_its_range(self) -> None:
        figure = drawn_phases(ratio("speech", ratio=14.2, ratio_low=7.04, ratio_high=20.6))
        assert (
            title_text(figure)
            == "Development of speech took 14 times the best training (95 %: 7 to 21)"
        )
        assert_legible(figure)

    def test_title_of_an_open_range_has_its_lower_end(self) -> None:
        figure = drawn_phases(ratio("speech", ratio_high=None))
        assert (
            title_text(figure)
            == "Development of speech took 5.0 times the best training (95 %: 2.0 or more)"
        )
        without = drawn_phases(ratio("speech", ratio_low=None, ratio_high=None))
        assert title_text(without) == "Development of speech took 5.0 times the best training"

    def test_title_of_several_papers_has_least_and_most(self) -> None:
        figure = drawn_phases(
            ratio("b", ratio=31.0), ratio("a", ratio=4.0), ratio("q", "project", ratio=90.0)
        )
        assert (
            title_text(figure) == "Development took 4.0 to 31.0 times the best training in 2 papers"
        )

    def test_name_with_dollars_is_shown_as_it_is(self, tmp_path: Path) -> None:
        figure = drawn_phases(ratio("$\\frac$ x"), ratio("a_{b}$^2$"))
        style.save_figure(figure, [tmp_path / "phases.svg"])
        assert {"$\\frac$ x", "a_{b}$^2$"} <= set(written_text(figure).split("\n"))

    def test_title_prefers_labels_and_assumptions_are_marked(self) -> None:
        guess = ratio("guessed", role_basis="assumed", ratio=2.0, ratio_low=1.0, ratio_high=9.0)
        both = drawn_phases(guess, ratio("q", "project"))
        assert title_text(both).startswith("Development of q took 5.0 times the best training")
        assert "2.0*" in written_text(both)
        assert "* No label names the reported training" in written_text(both)
        alone = drawn_phases(guess)
        assert title_text(alone).startswith(
            "Development of guessed took 2.0 times the largest training"
        )
        assert "No label names" not in written_text(drawn_phases(ratio("speech")))

    def test_marks_are_at_the_energies_on_a_log_axis(self) -> None:
        kwh = {"training_kwh": 20.0, "inference_kwh": 10.0, "development_kwh": 120.0}
        figure = drawn_phases(ratio("speech", total_kwh=200.0, unknown_kwh=50.0, **kwh))
        axes = panel(figure, "marks")
        assert axes.get_xscale() == "log"
        assert energies(axes) == {
            "training": [20.0],
            "inference": [10.0],
            "development": [120.0],
            "unknown": [50.0],
        }
        # the line from training to development is as long as R
        assert [20.0, 120.0] in [list(line.get_xdata()) for line in axes.lines]

    def test_phases_measured_in_part_are_hollow(self) -> None:
        parts = {"training_measured_frac": 0.96, "development_measured_frac": 0.94}
        figure = drawn_phases(ratio("speech", **parts))
        faces = {
            line.get_marker(): line.get_markerfacecolor()
            for line in panel(figure, "marks").lines
            if line.get_marker() in ("o", "s")
        }
        assert faces == {"o": style.PHASE_COLOURS["training"], "s": "white"}
        assert "hollow: under 95 % measured" in written_text(figure)
        full = drawn_phases(ratio("speech", **dict.fromkeys(parts, 0.95)))
        assert "hollow" not in written_text(full)

    def test_interval_beyond_the_axis_ends_in_an_arrow(self) -> None:
        ends = {"training_low_kwh": 1e-9, "training_high_kwh": 30.0}
        kwh = {"training_kwh": 20.0, "development_kwh": 100.0}
        figure = drawn_phases(ratio("speech", **kwh, **ends))
        axes = panel(figure, "marks")
        (cut,) = [line for line in axes.lines if line.get_marker() == "<"]
        assert list(cut.get_xdata()) == [axes.get_xlim()[0]]
        inside = drawn_phases(ratio("speech", **kwh, **(ends | {"training_low_kwh": 10.0})))
        axes = panel(inside, "marks")
        assert "<" not in {line.get_marker() for line in axes.lines}
        assert [10.0, 30.0] in [list(line.get_xdata()) for line in axes.lines]

    def test_figure_of_one_column_has_r_with_its_interval_and_legible_text(self) -> None:
        figure = phases.plot(
            ratio_frame(*MANY), choices_frame(), provenance=PROVENANCE, width_mm=style.COLUMN_MM
        )
        assert_column(figure)
        lines = written_text(figure).split("\n")
        assert {"R", "95 %", "2.0 to 6.0", "Projects"} < set(lines)
        assert sum(line.endswith("*") for line in lines) == 3
        assert "other choices" not in written_text(figure)

    def test_numbers_are_written_beside_the_bars(self) -> None:
        choices = choices_frame(
            ("speech", "membership", "labelled", 5.0),
            ("speech", "membership", "same_people", 9.0),
            ("speech", "idle_holds", "in", 5.0),
            ("speech", "idle_holds", "out", 4.0),
            ("other", "membership", "same_people", 99.0),
        )
        figure = drawn_phases(ratio("speech"), choices=choices)
        for each in ("81.0 kWh", "5.0", "2.0 to 6.0", "5.0 to 9.0", "4.0 to 5.0", "other jobs"):
            assert each in written_text(figure).split("\n")
        assert "No interval includes them." in written_text(figure)
        assert_legible(figure)

    def test_notes_have_the_definition_of_r(self) -> None:
        assert RATIO_DEFINITION in written_text(drawn_phases(ratio("speech")))

    def test_energy_with_runs_of_unknown_energy_is_marked(self) -> None:
        frame = ratio_frame(ratio("speech"), ratio("whole"))
        hours = pl.when(pl.col("name") == "speech").then(70.0).otherwise(0.0)
        frame = frame.with_columns(unknown_gpu_h=hours)
        figure = phases.plot(frame, choices_frame(), provenance=PROVENANCE)
        assert written_text(figure).count("≥ 81.0 kWh") == 1
        assert "≥ The energy of some runs is unknown" in written_text(figure)
        assert_legible(figure)

    def test_paper_without_reported_training_gives_the_reason(self) -> None:
        figure = drawn_phases(bare("speech"))
        assert title_text(figure) == NOTHING_KNOWN
        assert "no training known" in written_text(figure)
        assert_legible(figure)

    def test_project_that_labels_do_not_cover_has_the_reason_and_no_mark(self) -> None:
        figure = drawn_phases(half_measured("q", "project", ratio_reason=UNCOVERED_REASON))
        assert title_text(figure) == (
            "R cannot be given: labels do not cover all papers of a project"
        )
        assert f"No R ({UNCOVERED_REASON}): q." in written_text(figure)
        assert not panel(figure, "marks").lines
        assert_legible(figure)

    def test_ratio_of_a_half_measured_training_is_replaced_by_its_reason(self) -> None:
        reason = "12 % of development, 48 % of training known"
        rows = half_measured("speech", ratio_reason=reason), half_measured("q", "project")
        figure = drawn_phases(*rows)
        assert title_text(figure).startswith(
            "R cannot be given: too little of development or training"
        )
        assert f"No R ({reason}): speech." in written_text(figure)
        assert "No R (50 % of training known): q." in written_text(figure)
        assert_legible(figure)
        # the marks would give R away
        assert not panel(figure, "marks").lines
        more = drawn_phases(*rows, bare("b"), ratio("a"))
        labels = [text.get_text() for text in panel(more, "marks").get_yticklabels()]
        assert sorted(labels) == ["Papers", "a", "b"]

    def test_rows_of_many_papers_are_the_largest(self, drawn: dict[str, Figure]) -> None:
        text = written_text(drawn["phases"])
        named = [f"paper-of-a-long-title-{i:02}" in text for i in range(12)]
        assert named == [True] * phases.MOST_ROWS + [False] * (12 - phases.MOST_ROWS)
        assert "4 more" in text

    def test_title_ignores_merged_groups(self) -> None:
        figure = drawn_phases(ratio("others (small groups)"), ratio("(others)", "project"))
        assert title_text(figure) == NOTHING_KNOWN

    def test_figure_without_measurement_gives_the_reason(self) -> None:
        for rows in ((), (bare("speech", total_kwh=None, development_kwh=None),)):
            figure = drawn_phases(*rows)
            assert title_text(figure) == "The energy of no paper or project is known"
            assert "The energy of no run of a paper or project is known." in written_text(figure)
            assert_legible(figure)


class TestSensitivities:
    CHOICES = (
        ("speech", "membership", "labelled", 5.0),
        ("speech", "membership", "same_people", 9.0),
        ("speech", "thresholds", "highest", None),
        ("speech", "reported_training", "label", 5.0),
        ("speech", "reported_training", "last", 6.0),
    )

    def test_rows_have_r_as_given_then_choices_with_membership_first(self) -> None:
        figure = sensitivities.plot(
            choices_frame(*self.CHOICES), ratio_frame(ratio("speech")), provenance=PROVENANCE
        )
        labels = [text.get_text() for text in panel(figure, "marks").get_yticklabels()]
        assert labels == [
            "speech",
            "jobs of the paper: same people",
            "reported training: last",
            "smallest probability of a kind: highest",
        ]
        lines = written_text(figure).split("\n")
        assert {"5.0 (2.0 to 6.0)", "9.0", "6.0", "no R"} < set(lines)
        assert title_text(figure) == (
            "The choice of the jobs of the paper changes R most: from 5.0 to 9.0 for speech (same "
            "people)"
        )
        assert_legible(figure)

    def test_marks_are_at_r_and_the_band_is_its_interval(self) -> None:
        figure = sensitivities.plot(
            choices_frame(*self.CHOICES), ratio_frame(ratio("speech")), provenance=PROVENANCE
        )
        axes = panel(figure, "marks")
        assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"] == [
            *(5.0, 9.0, 6.0)
        ]
        (band,) = axes.collections
        edges = band.get_paths()[0].get_extents()
        # 2 lies left of the axis of R from 5 to 9
        left = axes.get_xlim()[0]
        assert left == pytest.approx(5.0 / 1.4)
        assert (edges.x0, edges.x1) == (pytest.approx(left), 6.0)
        assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "<"] == [left]

    def test_wide_interval_ends_in_an_arrow_left_of_the_numbers(self) -> None:
        row = ratio("speech", ratio_low=4.0, ratio_high=1e6)
        figure = sensitivities.plot(
            choices_frame(*self.CHOICES), ratio_frame(row), provenance=PROVENANCE
        )
        axes = panel(figure, "marks")
        (arrow,) = [line for line in axes.lines if line.get_marker() == ">"]
        assert axes.get_xlim()[1] < 50
        assert 9.0 < arrow.get_xdata()[0] < axes.get_xlim()[1]
        assert_legible(figure)

    def test_values_that_hardly_change_r_are_counted(self) -> None:
        more = (
            ("speech", "idle_holds", "in", 5.0),
            ("speech", "idle_holds", "out", 4.9),
            ("speech", "gate_policy", "binary", 5.26),
        )
        figure = sensitivities.plot(
            choices_frame(*self.CHOICES, *more), ratio_frame(ratio("speech")), provenance=PROVENANCE
        )
        labels = [text.get_text() for text in panel(figure, "marks").get_yticklabels()]
        assert labels[-1].replace(wording.NARROW_SPACE, " ") == (
            "1 other value: R changes by less than 5 %"
        )
        assert "division of shared nodes: binary" in labels
        assert "idle holds: out" not in labels

    def test_papers_beyond_the_most_are_counted(self) -> None:
        rows = [
            (f"paper{i}", choice, value, r * (1 + i))
            for i in range(5)
            for _, choice, value, r in self.CHOICES
            if r is not None
        ]
        figure = sensitivities.plot(choices_frame(*rows), ratio_frame(), provenance=PROVENANCE)
        assert "R (2 more papers in the table)" in written_text(figure)
        assert_legible(figure)

    def test_figure_without_a_ratio_gives_the_reason(self) -> None:
        figure = sensitivities.plot(choices_frame(), ratio_frame(), provenance=PROVENANCE)
        assert "R cannot be given for any paper" in written_text(figure)
        assert_legible(figure)


class TestEnergyPerRun:
    TRAINING = (1.0, 2.0, 3.0, 4.0, 5.0, None)
    INFERENCE = (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.0, 0.1)

    def test_by_kind_has_quartiles_of_measured_runs_and_rates_of_all(self) -> None:
        runs = pl.concat(
            [runs_frame(training_run=list(self.TRAINING)), runs_frame(**{"unknown": [7.0]})]
        )
        never = pl.DataFrame({"kind": [None], "total_kwh": [None]}, schema=runs.schema)
        found = energy_per_run.energy_by_kind(pl.concat([runs, never]), weeks=3.0)
        assert found.rows() == [
            ("training_run", 6, 5, 2.0, 1.2, 2.0, 3.0, 4.0, 4.8),
            ("unknown", 1, 1, pytest.approx(1 / 3), *[7.0] * 5),
        ]

    def test_title_compares_training_and_inference(self) -> None:
        figure = drawn_runs(
            training_run=list(self.TRAINING), inference_run=list(self.INFERENCE), debug=[1.0] * 4
        )
        # medians 3 and 0.1 kWh
        assert title_text(figure) == (
            "The median training run took 30 times the energy of the median inference run"
        )
        assert_legible(figure)
        assert "debug" not in written_text(figure)
        turned = drawn_runs(training_run=list(self.INFERENCE), inference_run=list(self.TRAINING))
        assert title_text(turned) == (
            "The median inference run took 30 times the energy of the median training run"
        )

    def test_rows_have_median_quartiles_and_nine_tenths_and_counts(self) -> None:
        figure = drawn_runs(training_run=list(self.TRAINING), inference_run=list(self.INFERENCE))
        axes = panel(figure, "runs")
        assert axes.get_xscale() == "log"
        assert [text.get_text() for text in axes.get_yticklabels()] == ["training", "inference"]
        assert values(axes, "o") == [pytest.approx(0.1), 3.0]
        purple = style.KIND_COLOURS["training_run"]
        ends = [list(line.get_xdata()) for line in axes.lines if line.get_color() == purple]
        assert ends[:2] == [pytest.approx([1.2, 4.8]), [2.0, 4.0]]
        lines = set(written_text(figure).split("\n"))
        assert {"n = 6 runs", "3.0 a week", "n = 9 runs", "4.5 a week"} < lines

    def test_title_without_training_or_inference_compares_nothing(self) -> None:
        figure = drawn_runs(debug=[0.1] * 9)
        assert title_text(figure) == "Energy of a run by its kind"
        assert_legible(figure)

    def test_figure_without_runs_gives_the_reason(self) -> None:
        figure = drawn_runs(training_run=[None] * 9)
        assert title_text(figure) == "The energy of too few runs is known"
        assert "No kind has 5 runs with known energy" in written_text(figure)
        assert_legible(figure)

    def test_rows_of_all_kinds_are_legible(self) -> None:
        assert_legible(drawn_runs(**dict.fromkeys(KINDS, [1.0] * 5)))
