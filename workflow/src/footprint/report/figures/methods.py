"""Figure of the four methods of the study: energies, and ratios to the measurement."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.estimators.comparison import FOUR_METHODS, relative_to_measurement
from footprint.levels.levels import LEVEL_HEADINGS
from footprint.report import wording
from footprint.report.figures import style

DRAWN_LEVELS = ("site", "project", "user", "paper")
MOST_ROWS = 5
"""Most rows of a level, those with most energy."""
ROW_MM = 6.6

METHOD_COLOURS = {
    name: style.METHOD_COLOURS[name.partition("_2")[0] if name == "codecarbon_2" else name]
    for name in FOUR_METHODS
}
METHOD_MARKERS = {"mlco2": "s", "green_algorithms": "^", "codecarbon_2": "D", "bmc": "o"}
MARK_HEIGHTS = {"mlco2": -0.24, "green_algorithms": -0.08, "codecarbon_2": 0.08, "bmc": 0.24}
"""Height of each method's mark in its row, so that no mark hides another."""

COVERAGE_TEXT_LOOK: dict[str, Any] = {
    "ha": "left",
    "va": "center",
    "fontsize": 6.5,
    "color": style.ACCENT,
}

Row = dict[str, Any]


def figure_title(rows: pl.DataFrame) -> str:
    """Title of the figure: differences of the three models from the measured energy of the site."""
    site = rows.filter(pl.col("level") == "site", pl.col("method_name") != "bmc")
    found = dict(site.drop_nulls("ratio").select("method_name", "ratio").iter_rows())
    changes = [
        f"{FOUR_METHODS[name]} {_change_text(found[name])}"
        for name in FOUR_METHODS
        if name in found
    ]
    if not changes:
        return "No energy was measured that an estimator could be compared with"
    return f"Against the measured energy of all jobs: {', '.join(changes)}"


def _change_text(ratio: float) -> str:
    """A ratio as a change in per cent, such as `+25 %`."""
    change = round(100 * (ratio - 1))
    sign = "±" if change == 0 else "+" if change > 0 else wording.MINUS
    return f"{sign}{abs(change)}{wording.NARROW_SPACE}%"


@style.with_style
def plot(levels: pl.DataFrame, *, pue: float, provenance: str) -> Figure:
    """Marks of the four methods on a logarithmic axis, and their ratios to the measurement.

    All methods cover the measured jobs and their time with readings. The line through the
    measurement is its 95 % interval: that of the total in proportion, where 95 % or more of it was
    measured; elsewhere the interval of the total says how well the estimates are known. A hollow
    dot has readings for less than 95 % of the time.

    Args:
        levels: `schemas.Levels`.
        pue: Factor that every method is multiplied by.
        provenance: The foot line.
    """
    rows = relative_to_measurement(levels, pue=pue).filter(
        pl.col("level").is_in(DRAWN_LEVELS), pl.col("method_name").is_in(list(FOUR_METHODS))
    )
    lines = _row_lines(rows)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=42 + ROW_MM * max(len(lines), 3),
        title=figure_title(rows),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["energy", "ratio"]],
        height_ratios=[2.2, max(len(lines), 3)],
        width_ratios=[1.2, 1],
    )
    known = rows.filter(pl.col("covered_kwh") > 0)
    if known.is_empty():
        panels["key"].set_axis_off()
        style.draw_empty_panel(
            panels["energy"], "No job of the study ran on a node with power readings."
        )
        style.draw_empty_panel(panels["ratio"], "Nothing to compare with.")
        return drawn
    style.draw_key(panels["key"], _key_marks(rows), columns=2)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_marks(panels["energy"], panels["ratio"], place, line["methods"])
    _format_axes(panels["energy"], panels["ratio"], lines, pue=pue)
    return drawn


def _row_lines(rows: pl.DataFrame) -> list[Row]:
    """Headings and groups from top to bottom, those with most measured energy first."""
    lines: list[Row] = []
    measured = rows.filter(pl.col("method_name") == "bmc")
    for level in DRAWN_LEVELS:
        of_level = measured.filter(pl.col("level") == level, pl.col("covered_kwh") > 0)
        names = of_level.sort("covered_kwh", "name", descending=[True, False])["name"]
        names = names.filter(~names.str.contains(r"^\(others\)$")).head(MOST_ROWS)
        if names.is_empty():
            continue
        lines.append({"heading": LEVEL_HEADINGS[level]})
        for name in names:
            own = rows.filter(pl.col("level") == level, pl.col("name") == name)
            methods = {row["method_name"]: row for row in own.iter_rows(named=True)}
            lines.append({"name": name, "methods": methods})
    return lines


