"""The summary: its numbers, intervals and coverage, and its texts without measurement."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import mistune
import polars as pl
import pytest

from footprint.core import names
from footprint.phases.ratio import UNCOVERED_REASON
from footprint.report import summary
from footprint.report.appendix import StudyScope
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities
from footprint.schemas.raw import RejectedRows
from tests.support import study_frames
from tests.support.study_frames import PROVENANCE, START

pytestmark = pytest.mark.filterwarnings("error")

FACTORS: list[dict[str, Any]] = [
    {"name": "RTE", "convention": "direct", "g_per_kwh": 20.0, "source": "RTE's report"},
    {"name": "cycle", "convention": "life_cycle", "g_per_kwh": 56.0, "source": "a study"},
]


def level(level: str, name: str, total_kwh: float | None, **columns: Any) -> dict[str, Any]:
    known = total_kwh is not None
    row = {
        "level": level,
        "name": name,
        "method": "bmc",
        "n_jobs": 1200,
        "n_users": 5,
        "measured_kwh": 0.75 * total_kwh if known else None,
        "estimated_kwh": 0.25 * total_kwh if known else None,
        "total_kwh": total_kwh,
        "total_low_kwh": total_kwh * 0.9 if known else None,
        "total_high_kwh": total_kwh * 1.2 if known else None,
        "measured_frac": 0.75 if known else None,
        "coverage_frac": 0.7 if known else None,
        "unknown_node_h": 0.0,
        "gpu_node_frac": 0.5,
    }
    return row | columns


LEVELS = [
    level("site", "nancy", 1000.0),
    level("overhead", "idle", 400.0, total_low_kwh=380.0, total_high_kwh=480.0),
    level("project", "small", 10.0, measured_frac=0.2),
    level("project", "speech", 900.0, gpu_node_frac=0.8),
    level("project", "(no project)", 2000.0),
    level("project", "dark", None, gpu_node_frac=None, unknown_node_h=12.4),
    level("paper", "singing", 4137.0, total_low_kwh=3680.0, total_high_kwh=4870.0),
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
        "total_kwh": 4137.0,
        "training_kwh": 52.3,
        "training_low_kwh": 47.1,
        "training_high_kwh": 59.8,
        "inference_kwh": 0.0,
        "development_kwh": 4085.0,
        "development_low_kwh": 3630.0,
        "development_high_kwh": 4810.0,
        "unknown_kwh": 0.0,
        "idle_kwh": 0.0,
        "unknown_gpu_h": 7.4,
        "development_measured_frac": 0.75,
        "training_measured_frac": 1.0,
        "ratio": 78.1,
        "ratio_low": 70.1,
        "ratio_high": 86.6,
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
        "total_kwh": kwh,
        "g_per_kwh": factor["g_per_kwh"],
        "carbon_kg": kwh * factor["g_per_kwh"] / 1000,
        "carbon_low_kg": 0.9 * kwh * factor["g_per_kwh"] / 1000,
        "carbon_high_kg": 1.2 * kwh * factor["g_per_kwh"] / 1000,
        "energy_frac": 1.0,
    }
    for name, kwh in (("site", 1000.0), ("paper", 4137.0))
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


SCOPE = StudyScope(
    site="nancy",
    simulated=False,
    start=datetime(2025, 3, 3, tzinfo=UTC),
    end=datetime(2025, 4, 28, tzinfo=UTC),
)


def findings_of(
    levels: list[dict[str, Any]] = LEVELS,
    nodes: pl.DataFrame | None = None,
    ratios: list[dict[str, Any]] | None = None,
    choices: list[tuple[Any, ...]] = (),  # type: ignore[assignment]
    scope: StudyScope = SCOPE,
) -> summary.StudyFindings:
    names = ("name", "choice", "value", "ratio", "is_headline")
    varied = [{"scope": "paper"} | dict(zip(names, row, strict=True)) for row in choices]
    return summary.StudyFindings(
        scope=scope,
        levels=frame(Levels, levels),
        node_energy=node_rows() if nodes is None else nodes,
        ratio=frame(PhaseRatio, [ratio("paper", "singing")] if ratios is None else ratios),
        sensitivities=frame(PhaseSensitivities, varied),
    )


def node_rows(rows: list[tuple[Any, ...]] = NODES, *, unknown_h: float = 0.0) -> pl.DataFrame:
    """Rows of nodes; the job of graffiti-1 has 100 kWh that are estimated."""
    estimated = {("graffiti-1", "job"): 100.0}
    return study_frames.node_energy_frame(rows, estimated=estimated, unknown_h=unknown_h)


def summary_text(
    carbon: list[dict[str, Any]] = CARBON,
    rejected: list[dict[str, Any]] | None = None,
    pue: float = 1.0,
    **tables: Any,
) -> str:
    text = summary.summary_markdown(
        findings_of(**tables),
        frame(Carbon, carbon),
        frame(RejectedRows, rejected or []),
        pue=pue,
        factors=FACTORS,
        provenance=PROVENANCE,
    )
    return text.replace("\u00a0", " ")


def opening_text(**tables: Any) -> str:
    return summary.opening_markdown(findings_of(**tables)).replace("\u00a0", " ")


def statement(**columns: Any) -> str:
    """The statement of the one paper; `ratios` and `pue` are those of `summary_text`."""
    options = {name: columns.pop(name) for name in ("ratios", "pue", "carbon") if name in columns}
    paper = [row | columns for row in LEVELS if row["level"] == "paper"]
    text = summary_text(levels=paper, **options)
    (line,) = [line for line in text.splitlines() if line.startswith("> ")]
    return line.removeprefix("> ")


def test_opening_has_the_three_conclusions_alone() -> None:
    site, projects, development = opening_text().splitlines()
    # 1 400 kWh read and 100 kWh estimated
    assert site.startswith(
        "1. The nodes of Nancy drew **1.50 MWh** (95 % or more: 1.28 to 1.68; 93 % measured), 87 % "
        "of it on"
    )
    assert "**27 %** of it, 400 kWh (95 % or more: 380 to 480; 100 % measured), is overhead" in site
    assert projects == (
        "2. **speech** used the most: **0.90 MWh** (95 %: 0.81 to 1.08; 75 % measured), in 1 200 "
        "jobs of 5 people."
    )
    assert development == (
        "3. For the 1 paper of this study, development used **78 times** (95 %: 70 to 87) the "
        "energy of training the reported model. Published ratios: 3 to 256 over four projects "
        "(Douwes, Magron and Serizel, arXiv 2610.01619)."
    )


def test_opening_without_measurement_gives_the_reasons() -> None:
    site, _, development = opening_text(nodes=node_rows([]), ratios=[]).splitlines()
    assert site == "1. The energy of the nodes is unknown: nothing was measured or estimated."
    assert development.startswith("3. R cannot be given: no run of a paper is known to have")


def test_summary_of_assumed_trainings_names_the_assumption() -> None:
    assumed = ratio("paper", "singing", role_basis="assumed")
    text = "of training the reported model (assumed to be the largest training). Published"
    assert text in opening_text(ratios=[assumed])
    both = [assumed, ratio("paper", "speech", ratio=3.0)]
    assert "model (for 1 of them assumed to be the largest training)." in summary_text(ratios=both)
    assert "assumed to be the largest training" not in summary_text()


def test_summary_of_the_site_has_overhead_and_gpu_nodes() -> None:
    text = summary_text()
    assert text.startswith("# Energy use of Nancy in 56 days\n\n" + PROVENANCE)
    # 6 of 48 node hours have no reading; 1 300 of 1 500 kWh on GPU nodes; 400 serve no job
    assert (
        "drew **1.50 MWh** (95 % or more: 1.28 to 1.68; 93 % measured), 87 % of it on GPU nodes. "
        "No readings exist"
    ) in text
    assert "for 6 node hours (12 %); their energy is estimated." in text
    assert "**27 %** of it, 400 kWh (95 % or more: 380 to 480; 100 % measured), is overhead" in text
    assert "0.36 kWh of overhead for each kWh of jobs." in text
    assert "Jobs: 1.00 MWh (95 %: 0.90 to 1.20; 75 % measured)." in text


def test_summary_of_nodes_of_unknown_energy_has_a_lower_bound() -> None:
    text = summary_text(nodes=node_rows(unknown_h=2.4))
    assert (
        "The nodes of Nancy drew at least **1.50 MWh** (95 % or more: 1.28 to 1.68; 93 % measured)"
        in text
    )
    assert "their energy is estimated, except for 2 node hours of unknown energy." in text


def test_summary_says_what_intervals_are_meant_for() -> None:
    text = summary_text()
    assert "Intervals (95 %) are meant for the energy that the nodes really drew" in text
    assert "calibration" not in text


def test_summary_of_projects_is_sorted_by_total_energy() -> None:
    rows = [line for line in summary_text().splitlines() if line.startswith("| ")]
    assert rows[1:5] == [
        "| (no project) | 2.00 MWh | 1.80 to 2.40 | 75 % | 50 % |",
        "| speech | 0.90 MWh | 0.81 to 1.08 | 75 % | 80 % |",
        "| small | an estimated 10.0 kWh | 9.0 to 12.0 | 20 % | 50 % |",
        "| dark | unknown | unknown | unknown | unknown |",
    ]


def test_summary_of_development_has_definition_intervals_and_labels() -> None:
    text = summary_text(
        ratios=[
            ratio("project", "speech", ratio=2.0, role_basis="assumed", n_labelled=0, **NO_ENDS),
            ratio("paper", "singing"),
            ratio("paper", "dancing", ratio=1.04, ratio_low=0.9, ratio_high=None),
            ratio("paper", "dark", ratio=None, training_kwh=None, role_basis=None, **NO_ENDS),
        ]
    )
    assert "For the 2 papers of this study, development used **1.0 to 78.1 times** the" in text
    assert "R = E_development / E_best_training" in text
    sides = "| 4.1 MWh (3.6 to 4.8) | 52 kWh (47 to 60) | 75 % and 100 % |"
    assert f"| singing | 78 (70 to 87) {sides} 30 of 40 | label |" in text
    assert f"| dancing | 1.04 (0.90 or more) {sides}" in text
    assert "| dark | cannot be given: unknown | 4.1 MWh (3.6 to 4.8) | unknown |" in text
    assert f"| project speech | 2.0 (interval unknown) {sides} 0 of 40 | assumed |" in text


NO_ENDS = {"ratio_low": None, "ratio_high": None}


def test_summary_has_the_range_of_the_ratio_by_choice_membership_first() -> None:
    choices = [
        ("singing", "idle_holds", "in", 78.1, True),
        ("singing", "idle_holds", "out", 60.0, False),
        ("singing", "membership", "labelled", 78.1, True),
        ("singing", "membership", "same_people", 95.2, False),
        ("singing", "thresholds", "configured", 78.1, True),
    ]
    text = summary_text(choices=choices)
    assert (
        "- **singing**: jobs of the paper 78.1 (labelled) to 95.2 (same people); idle holds 60.0 "
        "(out) to 78.1 (in).\n"
    ) in text
    assert "no interval includes" not in summary_text()


def test_summary_of_carbon_has_each_factor_with_its_source() -> None:
    said = summary_text()
    assert "- RTE, 20.0 g/kWh (fuel burnt): 20.0 kg CO2e (18.0 to 24.0); RTE's report" in said
    assert "- cycle, 56.0 g/kWh (life cycle): 56 kg CO2e (50 to 67); a study" in said
    assert "PUE 1, so without cooling" in said
    assert "at PUE 1.5." in summary_text(pue=1.5)
    site = {"level": "site", "name": "nancy", "carbon_kg": 30.0}
    more = [
        *CARBON,
        site | {"factor": "eco2mix", "convention": "direct", "g_per_kwh": 25.0, "energy_frac": 0.9},
        site | {"factor": "embodied", "convention": "embodied"},
    ]
    said = summary_text(carbon=more)
    assert "30.0 kg CO2e; RTE's eCO2mix at the jobs' own hours, known for 90 % of the" in said
    assert "- making the nodes, by allocated time: 30.0 kg CO2e" in said
    assert "the embodied line counts it" in said
    assert "## Carbon" not in summary_text(carbon=[])


ENERGY = (
    "Research for singing used 4.1 MWh of electricity at the compute nodes of Nancy between 3 "
    "March and 27 April 2025 (95 %: 3.7 to 4.9; 75 % measured, the rest estimated)."
)
RATIO = (
    "Training the reported model took 52 kWh (47 to 60); all other runs took 78 (70 to 87) times "
    "as much."
)
CARBON_SENTENCE = "At 20.0 g/kWh (RTE, fuel burnt), this is 83 kg CO2e (74 to 97)."
METHOD = (
    "Measured by the nodes' management controllers; cooling, network, storage and manufacturing "
    "are not included."
)


def test_statement_is_word_for_word() -> None:
    assert statement() == f"{ENERGY} {RATIO} {CARBON_SENTENCE} {METHOD}"
    assert statement(carbon=[]) == f"{ENERGY} {RATIO} {METHOD}"
    assert statement(ratios=[], carbon=[]) == f"{ENERGY} {METHOD}"


def test_statement_of_an_energy_under_half_measured_calls_it_estimated() -> None:
    assert statement(measured_frac=0.4, carbon=[], ratios=[]).startswith(
        "Research for singing used an estimated 4.1 MWh of electricity at the compute nodes of "
        "Nancy between 3 March and 27 April 2025 (95 %: 3.7 to 4.9; 40 % measured, the rest "
        "estimated). Measured by"
    )
    unread = statement(measured_frac=0.0, carbon=[], ratios=[])
    assert "(95 %: 3.7 to 4.9; 0 % measured)." in unread
    assert "Estimated without readings of the nodes' power; cooling, network" in unread
    assert "; 100 % measured). " in statement(measured_frac=1.0)


def test_statement_with_unknown_energy_is_a_lower_bound() -> None:
    assert statement(unknown_node_h=12.4, carbon=[], ratios=[]).startswith(
        "Research for singing used at least 4.1 MWh of electricity at the compute nodes of Nancy "
        "between 3 March and 27 April 2025 (95 %: 3.7 to 4.9; 75 % measured, the rest estimated; "
        "the energy of 12.4 node h is unknown and not included). Measured by"
    )


def test_statement_without_a_ratio_gives_the_reason() -> None:
    half = ratio("paper", "singing", **(HALF | {"ratio_reason": "48 % of training known"}))
    assert statement(ratios=[half], carbon=[]) == (
        f"{ENERGY} Training the reported model took 52 kWh (47 to 60); the ratio of all other "
        f"runs to it cannot be given: 48 % of training known. {METHOD}"
    )
    none = HALF | {"training_kwh": None, "ratio_reason": "no training known"}
    assert statement(ratios=[ratio("paper", "singing", **none)], carbon=[]) == (
        f"{ENERGY} The ratio of all other runs to training the reported model cannot be given: no "
        f"training known. {METHOD}"
    )


def test_statement_names_runs_that_neither_side_of_the_ratio_has() -> None:
    row = ratio("paper", "singing", inference_kwh=1.0, unknown_kwh=2.0, role_basis="assumed")
    assert (
        "Training the reported model (assumed to be the largest training) took 52 kWh (47 to 60); "
        "all other runs, except inference with it and runs of unknown kind, took 78 (70 to 87) "
        "times as much."
    ) in statement(ratios=[row])


def test_statement_has_carbon_of_the_printed_energy_by_the_first_factor() -> None:
    # 4 137 kWh x 1.5 x 20 g/kWh = 124 kg, whatever the table of carbon has
    wrong = [row | {"carbon_kg": 1.0} for row in CARBON]
    text = statement(pue=1.5, carbon=wrong)
    assert "At 20.0 g/kWh (RTE, fuel burnt) and a PUE of 1.5, this is 124 kg CO2e (110 to" in text
    assert text.count("CO2e") == 1


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((2025, 3, 3), (2025, 3, 4), "on 3 March 2025"),
        ((2024, 12, 30), (2025, 1, 6), "between 30 December 2024 and 5 January 2025"),
    ],
)
def test_days_of_a_study_exclude_its_end(start: Any, end: Any, expected: str) -> None:
    days = {"start": datetime(*start, tzinfo=UTC), "end": datetime(*end, tzinfo=UTC)}
    assert StudyScope(site="nancy", simulated=True, **days).days_text == expected


def test_summary_without_papers_names_the_labels() -> None:
    assert "Label the jobs of a paper" in summary_text(levels=LEVELS[:5])


HALF = {"ratio": None, "ratio_low": None, "ratio_high": None, "ratio_all_unknown": None}
HALF |= {"ratio_reason": "48 % of training known"}


def test_summary_of_a_half_known_training_gives_the_reason() -> None:
    half = ratio("paper", "singing", **HALF)
    text = summary_text(ratios=[half])
    assert "**R cannot be given** for singing (48 % of training known)." in text
    assert "| singing | cannot be given: 48 % of training known | 4.1 MWh" in text
    assert "times as much" not in text
    assert "**R cannot be given**" in opening_text(ratios=[half])
    both = summary_text(ratios=[half, ratio("paper", "speech", ratio=3.0, **NO_ENDS)])
    assert "For 1 of the 2 papers of this study, development used **3.0 times** the" in both
    uncovered = ratio("project", "r", **(HALF | {"ratio_reason": UNCOVERED_REASON}))
    assert "| project r |" not in summary_text(ratios=[half, uncovered])
    of_project = summary_text(ratios=[ratio("project", "q", **HALF)])
    assert "| project q | cannot be given: 48 % of training known |" in of_project


def test_summary_lists_what_is_left_out() -> None:
    said = summary_text()
    for word in ("Manufacturing", "Cooling", "Storage and networks", "Rebound"):
        assert f"- **{word}**: " in said


def test_summary_of_a_simulated_site_has_it_in_title_and_warning() -> None:
    text = summary_text(scope=replace(SCOPE, simulated=True))
    assert text.startswith("# Energy use of the simulated site nancy in 56 days")
    assert "**SIMULATED SITE." in text
    assert "at the compute nodes of the simulated site nancy between" in text
    assert "Do not publish them" in text
    assert "imulated" not in summary_text().replace(PROVENANCE, "")


def test_summary_without_measurement_gives_the_reasons() -> None:
    text = summary_text(levels=[], nodes=node_rows([]), ratios=[], carbon=[])
    assert "nothing was measured or estimated" in text
    assert "No energy of a project is known." in text
    assert "R cannot be given" in text
    unknown = [level("site", "nancy", None), level("project", "dark", None, gpu_node_frac=None)]
    assert "Jobs: unknown." in summary_text(levels=unknown)
    no_jobs = [("gros-1", DAY, "idle", 1.0, 24.0)]
    assert "A footprint of jobs alone omits it.\n" in summary_text(nodes=node_rows(no_jobs))


def test_summary_with_rejected_rows_has_their_section() -> None:
    row = {"stage": "jobs", "source": "jobs/a.json", "reason": "no end", "n_rows": 3}
    said = summary_text(rejected=[row | {"example": "job 7"}])
    section = said.partition("## Rejected rows\n\n")[2].partition("\n\n## ")[0]
    assert section.splitlines()[-1] == "- jobs: no end: 3 (jobs/a.json, as in job 7)"
    assert "Rejected" not in summary_text()


def test_summary_shows_any_name_as_it_is() -> None:
    name = "<img src=x onerror=alert(1)>|**a**\n# b\x1b[31m `c` [d](http://e)"
    named = [row | {"name": name} if row["level"] != "site" else row for row in LEVELS]
    rejected = [{"stage": "jobs", "source": name, "reason": name, "n_rows": 1, "example": name}]
    text = summary_text(
        levels=named,
        ratios=[ratio("paper", name)],
        choices=[(name, "membership", "same people", 9.0, False)],
        rejected=rejected,
    )
    assert "\x1b" not in text
    page = str(mistune.create_markdown(escape=False, plugins=["table"])(text))
    assert not re.search(r"<(img|a|h1|code)\b[^>]*(onerror|href|>c<)", page)
    assert page.count("<h1>") == 1
    shown = html.unescape(re.sub(r"</?[a-z0-9]+[^>]*>", "", page))
    # in both sections of levels, of R, of the appendix, and of rejected rows
    assert shown.count(names.clean_name(name)) >= 6
    opening = str(mistune.create_markdown(escape=True)(opening_text(levels=named)))
    assert "&lt;img src=x onerror=alert(1)&gt;|**a** # b?[31m `c` [d](http://e)" in opening


def test_summary_leaves_out_choices_without_effect_and_says_where_some_have_no_ratio() -> None:
    choices = [
        ("singing", "unknown_kinds", "left_out", 78.1, True),
        ("singing", "unknown_kinds", "development", 78.1, False),
        ("singing", "reported_training", "label", 78.1, True),
        ("singing", "reported_training", "largest", 7.0, False),
        ("singing", "reported_training", "last", None, False),
    ]
    assert (
        "- **singing**: reported training 7.0 (largest) to 78.1 (label), without R for some.\n"
    ) in summary_text(choices=choices)
