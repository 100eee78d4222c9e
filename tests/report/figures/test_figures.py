"""Figures of classes, levels, a week of a node and the check: texts, marks and legibility."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from footprint.report import wording
from footprint.report.figures import energy_by_class, levels, node_week, simulation_check, style
from footprint.report.figures.busiest_week import Week, busiest_week
from tests.report.figures.test_estimate_figures import panel
from tests.support import study_frames
from tests.support.figure_checks import (
    assert_column,
    assert_legible,
    assert_same_file,
    levels_of_study,
    title_text,
    visible_texts,
    written_text,
)
from tests.support.study_frames import PROVENANCE, START, node_energy_frame

DAY = START.date()
NO_RUNS = study_frames.runs_of_week().clear()
WEEK = Week("graffiti-3", START, START + timedelta(days=7), 172.4, 126.0)


def compared() -> pl.DataFrame:
    """Errors of jobs by sensor, in the columns of `against_truth.compare_with_truth`."""
    rng = np.random.default_rng(0)
    spreads = {1.0: (120, 7e-4), 4.0: (55, 2e-3), 36.0: (30, 2e-2)}
    frames = [
        pl.DataFrame({"step_w": [step] * n, "error_frac": rng.normal(0, sd, n), "compared": True})
        for step, (n, sd) in spreads.items()
    ]
    short = pl.DataFrame({"step_w": [1.0], "error_frac": [0.5], "compared": [False]})
    return pl.concat([*frames, short])


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study()


@pytest.fixture(scope="module")
def drawn(study: study_frames.StudyFrames) -> dict[str, Figure]:
    power, allocations = study_frames.power_week()
    hours = levels_of_study(study, redistribution="resource_hours")
    return {
        "energy_by_class": energy_by_class.plot(
            study.node_energy, site="nancy", provenance=PROVENANCE
        ),
        "levels": levels.plot(levels_of_study(study), provenance=PROVENANCE),
        "levels with overhead": levels.plot(hours, provenance=PROVENANCE),
        "node_week": node_week.plot(
            power,
            allocations,
            study_frames.runs_of_week(),
            WEEK,
            max_gap_s=90,
            provenance=PROVENANCE,
        ),
        "simulation_check": simulation_check.plot(study.check, compared(), provenance=PROVENANCE),
    }


FIGURES = ["energy_by_class", "levels", "levels with overhead", "node_week", "simulation_check"]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_legible(drawn: dict[str, Figure], name: str) -> None:
    assert_legible(drawn[name])


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_its_provenance_at_the_foot(drawn: dict[str, Figure], name: str) -> None:
    assert "simulated site" in drawn[name].get_supxlabel()
    assert drawn[name].get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM)


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_figure_saved_twice_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path, form: str
) -> None:
    assert_same_file({name: drawn[name] for name in FIGURES}, tmp_path, form, least=5000)


def save_figures(*paths: str) -> None:
    """Save the figure that another process repeats."""
    study = study_frames.invented_study()
    drawn = energy_by_class.plot(study.node_energy, site="nancy", provenance=PROVENANCE)
    style.save_figure(drawn, paths)


def test_figure_of_another_process_gives_equal_files(
    drawn: dict[str, Figure], tmp_path: Path
) -> None:
    style.save_figure(drawn["energy_by_class"], [tmp_path / "here.svg", tmp_path / "here.pdf"])
    code = f"import sys\nsys.path[:0] = [{str(Path(__file__).parents[3])!r}]\n"
    code += f"from {__name__} import save_figures\nsave_figures(*sys.argv[1:])\n"
    there = [str(tmp_path / "there.svg"), str(tmp_path / "there.pdf")]
    subprocess.run([sys.executable, "-c", code, *there], check=True)
    for form in ("svg", "pdf"):
        here = (tmp_path / f"here.{form}").read_bytes()
        assert here == (tmp_path / f"there.{form}").read_bytes()


def test_save_as_svg_keeps_text_as_text(drawn: dict[str, Figure], tmp_path: Path) -> None:
    style.save_figure(drawn["levels"], [tmp_path / "levels.svg"])
    svg = (tmp_path / "levels.svg").read_text()
    assert "multispeech</text>" in svg
    assert "dc:date" not in svg


def test_save_as_png_has_200_points_per_inch(drawn: dict[str, Figure], tmp_path: Path) -> None:
    style.save_figure(drawn["levels"], [tmp_path / "levels.png"])
    head = (tmp_path / "levels.png").read_bytes()[:24]
    width = int.from_bytes(head[16:20], "big")
    assert width == pytest.approx(style.TEXT_MM / 25.4 * 200, abs=1)


# Energy by class


CLASSES = node_energy_frame(
    [
        ("graffiti-1", DAY, "job", 600.0, 12.0),
        ("graffiti-1", DAY, "idle", 150.0, 12.0),
        ("gros-1", DAY, "job", 200.0, 12.0),
        ("gros-1", DAY, "unattributed", 50.0, 6.0),
        ("gros-1", DAY, "no_data", None, 6.0),
    ]
)


def test_by_cluster_has_energy_and_time_of_each_class() -> None:
    rows = energy_by_class.energy_by_cluster(CLASSES)
    assert rows["cluster"].to_list() == ["graffiti"] * 2 + ["gros"] * 3
    job = rows.filter(pl.col("cluster") == "gros", pl.col("class") == "job").row(0, named=True)
    assert (job["total_kwh"], job["node_h"], job["n_nodes"]) == (200.0, 12.0, 1)
    assert job["measured_frac"] == 1.0
    assert rows.filter(pl.col("class") == "no_data")["total_kwh"].to_list() == [None]


def test_energy_by_class_title_has_jobs_and_overhead() -> None:
    figure = energy_by_class.plot(CLASSES, site="nancy", provenance=PROVENANCE)
    assert title_text(figure) == (
        "The nodes of Nancy drew at least 1.00 MWh (100 % measured): 80 % in jobs, 15 % in "
        "hardware without a job"
    )
    assert "≥ 250 kWh" in written_text(figure)
    assert_legible(figure)


def test_energy_by_class_without_measurement_gives_the_reason() -> None:
    figure = energy_by_class.plot(node_energy_frame([]), site="nancy", provenance=PROVENANCE)
    assert "The study has no node" in written_text(figure)
    assert_legible(figure)
    unknown = node_energy_frame([("grappe-1", DAY, "no_data", None, 24.0)])
    figure = energy_by_class.plot(unknown, site="nancy", provenance=PROVENANCE)
    assert title_text(figure) == "The energy of the nodes of Nancy is unknown"
    assert "unknown" in written_text(figure)
    assert_legible(figure)


def test_energy_by_class_draws_estimated_energy_lighter_after_measured_energy() -> None:
    rows = [("graffiti-1", DAY, "job", 600.0, 12.0), ("graffiti-1", DAY, "idle", 100.0, 12.0)]
    estimated = {("graffiti-1", "job"): 250.0, ("graffiti-1", "idle"): 50.0}
    figure = energy_by_class.plot(
        node_energy_frame(rows, estimated=estimated), site="nancy", provenance=PROVENANCE
    )
    bars = [bar for bar in figure.axes[1].patches if bar.get_width()]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert np.array(ends) == pytest.approx(
        np.array([(0.0, 0.6), (0.6, 0.7), (0.7, 0.95), (0.95, 1.0)])
    )
    colours = [to_rgb(bar.get_facecolor()) for bar in bars]
    names = ("job", "idle")
    assert colours[:2] == [to_rgb(style.CLASS_COLOURS[name]) for name in names]
    assert colours[2:] == [pytest.approx(style.lighter(style.CLASS_COLOURS[n])) for n in names]
    assert "1.00 MWh, 70 % measured" in written_text(figure)
    assert "lighter: estimated" in written_text(figure)
    assert_legible(figure)


def test_energy_by_class_axis_ends_with_the_longest_bar() -> None:
    figure = energy_by_class.plot(CLASSES, site="nancy", provenance=PROVENANCE)
    energy = figure.axes[1]
    assert energy.get_xlim() == (0, 750)
    assert energy.get_xlabel() == "Total energy (kWh)"
    names = [text.get_text() for text in energy.get_yticklabels()]
    assert names == ["graffiti, 1 node", "gros, 1 node"]


def test_energy_by_class_separates_neighbours_but_not_slivers() -> None:
    rows = [("gros-1", DAY, name, 100.0, 8.0) for name in ("job", "idle")]
    rows.append(("gros-1", DAY, "unavailable", 1.0, 8.0))
    figure = energy_by_class.plot(node_energy_frame(rows), site="nancy", provenance=PROVENANCE)
    widths = {
        bar.get_width(): (to_rgb(bar.get_edgecolor()), bar.get_linewidth(), bar.get_hatch())
        for bar in figure.axes[1].patches
        if bar.get_width()
    }
    white = (1.0, 1.0, 1.0)
    assert widths == {100.0: (white, 0.5, None), 1.0: (white, 0.0, "xxxxx")}


def test_energy_by_class_of_one_column_is_legible(study: study_frames.StudyFrames) -> None:
    figure = energy_by_class.plot(
        study.node_energy, site="nancy", provenance=PROVENANCE, width_mm=style.COLUMN_MM
    )
    assert_column(figure)
    # the panels are one above the other
    energy, time = figure.axes[1:]
    assert energy.get_position().y0 > time.get_position().y1


# Levels


def test_levels_title_has_site_project_and_overhead(study: study_frames.StudyFrames) -> None:
    measured = levels_of_study(study).filter(pl.col("method") == "bmc")
    rows = measured.with_columns(
        pl.when(pl.col("level") == "site")
        .then(200.0)
        .when(pl.col("name") == "multispeech")
        .then(150.0)
        .otherwise(pl.col("total_kwh"))
        .alias("total_kwh")
    )
    assert (
        levels.figure_title(rows)
        .replace(wording.NARROW_SPACE, " ")
        .startswith("Jobs at Nancy used at least 200 kWh (95 %: ")
    )


def test_levels_without_measurement_are_hatched_and_named(study: study_frames.StudyFrames) -> None:
    unmeasured = pl.col("name").is_in(["larsen", "u-00000002"])
    rows = levels_of_study(study).with_columns(
        pl.when(~unmeasured).then(name) for name in ("total_kwh", "total_low_kwh", "total_high_kwh")
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert written_text(figure).count("unknown: ") == 3  # and no_data
    hatched = figure.findobj(lambda artist: getattr(artist, "get_hatch", lambda: None)())
    assert len(hatched) == 3
    assert_legible(figure)


def test_levels_of_low_measured_fraction_are_marked(study: study_frames.StudyFrames) -> None:
    rows = levels_of_study(study).with_columns(
        measured_frac=pl.when(pl.col("level") == "site").then(0.4).otherwise(1.0)
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    (text,) = (
        text for text in visible_texts(figure) if text.get_text() == f"40{wording.NARROW_SPACE}%"
    )
    assert text.get_color() == style.ACCENT


def level_rows(*rows: dict[str, object]) -> pl.DataFrame:
    """Levels of the measurement with these columns."""
    usual = {"n_jobs": 1, "n_users": 9, "measured_frac": 1.0, "gpu_node_frac": 0.5}
    schema = {"overhead_kwh": pl.Float64, "estimated_kwh": pl.Float64}
    found = pl.DataFrame(
        [
            {"method": "bmc", "unknown_node_h": 0.0, "overhead_kwh": None, "estimated_kwh": 0.0}
            | usual
            | row
            for row in rows
        ],
        schema_overrides=schema,
    )
    return found.with_columns(
        total_kwh=pl.col("measured_kwh") + pl.col("estimated_kwh"),
        total_low_kwh=0.9 * (pl.col("measured_kwh") + pl.col("estimated_kwh")),
        total_high_kwh=1.2 * (pl.col("measured_kwh") + pl.col("estimated_kwh")),
    )


def test_levels_have_axes_of_their_own_with_measured_part_and_interval() -> None:
    rows = level_rows(
        {"level": "site", "name": "nancy", "measured_kwh": 60.0, "estimated_kwh": 40.0},
        {"level": "paper", "name": "speech", "measured_kwh": 2.0},
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    site, paper = panel(figure, "bars site"), panel(figure, "bars paper")
    assert (site.get_xlim()[1], paper.get_xlim()[1]) == (
        pytest.approx(1.02 * 120.0),
        pytest.approx(1.02 * 2.4),
    )
    bars = [(bar.get_x(), bar.get_width(), to_rgb(bar.get_facecolor())) for bar in site.patches]
    blue = levels.BAR_COLOUR
    assert bars == [
        (0.0, 60.0, to_rgb(blue)),
        (60.0, 40.0, pytest.approx(style.lighter(blue))),
    ]
    drawn_ends = [list(line.get_xdata()) for line in site.lines if line.get_color() == style.INK]
    assert drawn_ends == [[90.0, 120.0]]
    assert {"Site", "Papers", "estimated"} < set(written_text(figure).split("\n"))
    assert_legible(figure)


def test_levels_draw_the_measurement_alone(study: study_frames.StudyFrames) -> None:
    rows = levels_of_study(study)
    measured = rows.filter(pl.col("method") == "bmc")
    figures = [levels.plot(each, provenance=PROVENANCE) for each in (rows, measured)]
    assert written_text(figures[0]) == written_text(figures[1])


def test_levels_of_many_projects_count_the_rest() -> None:
    projects = [
        {"level": "project", "name": f"p{i:02}", "measured_kwh": float(i)} for i in range(1, 13)
    ]
    rows = level_rows({"level": "site", "name": "nancy", "measured_kwh": 100.0}, *projects)
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert "4 more" in written_text(figure)
    assert "10.0 kWh\nsee the table" in written_text(figure)  # 1 + 2 + 3 + 4
    assert_legible(figure)


def test_levels_without_energy_give_the_reason(study: study_frames.StudyFrames) -> None:
    rows = levels_of_study(study).with_columns(total_kwh=pl.lit(None, pl.Float64))
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert title_text(figure) == "The energy of the jobs at Nancy is unknown"
    assert "Nothing was measured or estimated of the jobs of the study." in written_text(figure)
    assert_legible(figure)


# Node week


def allocations(*rows: tuple[int, float, float, float]) -> pl.DataFrame:
    """Allocations of (job, hours from, to, share), all on gros-1."""
    moment = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        [(j, START + timedelta(hours=a), START + timedelta(hours=b), s) for j, a, b, s in rows],
        {"job_id": pl.Int64, "started_at": moment, "stopped_at": moment, "share": pl.Float64},
        orient="row",
    ).with_columns(node=pl.lit("gros-1"))


def test_busiest_prefers_gpu_nodes_then_jobs_then_energy() -> None:
    rows = [
        ("gros-1", DAY, "job", 5.0, 24.0),
        ("gros-1", DAY + timedelta(days=7), "job", 9.0, 24.0),
        ("gros-2", DAY + timedelta(days=1), "job", 8.0, 16.0),
        ("gros-2", DAY + timedelta(days=1), "idle", 4.0, 8.0),
        ("gros-3", DAY, "job", 50.0, 10.0),  # 14 of 24 h unknown
        ("gros-3", DAY, "no_data", None, 14.0),
        ("gros-4", DAY + timedelta(days=9), "idle", 90.0, 24.0),
    ]
    frame = node_energy_frame(rows)
    week, last = timedelta(days=7), START + timedelta(days=10)
    no_allocations = allocations().lazy()
    assert busiest_week(frame, no_allocations) == (
        "gros-1",
        START + week,
        last,
        9.0,
        9.0,
    )
    assert busiest_week(frame, no_allocations, node="gros-2") == (
        "gros-2",
        START,
        START + week,
        12.0,
        8.0,
    )
    assert busiest_week(frame, no_allocations, node="gros-4") is None
    assert busiest_week(node_energy_frame([]), no_allocations) is None
    # Two jobs held gros-1 for an hour of the first week, one of them until the second.
    held = allocations(
        (1, 0, 2, 1.0), (2, 3, 200, 1.0), (3, 4, 4.5, 1.0), (4, 400, 500, 1.0)
    ).lazy()
    assert busiest_week(frame, held) == ("gros-1", START, START + week, 5.0, 5.0)
    # A GPU node comes first.
    more = node_energy_frame([*rows, ("graffiti-1", DAY, "job", 0.5, 24.0)])
    assert busiest_week(more, held) == ("graffiti-1", START, START + week, 0.5, 0.5)


def places(frame: pl.DataFrame) -> list[tuple]:
    hours = (pl.col(name) - START for name in ("started_at", "stopped_at"))
    return (
        node_week.job_lanes(frame, WEEK)
        .select("job_id", *(each.dt.total_hours() for each in hours), "low", "high")
        .rows()
    )


def test_lanes_of_jobs_are_the_lowest_free_places() -> None:
    frame = allocations((1, 0, 10, 0.5), (2, 2, 4, 0.25), (3, 3, 9, 0.25), (4, 5, 8, 0.25))
    assert places(frame) == [
        (1, 0, 10, 0.0, 0.5),
        (2, 2, 4, 0.5, 0.75),
        (3, 3, 9, 0.75, 1.0),
        (4, 5, 8, 0.5, 0.75),
    ]


def test_lanes_of_a_job_can_have_two_parts() -> None:
    frame = allocations((1, 0, 5, 0.25), (2, 0, 10, 0.5), (3, 6, 9, 0.5))
    assert places(frame)[2:] == [(3, 6, 9, 0.0, 0.25), (3, 6, 9, 0.75, 1.0)]


def test_lanes_of_a_container_exclude_its_inner_job() -> None:
    frame = allocations((1, 0, 10, 1.0), (1, 4, 6, -0.25), (2, 4, 6, 0.25))
    assert [(*row[:3], row[4] - row[3]) for row in places(frame)] == [
        (1, 0, 4, 1.0),
        (1, 4, 6, 0.75),
        (2, 4, 6, 0.25),
        (1, 6, 10, 1.0),
    ]


def test_lanes_are_clipped_to_the_week() -> None:
    assert places(allocations((1, -5, 200, 1.0), (2, 170, 180, 1.0))) == [(1, 0, 168, 0.0, 1.0)]


def test_lanes_under_the_binary_gate_exceed_one() -> None:
    assert [row[3:] for row in places(allocations((1, 0, 2, 1.0), (2, 0, 2, 1.0)))] == [
        (0.0, 1.0),
        (1.0, 2.0),
    ]


def test_gated_power_of_jobs_is_power_times_share() -> None:
    power, _ = study_frames.power_week()
    power = power.with_columns(power_w=pl.lit(100.0))
    binned = node_week.gated_power(power, allocations((1, 0, 24, 0.5), (2, 12, 24, 0.25)), WEEK)
    assert len(binned) == 7 * 24 * 6
    at = (pl.col("at") - START).dt.total_hours()
    by_hour = binned.group_by(at.alias("hour")).agg(pl.col("job_w").mean()).sort("hour")
    assert by_hour["job_w"][0] == 50.0
    assert by_hour["job_w"][12] == 75.0
    assert by_hour["job_w"][24] == 0.0
    assert by_hour["job_w"][50] is None  # no samples from hour 48 to 53


def test_node_week_title_has_energy_and_part_of_jobs(drawn: dict[str, Figure]) -> None:
    assert (
        title_text(drawn["node_week"]) == "graffiti-3 drew 172 kWh in a week, 73 % of it for 8 jobs"
    )
    assert "no data (2 gaps, 5.42 h)" in written_text(drawn["node_week"])


def test_node_week_has_the_kind_and_user_of_jobs_and_no_number(drawn: dict[str, Figure]) -> None:
    lanes = panel(drawn["node_week"], "lanes")
    texts = [text.get_text() for text in lanes.texts]
    # 101 and 103 are one run; the user of 104 has no room; 108 has no run
    assert texts == [
        "training, u-00000001",
        "training, u-00000001",
        "inference, u-00000002",
        "unknown",
        "idle hold, u-00000003",
        "unknown",
    ]
    colours = {to_hex(bar.get_facecolor()) for bar in lanes.patches if not bar.get_hatch()}
    kinds = ("training_run", "debug", "inference_run", "unknown")
    assert colours == {style.KIND_COLOURS[kind] for kind in kinds}
    written = written_text(drawn["node_week"])
    assert "debug, idle hold" in written.split("\n")
    assert not any(str(job) in written for job in range(101, 109))


def test_gaps_reach_to_the_ends_of_the_week() -> None:
    power, _ = study_frames.power_week()
    late = power.filter(pl.col("timestamp") > START + timedelta(days=6))
    holes = node_week.sample_gaps(late, WEEK, max_gap_s=90)
    assert holes.rows() == [(START, START + timedelta(days=6, minutes=1))]


def test_node_week_without_power_gives_the_reason() -> None:
    power, gates = study_frames.power_week()
    figure = node_week.plot(power, gates, NO_RUNS, None, max_gap_s=90, provenance=PROVENANCE)
    assert "no node with power readings and jobs" in written_text(figure)
    assert_legible(figure)


def test_node_week_of_a_one_day_study_is_legible() -> None:
    power, gates = study_frames.power_week()
    day = WEEK._replace(end=START + timedelta(days=1), measured_kwh=10.0, jobs_kwh=5.0)
    figure = node_week.plot(power, gates, NO_RUNS, day, max_gap_s=90, provenance=PROVENANCE)
    assert title_text(figure) == "graffiti-3 drew 10.0 kWh in a day, 50 % of it for 3 jobs"
    assert_legible(figure)


def test_node_week_of_a_thousand_short_jobs_draws_them_all() -> None:
    power, _ = study_frames.power_week()
    short = allocations(*((i, i / 6, i / 6 + 0.1, 1.0) for i in range(1000)))
    figure = node_week.plot(power, short, NO_RUNS, WEEK, max_gap_s=90, provenance=PROVENANCE)
    assert len(panel(figure, "lanes").patches) >= 1000
    assert_legible(figure)


# Simulation check


def test_simulation_check_draws_errors_of_the_compared_jobs(drawn: dict[str, Figure]) -> None:
    lines = [line for line in drawn["simulation_check"].axes[0].lines if len(line.get_xdata()) > 2]
    assert [len(line.get_xdata()) for line in lines] == [121, 56, 31]  # a start, and each job
    assert max(lines[0].get_xdata()) < 0.01
    assert "1 W, 120" in written_text(drawn["simulation_check"])


def test_simulation_check_title_has_coverage_and_median_error(drawn: dict[str, Figure]) -> None:
    assert title_text(drawn["simulation_check"]) == (
        "The true energy lies inside the 95 % interval of the total for 96 % of 365 simulated "
        "jobs; measured energies over 10 minutes differ from those of a perfect meter of the same "
        "gain by 0.060 % (median)"
    )


def test_simulation_check_without_jobs_gives_the_reason(study: study_frames.StudyFrames) -> None:
    for check in (
        study.check.clear(),
        study.check.with_columns(n_jobs=0, inside_frac=pl.lit(None, pl.Float64)),
    ):
        figure = simulation_check.plot(check, compared().clear(), provenance=PROVENANCE)
        assert title_text(figure) == "The energy of no simulated job is known"
        assert "No job over 10 minutes was measured all the time" in written_text(figure)
        assert_legible(figure)
