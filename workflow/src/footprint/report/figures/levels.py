"""Figure of the energy at each level of the study, from the site to a paper, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import MEASURED_METHOD, OTHERS
from footprint.levels.levels import LEVEL_HEADINGS, LEVELS, is_named
from footprint.report import wording
from footprint.report.figures import style

MOST_ROWS = 8
"""Most rows of a level; a line of its own counts the rest."""

ROW_MM = 4.6
COLUMN_EDGES: Mapping[str, float] = {
    "total": 0.2,
    "95 % interval": 0.45,
    "measured": 0.62,
    "GPU nodes": 0.8,
    "with overhead": 1.0,
}
"""Right edge of each column of numbers, as a part of the panel."""

OVERHEAD_TICK_LOOK: Mapping[str, Any] = {
    "marker": "|",
    "markersize": 7,
    "markeredgewidth": 1.4,
    "color": style.ACCENT,
    "linestyle": "none",
}

Row = dict[str, Any]


def figure_title(levels: pl.DataFrame) -> str:
    """Title of the figure: energy of the site, of the largest named project, and the overhead."""
    site = levels.filter(pl.col("level") == "site").row(0, named=True)
    place = site["name"].title()
    if not site["total_kwh"]:
        return f"The energy of the jobs at {place} is unknown"
    energy, interval = wording.energy_texts(
        site["total_kwh"], site["total_low_kwh"], site["total_high_kwh"]
    )
    energy = wording.format_qualified(
        energy, measured_frac=site["measured_frac"], unknown_node_h=site["unknown_node_h"]
    )
    text = f"Jobs at {place} used {energy}" + (f" (95 %: {interval})" if interval else "")
    named = levels.filter(
        pl.col("level") == "project",
        pl.col("total_kwh").is_not_null(),
        is_named(),
    ).sort("total_kwh", "name", descending=[True, False])
    if not named.is_empty():
        first = named.row(0, named=True)
        part = wording.format_percent(first["total_kwh"] / site["total_kwh"])
        text += f", {part} of it {first['name']}"
    overhead = levels.filter(pl.col("level") == "overhead", pl.col("name") != "unattributed")
    overhead_kwh = overhead.select(sum_or_zero(pl.col("total_kwh"))).item()
    if overhead_kwh:
        text += f"; {wording.format_energy(overhead_kwh)} more went into hardware without a job"
    return text


@style.with_style
def plot(levels: pl.DataFrame, *, provenance: str) -> Figure:
    """Dots with intervals on a logarithmic axis by level, with the numbers in columns.

    A dot is the total energy, measured and estimated. The line is its 95 % interval. A hollow dot
    is less than half measured. Rows of unknown energy are hatched.

    Args:
        levels: `schemas.Levels`; the rows of the measurement are drawn.
        provenance: The foot line.
    """
    levels = levels.filter(pl.col("method") == MEASURED_METHOD)
    known = levels.filter(pl.col("total_kwh") > 0)["total_kwh"]
    lines = [] if known.is_empty() else _row_lines(levels)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=34 + ROW_MM * max(len(lines), 4),
        title=figure_title(levels),
        provenance=provenance,
    )
    if not lines:
        why = "Nothing was measured or estimated of the jobs of the study."
        style.draw_empty_panel(drawn.add_subplot(), why)
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["marks", "numbers"]],
        height_ratios=[1, len(lines)],
        width_ratios=[0.7, 1.4],
    )
    marks, numbers = panels["marks"], panels["numbers"]
    with_overhead = levels["total_kwh"] + levels["overhead_kwh"]
    largest = max(
        float(ends.max())  # type: ignore[arg-type]
        for ends in (known, levels["total_high_kwh"], with_overhead)
        if ends.count()
    )
    marks.set_xscale("log")
    marks.set_xlim(float(known.min()) / 1.6, largest * 1.4)  # type: ignore[arg-type]
    style.draw_key(panels["key"], _key_marks(levels), columns=4)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_mark(marks, place, line)
            _write_numbers(numbers, place, line)
    _write_header(numbers, has_overhead=bool(with_overhead.count()))
    marks.set_yticks(range(len(lines)), [_line_name(line) for line in lines])
    for label, line in zip(marks.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    marks.tick_params(axis="y", length=0)
    marks.spines["left"].set_visible(False)
    for axes in (marks, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    _set_ticks(marks)
    return drawn


def _row_lines(levels: pl.DataFrame) -> list[Row]:
    """Headings and rows from top to bottom, the largest of each level first."""
    lines: list[Row] = []
    for level in LEVELS:
        rows = levels.filter(pl.col("level") == level).sort(
            "total_kwh", "name", descending=[True, False], nulls_last=True
        )
        if rows.is_empty() or (level != "site" and rows["name"].to_list() == [OTHERS]):
            # no name of the level is shown: its only row repeats the site
            continue
        lines.append({"heading": LEVEL_HEADINGS[level]})
        lines += rows.head(MOST_ROWS).iter_rows(named=True)
        rest = rows.slice(MOST_ROWS)
        if not rest.is_empty():
            kwh = rest.select(sum_or_zero(pl.col("total_kwh"))).item()
            lines.append({"name": f"{len(rest)} more", "level": level, "rest_kwh": kwh})
    return lines


def _line_name(line: Row) -> str:
    if "heading" in line:
        return str(line["heading"])
    if line["level"] == "overhead":
        return style.CLASS_NAMES.get(line["name"], line["name"])
    return str(line["name"])


def _draw_mark(axes: Axes, place: int, row: Row) -> None:
    """Draw the dot, interval and tick of a row, or a hatch if its energy is unknown."""
    kwh = row.get("total_kwh")
    if not kwh:
        if kwh is None and row.get("unknown_node_h"):
            axes.axhspan(place - 0.32, place + 0.32, 0.0, 1.0, **style.UNKNOWN_LOOK)
        return
    colour = style.METHOD_COLOURS["bmc"]
    if row["level"] == "overhead":
        colour = style.CLASS_COLOURS.get(row["name"], style.GREY)
    if row["total_low_kwh"] is not None:
        # a logarithmic axis has no 0
        left = max(row["total_low_kwh"], axes.get_xlim()[0])
        axes.plot([left, row["total_high_kwh"]], [place, place], color=colour, lw=1.6)
    axes.plot(kwh, place, **_dot_look(colour, hollow=_is_estimate(row)))
    if row["overhead_kwh"] is not None:
        axes.plot(kwh + row["overhead_kwh"], place, **OVERHEAD_TICK_LOOK)


def _dot_look(colour: str, *, hollow: bool) -> dict[str, Any]:
    face = "white" if hollow else colour
    return {
        "marker": "o",
        "markersize": 4.5,
        "markerfacecolor": face,
        "markeredgecolor": colour,
        "markeredgewidth": 1.0,
        "linestyle": "none",
    }


def _is_estimate(row: Row) -> bool:
    part = row["measured_frac"]
    return part is not None and part < wording.LEAST_MEASURED_FRAC


def _write_numbers(axes: Axes, place: int, row: Row) -> None:
    """Write total, interval, measured part, part on GPU nodes, total with overhead."""
    kwh = row.get("total_kwh")
    if "rest_kwh" in row:
        _write_cell(axes, place, "total", wording.format_energy(row["rest_kwh"]))
        _write_cell(axes, place, "95 % interval", "see the table")
        return
    if kwh is None and row["unknown_node_h"]:
        hours = wording.format_duration(row["unknown_node_h"], of="node ")
        _write_cell(axes, place, "95 % interval", f"unknown: {hours}", style.ACCENT)
        return
    if kwh is None:
        _write_cell(axes, place, "total", "no job" if row["n_jobs"] == 0 else wording.UNKNOWN)
        return
    energy, interval = wording.energy_texts(kwh, row["total_low_kwh"], row["total_high_kwh"])
    bound = "≥ " if row["unknown_node_h"] else ""
    _write_cell(axes, place, "total", bound + energy)
    if interval is not None:
        _write_cell(axes, place, "95 % interval", interval)
    if row["measured_frac"] is not None:
        colour = style.ACCENT if _is_estimate(row) else style.INK
        _write_cell(axes, place, "measured", wording.format_percent(row["measured_frac"]), colour)
    if row["gpu_node_frac"] is not None:
        _write_cell(axes, place, "GPU nodes", wording.format_percent(row["gpu_node_frac"]))
    if row["overhead_kwh"] is not None:
        _write_cell(axes, place, "with overhead", wording.format_energy(kwh + row["overhead_kwh"]))


def _write_cell(axes: Axes, place: int, column: str, text: str, colour: str = style.INK) -> None:
    axes.text(COLUMN_EDGES[column], place, text, ha="right", va="center", fontsize=7, color=colour)


def _write_header(axes: Axes, *, has_overhead: bool) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    for column in COLUMN_EDGES:
        if has_overhead or column != "with overhead":
            _write_cell(axes, 0, column, column, style.GREY)


def _key_marks(levels: pl.DataFrame) -> list[Line2D]:
    bmc = style.METHOD_COLOURS["bmc"]
    handles = [
        Line2D([], [], label="total energy", **_dot_look(bmc, hollow=False)),
        Line2D([], [], label="95 % interval", color=bmc, lw=1.6),
    ]
    if levels.select((pl.col("measured_frac") < wording.LEAST_MEASURED_FRAC).any()).item():
        hollow = Line2D([], [], label="less than half measured", **_dot_look(bmc, hollow=True))
        handles.insert(1, hollow)
    if levels["overhead_kwh"].count():
        handles.append(Line2D([], [], label="with overhead", **OVERHEAD_TICK_LOOK))
    return handles


def _set_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda kwh, _: wording.format_energy(kwh, digits=1))
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.set_xlabel("Energy")
