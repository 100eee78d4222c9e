"""The conclusions of the study with their numbers: `results/summary.md`, and a short form.

The three sections follow the conclusions of C. Douwes' talk (GreenDays 2025): count idle hardware,
count the energy of teams, and count development besides the reported training. Each energy is a
total with its interval and its measured fraction, and the summary lists what it leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

import polars as pl

from footprint.core.names import escape_markdown
from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import (
    HOURLY_FACTOR,
    MEASURED_METHOD,
    NO_PROJECT,
    OTHERS,
    OVERHEAD_CLASSES,
    SMALL_GROUPS,
)
from footprint.report import rejected_rows
from footprint.report.appendix import CONVENTION_NAMES, StudyScope, appendix_section
from footprint.report.development import development_section
from footprint.report.truth_sentence import truth_sentences
from footprint.report.wording import (
    NARROW_SPACE,
    UNKNOWN,
    Row,
    energy_texts,
    format_count,
    format_mass,
    format_number,
    format_percent,
    format_qualified,
    format_row_total,
    format_total,
)

TEAM_NOTICE = (
    "**For the team that runs this study.** The folder of this file carries job ids and exact "
    "times, by which a reader of the cluster's job list can find the person behind a pseudonym. "
    "`footprint publish` makes what may leave the team (docs/publishing.md)."
)

FOLDER_NOTICE = f"""\
# Results of a study

{TEAM_NOTICE}

- `summary.md` has the conclusions in words, `report.html` all figures and readers' tables
- `figures/` and `tables/` have these as files; the other folders have the tables behind them, in
  Parquet (docs/data-dictionary.md)
