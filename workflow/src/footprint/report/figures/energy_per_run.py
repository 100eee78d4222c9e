"""Figure of the energy of a run by its kind: median and spread, with the number of runs."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.core.vocabulary import KINDS
from footprint.report import wording
from footprint.report.figures import style

FEWEST_RUNS = 5
"""Fewest runs of a kind for its quartiles to be meaningful."""
ROW_MM = 7.0
COLUMN_EDGES = {"runs": 0.5, "runs a week": 1.0}
"""Right edge of each column of numbers, as a part of the panel."""

QUANTILES = {"p05": 0.05, "low": 0.25, "median": 0.5, "high": 0.75, "p95": 0.95}
SPREADS = {("p05", "p95"): 0.8, ("low", "high"): 2.8}
"""Quantiles at the ends of a line, and its width in points."""

Row = dict[str, Any]


def energy_by_kind(runs: pl.DataFrame, *, weeks: float) -> pl.DataFrame:
    """Frequency and energy of the runs of each kind.

    Args:
        runs: `schemas.Runs`.
        weeks: Length of the study in weeks.

    Returns:
        `kind`, `n_runs` (runs that started), `n_known`, `per_week`, `p05_kwh`, `low_kwh`,
        `median_kwh`, `high_kwh`, `p95_kwh` (twentieth, quartiles and last twentieth of the runs
        with known energy), in the order of `KINDS`.
    """
    energy = pl.col("total_kwh").filter(pl.col("total_kwh") > 0)
    return (
        runs.filter(pl.col("kind").is_not_null())
        .group_by(pl.col("kind").cast(pl.Enum(KINDS)))
        .agg(
            pl.len().cast(pl.Int64).alias("n_runs"),
            energy.len().cast(pl.Int64).alias("n_known"),
            (pl.len() / weeks).alias("per_week"),
            *(
                energy.quantile(level, "linear").alias(f"{name}_kwh")
                for name, level in QUANTILES.items()
            ),
        )
        .sort("kind")
    )


def figure_title(kinds: pl.DataFrame) -> str:
    """Title of the figure: training compared with inference, from the kinds that are drawn."""
    rows = {row["kind"]: row for row in kinds.iter_rows(named=True)}
    training, inference = rows.get("training_run"), rows.get("inference_run")
    if not rows:
        return "The energy of too few runs is known"
    if training is None or inference is None:
        return "Energy of a run by its kind"
    factor = training["median_kwh"] / inference["median_kwh"]
    more, less = ("training", "inference") if factor >= 1 else ("inference", "training")
    times = wording.format_number(max(factor, 1 / factor), digits=2)
    return f"The median {more} run took {times} times the energy of the median {less} run"


@style.with_style
def plot(runs: pl.DataFrame, *, weeks: float, provenance: str) -> Figure:
    """Median, quartiles and nine tenths of the energy of a run, a row for each kind.

    Args:
        runs: `schemas.Runs`.
        weeks: Length of the study in weeks.
        provenance: The foot line.
    """
    kinds = energy_by_kind(runs, weeks=weeks).filter(pl.col("n_known") >= FEWEST_RUNS)
    kinds = kinds.sort("median_kwh", "kind", descending=[True, False])
    n_rows = max(len(kinds), 3)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=34 + ROW_MM * (n_rows + 1),
        title=figure_title(kinds),
        provenance=provenance,
    )
    if kinds.is_empty():
        why = f"No kind has {FEWEST_RUNS} runs with known energy."
        style.draw_empty_panel(drawn.add_subplot(), why)
        return drawn
    panels = drawn.subplot_mosaic(
        [["key", "key"], ["runs", "numbers"]],
        height_ratios=[1, n_rows + 1],
        width_ratios=[1, 0.4],
    )
    style.draw_key(panels["key"], _key_marks(), columns=3)
    for place, row in enumerate(kinds.iter_rows(named=True)):
        _draw_spread(panels["runs"], place, row)
        _write_numbers(panels["numbers"], place, row)
    _format_axes(panels["runs"], panels["numbers"], kinds)
    return drawn


def _draw_spread(axes: Axes, place: int, row: Row) -> None:
    colour = style.KIND_COLOURS[row["kind"]]
    for ends, width in SPREADS.items():
        energies = [row[f"{name}_kwh"] for name in ends]
        axes.plot(energies, [place, place], color=colour, lw=width, solid_capstyle="butt")
    axes.plot(row["median_kwh"], place, **_median_look(colour))


def _median_look(colour: str) -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 4.6,
        "markerfacecolor": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
        "linestyle": "none",
    }


def _key_marks() -> list[Line2D]:
    return [
        Line2D([], [], label="median", **_median_look(style.GREY)),
        Line2D([], [], label="half of the runs", color=style.GREY, lw=2.8),
        Line2D([], [], label="nine tenths of the runs", color=style.GREY, lw=0.8),
    ]


def _write_numbers(axes: Axes, place: int, row: Row) -> None:
    texts = {
        "runs": f"n = {wording.format_count(row['n_runs'])} runs",
        "runs a week": f"{wording.format_number(row['per_week'], digits=2)} a week",
    }
    for name, text in texts.items():
        axes.text(COLUMN_EDGES[name], place, text, ha="right", va="center", fontsize=7)


def _format_axes(runs: Axes, numbers: Axes, kinds: pl.DataFrame) -> None:
    runs.set_xscale("log")
    names = [wording.KIND_NAMES[kind] for kind in kinds["kind"]]
    runs.set_yticks(range(len(names)), names)
    for axes in (runs, numbers):
        axes.set_ylim(len(names) - 0.4, -0.6)
    runs.tick_params(axis="y", length=0)
    runs.spines["left"].set_visible(False)
    runs.xaxis.set_major_locator(LogLocator(10, numticks=8))
    runs.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    runs.xaxis.set_major_formatter(
        FuncFormatter(lambda kwh, _: wording.format_energy(kwh, digits=1))
    )
    runs.xaxis.set_minor_formatter(NullFormatter())
    runs.grid(axis="x", color=style.FAINT, lw=0.5)
    runs.set_xlabel("Energy of a run")
    numbers.set_axis_off()
    numbers.set_xlim(0, 1)
