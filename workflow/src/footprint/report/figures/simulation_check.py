"""Figure of the errors of measured energies and of the intervals that contain the truth."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.report import wording
from footprint.report.figures import style
from footprint.validation import against_truth

SMALLEST_ERROR_FRAC = 1e-5
"""A logarithmic axis has no 0: smaller errors are drawn here."""

ROW_MM = 5.0


def figure_title(check: pl.DataFrame) -> str:
    """Title: how many intervals contain the true energy, and the median error of measurement.

    Args:
        check: `schemas.SimulationCheck`.
    """
    whole = check.filter(pl.col("sensors") == "all")
    if whole.is_empty() or not whole["n_jobs"].item():
        return "The energy of no simulated job is known"
    row = whole.row(0, named=True)
    text = (
        "The true energy lies inside the 95 % interval of the total for "
        f"{wording.format_percent(row['inside_frac'])} of {wording.format_count(row['n_jobs'])} "
        "simulated jobs"
    )
    if row["median_error_frac"] is None:
        return text
    # small errors are the news here: `< 0.1 %` would hide them
    error = wording.format_number(100 * row["median_error_frac"], digits=2)
    return (
        f"{text}; measured energies over 10 minutes differ from those of a perfect meter of the "
        f"same gain by {error}{wording.NARROW_SPACE}% (median)"
    )


def plot_comparison(
    check: pl.DataFrame,
    jobs: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    truth: pl.LazyFrame,
    *,
    site: str,
    source: Mapping[str, Any],
    provenance: str,
) -> Figure:
    """The comparison of energies with metered and true ones, drawn by `plot`.

    Args:
        check: `schemas.SimulationCheck`.
        jobs: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        truth: `schemas.Truth`.
        site: Name of the site.
        source: Settings of the simulated site.
        provenance: The foot line.
    """
    steps_w = against_truth.sensor_steps_w(dict(source), site=site)
    compared = against_truth.compare_with_truth(jobs, job_nodes, truth, steps_w)
    return plot(check, compared.collect(), provenance=provenance)


@style.with_style
def plot(check: pl.DataFrame, compared: pl.DataFrame, *, provenance: str) -> Figure:
    """Errors of measured energies at the left, intervals with the true energy at the right.

    Args:
        check: `schemas.SimulationCheck`.
        compared: Result of `against_truth.compare_with_truth`; errors are drawn for the jobs that
            it compares, which are over 10 minutes and measured all the time.
        provenance: The foot line.
    """
    rows = _sort_by_step(check)
    job_errors = compared.filter("compared")
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=max(72.0, 36 + ROW_MM * len(rows)),
        title=figure_title(check),
        provenance=provenance,
    )
    left, right = drawn.subplots(1, 2, width_ratios=[1, 1.15])
    steps = {*rows["step_w"].drop_nulls(), *job_errors["step_w"]}
    colours = dict(zip(sorted(steps), cycle(style.COLOUR_SEQUENCE), strict=False))
    _draw_errors(left, job_errors, colours)
    _draw_coverage(right, rows, colours)
    return drawn


def _sort_by_step(check: pl.DataFrame) -> pl.DataFrame:
    """Rows with a column `step_w`, by ascending step; null for jobs without readings and `all`."""
    step_w = pl.col("sensors").str.strip_suffix(" W").cast(pl.Float64, strict=False)
    return check.with_columns(step_w.alias("step_w")).sort(
        pl.col("sensors") == "all", "step_w", nulls_last=True
    )


def _step_label(step_w: float) -> str:
    return f"{step_w:g}{wording.NARROW_SPACE}W"


def _draw_errors(axes: Axes, job_errors: pl.DataFrame, colours: Mapping[float, str]) -> None:
    """Draw the cumulative distribution of the errors, a line for each sensor step."""
    if job_errors.is_empty():
        style.draw_empty_panel(axes, "No job over 10 minutes was measured all the time.")
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
            label=f"{_step_label(step)}, {wording.format_count(size.size)}",
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
    axes.set_xlabel("Measured against metered, either way (%)")
    axes.set_ylabel("Jobs with at most that error (%)")


def _draw_coverage(axes: Axes, rows: pl.DataFrame, colours: Mapping[float, str]) -> None:
    """Draw the part of the intervals that contain the true energy, a row for each sensor step."""
    if not rows["inside_frac"].count():
        style.draw_empty_panel(axes, "The energy of no simulated job is known.")
        return
    axes.plot([95, 95], [-0.5, len(rows) - 0.4], color=style.GREY, lw=0.8)
    least = 100 * float(rows["inside_frac"].min())  # type: ignore[arg-type]
    axes.set_xlim(min(88.0, least - 2), 100.5)
    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["inside_frac"] is None:
            axes.axhspan(place - 0.3, place + 0.3, **style.UNKNOWN_LOOK)
            continue
        inside = row["inside_frac"]
        colour = colours.get(row["step_w"], style.INK)
        axes.plot(100 * inside, place, "o", color=colour, markersize=4.5)
        width = row["median_width_frac"]
        axes.annotate(
            "" if width is None else wording.format_percent(width),
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
    axes.text(
        95,
        -0.75,
        f"95{wording.NARROW_SPACE}%",
        ha="center",
        va="center",
        fontsize=7,
        color=style.GREY,
    )
    names = [
        sensors if step is None else _step_label(step)
        for sensors, step in rows.select("sensors", "step_w").iter_rows()
    ]
    counts = [wording.format_count(n) for n in rows["n_jobs"]]
    axes.set_yticks(
        range(len(rows)), [f"{name}, {n} jobs" for name, n in zip(names, counts, strict=True)]
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -1.1)
    axes.set_xlabel("Intervals that contain the true energy (%)")
    axes.set_ylabel("Step of the sensor")
