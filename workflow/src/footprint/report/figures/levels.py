"""Figure of the energy at each level of the study, from the site to a paper, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import MEASURED_METHOD, OTHERS
from footprint.levels.levels import LEVEL_HEADINGS, LEVELS, is_named
from footprint.report import wording
from footprint.report.figures import style

MOST_ROWS = 8
"""Most rows of a level; a line of its own counts the rest."""

ROW_MM = 4.4
AXIS_MM = 9.5
"""Height of the heading and the axis of a level."""
BAR_COLOUR = style.CLASS_COLOURS["job"]
INTERVAL_LOOK: Mapping[str, Any] = {"color": style.INK, "lw": 1.2, "solid_capstyle": "butt"}
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
    """Bars of total energy with intervals, a panel with an axis of its own for each level.

    The measured part of a bar is dark, the estimated part light; the line is the 95 % interval of
    the total. Rows of unknown energy are hatched.

    Args:
        levels: `schemas.Levels`; the rows of the measurement are drawn.
        provenance: The foot line.
    """
    levels = levels.filter(pl.col("method") == MEASURED_METHOD)
    is_known = (levels["total_kwh"] > 0).any()
    groups = _rows_by_level(levels) if is_known else {}
    heights = [ROW_MM * len(rows) + AXIS_MM for rows in groups.values()]
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=22 + max(sum(heights), 30),
        title=figure_title(levels),
        provenance=provenance,
    )
    if not groups:
        why = "Nothing was measured or estimated of the jobs of the study."
        style.draw_empty_panel(drawn.add_subplot(), why)
        return drawn
    mosaic: list[Any] = [[f"bars {level}", f"numbers {level}"] for level in groups]
    panels = drawn.subplot_mosaic(
        [["key", "key"], *mosaic],
        height_ratios=[6, *heights],
        width_ratios=[0.8, 1.3],
    )
    style.draw_key(panels["key"], _key_marks(levels), columns=4)
    has_overhead = bool(levels["overhead_kwh"].count())
    for place, (level, rows) in enumerate(groups.items()):
        bars, numbers = panels[f"bars {level}"], panels[f"numbers {level}"]
        in_kwh = _set_axis(bars, rows)
        for line, row in enumerate(rows):
            _draw_bar(bars, line, row, in_kwh)
            _write_numbers(numbers, line, row)
        bars.set_title(LEVEL_HEADINGS[level], loc="left", fontweight="bold", pad=2)
        bars.set_yticks(range(len(rows)), [_row_name(row) for row in rows])
        for axes in (bars, numbers):
            axes.set_ylim(len(rows) - 0.5, -0.5)
        numbers.set_axis_off()
        numbers.set_xlim(0, 1)
        if place == 0:
            _write_header(numbers, has_overhead=has_overhead)
    return drawn


def _rows_by_level(levels: pl.DataFrame) -> dict[str, list[Row]]:
    """Rows of each level from top to bottom, the largest first."""
    groups: dict[str, list[Row]] = {}
    for level in LEVELS:
        own = levels.filter(pl.col("level") == level).sort(
            "total_kwh", "name", descending=[True, False], nulls_last=True
        )
        if own.is_empty() or (level != "site" and own["name"].to_list() == [OTHERS]):
            # no name of the level is shown: its only row repeats the site
            continue
        rows = list(own.head(MOST_ROWS).iter_rows(named=True))
        rest = own.slice(MOST_ROWS)
        if not rest.is_empty():
            kwh = rest.select(sum_or_zero(pl.col("total_kwh"))).item()
            rows.append({"name": f"{len(rest)} more", "level": level, "rest_kwh": kwh})
        groups[level] = rows
    return groups


def _row_name(row: Row) -> str:
    if row["level"] == "overhead":
        return wording.CLASS_NAMES.get(row["name"], row["name"])
    return str(row["name"])


def _set_axis(axes: Axes, rows: list[Row]) -> float:
    """Set the axis of a level from 0 to its largest energy; return the size of its unit in kWh."""
    ends = [
        end
        for row in rows
        for end in (
            row.get("total_kwh"),
            row.get("total_high_kwh"),
            (row.get("total_kwh") or 0.0) + (row.get("overhead_kwh") or 0.0),
        )
        if end
    ]
    largest = max(ends, default=0.0)
    unit, in_kwh = wording.energy_unit(largest)
    axes.set_xlim(0, 1.02 * (largest or 1.0) / in_kwh)
    axes.xaxis.set_major_locator(MaxNLocator(4) if largest else NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}{wording.NARROW_SPACE}{unit}" if value else "0")
    )
    axes.tick_params(axis="x", labelsize=7, length=2, pad=1.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    return in_kwh


def _draw_bar(axes: Axes, place: int, row: Row, in_kwh: float) -> None:
    """Draw measured and estimated part, interval and tick of a row, or a hatch if it is unknown."""
    kwh = row.get("total_kwh")
    if not kwh:
        if kwh is None and row.get("unknown_node_h"):
            axes.axhspan(place - 0.32, place + 0.32, 0.0, 1.0, **style.UNKNOWN_LOOK)
        return
    measured = min(row["measured_kwh"] or 0.0, kwh) / in_kwh
    axes.barh(place, measured, height=0.66, color=BAR_COLOUR)
    rest = max(kwh / in_kwh - measured, 0.0)
    axes.barh(place, rest, left=measured, height=0.66, color=style.lighter(BAR_COLOUR))
    if row["total_low_kwh"] is not None:
        ends = [row["total_low_kwh"] / in_kwh, row["total_high_kwh"] / in_kwh]
        # a white edge separates the line from the bar
        axes.plot(ends, [place, place], **(dict(INTERVAL_LOOK) | {"color": "#ffffff", "lw": 2.6}))
        axes.plot(ends, [place, place], **INTERVAL_LOOK)
    if row["overhead_kwh"] is not None:
        axes.plot((kwh + row["overhead_kwh"]) / in_kwh, place, **OVERHEAD_TICK_LOOK)


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
    for column in COLUMN_EDGES:
        if has_overhead or column != "with overhead":
            _write_cell(axes, -1, column, column, style.GREY)


def _key_marks(levels: pl.DataFrame) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [Patch(color=BAR_COLOUR, label="measured")]
    if (levels["estimated_kwh"] > 0).any():
        handles.append(Patch(color=style.lighter(BAR_COLOUR), label="estimated"))
    handles.append(Line2D([], [], label="95 % interval of the total", **INTERVAL_LOOK))
    if levels["overhead_kwh"].count():
        handles.append(Line2D([], [], label="with overhead", **OVERHEAD_TICK_LOOK))
    return handles
