"""Training, inference and development of each paper and project, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from footprint.figures import style
from footprint.levels import HEADINGS, is_named
from footprint.phases.ratios import DEFINITION, NO_TRAINING, SCOPES

MOST_ROWS = 8
"""Of a scope: those with most energy; the rest is counted in a line of its own."""
ROW_MM = 6.0
MOST_NOTES = 3
"""Below the panels; one more needs the room of a line."""
LINE_MM = 5.0

NAMES: Mapping[str, str] = {
    "training": "training of the reported model",
    "inference": "inference with it",
    "development": "development",
    "unknown": "unknown",
}
COLUMNS: Mapping[str, float] = {
    "energy": 0.19,
    "R": 0.33,
    "range": 0.55,
    "all unknown": 0.79,
    "exit states": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""

SAME = "the same"

NOT_GIVEN = (
    "R and the parts of the energy are not given where less than 90 % of the time of either side "
    "was measured."
)

Row = dict[str, Any]


def times(ratio: float | None) -> str:
    """A ratio in words, as in `4.2` and `210`; a dash where it is unknown."""
    if ratio is None:
        return "–"
    return style.number(ratio, digits=2 if ratio < 100 else 3)


def span(low: float | None, high: float | None) -> str:
    """A range of ratios in words: open where by some thresholds no training is left."""
    if low is None:
        return ""
    if high is None:
        return f"over {times(low)}"
    same = times(low) == times(high)
    return SAME if same else f"{times(low)} to {times(high)}"


def message(ratio: pl.DataFrame) -> str:
    """What the figure shows, in a sentence: of the papers, or where none has a ratio, the projects.

    Ratios that rest on labels come before those that rest on an assumption, and those of a name
    before those of what is left.
    """
    if ratio.filter(pl.col("energy_kwh") > 0).is_empty():
        return "No energy of a paper or project was measured"
    known = ratio.filter(pl.col("ratio").is_not_null(), is_named())
    if known.is_empty():
        why = ratio.filter(is_named())["ratio_reason"]
        if (why != NO_TRAINING).any():
            return "R is not given: too little of development or training was measured"
        return "No measured run is known to have trained a reported model"
    basis = "label" if (known["role_basis"] == "label").any() else "assumed"
    own = known.filter(pl.col("role_basis") == basis)
    scope = "paper" if (own["scope"] == "paper").any() else "project"
    return _sentence(own.filter(pl.col("scope") == scope), assumed=basis == "assumed")


def _sentence(own: pl.DataFrame, *, assumed: bool) -> str:
    what = "the largest training" if assumed else "the best training"
    first = own.row(0, named=True)
    if len(own) > 1:
        least, most = own.sort("ratio")["ratio"].gather([0, -1])
        return (
            f"Development took {times(least)} to {times(most)} times {what} "
            f"in {len(own)} {first['scope']}s"
        )
    told = span(first["ratio_low"], first["ratio_high"])
    text = f"Development of {first['name']} took {times(first['ratio'])} times {what}"
    return text + (f" ({told})" if told not in ("", SAME) else "")


@style.styled
def plot(ratio: pl.DataFrame, *, provenance: str) -> Figure:
    """Stacked bars of the phases in per cent of the energy, with energy and ratios beside them.

    A row whose ratio is withheld for want of measurement has no bar: its reason stands beside it.

    Args:
        ratio: `tables.PhaseRatio`.
        provenance: The foot line.
    """
    lines = _lines(ratio)
    notes = _notes(lines)
    more = len(notes) > MOST_NOTES
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=50 + ROW_MM * max(len(lines), 3) + (LINE_MM if more else 0),
        title=message(ratio),
        provenance=provenance,
    )
    if not lines:
        style.empty(drawn.add_subplot(), "No run of a paper or project was measured.")
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["bars", "numbers"], ["note", "note"]],
        height_ratios=[1, max(len(lines), 3), 2.2 if more else 1.6],
        width_ratios=[1, 1.05],
    )
    bars, numbers = panels["bars"], panels["numbers"]
    style.key(panels["key"], [_patch(name) for name in NAMES], columns=4)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _bar(bars, place, line)
            _numbers(numbers, place, line)
    _axes(bars, numbers, lines)
    style.note(drawn, panels["note"], notes, letter_pt=3.5)
    return drawn


def _lines(ratio: pl.DataFrame) -> list[Row]:
    """Headings and rows from top to bottom, the largest of each scope first."""
    lines: list[Row] = []
    for scope in SCOPES:
        own = ratio.filter(pl.col("scope") == scope, pl.col("energy_kwh").is_not_null())
        own = own.sort("energy_kwh", "name", descending=[True, False])
        if own.is_empty():
            continue
        lines.append({"heading": HEADINGS[scope]})
        lines += own.head(MOST_ROWS).iter_rows(named=True)
        if len(own) > MOST_ROWS:
            lines.append({"name": f"{len(own) - MOST_ROWS} more", "rest": True})
    return lines


def _patch(name: str) -> Patch:
    if name == "unknown":
        return Patch(label=NAMES[name], **style.HATCH)
    return Patch(color=style.PHASES[name], label=NAMES[name])


def _is_withheld(row: Row) -> bool:
    """Whether R is not given for want of measurement, and with it the parts that it is made of."""
    return row.get("ratio_reason") not in (None, NO_TRAINING)


def _bar(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row or not row["energy_kwh"] or _is_withheld(row):
        return
    left = 0.0
    for name in NAMES:
        width = 100 * (row[f"{name}_kwh"] or 0.0) / row["energy_kwh"]
        look = style.HATCH if name == "unknown" else {"color": style.PHASES[name]}
        axes.barh(place, width, left=left, height=0.7, **look)
        left += width


def _numbers(axes: Axes, place: int, row: Row) -> None:
    if "rest" in row:
        _text(axes, place, "range", "see the table", style.GREY)
        return
    part = bool(row.get("unmeasured_gpu_h"))
    text = style.energy(row["energy_kwh"]) + ("†" if part else "")
    _text(axes, place, "energy", text, style.ACCENT if part else style.INK)
    if row["ratio"] is None:
        _text(axes, place, "exit states", row["ratio_reason"] or NO_TRAINING, style.GREY)
        return
    assumed = row["role_basis"] == "assumed"
    _text(axes, place, "R", times(row["ratio"]) + ("*" if assumed else ""), bold=True)
    _text(axes, place, "range", span(row["ratio_low"], row["ratio_high"]))
    _text(axes, place, "all unknown", times(row["ratio_all_unknown"]))
    _text(axes, place, "exit states", times(row["baseline_ratio"]))


def _text(
    axes: Axes, place: float, column: str, text: str, colour: str = style.INK, *, bold: bool = False
) -> None:
    axes.text(
        COLUMNS[column],
        place,
        text,
        ha="right",
        va="center",
        fontsize=7,
        color=colour,
        fontweight="bold" if bold else "normal",
    )


def _axes(bars: Axes, numbers: Axes, lines: list[Row]) -> None:
    bars.set_yticks(range(len(lines)), [str(line.get("heading") or line["name"]) for line in lines])
    for label, line in zip(bars.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    for axes in (bars, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    bars.tick_params(axis="y", length=0)
    bars.spines["left"].set_visible(False)
    bars.set_xlim(0, 100)
    bars.set_xlabel("Measured energy (%)")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
    for column in COLUMNS:
        _text(numbers, 0, column, column, style.GREY)


def _notes(lines: list[Row]) -> list[str]:
    """The definition of the ratio, why there is none, and what the marks beside numbers say."""
    said = [DEFINITION]
    given = [line for line in lines if line.get("ratio") is not None]
    if any(line["role_basis"] == "assumed" for line in given):
        said.append("* No label says which training that was: the largest is assumed to be it.")
    if any(_is_withheld(line) for line in lines):
        said.append(NOT_GIVEN)
    if any(line.get("unmeasured_gpu_h") for line in lines):
        said.append("† Runs without any measurement are left out; the table has their GPU hours.")
    return said
