"""Figures of the phases: what they say, what they draw of it, and that they can be read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from figure_checks import (
    assert_legible,
    assert_same_elsewhere,
    assert_same_file,
    title,
    words,
)
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from paper_frames import PROVENANCE
from test_estimate_figures import panel, values
from test_phase_tables import bare, half_measured, ratio, ratio_frame

from footprint import tables
from footprint.figures import energy_per_run, phases, style
from footprint.phases.ratios import DEFINITION

pytestmark = pytest.mark.filterwarnings("error")

NOTHING_KNOWN = "No measured run is known to have trained a reported model"


def drawn_phases(*rows: dict[str, Any]) -> Figure:
    return phases.plot(ratio_frame(*rows), provenance=PROVENANCE)


def bars(axes: Axes, colour: str) -> list[float]:
    """Widths of the bars of a colour, from top to bottom."""
    found = [bar for bar in axes.patches if to_hex(bar.get_facecolor()) == colour]
    return [
        bar.get_width() for bar in sorted(found, key=lambda bar: bar.get_y()) if bar.get_width()
    ]


def runs_frame(**energies_kwh: list[float | None]) -> pl.DataFrame:
    """Runs of each kind with these energies."""
    rows = [(kind, kwh) for kind, every in energies_kwh.items() for kwh in every]
    schema = {"kind": pl.Enum(tables.KINDS), "energy_kwh": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def drawn_runs(weeks: float = 2.0, **energies_kwh: list[float | None]) -> Figure:
    return energy_per_run.plot(runs_frame(**energies_kwh), weeks=weeks, provenance=PROVENANCE)


MANY = [
    *(ratio(f"paper-of-a-long-title-{i:02}", energy_kwh=1e6 / 3**i) for i in range(12)),
    *(ratio(f"project{i}", "project", role_basis="assumed", ratio=1234.5) for i in range(3)),
    bare("others (small groups)", "project"),
]
SPREAD = {
    kind: [10.0 ** (i % 4 - 2) * (1 + n / 10) for n in range(5 + 40 * i)]
    for i, kind in enumerate(tables.KINDS)
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    return {"phases": drawn_phases(*MANY), "energy_per_run": drawn_runs(**SPREAD)}


FIGURES = ["phases", "energy_per_run"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_can_be_read(drawn: dict[str, Figure], name: str) -> None:
    assert_legible(drawn[name])
    assert "simulated site" in drawn[name].get_supxlabel()
    assert drawn[name].get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_the_same_figure_gives_the_same_file(
    drawn: dict[str, Figure], tmp_path: Path, form: str
) -> None:
    assert_same_file({name: drawn[name] for name in FIGURES}, tmp_path, form, least=4000)


AGAIN = """
import test_phase_figures as ours
from footprint.figures import style
style.save(ours.drawn_phases(*ours.MANY), sys.argv[1:2])
style.save(ours.drawn_runs(**ours.SPREAD), sys.argv[2:])
"""


def test_another_process_gives_the_same_file(drawn: dict[str, Figure], tmp_path: Path) -> None:
    figures = {name: drawn[name] for name in FIGURES}
    assert_same_elsewhere(figures, tmp_path, AGAIN)


class TestPhases:
    def test_the_title_says_the_ratio_and_its_range(self) -> None:
        figure = drawn_phases(ratio("speech", ratio=14.2, ratio_low=7.04, ratio_high=20.6))
        assert title(figure) == "Development of speech took 14 times the best training (7.0 to 21)"
        assert_legible(figure)

    def test_an_open_range_says_so(self) -> None:
        figure = drawn_phases(ratio("speech", ratio_high=None))
        assert title(figure) == "Development of speech took 5.0 times the best training (over 2.0)"
        narrow = drawn_phases(ratio("speech", ratio_low=4.99, ratio_high=5.01))
        assert title(narrow).endswith("5.0 times the best training")
        without = drawn_phases(ratio("speech", ratio_low=None, ratio_high=None))
        assert title(without) == "Development of speech took 5.0 times the best training"

    def test_several_papers_are_told_from_least_to_most(self) -> None:
        figure = drawn_phases(
            ratio("b", ratio=31.0), ratio("a", ratio=4.0), ratio("q", "project", ratio=90.0)
        )
        assert title(figure) == "Development took 4.0 to 31 times the best training in 2 papers"

    def test_labels_come_before_assumptions_and_these_are_marked(self) -> None:
        guess = ratio("guessed", role_basis="assumed", ratio=2.0)
        both = drawn_phases(guess, ratio("q", "project"))
        assert title(both).startswith("Development of q took 5.0 times the best training")
        assert "2.0*" in words(both)
        assert "* No label says which training that was" in words(both)
        alone = drawn_phases(guess)
        assert title(alone).startswith("Development of guessed took 2.0 times the largest training")
        assert "No label says" not in words(drawn_phases(ratio("speech")))

    def test_bars_are_parts_of_the_energy(self) -> None:
        # 20 kWh of 200 kWh trained, 10 inferred, 120 were development, 50 unknown
        kwh = {"training_kwh": 20.0, "inference_kwh": 10.0, "development_kwh": 120.0}
        figure = drawn_phases(ratio("speech", energy_kwh=200.0, unknown_kwh=50.0, **kwh))
        axes = panel(figure, "bars")
        widths = {name: bars(axes, style.PHASES[name]) for name in style.PHASES}
        assert widths == {
            "training": [pytest.approx(10.0)],
            "inference": [pytest.approx(5.0)],
            "development": [pytest.approx(60.0)],
            "unknown": [pytest.approx(25.0)],
        }
        assert [bar.get_hatch() is not None for bar in axes.patches] == [False] * 3 + [True]
        assert axes.get_xlim() == (0, 100)

    def test_numbers_stand_beside_the_bars(self) -> None:
        text = words(drawn_phases(ratio("speech", ratio_low=2.0, ratio_high=130.4)))
        for each in ("81.0 kWh", "5.0", "2.0 to 130", "7.0", "0.70", "all unknown", "exit states"):
            assert each in text.split("\n")

    def test_the_definition_is_in_the_figure(self) -> None:
        assert DEFINITION in words(drawn_phases(ratio("speech")))

    def test_where_runs_were_not_measured_the_energy_is_marked(self) -> None:
        frame = ratio_frame(ratio("speech"), ratio("whole"))
        hours = pl.when(pl.col("name") == "speech").then(70.0).otherwise(0.0)
        figure = phases.plot(frame.with_columns(unmeasured_gpu_h=hours), provenance=PROVENANCE)
        assert words(figure).count("81.0 kWh†") == 1
        assert "† Runs without any measurement are left out" in words(figure)
        assert_legible(figure)

    def test_a_paper_without_reported_training_says_so(self) -> None:
        figure = drawn_phases(bare("speech"))
        assert title(figure) == NOTHING_KNOWN
        assert "no training known" in words(figure)
        assert_legible(figure)

    def test_ratio_of_a_half_measured_training_is_its_reason(self) -> None:
        reason = "12 % of development, 48 % of training measured"
        rows = half_measured("speech", ratio_reason=reason), half_measured("q", "project")
        figure = drawn_phases(*rows)
        assert title(figure).startswith("R is not given: too little of development or training")
        assert {reason, "50 % of training measured"} < set(words(figure).split("\n"))
        assert "R and the parts of the energy are not given where less than 90 %" in words(figure)
        assert_legible(figure)
        # the widths of the bars would give R away
        assert not panel(figure, "bars").patches
        assert len(panel(drawn_phases(*rows, bare("b"), ratio("a")), "bars").patches) == 8
        assert "not given" not in words(drawn_phases(ratio("speech"), bare("parsing")))

    def test_of_many_papers_the_largest_are_drawn(self, drawn: dict[str, Figure]) -> None:
        text = words(drawn["phases"])
        named = [f"paper-of-a-long-title-{i:02}" in text for i in range(12)]
        assert named == [True] * phases.MOST_ROWS + [False] * (12 - phases.MOST_ROWS)
        assert "4 more" in text

    def test_what_is_left_over_makes_no_title(self) -> None:
        figure = drawn_phases(ratio("others (small groups)"), ratio("(others)", "project"))
        assert title(figure) == NOTHING_KNOWN

    def test_without_measurement_the_panel_says_so(self) -> None:
        for rows in ((), (bare("speech", energy_kwh=None, development_kwh=None),)):
            figure = drawn_phases(*rows)
            assert title(figure) == "No energy of a paper or project was measured"
            assert "No run of a paper or project was measured" in words(figure)
            assert_legible(figure)


class TestEnergyPerRun:
    TRAINING = (1.0, 2.0, 3.0, 4.0, 5.0, None)
    INFERENCE = (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.0, 0.1)

    def test_quartiles_are_of_the_measured_runs_and_rates_of_all(self) -> None:
        runs = pl.concat(
            [runs_frame(training_run=list(self.TRAINING)), runs_frame(**{"unknown": [7.0]})]
        )
        never = pl.DataFrame({"kind": [None], "energy_kwh": [None]}, schema=runs.schema)
        found = energy_per_run.by_kind(pl.concat([runs, never]), weeks=3.0)
        assert found.rows() == [
            ("training_run", 6, 5, 2.0, 2.0, 3.0, 4.0),
            ("unknown", 1, 1, pytest.approx(1 / 3), 7.0, 7.0, 7.0),
        ]

    def test_the_title_compares_training_and_inference(self) -> None:
        figure = drawn_runs(
            training_run=list(self.TRAINING), inference_run=list(self.INFERENCE), debug=[1.0] * 4
        )
        # medians 3 and 0.1 kWh; 6 and 9 runs
        assert title(figure) == (
            "A training run took 30 times the energy of an inference run (medians); "
            "inference runs came 1.5 times as often"
        )
        assert_legible(figure)
        assert "debug" not in words(figure)

    def test_marks_stand_at_the_median_with_quartiles(self) -> None:
        figure = drawn_runs(training_run=list(self.TRAINING), inference_run=list(self.INFERENCE))
        axes = panel(figure, "runs")
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert values(axes, "o") == [3.0, 4.5]
        heights = sorted(float(y) for line in axes.lines for y in line.get_ydata())
        assert heights == pytest.approx([0.1, 0.1, 0.1, 2.0, 3.0, 4.0])
        assert {"training, 6", "inference, 9"} < set(words(figure).split("\n"))

    def test_without_one_of_them_nothing_is_compared(self) -> None:
        figure = drawn_runs(debug=[0.1] * 9)
        assert title(figure) == "What a run takes, and how often runs of its kind come"
        assert_legible(figure)

    def test_without_runs_the_panel_says_so_and_the_idea_stays(self) -> None:
        figure = drawn_runs(training_run=[None] * 9)
        assert "No kind has 5 runs with measured energy" in words(figure)
        assert "a row of epochs" in words(figure)
        assert_legible(figure)

    def test_names_do_not_touch(self) -> None:
        figure = drawn_runs(**dict.fromkeys(tables.KINDS, [1.0] * 5))
        assert_legible(figure)
        heights = energy_per_run._apart([0.9, 0.91, 0.92, 0.93, 0.94])
        assert all(
            high - low >= energy_per_run.LABEL_GAP_FRAC - 1e-12 for low, high in pairwise(heights)
        )
        assert max(heights) <= 1.0