def _draw_marks(energy: Axes, ratio: Axes, place: int, methods: dict[str, Row]) -> None:
    bmc = methods["bmc"]
    if bmc["covered_low_kwh"] is not None and is_mostly_measured(bmc["measured_frac"]):
        ends = [bmc[f"covered_{end}_kwh"] for end in ("low", "high")]
        heights = [place + MARK_HEIGHTS["bmc"]] * 2
        energy.plot(ends, heights, color=METHOD_COLOURS["bmc"], lw=1.6)
        ratio.plot(
            [end / bmc["covered_kwh"] for end in ends],
            heights,
            color=METHOD_COLOURS["bmc"],
            lw=1.6,
        )
    if not _is_covered(bmc):
        text = f"{wording.format_percent(bmc['coverage_frac'])} of time"
        ratio.text(1.02, place, text, transform=ratio.get_yaxis_transform(), **COVERAGE_TEXT_LOOK)
    for name in FOUR_METHODS:
        row = methods.get(name)
        if row is None or row["covered_kwh"] is None:
            continue
        hollow = name == "bmc" and not _is_covered(bmc)
        look = _mark_look(name, hollow=hollow)
        energy.plot(row["covered_kwh"], place + MARK_HEIGHTS[name], **look)
        # GPU limits give 0 for jobs without GPU: the mark on the edge is not clipped
        ratio.plot(row["ratio"], place + MARK_HEIGHTS[name], **look, clip_on=False)


def is_mostly_measured(measured_frac: float | None) -> bool:
    """Whether the interval of a total is nearly that of its measured part."""
    return measured_frac is not None and measured_frac >= style.FULL_COVERAGE


def _is_covered(row: Row) -> bool:
    return row["coverage_frac"] is None or row["coverage_frac"] >= style.FULL_COVERAGE


def _mark_look(name: str, *, hollow: bool = False) -> dict[str, Any]:
    return {
        "marker": METHOD_MARKERS[name],
        "markersize": 4.2,
        "markerfacecolor": "white" if hollow else METHOD_COLOURS[name],
        "markeredgecolor": METHOD_COLOURS[name],
        "markeredgewidth": 1.0,
        "linestyle": "none",
    }


def _key_marks(rows: pl.DataFrame) -> list[Line2D]:
    present = set(rows["method_name"])
    names = {
        "mlco2": "MLCO2: GPU limits",
        "green_algorithms": "GA: limits, TDP and memory",
        "codecarbon_2": "CC: device readings and models",
        "bmc": "BMC: measured",
    }
    handles = [
        Line2D([], [], label=text, **_mark_look(name))
        for name, text in names.items()
        if name in present
    ]
    if rows.filter(pl.col("coverage_frac") < style.FULL_COVERAGE).height:
        text = "BMC, readings for less than 95 % of the time"
        handles.append(Line2D([], [], label=text, **_mark_look("bmc", hollow=True)))
    return handles


def _format_axes(energy: Axes, ratio: Axes, lines: list[Row], *, pue: float) -> None:
    names = [str(line.get("heading") or line["name"]) for line in lines]
    energy.set_yticks(range(len(lines)), names)
    for label, line in zip(energy.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    ratio.set_yticks(range(len(lines)), [""] * len(lines))
    for axes in (energy, ratio):
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=style.FAINT, lw=0.5)
    energy.set_xscale("log")
    energy.xaxis.set_major_locator(LogLocator(10, numticks=12))
    energy.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    energy.xaxis.set_major_formatter(
        FuncFormatter(lambda kwh, _: wording.format_energy(kwh, digits=1))
    )
    energy.xaxis.set_minor_formatter(NullFormatter())
    energy.set_xlabel("Energy" if pue == 1 else f"Energy × PUE {pue:g}")
    ratio.axvline(1.0, color=style.GREY, lw=0.8)
    ratio.set_xlim(0, max(ratio.get_xlim()[1] * 1.05, 1.2))
    ratio.set_xlabel("Energy over measured energy")
