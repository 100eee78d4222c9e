"""The section of the summary with a statement for the appendix of each paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from footprint.core.names import escape_markdown
from footprint.core.vocabulary import SMALL_GROUPS
from footprint.phases.ratio import NO_TRAINING_REASON
from footprint.report.wording import (
    NARROW_SPACE,
    UNKNOWN,
    Row,
    energy_texts,
    format_duration,
    format_mass,
    format_number,
    format_percent,
    format_qualified,
    ratio_texts,
)

CONVENTION_NAMES = {"direct": "fuel burnt", "life_cycle": "life cycle"}
"""Scope of an emission factor in a sentence, by its convention."""

BOUNDARY = "cooling, network, storage and manufacturing are not included"


@dataclass(frozen=True, kw_only=True)
class StudyScope:
    """What all energies of a study refer to.

    Attributes:
        site: Name of the site.
        simulated: Whether the site is a simulated one.
        start: First moment of the study.
        end: First moment after the study.
    """

    site: str
    simulated: bool
    start: datetime
    end: datetime

    @property
    def site_text(self) -> str:
        """Name of the site in a sentence."""
        return f"the simulated site {self.site}" if self.simulated else self.site.title()

    @property
    def days_text(self) -> str:
        """Days of the study in a sentence, as `between 3 March and 27 April 2025`."""
        first, last = self.start.date(), (self.end - timedelta(microseconds=1)).date()
        if first == last:
            return f"on {first.day} {first:%B %Y}"
        since = f"{first.day} {first:%B}" + ("" if first.year == last.year else f" {first.year}")
        return f"between {since} and {last.day} {last:%B %Y}"


def appendix_section(
    measured: pl.DataFrame,
    ratio: pl.DataFrame,
    carbon: pl.DataFrame,
    *,
    scope: StudyScope,
    factors: Sequence[Mapping[str, Any]],
    pue: float,
) -> list[str]:
    """Paragraphs of the section: its heading, and a statement for each paper with known energy.

    Args:
        measured: Rows of the measurement of `schemas.Levels`.
        ratio: `schemas.PhaseRatio`.
        carbon: `schemas.Carbon` of the same levels.
        scope: Site and days of the study.
        factors: `carbon.factors` of the configuration; statements use the first alone.
        pue: Power usage effectiveness in the carbon.
    """
    head = "## For the appendix of a paper"
    papers = measured.filter(pl.col("level") == "paper", pl.col("total_kwh").is_not_null())
    of_paper = {
        row["name"]: row for row in ratio.filter(pl.col("scope") == "paper").iter_rows(named=True)
    }
    names = [factor["name"] for factor in factors[:1]]
    of_factor = carbon.filter(pl.col("level") == "paper", pl.col("factor").is_in(names))
    factor_of_paper = {row["name"]: row for row in of_factor.iter_rows(named=True)}
    lines = [
        "> "
        + paper_statement(
            row,
            of_paper.get(row["name"]),
            scope=scope,
            factor=factor_of_paper.get(row["name"]),
            pue=pue,
        )
        for row in papers.sort("name").iter_rows(named=True)
        if row["name"] != SMALL_GROUPS
    ]
    if not lines:
        return [
            head,
            "Label the jobs of a paper (docs/labels.md) to get its statement here.",
        ]
    warning = (
        ["(Simulated site: these statements are examples. Do not publish them.)"]
        if scope.simulated
        else []
    )
    return [head, *warning, *lines]


def paper_statement(
    row: Row, phases: Row | None, *, scope: StudyScope, factor: Row | None, pue: float
) -> str:
    """Energy of a paper, R, carbon and boundary, for its appendix.

    *All other runs* are those of R: runs of known kind that neither trained the reported model
    nor inferred with it.

    Args:
        row: Row of the paper in `schemas.Levels`; its total is known.
        phases: Row of the paper in `schemas.PhaseRatio`; None: none of its runs started.
        scope: Site and days of the study.
        factor: Row of the paper in `schemas.Carbon` by one factor; None: no carbon.
        pue: Power usage effectiveness in the carbon.
    """
    texts = [_energy_sentence(row, scope)]
    if phases is not None:
        texts.append(_ratio_sentence(phases))
    carbon = _carbon_sentence(row, factor, pue=pue)
    texts += [carbon] if carbon else []
    return " ".join([*texts, f"{_method_text(row)}; {BOUNDARY}."])


def scope_statement(
    row: Row, phases: Row | None, *, scope: StudyScope, factor: Row | None, pue: float
) -> str:
    """Energy of a site, project, paper or person, with carbon and boundary; of a paper with R.

    Args:
        row: Row of the site, project, paper or person in `schemas.Levels`.
        phases: As in `paper_statement`.
        scope: As in `paper_statement`.
        factor: Its row in `schemas.Carbon` by one factor; None: no carbon.
        pue: Power usage effectiveness in the carbon.
    """
    if row["total_kwh"] is None:
        return f"The energy of {row['name']} is unknown."
    if row["level"] == "paper":
        return paper_statement(row, phases, scope=scope, factor=factor, pue=pue)
    subject = "All jobs" if row["level"] == "site" else f"The jobs of {row['name']}"
    carbon = _carbon_sentence(row, factor, pue=pue)
    texts = [_energy_sentence(row, scope, subject=subject), *([carbon] if carbon else [])]
    return " ".join([*texts, f"{_method_text(row)}; {BOUNDARY}."])


def _energy_sentence(row: Row, scope: StudyScope, *, subject: str | None = None) -> str:
    total, interval = energy_texts(row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"])
    part, unknown_h = row["measured_frac"], row["unknown_node_h"]
    energy = format_qualified(total, measured_frac=part, unknown_node_h=unknown_h)
    details = [f"95 % interval {UNKNOWN}" if interval is None else f"95 %: {interval}"]
    if part is not None:
        rest = ", the rest estimated" if 0 < part < 1 else ""
        details.append(f"{format_percent(part)} measured{rest}")
    if unknown_h:
        hours = format_duration(unknown_h, of="node ")
        details.append(f"the energy of {hours} is unknown and not included")
    subject = subject or f"Research for {row['name']}"
    return (
        f"{subject} used {energy} of electricity at the compute nodes of "
        f"{scope.site_text} {scope.days_text} ({'; '.join(details)})."
    )


def _ratio_sentence(phases: Row) -> str:
    """Energy of the reported training, and the ratio of all other runs to it."""
    others = f"all other runs{_excepted_runs(phases)}"
    training_kwh, reason = phases["training_kwh"], phases["ratio_reason"] or NO_TRAINING_REASON
    if training_kwh is None:
        return f"The ratio of {others} to training the reported model cannot be given: {reason}."
    ends = (phases["training_low_kwh"], phases["training_high_kwh"])
    energy = _with_interval(*energy_texts(training_kwh, *ends))
    assumed = phases["role_basis"] == "assumed"
    basis = " (assumed to be the largest training)" if assumed else ""
    text = f"Training the reported model{basis} took {energy}; "
    if phases["ratio"] is None:
        return f"{text}the ratio of {others} to it cannot be given: {reason}."
    times = _with_interval(*ratio_texts(*(phases[f"ratio{end}"] for end in ("", "_low", "_high"))))
    return f"{text}{others} took {times} times as much."


def _with_interval(value: str, interval: str | None) -> str:
    return value if interval is None else f"{value} ({interval})"


def _excepted_runs(phases: Row) -> str:
    """Runs that count in neither side of R, as an exception from all other runs."""
    names = {"inference_kwh": "inference with it", "unknown_kwh": "runs of unknown kind"}
    found = [name for column, name in names.items() if phases[column]]
    return f", except {' and '.join(found)}," if found else ""


def _carbon_sentence(row: Row, factor: Row | None, *, pue: float) -> str:
    """Carbon of the total by one factor, so of one convention and one grid; empty without one."""
    if factor is None or factor["g_per_kwh"] is None:
        return ""
    mass = format_mass(*carbon_of_total(row, factor["g_per_kwh"], pue=pue))
    at_pue = "" if pue == 1 else f" and a PUE of {pue:g}"
    named = escape_markdown(factor["factor"])
    return (
        f"At {format_number(factor['g_per_kwh'])}{NARROW_SPACE}g/kWh ({named}, "
        f"{CONVENTION_NAMES[factor['convention']]}){at_pue}, this is {mass}."
    )


def carbon_of_total(
    row: Row, g_per_kwh: float, *, pue: float
) -> tuple[float, float | None, float | None]:
    """Carbon (kg CO2e) of the total energy of a level, and of both ends of its interval.

    Args:
        row: Row of `schemas.Levels`; its total is known.
        g_per_kwh: Emission factor (g/kWh).
        pue: Power usage effectiveness.
    """
    kg_per_kwh = pue * g_per_kwh / 1000
    low_kg, high_kg = (
        None if row[end] is None else row[end] * kg_per_kwh
        for end in ("total_low_kwh", "total_high_kwh")
    )
    return row["total_kwh"] * kg_per_kwh, low_kg, high_kg


def _method_text(row: Row) -> str:
    if row["measured_frac"] == 0:
        return "Estimated without readings of the nodes' power"
    return "Measured by the nodes' management controllers"
