"""Figures: what they say, that they can be read, and that the same data give the same file."""

import itertools
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import paper_frames
import polars as pl
import pytest
from figure_checks import a_study_levels, assert_legible, assert_same_file, texts, title, words
from matplotlib.figure import Figure
from paper_frames import PROVENANCE, START, node_energy_frame

from footprint import tables
from footprint.figures import energy_by_class, levels, node_week, simulation_check, style

DAY = START.date()
WEEK = node_week.Week("graffiti-3", START, START + timedelta(days=7), 172.4, 126.0)


def compared() -> pl.DataFrame:
    """Errors of jobs by sensor, as `simulation_check.compare` gives them."""
    rng = np.random.default_rng(0)
    spreads = {1.0: (120, 7e-4), 4.0: (55, 2e-3), 36.0: (30, 2e-2)}
    frames = [
        pl.DataFrame({"step_w": [step] * n, "error_frac": rng.normal(0, sd, n), "compared": True})
        for step, (n, sd) in spreads.items()
    ]
    short = pl.DataFrame({"step_w": [1.0], "error_frac": [0.5], "compared": [False]})
    return pl.concat([*frames, short])


@pytest.fixture(scope="module")
def study() -> paper_frames.Study:
    return paper_frames.study()


@pytest.fixture(scope="module")
def drawn(study: paper_frames.Study) -> dict[str, Figure]:
    power, pieces = paper_frames.power_week()
    hours = a_study_levels(study, redistribution="resource_hours")
    return {
        "energy_by_class": energy_by_class.plot(
            study.node_energy, site="nancy", provenance=PROVENANCE
        ),
        "levels": levels.plot(a_study_levels(study), provenance=PROVENANCE),
        "levels with offset": levels.plot(hours, provenance=PROVENANCE),
        "node_week": node_week.plot(power, pieces, WEEK, max_gap_s=90, provenance=PROVENANCE),
        "simulation_check": simulation_check.plot(study.check, compared(), provenance=PROVENANCE),
    }


FIGURES = ["energy_by_class", "levels", "levels with offset", "node_week", "simulation_check"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_can_be_read(drawn: dict[str, Figure], name: str) -> None:
    assert_legible(drawn[name])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_say_where_they_come_from(drawn: dict[str, Figure], name: str) -> None:
    assert "simulated site" in drawn[name].get_supxlabel()
    assert drawn[name].get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM)


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_the_same_figure_gives_the_same_file(
    drawn: dict[str, Figure], tmp_path: Path, form: str
) -> None:
    assert_same_file({name: drawn[name] for name in FIGURES}, tmp_path, form, least=5000)


AGAIN = """
import sys
sys.path[:0] = [{tests!r}]
import paper_frames
from footprint.figures import energy_by_class, style
study = paper_frames.study()
drawn = energy_by_class.plot(study.node_energy, site="nancy", provenance=paper_frames.PROVENANCE)
style.save(drawn, sys.argv[1:])
"""


def test_another_process_gives_the_same_file(drawn: dict[str, Figure], tmp_path: Path) -> None:
    style.save(drawn["energy_by_class"], [tmp_path / "here.svg", tmp_path / "here.pdf"])
    script = AGAIN.format(tests=str(Path(__file__).parent))
    there = [str(tmp_path / "there.svg"), str(tmp_path / "there.pdf")]
    subprocess.run([sys.executable, "-c", script, *there], check=True)
    for form in ("svg", "pdf"):
        here = (tmp_path / f"here.{form}").read_bytes()
        assert here == (tmp_path / f"there.{form}").read_bytes()


def test_text_in_vector_files_is_text(drawn: dict[str, Figure], tmp_path: Path) -> None:
    style.save(drawn["levels"], [tmp_path / "levels.svg"])
    svg = (tmp_path / "levels.svg").read_text()
    assert "multispeech</text>" in svg
    assert "dc:date" not in svg


def test_png_files_have_200_points_an_inch(drawn: dict[str, Figure], tmp_path: Path) -> None:
    style.save(drawn["levels"], [tmp_path / "levels.png"])
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


def test_classes_by_cluster() -> None:
    rows = energy_by_class.by_cluster(CLASSES)
    assert rows["cluster"].to_list() == ["graffiti"] * 2 + ["gros"] * 3
    job = rows.filter(pl.col("cluster") == "gros", pl.col("class") == "job").row(0, named=True)
    assert (job["energy_kwh"], job["node_h"], job["n_nodes"]) == (200.0, 12.0, 1)
    assert job["measured_frac"] == 0.75
    assert rows.filter(pl.col("class") == "no_data")["energy_kwh"].to_list() == [None]


