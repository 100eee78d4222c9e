"""Figure of how often kinds of runs are right against the probabilities that are given for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from footprint.phases.reliability import MOST_PROBABLE, N_BINS, calibration_errors
from footprint.report import wording
from footprint.report.figures import style

PANELS: Mapping[str, str] = {
    MOST_PROBABLE: "most probable kind",
    "training_run": "training",
    "inference_run": "inference",
}
"""Subjects that are drawn, with the names of their panels."""

COLOURS: Mapping[str, str] = {
    MOST_PROBABLE: style.INK,
    "training_run": style.PHASE_COLOURS["training"],
    "inference_run": "#b07d0a",
}
BASIS_TEXTS: Mapping[str, str] = {
    "truth": "true kinds of the simulated site",
    "labels": "kinds that labels give",
}
NO_KINDS_TITLE = "It is not known how often the kinds of this study are right"
NO_KINDS_REASON = (
    "No run with energy has a label of its kind. Give `kind` in labels to runs that you know, and "
    "this figure compares them with the probabilities."
)


def figure_title(reliability: pl.DataFrame) -> str:
    """Title: the calibration error of the most probable kind.

    Args:
        reliability: `schemas.KindReliability`.
    """
    errors = calibration_errors(reliability)
    known = errors.filter(pl.col("subject") == MOST_PROBABLE).drop_nulls("error_frac")
    if known.is_empty():
        return NO_KINDS_TITLE
    row = known.row(0, named=True)
    return (
        "The most probable kind is right for "
        f"{wording.format_percent(row['observed_frac'])} of the energy; its mean probability is "
        f"{wording.format_percent(row['probability_frac'])}"
    )


@style.with_style
def plot(reliability: pl.DataFrame, *, provenance: str) -> Figure:
    """Observed frequency against probability by tenths, above the energy of each tenth.

    Args:
        reliability: `schemas.KindReliability`.
        provenance: The foot line.
    """
    is_empty = reliability.is_empty()
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=50.0 if is_empty else 104.0,
        title=figure_title(reliability),
        provenance=provenance,
    )
    if is_empty:
        style.draw_empty_panel(drawn.add_subplot(), NO_KINDS_REASON)
        return drawn
    # the last and first labels of neighbouring axes must not look like one number
    drawn.get_layout_engine().set(wspace=0.07)  # type: ignore[union-attr,call-arg]
    layout: list[Any] = [[f"{subject}{row}" for subject in PANELS] for row in ("", " energy")]
    layout.append(["note"] * len(PANELS))
    panels = drawn.subplot_mosaic(layout, height_ratios=[3.2, 1, 0.9])
    errors = {row["subject"]: row for row in calibration_errors(reliability).iter_rows(named=True)}
    shown = reliability.filter(pl.col("subject").is_in(list(PANELS)))
    largest_kwh = float(shown["total_kwh"].max())  # type: ignore[arg-type]
    unit, in_kwh = wording.energy_unit(largest_kwh)
    for subject, name in PANELS.items():
        diagram, energies = panels[subject], panels[f"{subject} energy"]
        own = reliability.filter(pl.col("subject") == subject).sort("bin")
        _draw_diagram(diagram, own, COLOURS[subject])
        error = wording.format_percent(errors[subject]["error_frac"])
        diagram.set_title(f"{name}: error {error}", loc="left", color=COLOURS[subject])
        _draw_energies(energies, own, in_kwh, COLOURS[subject])
        energies.set_ylim(0, 1.05 * largest_kwh / in_kwh)
        energies.set_xlabel("Probability (%)")
        if subject != MOST_PROBABLE:
            diagram.tick_params(labelleft=False)
            energies.tick_params(labelleft=False)
    panels[MOST_PROBABLE].set_ylabel("Energy of that kind (%)")
    panels[f"{MOST_PROBABLE} energy"].set_ylabel(f"Energy ({unit})")
    drawn.align_ylabels([panels[MOST_PROBABLE], panels[f"{MOST_PROBABLE} energy"]])
    style.draw_note(drawn, panels["note"], [_note(reliability)])
    return drawn


def _note(reliability: pl.DataFrame) -> str:
    basis = BASIS_TEXTS[reliability["basis"][0]]
    return (
        "Above: jobs with a probability of the kind within a tenth, and the part of their energy "
        "that is of the kind. On the dashed line, probabilities are right. Vertical lines: 95 % "
        "intervals by bootstrap over people; hollow: jobs of one person alone. Below: energy of "
        "the jobs. Error: mean difference to the dashed line, weighted by energy. Compared with "
        f"the {basis}; probabilities are those before any label."
    )


def _draw_diagram(axes: Axes, rows: pl.DataFrame, colour: str) -> None:
    axes.plot([0, 100], [0, 100], color=style.GREY, lw=0.8, dashes=(3, 2))
    for row in rows.iter_rows(named=True):
        at, right = 100 * row["probability_frac"], 100 * row["observed_frac"]
        low, high = row["observed_low_frac"], row["observed_high_frac"]
        if low is not None and high is not None:
            axes.plot([at, at], [100 * low, 100 * high], color=colour, lw=1.2, alpha=0.55)
        hollow = low is None
        face = "white" if hollow else colour
        axes.plot(at, right, "o", color=colour, markerfacecolor=face, markersize=4.5)
    axes.set_xlim(0, 100)
    axes.set_ylim(-3, 103)
    axes.set_yticks(range(0, 101, 25))
    axes.set_xticks(range(0, 101, 25))
    axes.tick_params(labelbottom=False)


def _draw_energies(axes: Axes, rows: pl.DataFrame, in_kwh: float, colour: str) -> None:
    width = 100 / N_BINS
    for number, kwh in rows.select("bin", "total_kwh").iter_rows():
        axes.bar((number + 0.5) * width, kwh / in_kwh, width=0.8 * width, color=colour)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 25))
