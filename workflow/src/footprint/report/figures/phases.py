"""Figure of the phases of each paper and project, with R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from footprint.levels.levels import LEVEL_HEADINGS, is_named
from footprint.phases.ratio import (
    NO_TRAINING_REASON,
    RATIO_DEFINITION,
    SCOPES,
    UNCOMPUTED_REASONS,
    UNCOVERED_REASON,
)
from footprint.report import wording
from footprint.report.figures import style

MOST_ROWS = 8
"""Most rows of a scope, those with most energy; a line of its own counts the rest."""
ROW_MM = 6.0
MOST_NOTES = 3
"""Notes that fit below the panels; one more needs another line."""
LINE_MM = 5.0

PHASE_NAMES: Mapping[str, str] = {
    "training": "training of the reported model",
    "inference": "inference with it",
    "development": "development",
    "unknown": "unknown",
}
COLUMN_EDGES: Mapping[str, float] = {
    "energy": 0.19,
    "R": 0.33,
    "range": 0.55,
    "all unknown": 0.79,
    "exit states": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""

EQUAL_RANGE = "the same"

WITHHELD_NOTE = (
    "R and the parts of the energy are not given where the energy of more than 10 % of the time of "
    "development or training is unknown."
)

Row = dict[str, Any]


def format_ratio(ratio: float | None) -> str:
    """A ratio as text, such as `4.2` and `210`; a dash if it is unknown."""
    if ratio is None:
        return "–"
    return wording.format_number(ratio, digits=2 if ratio < 100 else 3)


def format_ratio_range(low: float | None, high: float | None) -> str:
    """A range of ratios as text, open above if `high` is None (no training by some thresholds)."""
    if low is None:
        return ""
    if high is None:
        return f"over {format_ratio(low)}"
    same = format_ratio(low) == format_ratio(high)
    return EQUAL_RANGE if same else f"{format_ratio(low)} to {format_ratio(high)}"


def figure_title(ratio: pl.DataFrame) -> str:
    """Title of the figure: R of the papers or, if no paper has a ratio, of the projects.

    Ratios from labels are preferred to those from an assumption. Merged groups are left out.
    """
    if ratio.filter(pl.col("total_kwh") > 0).is_empty():
        return "No energy of a paper or project is known"
    known = ratio.filter(pl.col("ratio").is_not_null(), is_named())
    if known.is_empty():
        why = ratio.filter(is_named())["ratio_reason"]
        if (~why.is_in(UNCOMPUTED_REASONS)).any():
            return "R is not given: too little of development or training is known"
        if (why == UNCOVERED_REASON).any():
            return "R is not given: labels do not cover the papers of any project"
        return "No run is known to have trained a reported model"
    basis = "label" if (known["role_basis"] == "label").any() else "assumed"
    own = known.filter(pl.col("role_basis") == basis)
    scope = "paper" if (own["scope"] == "paper").any() else "project"
    return _ratio_sentence(own.filter(pl.col("scope") == scope), assumed=basis == "assumed")


def _ratio_sentence(own: pl.DataFrame, *, assumed: bool) -> str:
    what = "the largest training" if assumed else "the best training"
    first = own.row(0, named=True)
    if len(own) > 1:
        least, most = own.sort("ratio")["ratio"].gather([0, -1])
        return (
            f"Development took {format_ratio(least)} to {format_ratio(most)} times {what} "
            f"in {len(own)} {first['scope']}s"
        )
    range_text = format_ratio_range(first["ratio_low"], first["ratio_high"])
    text = f"Development of {first['name']} took {format_ratio(first['ratio'])} times {what}"
    return text + (f" ({range_text})" if range_text not in ("", EQUAL_RANGE) else "")


@style.with_style
def plot(ratio: pl.DataFrame, *, provenance: str) -> Figure:
    """Stacked bars of the phases in per cent of the energy, with energy and ratios in columns.

    A row whose ratio is withheld for lack of known energy has its reason in place of a bar.

    Args:
        ratio: `schemas.PhaseRatio`.
        provenance: The foot line.
    """
    lines = _row_lines(ratio)
    notes = _note_paragraphs(lines)
    more = len(notes) > MOST_NOTES
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=50 + ROW_MM * max(len(lines), 3) + (LINE_MM if more else 0),
        title=figure_title(ratio),
        provenance=provenance,
    )
    if not lines:
        style.draw_empty_panel(drawn.add_subplot(), "No energy of a paper or project is known.")
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["bars", "numbers"], ["note", "note"]],
        height_ratios=[1, max(len(lines), 3), 2.2 if more else 1.6],
        width_ratios=[1, 1.05],
    )
    bars, numbers = panels["bars"], panels["numbers"]
    style.draw_key(panels["key"], [_phase_patch(name) for name in PHASE_NAMES], columns=4)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_bar(bars, place, line)
            _write_numbers(numbers, place, line)
    _format_axes(bars, numbers, lines)
    style.draw_note(drawn, panels["note"], notes, letter_pt=3.5)
    return drawn


def _row_lines(ratio: pl.DataFrame) -> list[Row]:
    """Headings and rows from top to bottom, the largest of each scope first."""
    lines: list[Row] = []
    for scope in SCOPES:
        own = ratio.filter(pl.col("scope") == scope, pl.col("total_kwh").is_not_null())
        own = own.sort("total_kwh", "name", descending=[True, False])
        if own.is_empty():
            continue
        lines.append({"heading": LEVEL_HEADINGS[scope]})
        lines += own.head(MOST_ROWS).iter_rows(named=True)
        if len(own) > MOST_ROWS:
            lines.append({"name": f"{len(own) - MOST_ROWS} more", "rest": True})
    return lines


def _phase_patch(name: str) -> Patch:
    if name == "unknown":
        return Patch(label=PHASE_NAMES[name], **style.UNKNOWN_LOOK)
    return Patch(color=style.PHASE_COLOURS[name], label=PHASE_NAMES[name])


def _is_withheld(row: Row) -> bool:
    """Whether R, and with it the parts of the energy, is withheld for lack of known energy."""
    return row.get("ratio_reason") not in (None, *UNCOMPUTED_REASONS)


def _draw_bar(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row or not row["total_kwh"] or _is_withheld(row):
        return
    left = 0.0
    for name in PHASE_NAMES:
        width = 100 * (row[f"{name}_kwh"] or 0.0) / row["total_kwh"]
        look = style.UNKNOWN_LOOK if name == "unknown" else {"color": style.PHASE_COLOURS[name]}
        axes.barh(place, width, left=left, height=0.7, **look)
        left += width


def _write_numbers(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row:
        _write_cell(axes, place, "range", "see the table", style.GREY)
        return
    part = bool(row.get("unknown_gpu_h"))
    text = wording.format_energy(row["total_kwh"]) + ("†" if part else "")
    _write_cell(axes, place, "energy", text, style.ACCENT if part else style.INK)
    if row["ratio"] is None:
        _write_cell(
            axes, place, "exit states", row["ratio_reason"] or NO_TRAINING_REASON, style.GREY
        )
        return
    assumed = row["role_basis"] == "assumed"
    _write_cell(axes, place, "R", format_ratio(row["ratio"]) + ("*" if assumed else ""), bold=True)
    _write_cell(axes, place, "range", format_ratio_range(row["ratio_low"], row["ratio_high"]))
    _write_cell(axes, place, "all unknown", format_ratio(row["ratio_all_unknown"]))
    _write_cell(axes, place, "exit states", format_ratio(row["baseline_ratio"]))


def _write_cell(
    axes: Axes, place: float, column: str, text: str, colour: str = style.INK, *, bold: bool = False
) -> None:
    axes.text(
        COLUMN_EDGES[column],
        place,
        text,
        ha="right",
        va="center",
        fontsize=7,
        color=colour,
        fontweight="bold" if bold else "normal",
    )


def _format_axes(bars: Axes, numbers: Axes, lines: list[Row]) -> None:
    bars.set_yticks(range(len(lines)), [str(line.get("heading") or line["name"]) for line in lines])
    for label, line in zip(bars.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    for axes in (bars, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    bars.tick_params(axis="y", length=0)
    bars.spines["left"].set_visible(False)
    bars.set_xlim(0, 100)
    bars.set_xlabel("Energy (%)")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
    for column in COLUMN_EDGES:
        _write_cell(numbers, 0, column, column, style.GREY)


def _note_paragraphs(lines: list[Row]) -> list[str]:
    """Notes: the definition of R, why it is withheld, and the meaning of the marks."""
    notes = [RATIO_DEFINITION]
    given = [line for line in lines if line.get("ratio") is not None]
    if any(line["role_basis"] == "assumed" for line in given):
        notes.append("* No label names the reported training: the largest is assumed to be it.")
    if any(_is_withheld(line) for line in lines):
        notes.append(WITHHELD_NOTE)
    if any(line.get("unknown_gpu_h") for line in lines):
        notes.append("† Runs of unknown energy are left out; the table has their GPU hours.")
    return notes
