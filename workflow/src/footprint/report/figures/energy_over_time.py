"""Figure of the energy of the nodes of the site over time, by class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import NODE_CLASSES, OVERHEAD_CLASSES
from footprint.levels.time_steps import CALENDAR_STEP_NAMES, calendar_step, energy_by_calendar_step
from footprint.report import wording
from footprint.report.figures import style, time_axis

LABELS_MM = 14.0
"""Width of the labels at the left of a panel."""
USUAL_TOLERANCE = 0.05
"""Distance of the measured part of a period below the usual one from which it is marked."""
GAP_MM = 0.25
"""Gap between bars, at most a twentieth of a bar."""

LOW_COVERAGE_LOOK: dict[str, Any] = {
    "marker": "v",
    "markersize": 4.0,
    "color": style.ACCENT,
    "linestyle": "none",
}


def figure_title(periods: pl.DataFrame, *, site: str, step: str) -> str:
    """Title of the figure: the part of the overhead in the energy, and its range over periods.

    Args:
        periods: Result of `energy_by_calendar_step`.
        site: Name of the site.
        step: Length of a period: `1d`, `1w` or `1mo`.
    """
    energy, of_class = pl.col("total_kwh"), pl.col("class").cast(pl.String)
    sums = (
        periods.group_by("begins_at", "is_whole")
        .agg(
            sum_or_zero(energy).alias("energy"),
            sum_or_zero(energy.filter(of_class.is_in(OVERHEAD_CLASSES))).alias("overhead"),
        )
        .filter(pl.col("energy") > 0)
        .sort("begins_at")
    )
    if sums.is_empty():
        return f"The energy of the nodes of {site.title()} is unknown"
    # sums over all periods: the mean that counts each kWh alike
    parts = (sum_or_zero(pl.col(name)) for name in ("overhead", "energy"))
    overhead, all_energy = sums.select(*parts).row(0)
    text = (
        f"Hardware without a job took {wording.format_percent(overhead / all_energy)} of the "
        f"energy at {site.title()}"
    )
    whole = sums.filter("is_whole")
    fractions = whole.select(part=pl.col("overhead") / pl.col("energy"))["part"].sort()
    if len(fractions) > 1:
        ends = (wording.format_percent(fractions[place]) for place in (0, -1))
        ends_text = wording.format_range(*ends)
        text += f" ({ends_text} by {CALENDAR_STEP_NAMES[step]})"
    return text


def usual_coverage(periods: pl.DataFrame) -> tuple[float, pl.DataFrame]:
    """Usual measured part of the node time, and the periods that deviate from it.

    Args:
        periods: Result of `energy_by_calendar_step`.

    Returns:
        The median over the periods, and `begins_at`, `ends_at`, `measured_frac` of those that are
        `USUAL_TOLERANCE` or more below it.
    """
    of_period = periods.select("begins_at", "ends_at", "measured_frac").unique().sort("begins_at")
    usual = float(of_period["measured_frac"].median() or 0.0)  # type: ignore[arg-type]
    low = of_period.filter(pl.col("measured_frac") <= usual - USUAL_TOLERANCE)
    return usual, low


@style.with_style
def plot(
    node_energy: pl.DataFrame,
    *,
    site: str,
    start: datetime,
    end: datetime,
    provenance: str,
    width_mm: float = style.TEXT_MM,
) -> Figure:
    """Stacked bars by class: energy per day above, node time in per cent below.

    A bar is as wide as its period and as high as the total energy per day, so a period that the
    study cuts is narrower and not lower. Estimated energy stands above measured energy, in lighter
    colours. The measured part of the node time is said once; a triangle marks the periods in which
    less was measured than usual.

    Args:
        node_energy: `schemas.NodeEnergy`.
        site: Name of the site.
        start: First moment of the study.
        end: First moment after the study.
        provenance: The foot line.
        width_mm: Width.
    """
    periods = energy_by_calendar_step(node_energy, start=start, end=end)
    step = calendar_step(start, end)
    is_narrow = width_mm < style.TEXT_MM
    drawn = style.new_figure(
        width_mm=width_mm,
        height_mm=110 if is_narrow else 104,
        title=figure_title(periods, site=site, step=step),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic(
        [["key"], ["energy"], ["time"]], height_ratios=[1.4 if is_narrow else 0.8, 5, 2.4]
    )
    if periods.is_empty():
        panels["key"].set_axis_off()
        panels["time"].set_axis_off()
        style.draw_empty_panel(panels["energy"], "The study has no node.")
        return drawn
    present = [name for name in NODE_CLASSES if name in periods["class"].to_list()]
    patches: list[Patch | Line2D] = [style.class_patch(name) for name in present]
    if (periods["total_kwh"] > periods["measured_kwh"].fill_null(0.0)).any():
        patches.append(style.estimated_patch())
    usual, low = usual_coverage(periods)
    if len(low):
        patches.append(Line2D([], [], label="fewer readings than usual", **LOW_COVERAGE_LOOK))
    style.draw_key(panels["key"], patches, columns=3 if is_narrow else 5)
    _draw_energies(panels["energy"], periods, step)
    _draw_times(panels["time"], periods)
    text = f"Readings usually exist for {wording.format_percent(usual)} of the node time"
    panels["energy"].set_title(text, loc="left", fontsize=7, color=style.GREY)
    middles = (date2num(low["begins_at"].to_list()) + date2num(low["ends_at"].to_list())) / 2
    height = np.full(len(low), 0.97)
    look = LOW_COVERAGE_LOOK | {"transform": panels["energy"].get_xaxis_transform()}
    panels["energy"].plot(middles, height, **look)
    bars = (panels["energy"], panels["time"])
    time_axis.apply_time_axis(bars, start, end, width_mm=width_mm - LABELS_MM)
    panels["energy"].tick_params(axis="x", labelbottom=False)
    return drawn


def _period_days() -> pl.Expr:
    return (pl.col("ends_at") - pl.col("begins_at")).dt.total_seconds() / 86400


def _draw_bars(axes: Axes, periods: pl.DataFrame, values: Sequence[pl.Expr]) -> None:
    """Draw stacked bars, classes from below to above; values after the first in lighter colours."""
    order = pl.col("class").cast(pl.String).cast(pl.Enum(NODE_CLASSES))
    rows = pl.concat(
        periods.with_columns(value.fill_null(0.0).alias("value"), layer=pl.lit(layer))
        for layer, value in enumerate(values)
    )
    rows = rows.sort("begins_at", "layer", order).with_columns(
        pl.col("value").cum_sum().over("begins_at").alias("top")
    )
    begins, ends = (date2num(rows[name].to_numpy()) for name in ("begins_at", "ends_at"))
    width_mm = axes.figure.bbox.width / axes.figure.dpi * 25.4 - LABELS_MM
    gap = GAP_MM / width_mm * (ends.max() - begins.min())
    ends -= np.minimum(gap, 0.05 * (ends - begins))
    tops, layers = rows["top"].to_numpy(), rows["layer"].to_numpy()
    bottoms = tops - rows["value"].to_numpy()
    for layer in range(len(values)):
        for name in NODE_CLASSES:
            own = (rows["class"] == name).to_numpy() & (layers == layer) & (bottoms < tops)
            look = style.class_look(name, is_estimate=layer > 0)
            style.draw_rectangles(axes, begins[own], bottoms[own], ends[own], tops[own], **look)


def _draw_energies(axes: Axes, periods: pl.DataFrame, step: str) -> None:
    measured = pl.col("measured_kwh").fill_null(0.0)
    per_day = periods.with_columns(
        kwh=pl.col("total_kwh") / _period_days(),
        measured=measured / _period_days(),
        estimated=(pl.col("total_kwh") - measured).clip(lower_bound=0.0) / _period_days(),
    )
    sums = per_day.group_by("begins_at").agg(sum_or_zero(pl.col("kwh")))
    largest = float(sums["kwh"].max() or 0.0)  # type: ignore[arg-type]
    unit, in_kwh = wording.energy_unit(largest)
    _draw_bars(axes, per_day, [pl.col("measured") / in_kwh, pl.col("estimated") / in_kwh])
    if (per_day["estimated"] > 0).any():
        _draw_measured_edge(axes, per_day, in_kwh)
    axes.set_ylim(0, 1.08 * (largest / in_kwh or 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    mean = "" if step == "1d" else f",\nmean of the {CALENDAR_STEP_NAMES[step]}"
    axes.set_ylabel(f"Energy per day ({unit}){mean}")
    if not largest:
        style.draw_empty_panel(axes, "The energy of no node is known.")


def _draw_measured_edge(axes: Axes, per_day: pl.DataFrame, in_kwh: float) -> None:
    """Draw a line between measured and estimated energy of each period."""
    tops = (
        per_day.group_by("begins_at", "ends_at")
        .agg(sum_or_zero(pl.col("measured")))
        .sort("begins_at")
    )
    begins, ends = (date2num(tops[name].to_numpy()) for name in ("begins_at", "ends_at"))
    axes.hlines(tops["measured"].to_numpy() / in_kwh, begins, ends, color=style.INK, lw=0.8)


def _draw_times(axes: Axes, periods: pl.DataFrame) -> None:
    whole = sum_or_zero(pl.col("node_h")).over("begins_at")
    _draw_bars(axes, periods, [100 * pl.col("node_h") / whole])
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.set_ylabel("Node time (%)")
