"""What the report says of each scope: the site, its projects, papers and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from footprint.core.sums import known_sum
from footprint.core.vocabulary import EMBODIED_FACTOR, MEASURED_METHOD, PHASES
from footprint.estimators.comparison import FOUR_METHODS, relative_to_measurement
from footprint.phases.ratio import NO_TRAINING_REASON
from footprint.report import appendix, budget, wording
from footprint.report.appendix import CONVENTION_NAMES, StudyScope
from footprint.report.wording import NARROW_SPACE, Row

LEVEL_HEADINGS = {
    "site": "Site",
    "project": "Teams (projects)",
    "paper": "Papers",
    "user": "People (pseudonyms)",
}
"""Levels of the selector, in its order, with their headings."""

METHOD_NAMES = {
    "bmc": "Measured (BMC)",
    "mlco2": "MLCO2",
    "green_algorithms": "Green Algorithms",
    "codecarbon_2": "CodeCarbon",
}

PHASE_TEXTS = {
    "training": "training of the reported model",
    "inference": "inference with it",
    "development": "development",
    "unknown": "unknown",
}
"""Every phase, with its name in the report."""


@dataclass(frozen=True, kw_only=True)
class PageTables:
    """Tables of a study that the scopes are made of.

    Attributes:
        levels: `schemas.Levels`.
        ratio: `schemas.PhaseRatio`.
        energies: `schemas.PhaseEnergies`.
        carbon: `schemas.Carbon`.
        uncertainty: `schemas.Uncertainty`.
        runs: Result of `run_rows.runs_of_page`; None: not to be published.
    """

    levels: pl.DataFrame
    ratio: pl.DataFrame
    energies: pl.DataFrame
    carbon: pl.DataFrame
    uncertainty: pl.DataFrame
    runs: pl.DataFrame | None


def page_scopes(
    tables: PageTables,
    *,
    study: StudyScope,
    factors: Sequence[Mapping[str, Any]],
    pue: float,
) -> list[dict[str, Any]]:
    """All scopes in the order of the selector, each as the page shows it.

    Args:
        tables: Tables of the study.
        study: Site and days of the study.
        factors: `carbon.factors` of the configuration; the first one makes the carbon.
        pue: Power usage effectiveness in the carbon.

    Returns:
        A dictionary for each scope: `id` (`level:name`), `heading` (group of the selector),
        `name`, `title`, `cards`, `phases`, `methods`, `budget`, `sentence`. Texts are finished;
        energies beside them are in kWh.
    """
    measured = tables.levels.filter(pl.col("method") == MEASURED_METHOD)
    found = []
    for level in LEVEL_HEADINGS:
        rows = measured.filter(pl.col("level") == level).sort(
            "total_kwh", "name", descending=[True, False], nulls_last=True
        )
        found += [
            _scope(row, tables, study=study, factors=factors, pue=pue)
            for row in rows.iter_rows(named=True)
        ]
    return found


def _scope(
    row: Row,
    tables: PageTables,
    *,
    study: StudyScope,
    factors: Sequence[Mapping[str, Any]],
    pue: float,
) -> dict[str, Any]:
    level, name = row["level"], row["name"]
    ratio = _row_of(tables.ratio, scope=level, name=name)
    carbon = _carbon_row(tables.carbon, row, factors)
    phases = _phases(row, tables)
    return {
        "id": f"{level}:{name}",
        "heading": LEVEL_HEADINGS[level],
        "name": name,
        "title": _title(row, ratio, phases, is_published=tables.runs is None),
        "cards": [
            _energy_card(row),
            _development_card(row, ratio, phases, is_published=tables.runs is None),
            _runs_card(row, tables.runs),
            _carbon_card(row, carbon, pue=pue),
        ],
        "phases": phases,
        "methods": _methods(row, tables.levels),
        "budget": _budget(row, tables.uncertainty),
        "sentence": appendix.scope_statement(row, ratio, scope=study, factor=carbon, pue=pue),
    }


def _row_of(frame: pl.DataFrame, **values: str) -> Row | None:
    found = frame.filter(**values).to_dicts()
    return found[0] if found else None


def runs_of_scope(runs: pl.DataFrame, level: str, name: str) -> pl.DataFrame:
    """Runs of a scope.

    Args:
        runs: Result of `run_rows.runs_of_page`.
        level: `site`, `project`, `paper` or `user`.
        name: Name at that level.
    """
    return runs if level == "site" else runs.filter(pl.col(level) == name)


def _phases(row: Row, tables: PageTables) -> list[dict[str, Any]]:
    """Energy of each phase with its interval, which sums over runs do not have.

    Phases without runs, and of unknown energy, are left out.
    """
    rows = _phase_rows(row, tables)
    shown = [(phase, *rows[phase]) for phase in PHASES if phase in rows and rows[phase][0]]
    return [
        {
            "phase": phase,
            "name": PHASE_TEXTS[phase],
            "kwh": kwh,
            "text": _with_interval(kwh, low_kwh, high_kwh),
        }
        for phase, kwh, low_kwh, high_kwh in shown
        if kwh is not None
    ]


def _phase_rows(
    row: Row, tables: PageTables
) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Energy of each phase with its ends: by phase, from R, or as the sum of runs."""
    level, name = row["level"], row["name"]
    ends = ("", "_low", "_high")
    known = tables.energies.filter(scope=level, name=name, division="phase")
    if not known.is_empty():
        columns = ["part", *(f"total{end}_kwh" for end in ends)]
        return {part: tuple(kwh) for part, *kwh in known.select(columns).iter_rows()}
    ratio = _row_of(tables.ratio, scope=level, name=name)
    # the phases of a published group without R may be those of few people
    if ratio is not None and ratio["ratio"] is not None:
        return {phase: tuple(ratio[f"{phase}{end}_kwh"] for end in ends) for phase in PHASES}
    if tables.runs is None:
        return {}
    sums = (
        runs_of_scope(tables.runs, level, name)
        .group_by(pl.col("phase").cast(pl.String))
        .agg(known_sum(pl.col("total_kwh")))
    )
    return {phase: (kwh, None, None) for phase, kwh in sums.iter_rows()}


