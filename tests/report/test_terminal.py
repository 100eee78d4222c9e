"""The text that a finished run prints in the terminal."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.report import terminal
from footprint.schemas.levels import Levels
from footprint.schemas.raw import RejectedRows


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / name)


LEVELS = [
    {
        "level": level,
        "name": name,
        "method": "bmc",
        "total_kwh": kwh,
        "total_low_kwh": None if kwh is None else 0.9 * kwh,
        "total_high_kwh": None if kwh is None else 1.2 * kwh,
        "measured_frac": part,
        "unknown_node_h": unknown_h,
    }
    for level, name, kwh, part, unknown_h in [
        ("overhead", "idle", 12.34, None, None),
        ("paper", "a-paper-with-a-name-that-goes-on-and-on", 0.04, 1.0, 0.0),
        ("project", "speech", 1234567.89, 0.876, 3.0),
        ("queue", "production", 5.0, 1.0, 0.0),
        ("site", "nancy", 1234580.0, 0.876, 0.0),
        ("user", "u-00000000", None, None, None),
    ]
]
LEVELS += [{**LEVELS[4], "method": "mlco2@025b988", "total_kwh": 9.0}]
CHECK = [
    {
        "sensors": "1 W",
        "n_jobs": 20,
        "n_jobs_compared": 8,
        "largest_error_frac": 0.00314,
        "inside_frac": 0.95,
        "median_width_frac": 0.0123,
    },
    {
        "sensors": "all",
        "n_jobs": 1,
        "n_jobs_compared": 0,
        "largest_error_frac": None,
        "inside_frac": 1.0,
        "median_width_frac": 0.5,
    },
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write(tmp_path, "levels.parquet", LEVELS)
    write(tmp_path, "energy/simulation_check.parquet", CHECK)
    return tmp_path


def test_levels_begin_with_the_site_and_omit_people(results: Path) -> None:
    lines = terminal.results_text(results, checked=True).splitlines()
    assert lines[1].split() == ["level", "name", "total", "95", "%", "measured"]
    assert [" ".join(line.split()) for line in lines[2:5]] == [
        "site nancy 1.23 GWh 1.11 to 1.48 88 %",
        "overhead idle 12.3 kWh 11.1 to 14.8",
        "project speech >= 1.23 GWh 1.11 to 1.48 88 %",
    ]
    assert lines[5].startswith("paper    a-paper-with-a-name-that-goes-on- ")
    assert {len(line) for line in lines[1:6]} == {83}
    assert not any("u-0000" in line or "production" in line for line in lines)


def test_simulation_check_has_all_jobs_and_the_worst_sensors(results: Path) -> None:
    def line(*rows: dict[str, Any]) -> str:
        write(results, "energy/simulation_check.parquet", list(rows))
        text = terminal.results_text(results, checked=True)
        return "".join(each for each in text.splitlines() if "truth" in each)

    whole, one_watt = {**CHECK[1]}, {**CHECK[0]}
    assert line(one_watt, whole) == (
        "Against the simulated truth: true energy inside the 95 % interval for 100.0 % of 1 jobs, "
        "lowest for sensors of 1 W (95.0 % of 20); no measured job over 10 min to compare"
    )
    assert "lowest" not in line({**one_watt, "inside_frac": 1.0}, whole)
    unread = {**one_watt, "sensors": "no readings", "inside_frac": 0.5}
    assert line({**one_watt, "sensors": "all"}, unread).endswith(
        "lowest for nodes without readings (50.0 % of 20); "
        "largest error of measurement 0.31 % (8 jobs over 10 min)"
    )
    assert line(one_watt) == ""


RATIOS = [
    {
        "scope": scope,
        "name": name,
        "n_runs": 40,
        "n_labelled": 30,
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
        "ratio_reason": reason,
    }
    for scope, name, ratio, low, high, reason in [
        ("project", "speech", 1.0, 1.0, 1.0, None),
        ("paper", "singing", 22.74, 4.0, 25.0, None),
        ("paper", "dancing", 3.0, None, None, None),
        ("paper", "open", 3.0, 1.0, None, None),
        ("paper", "unlabelled", None, None, None, None),
        ("paper", "unmeasured", None, None, None, "48 % of training known"),
    ]
]


def test_ratios_of_papers_follow_the_levels(results: Path) -> None:
    write(results, "phases/ratio.parquet", RATIOS)
    lines = terminal.results_text(results, checked=False).splitlines()
    start = lines.index("energy of development over training of the reported model (R)")
    assert [line.split("R ")[1] for line in lines[start + 1 : start + 6]] == [
        "3.0 (interval unknown); 30 of 40 runs labelled",
        "3.0 (95 %: 1.0 or more); 30 of 40 runs labelled",
        "23 (95 %: 4 to 25); 30 of 40 runs labelled",
        "cannot be given: unknown; 30 of 40 runs labelled",
        "cannot be given: 48 % of training known; 30 of 40 runs labelled",
    ]
    assert "speech" not in "".join(lines[start:])
    write(results, "phases/ratio.parquet", RATIOS[:1])
    assert "(R)" not in terminal.results_text(results, checked=False)


def test_paths_are_absolute_and_the_report_is_last(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    shown = terminal.results_text(results.name, checked=False).splitlines()
    assert shown[-1] == f"Figures, tables: {results}/figures, {results}/tables"
    (results / "summary.md").write_text("# Energy")
    (results / "report.html").write_text("<html>")
    shown = terminal.results_text(results.name, checked=False).splitlines()
    assert shown[-2].endswith(f"{results}/tables; summary: {results}/summary.md")
    assert shown[-1] == f"Report: {(results / 'report.html').as_uri()}"


def test_unchecked_study_omits_an_earlier_comparison(results: Path) -> None:
    assert "true energy" not in terminal.results_text(results, checked=False)
    assert "site     nancy" in terminal.results_text(results, checked=False)


def test_missing_results_are_omitted(tmp_path: Path) -> None:
    assert terminal.results_text(tmp_path, checked=True) == ""
    write(tmp_path, "levels.parquet", LEVELS[:1])
    assert "measured against" not in terminal.results_text(tmp_path, checked=True)
    only_levels = pl.DataFrame(Levels.create_empty())
    only_levels.write_parquet(tmp_path / "levels.parquet")
    assert terminal.results_text(tmp_path, checked=True).splitlines()[1].startswith("level")


def test_levels_omit_estimates(results: Path) -> None:
    lines = terminal.results_text(results, checked=False).splitlines()
    assert len([line for line in lines if line.startswith("site")]) == 1


def test_unknown_energy_is_called_unknown(tmp_path: Path) -> None:
    row = {**LEVELS[4], "total_kwh": None, "measured_frac": None}
    write(tmp_path, "levels.parquet", [row])
    assert terminal.results_text(tmp_path, checked=False).splitlines()[2].split() == [
        "site",
        "nancy",
        "unknown",
    ]


def test_rejected_rows_follow_the_levels(results: Path) -> None:
    row = {"stage": "jobs", "source": "a.json", "reason": "no end", "n_rows": 1, "example": None}
    write(results, "energy/rejected.parquet", [row])
    lines = terminal.results_text(results, checked=False).splitlines()
    assert lines[lines.index("rejected rows and limits of the input") + 1] == (
        "  jobs: no end: 1 (a.json)"
    )


def test_text_counts_similar_names_after_rejected_rows(tmp_path: Path) -> None:
    row = {"stage": "labels", "source": "projects", "reason": "alike", "n_rows": 2, "example": None}
    schema = pl.DataFrame(RejectedRows.create_empty()).schema
    path = tmp_path / "labels.parquet"
    pl.DataFrame([row], schema=schema).write_parquet(path)
    text = terminal.results_text(tmp_path, checked=True, similar_names=path)
    assert "  labels: alike: 2 (projects)" in text.splitlines()
