"""Figure of the four methods of the study: ratios to the measurement, with its energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from footprint.estimators.comparison import FOUR_METHODS, relative_to_measurement
from footprint.levels.levels import LEVEL_HEADINGS
from footprint.report import wording
from footprint.report.figures import style

DRAWN_LEVELS = ("site", "project", "user", "paper")
MOST_ROWS = 5
"""Most rows of a level, those with most energy."""
MOST_NARROW_ROWS = 3
"""Most rows of a level in a figure of one column."""
ROW_MM = 5.0

METHOD_COLOURS = {
    name: style.METHOD_COLOURS[name.partition("_2")[0] if name == "codecarbon_2" else name]
    for name in FOUR_METHODS
}
METHOD_MARKERS = {"mlco2": "s", "green_algorithms": "^", "codecarbon_2": "D"}
METHOD_KEYS = {
    "mlco2": "MLCO2: GPU limits",
    "green_algorithms": "GA: limits, TDP and memory",
    "codecarbon_2": "CC: device readings and models",
}
INTERVAL_LOOK: Mapping[str, Any] = {"color": METHOD_COLOURS["bmc"], "lw": 2.2}
COLUMN_EDGES = {"measured": 0.5, "coverage": 1.0}
"""Right edge of each column of numbers, as a part of the panel."""

Row = dict[str, Any]


def figure_title(rows: pl.DataFrame) -> str:
    """Title of the figure: differences of the three models from the measured energy of the site."""
    site = rows.filter(pl.col("level") == "site", pl.col("method_name") != "bmc")
    found = dict(site.drop_nulls("ratio").select("method_name", "ratio").iter_rows())
    changes = [
        f"{FOUR_METHODS[name]} {wording.format_change(found[name])}"
        for name in FOUR_METHODS
        if name in found
    ]
    if not changes:
        return "No energy was measured that an estimator could be compared with"
    return f"Against the measured energy of all jobs: {', '.join(changes)}"


@style.with_style
def plot(
    levels: pl.DataFrame, *, pue: float, provenance: str, width_mm: float = style.TEXT_MM
) -> Figure:
    """Marks of the models at their ratio to the measurement, a row for each group of jobs.

    All methods cover the measured jobs and their time with readings; the measured energy is
    written. The line at 1 is the 95 % interval of the measurement: that of the total in
    proportion, where 95 % or more of it was measured; elsewhere the interval of the total says how
    well the estimates are known. The part of the time with readings is written where it is less
    than 95 %.

    Args:
        levels: `schemas.Levels`.
        pue: Factor that every method is multiplied by.
        provenance: The foot line.
        width_mm: Width; a figure of one column has fewer rows.
    """
    rows = relative_to_measurement(levels, pue=pue).filter(
        pl.col("level").is_in(DRAWN_LEVELS), pl.col("method_name").is_in(list(FOUR_METHODS))
    )
    is_narrow = width_mm < style.TEXT_MM
    lines = _row_lines(rows, most=MOST_NARROW_ROWS if is_narrow else MOST_ROWS)
    key, body = (17.0 if is_narrow else 10.0), ROW_MM * max(len(lines), 3) + 12
    drawn = style.new_figure(
        width_mm=width_mm,
        height_mm=18 + key + body,
        title=figure_title(rows),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["ratio", "numbers"]],
        height_ratios=[key, body],
        width_ratios=[1, 0.72] if is_narrow else [1, 0.32],
    )
    ratio, numbers = panels["ratio"], panels["numbers"]
    if rows.filter(pl.col("covered_kwh") > 0).is_empty():
        panels["key"].set_axis_off()
        numbers.set_axis_off()
        style.draw_empty_panel(ratio, "No job of the study ran on a node with power readings.")
        return drawn
    style.draw_key(panels["key"], _key_marks(rows), columns=1 if is_narrow else 2)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _draw_marks(ratio, place, line["methods"])
            _write_numbers(numbers, place, line["methods"]["bmc"])
    _format_axes(ratio, numbers, lines, pue=pue)
    return drawn


def _row_lines(rows: pl.DataFrame, *, most: int) -> list[Row]:
    """Headings and groups from top to bottom, those with most measured energy first."""
    lines: list[Row] = []
    measured = rows.filter(pl.col("method_name") == "bmc")
    for level in DRAWN_LEVELS:
        of_level = measured.filter(pl.col("level") == level, pl.col("covered_kwh") > 0)
        names = of_level.sort("covered_kwh", "name", descending=[True, False])["name"]
        names = names.filter(~names.str.contains(r"^\(others\)$")).head(most)
        if names.is_empty():
            continue
        lines.append({"heading": LEVEL_HEADINGS[level]})
        for name in names:
            own = rows.filter(pl.col("level") == level, pl.col("name") == name)
            methods = {row["method_name"]: row for row in own.iter_rows(named=True)}
            lines.append({"name": name, "methods": methods})
    return lines


def _draw_marks(axes: Axes, place: int, methods: dict[str, Row]) -> None:
    """Draw a row: the interval of the measurement, and the models on a line that joins them."""
    bmc = methods["bmc"]
    ratios = {
        name: methods[name]["ratio"]
        for name in METHOD_MARKERS
        if name in methods and methods[name]["ratio"] is not None
    }
    ends = [min([1.0, *ratios.values()]), max([1.0, *ratios.values()])]
    axes.plot(ends, [place, place], color=style.FAINT, lw=2.0, zorder=1)
    if bmc["covered_low_kwh"] is not None and is_mostly_measured(bmc["measured_frac"]):
        interval = [bmc[f"covered_{end}_kwh"] / bmc["covered_kwh"] for end in ("low", "high")]
        axes.plot(interval, [place, place], zorder=2, **INTERVAL_LOOK)
    for name, value in ratios.items():
        # GPU limits give 0 for jobs without GPU: the mark on the edge is not clipped
        axes.plot(value, place, zorder=3, clip_on=False, **_mark_look(name))


def is_mostly_measured(measured_frac: float | None) -> bool:
    """Whether the interval of a total is nearly that of its measured part."""
    return measured_frac is not None and measured_frac >= style.FULL_COVERAGE


def _write_numbers(axes: Axes, place: int, bmc: Row) -> None:
    """Write the measured energy, and the part of the time with readings where it is low."""
    look: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 7}
    text = wording.format_energy(bmc["covered_kwh"])
    axes.text(COLUMN_EDGES["measured"], place, text, **look)
    if bmc["coverage_frac"] is not None and bmc["coverage_frac"] < style.FULL_COVERAGE:
        text = wording.format_percent(bmc["coverage_frac"])
        axes.text(COLUMN_EDGES["coverage"], place, text, color=style.ACCENT, **look)


def _mark_look(name: str) -> dict[str, Any]:
    return {
        "marker": METHOD_MARKERS[name],
        "markersize": 5.0 if name == "green_algorithms" else 4.4,
        "markerfacecolor": METHOD_COLOURS[name],
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "linestyle": "none",
    }


def _key_marks(rows: pl.DataFrame) -> list[Line2D]:
    present = set(rows["method_name"])
    handles = [
        Line2D([], [], label=text, **_mark_look(name))
        for name, text in METHOD_KEYS.items()
        if name in present
    ]
    handles.append(Line2D([], [], label="95 % interval of the measurement", **INTERVAL_LOOK))
    return handles


def _format_axes(ratio: Axes, numbers: Axes, lines: list[Row], *, pue: float) -> None:
    names = [str(line.get("heading") or line["name"]) for line in lines]
    ratio.set_yticks(range(len(lines)), names)
    for label, line in zip(ratio.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    for axes in (ratio, numbers):
        axes.set_ylim(len(lines) - 0.4, -0.6)
    ratio.tick_params(axis="y", length=0)
    ratio.spines["left"].set_visible(False)
    ratio.grid(axis="x", color=style.FAINT, lw=0.5)
    ratio.axvline(1.0, color=style.GREY, lw=0.8, zorder=1.5)
    ratio.set_xlim(0, max(ratio.get_xlim()[1] * 1.02, 1.2))
    ratio.set_xlabel("Energy by the method over measured energy")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
    headers = {"measured": "measured" if pue == 1 else f"measured\n× PUE {pue:g}"}
    headers["coverage"] = "coverage"
    for name, text in headers.items():
        numbers.text(
            *(COLUMN_EDGES[name], 0, text),
            ha="right",
            va="center",
            fontsize=7,
            color=style.GREY,
        )
