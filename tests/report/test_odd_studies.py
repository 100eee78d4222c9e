"""Figures and tables of studies that lack something: none fails, and each gives the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from footprint.core.calendar import Window
from footprint.levels import active_users
from footprint.report import terminal
from footprint.report.figures import methods
from footprint.report.tables import energy, estimates, phases, usage
from footprint.report.tables.formats import ReaderTable
from footprint.schemas.validation import PhaseAccuracy
from tests.report.tables.test_formats import NODES, REJECTED, Page, written
from tests.support.figure_checks import assert_legible, title_text, visible_texts, written_text
from tests.support.odd_studies import (
    APRIL_START,
    STUDIES,
    STUDIES_WITHOUT_MEASUREMENT,
    STUDY_DAYS,
    StudyResults,
    results_and_figures,
)
from tests.support.study_frames import START

pytestmark = pytest.mark.filterwarnings("error")

NOT_A_NUMBER = re.compile(r"\b(nan|NaN|None|null|inf)\b")


def tabulated(made: StudyResults) -> Iterator[ReaderTable]:
    study = made.study
    yield energy.levels_table(made.levels, redistribution="resource_hours")
    yield energy.energy_by_class_table(study.node_energy)
    yield energy.quality_table(study.quality, REJECTED, **NODES)
    yield energy.simulation_check_table(made.check)
    yield estimates.methods_table(made.levels, pue=1.0)
    yield estimates.ratios_table(made.ratios)
    yield estimates.estimators_table(made.ratios, study.estimates.lazy())
    yield phases.phases_table(made.phases)
    yield phases.evaluation_table(made.evaluation, PhaseAccuracy.create_empty())
    yield from usage_tables(made)


def usage_tables(made: StudyResults) -> Iterator[ReaderTable]:
    window = Window(START, START + timedelta(days=STUDY_DAYS))
    jobs = made.study.job_energy.lazy().with_columns(walltime_s=pl.lit(None, pl.Int64))
    users = active_users.active_users_table(
        jobs, window=window, history=None, statistics=None, minimum_group=3
    )
    yield usage.active_users_table(users, site="nancy")
    yield usage.concentration_table(made.study.job_energy, made.runs)
    yield usage.energy_over_time_table(made.study.node_energy, **window._asdict())


Made = tuple[str, StudyResults, dict[str, Figure]]


@pytest.fixture(params=list(STUDIES))
def odd(request: pytest.FixtureRequest) -> Made:
    return str(request.param), *results_and_figures(request.param)


def test_figures_of_an_odd_study_are_legible(odd: Made) -> None:
    _, _, figures = odd
    for name, figure in figures.items():
        assert_legible(figure)
        assert not NOT_A_NUMBER.search(written_text(figure)), name
        assert title_text(figure), name


def test_figures_without_measurement_give_the_reason(odd: Made) -> None:
    study, _, figures = odd
    of_jobs = {name: title_text(figure) for name, figure in figures.items()}
    reason = (
        r"No |The energy of too few|The energy of .* known$|The energy of .* unknown$|R cannot be"
    )
    silent = {name for name, text in of_jobs.items() if re.match(reason, text)}
    without_jobs = {"levels", "methods", "ratios", "node_week", "phases", "energy_per_run"}
    without_jobs |= {"simulation_check", "concentration", "paper_runs"}
    if study in STUDIES_WITHOUT_MEASUREMENT:
        assert without_jobs <= silent
        # a panel that is empty has a sentence
        for name in without_jobs:
            assert any(len(text.get_text()) > 20 for text in visible_texts(figures[name])), name
    else:
        assert silent <= {"phases", "sensitivities", "paper_runs"}, of_jobs


def test_tables_of_an_odd_study_are_complete(odd: Made, tmp_path: Path) -> None:
    _, made, _ = odd
    for table in tabulated(made):
        files = written(table, tmp_path)
        cells = [cell for row in Page(files["html"]).rows for cell in row]
        assert [cell for cell in cells if NOT_A_NUMBER.search(cell)] == [], table.name
        assert files["tex"].count(r"\toprule") == files["tex"].count(r"\bottomrule") == 1
        header, *rows = files["csv"].splitlines()
        assert header.endswith("Source")
        assert len(rows) == len(table.rows)
        assert not NOT_A_NUMBER.search(files["csv"]), table.name


def test_usage_tables_of_an_odd_study_mark_the_unknown(odd: Made) -> None:
    study, made, _ = odd
    users, shares, course = usage_tables(made)
    (window,) = users.rows.to_dicts()
    few = study in {"one_user", "no_jobs"}
    assert window["meaning"] == ("not shown, fewer than 3 known" if few else "a lower bound")
    assert (window["n_users"] is None) is few
    silent = "No energy of a job is known."
    assert shares.note.startswith(silent) is (study in STUDIES_WITHOUT_MEASUREMENT)
    assert ("all of known energy" in shares.rows["name"]) is (
        study not in STUDIES_WITHOUT_MEASUREMENT
    )
    dark = {"no_power_at_all", "only_an_unmeasured_cluster"}
    assert course.note.startswith("The energy of no node of the study is known.") is (study in dark)
    days = course.rows.filter(~pl.col("is_total"))
    assert len(days) == STUDY_DAYS
    unknown = days["total_kwh"].null_count()
    # from April on, and all of it where nothing was measured
    assert unknown == {"a_month_without_power": 13}.get(study, STUDY_DAYS if study in dark else 0)
    assert days.filter(pl.col("total_kwh").is_null())["coverage_frac"].to_list() == [0.0] * unknown


def test_terminal_text_of_an_odd_study_has_the_site(odd: Made, tmp_path: Path) -> None:
    _, made, _ = odd
    (tmp_path / "energy").mkdir()
    made.levels.write_parquet(tmp_path / "levels.parquet")
    made.check.write_parquet(tmp_path / "energy/simulation_check.parquet")
    text = terminal.results_text(tmp_path, checked=True)
    assert "site     nancy" in text
    assert not NOT_A_NUMBER.search(text)


def words_of(study: str, figure: str) -> str:
    return written_text(results_and_figures(study)[1][figure])


def test_levels_figure_names_projects_and_papers_without_jobs() -> None:
    assert {"ghost", "no job"} <= set(words_of("a_project_without_jobs", "levels").split("\n"))
    assert {"ghost-2025", "no job"} <= set(words_of("a_paper_without_jobs", "levels").split("\n"))


def test_figures_without_papers_omit_their_level() -> None:
    for figure in ("levels", "methods"):
        assert "Papers" in words_of("one_user", figure)
        assert "Papers" not in words_of("no_paper", figure)


def test_months_without_power_are_time_without_data() -> None:
    # neither readings nor an estimate
    assert words_of("a_month_without_power", "energy_by_class").count("≥ ") == 2
    made, _ = results_and_figures("a_month_without_power")
    before, after = (
        results_and_figures(name)[0].levels for name in ("one_user", "a_month_without_power")
    )
    site = (pl.col("level") == "site") & (pl.col("method") == "bmc")
    assert before.filter(site)["n_jobs"].item() == after.filter(site)["n_jobs"].item()
    assert after.filter(site)["measured_kwh"].item() < before.filter(site)["measured_kwh"].item()
    assert made.study.quality.filter(pl.col("day") >= APRIL_START.date()).is_empty()


def test_figures_of_one_cluster_have_one_row() -> None:
    assert "graffiti, 4 nodes" in words_of("one_cluster", "energy_by_class")
    for figure in ("energy_by_class", "ratios"):
        assert not re.search(r"\bgros\b|\bgrappe\b", words_of("one_cluster", figure))


def test_methods_figure_without_gpus_has_mlco2_marks_at_zero() -> None:
    figure = results_and_figures("no_gpu_cluster")[1]["methods"]
    assert "MLCO2 −100 %" in title_text(figure)
    (axes,) = (each for each in figure.axes if each.get_label() == "ratio")
    on_edge = [line for line in axes.lines if line.get_marker() == methods.METHOD_MARKERS["mlco2"]]
    assert {tuple(np.asarray(line.get_xdata())) for line in on_edge} == {(0.0,)}
    assert not any(line.get_clip_on() for line in on_edge)
    assert "MLCO2 0, GA" in title_text(results_and_figures("no_gpu_cluster")[1]["ratios"])


def test_energy_by_class_figure_without_measurement_has_no_scale() -> None:
    # labels of ticks exist only in a figure that was laid out
    assert_legible(results_and_figures("only_an_unmeasured_cluster")[1]["energy_by_class"])
    lines = words_of("only_an_unmeasured_cluster", "energy_by_class").split("\n")
    assert "unknown" in lines
    # those of time are the only numbers
    assert [line for line in lines if line.isdigit()] == ["0", "20", "40", "60", "80", "100"]
