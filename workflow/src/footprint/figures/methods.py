"""The four methods of the study beside each other: absolute, and relative to the measurement."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.comparison import FOUR_METHODS, relative
from footprint.figures import style
from footprint.levels import HEADINGS

LEVELS = ("site", "project", "user", "paper")
MOST_ROWS = 5
"""Of a level: those with most energy."""
ROW_MM = 6.6

COLOURS = {
    name: style.METHODS[name.partition("_2")[0] if name == "codecarbon_2" else name]
    for name in FOUR_METHODS
}
MARKERS = {"mlco2": "s", "green_algorithms": "^", "codecarbon_2": "D", "bmc": "o"}
DODGE = {"mlco2": -0.24, "green_algorithms": -0.08, "codecarbon_2": 0.08, "bmc": 0.24}
"""Marks of a row stand one below the other, so that none hides another."""

BESIDE: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 6.5, "color": style.ACCENT}

Row = dict[str, Any]


def message(rows: pl.DataFrame) -> str:
    """What the figure shows, in a sentence: how far the three models are from the site's BMCs."""
    site = rows.filter(pl.col("level") == "site", pl.col("method_name") != "bmc")
    found = dict(site.drop_nulls("ratio").select("method_name", "ratio").iter_rows())
    told = [
        f"{FOUR_METHODS[name]} {_change(found[name])}" for name in FOUR_METHODS if name in found
    ]
    if not told:
        return "No energy was measured that an estimator could be compared with"
    return f"Against the measured energy of all jobs: {', '.join(told)}"


def _change(ratio: float) -> str:
    """A ratio as a change in per cent, as in `+25 %`."""
    change = round(100 * (ratio - 1))
    sign = "±" if change == 0 else "+" if change > 0 else style.MINUS
    return f"{sign}{abs(change)}{style.THIN_SPACE}%"


@style.styled
def plot(levels: pl.DataFrame, *, pue: float, provenance: str) -> Figure:
    """Marks of the four methods on a logarithmic axis, and their ratios to the measurement.

    All are of the jobs and the time that were measured. The line through the measurement is its
    95 % interval, with the error of the estimate for gaps; a hollow dot has a coverage under 95 %.

    Args:
        levels: `tables.Levels`.
        pue: Factor that every method is multiplied by.
        provenance: The foot line.
    """
    rows = relative(levels, pue=pue).filter(
        pl.col("level").is_in(LEVELS), pl.col("method_name").is_in(list(FOUR_METHODS))
    )
    lines = _lines(rows)
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=42 + ROW_MM * max(len(lines), 3),
        title=message(rows),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["energy", "ratio"]],
        height_ratios=[2.2, max(len(lines), 3)],
        width_ratios=[1.2, 1],
    )
    known = rows.filter(pl.col("energy_kwh") > 0)
    if known.is_empty():
        panels["key"].set_axis_off()
        style.empty(panels["energy"], "No job of the study ran on a node with power readings.")
        style.empty(panels["ratio"], "Nothing to compare with.")
        return drawn
    style.key(panels["key"], _key(rows), columns=2)
    for place, line in enumerate(lines):
        if "heading" not in line:
            _marks(panels["energy"], panels["ratio"], place, line["methods"])
    _axes(panels["energy"], panels["ratio"], lines, pue=pue)
    return drawn


def _lines(rows: pl.DataFrame) -> list[Row]:
    """Headings and groups from top to bottom, those with most measured energy first."""
    lines: list[Row] = []
    measured = rows.filter(pl.col("method_name") == "bmc")
    for level in LEVELS:
        of_level = measured.filter(pl.col("level") == level, pl.col("energy_kwh") > 0)
        names = of_level.sort("energy_kwh", "name", descending=[True, False])["name"]
        names = names.filter(~names.str.contains(r"^\(others\)$")).head(MOST_ROWS)
        if names.is_empty():
            continue
        lines.append({"heading": HEADINGS[level]})
        for name in names:
            own = rows.filter(pl.col("level") == level, pl.col("name") == name)
            methods = {row["method_name"]: row for row in own.iter_rows(named=True)}
            lines.append({"name": name, "methods": methods})
    return lines


def _marks(energy: Axes, ratio: Axes, place: int, methods: dict[str, Row]) -> None:
    bmc = methods["bmc"]
    if bmc["energy_low_kwh"] is not None and bmc["imputed_kwh"] is not None:
        # the interval is that of measured and imputed energy together, the mark is the measured
        ends = [bmc[f"energy_{end}_kwh"] - bmc["imputed_kwh"] for end in ("low", "high")]
        heights = [place + DODGE["bmc"]] * 2
        energy.plot(ends, heights, color=COLOURS["bmc"], lw=1.6)
        ratio.plot([end / bmc["energy_kwh"] for end in ends], heights, color=COLOURS["bmc"], lw=1.6)
    if not _is_covered(bmc):
        text = f"{style.percent(bmc['coverage_frac'])} measured"
        ratio.text(1.02, place, text, transform=ratio.get_yaxis_transform(), **BESIDE)
    for name in FOUR_METHODS:
        row = methods.get(name)
        if row is None or row["energy_kwh"] is None:
            continue
        hollow = name == "bmc" and not _is_covered(bmc)
        look = _look(name, hollow=hollow)
        energy.plot(row["energy_kwh"], place + DODGE[name], **look)
        # GPU limits say 0 of jobs without GPU: that mark stands on the edge, and in full
        ratio.plot(row["ratio"], place + DODGE[name], **look, clip_on=False)


def _is_covered(row: Row) -> bool:
    return row["coverage_frac"] is None or row["coverage_frac"] >= style.FULL_COVERAGE


def _look(name: str, *, hollow: bool = False) -> dict[str, Any]:
    return {
        "marker": MARKERS[name],
        "markersize": 4.2,
        "markerfacecolor": "white" if hollow else COLOURS[name],
        "markeredgecolor": COLOURS[name],
        "markeredgewidth": 1.0,
        "linestyle": "none",
    }


def _key(rows: pl.DataFrame) -> list[Line2D]:
    present = set(rows["method_name"])
    names = {
        "mlco2": "MLCO2: GPU limits",
        "green_algorithms": "GA: limits, TDP and memory",
        "codecarbon_2": "CC: device readings and models",
        "bmc": "BMC: measured",
    }
    handles = [
        Line2D([], [], label=text, **_look(name)) for name, text in names.items() if name in present
    ]
    if rows.filter(pl.col("coverage_frac") < style.FULL_COVERAGE).height:
        text = "BMC, less than 95 % measured"
        handles.append(Line2D([], [], label=text, **_look("bmc", hollow=True)))
    return handles


def _axes(energy: Axes, ratio: Axes, lines: list[Row], *, pue: float) -> None:
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
    energy.xaxis.set_major_formatter(FuncFormatter(lambda kwh, _: style.energy(kwh, digits=1)))
    energy.xaxis.set_minor_formatter(NullFormatter())
    energy.set_xlabel("Energy" if pue == 1 else f"Energy × PUE {pue:g}")
    ratio.axvline(1.0, color=style.GREY, lw=0.8)
    ratio.set_xlim(0, max(ratio.get_xlim()[1] * 1.05, 1.2))
    ratio.set_xlabel("Energy over measured energy")
