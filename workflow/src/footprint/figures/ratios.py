"""How far the estimators are from the measurement: by cluster, by GPU and by duration."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from footprint import hardware
from footprint.comparison import DURATIONS, FOUR_METHODS, NO_GPU
from footprint.figures import style
from footprint.figures.methods import COLOURS

MODELS = [name for name in FOUR_METHODS if name != "bmc"]
PANELS = {"cluster": "Cluster", "gpu_model": "GPU", "duration": "Duration"}
FEWEST_JOBS = 3
"""Groups of fewer jobs have no distribution worth drawing."""
LARGEST = 3.5
"""Ratios beyond are drawn at the edge."""
ROW_MM = 7.5

Row = dict[str, Any]


def message(ratios: pl.DataFrame) -> str:
    """What the figure shows, in a sentence: the middle half of the jobs' ratios, by method."""
    of_all = _of_models(ratios).filter(pl.col("group") == "all").drop_nulls("ratio_p50")
    rows = {row["method_name"]: row for row in of_all.iter_rows(named=True)}
    told = [
        f"{FOUR_METHODS[name]} {_span(rows[name]['ratio_p25'], rows[name]['ratio_p75'])}"
        for name in MODELS
        if name in rows
    ]
    if not told:
        return "No job was measured well enough to compare estimates with"
    return f"Times the measured energy, for the middle half of the jobs: {', '.join(told)}"


def _span(low: float, high: float) -> str:
    """Both ends, as in `0.12 to 0.29`; one number where they are the same."""
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (low, high)))


def _of_models(ratios: pl.DataFrame) -> pl.DataFrame:
    named = ratios.with_columns(method_name=pl.col("estimator").str.split("@").list.first())
    return named.filter(pl.col("method_name").is_in(MODELS))


@style.styled
def plot(ratios: pl.DataFrame, *, provenance: str) -> Figure:
    """Medians, halves and nine tenths of the jobs' ratios in three panels, a colour a method.

    Args:
        ratios: `tables.EstimateRatios`.
        provenance: The foot line.
    """
    rows = _of_models(ratios).filter(pl.col("n_jobs") >= FEWEST_JOBS)
    names = {group: _names(rows, group) for group in PANELS}
    tallest = max(3, *(len(each) for each in names.values()))
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=38 + ROW_MM * tallest,
        title=message(ratios),
        provenance=provenance,
    )
    axes = drawn.subplot_mosaic(
        [["key"] * len(PANELS), list(PANELS)], height_ratios=[1, tallest * 1.25]
    )
    if rows.is_empty():
        axes["key"].set_axis_off()
        for group in PANELS:
            style.empty(axes[group], "No job of a minute or more was measured in full.")
        return drawn
    style.key(axes["key"], _key(), columns=5)
    for group, title in PANELS.items():
        _panel(axes[group], rows.filter(pl.col("group") == group), names[group], title)
    return drawn


def _names(rows: pl.DataFrame, group: str) -> list[str]:
    """Names of a group's rows from top to bottom: as they come in time, in length, or by name."""
    found: list[str] = rows.filter(pl.col("group") == group)["name"].unique().sort().to_list()
    if group == "duration":
        return [name for name in DURATIONS if name in found]
    if group == "gpu_model":
        of_model = dict(hardware.gpus().select("gpu_model", "generation").iter_rows())
        order = hardware.generation_order({*of_model.values()})
        place = {name: order.index(of_model[name]) for name in found if name in of_model}
        none = len(order) + 1
        return sorted(
            found, key=lambda name: (none if name == NO_GPU else place.get(name, len(order)), name)
        )
    return sorted(found, key=lambda name: (name.startswith("("), name))


def _panel(axes: Axes, rows: pl.DataFrame, names: list[str], title: str) -> None:
    of_name = {(row["name"], row["method_name"]): row for row in rows.iter_rows(named=True)}
    counts: dict[str, int] = {}
    for place, name in enumerate(names):
        for number, model in enumerate(MODELS):
            row = of_name.get((name, model))
            if row is not None and row["ratio_p50"] is not None:
                counts[name] = max(counts.get(name, 0), row["n_jobs"])
                _spread(axes, place + 0.24 * (number - 1), row, COLOURS[model])
    labels = [f"{_short(name)}\n{style.count(counts.get(name, 0))} jobs" for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, LARGEST)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.axvline(1.0, color=style.METHODS["bmc"], lw=0.8)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("Estimate over measured")


def _short(name: str) -> str:
    for word in ("GeForce ", "Quadro ", "Tesla "):
        name = name.removeprefix(word)
    return "no GPU" if name == NO_GPU else name


def _spread(axes: Axes, height: float, row: Row, colour: str) -> None:
    """Nine tenths as a thin line, half as a thick one, the median as a dot."""
    low, high = (min(row[f"ratio_{end}"], LARGEST) for end in ("p05", "p95"))
    axes.plot([low, high], [height, height], color=colour, lw=0.8)
    low, high = (min(row[f"ratio_{end}"], LARGEST) for end in ("p25", "p75"))
    axes.plot([low, high], [height, height], color=colour, lw=2.6, solid_capstyle="butt")
    middle = min(row["ratio_p50"], LARGEST)
    axes.plot(middle, height, "o", ms=3.2, mfc="white", mec=colour, mew=0.9, clip_on=False)


def _key() -> list[Line2D]:
    handles = [
        Line2D([], [], color=COLOURS[name], lw=2.6, label=FOUR_METHODS[name]) for name in MODELS
    ]
    handles.append(Line2D([], [], lw=2.6, color=style.GREY, label="half of the jobs"))
    handles.append(Line2D([], [], lw=0.8, color=style.GREY, label="nine tenths"))
    return handles
