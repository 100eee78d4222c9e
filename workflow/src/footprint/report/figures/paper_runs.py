"""Figure of the runs of each paper over time, by phase, and of their cumulative energy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from footprint.core.vocabulary import NameSelection
from footprint.phases import roles
from footprint.report import wording
from footprint.report.figures import style, time_axis
from footprint.report.figures.paper_energy import (
    PHASE_ORDER,
    cumulative_energy,
    figure_title,
    omission_note,
    papers_by_energy,
    runs_of_papers,
    thin_course,
)
from footprint.report.figures.phases import PHASE_NAMES

MOST_PAPERS = 6
"""Number of papers drawn, those with most energy; a note counts the rest."""
MOST_NARROW_PAPERS = 3
"""Number of papers drawn in a figure of one column."""
MOST_IN_ONE_COLUMN = 3
"""Most papers in one column; more papers take two columns."""
MOST_VECTORS = 1500
"""Most runs drawn as vectors; more become an image, or the file would have megabytes."""
MOST_DECADES = 5
"""Decades of the axis of energy; runs below are drawn at its foot."""
PAPER_MM = 47.0
"""Height of the two panels of a paper."""
LABELS_MM = 30.0
"""Width of the labels beside the panels of a column."""
NAME_MM = 1.6
"""Width of a letter of a paper's name."""

EDGE_COLOURS = {
    "training": style.PHASE_COLOURS["training"],
    "inference": "#a87b12",
    "development": style.PHASE_COLOURS["development"],
    "unknown": style.GREY,
}
"""Colours of the edges of marks, darker than a light face."""

CLIPPED_LOOK: Mapping[str, Any] = {"marker": "v", "markersize": 3.4, "linestyle": "none"}
"""Look of a run with less energy than the axis, at its foot."""


def plot_runs_of_papers(
    runs: pl.LazyFrame,
    labels: pl.LazyFrame,
    jobs: pl.LazyFrame,
    ratio: pl.LazyFrame,
    levels: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
    papers: NameSelection,
    provenance: str,
    width_mm: float = style.TEXT_MM,
) -> Figure:
    """The runs of the papers in the levels, drawn by `plot`.

    Args:
        runs: `schemas.Runs`.
        labels: `schemas.JobLabels`.
        jobs: `schemas.Jobs`.
        ratio: `schemas.PhaseRatio` of the same papers.
        levels: `schemas.Levels`.
        start: First moment of the study.
        end: First moment after the study.
        papers: `levels.papers` of the configuration.
        provenance: The foot line.
        width_mm: Width; a figure of one column has fewer papers.
    """
    of_papers = runs_of_papers(
        runs,
        roles.labels_of_runs(labels),
        jobs=jobs,
        ratio=ratio,
        levels=levels,
        end=end,
        papers_wanted=papers,
    )
    return plot(of_papers, start=start, end=end, provenance=provenance, width_mm=width_mm)