def test_the_title_of_energy_by_class() -> None:
    figure = energy_by_class.plot(CLASSES, site="nancy", provenance=PROVENANCE)
    assert title(figure) == (
        "80 % of the 1.00 MWh that the nodes of Nancy drew went into jobs, 15 % into hardware "
        "without a job"
    )
    assert "250 kWh, 75 % of the time measured" in words(figure)
    assert_legible(figure)


def test_classes_of_nothing() -> None:
    figure = energy_by_class.plot(node_energy_frame([]), site="nancy", provenance=PROVENANCE)
    assert "The study has no node" in words(figure)
    assert_legible(figure)
    unknown = node_energy_frame([("grappe-1", DAY, "no_data", None, 24.0)])
    figure = energy_by_class.plot(unknown, site="nancy", provenance=PROVENANCE)
    assert title(figure) == "No energy was measured at Nancy"
    assert "not measured" in words(figure)
    assert_legible(figure)


# Levels


def test_the_title_of_levels(study: paper_frames.Study) -> None:
    measured = a_study_levels(study).filter(pl.col("method") == "bmc")
    rows = measured.with_columns(
        pl.when(pl.col("level") == "site")
        .then(200.0)
        .when(pl.col("name") == "multispeech")
        .then(150.0)
        .otherwise(pl.col("energy_kwh"))
        .alias("energy_kwh")
    )
    assert (
        levels.message(rows)
        .replace(style.THIN_SPACE, " ")
        .startswith(
            "Jobs at Nancy used 200 kWh, 75 % of it multispeech; 344 kWh more went into hardware"
        )
    )


