"""The summary: its numbers, intervals and coverage, and its texts without measurement."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from footprint.report import appendix, summary
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import PhaseRatio
from footprint.schemas.raw import RejectedRows
from tests.support import study_frames
from tests.support.study_frames import PROVENANCE, START

pytestmark = pytest.mark.filterwarnings("error")

FACTORS: list[dict[str, Any]] = [
    {"name": "RTE", "convention": "direct", "g_per_kwh": 20.0, "source": "RTE's report"},
    {"name": "cycle", "convention": "life_cycle", "g_per_kwh": 56.0, "source": "a study"},
]


def level(level: str, name: str, measured_kwh: float | None, **columns: Any) -> dict[str, Any]:
    row = {
        "level": level,
        "name": name,
        "method": "bmc",
        "n_jobs": 1200,
        "n_users": 5,
        "measured_kwh": measured_kwh,
        "total_low_kwh": None if measured_kwh is None else measured_kwh * 1.01,
        "total_high_kwh": None if measured_kwh is None else measured_kwh * 1.03,
        "coverage_frac": None if measured_kwh is None else 0.9,
        "unknown_node_h": 12.4,
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
        "measured_kwh": 200.0,
        "estimated_kwh": 0.0,
        "total_kwh": 200.0,
        "training_kwh": 10.0,
        "inference_kwh": 1.0,
        "development_kwh": 189.0,
        "unknown_kwh": 0.0,
        "idle_kwh": 0.0,
        "unknown_gpu_h": 7.4,
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
        "measured_kwh": kwh,
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


def summary_text(
    levels: list[dict[str, Any]] = LEVELS,
    nodes: list[tuple[Any, ...]] = NODES,
    ratios: list[dict[str, Any]] | None = None,
    carbon: list[dict[str, Any]] = CARBON,
    rejected: list[dict[str, Any]] | None = None,
    **options: Any,
) -> str:
    own = [ratio("paper", "singing")] if ratios is None else ratios
    arguments: dict[str, Any] = {"days": 14.0, "pue": 1.0}
    arguments |= {"factors": FACTORS, "provenance": PROVENANCE}
    findings = summary.StudyFindings(
        site="nancy",
        simulated=options.pop("simulated", False),
        levels=frame(Levels, levels),
        node_energy=study_frames.node_energy_frame(nodes),
        ratio=frame(PhaseRatio, own),
    )
    said = summary.summary_markdown(
        findings,
        frame(Carbon, carbon),
        frame(RejectedRows, rejected or []),
        **(arguments | options),
    )
    return said.replace("\u00a0", " ")


def opening_text(
    nodes: list[tuple[Any, ...]] = NODES, ratios: list[dict[str, Any]] | None = None
) -> str:
    own = [ratio("paper", "singing")] if ratios is None else ratios
    findings = summary.StudyFindings(
        site="nancy",
        simulated=False,
        levels=frame(Levels, LEVELS),
        node_energy=study_frames.node_energy_frame(nodes),
        ratio=frame(PhaseRatio, own),
    )
    return summary.opening_markdown(findings).replace("\u00a0", " ")


def test_opening_has_the_three_conclusions_alone() -> None:
    site, projects, development = opening_text().splitlines()
    assert site.startswith("1. The nodes of nancy drew **1.40 MWh** in")
    assert "**29 %** of it (400 kWh) is overhead" in site
    assert projects == (
        "2. **speech** used the most: **720 kWh** on GPU nodes, in 1 200 jobs of 5 people."
    )
    assert development.startswith("3. For the 1 paper of this study, development used **18.9 times")
    assert "|" not in opening_text()


def test_opening_without_measurement_gives_the_reasons() -> None:
    site, _, development = opening_text(nodes=[], ratios=[]).splitlines()
    assert site == "1. No energy was measured."
    assert development.startswith("3. R is unknown")


def test_summary_of_assumed_trainings_names_the_assumption() -> None:
    assumed = ratio("paper", "singing", role_basis="assumed")
    said = "of training the reported model (assumed to be the largest training). Published"
    assert said in opening_text(ratios=[assumed])
    both = [assumed, ratio("paper", "speech", ratio=3.0)]
    assert "model (for 1 of them assumed to be the largest training)." in summary_text(ratios=both)
    assert "assumed to be the largest training" not in summary_text()


def test_summary_of_the_site_has_overhead_and_gpu_nodes() -> None:
    said = summary_text()
    assert said.startswith("# Energy use of nancy in 14 days\n\n" + PROVENANCE)
    # 42 of 48 node hours have readings; 1200 of 1400 kWh on GPU nodes; 400 serve no job
    assert "drew **1.40 MWh** in the 88 % of their time that has readings, 86 % of it on" in said
    assert "No readings exist for the other 6 node hours; their energy is unknown." in said
    assert "**29 %** of it (400 kWh) is overhead" in said
    assert "0.40 kWh of overhead for each kWh of jobs." in said
    assert (
        "Jobs: 1 000 kWh measured; 1 010 to 1 030 kWh with estimated gaps (95 % interval); 90 % of "
        "their node time was measured; 12 node hours have no data and are in none of these numbers."
    ) in said


def test_summary_of_projects_is_sorted_by_energy_on_gpu_nodes() -> None:
    said = summary_text()
    assert "**speech** used the most: **720 kWh** on GPU nodes, in 1 200 jobs of 5 people." in said
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    names = [line.split(" | ")[0] for line in rows[1:5]]
    assert names == ["| (no project)", "| speech", "| small", "| dark"]
    assert rows[2] == "| speech | 720 | 900 | 909 to 927 | 90 % |"
    assert rows[4] == "| dark | unknown | unknown | unknown | unknown |"


def test_summary_of_development_has_definition_range_and_labels() -> None:
    said = summary_text(
        ratios=[
            ratio("project", "speech", ratio=2.0, role_basis="assumed", n_labelled=0),
            ratio("paper", "singing"),
            ratio("paper", "dancing", ratio=1.04, ratio_high=None),
            ratio("paper", "dark", ratio=None, ratio_low=None, ratio_high=None, role_basis=None),
        ]
    )
    assert (
        "For the 2 papers of this study, development used **1.0 to 18.9 times** the energy" in said
    )
    assert "R = E_development / E_best_training" in said
    assert "3 to 256 over four projects" in said
    assert "| singing | 18.9 | 4.2 to 20.0 | 25.0 | 30 of 40 | label | 7 |" in said
    assert "| dancing | 1.0 | 4.2 to no end |" in said
    assert "| dark | unknown | unknown | 25.0 | 30 of 40 | unknown | 7 |" in said
    assert "| project speech | 2.0 | 4.2 to 20.0 | 25.0 | 0 of 40 | assumed | 7 |" in said


def test_summary_of_carbon_has_each_factor_with_its_source() -> None:
    said = summary_text()
    assert "- RTE, 20.0 g/kWh (fuel burnt): 20.4 kg CO2e (RTE's report)" in said
    assert "- cycle, 56.0 g/kWh (life cycle): 57.1 kg CO2e (a study)" in said
    assert "PUE 1, so without cooling" in said
    assert "at PUE 1.5." in summary_text(pue=1.5)
    site = {"level": "site", "name": "nancy", "carbon_kg": 30.0}
    more = [
        *CARBON,
        site | {"factor": "eco2mix", "convention": "direct", "g_per_kwh": 25.0, "energy_frac": 0.9},
        site | {"factor": "embodied", "convention": "embodied"},
    ]
    said = summary_text(carbon=more)
    assert "30.0 kg CO2e (RTE's eCO2mix at the jobs' own hours, known for 90 % of the" in said
    assert "- making the nodes, by allocated time: 30.0 kg CO2e" in said
    assert "the embodied line counts it" in said
    assert "## Carbon" not in summary_text(carbon=[])


def test_appendix_sentence_has_energy_training_ratio_and_carbon() -> None:
    (line,) = [line for line in summary_text().splitlines() if line.startswith("> ")]
    assert line == (
        "> The jobs of singing used 200 kWh (95 % interval with estimated gaps 202 to 206 kWh; "
        "90 % of their node time was measured), in 1 200 jobs; training the reported model used "
        "10.0 kWh of it (as labelled), and its development 18.9 times as much; 4.08 kg CO2e of "
        "fuel burnt (RTE); 11.4 kg CO2e by life cycle (cycle). Energy was measured at the nodes by "
        "their BMC, with footprint. Manufacturing, cooling, storage and networks are not included."
    )
    assert "kg CO2e of fuel burnt (RTE, at PUE 1.5);" in summary_text(pue=1.5)
    assert "training the reported" not in summary_text(ratios=[])
    assert "Label the jobs of a paper" in summary_text(levels=LEVELS[:5])


HALF = {"ratio": None, "ratio_low": None, "ratio_high": None, "ratio_all_unknown": None}
HALF |= {"ratio_reason": "48 % of training known"}


def test_summary_of_a_half_measured_training_gives_the_reason() -> None:
    half = ratio("paper", "singing", **HALF)
    said = summary_text(ratios=[half])
    assert "**No ratio is given** for singing (48 % of training known): energy is neither" in said
    assert "| singing | 48 % of training known | unknown | unknown | 30 of 40 | label |" in said
    assert "of it (as labelled), the ratio of development to training is not given (48 % of" in said
    assert "times as much" not in said
    assert "No ratio is given" in opening_text(ratios=[half])
    both = summary_text(ratios=[half, ratio("paper", "speech", ratio=3.0)])
    assert "For 1 of the 2 papers of this study, development used **3.0 times**" in both
    assert "**No ratio is given** for singing" in both
    of_project = summary_text(ratios=[ratio("project", "q", **HALF)])
    assert "No ratio is given: energy is neither" in of_project
    assert "is known to have trained" not in of_project


def test_summary_lists_what_is_left_out() -> None:
    said = summary_text()
    for word in ("Manufacturing", "Cooling", "Storage and networks", "Rebound"):
        assert f"- **{word}**: " in said


def test_summary_of_a_simulated_site_has_it_in_title_and_warning() -> None:
    said = summary_text(simulated=True)
    assert said.startswith("# Energy use of the simulated site nancy in 14 days")
    assert "**SIMULATED SITE." in said
    assert "Do not publish them" in said
    assert "imulated" not in summary_text().replace(PROVENANCE, "")


def test_summary_without_measurement_gives_the_reasons() -> None:
    said = summary_text(levels=[], nodes=[], ratios=[], carbon=[])
    assert "No energy was measured" in said
    assert "No energy of a project is known." in said
    assert "R is unknown" in said
    unknown = [level("site", "nancy", None), level("project", "dark", None, gpu_node_frac=None)]
    dark = [("grappe-1", DAY, "no_data", None, 24.0)]
    assert "No energy was measured" in summary_text(levels=unknown, nodes=dark)
    said = summary_text(levels=unknown, nodes=NODES)
    assert "Jobs: energy unknown, because nothing was measured." in said
    no_jobs = [("gros-1", DAY, "idle", 1.0, 24.0)]
    assert "A footprint of jobs alone omits it.\n" in summary_text(nodes=no_jobs)


def test_summary_with_rejected_rows_has_their_section() -> None:
    row = {"stage": "jobs", "source": "jobs/a.json", "reason": "no end", "n_rows": 3}
    said = summary_text(rejected=[row | {"example": "job 7"}])
    section = said.partition("## Rejected rows\n\n")[2].partition("\n\n## ")[0]
    assert section.splitlines()[-1] == "- jobs: no end: 3 (jobs/a.json, as in job 7)"
    assert "Rejected" not in summary_text()


def test_carbon_bounds_are_over_factors_of_one_convention() -> None:
    emissions = {
        "low": ("direct", 2.0),
        "high": ("direct", 60.0),
        "middle": ("direct", 5.0),
        "unknown": ("direct", None),
        "cycle": ("life_cycle", 90.0),
    }
    rows = [
        {"level": "site", "name": "nancy", "factor": name, "convention": convention}
        | {"total_kwh": 1.0, "carbon_kg": kg, "energy_frac": 1.0}
        for name, (convention, kg) in emissions.items()
    ]
    other = {"level": "paper", "factor": "other", "carbon_kg": 99.0}
    table = frame(Carbon, [*rows, rows[0] | other])

    def factors_at_bounds(convention: str, of: pl.DataFrame = table) -> list[str]:
        bounds = appendix.carbon_bounds(of, level="site", name="nancy", convention=convention)
        return bounds["factor"].to_list()

    assert factors_at_bounds("direct") == ["low", "high"]
    assert factors_at_bounds("life_cycle") == ["cycle"]
    assert factors_at_bounds("direct", table.clear()) == []