@style.with_style
def plot(
    runs: pl.DataFrame,
    *,
    start: datetime,
    end: datetime,
    provenance: str,
    width_mm: float = style.TEXT_MM,
) -> Figure:
    """Two panels for each paper: its runs at their energy, and its cumulative energy.

    A run is a mark at its start with a line to its end, at the height of its energy. Runs with less
    energy than the axis are triangles at its foot; those of unknown energy are hatched below. The
    cumulative energy spreads that of a run evenly over its time.

    Args:
        runs: Result of `runs_of_papers`.
        start: First moment of the study.
        end: First moment after the study.
        provenance: The foot line.
        width_mm: Width; a figure of one column has fewer papers.
    """
    is_narrow = width_mm < style.TEXT_MM
    ranked = papers_by_energy(runs)
    names = ranked[: MOST_NARROW_PAPERS if is_narrow else MOST_PAPERS]
    columns = 1 if is_narrow or len(names) <= MOST_IN_ONE_COLUMN else 2
    rows = max(1, -(-len(names) // columns))
    drawn = style.new_figure(
        width_mm=width_mm,
        height_mm=(54 if is_narrow else 30) + PAPER_MM * rows,
        title=figure_title(runs),
        provenance=provenance,
    )
    if not names:
        style.draw_empty_panel(
            drawn.add_subplot(), "The energy of no run of a paper that the levels show is known."
        )
        return drawn
    places = [f"{kind}{place}" for place in range(rows * columns) for kind in ("runs", "sum")]
    mosaic: list[Any] = [["key"] * columns]
    heights = [2.0 if is_narrow else 0.55]
    for row in range(rows):
        for kind, height in (("runs", 2.2), ("sum", 1.2)):
            mosaic.append([f"{kind}{row * columns + column}" for column in range(columns)])
            heights.append(height)
    note = style.wrap_text(drawn, omission_note(runs, ranked[len(names) :]), fontsize=style.NOTE_PT)
    if note:
        mosaic.append(["note"] * columns)
        heights.append(0.3 + 0.2 * note.count("\n"))
    panels = drawn.subplot_mosaic(mosaic, height_ratios=heights)
    if note:
        style.draw_note(drawn, panels["note"], [note])
    as_image = runs.filter(pl.col("paper").is_in(names)).height > MOST_VECTORS
    has_clipped = False
    for place, name in enumerate(names):
        own = runs.filter(pl.col("paper") == name)
        above, below = panels[f"runs{place}"], panels[f"sum{place}"]
        has_clipped |= _draw_runs(above, own, start=start, end=end, as_image=as_image)
        _draw_heading(above, own, name=name, width_mm=width_mm / columns)
        _draw_sum(below, cumulative_energy(own, start=start, end=end))
        above.tick_params(axis="x", labelbottom=False)
        # the lowest panel of a column labels the time for all of them
        below.tick_params(axis="x", labelbottom=place + columns >= len(names))
    marks = _key_marks(runs.filter(pl.col("paper").is_in(names)), has_clipped=has_clipped)
    style.draw_key(panels["key"], marks, columns=1 if is_narrow else 3)
    shown = [panels[place] for place in places[: 2 * len(names)]]
    time_axis.apply_time_axis(shown, start, end, width_mm=width_mm / columns - LABELS_MM)
    for left in places[2 * len(names) :]:
        panels[left].set_axis_off()
    return drawn


def _key_marks(runs: pl.DataFrame, *, has_clipped: bool) -> list[Patch | Line2D]:
    present = set(runs["phase"])
    marks: list[Patch | Line2D] = [
        Line2D(
            [],
            [],
            label=PHASE_NAMES[name],
            lw=1.2,
            color=EDGE_COLOURS[name],
            **(_mark_look(name) | {"linestyle": "-"}),
        )
        for name in PHASE_NAMES
        if name in present
    ]
    if has_clipped:
        marks.append(Line2D([], [], label="below the axis", color=style.GREY, **CLIPPED_LOOK))
    if runs["total_kwh"].null_count():
        marks.append(Patch(label="energy unknown", **style.UNKNOWN_LOOK))
    return marks


def _mark_look(name: str) -> dict[str, Any]:
    return {
        "marker": "o",
        "linestyle": "none",
        "markersize": 4 if name == "training" else 2.6,
        "markerfacecolor": style.PHASE_COLOURS[name],
        "markeredgecolor": EDGE_COLOURS[name],
        "markeredgewidth": 0.5,
    }


def _draw_heading(axes: Axes, runs: pl.DataFrame, *, name: str, width_mm: float) -> None:
    """Write the name of the paper and its number of runs above its panels."""
    most = int((width_mm - LABELS_MM) / NAME_MM)
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    n_runs = "1 run" if len(runs) == 1 else f"{wording.format_count(len(runs))} runs"
    unknown = runs["total_kwh"].null_count()
    if unknown:
        n_runs += f", {wording.format_count(unknown)} of unknown energy"
    between = ": " if len(f"{short}: {n_runs}") <= most else "\n"
    axes.set_title(f"{short}{between}{n_runs}", loc="left", pad=4)


def _draw_runs(
    axes: Axes, runs: pl.DataFrame, *, start: datetime, end: datetime, as_image: bool
) -> bool:
    """Draw the runs of a paper: marks, lines and hatches where the energy is unknown.

    Returns:
        Whether a run has less energy than the axis.
    """
    inside = runs.with_columns(
        pl.col("started_at").fill_null(start).clip(start, end),
        pl.col("stopped_at").fill_null(end).clip(start, end),
    )
    known = inside.filter(pl.col("total_kwh").is_not_null())
    largest = float(known["total_kwh"].max())  # type: ignore[arg-type]
    positive = known.filter(pl.col("total_kwh") > 0)["total_kwh"]
    foot = max(float(positive.min()), largest / 10**MOST_DECADES)  # type: ignore[arg-type]
    unknown = inside.filter(pl.col("total_kwh").is_null())
    axes.set_yscale("log")
    # room at the foot for runs of unknown energy
    axes.set_ylim(foot / (4 if len(unknown) else 1.6), largest * 2)
    for layer, phase in enumerate(PHASE_ORDER):
        own = known.filter(pl.col("phase") == phase)
        if own.is_empty():
            continue
        x0, x1 = (date2num(own[column].to_list()) for column in ("started_at", "stopped_at"))
        y = own["total_kwh"].clip(foot).to_numpy()
        lines = np.stack([np.column_stack([x0, y]), np.column_stack([x1, y])], axis=1)
        axes.add_collection(
            LineCollection(
                list(lines),
                colors=EDGE_COLOURS[phase],
                linewidths=1.0,
                zorder=2 + layer,
                rasterized=as_image,
            ),
            autolim=False,
        )
        is_below = (own["total_kwh"] < foot).to_numpy()
        look = _mark_look(phase)
        for chosen, marker in ((~is_below, look), (is_below, look | dict(CLIPPED_LOOK))):
            if chosen.any():
                axes.plot(
                    x0[chosen],
                    y[chosen],
                    zorder=2.5 + layer,
                    clip_on=False,
                    rasterized=as_image,
                    **marker,
                )
    left, right = (date2num(unknown[name].to_numpy()) for name in ("started_at", "stopped_at"))
    # wide enough to be visible
    right = np.maximum(right, left + 0.008 * (date2num(end) - date2num(start)))
    style.draw_rectangles(
        *(axes, left, np.zeros_like(left), right, np.full_like(left, 0.09)),
        transform=axes.get_xaxis_transform(),
        rasterized=as_image,
        **style.UNKNOWN_LOOK,
    )
    axes.yaxis.set_major_locator(LogLocator(10, numticks=5))
    axes.yaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda kwh, _: wording.format_energy(kwh, digits=1))
    )
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Energy of a run")
    return bool((known["total_kwh"] < foot).any())


def _draw_sum(axes: Axes, course: pl.DataFrame) -> None:
    """Draw the stacked areas of the phases, and the line of their sum."""
    course = thin_course(course)
    whole = float(course["total_kwh"][-1])
    unit, in_kwh = wording.energy_unit(whole)
    moments = date2num(course["moment"].to_list())
    below = np.zeros(len(course))
    for name in PHASE_ORDER:
        above = below + course[name].to_numpy() / in_kwh
        look = (
            style.UNKNOWN_LOOK
            if name == "unknown"
            else {"color": style.PHASE_COLOURS[name], "linewidth": 0.0}
        )
        if course[name][-1] > 0:
            axes.fill_between(moments, below, above, **look)
        below = above
    axes.plot(moments, course["total_kwh"] / in_kwh, color=style.INK)
    axes.annotate(
        wording.format_energy(whole),
        (1.0, whole / in_kwh),
        xycoords=axes.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        annotation_clip=False,
    )
    axes.set_ylim(0, 1.08 * whole / in_kwh)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylabel(f"Sum ({unit})")