def test_levels_without_measurement_are_hatched_and_named(study: paper_frames.Study) -> None:
    unmeasured = pl.col("name").is_in(["larsen", "u-00000002"])
    rows = a_study_levels(study).with_columns(
        pl.when(~unmeasured).then(name)
        for name in ("energy_kwh", "energy_low_kwh", "energy_high_kwh")
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert words(figure).count("not measured: ") == 3  # and no_data
    hatched = figure.findobj(lambda artist: getattr(artist, "get_hatch", lambda: None)())
    assert len(hatched) == 3
    assert_legible(figure)


def test_low_coverage_is_marked(study: paper_frames.Study) -> None:
    rows = a_study_levels(study).with_columns(
        coverage_frac=pl.when(pl.col("level") == "site").then(0.5).otherwise(1.0)
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    (text,) = (text for text in texts(figure) if text.get_text() == f"50{style.THIN_SPACE}%")
    assert text.get_color() == style.ACCENT
    hollow = [
        line
        for line in figure.axes[1].lines
        if line.get_marker() == "o" and line.get_markerfacecolor() == "white"
    ]
    assert len(hollow) == 1


def test_only_the_measurement_is_drawn(study: paper_frames.Study) -> None:
    rows = a_study_levels(study)
    measured = rows.filter(pl.col("method") == "bmc")
    figures = [levels.plot(each, provenance=PROVENANCE) for each in (rows, measured)]
    assert words(figures[0]) == words(figures[1])


def test_many_projects_are_counted() -> None:
    site = {"level": "site", "name": "nancy", "energy_kwh": 100.0}
    projects = [
        {"level": "project", "name": f"p{i:02}", "energy_kwh": float(i)} for i in range(1, 13)
    ]
    rows = pl.DataFrame([site, *projects]).with_columns(
        method=pl.lit("bmc"),
        n_jobs=1,
        n_users=9,
        energy_low_kwh=pl.col("energy_kwh") * 0.9,
        energy_high_kwh=pl.col("energy_kwh") * 1.1,
        coverage_frac=1.0,
        gpu_node_frac=0.5,
        imputed_kwh=0.0,
        offset_kwh=pl.lit(None, pl.Float64),
        unmeasured_node_h=0.0,
    )
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert "4 more" in words(figure)
    assert "10.0 kWh\nsee the table" in words(figure)  # 1 + 2 + 3 + 4
    assert_legible(figure)


def test_levels_of_nothing(study: paper_frames.Study) -> None:
    rows = a_study_levels(study).with_columns(energy_kwh=pl.lit(None, pl.Float64))
    figure = levels.plot(rows, provenance=PROVENANCE)
    assert title(figure) == "No energy of a job was measured at Nancy"
    assert "No job of the study ran on a node with power readings" in words(figure)
    assert_legible(figure)


# Node week


def pieces(*rows: tuple[int, float, float, float]) -> pl.DataFrame:
    """Pieces of (job, hours from, to, share), all on gros-1."""
    moment = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        [(j, START + timedelta(hours=a), START + timedelta(hours=b), s) for j, a, b, s in rows],
        {"job_id": pl.Int64, "started_at": moment, "stopped_at": moment, "share": pl.Float64},
        orient="row",
    ).with_columns(node=pl.lit("gros-1"))


def test_the_busiest_week() -> None:
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
    nobody = pieces().lazy()
    assert node_week.busiest(frame, nobody) == ("gros-1", START + week, last, 9.0, 9.0)
    assert node_week.busiest(frame, nobody, node="gros-2") == (
        "gros-2",
        START,
        START + week,
        12.0,
        8.0,
    )
    assert node_week.busiest(frame, nobody, node="gros-4") is None
    assert node_week.busiest(node_energy_frame([]), nobody) is None
    # Two jobs held gros-1 for an hour of the first week, one of them until the second.
    held = pieces((1, 0, 2, 1.0), (2, 3, 200, 1.0), (3, 4, 4.5, 1.0), (4, 400, 500, 1.0)).lazy()
    assert node_week.busiest(frame, held) == ("gros-1", START, START + week, 5.0, 5.0)
    # A GPU node comes first.
    more = node_energy_frame([*rows, ("graffiti-1", DAY, "job", 0.5, 24.0)])
    assert node_week.busiest(more, held) == ("graffiti-1", START, START + week, 0.5, 0.5)


def places(frame: pl.DataFrame) -> list[tuple]:
    hours = (pl.col(name) - START for name in ("started_at", "stopped_at"))
    return (
        node_week.lanes(frame, WEEK)
        .select("job_id", *(each.dt.total_hours() for each in hours), "low", "high")
        .rows()
    )


def test_jobs_take_the_lowest_free_place() -> None:
    frame = pieces((1, 0, 10, 0.5), (2, 2, 4, 0.25), (3, 3, 9, 0.25), (4, 5, 8, 0.25))
    assert places(frame) == [
        (1, 0, 10, 0.0, 0.5),
        (2, 2, 4, 0.5, 0.75),
        (3, 3, 9, 0.75, 1.0),
        (4, 5, 8, 0.5, 0.75),
    ]


def test_a_job_may_be_drawn_in_two_parts() -> None:
    frame = pieces((1, 0, 5, 0.25), (2, 0, 10, 0.5), (3, 6, 9, 0.5))
    assert places(frame)[2:] == [(3, 6, 9, 0.0, 0.25), (3, 6, 9, 0.75, 1.0)]


def test_pieces_of_a_container_lose_what_its_inner_job_holds() -> None:
    frame = pieces((1, 0, 10, 1.0), (1, 4, 6, -0.25), (2, 4, 6, 0.25))
    assert [(*row[:3], row[4] - row[3]) for row in places(frame)] == [
        (1, 0, 4, 1.0),
        (1, 4, 6, 0.75),
        (2, 4, 6, 0.25),
        (1, 6, 10, 1.0),
    ]


def test_gates_are_clipped_to_the_week() -> None:
    assert places(pieces((1, -5, 200, 1.0), (2, 170, 180, 1.0))) == [(1, 0, 168, 0.0, 1.0)]


def test_the_binary_gate_goes_above_the_whole() -> None:
    assert [row[3:] for row in places(pieces((1, 0, 2, 1.0), (2, 0, 2, 1.0)))] == [
        (0.0, 1.0),
        (1.0, 2.0),
    ]


def test_power_of_jobs_is_power_times_share() -> None:
    power, _ = paper_frames.power_week()
    power = power.with_columns(power_w=pl.lit(100.0))
    binned = node_week.gated(power, pieces((1, 0, 24, 0.5), (2, 12, 24, 0.25)), WEEK)
    assert len(binned) == 7 * 24 * 6
    at = (pl.col("at") - START).dt.total_hours()
    by_hour = binned.group_by(at.alias("hour")).agg(pl.col("job_w").mean()).sort("hour")
    assert by_hour["job_w"][0] == 50.0
    assert by_hour["job_w"][12] == 75.0
    assert by_hour["job_w"][24] == 0.0
    assert by_hour["job_w"][50] is None  # no samples from hour 48 to 53


def test_the_title_of_a_week(drawn: dict[str, Figure]) -> None:
    assert title(drawn["node_week"]) == "graffiti-3 drew 172 kWh in a week, 73 % of it for 8 jobs"
    assert "no data (2 gaps, 5.42 h)" in words(drawn["node_week"])


def test_gaps_reach_to_the_ends_of_the_week() -> None:
    power, _ = paper_frames.power_week()
    late = power.filter(pl.col("timestamp") > START + timedelta(days=6))
    holes = node_week.gaps(late, WEEK, max_gap_s=90)
    assert holes.rows() == [(START, START + timedelta(days=6, minutes=1))]


def test_weeks_without_power_say_so() -> None:
    power, gates = paper_frames.power_week()
    figure = node_week.plot(power, gates, None, max_gap_s=90, provenance=PROVENANCE)
    assert "no node with power readings and jobs" in words(figure)
    assert_legible(figure)


def test_a_week_of_one_day() -> None:
    power, gates = paper_frames.power_week()
    day = WEEK._replace(end=START + timedelta(days=1), energy_kwh=10.0, jobs_kwh=5.0)
    figure = node_week.plot(power, gates, day, max_gap_s=90, provenance=PROVENANCE)
    assert title(figure) == "graffiti-3 drew 10.0 kWh in a day, 50 % of it for 3 jobs"
    assert_legible(figure)


def test_a_thousand_short_jobs_are_drawn() -> None:
    power, _ = paper_frames.power_week()
    short = pieces(*((i, i / 6, i / 6 + 0.1, 1.0) for i in range(1000)))
    figure = node_week.plot(power, short, WEEK, max_gap_s=90, provenance=PROVENANCE)
    assert len(figure.axes[2].patches) >= 1000
    assert_legible(figure)


# Simulation check


def test_errors_are_those_of_the_jobs_compared(drawn: dict[str, Figure]) -> None:
    lines = [line for line in drawn["simulation_check"].axes[0].lines if len(line.get_xdata()) > 2]
    assert [len(line.get_xdata()) for line in lines] == [121, 56, 31]  # a start, and each job
    assert max(lines[0].get_xdata()) < 0.01
    assert "1 W, 120" in words(drawn["simulation_check"])


def test_the_title_of_the_check(drawn: dict[str, Figure]) -> None:
    assert title(drawn["simulation_check"]) == (
        "The true energy lies inside the 95 % interval for 96 % of 365 measured jobs; the median "
        "error of those over 10 minutes is 0.06 %"
    )


def test_a_check_of_nothing_says_so(study: paper_frames.Study) -> None:
    for check in (
        study.check.clear(),
        study.check.with_columns(n_jobs=0, inside_frac=pl.lit(None, pl.Float64)),
    ):
        figure = simulation_check.plot(check, compared().clear(), provenance=PROVENANCE)
        assert title(figure) == "No simulated job was measured"
        assert "No job over 10 minutes was measured all the time" in words(figure)
        assert_legible(figure)


# Numbers in words


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        (None, "not measured"),
        (0.0, "0 kWh"),
        (0.00045, "0.450 Wh"),
        (0.48, "480 Wh"),
        (0.99949, "999 Wh"),
        (0.9996, "1.00 kWh"),
        (12.345, "12.3 kWh"),
        (999.4, "999 kWh"),
        (999.6, "1.00 MWh"),
        (8_912.0, "8.91 MWh"),
        (1.2345e6, "1.23 GWh"),
        (1.2345e9, "1 230 GWh"),
    ],
)
def test_energies(kwh: float | None, expected: str) -> None:
    assert style.energy(kwh).replace(style.THIN_SPACE, " ") == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 %"),
        (0.0006, "0.06 %"),
        (0.125, "12 %"),
        (0.9949, "99 %"),
        (0.9978, "99.7 %"),
        (0.9996, "> 99.9 %"),
        (1.0, "100 %"),
        (1.256, "126 %"),
        (-0.05, "−5 %"),
    ],
)
def test_fractions(fraction: float | None, expected: str) -> None:
    assert style.percent(fraction).replace(style.THIN_SPACE, " ") == expected


