"""The summary in words: its numbers, its doubts, and what it says where nothing is known."""

from __future__ import annotations

from typing import Any

import paper_frames
import polars as pl
import pytest
from paper_frames import PROVENANCE, START

from footprint import conclusions, tables
from footprint.tables.carbon import Carbon

pytestmark = pytest.mark.filterwarnings("error")

FACTORS: list[dict[str, Any]] = [
    {"name": "RTE", "convention": "direct", "g_per_kwh": 20.0, "source": "RTE's report"},
    {"name": "cycle", "convention": "life_cycle", "g_per_kwh": 56.0, "source": "a study"},
]


def level(level: str, name: str, energy_kwh: float | None, **columns: Any) -> dict[str, Any]:
    row = {
        "level": level,
        "name": name,
        "method": "bmc",
        "n_jobs": 1200,
        "n_users": 5,
        "energy_kwh": energy_kwh,
        "energy_low_kwh": None if energy_kwh is None else energy_kwh * 1.01,
        "energy_high_kwh": None if energy_kwh is None else energy_kwh * 1.03,
        "coverage_frac": None if energy_kwh is None else 0.9,
        "unmeasured_node_h": 12.4,
        "gpu_node_frac": 0.5,
    }
    return row | columns


LEVELS = [
    level("site", "nancy", 1000.0),
    level("project", "small", 10.0, coverage_frac=1.0),
    level("project", "speech", 900.0, gpu_node_frac=0.8),
    level("project", "(no project)", 2000.0),
    level("project", "dark", None, gpu_node_frac=None),
    level("paper", "singing", 200.0),
    level("site", "nancy", 7.0, method="mlco2@1"),
]


