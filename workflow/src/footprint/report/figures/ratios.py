"""Figure of the ratios of the estimators to the measurement, by GPU and duration."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from footprint.estimators.comparison import DURATION_BOUNDS_S, FOUR_METHODS, NO_GPU
from footprint.hardware import catalogue
from footprint.report import wording
from footprint.report.figures import style
from footprint.report.figures.methods import METHOD_COLOURS

MODEL_NAMES = [name for name in FOUR_METHODS if name != "bmc"]
PANEL_TITLES = {"gpu_model": "GPU", "duration": "Duration"}
FEWEST_JOBS = 3
"""Fewest jobs of a group that is drawn."""
SMALLEST_RATIO, LARGEST_RATIO = 0.25, 4.0
"""Ends of the axis; an arrow marks what lies beyond."""
ROW_MM = 7.5
METHOD_HEIGHTS = {"mlco2": -0.24, "green_algorithms": 0.0, "codecarbon_2": 0.24}
"""Distance of each method from the middle of its row."""
INTERVALS = {("p05", "p95"): 0.8, ("p25", "p75"): 2.6}
"""Quantiles at the ends of a line, and its width in points."""

MEDIAN_LOOK: dict[str, Any] = {
    "marker": "o",
    "markersize": 3.4,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "linestyle": "none",
    "clip_on": False,
}
CUT_LOOK: dict[str, Any] = {"markersize": 3.6, "linestyle": "none", "clip_on": False}


def figure_title(ratios: pl.DataFrame) -> str:
    """Title of the figure: the median of the ratios of all jobs, by method."""
    of_all = _with_models(ratios).filter(pl.col("group") == "all").drop_nulls("ratio_p50")
    medians = dict(of_all.select("method_name", "ratio_p50").iter_rows())
    texts = [
        f"{FOUR_METHODS[name]} {wording.format_number(medians[name], digits=2)}"
        for name in MODEL_NAMES
        if name in medians
    ]
    if not texts:
        return "No job was measured well enough to compare estimates with"
    return f"Median estimate over measured energy: {', '.join(texts)}"


def _with_models(ratios: pl.DataFrame) -> pl.DataFrame:
    named = ratios.with_columns(method_name=pl.col("estimator").str.split("@").list.first())
    return named.filter(pl.col("method_name").is_in(MODEL_NAMES))


@style.with_style
def plot(ratios: pl.DataFrame, *, provenance: str) -> Figure:
    """Medians, halves and nine tenths of the ratios of jobs in two panels, by method.

    Args:
        ratios: `schemas.EstimateRatios`.
        provenance: The foot line.
    """
    rows = _with_models(ratios).filter(pl.col("n_jobs") >= FEWEST_JOBS)
    names = {group: _sorted_names(rows, group) for group in PANEL_TITLES}
    tallest = max(3, *(len(each) for each in names.values()))
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=38 + ROW_MM * tallest,
        title=figure_title(ratios),
        provenance=provenance,
    )
    axes = drawn.subplot_mosaic(
        [["key"] * len(PANEL_TITLES), list(PANEL_TITLES)], height_ratios=[1, tallest * 1.25]
    )
    if rows.is_empty():
        axes["key"].set_axis_off()
        for group in PANEL_TITLES:
            style.draw_empty_panel(axes[group], "No job of a minute or more was measured in full.")
        return drawn
    style.draw_key(axes["key"], _key_marks(), columns=7)
    for group, title in PANEL_TITLES.items():
        _draw_panel(axes[group], rows.filter(pl.col("group") == group), names[group], title)
    return drawn


def _sorted_names(rows: pl.DataFrame, group: str) -> list[str]:
    """Names of the rows of a group from top to bottom: by GPU generation, or by duration."""
    found: list[str] = rows.filter(pl.col("group") == group)["name"].unique().sort().to_list()
    if group == "duration":
        return [name for name in DURATION_BOUNDS_S if name in found]
    of_model = dict(catalogue.read_gpus().select("gpu_model", "generation").iter_rows())
    order = catalogue.order_generations({*of_model.values()})
    place = {name: order.index(of_model[name]) for name in found if name in of_model}
    place[NO_GPU] = len(order) + 1
    return sorted(found, key=lambda name: (place.get(name, len(order)), name))


def _draw_panel(axes: Axes, rows: pl.DataFrame, names: list[str], title: str) -> None:
    places = {name: place for place, name in enumerate(names)}
    for row in rows.drop_nulls("ratio_p50").iter_rows(named=True):
        height = places[row["name"]] + METHOD_HEIGHTS[row["method_name"]]
        _draw_quantiles(axes, height, row)
    counts = dict(rows.group_by("name").agg(pl.col("n_jobs").max()).iter_rows())
    labels = [f"{_short_name(name)}\n{wording.format_count(counts[name])} jobs" for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xscale("log", base=2)
    axes.set_xlim(SMALLEST_RATIO, LARGEST_RATIO)
    axes.xaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.axvline(1.0, color=style.METHOD_COLOURS["bmc"], lw=0.8)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("Estimate over measured energy")


def _draw_quantiles(axes: Axes, height: float, row: dict[str, Any]) -> None:
    """Draw the lines and the median of a method; an arrow at the edge where a line or it is cut."""
    colour = METHOD_COLOURS[row["method_name"]]
    for quantiles, width in INTERVALS.items():
        # math.nan: a line needs both ends
        ends = [row[f"ratio_{name}"] for name in quantiles]
        inside = [_clipped(math.nan if end is None else end) for end in ends]
        axes.plot(inside, [height] * 2, color=colour, lw=width, solid_capstyle="butt", zorder=2)
    known = [row[f"ratio_{name}"] for pair in INTERVALS for name in pair]
    known = [value for value in (*known, row["ratio_p50"]) if value is not None]
    for edge, marker, is_cut in (
        (SMALLEST_RATIO, "<", min(known) < SMALLEST_RATIO),
        (LARGEST_RATIO, ">", max(known) > LARGEST_RATIO),
    ):
        if is_cut:
            axes.plot(edge, height, color=colour, zorder=4, **CUT_LOOK, marker=marker)
    if SMALLEST_RATIO <= row["ratio_p50"] <= LARGEST_RATIO:
        axes.plot(row["ratio_p50"], height, markeredgecolor=colour, zorder=3, **MEDIAN_LOOK)


def _clipped(ratio: float) -> float:
    return min(max(ratio, SMALLEST_RATIO), LARGEST_RATIO)


def _short_name(name: str) -> str:
    for word in ("GeForce ", "Quadro ", "Tesla "):
        name = name.removeprefix(word)
    return "no GPU" if name == NO_GPU else name


def _key_marks() -> list[Line2D]:
    handles = [
        Line2D([], [], color=METHOD_COLOURS[name], lw=2.6, label=FOUR_METHODS[name])
        for name in MODEL_NAMES
    ]
    grey = style.GREY
    handles.append(Line2D([], [], label="median", markeredgecolor=grey, **MEDIAN_LOOK))
    handles.append(Line2D([], [], lw=2.6, color=grey, label="half of the jobs"))
    handles.append(Line2D([], [], lw=0.8, color=grey, label="nine tenths"))
    handles.append(Line2D([], [], label="beyond the axis", color=grey, marker=">", **CUT_LOOK))
    return handles
