"""Figure of the energy of a run against the frequency of such runs: the principle and the study.

The principle follows Kaack et al. (2021, hal-03368037): an inference uses little energy and is very
frequent, a training is a row of epochs, and development is many trainings, one of which is kept.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.core.vocabulary import KINDS
from footprint.report import wording
from footprint.report.figures import style
from footprint.report.figures.distributions import seaborn

FEWEST_RUNS = 5
"""Fewest runs of a kind for its quartiles to be meaningful."""

LABEL_GAP_FRAC = 0.075
"""Least distance between the names of two kinds, as a fraction of the height of the panel."""

EPOCHS_DRAWN = 8
"""Epochs of each training in the schematic."""

KIND_COLOURS = dict.fromkeys(KINDS, style.PHASE_COLOURS["development"]) | {
    "training_run": style.PHASE_COLOURS["training"],
    "inference_run": style.PHASE_COLOURS["inference"],
    "unknown": style.GREY,
}
"""Colours of kinds: those without a phase of their own are development."""

Row = dict[str, Any]


def energy_by_kind(runs: pl.DataFrame, *, weeks: float) -> pl.DataFrame:
    """Frequency and energy of the runs of each kind.

    Args:
        runs: `schemas.Runs`.
        weeks: Length of the study in weeks.

    Returns:
        `kind`, `n_runs` (runs that started), `n_known`, `per_week`, `low_kwh`, `median_kwh`,
        `high_kwh` (quartiles of the runs with known energy), in the order of `KINDS`.
    """
    energy = pl.col("total_kwh").filter(pl.col("total_kwh") > 0)
    return (
        runs.filter(pl.col("kind").is_not_null())
        .group_by(pl.col("kind").cast(pl.Enum(KINDS)))
        .agg(
            pl.len().cast(pl.Int64).alias("n_runs"),
            energy.len().cast(pl.Int64).alias("n_known"),
            (pl.len() / weeks).alias("per_week"),
            energy.quantile(0.25, "linear").alias("low_kwh"),
            energy.quantile(0.5, "linear").alias("median_kwh"),
            energy.quantile(0.75, "linear").alias("high_kwh"),
        )
        .sort("kind")
    )


def figure_title(kinds: pl.DataFrame) -> str:
    """Title of the figure: training compared with inference, from the kinds that are drawn."""
    rows = {row["kind"]: row for row in kinds.iter_rows(named=True)}
    training, inference = rows.get("training_run"), rows.get("inference_run")
    if not rows:
        return "A run of inference takes least and comes most often, development takes most"
    if training is None or inference is None:
        return "What a run takes, and how often runs of its kind come"
    energy = training["median_kwh"] / inference["median_kwh"]
    frequency = training["per_week"] / inference["per_week"]
    text = (
        f"A training run took {wording.format_number(energy, digits=2)} times the energy of an "
        "inference run (medians); "
    )
    more = "training" if frequency > 1 else "inference"
    factor = wording.format_number(max(frequency, 1 / frequency), digits=2)
    return text + f"{more} runs came {factor} times as often"


@style.with_style
def plot(runs: pl.DataFrame, *, weeks: float, provenance: str) -> Figure:
    """A schematic at the left, median and quartiles of each kind at the right.

    Args:
        runs: `schemas.Runs`.
        weeks: Length of the study in weeks.
        provenance: The foot line.
    """
    kinds = energy_by_kind(runs, weeks=weeks).filter(pl.col("n_known") >= FEWEST_RUNS)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM, height_mm=84, title=figure_title(kinds), provenance=provenance
    )
    panels = drawn.subplot_mosaic([["idea", "runs"]], width_ratios=[1, 1.25])
    _draw_principle(panels["idea"])
    if kinds.is_empty():
        style.draw_empty_panel(panels["runs"], f"No kind has {FEWEST_RUNS} runs with known energy.")
    else:
        _draw_runs(panels["runs"], kinds)
    return drawn


def _draw_principle(axes: Axes) -> None:
    """Draw the principle: the less energy a run uses, the more frequent it is."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("How often → (schematic)")
    axes.set_ylabel("Energy of one →")
    development, training = style.PHASE_COLOURS["development"], style.PHASE_COLOURS["training"]
    for row in range(5):
        for column in range(2):
            kept = (row, column) == (1, 1)
            left, bottom = 0.05 + 0.2 * column, 0.66 + 0.05 * row
            _draw_epochs(axes, left, bottom, training if kept else development, side=0.017)
    _draw_epochs(axes, 0.3, 0.42, training, side=0.03)
    axes.add_patch(_square_patch(0.86, 0.16, style.PHASE_COLOURS["inference"], side=0.03))
    for text, x, y in (
        ("development:\na grid of trainings", 0.49, 0.78),
        ("a training:\na row of epochs", 0.63, 0.445),
        ("an inference:\nless than an epoch", 0.83, 0.175),
    ):
        axes.text(x, y, text, va="center", ha="right" if x > 0.8 else "left", fontsize=7)