def test_other_numbers() -> None:
    assert style.count(1234567) == "1\u2009234\u2009567"
    assert style.number(-1234.5) == "−1\u2009230"
    assert style.hours(0.5) == "30\u2009min"
    assert style.hours(5.416) == "5.42\u2009h"
    assert style.hours(732.0, of="node ") == "30.5\u2009node days"


def test_neighbours_in_a_stack_differ_in_grey() -> None:
    def grey(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = [grey(colour) for colour in style.CLASSES.values()]
    assert all(abs(one - two) > 0.08 for one, two in itertools.pairwise(shades))
    assert set(style.CLASSES) == set(style.CLASS_NAMES) == set(tables.NODE_CLASSES)


DRAWN_ANEW = """
import hashlib, sys
from matplotlib.figure import Figure
from footprint.figures import style
with style.mpl.rc_context(style.RC):
    drawn = Figure(figsize=(4, 3), layout="constrained")
    for axes in drawn.subplots(2, 1, sharex=True):
        axes.plot([0, 1, 2.7], [3.1, 1000.3, 2])
        axes.set(xlabel="Time", ylabel="Power (W)")
style.save(drawn, [sys.argv[1]])
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"""


def test_each_process_draws_the_same_bytes(tmp_path):
    found = set()
    for i in range(6):
        command = [sys.executable, "-c", DRAWN_ANEW, str(tmp_path / f"{i}.svg")]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1
