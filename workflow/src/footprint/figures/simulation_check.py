"""Measured against true energy on the simulated site, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.figures import style

SMALLEST_ERROR_FRAC = 1e-5
"""A logarithmic axis has no 0: smaller errors are drawn here."""

INTENDED_COVER = (0.93, 0.99)
"""Part of the intervals, stated for 95 %, that should hold the truth."""

ROW_MM = 5.0


def message(check: pl.DataFrame) -> str:
    """What the figure shows, in a sentence, from `tables.SimulationCheck`."""
    whole = check.filter(pl.col("sensors") == "all")
    if whole.is_empty() or not whole["n_jobs"].item():
        return "No simulated job was measured"
    row = whole.row(0, named=True)
    return (
        f"The true energy lies inside the 95 % interval for {style.percent(row['inside_frac'])} of "
        f"{style.count(row['n_jobs'])} measured jobs; the median error of those over 10 minutes is "
        f"{style.percent(row['median_error_frac'])}"
    )


@style.styled
def plot(check: pl.DataFrame, compared: pl.DataFrame, *, provenance: str) -> Figure:
    """How far measured energies are off, and how often the interval holds the truth.

    Args:
        check: `tables.SimulationCheck`.
        compared: The result of `simulation_check.compare`; errors are those of the jobs that it
            compares, over 10 minutes and measured all the time.
        provenance: The foot line.
    """
    rows = _by_step(check)
    job_errors = compared.filter("compared")
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=max(72.0, 36 + ROW_MM * len(rows)),
        title=message(check),
        provenance=provenance,
    )
    left, right = drawn.subplots(1, 2, width_ratios=[1, 1.15])
    steps = {*rows["step_w"].drop_nulls(), *job_errors["step_w"]}
    colours = dict(zip(sorted(steps), cycle(style.SEQUENCE), strict=False))
    _errors(left, job_errors, colours)
    _cover(right, rows, colours)
    return drawn


def _by_step(check: pl.DataFrame) -> pl.DataFrame:
    """Rows by ascending step, the row of all sensors last, without a step."""
    step_w = pl.col("sensors").str.strip_suffix(" W").cast(pl.Float64, strict=False)
    return check.with_columns(step_w.alias("step_w")).sort("step_w", nulls_last=True)


def _named(step_w: float | None) -> str:
    return "all" if step_w is None else f"{step_w:g}{style.THIN_SPACE}W"


def _errors(axes: Axes, job_errors: pl.DataFrame, colours: Mapping[float, str]) -> None:
    """Share of jobs whose error is at most so large, a line a sensor step."""
    if job_errors.is_empty():
        style.empty(axes, "No job over 10 minutes was measured all the time.")
        return
    axes.set_xscale("log")
    sizes = {
        step: np.sort(job_errors.filter(pl.col("step_w") == step)["error_frac"].abs().to_numpy())
        for step in colours
    }
    drawn = {
        step: np.maximum(size, SMALLEST_ERROR_FRAC) for step, size in sizes.items() if size.size
    }
    for step, size in drawn.items():
        part = 100 * np.arange(1, size.size + 1) / size.size
        axes.step(
            [size[0], *size],
            [0, *part],
            where="post",
            color=colours[step],
            lw=1.2,
            label=f"{_named(step)}, {style.count(size.size)}",
        )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=3,
        title="step of the sensor, jobs compared",
        title_fontsize=7,
        alignment="left",
        fontsize=7,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.2,
        borderpad=0.0,
    )
    smallest = min(float(size[0]) for size in drawn.values())
    largest = max(float(size[-1]) for size in drawn.values())
    axes.set_xlim(smallest / 1.5, largest * 1.5)
    axes.set_ylim(0, 100)
    axes.set_yticks(range(0, 101, 25))
    axes.xaxis.set_major_locator(LogLocator(10, numticks=9))
    axes.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * error:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Error of a job, either way (%)")
    axes.set_ylabel("Jobs with at most that error (%)")


def _cover(axes: Axes, rows: pl.DataFrame, colours: Mapping[float, str]) -> None:
    """Part of the intervals that hold the truth, a row a sensor step, with their width."""
    if not rows["inside_frac"].count():
        style.empty(axes, "No simulated job was measured.")
        return
    low, high = (100 * end for end in INTENDED_COVER)
    axes.axvspan(low, high, color=style.FAINT, lw=0, alpha=0.6)
    axes.plot([95, 95], [-0.5, len(rows) - 0.4], color=style.GREY, lw=0.8)
    least = 100 * float(rows["inside_frac"].min())  # type: ignore[arg-type]
    axes.set_xlim(min(88.0, least - 2), 100.5)
    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["inside_frac"] is None:
            axes.axhspan(place - 0.3, place + 0.3, **style.HATCH)
            continue
        inside = row["inside_frac"]
        # Standard error of a part of n jobs, twice either way.
        spread = 196 * (inside * (1 - inside) / row["n_jobs"]) ** 0.5
        colour = colours.get(row["step_w"], style.INK)
        ends = [100 * inside - spread, min(100.0, 100 * inside + spread)]
        axes.plot(ends, [place, place], color=colour, lw=1.6)
        axes.plot(100 * inside, place, "o", color=colour, markersize=4.5)
        width = row["median_width_frac"]
        axes.annotate(
            "" if width is None else style.percent(width),
            (1.0, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            annotation_clip=False,
        )
    axes.annotate(
        "median width",
        (1.0, -0.75),
        xycoords=axes.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=style.GREY,
        annotation_clip=False,
    )
    axes.text(95, -0.75, "intended", ha="center", va="center", fontsize=7, color=style.GREY)
    names = [_named(step) for step in rows["step_w"]]
    counts = [style.count(n) for n in rows["n_jobs"]]
    axes.set_yticks(
        range(len(rows)), [f"{name}, {n} jobs" for name, n in zip(names, counts, strict=True)]
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -1.1)
    axes.set_xlabel("Intervals that hold the true energy (%)")
    axes.set_ylabel("Step of the sensor")