def _draw_epochs(axes: Axes, left: float, bottom: float, colour: str, *, side: float) -> None:
    for epoch in range(EPOCHS_DRAWN):
        axes.add_patch(_square_patch(left + 1.3 * side * epoch, bottom, colour, side=side))


def _square_patch(left: float, bottom: float, colour: str, *, side: float) -> Rectangle:
    return Rectangle((left, bottom), side, 1.6 * side, facecolor=colour)


def _draw_runs(axes: Axes, kinds: pl.DataFrame) -> None:
    # the median and the range of the three quartiles are drawn
    quartiles = kinds.unpivot(
        ["low_kwh", "median_kwh", "high_kwh"], index=["kind", "per_week"], value_name="kwh"
    )
    seaborn.pointplot(
        quartiles.to_dict(as_series=False),
        x="per_week",
        y="kwh",
        hue="kind",
        palette=KIND_COLOURS,
        native_scale=True,
        estimator="median",
        errorbar=("pi", 100),
        linestyle="none",
        marker="o",
        markersize=5,
        zorder=3,
        err_kws={"linewidth": 1.6, "zorder": 2},
        legend=False,
        ax=axes,
    )
    for line in axes.lines:
        if line.get_color() == KIND_COLOURS["unknown"]:
            line.set_markerfacecolor("white")
    axes.set_xscale("log")
    axes.set_yscale("log")
    energies, rates = quartiles["kwh"].to_list(), kinds["per_week"].to_list()
    axes.set_ylim(min(energies) / 2, max(energies) * 2)
    axes.set_xlim(min(rates) / 1.6, max(rates) * 1.6)
    _write_names(axes, kinds)
    for axis, text in ((axes.xaxis, _format_rate), (axes.yaxis, _format_energy)):
        axis.set_major_locator(LogLocator(10, numticks=12))
        axis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
        axis.set_major_formatter(FuncFormatter(text))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color=style.FAINT, lw=0.5)
    axes.set_xlabel("Runs a week")
    axes.set_ylabel("Energy of a run: median and quartiles")


def _format_rate(per_week: float, _: int) -> str:
    return wording.format_number(per_week, digits=1)


def _format_energy(kwh: float, _: int) -> str:
    return wording.format_energy(kwh, digits=1)


def _write_names(axes: Axes, kinds: pl.DataFrame) -> None:
    """Write the names beside the panel in the order of their marks, with a line to each mark."""
    low, high = (math.log10(end) for end in axes.get_ylim())
    rows = kinds.sort("median_kwh", "kind").to_dicts()
    heights = [(math.log10(row["median_kwh"]) - low) / (high - low) for row in rows]
    for row, height in zip(rows, _spread_heights(heights), strict=True):
        text = f"{wording.KIND_NAMES[row['kind']]}, {wording.format_count(row['n_runs'])}"
        axes.text(1.04, height, text, transform=axes.transAxes, va="center", fontsize=7)
        axes.add_artist(
            ConnectionPatch(
                (row["per_week"], row["median_kwh"]),
                (1.03, height),
                coordsA="data",
                coordsB="axes fraction",
                axesA=axes,
                axesB=axes,
                color=style.GREY,
                linewidth=0.5,
                linestyle=":",
                shrinkA=4,
            )
        )


def _spread_heights(heights: list[float]) -> list[float]:
    """Ascending heights, moved so that they are at least `LABEL_GAP_FRAC` apart and at most 1."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + LABEL_GAP_FRAC) if placed else height)
    top = 1.0
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], top)
        top = placed[i] - LABEL_GAP_FRAC
    return placed