def frame(schema: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    polars_schema = {name: column.dtype for name, column in schema.columns().items()}
    return pl.DataFrame(rows, schema=polars_schema)


def ratio(scope: str, name: str, **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "scope": scope,
        "name": name,
        "n_runs": 40,
        "n_labelled": 30,
        "role_basis": "label",
        "energy_kwh": 200.0,
        "training_kwh": 10.0,
        "inference_kwh": 1.0,
        "development_kwh": 189.0,
        "unknown_kwh": 0.0,
        "idle_kwh": 0.0,
        "unmeasured_gpu_h": 7.4,
        "ratio": 18.9,
        "ratio_low": 4.25,
        "ratio_high": 20.0,
        "ratio_all_unknown": 25.0,
        "baseline_ratio": 1.0,
    }
    return row | columns


CARBON = [
    {
        "level": name,
        "name": {"site": "nancy", "paper": "singing"}[name],
        "factor": factor["name"],
        "convention": factor["convention"],
        "energy_kwh": kwh,
        "g_per_kwh": factor["g_per_kwh"],
        "carbon_kg": kwh * factor["g_per_kwh"] / 1000,
        "energy_frac": 1.0,
    }
    for name, kwh in (("site", 1020.0), ("paper", 204.0))
    for factor in FACTORS
]
DAY = START.date()
NODES = [
    ("graffiti-1", DAY, "job", 900.0, 12.0),
    ("graffiti-1", DAY, "idle", 300.0, 6.0),
    ("graffiti-1", DAY, "no_data", None, 6.0),
    ("gros-1", DAY, "job", 100.0, 20.0),
    ("gros-1", DAY, "standby", 100.0, 4.0),
]


def text(
    levels: list[dict[str, Any]] = LEVELS,
    nodes: list[tuple[Any, ...]] = NODES,
    ratios: list[dict[str, Any]] | None = None,
    carbon: list[dict[str, Any]] = CARBON,
    set_aside: list[dict[str, Any]] | None = None,
    **options: Any,
) -> str:
    own = [ratio("paper", "singing")] if ratios is None else ratios
    arguments: dict[str, Any] = {"site": "nancy", "days": 14.0, "simulated": False, "pue": 1.0}
    arguments |= {"factors": FACTORS, "provenance": PROVENANCE}
    said = conclusions.text(
        frame(tables.Levels, levels),
        paper_frames.node_energy_frame(nodes),
        frame(tables.PhaseRatio, own),
        frame(Carbon, carbon),
        frame(tables.SetAside, set_aside or []),
        **(arguments | options),
    )
    return said.replace("\u00a0", " ")


def brief(nodes: list[tuple[Any, ...]] = NODES, ratios: list[dict[str, Any]] | None = None) -> str:
    own = [ratio("paper", "singing")] if ratios is None else ratios
    return conclusions.opening(
        frame(tables.Levels, LEVELS),
        paper_frames.node_energy_frame(nodes),
        frame(tables.PhaseRatio, own),
        site="nancy",
        simulated=False,
    ).replace("\u00a0", " ")


def test_the_report_opens_on_the_three_conclusions_alone() -> None:
    site, teams, development = brief().splitlines()
    assert site.startswith("1. The nodes of nancy drew **1.40 MWh** in")
    assert "**29 %** of it (400 kWh) served no job" in site
    assert teams == "2. **speech** used most: **720 kWh** on GPU nodes, by 1 200 jobs of 5 people."
    assert development.startswith("3. For the 1 paper of this study, development took **18.9 times")
    assert "|" not in brief()


def test_in_brief_too_what_is_not_known_is_said() -> None:
    site, _, development = brief(nodes=[], ratios=[]).splitlines()
    assert site == "1. No energy was measured, so nothing can be said."
    assert development.startswith("3. No ratio is known")


def test_a_headline_that_rests_on_assumptions_says_so() -> None:
    assumed = ratio("paper", "singing", role_basis="assumed")
    said = "the training of the reported model, which is assumed to be the largest. Published"
    assert said in brief(ratios=[assumed])
    both = [assumed, ratio("paper", "speech", ratio=3.0)]
    assert "model, which for 1 of them is assumed to be the largest." in text(ratios=both)
    assert "is assumed to be" not in text()


def test_the_site_with_its_idle_hardware_and_its_gpu_nodes() -> None:
    said = text()
    assert said.startswith("# What nancy used in 14 days\n\n" + PROVENANCE)
    # 42 of 48 node hours have readings; 1200 of 1400 kWh on GPU nodes; 400 serve no job
    assert "drew **1.40 MWh** in the 88 % of their time that has readings; 86 % of it on" in said
    assert "The other 6 node hours are unknown, not nothing." in said
    assert "**29 %** of it (400 kWh) served no job" in said
    assert "0.40 kWh for each kWh of a job." in said
    assert (
        "Jobs: 1 000 kWh measured, 1 010 to 1 030 kWh with the estimate for gaps (95 %), 90 % of "
        "the time held was measured, 12 node hours have no data and are in none of these numbers."
    ) in said


def test_teams_by_what_they_used_on_gpu_nodes() -> None:
    said = text()
    assert "**speech** used most: **720 kWh** on GPU nodes, by 1 200 jobs of 5 people." in said
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    names = [line.split(" | ")[0] for line in rows[1:5]]
    assert names == ["| (no project)", "| speech", "| small", "| dark"]
    assert rows[2] == "| speech | 720 | 900 | 909 to 927 | 90 % |"
    assert rows[4] == "| dark | unknown | unknown | unknown | unknown |"


def test_development_with_its_definition_range_and_labels() -> None:
    said = text(
        ratios=[
            ratio("project", "speech", ratio=2.0, role_basis="assumed", n_labelled=0),
            ratio("paper", "singing"),
            ratio("paper", "dancing", ratio=1.04, ratio_high=None),
            ratio("paper", "dark", ratio=None, ratio_low=None, ratio_high=None, role_basis=None),
        ]
    )
    assert "For the 2 papers of this study, development took **1.0 to 18.9 times**" in said
    assert "R = E_development / E_best_training" in said
    assert "3 to 256 over four projects" in said
    assert "| singing | 18.9 | 4.2 to 20.0 | 25.0 | 30 of 40 | label | 7 |" in said
    assert "| dancing | 1.0 | 4.2 to no end |" in said
    assert "| dark | unknown | unknown | 25.0 | 30 of 40 | unknown | 7 |" in said
    assert "| project speech | 2.0 | 4.2 to 20.0 | 25.0 | 0 of 40 | assumed | 7 |" in said


def test_carbon_by_each_factor_with_its_source() -> None:
    said = text()
    assert "- RTE, 20.0 g/kWh (fuel burnt): 20.4 kg CO2e (RTE's report)" in said
    assert "- cycle, 56.0 g/kWh (life cycle): 57.1 kg CO2e (a study)" in said
    assert "PUE 1, so without cooling" in said
    assert "at PUE 1.5." in text(pue=1.5)
    site = {"level": "site", "name": "nancy", "carbon_kg": 30.0}
    more = [
        *CARBON,
        site | {"factor": "eco2mix", "convention": "direct", "g_per_kwh": 25.0, "energy_frac": 0.9},
        site | {"factor": "embodied", "convention": "embodied"},
    ]
    said = text(carbon=more)
    assert "30.0 kg CO2e (RTE's eCO2mix at the jobs' own hours, known for 90 % of the" in said
    assert "- making the nodes, by the time held: 30.0 kg CO2e" in said
    assert "the embodied line counts it" in said
    assert "## Carbon" not in text(carbon=[])


def test_the_sentence_of_an_appendix() -> None:
    (line,) = [line for line in text().splitlines() if line.startswith("> ")]
    assert line == (
        "> The development of singing took 200 kWh (95 % interval with the estimate for gaps 202 "
        "to 206 kWh; 90 % of the node time held was measured), over 1 200 jobs; training the "
        "reported model took 10.0 kWh of it (as labelled), and the rest of its development 18.9 "
        "times as much; 4.08 kg CO2e of fuel burnt (RTE); 11.4 kg CO2e by life cycle (cycle). "
        "Energy was measured at the nodes by their BMC, with footprint, without manufacturing, "
        "cooling, storage and networks."
    )
    assert "kg CO2e of fuel burnt (RTE, at PUE 1.5);" in text(pue=1.5)
    assert "training the reported" not in text(ratios=[])
    assert "Label a paper's jobs" in text(levels=LEVELS[:5])


HALF = {"ratio": None, "ratio_low": None, "ratio_high": None, "ratio_all_unknown": None}
HALF |= {"ratio_reason": "48 % of training measured"}


def test_ratio_of_a_half_measured_training_is_given_as_its_reason() -> None:
    half = ratio("paper", "singing", **HALF)
    said = text(ratios=[half])
    assert "**No ratio is given** for singing (48 % of training measured): less than 90 %" in said
    assert "| singing | 48 % of training measured | unknown | unknown | 30 of 40 | label |" in said
    assert "of it (as labelled), a ratio is not given (48 % of training measured);" in said
    assert "times as much" not in said
    assert "No ratio is given" in brief(ratios=[half])
    both = text(ratios=[half, ratio("paper", "speech", ratio=3.0)])
    assert "For 1 of the 2 papers of this study, development took **3.0 times**" in both
    assert "**No ratio is given** for singing" in both
    of_project = text(ratios=[ratio("project", "q", **HALF)])
    assert "No ratio is given: less than 90 %" in of_project
    assert "is known to have trained" not in of_project


def test_what_is_left_out_is_said() -> None:
    said = text()
    for word in ("Manufacturing", "Cooling", "Storage and networks", "Rebound"):
        assert f"- **{word}**: " in said


def test_a_simulated_site_says_so_loudly() -> None:
    said = text(simulated=True)
    assert said.startswith("# What the simulated site nancy used")
    assert "**SIMULATED SITE." in said
    assert "not one to print" in said
    assert "imulated" not in text().replace(PROVENANCE, "")


def test_nothing_known_is_said_in_words() -> None:
    said = text(levels=[], nodes=[], ratios=[], carbon=[])
    assert "No energy was measured" in said
    assert "No energy of a project is known." in said
    assert "No ratio is known" in said
    unknown = [level("site", "nancy", None), level("project", "dark", None, gpu_node_frac=None)]
    dark = [("grappe-1", DAY, "no_data", None, 24.0)]
    assert "No energy was measured" in text(levels=unknown, nodes=dark)
    said = text(levels=unknown, nodes=NODES)
    assert "Jobs: energy unknown, since nothing was measured." in said
    no_jobs = [("gros-1", DAY, "idle", 1.0, 24.0)]
    assert "counts jobs alone leaves it out.\n" in text(nodes=no_jobs)


def test_rejected_rows_are_a_section_of_the_summary() -> None:
    row = {"stage": "jobs", "source": "jobs/a.json", "reason": "no end", "n_rows": 3}
    said = text(set_aside=[row | {"example": "job 7"}])
    section = said.partition("## Rejected rows\n\n")[2].partition("\n\n## ")[0]
    assert section.splitlines()[-1] == "- jobs: no end: 3 (jobs/a.json, as in job 7)"
    assert "Rejected" not in text()
