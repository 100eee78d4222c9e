"""Figures of the estimators: texts, marks and legibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from footprint.estimators import comparison
from footprint.estimators.comparison import NO_GPU
from footprint.report import wording
from footprint.report.figures import methods, ratios, style
from footprint.schemas.levels import Levels
from footprint.schemas.writing import conform
from tests.report.tables.test_estimates import ratio, ratios_frame
from tests.support import study_frames
from tests.support.estimator_inputs import frame_of_schema
from tests.support.figure_checks import (
    assert_column,
    assert_legible,
    assert_same_elsewhere,
    assert_same_file,
    levels_of_study,
    title_text,
    visible_texts,
    written_text,
)
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")

INTERVAL = methods.INTERVAL_LOOK
MLCO2, GREEN, CARBON = "mlco2@025b988", "green_algorithms@3.0", "codecarbon_2@2.8.4"
MODELS = (MLCO2, GREEN, CARBON)


def measured(
    name: str,
    kwh: float | None,
    *,
    level: str = "project",
    half: float | None = 1.0,
    coverage: float = 1.0,
    imputed: float = 0.0,
) -> dict[str, Any]:
    """A row of the measurement, with the interval of measured and imputed energy together."""
    row = {"level": level, "name": name, "method": "bmc", "n_jobs": 5, "measured_kwh": kwh}
    row |= {"covered_kwh": kwh, "coverage_frac": coverage, "estimated_kwh": imputed}
    if kwh is None:
        return row
    centre = kwh + imputed
    row |= {"total_kwh": centre, "measured_frac": kwh / centre}
    if half is None:
        return row
    return row | {"total_low_kwh": centre - half, "total_high_kwh": centre + half}


def estimated(name: str, method: str, kwh: float | None, level: str = "project") -> dict[str, Any]:
    row = {"level": level, "name": name, "method": method, "n_jobs": 5}
    return row | {"covered_kwh": kwh, "total_kwh": kwh}


SITE = (
    measured("nancy", 100.0, level="site"),
    estimated("nancy", MLCO2, 125.0, "site"),
    estimated("nancy", GREEN, 180.4, "site"),
    estimated("nancy", CARBON, 88.0, "site"),
)


def drawn_methods(*rows: dict[str, Any], pue: float = 1.0) -> Figure:
    frame = conform(Levels, frame_of_schema(Levels, *rows))
    return methods.plot(frame, pue=pue, provenance=PROVENANCE)


def many_levels() -> pl.DataFrame:
    """Levels with the energies of a site and of twelve projects."""
    many = [measured(f"p{kwh:02}", float(kwh), coverage=0.5) for kwh in range(1, 13)]
    return conform(Levels, frame_of_schema(Levels, *SITE, *many))


def panel(figure: Figure, label: str) -> Axes:
    """The panel of a figure by its name in the mosaic."""
    (found,) = (axes for axes in figure.axes if axes.get_label() == label)
    return found


def marks(axes: Axes, marker: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == marker]


def values(axes: Axes, marker: str) -> list[float]:
    """Places along the axis of the marks that are drawn: a mark without a height is not."""
    points = (point for line in marks(axes, marker) for point in line.get_xydata())
    return sorted(float(x) for x, y in points if y == y)


def intervals(axes: Axes) -> list[tuple[float, ...]]:
    """Ends of the lines along the axis that have no mark."""
    lines = [line for line in axes.lines if line.get_marker() in ("None", None, "")]
    level = [line for line in lines if len({*line.get_ydata()}) == 1]
    return [tuple(float(x) for x in line.get_xdata()) for line in level]


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study()


@pytest.fixture(scope="module")
def drawn(study: study_frames.StudyFrames) -> dict[str, Figure]:
    levels = levels_of_study(study)
    return {
        "methods": methods.plot(levels, pue=1.0, provenance=PROVENANCE),
        "methods with PUE": methods.plot(levels, pue=1.35, provenance=PROVENANCE),
        "ratios": ratios.plot(many_ratios(), provenance=PROVENANCE),
    }


GPUS = (
    *("A100-SXM4-40GB", "GeForce RTX 2080 Ti", "GeForce GTX 1080 Ti", "Tesla V100-PCIE-16GB"),
    *("Quadro RTX 6000", "A40", "Tesla T4", NO_GPU),
)
CLUSTERS = ("graffiti", "grappe", "grat", "gratouille", "grele", "gres", "grue", "(several)")


def many_ratios() -> pl.DataFrame:
    """Ratios of the groups of a year, those of each group alike."""
    groups = {"all": ["all"], "cluster": CLUSTERS, "gpu_model": GPUS}
    groups |= {"duration": list(comparison.DURATION_BOUNDS_S), "gpu_generation": ["Ampere"]}
    return ratios_frame(
        *(
            ratio(label, group, name, n_jobs=1234, ratio_p95=40.0 if label == GREEN else 3.0)
            for group, names in groups.items()
            for name in names
            for label in (*MODELS, "ga4hpc@0.4")
        )
    )


FIGURES = ["methods", "methods with PUE", "ratios"]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_legible(drawn: dict[str, Figure], name: str) -> None:
    assert_legible(drawn[name])


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_its_provenance_at_the_foot(drawn: dict[str, Figure], name: str) -> None:
    assert "simulated site" in drawn[name].get_supxlabel()
    assert drawn[name].get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_figure_saved_twice_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path, form: str
) -> None:
    assert_same_file({name: drawn[name] for name in FIGURES}, tmp_path, form, least=5000)


def save_figures(methods_path: str, ratios_path: str) -> None:
    """Save the figures that another process repeats."""
    levels = levels_of_study(study_frames.invented_study())
    style.save_figure(methods.plot(levels, pue=1.0, provenance=PROVENANCE), [methods_path])
    style.save_figure(ratios.plot(many_ratios(), provenance=PROVENANCE), [ratios_path])


def test_figure_of_another_process_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path
) -> None:
    figures = {name: drawn[name] for name in ("methods", "ratios")}
    assert_same_elsewhere(figures, tmp_path, module=__name__)


class TestMethods:
    def test_title_has_the_difference_of_each_method(self) -> None:
        figure = drawn_methods(*SITE)
        assert title_text(figure) == (
            "Against the measured energy of all jobs: MLCO2 +25 %, GA +80 %, CC −12 %"
        )
        assert_legible(figure)

    def test_title_omits_methods_without_estimate(self) -> None:
        figure = drawn_methods(*SITE[:2], estimated("nancy", CARBON, None, "site"))
        assert title_text(figure) == "Against the measured energy of all jobs: MLCO2 +25 %"
        alone = drawn_methods(SITE[0])
        assert (
            title_text(alone) == "No energy was measured that an estimator could be compared with"
        )
        assert "100 kWh" in written_text(alone).split("\n")
        assert_legible(alone)

    def test_marks_have_ratios_and_text_the_energy(self) -> None:
        figure = drawn_methods(*SITE, measured("speech", 40.0), estimated("speech", MLCO2, 30.0))
        over = panel(figure, "ratio")
        assert values(over, methods.METHOD_MARKERS["mlco2"]) == pytest.approx([0.75, 1.25])
        assert values(over, methods.METHOD_MARKERS["green_algorithms"]) == pytest.approx([1.804])
        assert values(over, methods.METHOD_MARKERS["codecarbon_2"]) == pytest.approx([0.88])
        assert {"100 kWh", "40.0 kWh"} < set(written_text(figure).split("\n"))
        named = [text for text in methods.METHOD_KEYS.values() if text in written_text(figure)]
        assert len(named) == 3

    def test_marks_of_a_row_are_joined_at_one_height(self) -> None:
        axes = panel(drawn_methods(*SITE), "ratio")
        heights = {
            float(y)
            for each in methods.METHOD_MARKERS.values()
            for y in marks(axes, each)[0].get_ydata()
        }
        assert heights == {1.0}
        (joined,) = [line for line in axes.lines if line.get_color() == style.FAINT]
        assert list(joined.get_xdata()) == pytest.approx([0.88, 1.804])

    def test_rows_omit_other_estimators_and_the_overhead(self) -> None:
        more = (estimated("nancy", "ga4hpc@0.4", 150.0, "site"),)
        more += (measured("idle", 70.0, level="overhead"), measured("q", 90.0, level="queue"))
        more += (measured("(others)", 60.0),)
        assert written_text(drawn_methods(*SITE, *more)) == written_text(drawn_methods(*SITE))

    def test_interval_is_drawn_around_the_measured_energy(self) -> None:
        def drawn_interval(**measurement: Any) -> list[tuple[float, ...]]:
            row = measured("nancy", 100.0, level="site", **measurement)
            axes = panel(drawn_methods(row), "ratio")
            black = [line for line in axes.lines if line.get_color() == INTERVAL["color"]]
            return [tuple(float(x) for x in line.get_xdata()) for line in black]

        assert drawn_interval(half=5.0) == [pytest.approx((0.95, 1.05), rel=1e-12)]
        assert drawn_interval(half=None) == []
        # 99 to 109 kWh, of which 4 are an estimate, in proportion
        ends = (0.99 / 1.04, 1.09 / 1.04)
        assert drawn_interval(half=5.0, imputed=4.0) == [pytest.approx(ends, rel=1e-12)]
        # the interval of a total of which 23 % is estimated is mostly that of the estimate
        assert drawn_interval(half=5.0, imputed=30.0) == []

    def test_interval_down_to_zero_is_legible(self) -> None:
        row = measured("nancy", 1.0, level="site", half=4.0, imputed=3.0) | {"total_low_kwh": 0.0}
        assert_legible(drawn_methods(row, SITE[1]))

    def test_coverage_is_written_where_it_is_below_95_percent(self) -> None:
        rows = (
            measured("full", 50.0, coverage=0.95),
            measured("part", 40.0, coverage=0.94),
            measured("nancy", 90.0, level="site"),
        )
        texts = [
            text
            for text in visible_texts(drawn_methods(*rows))
            if text.get_text().endswith(f"{wording.NARROW_SPACE}%")
        ]
        assert [text.get_text() for text in texts] == [f"94{wording.NARROW_SPACE}%"]
        assert texts[0].get_color() == style.ACCENT

    def test_pue_multiplies_energies_and_is_named(self) -> None:
        figure = drawn_methods(*SITE, pue=1.5)
        assert "150 kWh" in written_text(figure).split("\n")
        assert values(panel(figure, "ratio"), "s") == [1.25]
        assert title_text(figure) == title_text(drawn_methods(*SITE))
        assert "× PUE 1.5" in written_text(figure)
        assert "PUE" not in written_text(drawn_methods(*SITE))

    def test_figure_of_one_column_is_legible_and_has_the_largest(
        self, study: study_frames.StudyFrames
    ) -> None:
        for levels in (levels_of_study(study), many_levels()):
            figure = methods.plot(levels, pue=1.35, provenance=PROVENANCE, width_mm=style.COLUMN_MM)
            assert_column(figure)
        names = [text.get_text() for text in panel(figure, "ratio").get_yticklabels()]
        assert names == ["Site", "nancy", "Projects", "p12", "p11", "p10"]

    def test_rows_of_many_projects_are_the_largest(self) -> None:
        text = written_text(methods.plot(many_levels(), pue=1.0, provenance=PROVENANCE))
        assert [f"p{kwh:02}" in text for kwh in range(1, 13)] == [False] * 7 + [True] * 5

    def test_figure_without_measurement_gives_the_reason(self) -> None:
        unmeasured = (measured("nancy", None, level="site"), estimated("nancy", MLCO2, 0.0, "site"))
        for rows in ((), unmeasured):
            figure = drawn_methods(*rows)
            assert title_text(figure).startswith("No energy was measured that an estimator")
            assert "No job of the study ran on a node with power readings" in written_text(figure)
            assert_legible(figure)


class TestRatios:
    def test_title_has_the_median_of_each_method(self) -> None:
        quantiles = {"ratio_p05": 0.5, "ratio_p25": 0.6, "ratio_p50": 0.876}
        rows = [ratio(MLCO2), ratio(CARBON, **quantiles), ratio("ga4hpc@0.4")]
        figure = ratios.plot(ratios_frame(*rows), provenance=PROVENANCE)
        assert title_text(figure) == "Median estimate over measured energy: MLCO2 1.4, CC 0.88"
        assert_legible(figure)

    def test_marks_have_medians_halves_and_nine_tenths(self) -> None:
        row = ratio(MLCO2, "gpu_model", "A40", ratio_p95=3.0)
        figure = ratios.plot(ratios_frame(ratio(MLCO2), row), provenance=PROVENANCE)
        axes = panel(figure, "gpu_model")
        assert values(axes, "o") == [1.4]
        assert sorted(intervals(axes)) == [(0.5, 3.0), (1.0, 2.0)]
        assert "A40 10 jobs" in written_text(figure)
        assert marks(axes, ">") == marks(axes, "<") == []

    def test_axis_has_1_in_the_middle_of_a_logarithmic_scale(self) -> None:
        figure = ratios.plot(many_ratios(), provenance=PROVENANCE)
        for group in ratios.PANEL_TITLES:
            axes = panel(figure, group)
            assert axes.get_xscale() == "log"
            place = axes.transAxes.inverted().transform(axes.transData.transform((1.0, 0.0)))[0]
            assert place == pytest.approx(0.5)
        assert_legible(figure)
        assert {"×0.25", "×1", "×4"} < set(written_text(figure).split("\n"))

    def test_values_beyond_the_axis_have_an_arrow_at_its_edge(self) -> None:
        far = {"ratio_p50": 9.0, "ratio_p75": 20.0, "ratio_p95": 40.0}
        none = dict.fromkeys((f"ratio_{name}" for name in comparison.RATIO_QUANTILES), 0.0)
        rows = [
            ratio(GREEN, "gpu_model", "A40", **far),
            ratio(MLCO2, "gpu_model", NO_GPU, **none),
            ratio(CARBON, "gpu_model", NO_GPU, ratio_p95=4.001),
        ]
        figure = ratios.plot(ratios_frame(ratio(GREEN), *rows), provenance=PROVENANCE)
        axes = panel(figure, "gpu_model")

        def places(marker: str) -> list[tuple[float, ...]]:
            return sorted(tuple(map(float, line.get_xydata()[0])) for line in marks(axes, marker))

        heights = ratios.METHOD_HEIGHTS
        assert places("<") == [(0.25, 1 + heights["mlco2"])]
        assert places(">") == [
            (4.0, heights["green_algorithms"]),
            (4.0, 1 + heights["codecarbon_2"]),
        ]
        # a median beyond the axis has its arrow alone
        assert values(axes, "o") == [1.4]
        assert "beyond the axis" in written_text(figure)

    def test_groups_of_few_jobs_are_not_drawn(self) -> None:
        rows = [ratio(MLCO2), ratio(MLCO2, "gpu_model", "A40", n_jobs=3)]
        rows += [ratio(MLCO2, "gpu_model", "Tesla T4", n_jobs=2)]
        text = written_text(ratios.plot(ratios_frame(*rows), provenance=PROVENANCE))
        assert "A40 3 jobs" in text
        assert "T4" not in text

    def test_groups_are_sorted_by_generation_and_duration(self, drawn: dict[str, Figure]) -> None:
        def names(group: str) -> list[str]:
            labels = panel(drawn["ratios"], group).get_yticklabels()
            return [label.get_text().split("\n")[0] for label in labels]

        assert names("duration") == list(comparison.DURATION_BOUNDS_S)
        pascal, volta, *turing, amperes, more, none = names("gpu_model")
        assert (pascal, volta) == ("GTX 1080 Ti", "V100-PCIE-16GB")
        assert turing == ["RTX 2080 Ti", "RTX 6000", "T4"]
        assert (amperes, more, none) == ("A100-SXM4-40GB", "A40", "no GPU")

    def test_figure_without_jobs_gives_the_reason(self) -> None:
        for rows in ((), (ratio(MLCO2, n_jobs=0, ratio_p50=None, total_ratio=None),)):
            figure = ratios.plot(ratios_frame(*rows), provenance=PROVENANCE)
            assert title_text(figure) == "No job was measured well enough to compare estimates with"
            assert (
                written_text(figure).count("No job of a minute or more was measured in full") == 2
            )
            assert_legible(figure)