def _with_interval(kwh: float, low_kwh: float | None, high_kwh: float | None) -> str:
    total, interval = wording.energy_texts(kwh, low_kwh, high_kwh)
    return total if interval is None else f"{total} ({interval})"


def _development_frac(phases: Sequence[Mapping[str, Any]]) -> float | None:
    total = sum(phase["kwh"] for phase in phases)
    found = sum(phase["kwh"] for phase in phases if phase["phase"] == "development")
    return found / total if total > 0 else None


def _title(
    row: Row, ratio: Row | None, phases: Sequence[Mapping[str, Any]], *, is_published: bool
) -> str:
    name = "the site" if row["level"] == "site" else row["name"]
    if ratio is not None and ratio["ratio"] is not None:
        return f"{name}: development used {_ratio_text(ratio)} the energy of the reported training"
    part = _development_frac(phases)
    if part is None:
        return f"The phases of {name} are {'withheld' if is_published else 'unknown'}"
    return f"Of the energy of {name}, {wording.format_percent(part)} is development"


def _ratio_text(ratio: Row) -> str:
    value, _ = wording.ratio_texts(ratio["ratio"], ratio["ratio_low"], ratio["ratio_high"])
    return f"{value} times"


def _energy_card(row: Row) -> dict[str, str]:
    label = "Energy at the nodes"
    if row["total_kwh"] is None:
        return {"label": label, "value": wording.UNKNOWN, "note": "nothing was measured"}
    total, interval = wording.energy_texts(
        row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
    )
    notes = ["interval unknown" if interval is None else f"95 %: {interval}"]
    if row["measured_frac"] is not None:
        rest = ", the rest estimated" if 0 < row["measured_frac"] < 1 else ""
        notes.append(f"{wording.format_percent(row['measured_frac'])} measured{rest}")
    if row["unknown_node_h"]:
        hours = wording.format_duration(row["unknown_node_h"], of="node ")
        notes.append(f"{hours} of unknown energy not included")
        total = f"at least {total}"
    return {"label": label, "value": total, "note": "; ".join(notes)}


def _development_card(
    row: Row, ratio: Row | None, phases: Sequence[Mapping[str, Any]], *, is_published: bool
) -> dict[str, str]:
    label = "Development"
    part = _development_frac(phases)
    if part is None and is_published:
        return {"label": label, "value": "withheld", "note": "a phase is that of too few people"}
    if part is None:
        return {"label": label, "value": wording.UNKNOWN, "note": "no run of known energy"}
    percent = wording.format_percent(part)
    kwh = sum(phase["kwh"] for phase in phases if phase["phase"] == "development")
    if ratio is None or ratio["ratio"] is None:
        note = f"{wording.format_energy(kwh)}: all runs but those of reported models"
        if row["level"] in ("paper", "project"):
            reason = (ratio and ratio["ratio_reason"]) or NO_TRAINING_REASON
            note += f"; no ratio to training: {reason}"
        return {"label": label, "value": percent, "note": note}
    _, interval = wording.ratio_texts(ratio["ratio"], ratio["ratio_low"], ratio["ratio_high"])
    sure = "interval unknown" if interval is None else f"95 %: {interval}"
    basis = (
        "the largest training, assumed to be the reported one"
        if ratio["role_basis"] == "assumed"
        else "training the reported model"
    )
    return {
        "label": label,
        "value": _ratio_text(ratio),
        "note": f"R ({sure}), over {basis}; {percent} of the energy",
    }


