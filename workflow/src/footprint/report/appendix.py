"""The section of the summary with a sentence for the appendix of each paper."""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import SMALL_GROUPS
from footprint.report.wording import (
    Row,
    format_count,
    format_interval,
    format_kwh,
    format_number,
    format_percent,
    format_range,
    format_ratio,
)


def appendix_section(
    measured: pl.DataFrame,
    ratio: pl.DataFrame,
    carbon: pl.DataFrame,
    *,
    simulated: bool,
    pue: float,
) -> list[str]:
    """Paragraphs of the section: its heading, and a sentence for each paper with measured energy.

    Args:
        measured: Rows of the measurement of `schemas.Levels`.
        ratio: `schemas.PhaseRatio`.
        carbon: `schemas.Carbon` of the same levels.
        simulated: Whether the site is a simulated one.
        pue: Power usage effectiveness in the carbon.
    """
    head = "## For the appendix of a paper"
    papers = measured.filter(pl.col("level") == "paper", pl.col("measured_kwh").is_not_null())
    of_paper = {
        row["name"]: row for row in ratio.filter(pl.col("scope") == "paper").iter_rows(named=True)
    }
    lines = [
        f"> {_sentence(row, of_paper.get(row['name']), carbon, pue=pue)}"
        for row in papers.sort("name").iter_rows(named=True)
        if row["name"] != SMALL_GROUPS
    ]
    if not lines:
        return [
            head,
            "Label the jobs of a paper (docs/labels.md) to get its sentence here.",
        ]
    warning = (
        ["(Simulated site: these sentences are examples. Do not publish them.)"]
        if simulated
        else []
    )
    return [head, *warning, *lines]


def _sentence(row: Row, phases: Row | None, carbon: pl.DataFrame, *, pue: float) -> str:
    """Energy, training, R and carbon of a paper, with interval and coverage, in one sentence."""
    text = f"The jobs of {row['name']} used {format_kwh(row['measured_kwh'])} kWh"
    doubts = []
    if row["total_low_kwh"] is not None:
        doubts.append(f"95 % interval with estimated gaps {format_interval(row)} kWh")
    if row["coverage_frac"] is not None:
        doubts.append(f"{format_percent(row['coverage_frac'])} of their node time was measured")
    text += f" ({'; '.join(doubts)})" if doubts else ""
    text += f", in {format_count(row['n_jobs'])} jobs"
    if phases is not None and phases["training_kwh"] is not None:
        basis = "as labelled" if phases["role_basis"] == "label" else "assumed the largest"
        kwh = format_kwh(phases["training_kwh"])
        text += f"; training the reported model used {kwh} kWh of it ({basis})"
        if phases["ratio"] is not None:
            text += f", and its development {format_ratio(phases['ratio'])} times as much"
        elif phases["ratio_reason"] is not None:
            text += (
                f", the ratio of development to training is not given ({phases['ratio_reason']})"
            )
    cooled = "" if pue == 1 else f", at PUE {pue:g}"
    for convention, words in {"direct": "of fuel burnt", "life_cycle": "by life cycle"}.items():
        ends = carbon_bounds(carbon, level="paper", name=row["name"], convention=convention)
        if len(ends):
            kg = [format_number(value) for value in ends["carbon_kg"]]
            names = " and ".join(ends["factor"])
            text += f"; {format_range(kg[0], kg[-1])} kg CO2e {words} ({names}{cooled})"
    return (
        f"{text}. Energy was measured at the nodes by their BMC, with footprint. Manufacturing, "
        "cooling, storage and networks are not included."
    )


def carbon_bounds(carbon: pl.DataFrame, *, level: str, name: str, convention: str) -> pl.DataFrame:
    """Lowest and highest carbon of one row of the levels over the factors of one convention.

    Args:
        carbon: `schemas.Carbon`.
        level: Level of the row.
        name: Name of the row.
        convention: `direct` or `life_cycle`.

    Returns:
        The rows of the two factors, the lowest first; one row if only one factor has a value.
    """
    rows = carbon.filter(
        pl.col("level") == level, pl.col("name") == name, pl.col("convention") == convention
    )
    ordered = rows.drop_nulls("carbon_kg").sort("carbon_kg", "factor")
    return ordered.filter(pl.int_range(pl.len()).is_in([0, len(ordered) - 1]))
