"""Figures of paper runs, energy over time and concentration: texts, marks and legibility."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from footprint.core import vocabulary
from footprint.levels import time_steps
from footprint.report.figures import (
    concentration,
    energy_over_time,
    paper_energy,
    paper_runs,
    style,
)
from footprint.schemas.energy import JobEnergy
from footprint.schemas.phases import Runs
from tests.report.figures.test_estimate_figures import panel
from tests.support import study_frames
from tests.support.figure_checks import (
    assert_column,
    assert_legible,
    rectangles,
    title_text,
    written_text,
)
from tests.support.study_frames import PROVENANCE, START

pytestmark = pytest.mark.filterwarnings("error")

FIGURES = ["paper_runs", "energy_over_time", "concentration"]
DAYS = [2, 56, 365]
Run = tuple[str, float, float | None, str, float | None]


def end(days: int) -> datetime:
    return START + timedelta(days=days)


def runs_frame(*rows: Run, basis: str = "label", is_ratio_withheld: bool = False) -> pl.DataFrame:
    """Runs of papers: paper, first and last day since the start, phase, energy."""
    return pl.DataFrame(
        [
            {
                "paper": paper,
                "run_id": place,
                "started_at": START + timedelta(days=first),
                "stopped_at": None if last is None else START + timedelta(days=last),
                "phase": phase,
                "role_basis": basis if phase == "training" else None,
                "total_kwh": total_kwh,
                "is_ratio_withheld": is_ratio_withheld,
            }
            for place, (paper, first, last, phase, total_kwh) in enumerate(rows)
        ],
        schema={
            "paper": pl.String,
            "run_id": pl.Int64,
            "started_at": pl.Datetime("us", "UTC"),
            "stopped_at": pl.Datetime("us", "UTC"),
            "phase": pl.String,
            "role_basis": pl.String,
            "total_kwh": pl.Float64,
            "is_ratio_withheld": pl.Boolean,
        },
    )


ONE: list[Run] = [
    ("speech", 0.5, 0.75, "development", 30.0),
    ("speech", 0.5, 1.0, "training", 10.0),
    ("speech", 1.25, 1.5, "development", None),
    ("speech", 1.5, None, "development", 60.0),
    ("speech", -3.0, 0.1, "inference", 0.0),
]


def many(days: int, papers: int = 8, each: int = 20) -> list[Run]:
    phases = (*["development"] * 7, "training", "inference", "unknown")
    return [
        (
            f"a-paper-with-a-rather-long-title-{paper}",
            days * run / each,
            days * (run + 0.4) / each,
            phases[run % 10],
            None if run % 11 == 5 else 10.0 ** (run % 6 - 3) * (9 - paper),
        )
        for paper in range(papers)
        for run in range(each)
    ]


def drawn_runs(*rows: Run, days: int = 2, basis: str = "label") -> Figure:
    frame = runs_frame(*rows, basis=basis)
    return paper_runs.plot(frame, start=START, end=end(days), provenance=PROVENANCE)


def nodes_frame(days: int) -> pl.DataFrame:
    """Node a-1: 6 kWh in jobs, 3 idle, 1 standby a day; b-1 is not measured."""
    rows: list[tuple[str, date, str, float | None, float]] = [
        row
        for day in (START.date() + timedelta(days=place) for place in range(days))
        for row in (
            ("a-1", day, "job", 6.0, 12.0),
            ("a-1", day, "idle", 3.0, 6.0),
            ("a-1", day, "standby", 1.0, 6.0),
            ("b-1", day, "no_data", None, 24.0),
        )
    ]
    return study_frames.node_energy_frame(rows)


def drawn_time(node_energy: pl.DataFrame, days: int) -> Figure:
    return energy_over_time.plot(
        node_energy, site="nancy", start=START, end=end(days), provenance=PROVENANCE
    )


def drawn_concentration(jobs: list[tuple[float, float | None]], runs: list[float | None]) -> Figure:
    """Of jobs by hours and energy, and runs by energy."""
    schema = {"duration_s": pl.Float64, "total_kwh": pl.Float64}
    held = pl.DataFrame([(3600 * hours, kwh) for hours, kwh in jobs], schema, orient="row")
    ran = pl.DataFrame([(3600.0, kwh) for kwh in runs], schema, orient="row")
    return concentration.plot(
        held.with_columns(gpu_hours=pl.lit(1.0), n_nodes=pl.lit(1)), ran, provenance=PROVENANCE
    )


SPREAD: list[tuple[float, float | None]] = [
    (1.35**i / 30, None if i % 9 == 4 else 1.5**i / 100) for i in range(30)
]


def a_figure(name: str, days: int) -> Figure:
    if name == "paper_runs":
        # one column, and two with a gap
        return drawn_runs(*many(days, papers=5 if days == 365 else 2), days=days)
    if name == "energy_over_time":
        return drawn_time(nodes_frame(days), days)
    return drawn_concentration(SPREAD, [kwh for _, kwh in SPREAD[::2]])


@pytest.mark.parametrize("days", DAYS)
@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_legible(name: str, days: int) -> None:
    figure = a_figure(name, days)
    assert_legible(figure)
    assert "simulated site" in figure.get_supxlabel()
    assert figure.get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)


@pytest.mark.parametrize("form", ["svg", "png"])
def test_figure_of_equal_data_gives_equal_files(tmp_path: Path, form: str) -> None:
    # style.save is tested for each form, and PDFs take long
    again: tuple[Callable[[], Figure], ...] = (
        lambda: drawn_runs(*ONE),
        lambda: drawn_time(nodes_frame(2), 2),
        lambda: drawn_concentration(SPREAD, [1.0, 2.0]),
    )
    for draw in again:
        for copy in ("one", "two"):
            style.save_figure(draw(), [tmp_path / f"{copy}.{form}"])
        one, two = ((tmp_path / f"{copy}.{form}").read_bytes() for copy in ("one", "two"))
        assert one == two
        assert len(one) > 4000


class TestPaperRuns:
    def test_cumulated_energy_is_spread_over_the_time_of_runs(self) -> None:
        rows: list[Run] = [
            ("speech", 0.0, 1.0, "development", 24.0),
            ("speech", 0.5, 0.75, "training", 12.0),
            ("speech", 0.75, 0.75, "inference", 3.0),
            ("speech", 0.25, 0.5, "inference", None),
            ("speech", 1.5, 4.0, "development", 60.0),
        ]
        found = paper_energy.cumulative_energy(runs_frame(*rows), start=START, end=end(2))
        hours = [(moment - START) / timedelta(hours=1) for moment in found["moment"]]
        second = 1 / 3600
        assert hours == pytest.approx([0.0, 12.0, 18.0 - second, 18.0, 24.0, 36.0, 48.0])
        of_phase = {name: found[name].to_list() for name in ("development", "training")}
        assert of_phase["development"] == pytest.approx(
            [0.0, 12.0, 18.0 - second, 18.0, 24.0, 24.0, 84.0]
        )
        assert of_phase["training"] == pytest.approx(
            [0.0, 0.0, 12.0 * (1 - second / 6), 12.0, 12.0, 12.0, 12.0]
        )
        assert found["inference"].to_list() == pytest.approx([0.0] * 3 + [3.0] * 4)
        assert found["total_kwh"][-1] == pytest.approx(99.0)

    def test_curve_ends_at_its_label(self) -> None:
        rows = many(56, papers=1, each=300)
        figure = drawn_runs(*rows, days=56)
        axes = panel(figure, "sum0")
        (label,) = [text for text in axes.texts if text.get_text().endswith("Wh")]
        (line,) = axes.lines
        heights = np.asarray(line.get_ydata(), dtype=float)
        assert heights[-1] == pytest.approx(label.xy[1])  # type: ignore[attr-defined]
        unit = 1e3 if "MWh" in axes.get_ylabel() else 1.0
        whole = sum(row[4] or 0.0 for row in rows) / unit
        assert heights[-1] == pytest.approx(whole)

    def test_runs_below_the_axis_are_triangles_at_its_foot(self) -> None:
        small: Run = ("speech", 0.1, 0.2, "development", 60.0 / 10 ** (paper_runs.MOST_DECADES + 1))
        figure = drawn_runs(*ONE, small)
        marks = [line for line in panel(figure, "runs0").lines if line.get_marker() == "v"]
        # the run of 0 kWh, too
        foot = 60.0 / 10**paper_runs.MOST_DECADES
        assert [list(line.get_ydata()) for line in marks] == [[foot], [foot]]
        assert "below the axis" in written_text(figure)
        assert "below the axis" not in written_text(drawn_runs(ONE[0]))
        assert panel(figure, "runs0").get_ylabel() == "Energy of a run"
        assert_legible(figure)

    @pytest.mark.parametrize("days", DAYS)
    def test_figure_of_one_column_is_legible_and_has_three_papers(self, days: int) -> None:
        figure = paper_runs.plot(
            runs_frame(*many(days)),
            start=START,
            end=end(days),
            provenance=PROVENANCE,
            width_mm=style.COLUMN_MM,
        )
        assert_column(figure)
        assert len([axes for axes in figure.axes if str(axes.get_label()).startswith("sum")]) == 3
        assert "Not drawn: 5 more papers with less energy" in written_text(figure)

    def test_title_has_the_part_of_training(self) -> None:
        text = "speech took 100 kWh in 5 runs; training of the reported model was 10 % of it"
        assert title_text(drawn_runs(*ONE)) == text
        guessed = title_text(drawn_runs(*ONE, basis="assumed"))
        assert guessed.endswith("; the largest training was 10 % of it")
        other: Run = ("vision", 0.0, 1.0, "training", 1.0)
        more: Run = ("vision", 0.0, 1.0, "development", 1.0)
        assert title_text(drawn_runs(*ONE, other, more)) == (
            "Training of the reported model took 10 % to 50 % of the energy of 2 papers"
        )
        assert title_text(drawn_runs(ONE[0])) == "speech took 30.0 kWh in 1 run"

    def test_runs_have_marks_of_their_phase_at_their_energy(self) -> None:
        figure = drawn_runs(*ONE)
        axes = panel(figure, "runs0")
        points = {
            to_hex(line.get_markerfacecolor()): np.asarray(line.get_ydata()).tolist()
            for line in axes.lines
        }
        assert points == {
            style.PHASE_COLOURS["development"]: [30.0, 60.0],
            style.PHASE_COLOURS["training"]: [10.0],
            # 0 kWh stands at the foot: 10 kWh is the least above it
            style.PHASE_COLOURS["inference"]: [10.0],
        }
        assert axes.get_yscale() == "log"
        (unmeasured,) = rectangles(axes, hatched=True)
        # from 1.25 to 1.5 days after the start
        assert unmeasured.x0 == pytest.approx(date2num(START) + 1.25)
        assert unmeasured.width == pytest.approx(0.25)
        assert "speech: 5 runs, 1 of unknown energy" in written_text(figure)
        assert "100 kWh" in written_text(figure)
        assert_legible(figure)

    def test_note_of_many_papers_counts_all_but_six(self) -> None:
        small: Run = (vocabulary.SMALL_GROUPS, 0.0, 1.0, "development", 7.0)
        bare: Run = ("nothing", 0.0, 1.0, "development", None)
        figure = drawn_runs(*many(2), small, bare)
        text = written_text(figure)
        shown = [f"long-title-{paper}" in text for paper in range(8)]
        assert shown == [True] * 6 + [False] * 2
        assert len([axes for axes in figure.axes if str(axes.get_label()).startswith("sum")]) == 6
        assert "Not drawn: 2 more papers with less energy" in text
        assert "papers of small groups (7.00 kWh together), 1 paper of unknown energy" in text
        assert_legible(figure)

    def test_many_runs_are_saved_as_an_image(self, tmp_path: Path) -> None:
        figure = drawn_runs(*many(365, papers=1, each=2000), days=365)
        style.save_figure(figure, [tmp_path / "many.svg"])
        text = (tmp_path / "many.svg").read_text()
        assert text.count("<image") >= 1
        assert len(text) < 600_000

    def test_thinned_line_keeps_both_ends(self) -> None:
        course = paper_energy.cumulative_energy(
            runs_frame(*many(56, 1, 2000)), start=START, end=end(56)
        )
        thin = paper_energy.thin_course(course)
        assert len(thin) <= paper_energy.MOST_STEPS + 2
        assert (thin.row(0), thin.row(-1)) == (course.row(0), course.row(-1))

    def test_figure_without_measurement_gives_the_reason(self) -> None:
        bare: Run = ("speech", 0.0, 1.0, "training", None)
        for figure in (drawn_runs(), drawn_runs(bare)):
            assert title_text(figure) == "The energy of no paper's runs is known"
            assert "The energy of no run of a paper that the levels show is known" in written_text(
                figure
            )
            assert_legible(figure)

    def test_of_papers_selects_papers_of_the_levels(self) -> None:
        runs = pl.LazyFrame(
            {
                "run_id": [1, 2, 3, 4],
                "job_ids": [[1, 11], [2], [3], [4]],
                "project": ["p"] * 4,
                "kind": ["debug", "debug", "debug", None],
                "started_at": [START] * 4,
                "stopped_at": [None, *([end(1)] * 3)],
                "phase": ["development"] * 3 + [None],
                "role_basis": pl.Series([None] * 4, dtype=pl.String),
                "total_kwh": [1.0, 2.0, 4.0, 8.0],
            }
        )
        papers = pl.LazyFrame({"run_id": [1, 2, 4], "paper": ["shown", "hidden", "shown"]})
        rows = [("paper", "shown", "bmc"), ("project", "p", "bmc")]
        shown = pl.LazyFrame(rows, ["level", "name", "method"], orient="row")
        # the first job of the run has ended, the second runs for at most an hour more
        jobs = pl.LazyFrame(
            {
                "job_id": [1, 11, 2],
                "started_at": [START, end(1), START],
                "stopped_at": [end(1), None, end(1)],
                "walltime_s": [None, 3600, None],
            }
        )
        ratio = [{"scope": "paper", "name": "shown", "ratio_reason": "48 % of training known"}]
        found = paper_energy.runs_of_papers(
            runs,
            papers,
            jobs=jobs,
            ratio=pl.LazyFrame(ratio),
            levels=shown,
            papers_wanted=["shown"],
            end=end(2),
        )
        assert found.select("paper", "run_id", "total_kwh").rows() == [("shown", 1, 1.0)]
        assert found["stopped_at"].to_list() == [end(1) + timedelta(hours=1)]
        assert found["is_ratio_withheld"].to_list() == [True]

    def test_title_of_a_half_measured_paper_has_no_part_of_training(self) -> None:
        frame = runs_frame(*ONE, is_ratio_withheld=True)
        figure = paper_runs.plot(frame, start=START, end=end(2), provenance=PROVENANCE)
        assert title_text(figure) == "speech took 100 kWh in 5 runs"


class TestEnergyOverTime:
    @pytest.mark.parametrize(("days", "step"), [(2, "1d"), (92, "1d"), (93, "1w"), (1100, "1mo")])
    def test_period_depends_on_the_length_of_the_study(self, days: int, step: str) -> None:
        assert time_steps.calendar_step(START, end(days)) == step

    def test_by_period_of_a_cut_week_has_the_same_daily_energy(self) -> None:
        # Tuesday 4 March to Saturday 14 June 2025: 6 days, 13 weeks, 6 days
        start, stop = START + timedelta(days=1), datetime(2025, 6, 15, tzinfo=UTC)
        nodes = nodes_frame(104).filter(pl.col("day") >= start.date())
        found = time_steps.energy_by_calendar_step(nodes, start=start, end=stop)
        jobs = found.filter(pl.col("class") == "job")
        days = (jobs["ends_at"] - jobs["begins_at"]).dt.total_days().to_list()
        assert days == [6, *[7] * 13, 6]
        assert jobs["is_whole"].to_list() == [False, *[True] * 13, False]
        per_day = [kwh / n for kwh, n in zip(jobs["total_kwh"], days, strict=True)]
        assert per_day == pytest.approx([6.0] * 15)
        assert set(found["measured_frac"]) == {0.5}
        unmeasured = found.filter(pl.col("class") == "no_data")
        assert unmeasured["total_kwh"].null_count() == 15
        assert unmeasured["node_h"].to_list() == pytest.approx([24.0 * n for n in days])

    def test_title_has_the_part_of_the_overhead(self) -> None:
        # 4 of 10 kWh every day
        figure = drawn_time(nodes_frame(2), 2)
        assert title_text(figure) == (
            "Hardware without a job took 40 % of the energy at Nancy (40 % by day)"
        )
        once = drawn_time(nodes_frame(1), 1)
        assert title_text(once) == "Hardware without a job took 40 % of the energy at Nancy"

    def test_title_has_the_mean_over_energy_and_the_range_of_days(self) -> None:
        rows = [
            ("a-1", START.date() + timedelta(days=day), name, kwh, 12.0)
            for day, energies in enumerate(((90.0, 10.0), (5.0, 5.0)))
            for name, kwh in zip(("job", "idle"), energies, strict=True)
        ]
        # 15 of 110 kWh: 10 % of one day and 50 % of the other
        assert title_text(drawn_time(study_frames.node_energy_frame(rows), 2)) == (
            "Hardware without a job took 14 % of the energy at Nancy (10 % to 50 % by day)"
        )

    def test_only_days_with_fewer_readings_than_usual_are_marked(self) -> None:
        # b-1 is never measured; a-1 not for half of the third day
        lost = (pl.col("node") == "a-1") & (pl.col("day") == START.date() + timedelta(days=2))
        is_job = pl.col("class").cast(pl.String) == "job"
        names = nodes_frame(5).schema["class"]
        rows = nodes_frame(5).with_columns(
            pl.when(lost & is_job)
            .then(pl.lit("no_data", names))
            .otherwise(pl.col("class"))
            .alias("class")
        )
        figure = drawn_time(rows, 5)
        axes = panel(figure, "energy")
        (mark,) = [line for line in axes.lines if line.get_marker() == "v"]
        assert list(mark.get_xdata()) == [date2num(START) + 2.5]
        assert "Readings usually exist for 50 % of the node time" in written_text(figure)
        assert "fewer readings than usual" in written_text(figure)
        assert_legible(figure)
        usual = drawn_time(nodes_frame(5), 5)
        marks = [line for line in panel(usual, "energy").lines if line.get_marker() == "v"]
        assert [list(line.get_xdata()) for line in marks] == [[]]
        assert "fewer readings" not in written_text(usual)

    @pytest.mark.parametrize("days", DAYS)
    def test_figure_of_one_column_is_legible(self, days: int) -> None:
        assert_column(
            energy_over_time.plot(
                nodes_frame(days),
                site="nancy",
                start=START,
                end=end(days),
                provenance=PROVENANCE,
                width_mm=style.COLUMN_MM,
            )
        )

    def test_bars_sum_to_the_energy_and_unmeasured_time_is_hatched(self) -> None:
        figure = drawn_time(nodes_frame(2), 2)
        bars = rectangles(panel(figure, "energy"), hatched=False)
        assert sum(bar.height for bar in bars) == pytest.approx(20.0)
        # 3 classes a day, each from the top of the one below
        assert sorted((bar.y0, bar.y1) for bar in bars) == [
            *[(0.0, 6.0)] * 2,
            *[(6.0, 9.0)] * 2,
            *[(9.0, 10.0)] * 2,
        ]
        unmeasured = rectangles(panel(figure, "time"), hatched=True)
        assert [bar.height for bar in unmeasured] == pytest.approx([50.0, 50.0])
        assert "lighter: estimated" not in written_text(figure)

    def test_estimated_energy_is_lighter_and_above_measured_energy(self) -> None:
        is_job = pl.col("class").cast(pl.String) == "job"
        rows = nodes_frame(1).with_columns(estimated_kwh=pl.when(is_job).then(2.0).otherwise(0.0))
        rows = rows.with_columns(
            total_kwh=pl.col("measured_kwh").fill_null(0.0) + pl.col("estimated_kwh")
        )
        figure = drawn_time(rows, 1)
        bars = rectangles(panel(figure, "energy"), hatched=False)
        assert max((bar.y0, bar.y1) for bar in bars) == (10.0, 12.0)
        assert "lighter: estimated" in written_text(figure)
        assert_legible(figure)

    def test_figure_without_measurement_gives_the_reason(self) -> None:
        bare = drawn_time(nodes_frame(2).filter(pl.col("node") == "b-1"), 2)
        assert title_text(bare) == "The energy of the nodes of Nancy is unknown"
        assert "The energy of no node is known." in written_text(bare)
        empty = drawn_time(nodes_frame(2).clear(), 2)
        assert "The study has no node" in written_text(empty)
        assert_legible(bare)
        assert_legible(empty)


class TestConcentration:
    JOBS: tuple[tuple[float, float | None], ...] = (
        *((0.1, 0.25),) * 4,
        (2.0, 3.0),
        (30.0, 6.0),
        (30.0, None),
    )

    def test_title_has_the_jobs_with_half_of_the_energy(self) -> None:
        figure = drawn_concentration(list(self.JOBS), [7.0, 3.0])
        # 6 of 10 kWh by one of six jobs of known energy; 4 of 7 jobs took 6 minutes
        assert title_text(figure) == (
            "Half of the energy went into 17 % of the jobs (1 of 6); jobs under 10 min were "
            "57 % of the jobs and 10 % of the energy"
        )
        assert_legible(figure)

    def test_curves_and_bars_match_a_hand_calculation(self) -> None:
        figure = drawn_concentration(list(self.JOBS), [7.0, 3.0])
        curves = panel(figure, "curves")
        (runs,) = (line for line in curves.lines if line.get_color() == style.COLOUR_SEQUENCE[1])
        assert np.asarray(runs.get_ydata()).tolist() == pytest.approx([0.0, 30.0, 100.0])
        # runs: (-1 x 3 + 1 x 7) / (2 x 10)
        assert "2 runs: Gini 0.20" in written_text(figure)
        assert {"57 % (4)", "60 % (6.00 kWh)"} < set(written_text(figure).split("\n"))
        hatched = [bar for bar in panel(figure, "durations").patches if bar.get_hatch()]
        widths = sum(bar.get_width() for bar in hatched)  # type: ignore[attr-defined]
        assert widths == pytest.approx(100 / 7)
        assert "jobs of unknown energy" in written_text(figure)

    def test_figure_without_measurement_gives_the_reason(self) -> None:
        for jobs in ([], [(1.0, None)], [(0.0, 0.0)]):
            figure = drawn_concentration(jobs, [])  # type: ignore[arg-type]
            assert title_text(figure) == "No energy of a job is known"
            assert "No energy of a job is known." in written_text(figure)
            assert_legible(figure)

    def test_schemas_have_the_columns_that_the_figure_reads(self) -> None:
        for schema in (JobEnergy, Runs):
            assert {"duration_s", "total_kwh", "gpu_hours"} <= set(schema.column_names())
