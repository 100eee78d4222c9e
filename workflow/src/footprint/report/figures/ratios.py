"""Figure of the ratios of the estimators to the measurement, by cluster, GPU and duration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from footprint.estimators.comparison import DURATION_BOUNDS_S, FOUR_METHODS, NO_GPU, RATIO_QUANTILES
from footprint.hardware import catalogue
from footprint.report import wording
from footprint.report.figures import style
from footprint.report.figures.distributions import seaborn
from footprint.report.figures.methods import METHOD_COLOURS

MODEL_NAMES = [name for name in FOUR_METHODS if name != "bmc"]
PANEL_TITLES = {"cluster": "Cluster", "gpu_model": "GPU", "duration": "Duration"}
FEWEST_JOBS = 3
"""Fewest jobs of a group that is drawn."""
LARGEST_RATIO = 3.5
"""Largest ratio of the axis; larger ones are drawn at the edge."""
ROW_MM = 7.5
INTERVAL_LOOKS: Mapping[int, dict[str, Any]] = {
    100: {"markers": "none", "err_kws": {"linewidth": 0.8}},
    50: {
        "marker": "o",
        "markersize": 3.2,
        "markerfacecolor": "white",
        "markeredgewidth": 0.9,
        "clip_on": False,
        "zorder": 3,
        "err_kws": {"linewidth": 2.6, "solid_capstyle": "butt", "zorder": 2},
    },
}
"""Looks of the intervals by their percentage of the five quantiles: tenths and half of the jobs."""


def figure_title(ratios: pl.DataFrame) -> str:
    """Title of the figure: the quartiles of the ratios of all jobs, by method."""
    of_all = _with_models(ratios).filter(pl.col("group") == "all").drop_nulls("ratio_p50")
    rows = {row["method_name"]: row for row in of_all.iter_rows(named=True)}
    ranges = [
        f"{FOUR_METHODS[name]} {_format_range(rows[name]['ratio_p25'], rows[name]['ratio_p75'])}"
        for name in MODEL_NAMES
        if name in rows
    ]
    if not ranges:
        return "No job was measured well enough to compare estimates with"
    return f"Times the measured energy, for the middle half of the jobs: {', '.join(ranges)}"


def _format_range(low: float, high: float) -> str:
    """Both ends of a range, such as `0.12 to 0.29`; one number if they are equal."""
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (low, high)))


def _with_models(ratios: pl.DataFrame) -> pl.DataFrame:
    named = ratios.with_columns(method_name=pl.col("estimator").str.split("@").list.first())
    return named.filter(pl.col("method_name").is_in(MODEL_NAMES))


@style.with_style
def plot(ratios: pl.DataFrame, *, provenance: str) -> Figure:
    """Medians, halves and nine tenths of the ratios of jobs in three panels, by method.

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
    style.draw_key(axes["key"], _key_marks(), columns=5)
    for group, title in PANEL_TITLES.items():
        _draw_panel(axes[group], rows.filter(pl.col("group") == group), names[group], title)
    return drawn


def _sorted_names(rows: pl.DataFrame, group: str) -> list[str]:
    """Names of the rows of a group from top to bottom: by GPU generation, duration, or name."""
    found: list[str] = rows.filter(pl.col("group") == group)["name"].unique().sort().to_list()
    if group == "duration":
        return [name for name in DURATION_BOUNDS_S if name in found]
    if group == "gpu_model":
        of_model = dict(catalogue.read_gpus().select("gpu_model", "generation").iter_rows())
        order = catalogue.order_generations({*of_model.values()})
        place = {name: order.index(of_model[name]) for name in found if name in of_model}
        none = len(order) + 1
        return sorted(
            found, key=lambda name: (none if name == NO_GPU else place.get(name, len(order)), name)
        )
    return sorted(found, key=lambda name: (name.startswith("("), name))


def _draw_panel(axes: Axes, rows: pl.DataFrame, names: list[str], title: str) -> None:
    # the median, half and range of the five quantiles are those of the jobs
    quantiles = rows.unpivot(
        [f"ratio_{name}" for name in RATIO_QUANTILES],
        index=["name", "method_name"],
        value_name="ratio",
    ).with_columns(pl.col("ratio").clip(upper_bound=LARGEST_RATIO))
    for percent, look in INTERVAL_LOOKS.items():
        seaborn.pointplot(
            quantiles.to_dict(as_series=False),
            x="ratio",
            y="name",
            hue="method_name",
            order=names,
            hue_order=MODEL_NAMES,
            palette=METHOD_COLOURS,
            estimator="median",
            errorbar=("pi", percent),
            dodge=0.48,
            linestyle="none",
            legend=False,
            ax=axes,
            **look,
        )
    counts = dict(rows.group_by("name").agg(pl.col("n_jobs").max()).iter_rows())
    labels = [f"{_short_name(name)}\n{wording.format_count(counts[name])} jobs" for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, LARGEST_RATIO)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.axvline(1.0, color=style.METHOD_COLOURS["bmc"], lw=0.8)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("Estimate over measured")
    axes.set_ylabel("")


def _short_name(name: str) -> str:
    for word in ("GeForce ", "Quadro ", "Tesla "):
        name = name.removeprefix(word)
    return "no GPU" if name == NO_GPU else name


def _key_marks() -> list[Line2D]:
    handles = [
        Line2D([], [], color=METHOD_COLOURS[name], lw=2.6, label=FOUR_METHODS[name])
        for name in MODEL_NAMES
    ]
    handles.append(Line2D([], [], lw=2.6, color=style.GREY, label="half of the jobs"))
    handles.append(Line2D([], [], lw=0.8, color=style.GREY, label="nine tenths"))
    return handles
