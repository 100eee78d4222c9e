"""The conclusions of the study with their numbers: `results/summary.md`, and a short form.

The three sections follow the conclusions of C. Douwes' talk (GreenDays 2025): count idle hardware,
count the energy of teams, and count development besides the reported training. Each number has its
coverage and its interval, and the summary lists what it leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import (
    HOURLY_FACTOR,
    MEASURED_METHOD,
    NO_PROJECT,
    OTHERS,
    OVERHEAD_CLASSES,
    SMALL_GROUPS,
)
from footprint.phases.ratio import NO_TRAINING_REASON, RATIO_DEFINITION, UNCOMPUTED_REASONS
from footprint.report import rejected_rows
from footprint.report.appendix import appendix_section
from footprint.report.wording import (
    THIN_SPACE,
    Row,
    format_count,
    format_energy,
    format_interval,
    format_kwh,
    format_number,
    format_percent,
    format_range,
    format_ratio,
)

TOO_LITTLE_KNOWN = (
    "energy is neither measured nor estimated for more than 10 % of the time of development or of "
    "the reported training"
)
PUBLISHED_RATIOS = "3 to 256 over four projects (Douwes, Magron and Serizel, arXiv 2610.01619)"


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """Site of a study, and the tables that the conclusions rest on.

    Attributes:
        site: Name of the site.
        simulated: Whether the site is a simulated one.
        levels: `schemas.Levels`.
        node_energy: `schemas.NodeEnergy`.
        ratio: `schemas.PhaseRatio`.
    """

    site: str
    simulated: bool
    levels: pl.DataFrame
    node_energy: pl.DataFrame
    ratio: pl.DataFrame

    @property
    def site_text(self) -> str:
        """Name of the site in a sentence."""
        return f"the simulated site {self.site}" if self.simulated else self.site

    @property
    def measured(self) -> pl.DataFrame:
        """Rows of the levels by measurement."""
        return self.levels.filter(pl.col("method") == MEASURED_METHOD)

    def conclusions(self) -> list[list[str]]:
        """The three sections of conclusions: the heading and the paragraphs of each."""
        return [
            _site_section(self.measured, self.node_energy, self.site_text),
            _project_section(self.measured),
            _development_section(self.ratio),
        ]


def summary_markdown(
    findings: StudyFindings,
    carbon: pl.DataFrame,
    rejected: pl.DataFrame,
    *,
    days: float,
    pue: float,
    factors: Sequence[Mapping[str, Any]],
    provenance: str,
) -> str:
    """The summary of the study as Markdown, each paragraph on one line.

    Args:
        findings: Findings of the study.
        carbon: `schemas.Carbon` of the same levels.
        rejected: `schemas.RejectedRows`.
        days: Days of the study.
        pue: Power usage effectiveness in the carbon; energies are without it.
        factors: `carbon.factors` of the configuration, for their sources.
        provenance: Site, period, source and version.
    """
    parts = [
        f"# Energy use of {findings.site_text} in {days:g} days",
        provenance,
        *([_SIMULATED_WARNING] if findings.simulated else []),
        "Energies are those of the nodes, read by their baseboard management controllers (BMC); "
        "cooling is not included. Intervals (95 %) cover sensor resolution, sampling and gaps, but "
        "not calibration of the sensors (docs/validation-gemini.md).",
        *chain.from_iterable(findings.conclusions()),
        *_carbon_section(carbon, factors, pue=pue),
        *_exclusion_section(carbon, pue=pue),
        *_rejected_section(rejected),
        *appendix_section(
            findings.measured, findings.ratio, carbon, simulated=findings.simulated, pue=pue
        ),
    ]
    return "\n\n".join(parts).replace(THIN_SPACE, "\u00a0") + "\n"


def opening_markdown(findings: StudyFindings) -> str:
    """The conclusions as a numbered list in Markdown, one to three sentences each, for the report.

    Args:
        findings: Findings of the study.
    """
    points = [
        " ".join(text for text in texts if "**" in text) or texts[0]
        for _, *texts in findings.conclusions()
    ]
    lines = [f"{number}. {point}" for number, point in enumerate(points, start=1)]
    return "\n".join(lines).replace(THIN_SPACE, "\u00a0") + "\n"


_SIMULATED_WARNING = (
    "**SIMULATED SITE. Its jobs, people and powers are invented: no number below is a measurement "
    "of Grid'5000, and none may be cited as one.**"
)


def _site_section(measured: pl.DataFrame, node_energy: pl.DataFrame, where: str) -> list[str]:
    head = "## 1. The site, with its idle hardware"
    kwh, known = pl.col("measured_kwh"), pl.col("class") != "no_data"
    sums = node_energy.select(
        sum_or_zero(kwh).alias("all"),
        sum_or_zero(kwh.filter("has_gpu")).alias("gpu"),
        sum_or_zero(kwh.filter(pl.col("class") == "job")).alias("job"),
        sum_or_zero(kwh.filter(pl.col("class").is_in(OVERHEAD_CLASSES))).alias("overhead"),
        sum_or_zero(pl.col("duration_s")).alias("whole_s"),
        sum_or_zero(pl.col("duration_s").filter(known)).alias("known_s"),
    ).row(0, named=True)
    if not sums["all"] > 0:
        return [head, "No energy was measured."]
    per_kwh = format_number(sums["overhead"] / sums["job"], digits=2) if sums["job"] > 0 else None
    per_job_kwh = "" if per_kwh is None else f": {per_kwh} kWh of overhead for each kWh of jobs"
    missing_h = (sums["whole_s"] - sums["known_s"]) * H_PER_S
    lines = [
        f"The nodes of {where} drew **{format_energy(sums['all'])}** in the "
        f"{format_percent(sums['known_s'] / sums['whole_s'])} of their time that has "
        f"readings, {format_percent(sums['gpu'] / sums['all'])} of it on GPU nodes. No "
        f"readings exist for the other {format_count(round(missing_h))} node hours; their "
        "energy is unknown.",
        f"**{format_percent(sums['overhead'] / sums['all'])}** of it "
        f"({format_energy(sums['overhead'])}) is overhead: hardware that was stranded (free "
        "on a node with a job), idle, in standby or unavailable. A footprint of jobs alone "
        f"omits it{per_job_kwh}.",
    ]
    for row in measured.filter(pl.col("level") == "site").iter_rows(named=True):
        lines.append(f"Jobs: {_energy_with_uncertainty(row)}.")
    return [head, *lines]


def _energy_with_uncertainty(row: Row) -> str:
    """Energy of a row of the levels, its interval, its coverage, and its time without data."""
    if row["measured_kwh"] is None:
        return "energy unknown, because nothing was measured"
    texts = [f"{format_kwh(row['measured_kwh'])} kWh measured"]
    if row["total_low_kwh"] is not None:
        texts.append(f"{format_interval(row)} kWh with estimated gaps (95 % interval)")
    if row["coverage_frac"] is not None:
        texts.append(f"{format_percent(row['coverage_frac'])} of their node time was measured")
    if row["unknown_node_h"] and row["unknown_node_h"] >= 1:
        hours = format_count(round(row["unknown_node_h"]))
        texts.append(f"{hours} node hours have no data and are in none of these numbers")
    return "; ".join(texts)


def _project_section(measured: pl.DataFrame) -> list[str]:
    head = "## 2. The projects: energy of their jobs on GPU nodes"
    rows = (
        measured.filter(pl.col("level") == "project")
        .with_columns(gpu_kwh=pl.col("measured_kwh") * pl.col("gpu_node_frac"))
        .sort("gpu_kwh", "name", descending=[True, False], nulls_last=True)
    )
    if rows["gpu_kwh"].drop_nulls().is_empty():
        return [head, "No energy of a project is known."]
    unnamed = [SMALL_GROUPS, OTHERS, NO_PROJECT]
    largest = rows.filter(~pl.col("name").is_in(unnamed)).head(1)
    texts = [
        f"**{row['name']}** used the most: **{format_energy(row['gpu_kwh'])}** on GPU nodes, "
        f"in {format_count(row['n_jobs'])} jobs of {row['n_users']} people."
        for row in largest.iter_rows(named=True)
        if row["gpu_kwh"] is not None
    ]
    table = [
        "| Project | On GPU nodes (kWh) | Measured (kWh) | 95 % interval (kWh) | Time measured |",
        "|---|--:|--:|--:|--:|",
        *(_project_line(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *texts, "\n".join(table)]


def _project_line(row: Row) -> str:
    interval = "unknown" if row["total_low_kwh"] is None else format_interval(row)
    numbers = [
        "unknown" if row[n] is None else format_kwh(row[n]) for n in ("gpu_kwh", "measured_kwh")
    ]
    coverage = row["coverage_frac"]
    cells = [
        row["name"],
        *numbers,
        interval,
        "unknown" if coverage is None else format_percent(coverage),
    ]
    return f"| {' | '.join(cells)} |"


def _development_section(ratio: pl.DataFrame) -> list[str]:
    head = "## 3. Development against training of the reported model"
    order = pl.col("scope").cast(pl.Enum(["paper", "project"]))
    rows = ratio.sort(order, "name")
    known = rows.filter(pl.col("ratio").is_not_null())
    if (
        known.is_empty()
        and rows["ratio_reason"].fill_null(NO_TRAINING_REASON).is_in(UNCOMPUTED_REASONS).all()
    ):
        return [head, "R is unknown: no run is known to have trained a reported model."]
    papers = known.filter(pl.col("scope") == "paper")
    others = rows.filter(
        pl.col("scope") == "paper",
        pl.col("ratio").is_null(),
        ~pl.col("ratio_reason").is_in(UNCOMPUTED_REASONS),
    )
    texts = []
    if len(papers):
        low, high = papers["ratio"].min(), papers["ratio"].max()
        assert isinstance(low, float)
        assert isinstance(high, float)
        ratios = format_range(format_ratio(low), format_ratio(high))
        noun = "papers" if len(papers) + len(others) > 1 else "paper"
        texts.append(
            f"For {_number_of_papers(len(papers), len(others))} {noun} of this study, development "
            f"used **{ratios} times** the energy of training the reported model"
            f"{_assumption(papers)}. Published ratios: {PUBLISHED_RATIOS}."
        )
    if len(others):
        which = ", ".join(f"{r['name']} ({r['ratio_reason']})" for r in others.to_dicts())
        texts.append(f"**No ratio is given** for {which}: {TOO_LITTLE_KNOWN}.")
    elif known.is_empty():
        texts.append(f"No ratio is given: {TOO_LITTLE_KNOWN}.")
    texts.append(
        f"{RATIO_DEFINITION} The range is the 95 % interval. "
        "*All unknown* counts runs of unknown kind as development. *Assumed* means that no label "
        "names the reported training and the largest is assumed to be it. R is given for a project "
        "only where labels cover all its papers."
    )
    table = [
        "| Paper or project | R | Range | All unknown | Labelled runs | Reported model by "
        "| Without data (GPU h) |",
        "|---|--:|--:|--:|--:|---|--:|",
        *(_ratio_line(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *texts, "\n".join(table)]


def _number_of_papers(n: int, n_others: int) -> str:
    """Number of papers with a ratio, with the total where some lack one for want of measurement."""
    return f"{n} of the {n + n_others}" if n_others else f"the {n}"


def _assumption(papers: pl.DataFrame) -> str:
    """Note on papers without a label for the reported training; empty if there are none."""
    n = len(papers.filter(pl.col("role_basis") == "assumed"))
    which = "" if n == len(papers) else f"for {n} of them "
    return f" ({which}assumed to be the largest training)" if n else ""


def _ratio_line(row: Row) -> str:
    low, high = row["ratio_low"], row["ratio_high"]
    if low is None:
        spread = "unknown"
    else:
        spread = format_range(format_ratio(low), "no end" if high is None else format_ratio(high))
    name = row["name"] if row["scope"] == "paper" else f"project {row['name']}"
    cells = [
        name,
        (row["ratio_reason"] or "unknown") if row["ratio"] is None else format_ratio(row["ratio"]),
        spread,
        format_ratio(row["ratio_all_unknown"]),
        f"{format_count(row['n_labelled'])} of {format_count(row['n_runs'])}",
        row["role_basis"] or "unknown",
        format_count(round(row["unknown_gpu_h"])),
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
            lines.append(f"- making the nodes, by allocated time: {_format_kg(row['carbon_kg'])}")
            continue
        kind = "fuel burnt" if row["convention"] == "direct" else "life cycle"
        source = "RTE's eCO2mix at the jobs' own hours"
        known = row["energy_frac"]
        if row["factor"] == HOURLY_FACTOR and known < 1:
            source += f", known for {format_percent(known)} of the energy"
        lines.append(
            f"- {row['factor']}, {format_number(row['g_per_kwh'])} g/kWh ({kind}): "
            f"{_format_kg(row['carbon_kg'])} ({sources.get(row['factor'], source)})"
        )
    if not lines:
        return []
    name = "PUE 1, so without cooling" if pue == 1 else f"PUE {pue:g}"
    text = (
        f"Carbon of the site's jobs by named factors, at {name}. Factors of different conventions "
        "count different things and do not form a range."
    )
    return ["## Carbon", text, "\n".join(lines)]


def _format_kg(kg: float) -> str:
    return f"{format_number(kg)} kg CO2e"


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
    return [*head, "\n".join(f"- {line}" for line in found)] if found else []
