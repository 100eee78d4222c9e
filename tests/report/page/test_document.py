"""Texts of the scopes, captions, and the page as a file that no name can break."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.report.appendix import StudyScope
from footprint.report.page import document, exhibits, run_rows, scopes, timeline
from tests.report.page.inputs import END, START, job_energy_of, level, levels_frame, run, runs_frame

pytestmark = pytest.mark.filterwarnings("error")

STUDY = StudyScope(site="nancy", simulated=True, start=START, end=END)
FACTORS = [{"name": "RTE", "convention": "direct", "g_per_kwh": 20.0, "source": "report"}]
HOSTILE = '</script><script>alert("1")</script>'
PAPERS = pl.DataFrame({"job_id": [1, 2], "paper": [HOSTILE] * 2})
RATIO_COLUMNS = ("training", "inference", "development", "unknown")


def ratio_row(**more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"scope": "paper", "name": HOSTILE, "ratio": 3.0}
    row |= {"ratio_low": 2.5, "ratio_high": 3.6, "ratio_reason": None, "role_basis": "label"}
    for name, kwh in zip(RATIO_COLUMNS, (10.0, None, 30.0, None), strict=True):
        ends = {"": 1.0, "_low": 0.9, "_high": 1.1}
        row |= {f"{name}{end}_kwh": kwh and kwh * times for end, times in ends.items()}
    return row | more


def page_tables(**more: Any) -> scopes.PageTables:
    levels = levels_frame(
        level("nancy", "site", 45.0),
        level("nancy", "site", None, method="mlco2@1", covered_kwh=54.0),
        level(HOSTILE, "paper", 40.0),
        level("u-1", "user", 45.0),
        level("speech", "project", 45.0, n_users=1, unknown_node_h=2.0),
    )
    frame = runs_frame(run(1, 10.0, phase="training"), run(2, 30.0), run(3, 5.0))
    runs = run_rows.runs_of_page(frame, job_energy_of(frame), PAPERS, levels)
    carbon = pl.DataFrame(
        [
            {"level": row["level"], "name": row["name"], "factor": "RTE", "convention": "direct"}
            | {"g_per_kwh": 20.0, "carbon_kg": 0.02 * row["total_kwh"]}
            | {
                "carbon_low_kg": 0.018 * row["total_kwh"],
                "carbon_high_kg": 0.024 * row["total_kwh"],
            }
            for row in levels.filter(method="bmc").to_dicts()
        ]
    )
    energies = pl.DataFrame(
        [
            ("paper", HOSTILE, "phase", "development", 30.0, 27.0, 36.0),
            ("paper", HOSTILE, "phase", "training", 10.0, 9.0, 12.0),
        ],
        schema=[
            "scope",
            "name",
            "division",
            "part",
            "total_kwh",
            "total_low_kwh",
            "total_high_kwh",
        ],
        orient="row",
    )
    uncertainty = pl.DataFrame(
        [
            ("site", "nancy", "meter", "B", 41.0, 52.0, 0.9),
            ("site", "nancy", "gaps", "A", 45.0, 45.0, 1e-5),
        ],
        schema=["level", "name", "source", "evaluation", "low_kwh", "high_kwh", "share_frac"],
        orient="row",
    )
    found = {"levels": levels, "runs": runs, "carbon": carbon, "energies": energies}
    found |= {"uncertainty": uncertainty, "ratio": pl.DataFrame([ratio_row()])}
    return scopes.PageTables(**(found | more))


def scope_of(name: str, **more: Any) -> dict[str, Any]:
    found = scopes.page_scopes(page_tables(**more), study=STUDY, factors=FACTORS, pue=1.0)
    return {scope["id"]: scope for scope in found}[name]


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def cards_of(scope: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["label"]: (plain(c["value"]), plain(c["note"])) for c in scope["cards"]}


def test_scopes_are_in_the_order_of_the_selector() -> None:
    found = scopes.page_scopes(page_tables(), study=STUDY, factors=FACTORS, pue=1.0)
    assert [scope["id"] for scope in found] == [
        "site:nancy",
        "project:speech",
        f"paper:{HOSTILE}",
        "user:u-1",
    ]


def test_cards_of_paper_have_total_ratio_runs_and_carbon() -> None:
    assert cards_of(scope_of(f"paper:{HOSTILE}")) == {
        "Energy at the nodes": ("40 kWh", "95 %: 36 to 48; 75 % measured, the rest estimated"),
        "Development": (
            "3.0 times",
            "R (95 %: 2.5 to 3.6), over training the reported model; 75 % of the energy",
        ),
        "Runs": ("2", "3 jobs, 48 GPU hours, 4 people"),
        "Carbon": ("0.80 kg CO2e", "95 %: 0.72 to 0.96; RTE, 20.0 g/kWh (fuel burnt), PUE 1"),
    }


def test_card_of_project_says_why_there_is_no_ratio_and_what_is_not_included() -> None:
    cards = cards_of(scope_of("project:speech"))
    assert cards["Energy at the nodes"][0] == "at least 45 kWh"
    assert "2.00 node h of unknown energy not included" in cards["Energy at the nodes"][1]
    assert "no ratio to training" in cards["Development"][1]
    # 35 of 45 kWh
    assert cards["Development"][0] == "78 %"


def test_phases_of_a_person_are_the_sums_of_their_runs() -> None:
    found = scope_of("user:u-1")["phases"]
    assert [(row["phase"], row["kwh"]) for row in found] == [
        ("training", 10.0),
        ("development", 35.0),
    ]


def test_methods_are_the_measurement_and_the_estimates_of_its_time() -> None:
    found = scope_of("site:nancy")["methods"]
    assert [(row["method"], plain(row["text"])) for row in found] == [
        ("bmc", "45.0 kWh"),
        ("mlco2", "54.0 kWh (+20 %)"),
    ]


def test_budget_has_sources_with_their_shares() -> None:
    found = [[plain(cell) for cell in row] for row in scope_of("site:nancy")["budget"]]
    assert found == [
        ["meters: true power over reading", "B", "90 %", "41.0 kWh to 52.0 kWh"],
        ["gaps in readings", "A", "< 0.1 %", "45.0 kWh to 45.0 kWh"],
    ]


def written_page(tables: scopes.PageTables | None = None) -> str:
    tables = tables or page_tables()
    found = scopes.page_scopes(tables, study=STUDY, factors=FACTORS, pue=1.0)
    jobs = job_energy_of(tables.runs)
    bars = timeline.energy_by_bar(tables.runs, jobs, site="nancy", start=START, end=END)
    runs = document.PageRuns(tables.runs, bars, [])
    data = document.page_data(found, study=STUDY, runs=runs)
    return document.page_html(data, [], study=STUDY, provenance="a <b> study")


def test_names_cannot_break_the_page() -> None:
    page = written_page()
    assert "alert" in page
    assert "<script>alert" not in page
    assert "a <b> study" not in page
    found = re.search(r'id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert data["scopes"][2]["name"] == HOSTILE
    assert data["runs"]["columns"] == list(document.RUN_HEADERS)
    assert len(data["runs"]["rows"]) == 3


def test_page_lists_weeks_in_place_of_very_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_rows, "MOST_RUNS", 2)
    page = written_page()
    found = re.search(r'id="data">(.*?)</script>', page, re.S)
    assert found is not None
    runs = json.loads(found[1])["runs"]
    assert runs["single"] is False
    assert runs["columns"] == list(document.GROUP_HEADERS)
    assert sum(row[1] for row in runs["rows"]) == 45.0


def test_page_without_runs_names_what_is_withheld_and_lists_no_run() -> None:
    tables = replace(page_tables(), runs=None)
    found = scopes.page_scopes(tables, study=STUDY, factors=FACTORS, pue=1.0)
    data = document.page_data(found, study=STUDY, runs=None)
    page = document.page_html(
        data, [], study=STUDY, provenance="a study", notes=["paper_runs: single runs"]
    )
    assert "paper_runs: single runs" in page
    for part in ('id="runs"', 'id="timeline"', 'id="run"'):
        assert part not in page
    [paper] = [scope for scope in found if scope["id"].startswith("paper:")]
    assert cards_of(paper)["Jobs"] == ("3", "48 GPU hours, 4 people")
    assert [row["phase"] for row in paper["phases"]] == ["training", "development"]
    [person] = [scope for scope in found if scope["id"].startswith("user:")]
    assert person["phases"] == []


def test_caption_has_its_parameters_and_no_raw_html() -> None:
    text = "PUE {{ snakemake.params.pue }}, *not* <b>.\n\n{{ snakemake.params.provenance }}\n"
    assert exhibits.caption_html(text, {"pue": 1.4}) == "<p>PUE 1.4, <em>not</em> &lt;b&gt;.</p>\n"


def test_exhibits_are_in_the_order_of_the_argument(tmp_path: Path) -> None:
    (tmp_path / "caption").write_text("A caption.", encoding="utf-8")
    (tmp_path / "svg").write_text("<svg/>", encoding="utf-8")
    table = '<style>x</style><table style="a" class="t"><tr><td headers="b">1</td></tr></table>'
    (tmp_path / "html").write_text(table, encoding="utf-8")
    common = {"shows": "the energy", "caption": str(tmp_path / "caption")}
    rows = [
        common | {"kind": "table", "name": "phases", "path": str(tmp_path / "html")},
        common | {"kind": "figure", "name": "models", "path": str(tmp_path / "svg")},
        common | {"kind": "figure", "name": "phases", "path": str(tmp_path / "svg")},
    ]
    found = exhibits.ordered_exhibits(rows, params={})
    assert [(s["heading"], [e["id"] for e in s["exhibits"]]) for s in found] == [
        ("Development and training", ["figure-phases", "table-phases"]),
        ("Background", ["figure-models"]),
    ]
    figure, shown = found[0]["exhibits"]
    assert gzip.decompress(base64.b64decode(figure["svg"])) == b"<svg/>"
    assert shown["table"] == '<table class="t"><tr><td>1</td></tr></table>'
    assert shown["title"] == "The energy"


def test_exhibit_without_a_section_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("<svg/>", encoding="utf-8")
    row = {"kind": "figure", "name": "novel", "shows": "it", "caption": str(tmp_path / "file")}
    with pytest.raises(ValueError, match="novel is in no section"):
        exhibits.ordered_exhibits([row | {"path": str(tmp_path / "file")}], params={})
