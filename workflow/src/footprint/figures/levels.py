"""Energy at each level of the study, from the site down to a paper, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.figures import style
from footprint.levels import HEADINGS, LEVELS, METHOD, OTHERS, is_named
from footprint.summation import total

MOST_ROWS = 8
"""Of a level; the rest is counted in a line of its own."""

ROW_MM = 4.6
COLUMNS: Mapping[str, float] = {
    "energy": 0.15,
    "+ gaps": 0.305,
    "± 95 %": 0.46,
    "measured": 0.62,
    "GPU nodes": 0.8,
    "with offset": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""

OFFSET_TICK: Mapping[str, Any] = {
    "marker": "|",
    "markersize": 7,
    "markeredgewidth": 1.4,
    "color": style.ACCENT,
    "linestyle": "none",
}

Row = dict[str, Any]


def message(levels: pl.DataFrame) -> str:
    """What the figure shows, in a sentence: the site, and the largest named project or paper."""
    site = levels.filter(pl.col("level") == "site").row(0, named=True)
    place = site["name"].title()
    if not site["energy_kwh"]:
        return f"No energy of a job was measured at {place}"
    text = f"Jobs at {place} used {style.energy(site['energy_kwh'])}"
    named = levels.filter(
        pl.col("level") == "project",
        pl.col("energy_kwh").is_not_null(),
        is_named(),
    ).sort("energy_kwh", "name", descending=[True, False])
    if not named.is_empty():
        first = named.row(0, named=True)
        text += f", {style.percent(first['energy_kwh'] / site['energy_kwh'])} of it {first['name']}"
    offset = levels.filter(pl.col("level") == "offset", pl.col("name") != "unattributed")
    beside = offset.select(total(pl.col("energy_kwh"))).item()
    if beside:
        text += f"; {style.energy(beside)} more went into hardware without a job"
    return text


@style.styled
def plot(levels: pl.DataFrame, *, provenance: str) -> Figure:
    """Dots with intervals on a logarithmic axis, grouped by level, with the numbers beside them.

    A dot is the measured energy; the line is the 95 % interval of measured and imputed energy
    together; a hollow dot has a coverage under 95 %. Rows without any measurement are hatched.

    Args:
        levels: `tables.Levels`, of which the measurement is drawn.
        provenance: The foot line.
    """
    levels = levels.filter(pl.col("method") == METHOD)
    known = levels.filter(pl.col("energy_kwh") > 0)["energy_kwh"]
    lines = [] if known.is_empty() else _lines(levels)
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=34 + ROW_MM * max(len(lines), 4),
        title=message(levels),
        provenance=provenance,
    )
    if not lines:
        why = "No job of the study ran on a node with power readings."
        style.empty(drawn.add_subplot(), why)
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["marks", "numbers"]],
        height_ratios=[1, len(lines)],
        width_ratios=[0.7, 1.4],
    )
    marks, numbers = panels["marks"], panels["numbers"]
    with_offset = levels["energy_kwh"] + levels["offset_kwh"]
    largest = max(
        float(ends.max())  # type: ignore[arg-type]
        for ends in (known, levels["energy_high_kwh"], with_offset)
        if ends.count()
    )
    marks.set_xscale("log")
    marks.set_xlim(float(known.min()) / 1.6, largest * 1.4)  # type: ignore[arg-type]
    style.key(panels["key"], _key(levels), columns=4)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _mark(marks, place, line)
            _numbers(numbers, place, line)
    _header(numbers, has_offset=bool(with_offset.count()))
    marks.set_yticks(range(len(lines)), [_name(line) for line in lines])
    for label, line in zip(marks.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    marks.tick_params(axis="y", length=0)
    marks.spines["left"].set_visible(False)
    for axes in (marks, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    _ticks(marks)
    return drawn


def _lines(levels: pl.DataFrame) -> list[Row]:
    """Headings and rows from top to bottom, the largest of each level first."""
    lines: list[Row] = []
    for level in LEVELS:
        rows = levels.filter(pl.col("level") == level).sort(
            "energy_kwh", "name", descending=[True, False], nulls_last=True
        )
        if rows.is_empty() or (level != "site" and rows["name"].to_list() == [OTHERS]):
            # Nobody asked to be shown: the level says no more than the site.
            continue
        lines.append({"heading": HEADINGS[level]})
        lines += rows.head(MOST_ROWS).iter_rows(named=True)
        rest = rows.slice(MOST_ROWS)
        if not rest.is_empty():
            kwh = rest.select(total(pl.col("energy_kwh"))).item()
            lines.append({"name": f"{len(rest)} more", "level": level, "rest_kwh": kwh})
    return lines


def _name(line: Row) -> str:
    if "heading" in line:
        return str(line["heading"])
    if line["level"] == "offset":
        return style.CLASS_NAMES.get(line["name"], line["name"])
    return str(line["name"])


def _mark(axes: Axes, place: int, row: Row) -> None:
    """Dot, interval and tick of one row; hatched where no energy is known."""
    kwh = row.get("energy_kwh")
    if not kwh:
        if kwh is None and row.get("unmeasured_node_h"):
            axes.axhspan(place - 0.32, place + 0.32, 0.0, 1.0, **style.HATCH)
        return
    colour = style.METHODS["bmc"]
    if row["level"] == "offset":
        colour = style.CLASSES.get(row["name"], style.GREY)
    if row["energy_low_kwh"] is not None:
        # A logarithmic axis has no 0.
        left = max(row["energy_low_kwh"], axes.get_xlim()[0])
        axes.plot([left, row["energy_high_kwh"]], [place, place], color=colour, lw=1.6)
    axes.plot(kwh, place, **_dot(colour, hollow=not _is_covered(row)))
    if row["offset_kwh"] is not None:
        axes.plot(kwh + row["offset_kwh"], place, **OFFSET_TICK)


def _dot(colour: str, *, hollow: bool) -> dict[str, Any]:
    face = "white" if hollow else colour
    return {
        "marker": "o",
        "markersize": 4.5,
        "markerfacecolor": face,
        "markeredgecolor": colour,
        "markeredgewidth": 1.0,
        "linestyle": "none",
    }


def _is_covered(row: Row) -> bool:
    return row["coverage_frac"] is None or row["coverage_frac"] >= style.FULL_COVERAGE


def _numbers(axes: Axes, place: int, row: Row) -> None:
    """Energy, gaps, half the interval, time measured, part on GPU nodes, energy with offset."""
    kwh = row.get("energy_kwh")
    if "rest_kwh" in row:
        _text(axes, place, "energy", style.energy(row["rest_kwh"]))
        _text(axes, place, "± 95 %", "see the table")
        return
    if kwh is None and row["unmeasured_node_h"]:
        hours = style.hours(row["unmeasured_node_h"], of="node ")
        _text(axes, place, "± 95 %", f"not measured: {hours}", style.ACCENT)
        return
    if kwh is None:
        _text(axes, place, "energy", "no job" if row["n_jobs"] == 0 else "unknown")
        return
    _text(axes, place, "energy", style.energy(kwh))
    imputed = row["imputed_kwh"]
    if imputed is not None:
        _text(axes, place, "+ gaps", style.energy(imputed))
    if row["energy_high_kwh"] is not None:
        half = row["energy_high_kwh"] - kwh - (imputed or 0.0)
        _text(axes, place, "± 95 %", style.energy(max(half, 0.0)))
    if row["coverage_frac"] is not None:
        colour = style.INK if _is_covered(row) else style.ACCENT
        _text(axes, place, "measured", style.percent(row["coverage_frac"]), colour)
    if row["gpu_node_frac"] is not None:
        _text(axes, place, "GPU nodes", style.percent(row["gpu_node_frac"]))
    if row["offset_kwh"] is not None:
        _text(axes, place, "with offset", style.energy(kwh + row["offset_kwh"]))


def _text(axes: Axes, place: int, column: str, text: str, colour: str = style.INK) -> None:
    axes.text(COLUMNS[column], place, text, ha="right", va="center", fontsize=7, color=colour)


def _header(axes: Axes, *, has_offset: bool) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    for column in COLUMNS:
        if has_offset or column != "with offset":
            _text(axes, 0, column, column, style.GREY)


def _key(levels: pl.DataFrame) -> list[Line2D]:
    bmc = style.METHODS["bmc"]
    handles = [
        Line2D([], [], label="measured", **_dot(bmc, hollow=False)),
        Line2D([], [], label="95 % interval, gaps estimated", color=bmc, lw=1.6),
    ]
    if levels.select((pl.col("coverage_frac") < style.FULL_COVERAGE).any()).item():
        hollow = Line2D([], [], label="less than 95 % measured", **_dot(bmc, hollow=True))
        handles.insert(1, hollow)
    if levels["offset_kwh"].count():
        handles.append(Line2D([], [], label="with offset", **OFFSET_TICK))
    return handles


def _ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda kwh, _: style.energy(kwh, digits=1)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.set_xlabel("Energy")
