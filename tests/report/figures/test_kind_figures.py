"""Figures and tables of uncertain kinds: reliability, energies with intervals, budgets of R."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from footprint.core.vocabulary import KINDS
from footprint.phases.kind_moves import DRAWN_KINDS
from footprint.phases.ratio import DRAWN_PHASES
from footprint.phases.ratio_budget import RATIO_SOURCES
from footprint.phases.reliability import SUBJECTS
from footprint.report import budget
from footprint.report.figures import phase_energies, ratio_uncertainty, reliability, uncertainty
from footprint.report.tables import formats
from footprint.report.tables import phase_energies as energy_tables
from footprint.report.tables import reliability as reliability_tables
from footprint.report.tables import uncertainty as budget_tables
from footprint.schemas.phases import PhaseEnergies, PhaseRatio
from footprint.schemas.totals import RatioUncertainty
from footprint.schemas.validation import KindReliability
from tests.support.estimator_inputs import frame_of_schema
from tests.support.figure_checks import assert_legible, title_text, written_text
from tests.support.study_frames import PROVENANCE


def tenth(subject: str, bin: int, kwh: float, mean: float, right: float, **more: Any) -> dict:
    row = {"subject": subject, "bin": bin, "basis": "truth", "n_jobs": 7, "n_users": 3}
    row |= {"total_kwh": kwh, "probability_frac": mean, "observed_frac": right}
    ends = {"observed_low_frac": max(0.0, right - 0.1), "observed_high_frac": min(1.0, right + 0.1)}
    return row | ends | more


TENTHS = frame_of_schema(
    KindReliability,
    tenth("most_probable", 5, 1000.0, 0.55, 0.35),
    tenth("most_probable", 9, 3000.0, 0.95, 0.95),
    tenth("training_run", 8, 900.0, 0.85, 0.7),
    tenth(
        *("inference_run", 0, 10.0, 0.05, 0.1),
        n_users=1,
        observed_low_frac=None,
        observed_high_frac=None,
    ),
).collect()


def panel(figure: Figure, name: str) -> Axes:
    (found,) = (axes for axes in figure.axes if axes.get_label() == name)
    return found


def test_reliability_figure_has_points_intervals_and_calibration_errors() -> None:
    figure = reliability.plot(TENTHS, provenance=PROVENANCE)
    # (1000 x 0.35 + 3000 x 0.95) / 4000 and (1000 x 0.55 + 3000 x 0.95) / 4000
    assert title_text(figure) == (
        "The most probable kind is right for 80 % of the energy; its mean probability is 85 %"
    )
    text = written_text(figure)
    assert "most probable kind: error 5 %" in text  # 1000 x 0.2 of 4000
    assert "training: error 15 %" in text
    assert "Compared with the true kinds of the simulated site" in text
    lines = panel(figure, "most_probable").lines
    points = [
        (line.get_xdata()[0], line.get_ydata()[0]) for line in lines if line.get_marker() == "o"
    ]
    assert points == [pytest.approx((55.0, 35.0)), pytest.approx((95.0, 95.0))]
    spans = [tuple(line.get_ydata()) for line in lines[1:] if line.get_marker() != "o"]
    assert spans == [pytest.approx((25.0, 45.0)), pytest.approx((85.0, 100.0))]
    bars = panel(figure, "most_probable energy").patches
    assert [bar.get_height() for bar in bars] == [1.0, 3.0]  # MWh
    assert_legible(figure)


def test_reliability_of_jobs_of_one_person_is_hollow_and_without_interval() -> None:
    lines = panel(reliability.plot(TENTHS, provenance=PROVENANCE), "inference_run").lines
    assert len(lines) == 2  # the dashed line and the point
    assert to_hex(lines[1].get_markerfacecolor()) == "#ffffff"


def test_reliability_without_known_kinds_says_so_in_figure_and_table() -> None:
    figure = reliability.plot(TENTHS.clear(), provenance=PROVENANCE)
    assert title_text(figure) == "It is not known how often the kinds of this study are right"
    assert "No run with energy has a label of its kind." in written_text(figure)
    assert_legible(figure)
    table = reliability_tables.reliability_table(TENTHS.clear())
    assert reliability_tables.NO_KINDS_SENTENCE in table.note
    for text in (formats.table_html, formats.table_csv, formats.table_latex):
        assert text(table, provenance="p")


def test_reliability_table_has_each_kind_with_its_error_and_the_basis() -> None:
    labelled = TENTHS.with_columns(basis=pl.lit("labels"))
    table = reliability_tables.reliability_table(labelled)
    assert table.rows.select("group", "tenth").rows() == [
        ("most probable kind: error 5\u202f%", "50 to 60"),
        ("most probable kind: error 5\u202f%", "90 to 100"),
        ("training: error 15\u202f%", "80 to 90"),
        ("inference: error 5\u202f%", "0 to 10"),
    ]
    assert "people label the runs that they doubt" in table.note
    assert set(reliability_tables.SUBJECT_NAMES) == {*SUBJECTS, "unknown"}
    html = formats.table_html(table, provenance="p")
    assert ">35.0<" in html
    assert ">25.0<" in html
    assert "kinds that labels give" in written_text(reliability.plot(labelled, provenance="p"))


def part(scope: str, name: str, division: str, part: str, *kwh: float) -> dict[str, Any]:
    total, low, high = kwh
    row = {"scope": scope, "name": name, "division": division, "part": part, "n_runs": 4}
    row |= {"measured_kwh": total, "estimated_kwh": 0.0, "total_kwh": total}
    return row | {"total_low_kwh": low, "total_high_kwh": high, "measured_frac": 1.0}


PARTS = frame_of_schema(
    PhaseEnergies,
    part("site", "nancy", "phase", "development", 3000.0, 2500.0, 3900.0),
    part("site", "nancy", "phase", "training", 200.0, 180.0, 230.0),
    part("site", "nancy", "kind", "training_run", 2500.0, 1500.0, 3000.0),
    part("site", "nancy", "kind", "inference_run", 700.0, 300.0, 1800.0),
    part("site", "nancy", "kind", "unknown", 50.0, 48.0, 58.0),
    part("paper", "singing", "kind", "training_run", 20.0, 10.0, 30.0),
).collect()


def test_phase_energies_figure_has_bars_with_intervals_and_texts() -> None:
    figure = phase_energies.plot(PARTS, provenance=PROVENANCE)
    assert title_text(figure) == (
        "Training used 2.5 MWh (95 %: 1.5 to 3.0), inference used 0.70 MWh (95 %: 0.30 to 1.80)"
    )
    kinds = panel(figure, "kind")
    widths = [bar.get_width() for bar in kinds.patches]
    assert widths == pytest.approx([2.5, 0.7, 0.05])
    spans = [tuple(line.get_xdata()) for line in kinds.lines]
    assert (0.3, 1.8) in spans
    assert (1.5, 3.0) in spans
    assert "0.70 MWh (95 %: 0.30 to 1.80)" in written_text(figure)
    # interactive, debug, holds, preprocessing; inference and unknown as phases
    assert written_text(figure).count("not known") == 6
    assert_legible(figure)


def test_phase_energies_figure_without_energy_gives_the_reason() -> None:
    figure = phase_energies.plot(PARTS.clear(), provenance=PROVENANCE)
    assert phase_energies.NOTHING_KNOWN in written_text(figure)
    assert title_text(figure) == "The energy of the kinds of runs is unknown"
    assert_legible(figure)


def test_phase_energies_table_has_site_first_and_names_of_kinds() -> None:
    table = energy_tables.phase_energies_table(PARTS)
    groups = table.rows["group"].unique(maintain_order=True).to_list()
    assert groups == ["Jobs of nancy, by phase", "Jobs of nancy, by kind", "singing, by kind"]
    assert table.rows["part"][2:4].to_list() == ["training", "inference"]
    for text in (formats.table_html, formats.table_csv, formats.table_latex):
        assert text(table, provenance="p")


def test_every_kind_and_phase_has_a_row() -> None:
    assert set(phase_energies.PART_NAMES["kind"]) == set(KINDS) == set(DRAWN_KINDS)
    assert set(phase_energies.PART_NAMES["phase"]) == set(DRAWN_PHASES)


def share(name: str, source: str, share_frac: float | None, sd: float) -> dict[str, Any]:
    row = {"scope": "paper", "name": name, "source": source, "evaluation": "B"}
    row |= {"distribution": "normal", "mean_shift_frac": 0.01, "standard_uncertainty_frac": sd}
    ends = {"ratio_low": 2.5, "ratio_high": 3.5, "correlated_over": "nothing"}
    return row | ends | {"share_frac": share_frac}


BUDGET = frame_of_schema(
    RatioUncertainty,
    share("singing", "meter", 0.2, 0.1),
    share("singing", "classification", 0.8, 0.2),
    share("parsing", "meter", 1.0, 0.05),
).collect()


def ratios() -> pl.DataFrame:
    rows = [
        {"scope": "paper", "name": name, "n_runs": 2, "n_labelled": 1, "ratio": 3.0}
        | {"n_uncertain_reported": 0, "ratio_low": 2.0, "ratio_high": 4.0, "unknown_gpu_h": 0.0}
        for name in ("singing", "parsing")
    ]
    return frame_of_schema(PhaseRatio, *rows).collect()


def test_budget_of_r_has_the_most_uncertain_paper_first() -> None:
    figure = ratio_uncertainty.plot(BUDGET, ratios(), provenance=PROVENANCE)
    assert title_text(figure) == (
        "R of singing is uncertain mostly by the kinds of runs: 80 % of its variance"
    )
    bars = panel(figure, "bars")
    assert [label.get_text() for label in bars.get_yticklabels()] == ["singing", "parsing"]
    colour = uncertainty.SOURCE_COLOURS["classification"]
    widths = [bar.get_width() for bar in bars.patches if to_hex(bar.get_facecolor()) == colour]
    assert widths == pytest.approx([80.0, 0.0])
    assert "R = 3.0 (95 %: 2.0 to 4.0)" in written_text(figure)
    assert "Part of the variance of R (%)" in written_text(figure)
    assert_legible(figure)


def test_budget_of_r_without_a_ratio_says_so() -> None:
    figure = ratio_uncertainty.plot(BUDGET.clear(), ratios().clear(), provenance=PROVENANCE)
    assert ratio_uncertainty.NO_RATIO in written_text(figure)
    assert title_text(figure) == "The uncertainty of R is unknown"


def test_budget_table_of_r_has_kinds_of_runs_first() -> None:
    table = budget_tables.ratio_uncertainty_table(BUDGET)
    assert table.rows.select("group", "source").rows() == [
        ("parsing", "meters: true power over reading"),
        ("singing", "kinds of runs"),
        ("singing", "meters: true power over reading"),
    ]
    for text in (formats.table_html, formats.table_csv, formats.table_latex):
        assert text(table, provenance="p")
        assert text(budget_tables.ratio_uncertainty_table(BUDGET.clear()), provenance="p")


def test_every_source_of_r_has_a_name_and_a_colour() -> None:
    assert set(RATIO_SOURCES) == set(budget.RATIO_SOURCE_NAMES) == set(uncertainty.SOURCE_COLOURS)
