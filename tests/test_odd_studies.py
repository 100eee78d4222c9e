"""Studies that lack something: every figure and table says so, and none fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from figure_checks import assert_legible, texts, title, words
from matplotlib.figure import Figure
from odd_frames import APRIL, DAYS, SILENT, STUDIES, Results, made_of
from paper_frames import START
from test_report_tables import SET_ASIDE, Page, written

from footprint import estimate_tables, phase_tables, reader_tables, summary, usage, usage_tables
from footprint.figures import methods
from footprint.report_tables import ReaderTable

pytestmark = pytest.mark.filterwarnings("error")

NOT_A_NUMBER = re.compile(r"\b(nan|NaN|None|null|inf)\b")


def tabulated(made: Results) -> Iterator[ReaderTable]:
    study = made.study
    yield reader_tables.levels_table(made.levels, redistribution="resource_hours")
    yield reader_tables.energy_by_class_table(study.node_energy)
    yield reader_tables.quality_table(study.quality, SET_ASIDE)
    yield reader_tables.simulation_check_table(made.check)
    yield estimate_tables.methods_table(made.levels, pue=1.0)
    yield estimate_tables.ratios_table(made.ratios)
    yield estimate_tables.estimators_table(made.ratios, study.estimates.lazy())
    yield phase_tables.phases_table(made.phases)
    yield phase_tables.evaluation_table(made.evaluation)
    yield from used(made)


def used(made: Results) -> Iterator[ReaderTable]:
    window = {"start": START, "end": START + timedelta(days=DAYS)}
    jobs = made.study.job_energy.lazy().with_columns(walltime_s=pl.lit(None, pl.Int64))
    users = usage.table(jobs, **window, history=None, statistics=None, minimum_group=3)
    yield usage_tables.active_users_table(users, site="nancy")
    yield usage_tables.concentration_table(made.study.job_energy, made.runs)
    yield usage_tables.energy_over_time_table(made.study.node_energy, **window)


Made = tuple[str, Results, dict[str, Figure]]


@pytest.fixture(params=list(STUDIES))
def odd(request: pytest.FixtureRequest) -> Made:
    return str(request.param), *made_of(request.param)


def test_every_figure_can_be_read(odd: Made) -> None:
    _, _, figures = odd
    for name, figure in figures.items():
        assert_legible(figure)
        assert not NOT_A_NUMBER.search(words(figure)), name
        assert title(figure), name


def test_figures_of_what_was_not_measured_say_so(odd: Made) -> None:
    study, _, figures = odd
    of_jobs = {name: title(figure) for name, figure in figures.items()}
    silent = {name for name, text in of_jobs.items() if re.match(r"No |A run of inference", text)}
    without_jobs = {"levels", "methods", "ratios", "node_week", "phases", "energy_per_run"}
    without_jobs |= {"simulation_check", "concentration", "paper_runs"}
    if study in SILENT:
        assert without_jobs <= silent
        # a panel that is empty has a sentence
        for name in without_jobs:
            assert any(len(text.get_text()) > 20 for text in texts(figures[name])), name
    else:
        assert silent <= {"phases", "paper_runs"}, of_jobs


def test_every_table_is_whole(odd: Made, tmp_path: Path) -> None:
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


def test_tables_of_use_say_what_is_not_known(odd: Made) -> None:
    study, made, _ = odd
    users, shares, course = used(made)
    (window,) = users.rows.to_dicts()
    few = study in {"one_user", "no_jobs"}
    assert window["meaning"] == ("not shown, fewer than 3 known" if few else "a lower bound")
    assert (window["n_users"] is None) is few
    silent = "No job of the study ran on a node with power readings."
    assert shares.note.startswith(silent) is (study in SILENT)
    assert ("all measured" in shares.rows["name"]) is (study not in SILENT)
    dark = {"no_power_at_all", "only_an_unmeasured_cluster"}
    assert course.note.startswith("No node of the study has power readings") is (study in dark)
    days = course.rows.filter(~pl.col("is_total"))
    assert len(days) == DAYS
    unknown = days["energy_kwh"].null_count()
    # from April on, and all of it where nothing was measured
    assert unknown == {"a_month_without_power": 13}.get(study, DAYS if study in dark else 0)
    assert days.filter(pl.col("energy_kwh").is_null())["measured_frac"].to_list() == [0.0] * unknown


def test_the_summary_is_told(odd: Made, tmp_path: Path) -> None:
    _, made, _ = odd
    (tmp_path / "energy").mkdir()
    made.levels.write_parquet(tmp_path / "levels.parquet")
    made.check.write_parquet(tmp_path / "energy/simulation_check.parquet")
    told = summary.text(tmp_path, checked=True)
    assert "site     nancy" in told
    assert not NOT_A_NUMBER.search(told)


def told(study: str, figure: str) -> str:
    return words(made_of(study)[1][figure])


def test_a_project_or_paper_without_jobs_is_named() -> None:
    assert {"ghost", "no job"} <= set(told("a_project_without_jobs", "levels").split("\n"))
    assert {"ghost-2025", "no job"} <= set(told("a_paper_without_jobs", "levels").split("\n"))


def test_without_papers_there_is_no_such_level() -> None:
    for figure in ("levels", "methods", "phases"):
        assert "Papers" in told("one_user", figure)
        assert "Papers" not in told("no_paper", figure)


def test_months_without_power_are_time_without_data() -> None:
    parts = re.findall(r"(\d+) % of the time", told("a_month_without_power", "energy_by_class"))
    assert len(parts) == 2
    assert all(60 <= int(part) <= 69 for part in parts)  # 29 of 42 days at most
    made, _ = made_of("a_month_without_power")
    before, after = (made_of(name)[0].levels for name in ("one_user", "a_month_without_power"))
    site = (pl.col("level") == "site") & (pl.col("method") == "bmc")
    assert before.filter(site)["n_jobs"].item() == after.filter(site)["n_jobs"].item()
    assert after.filter(site)["energy_kwh"].item() < before.filter(site)["energy_kwh"].item()
    assert made.study.quality.filter(pl.col("day") >= APRIL.date()).is_empty()


def test_one_cluster_is_one_row() -> None:
    assert "graffiti × 4" in told("one_cluster", "energy_by_class")
    for figure in ("energy_by_class", "ratios"):
        assert not re.search(r"\bgros\b|\bgrappe\b", told("one_cluster", figure))


def test_jobs_without_gpu_have_nothing_by_gpu_limits_and_a_mark_on_the_edge() -> None:
    figure = made_of("no_gpu_cluster")[1]["methods"]
    assert "MLCO2 −100 %" in title(figure)
    (axes,) = (each for each in figure.axes if each.get_label() == "ratio")
    on_edge = [line for line in axes.lines if line.get_marker() == methods.MARKERS["mlco2"]]
    assert {tuple(np.asarray(line.get_xdata())) for line in on_edge} == {(0.0,)}
    assert not any(line.get_clip_on() for line in on_edge)
    assert "MLCO2 0.00, GA" in title(made_of("no_gpu_cluster")[1]["ratios"])


def test_where_nothing_was_measured_there_is_no_scale() -> None:
    lines = told("only_an_unmeasured_cluster", "energy_by_class").split("\n")
    assert "not measured" in lines
    # those of time are the only numbers
    assert [line for line in lines if line.isdigit()] == ["0", "20", "40", "60", "80", "100"]