"""
"""Content of `results/README.md`."""


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """Site of a study, and the tables that the conclusions rest on.

    Attributes:
        scope: Site and days of the study.
        levels: `schemas.Levels`.
        node_energy: `schemas.NodeEnergy`.
        ratio: `schemas.PhaseRatio`.
        sensitivities: `schemas.PhaseSensitivities`.
        against_truth: `schemas.AgainstTruth`; None: the truth is unknown.
    """

    scope: StudyScope
    levels: pl.DataFrame
    node_energy: pl.DataFrame
    ratio: pl.DataFrame
    sensitivities: pl.DataFrame
    against_truth: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        """Escape the names, which people choose, so that Markdown shows them as they are."""
        for table in ("levels", "ratio", "sensitivities"):
            object.__setattr__(self, table, _escape_names(getattr(self, table)))

    @property
    def measured(self) -> pl.DataFrame:
        """Rows of the levels by measurement."""
        return self.levels.filter(pl.col("method") == MEASURED_METHOD)

    def conclusions(self) -> list[list[str]]:
        """The three sections of conclusions: the heading and the paragraphs of each."""
        return [
            _site_section(self.measured, self.node_energy, self.scope.site_text),
            _project_section(self.measured),
            development_section(self.ratio, self.sensitivities),
        ]


def summary_markdown(
    findings: StudyFindings,
    carbon: pl.DataFrame,
    rejected: pl.DataFrame | None,
    *,
    pue: float,
    factors: Sequence[Mapping[str, Any]],
    provenance: str,
    notice: str = TEAM_NOTICE,
) -> str:
    """The summary of the study as Markdown, each paragraph on one line.

    Args:
        findings: Findings of the study.
        carbon: `schemas.Carbon` of the same levels.
        rejected: `schemas.RejectedRows`; None: the summary says nothing of them.
        pue: Power usage effectiveness in the carbon; energies are without it.
        factors: `carbon.factors` of the configuration, for their sources.
        provenance: Site, period, source and version.
        notice: For whom the summary is.
    """
    scope, carbon = findings.scope, _escape_names(carbon)
    days = (scope.end - scope.start) / timedelta(days=1)
    parts = [
        f"# Energy use of {scope.site_text} in {days:g} days",
        provenance,
        notice,
        *([_SIMULATED_WARNING] if scope.simulated else []),
        *truth_sentences(findings.against_truth),
        "Each energy is a total of the electricity that the nodes drew: measured by their "
        "baseboard management controllers (BMC) where readings exist, and estimated elsewhere. "
        "Intervals (95 %) are meant for the energy that the nodes really drew; they include the "
        "errors of the meters, of sampling and of the estimates (docs/uncertainty.md). Cooling is "
        "not included.",
        *chain.from_iterable(findings.conclusions()),
        *_carbon_section(carbon, factors, pue=pue),
        *_exclusion_section(carbon, pue=pue),
        *([] if rejected is None else _rejected_section(rejected)),
        *appendix_section(
            findings.measured, findings.ratio, carbon, scope=scope, factors=factors, pue=pue
        ),
    ]
    return "\n\n".join(parts).replace(NARROW_SPACE, "\u00a0") + "\n"


def opening_markdown(findings: StudyFindings) -> str:
    """The conclusions as a numbered list in Markdown, one to three sentences each, for the report.

    Args:
        findings: Findings of the study.
    """
    points = [
        " ".join(text for text in texts if "**" in text and not text.startswith("- ")) or texts[0]
        for _, *texts in findings.conclusions()
    ]
    lines = [f"{number}. {point}" for number, point in enumerate(points, start=1)]
    lines += [f"\n{text}" for text in truth_sentences(findings.against_truth)]
    return "\n".join(lines).replace(NARROW_SPACE, "\u00a0") + "\n"


_SIMULATED_WARNING = (
    "**SIMULATED SITE. Its jobs, people and powers are invented: no number below is a measurement "
    "of Grid'5000, and none may be cited as one.**"
)


def _site_section(measured: pl.DataFrame, node_energy: pl.DataFrame, where: str) -> list[str]:
    head = "## 1. The site, with its idle hardware"
    kwh, is_measured = pl.col("total_kwh"), pl.col("class") != "no_data"
    sums = node_energy.select(
        sum_or_zero(kwh).alias("all"),
        sum_or_zero(pl.col("measured_kwh")).alias("measured"),
        sum_or_zero(kwh.filter("has_gpu")).alias("gpu"),
        sum_or_zero(kwh.filter(pl.col("class") == "job")).alias("job"),
        sum_or_zero(kwh.filter(pl.col("class").is_in(OVERHEAD_CLASSES))).alias("overhead"),
        sum_or_zero(pl.col("measured_kwh").filter(pl.col("class").is_in(OVERHEAD_CLASSES))).alias(
            "overhead_measured"
        ),
        sum_or_zero(pl.col("duration_s")).alias("whole_s"),
        sum_or_zero(pl.col("duration_s").filter(~is_measured)).alias("missing_s"),
        sum_or_zero(pl.col("unknown_node_h")).alias("unknown_h"),
    ).row(0, named=True)
    if not sums["all"] > 0:
        return [head, "The energy of the nodes is unknown: nothing was measured or estimated."]
    per_kwh = format_number(sums["overhead"] / sums["job"], digits=2) if sums["job"] > 0 else None
    per_job_kwh = "" if per_kwh is None else f": {per_kwh} kWh of overhead for each kWh of jobs"
    part = sums["measured"] / sums["all"]
    energy = _sum_of_totals(
        measured, ["site", "overhead"], sums["all"], part, sums["unknown_h"], mark="**"
    )
    overhead_part = sums["overhead_measured"] / (sums["overhead"] or 1.0)
    overhead = _sum_of_totals(measured, ["overhead"], sums["overhead"], overhead_part, 0.0)
    lines = [
        f"The nodes of {where} drew {energy}, "
        f"{format_percent(sums['gpu'] / sums['all'])} of it on GPU nodes."
        + _missing_time(sums["missing_s"], sums["whole_s"], sums["unknown_h"]),
        f"**{format_percent(sums['overhead'] / sums['all'])}** of it, "
        f"{overhead}, is overhead: hardware that was stranded (free "
        "on a node with a job), idle, in standby or unavailable. A footprint of jobs alone "
        f"omits it{per_job_kwh}.",
    ]
    for row in measured.filter(pl.col("level") == "site").iter_rows(named=True):
        lines.append(f"Jobs: {format_row_total(row)}.")
    return [head, *lines]


def _sum_of_totals(
    measured: pl.DataFrame,
    levels: list[str],
    total_kwh: float,
    measured_frac: float,
    unknown_node_h: float,
    *,
    mark: str = "",
) -> str:
    """A sum of totals whose errors are taken as fully correlated, so that it holds at least 95 %.

    Args:
        measured: Rows of the levels by measurement.
        levels: Levels whose rows add up to the sum.
        total_kwh: The sum.
        measured_frac: Measured fraction of the sum.
        unknown_node_h: Node hours of unknown energy.
        mark: Letters before and after the energy, as `**` of Markdown.
    """
    rows = measured.filter(pl.col("level").cast(pl.String).is_in(levels))
    low, high = rows.select(known_sum(pl.col("total_low_kwh", "total_high_kwh"))).row(0)
    text = format_total(total_kwh, low, high, measured_frac, unknown_node_h, mark=mark)
    return text.replace("95 %:", "95 % or more:")


def _missing_time(missing_s: float, whole_s: float, unknown_h: float) -> str:
    """Sentence on the time of nodes without readings; empty if there is none."""
    hours = round(missing_s * H_PER_S)
    if not hours:
        return ""
    text = (
        f" No readings exist for {format_count(hours)} node hours "
        f"({format_percent(missing_s / whole_s)}); their energy is estimated"
    )
    if unknown_h:
        text += (
            f", except for {format_count(max(round(unknown_h), 1))} node hours of unknown energy"
        )
    return f"{text}."


def _project_section(measured: pl.DataFrame) -> list[str]:
    head = "## 2. The projects: energy of their jobs"
    rows = measured.filter(pl.col("level") == "project").sort(
        "total_kwh", "name", descending=[True, False], nulls_last=True
    )
    if rows["total_kwh"].drop_nulls().is_empty():
        return [head, "No energy of a project is known."]
    unnamed = [SMALL_GROUPS, OTHERS, NO_PROJECT]
    largest = rows.filter(~pl.col("name").is_in(unnamed), pl.col("total_kwh").is_not_null()).head(1)
    texts = [
        f"**{row['name']}** used the most: {format_row_total(row, mark='**')}, in "
        f"{format_count(row['n_jobs'])} jobs of {row['n_users']} people."
        for row in largest.iter_rows(named=True)
    ]
    table = [
        "| Project | Total | 95 % interval | Measured | On GPU nodes |",
        "|---|--:|--:|--:|--:|",
        *(_project_line(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *texts, "\n".join(table)]


def _project_line(row: Row) -> str:
    energy, interval = UNKNOWN, None
    if row["total_kwh"] is not None:
        energy, interval = energy_texts(
            row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
        )
        energy = format_qualified(
            energy, measured_frac=row["measured_frac"], unknown_node_h=row["unknown_node_h"]
        )
    cells = [
        row["name"],
        energy,
        interval or UNKNOWN,
        format_percent(row["measured_frac"]),
        format_percent(row["gpu_node_frac"]),
    ]
    return f"| {' | '.join(cells)} |"


def _carbon_section(
    carbon: pl.DataFrame, factors: Sequence[Mapping[str, Any]], *, pue: float
) -> list[str]:
    sources = {factor["name"]: factor["source"] for factor in factors}
    rows = carbon.filter(pl.col("level") == "site").sort("convention", "g_per_kwh", "factor")
    lines = []
    for row in rows.drop_nulls("carbon_kg").iter_rows(named=True):
        if row["convention"] == "embodied":
            mass = format_mass(row["carbon_kg"], None, None)
            lines.append(f"- making the nodes, by allocated time: {mass}")
            continue
        kind = CONVENTION_NAMES[row["convention"]]
        mass = format_mass(row["carbon_kg"], row["carbon_low_kg"], row["carbon_high_kg"])
        source = "RTE's eCO2mix at the jobs' own hours"
        known = row["energy_frac"]
        if row["factor"] == HOURLY_FACTOR and known < 1:
            source += f", known for {format_percent(known)} of the energy"
        lines.append(
            f"- {escape_markdown(row['factor'])}, {format_number(row['g_per_kwh'])} g/kWh "
            f"({kind}): "
            f"{mass}; {escape_markdown(sources.get(row['factor'], source))}"
        )
    if not lines:
        return []
    name = "PUE 1, so without cooling" if pue == 1 else f"PUE {pue:g}"
    text = (
        f"Carbon of the total energy of the site's jobs by named factors, at {name}. Intervals are "
        "those of the energy. Factors of different conventions count different things and do not "
        "form a range."
    )
    return ["## Carbon", text, "\n".join(lines)]


def _exclusion_section(carbon: pl.DataFrame, *, pue: float) -> list[str]:
    made = "embodied" in carbon["convention"].cast(pl.String)
    making = (
        "in no kWh above; the embodied line counts it by configured kilograms for a node"
        if made
        else "making, moving and scrapping the nodes; set carbon.embodied to add an estimate"
    )
    cooling = (
        "the building's cooling and power supply; all numbers are at PUE 1"
        if pue == 1
        else f"in no kWh above; carbon and comparisons are at PUE {pue:g}"
    )
    return [
        "## What is left out",
        "\n".join(
            [
                f"- **Manufacturing**: {making}.",
                f"- **Cooling**: {cooling}.",
                "- **Storage and networks**: the power of file servers, switches and frontends is "
                "charged to no job.",
                "- **Rebound**: savings may be spent on more runs; no number shows this.",
                "- **Elsewhere**: laptops, other clusters and clouds, and every use of a model "
                "after its publication.",
            ]
        ),
    ]


def _rejected_section(rejected: pl.DataFrame) -> list[str]:
    """Section on rejected rows; empty if there are none."""
    found = rejected_rows.rejected_row_lines(rejected)
    text = "Input rows that no number above uses, and limits of the rows that are used."
    head = ["## Rejected rows", text]
    lines = "\n".join(f"- {escape_markdown(line)}" for line in found)
    return [*head, lines] if found else []


def _escape_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose `name` is escaped for Markdown."""
    escaped = pl.col("name").map_elements(escape_markdown, return_dtype=pl.String)
    return rows.with_columns(escaped)
