"""Figure of the energy of each phase of papers and projects, with R."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.levels.levels import LEVEL_HEADINGS, is_named
from footprint.phases.ratio import NO_TRAINING_REASON, RATIO_DEFINITION, SCOPES, UNCOMPUTED_REASONS
from footprint.report import wording
from footprint.report.figures import style

MOST_ROWS = 8
"""Most rows of a scope, those with most energy; a line of its own counts the rest."""
ROW_MM = 6.0
NOTE_MM = 3.2
"""Height of a line of the notes."""
KEY_MM: Mapping[bool, float] = {False: 9.0, True: 17.0}
"""Height of the key by whether the figure has one column."""
MOST_DECADES = 6
"""Decades of the axis of energy; an interval that goes further ends in an arrow."""

PHASE_NAMES: Mapping[str, str] = {
    "training": "training of the reported model",
    "inference": "inference with it",
    "development": "development",
    "unknown": "unknown",
}
PHASE_MARKERS: Mapping[str, str] = {
    "training": "o",
    "inference": "^",
    "development": "s",
    "unknown": "D",
}
PHASE_HEIGHTS: Mapping[str, float] = {"inference": 0.2, "unknown": -0.2}
"""Distance of marks from the middle of their row, so that intervals do not cover others."""
COLUMN_EDGES: Mapping[str, float] = {
    "energy": 0.2,
    "R": 0.32,
    "95 %": 0.55,
    "other jobs": 0.75,
    "other choices": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""
NARROW_EDGES: Mapping[str, float] = {"R": 0.3, "95 %": 1.0}
"""Right edge of each column of numbers in a figure of one column."""
CUT_LOOK: Mapping[str, Any] = {"marker": "<", "markersize": 3.6, "lw": 0.0, "clip_on": False}
"""Look of the mark of a value below the axis."""

REASON_LENGTH = 48
"""Letters of a reason that fit into the columns of R."""

Row = dict[str, Any]


def choice_range(sensitivities: pl.DataFrame, row: Row, *, membership: bool) -> str:
    """Range of R of a paper or project over the values of choices; empty without other values.

    Args:
        sensitivities: `schemas.PhaseSensitivities`.
        row: Row of `schemas.PhaseRatio`.
        membership: Whether to vary the jobs of a paper; else all other choices.
    """
    is_membership = pl.col("choice").cast(pl.String) == "membership"
    own = sensitivities.filter(
        pl.col("scope") == row["scope"],
        pl.col("name") == row["name"],
        is_membership if membership else ~is_membership,
    )
    if own.filter(~pl.col("is_headline"))["ratio"].count() == 0:
        return ""
    low, high = own.select(low=pl.col("ratio").min(), high=pl.col("ratio").max()).row(0)
    texts = (wording.format_number(end, digits=2 if end < 100 else 3) for end in (low, high))
    return wording.format_range(*texts)


def figure_title(ratio: pl.DataFrame) -> str:
    """Title of the figure: R of the papers or, if no paper has a ratio, of the projects.

    Ratios from labels are preferred to those from an assumption. Merged groups are left out.
    """
    if ratio.filter(pl.col("total_kwh") > 0).is_empty():
        return "The energy of no paper or project is known"
    known = ratio.filter(pl.col("ratio").is_not_null(), is_named())
    if known.is_empty():
        why = ratio.filter(is_named())["ratio_reason"].drop_nulls()
        if (why == NO_TRAINING_REASON).all():
            return "No run is known to have trained a reported model"
        if why.is_in(UNCOMPUTED_REASONS).all():
            return "R cannot be given: labels do not cover all papers of a project"
        return "R cannot be given: too little of development or training is known"
    basis = "label" if (known["role_basis"] == "label").any() else "assumed"
    own = known.filter(pl.col("role_basis") == basis)
    scope = "paper" if (own["scope"] == "paper").any() else "project"
    return _ratio_sentence(own.filter(pl.col("scope") == scope), assumed=basis == "assumed")


def _ratio_sentence(own: pl.DataFrame, *, assumed: bool) -> str:
    what = "the largest training" if assumed else "the best training"
    first = own.row(0, named=True)
    if len(own) > 1:
        ends = own.sort("ratio")["ratio"].gather([0, -1]).to_list()
        least, most = (wording.format_ratio(end) for end in ends)
        times = wording.format_range(least, most)
        return f"Development took {times} times {what} in {len(own)} {first['scope']}s"
    value, interval = wording.ratio_texts(*(first[f"ratio{end}"] for end in ("", "_low", "_high")))
    text = f"Development of {first['name']} took {value} times {what}"
    return text if interval is None else f"{text} (95 %: {interval})"


@style.with_style
def plot(
    ratio: pl.DataFrame,
    sensitivities: pl.DataFrame,
    *,
    provenance: str,
    width_mm: float = style.TEXT_MM,
) -> Figure:
    """Marks of the energy of each phase on a logarithmic axis, with R in columns.

    A line joins training and development, whose distance is R. Energies and R have their 95 %
    intervals; R also has its range over the jobs that may belong to the paper, and over all other
    choices. A note names the papers and projects whose R is withheld, with the reason.

    Args:
        ratio: `schemas.PhaseRatio`.
        sensitivities: `schemas.PhaseSensitivities`.
        provenance: The foot line.
        width_mm: Width; a figure of one column has R and its interval alone.
    """
    is_narrow = width_mm < style.TEXT_MM
    lines, notes = _row_lines(ratio), _note_paragraphs(ratio, is_narrow=is_narrow)
    n_rows = max(len(lines), 3)
    # the notes are as wide as the figure, about 0.6 letters a point
    n_notes = sum(math.ceil(len(note) / (width_mm / 1.24)) for note in notes)
    heights = [KEY_MM[is_narrow], ROW_MM * n_rows, NOTE_MM * n_notes]
    drawn = style.new_figure(
        width_mm=width_mm,
        height_mm=30 + sum(heights),
        title=figure_title(ratio),
        provenance=provenance,
    )
    if ratio.filter(pl.col("total_kwh") > 0).is_empty():
        style.draw_empty_panel(
            drawn.add_subplot(), "The energy of no run of a paper or project is known."
        )
        return drawn
    heights[1] += 12.0
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["marks", "numbers"], ["note", "note"]],
        height_ratios=heights,
        width_ratios=[1, 0.8] if is_narrow else [1, 1.1],
    )
    marks, numbers = panels["marks"], panels["numbers"]
    style.draw_note(drawn, panels["note"], notes)
    if not lines:
        panels["key"].set_axis_off()
        numbers.set_axis_off()
        style.draw_empty_panel(marks, "R can be given for no paper or project.")
        return drawn
    style.draw_key(panels["key"], _key_marks(lines), columns=1 if is_narrow else 3)
    _set_limits(marks, lines)
    edges = NARROW_EDGES if is_narrow else COLUMN_EDGES
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_energies(marks, place, line)
            _write_numbers(numbers, place, line, sensitivities, edges)
    marks.xaxis.set_major_locator(LogLocator(10, numticks=3 if is_narrow else 6))
    _format_axes(marks, numbers, lines, edges)
    return drawn


def _row_lines(ratio: pl.DataFrame) -> list[Row]:
    """Headings and rows from top to bottom, the largest of each scope first."""
    lines: list[Row] = []
    for scope in SCOPES:
        own = ratio.filter(pl.col("scope") == scope, pl.col("total_kwh") > 0, ~_is_withheld())
        own = own.sort("total_kwh", "name", descending=[True, False])
        if own.is_empty():
            continue
        lines.append({"heading": LEVEL_HEADINGS[scope]})
        lines += own.head(MOST_ROWS).iter_rows(named=True)
        if len(own) > MOST_ROWS:
            lines.append({"name": f"{len(own) - MOST_ROWS} more", "rest": True})
    return lines


def _is_withheld() -> pl.Expr:
    """Whether labels or energies are too few for R, and with it for the energies of its phases."""
    return pl.col("ratio_reason").is_not_null() & (pl.col("ratio_reason") != NO_TRAINING_REASON)


def _phases_of(row: Row) -> list[str]:
    return [name for name in PHASE_NAMES if (row.get(f"{name}_kwh") or 0.0) > 0]


def _mark_look(name: str, *, hollow: bool = False) -> dict[str, Any]:
    colour = style.GREY if name == "unknown" else style.PHASE_COLOURS[name]
    hollow = hollow or name == "unknown"
    return {
        "marker": PHASE_MARKERS[name],
        "markersize": 4.6,
        "markerfacecolor": "white" if hollow else colour,
        "markeredgecolor": "#a87b12" if name == "inference" else colour,
        "markeredgewidth": 0.9,
        "linestyle": "none",
    }


def _is_covered(row: Row, name: str) -> bool:
    part = row.get(f"{name}_measured_frac")
    return part is None or part >= style.FULL_COVERAGE


def _key_marks(lines: list[Row]) -> list[Patch | Line2D]:
    rows = [line for line in lines if "total_kwh" in line]
    present = {name for row in rows for name in _phases_of(row)}
    marks: list[Patch | Line2D] = [
        Line2D([], [], label=text, **_mark_look(name))
        for name, text in PHASE_NAMES.items()
        if name in present
    ]
    if any(not _is_covered(row, name) for row in rows for name in _phases_of(row)):
        look = _mark_look("development", hollow=True) | {"markeredgecolor": style.INK}
        marks.append(Line2D([], [], label="hollow: under 95 % measured", **look))
    return marks


def _set_limits(axes: Axes, lines: list[Row]) -> None:
    """Limits of the axis: those of energies and intervals, at most `MOST_DECADES`."""
    rows = [line for line in lines if "total_kwh" in line]
    energies = [row[f"{name}_kwh"] for row in rows for name in _phases_of(row)]
    ends = [
        row.get(f"{name}_{end}_kwh")
        for row in rows
        for name in _phases_of(row)
        for end in ("low", "high")
    ]
    known = [end for end in (*energies, *ends) if end]
    largest = max(known)
    least = max(min(known), min(min(energies) / 2, largest / 10**MOST_DECADES))
    axes.set_xscale("log")
    axes.set_xlim(max(least, largest / 10 ** (MOST_DECADES + 1)) / 1.5, largest * 1.5)


def _draw_energies(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row:
        return
    left, right = axes.get_xlim()
    if row["training_kwh"] and row["development_kwh"]:
        ends = [row["training_kwh"], row["development_kwh"]]
        axes.plot(ends, [place, place], color=style.FAINT, lw=2.4, zorder=1)
    for name in _phases_of(row):
        kwh = row[f"{name}_kwh"]
        colour = style.GREY if name == "unknown" else _mark_look(name)["markeredgecolor"]
        height = place + PHASE_HEIGHTS.get(name, 0.0)
        low, high = (row.get(f"{name}_{end}_kwh") for end in ("low", "high"))
        if low is not None and high is not None:
            ends = [max(low, left), max(min(high, right), left)]
            axes.plot(ends, [height, height], color=colour, lw=1.2, zorder=2)
        if kwh < left or (low is not None and low < left):
            axes.plot(left, height, color=colour, **CUT_LOOK)
        if kwh >= left:
            look = _mark_look(name, hollow=not _is_covered(row, name))
            axes.plot(kwh, height, zorder=3, **look)


def _write_numbers(
    axes: Axes, place: int, row: Row, sensitivities: pl.DataFrame, edges: Mapping[str, float]
) -> None:
    last = list(edges)[-1]
    if "rest" in row:
        _write_cell(axes, place, edges["95 %"], "see the table", style.GREY)
        return
    if "energy" in edges:
        bound = "≥ " if row["unknown_gpu_h"] else ""
        _write_cell(axes, place, edges["energy"], bound + wording.format_energy(row["total_kwh"]))
    if row["ratio"] is None:
        length = REASON_LENGTH if "energy" in edges else REASON_LENGTH // 2
        reason = textwrap.shorten(
            row["ratio_reason"] or NO_TRAINING_REASON, length, placeholder="…"
        )
        _write_cell(axes, place, edges[last], reason, style.GREY)
        return
    assumed = "*" if row["role_basis"] == "assumed" else ""
    value, interval = wording.ratio_texts(row["ratio"], row["ratio_low"], row["ratio_high"])
    _write_cell(axes, place, edges["R"], value + assumed, bold=True)
    _write_cell(axes, place, edges["95 %"], interval or wording.UNKNOWN)
    for column, membership in {"other jobs": True, "other choices": False}.items():
        if column in edges:
            text = choice_range(sensitivities, row, membership=membership)
            _write_cell(axes, place, edges[column], text)


def _write_cell(
    axes: Axes, place: float, edge: float, text: str, colour: str = style.INK, *, bold: bool = False
) -> None:
    axes.text(
        edge,
        place,
        text,
        ha="right",
        va="center",
        fontsize=7,
        color=colour,
        fontweight="bold" if bold else "normal",
    )


def _format_axes(marks: Axes, numbers: Axes, lines: list[Row], edges: Mapping[str, float]) -> None:
    marks.set_yticks(
        range(len(lines)), [str(line.get("heading") or line["name"]) for line in lines]
    )
    for label, line in zip(marks.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    for axes in (marks, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    marks.tick_params(axis="y", length=0)
    marks.spines["left"].set_visible(False)
    marks.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    marks.xaxis.set_major_formatter(
        FuncFormatter(lambda kwh, _: wording.format_energy(kwh, digits=1))
    )
    marks.xaxis.set_minor_formatter(NullFormatter())
    marks.grid(axis="x", color=style.FAINT, lw=0.5)
    marks.set_xlabel("Total energy")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
    for column, edge in edges.items():
        _write_cell(numbers, 0, edge, column, style.GREY)


def _note_paragraphs(ratio: pl.DataFrame, *, is_narrow: bool) -> list[str]:
    """Notes: R that is withheld, the definition of R, the meaning of the ranges and marks."""
    withheld = ratio.filter(_is_withheld(), pl.col("total_kwh") > 0)
    withheld = withheld.sort("total_kwh", "name", descending=[True, False])
    notes = [
        f"No R ({reason[0]}): {_joined(own['name'].to_list())}."
        for reason, own in withheld.group_by("ratio_reason", maintain_order=True)
    ]
    given = ratio.filter(pl.col("ratio").is_not_null(), pl.col("total_kwh") > 0)
    if is_narrow:
        notes.append("R = energy of development / energy of training the reported model.")
    else:
        notes.append(RATIO_DEFINITION)
    if len(given) and not is_narrow:
        notes.append(
            "Other jobs: R with jobs of the same people or folder without a label. Other choices: "
            "R with another reported training, without idle holds, with unknown kinds or under "
            "other thresholds. No interval includes them."
        )
    if (given["role_basis"] == "assumed").any():
        notes.append("* No label names the reported training: the largest is assumed to be it.")
    if not is_narrow and ratio.filter(~_is_withheld(), pl.col("unknown_gpu_h") > 0).height:
        notes.append("≥ The energy of some runs is unknown; the table has their GPU hours.")
    return notes


def _joined(names: list[str]) -> str:
    more = len(names) - MOST_ROWS
    return ", ".join(names[:MOST_ROWS]) + (f" and {more} more" if more > 0 else "")
