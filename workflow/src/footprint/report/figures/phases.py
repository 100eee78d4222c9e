"""Figure of the phases of each paper and project, with R."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from footprint.levels.levels import LEVEL_HEADINGS, is_named
from footprint.phases.ratio import NO_TRAINING_REASON, RATIO_DEFINITION, SCOPES, UNCOMPUTED_REASONS
from footprint.report import wording
from footprint.report.figures import style

MOST_ROWS = 8
"""Most rows of a scope, those with most energy; a line of its own counts the rest."""
ROW_MM = 6.0
MOST_NOTES = 2
"""Notes that fit below the panels; more need another line."""
LINE_MM = 5.0

PHASE_NAMES: Mapping[str, str] = {
    "training": "training of the reported model",
    "inference": "inference with it",
    "development": "development",
    "unknown": "unknown",
}
COLUMN_EDGES: Mapping[str, float] = {
    "energy": 0.2,
    "R": 0.32,
    "95 %": 0.55,
    "other jobs": 0.75,
    "other choices": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""

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
        return f"Development took {least} to {most} times {what} in {len(own)} {first['scope']}s"
    value, interval = wording.ratio_texts(*(first[f"ratio{end}"] for end in ("", "_low", "_high")))
    text = f"Development of {first['name']} took {value} times {what}"
    return text if interval is None else f"{text} (95 %: {interval})"


@style.with_style
def plot(ratio: pl.DataFrame, sensitivities: pl.DataFrame, *, provenance: str) -> Figure:
    """Stacked bars of the phases in per cent of the total energy, with R in columns.

    R has its 95 % interval, its range over the jobs that may belong to the paper, and its range
    over all other choices. A row whose R cannot be given has the reason.

    Args:
        ratio: `schemas.PhaseRatio`.
        sensitivities: `schemas.PhaseSensitivities`.
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
        style.draw_empty_panel(
            drawn.add_subplot(), "The energy of no run of a paper or project is known."
        )
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["bars", "numbers"], ["note", "note"]],
        height_ratios=[1, max(len(lines), 3), 2.6 if more else 2.0],
        width_ratios=[1, 1.2],
    )
    bars, numbers = panels["bars"], panels["numbers"]
    style.draw_key(panels["key"], [_phase_patch(name) for name in PHASE_NAMES], columns=4)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_bar(bars, place, line)
            _write_numbers(numbers, place, line, sensitivities)
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
    """Whether labels or energies are too few for R, and with it for the parts of the energy."""
    return row.get("ratio_reason") not in (None, NO_TRAINING_REASON)


def _draw_bar(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row or not row["total_kwh"] or _is_withheld(row):
        return
    left = 0.0
    for name in PHASE_NAMES:
        width = 100 * (row[f"{name}_kwh"] or 0.0) / row["total_kwh"]
        look = style.UNKNOWN_LOOK if name == "unknown" else {"color": style.PHASE_COLOURS[name]}
        axes.barh(place, width, left=left, height=0.7, **look)
        left += width


def _write_numbers(axes: Axes, place: int, row: Row, sensitivities: pl.DataFrame) -> None:
    if "rest" in row:
        _write_cell(axes, place, "95 %", "see the table", style.GREY)
        return
    bound = "≥ " if row["unknown_gpu_h"] else ""
    _write_cell(axes, place, "energy", bound + wording.format_energy(row["total_kwh"]))
    if row["ratio"] is None:
        reason = textwrap.shorten(
            row["ratio_reason"] or NO_TRAINING_REASON, REASON_LENGTH, placeholder=" …"
        )
        _write_cell(axes, place, "other choices", reason, style.GREY)
        return
    assumed = "*" if row["role_basis"] == "assumed" else ""
    value, interval = wording.ratio_texts(row["ratio"], row["ratio_low"], row["ratio_high"])
    _write_cell(axes, place, "R", value + assumed, bold=True)
    _write_cell(axes, place, "95 %", interval or wording.UNKNOWN)
    for column, membership in {"other jobs": True, "other choices": False}.items():
        _write_cell(axes, place, column, choice_range(sensitivities, row, membership=membership))


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
    bars.set_xlabel("Total energy (%)")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
    for column in COLUMN_EDGES:
        _write_cell(numbers, 0, column, column, style.GREY)


def _note_paragraphs(lines: list[Row]) -> list[str]:
    """Notes: the definition of R, the meaning of the ranges, and that of the marks."""
    given = [line for line in lines if line.get("ratio") is not None]
    notes = [RATIO_DEFINITION]
    if given:
        notes.append(
            "Other jobs: R with jobs of the same people or folder without a label. Other choices: "
            "R with another reported training, without idle holds, with unknown kinds or under "
            "other thresholds. No interval includes them."
        )
    if any(line["role_basis"] == "assumed" for line in given):
        notes.append("* No label names the reported training: the largest is assumed to be it.")
    if any(line.get("unknown_gpu_h") for line in lines):
        notes.append("≥ The energy of some runs is unknown; the table has their GPU hours.")
    return notes
