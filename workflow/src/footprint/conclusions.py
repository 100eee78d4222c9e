"""The three conclusions of the talk with this study's numbers: `results/summary.md`, and in short.

C. Douwes' talk (GreenDays 2025) concludes: count the hardware that idles, count what a team draws,
and count development beside the training that is reported. Each is said here with what stands
behind its numbers: how much was measured, how sure that is, and what is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from footprint import carbon as carbon_of
from footprint import rejected_rows
from footprint.figures import style
from footprint.levels import METHOD, NO_PROJECT, OTHERS, SMALL_GROUPS
from footprint.phases.ratios import DEFINITION, NO_TRAINING
from footprint.summation import total
from footprint.tables import OFFSET_CLASSES
from footprint.units import H_PER_S

Row = Mapping[str, Any]
TOO_LITTLE = "less than 90 % of the time of development or of the reported training was measured"
PUBLISHED = "3 to 256 over four projects (Douwes, Magron and Serizel, arXiv 2610.01619)"


def text(
    levels: pl.DataFrame,
    node_energy: pl.DataFrame,
    ratio: pl.DataFrame,
    carbon: pl.DataFrame,
    set_aside: pl.DataFrame,
    *,
    site: str,
    days: float,
    simulated: bool,
    pue: float,
    factors: Sequence[Mapping[str, Any]],
    provenance: str,
) -> str:
    """The summary as Markdown, each paragraph on one line.

    Args:
        levels: `tables.Levels`.
        node_energy: `tables.NodeEnergy`.
        ratio: `tables.PhaseRatio`.
        carbon: `tables.Carbon` of the same levels.
        set_aside: `tables.SetAside`.
        site: Name of the site.
        days: Days of the study.
        simulated: Whether the site is a simulated one.
        pue: Power usage effectiveness by which carbon is multiplied, and energies are not.
        factors: `carbon.factors` of the configuration, for their sources.
        provenance: Site, period, source and version.
    """
    measured = levels.filter(pl.col("method") == METHOD)
    where = f"the simulated site {site}" if simulated else site
    parts = [
        f"# What {where} used in {days:g} days",
        provenance,
        *([_SIMULATED] if simulated else []),
        "Energies are those of the nodes, read by their baseboard management controllers, before "
        "cooling. A 95 % interval holds what the sensors' steps, the time between readings and "
        "gaps leave open, not a bias of the sensors themselves (docs/validation-gemini.md).",
        *_site(measured, node_energy, where),
        *_projects(measured),
        *_development(ratio),
        *_carbon(carbon, factors, pue=pue),
        *_left_out(carbon, pue=pue),
        *_rejected(set_aside),
        *_appendix(measured, ratio, carbon, simulated=simulated, pue=pue),
    ]
    return "\n\n".join(parts).replace(style.THIN_SPACE, "\u00a0") + "\n"


def opening(
    levels: pl.DataFrame,
    node_energy: pl.DataFrame,
    ratio: pl.DataFrame,
    *,
    site: str,
    simulated: bool,
) -> str:
    """The conclusions as a numbered list in Markdown, a sentence or two each, for the report.

    Args:
        levels: `tables.Levels`.
        node_energy: `tables.NodeEnergy`.
        ratio: `tables.PhaseRatio`.
        site: Name of the site.
        simulated: Whether the site is a simulated one.
    """
    measured = levels.filter(pl.col("method") == METHOD)
    where = f"the simulated site {site}" if simulated else site
    sections = [_site(measured, node_energy, where), _projects(measured), _development(ratio)]
    points = [
        " ".join(said for said in after if "**" in said) or after[0] for _, *after in sections
    ]
    lines = [f"{number}. {point}" for number, point in enumerate(points, start=1)]
    return "\n".join(lines).replace(style.THIN_SPACE, "\u00a0") + "\n"


_SIMULATED = (
    "**SIMULATED SITE. Its jobs, people and powers are invented: no number below is a measurement "
    "of Grid'5000, and none may be cited as one.**"
)


def _site(measured: pl.DataFrame, node_energy: pl.DataFrame, where: str) -> list[str]:
    head = "## 1. The site: count the hardware that idles"
    kwh, known = pl.col("energy_kwh"), pl.col("class") != "no_data"
    sums = node_energy.select(
        total(kwh).alias("all"),
        total(kwh.filter("has_gpu")).alias("gpu"),
        total(kwh.filter(pl.col("class") == "job")).alias("job"),
        total(kwh.filter(pl.col("class").is_in(OFFSET_CLASSES))).alias("offset"),
        total(pl.col("duration_s")).alias("whole_s"),
        total(pl.col("duration_s").filter(known)).alias("known_s"),
    ).row(0, named=True)
    if not sums["all"] > 0:
        return [head, "No energy was measured, so nothing can be said."]
    per_kwh = style.number(sums["offset"] / sums["job"], digits=2) if sums["job"] > 0 else None
    beside = "" if per_kwh is None else f": {per_kwh} kWh for each kWh of a job"
    missing_h = (sums["whole_s"] - sums["known_s"]) * H_PER_S
    lines = [
        f"The nodes of {where} drew **{style.energy(sums['all'])}** in the "
        f"{style.percent(sums['known_s'] / sums['whole_s'])} of their time that has readings; "
        f"{style.percent(sums['gpu'] / sums['all'])} of it on GPU nodes. The other "
        f"{style.count(round(missing_h))} node hours are unknown, not nothing.",
        f"**{style.percent(sums['offset'] / sums['all'])}** of it ({style.energy(sums['offset'])}) "
        "served no job: hardware that was idle, left over beside jobs, asleep or unavailable. A "
        f"footprint that counts jobs alone leaves it out{beside}.",
    ]
    for row in measured.filter(pl.col("level") == "site").iter_rows(named=True):
        lines.append(f"Jobs: {_with_doubts(row)}.")
    return [head, *lines]


def _with_doubts(row: Row) -> str:
    """Energy of a row of the levels, its interval, its coverage, and what has no data."""
    if row["energy_kwh"] is None:
        return "energy unknown, since nothing was measured"
    said = [f"{_kwh(row['energy_kwh'])} kWh measured"]
    if row["energy_low_kwh"] is not None:
        said.append(f"{_interval(row)} kWh with the estimate for gaps (95 %)")
    if row["coverage_frac"] is not None:
        said.append(f"{style.percent(row['coverage_frac'])} of the time held was measured")
    if row["unmeasured_node_h"] and row["unmeasured_node_h"] >= 1:
        hours = style.count(round(row["unmeasured_node_h"]))
        said.append(f"{hours} node hours have no data and are in none of these numbers")
    return ", ".join(said)


def _interval(row: Row) -> str:
    return _span(_kwh(row["energy_low_kwh"]), _kwh(row["energy_high_kwh"]))


def _span(low: str, high: str) -> str:
    """Both ends, or the one that they are where rounding leaves no difference."""
    return low if low == high else f"{low} to {high}"


def _kwh(kwh: float) -> str:
    """Whole kWh from 100 on, else three significant digits."""
    return style.count(round(kwh)) if kwh >= 100 else style.number(kwh)


def _projects(measured: pl.DataFrame) -> list[str]:
    head = "## 2. The teams: what their jobs drew on GPU nodes"
    rows = (
        measured.filter(pl.col("level") == "project")
        .with_columns(gpu_kwh=pl.col("energy_kwh") * pl.col("gpu_node_frac"))
        .sort("gpu_kwh", "name", descending=[True, False], nulls_last=True)
    )
    if rows["gpu_kwh"].drop_nulls().is_empty():
        return [head, "No energy of a project is known."]
    apart = [SMALL_GROUPS, OTHERS, NO_PROJECT]
    largest = rows.filter(~pl.col("name").is_in(apart)).head(1)
    said = [
        f"**{row['name']}** used most: **{style.energy(row['gpu_kwh'])}** on GPU nodes, "
        f"by {style.count(row['n_jobs'])} jobs of {row['n_users']} people."
        for row in largest.iter_rows(named=True)
        if row["gpu_kwh"] is not None
    ]
    table = [
        "| Project | On GPU nodes (kWh) | Measured (kWh) | 95 % interval (kWh) | Time measured |",
        "|---|--:|--:|--:|--:|",
        *(_project(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *said, "\n".join(table)]


def _project(row: Row) -> str:
    interval = "unknown" if row["energy_low_kwh"] is None else _interval(row)
    numbers = ["unknown" if row[n] is None else _kwh(row[n]) for n in ("gpu_kwh", "energy_kwh")]
    coverage = row["coverage_frac"]
    cells = [
        row["name"],
        *numbers,
        interval,
        "unknown" if coverage is None else style.percent(coverage),
    ]
    return f"| {' | '.join(cells)} |"


def _development(ratio: pl.DataFrame) -> list[str]:
    head = "## 3. Development beside training"
    order = pl.col("scope").cast(pl.Enum(["paper", "project"]))
    rows = ratio.sort(order, "name")
    known = rows.filter(pl.col("ratio").is_not_null())
    if known.is_empty() and (rows["ratio_reason"].fill_null(NO_TRAINING) == NO_TRAINING).all():
        return [head, "No ratio is known: no run is known to have trained a reported model."]
    papers = known.filter(pl.col("scope") == "paper")
    others = rows.filter(
        pl.col("scope") == "paper", pl.col("ratio").is_null(), pl.col("ratio_reason") != NO_TRAINING
    )
    said = []
    if len(papers):
        low, high = papers["ratio"].min(), papers["ratio"].max()
        assert isinstance(low, float)
        assert isinstance(high, float)
        many = _span(_times(low), _times(high))
        noun = "papers" if len(papers) + len(others) > 1 else "paper"
        said.append(
            f"For {_these(len(papers), len(others))} {noun} of this study, development took "
            f"**{many} times** the training of the reported model{_assumed(papers)}. "
            f"Published: {PUBLISHED}."
        )
    if len(others):
        which = ", ".join(f"{r['name']} ({r['ratio_reason']})" for r in others.to_dicts())
        said.append(f"**No ratio is given** for {which}: {TOO_LITTLE}.")
    elif known.is_empty():
        said.append(f"No ratio is given: {TOO_LITTLE}.")
    said.append(
        f"{DEFINITION} The range is over the thresholds of the rules × 0.5, 1 and 2; *all unknown* "
        "counts runs of unknown kind as development; *assumed* takes the largest training for the "
        "reported one, since no label names it. What was not measured is in no ratio."
    )
    table = [
        "| Paper or project | R | Range | All unknown | Labelled runs | Reported model by "
        "| Without data (GPU h) |",
        "|---|--:|--:|--:|--:|---|--:|",
        *(_ratio_line(row) for row in rows.iter_rows(named=True)),
    ]
    return [head, *said, "\n".join(table)]


def _these(n: int, n_others: int) -> str:
    """Papers with a ratio, and among how many where some have none for want of measurement."""
    return f"{n} of the {n + n_others}" if n_others else f"the {n}"


def _assumed(papers: pl.DataFrame) -> str:
    """What the headline owes to papers of which no label names the reported training."""
    n = len(papers.filter(pl.col("role_basis") == "assumed"))
    many = "" if n == len(papers) else f" for {n} of them"
    return f", which{many} is assumed to be the largest" if n else ""


def _times(value: float | None) -> str:
    return "unknown" if value is None else style.number(value, digits=2 if value < 10 else 3)


def _ratio_line(row: Row) -> str:
    low, high = row["ratio_low"], row["ratio_high"]
    if low is None:
        spread = "unknown"
    else:
        spread = _span(_times(low), "no end" if high is None else _times(high))
    name = row["name"] if row["scope"] == "paper" else f"project {row['name']}"
    cells = [
        name,
        (row["ratio_reason"] or "unknown") if row["ratio"] is None else _times(row["ratio"]),
        spread,
        _times(row["ratio_all_unknown"]),
        f"{style.count(row['n_labelled'])} of {style.count(row['n_runs'])}",
        row["role_basis"] or "unknown",
        style.count(round(row["unmeasured_gpu_h"])),
    ]
    return f"| {' | '.join(cells)} |"


def _carbon(carbon: pl.DataFrame, factors: Sequence[Mapping[str, Any]], *, pue: float) -> list[str]:
    sources = {factor["name"]: factor["source"] for factor in factors}
    rows = carbon.filter(pl.col("level") == "site").sort("convention", "g_per_kwh", "factor")
    lines = []
    for row in rows.drop_nulls("carbon_kg").iter_rows(named=True):
        if row["convention"] == "embodied":
            lines.append(f"- making the nodes, by the time held: {_kg(row['carbon_kg'])}")
            continue
        kind = "fuel burnt" if row["convention"] == "direct" else "life cycle"
        of = "RTE's eCO2mix at the jobs' own hours"
        known = row["energy_frac"]
        if row["factor"] == carbon_of.BY_HOURS and known < 1:
            of += f", known for {style.percent(known)} of the energy"
        lines.append(
            f"- {row['factor']}, {style.number(row['g_per_kwh'])} g/kWh ({kind}): "
            f"{_kg(row['carbon_kg'])} ({sources.get(row['factor'], of)})"
        )
    if not lines:
        return []
    name = "PUE 1, so without cooling" if pue == 1 else f"PUE {pue:g}"
    said = (
        f"The jobs of the site, by named factors and at {name}. Factors of two conventions are no "
        "range: each counts something else."
    )
    return ["## Carbon", said, "\n".join(lines)]


def _kg(kg: float) -> str:
    return f"{style.number(kg)} kg CO2e"


def _left_out(carbon: pl.DataFrame, *, pue: float) -> list[str]:
    made = "embodied" in carbon["convention"].cast(pl.String)
    making = (
        "in no kWh above; the embodied line counts it by configured kilograms for a node"
        if made
        else "making, moving and scrapping the nodes; carbon.embodied can add an estimate"
    )
    cooling = (
        "the building's cooling and power supply: all is at PUE 1"
        if pue == 1
        else f"in no kWh above; carbon and comparisons are at PUE {pue:g}"
    )
    return [
        "## What is left out",
        "\n".join(
            [
                f"- **Manufacturing**: {making}.",
                f"- **Cooling**: {cooling}.",
                "- **Storage and networks**: file servers, switches and frontends draw power too, "
                "and no job is charged for it.",
                "- **Rebound**: what is saved may be spent on more runs, which no sum shows.",
                "- **Elsewhere**: laptops, other clusters and clouds, and all use of a model once "
                "it is published.",
            ]
        ),
    ]


def _rejected(set_aside: pl.DataFrame) -> list[str]:
    """Section on rejected rows; none where there are none."""
    found = rejected_rows.lines(set_aside)
    said = "Rows of the input that are in no number above, and what limits those that are."
    head = ["## Rejected rows", said]
    return [*head, "\n".join(f"- {line}" for line in found)] if found else []


def _appendix(
    measured: pl.DataFrame,
    ratio: pl.DataFrame,
    carbon: pl.DataFrame,
    *,
    simulated: bool,
    pue: float,
) -> list[str]:
    head = "## For the appendix of a paper"
    papers = measured.filter(pl.col("level") == "paper", pl.col("energy_kwh").is_not_null())
    of_paper = {
        row["name"]: row for row in ratio.filter(pl.col("scope") == "paper").iter_rows(named=True)
    }
    lines = [
        f"> {_sentence(row, of_paper.get(row['name']), carbon, pue=pue)}"
        for row in papers.sort("name").iter_rows(named=True)
        if row["name"] != SMALL_GROUPS
    ]
    if not lines:
        return [head, "Label a paper's jobs (docs/labels.md), and its sentence stands here."]
    warning = ["(Simulated: an example of the sentence, not one to print.)"] if simulated else []
    return [head, *warning, *lines]


def _sentence(row: Row, phases: Row | None, carbon: pl.DataFrame, *, pue: float) -> str:
    said = f"The development of {row['name']} took {_kwh(row['energy_kwh'])} kWh"
    doubts = []
    if row["energy_low_kwh"] is not None:
        doubts.append(f"95 % interval with the estimate for gaps {_interval(row)} kWh")
    if row["coverage_frac"] is not None:
        doubts.append(f"{style.percent(row['coverage_frac'])} of the node time held was measured")
    said += f" ({'; '.join(doubts)})" if doubts else ""
    said += f", over {style.count(row['n_jobs'])} jobs"
    if phases is not None and phases["training_kwh"] is not None:
        by = "as labelled" if phases["role_basis"] == "label" else "assumed the largest"
        said += (
            f"; training the reported model took {_kwh(phases['training_kwh'])} kWh of it ({by})"
        )
        if phases["ratio"] is not None:
            said += f", and the rest of its development {_times(phases['ratio'])} times as much"
        elif phases["ratio_reason"] is not None:
            said += f", a ratio is not given ({phases['ratio_reason']})"
    cooled = "" if pue == 1 else f", at PUE {pue:g}"
    for convention, words in {"direct": "of fuel burnt", "life_cycle": "by life cycle"}.items():
        ends = carbon_of.bounds(carbon, level="paper", name=row["name"], convention=convention)
        if len(ends):
            kg = [style.number(value) for value in ends["carbon_kg"]]
            names = " and ".join(ends["factor"])
            said += f"; {_span(kg[0], kg[-1])} kg CO2e {words} ({names}{cooled})"
    return (
        f"{said}. Energy was measured at the nodes by their BMC, with footprint, without "
        "manufacturing, cooling, storage and networks."
    )