def _runs_card(row: Row, runs: pl.DataFrame | None) -> dict[str, str]:
    """Number of runs, or of jobs where the runs are not to be published."""
    notes = []
    if row["gpu_hours"] is not None:
        notes.append(f"{wording.format_count(round(row['gpu_hours']))} GPU hours")
    if row["level"] != "user" and row["n_users"]:
        people = "person" if row["n_users"] == 1 else "people"
        notes.append(f"{wording.format_count(row['n_users'])} {people}")
    n_jobs = wording.UNKNOWN if row["n_jobs"] is None else wording.format_count(row["n_jobs"])
    if runs is None:
        return {"label": "Jobs", "value": n_jobs, "note": ", ".join(notes)}
    own = runs_of_scope(runs, row["level"], row["name"])
    text = ", ".join([f"{n_jobs} jobs", *notes])
    return {"label": "Runs", "value": wording.format_count(len(own)), "note": text}


def _carbon_row(carbon: pl.DataFrame, row: Row, factors: Sequence[Mapping[str, Any]]) -> Row | None:
    names = [factor["name"] for factor in factors[:1]]
    found = carbon.filter(
        pl.col("level") == row["level"],
        pl.col("name") == row["name"],
        pl.col("factor").is_in(names),
        pl.col("factor") != EMBODIED_FACTOR,
    ).to_dicts()
    return found[0] if found else None


def _carbon_card(row: Row, carbon: Row | None, *, pue: float) -> dict[str, str]:
    """Carbon of the total, as in the statement."""
    label = "Carbon"
    if carbon is None or carbon["g_per_kwh"] is None or row["total_kwh"] is None:
        return {"label": label, "value": wording.UNKNOWN, "note": "no factor or no energy known"}
    kg_with_ends = appendix.carbon_of_total(row, carbon["g_per_kwh"], pue=pue)
    value, interval = wording.mass_texts(*kg_with_ends)
    sure = "" if interval is None else f"95 %: {interval}; "
    grams = f"{wording.format_number(carbon['g_per_kwh'])}{NARROW_SPACE}g/kWh"
    kind = CONVENTION_NAMES[carbon["convention"]]
    note = f"{sure}{carbon['factor']}, {grams} ({kind}), PUE {pue:g}"
    return {"label": label, "value": value, "note": note}


def _methods(row: Row, levels: pl.DataFrame) -> list[dict[str, Any]]:
    """Energy of the measured time by each of the four methods, the measurement first."""
    own = levels.filter(pl.col("level") == row["level"], pl.col("name") == row["name"])
    compared = relative_to_measurement(own).drop_nulls("covered_kwh")
    rows = {line["method_name"]: line for line in compared.iter_rows(named=True)}
    names = ["bmc", *(name for name in FOUR_METHODS if name != "bmc")]
    return [
        {
            "method": name,
            "name": METHOD_NAMES[name],
            "kwh": rows[name]["covered_kwh"],
            "text": _method_text(rows[name]),
        }
        for name in names
        if name in rows
    ]


def _method_text(line: Row) -> str:
    energy = wording.format_energy(line["covered_kwh"])
    if line["method_name"] == "bmc" or line["ratio"] is None:
        return energy
    return f"{energy} ({wording.format_change(line['ratio'])})"


def _budget(row: Row, uncertainty: pl.DataFrame) -> list[list[str]]:
    """Source, evaluation, share of the variance and interval of each source of uncertainty."""
    own = budget.sort_sources(
        uncertainty.filter(pl.col("level") == row["level"], pl.col("name") == row["name"])
    )
    return [
        [
            budget.source_name(line["source"]),
            line["evaluation"],
            wording.format_percent(line["share_frac"]),
            " to ".join(wording.format_energy(line[end]) for end in ("low_kwh", "high_kwh")),
        ]
        for line in own.iter_rows(named=True)
        if line["share_frac"] is None or line["share_frac"] > 0
    ]
