"""Figure of the energy of each kind of run and of each phase of the site, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from footprint.report import wording
from footprint.report.figures import style

ROW_MM = 6.0
TEXT_ROOM = 2.05
"""Width of a panel over that of its longest line."""
PHASE_NAMES: Mapping[str, str] = {
    "development": "development",
    "training": "reported training",
    "inference": "inference with it",
    "unknown": "unknown",
}
PART_NAMES: Mapping[str, Mapping[str, str]] = {"kind": wording.KIND_NAMES, "phase": PHASE_NAMES}
PANEL_TITLES: Mapping[str, str] = {"kind": "by kind of run", "phase": "by phase"}
KIND_COLOUR = "#7f8fa6"

NOTE = (
    "Lines: 95 % intervals of the energy that the nodes drew in these runs. Kinds are drawn from "
    "their probabilities, alike for the runs of one person and command. The intervals of the other "
    "rows include the runs of unknown kind."
)
NOTHING_KNOWN = "The energy of no run is known."

Row = dict[str, Any]


def figure_title(energies: pl.DataFrame) -> str:
    """Title of the figure: the energies of training and inference of the site, with intervals.

    Args:
        energies: `schemas.PhaseEnergies`.
    """
    site = energies.filter(pl.col("scope") == "site", pl.col("division") == "kind")
    rows = {row["part"]: row for row in site.iter_rows(named=True) if row["total_kwh"]}
    if not rows:
        return "The energy of the kinds of runs is unknown"
    parts = [name for name in ("training_run", "inference_run") if name in rows]
    if not parts:
        return "No run of the site is known to be a training or inference"
    texts = [f"{wording.KIND_NAMES[name]} used {_energy_text(rows[name])}" for name in parts]
    text = ", ".join(texts)
    return f"{text[0].upper()}{text[1:]}"


def _energy_text(row: Row) -> str:
    total, interval = wording.energy_texts(
        row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
    )
    percent = f"95{wording.NARROW_SPACE}%"
    return total + (f" ({percent}: {interval})" if interval else "")


@style.with_style
def plot(energies: pl.DataFrame, *, provenance: str) -> Figure:
    """Bars of the site's energy by kind at the left and by phase at the right, with intervals.

    Args:
        energies: `schemas.PhaseEnergies`.
        provenance: The foot line.
    """
    site = energies.filter(pl.col("scope") == "site", pl.col("total_kwh").is_not_null())
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=44 + ROW_MM * len(wording.KIND_NAMES),
        title=figure_title(energies),
        provenance=provenance,
    )
    if site.filter(pl.col("total_kwh") > 0).is_empty():
        style.draw_empty_panel(drawn.add_subplot(), NOTHING_KNOWN)
        return drawn
    panels = drawn.subplot_mosaic(
        [[*PANEL_TITLES], ["note"] * len(PANEL_TITLES)], height_ratios=[6, 1.1]
    )
    highest = float(site.select(pl.max_horizontal("total_kwh", "total_high_kwh").max()).item())
    unit, in_kwh = wording.energy_unit(highest)
    for division, title in PANEL_TITLES.items():
        own = site.filter(pl.col("division") == division)
        rows = {row["part"]: row for row in own.iter_rows(named=True)}
        axes = panels[division]
        names = PART_NAMES[division]
        for place, name in enumerate(names):
            _draw_row(axes, place, rows.get(name), name, in_kwh)
        axes.set_yticks(range(len(names)), list(names.values()))
        axes.set_ylim(len(wording.KIND_NAMES) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        # room for the texts at the right of the lines
        axes.set_xlim(0, TEXT_ROOM * highest / in_kwh)
        axes.set_xticks([at for at in axes.get_xticks() if 0 <= at <= 1.02 * highest / in_kwh])
        axes.set_xlabel(f"Total energy ({unit})")
        axes.set_title(title, loc="left")
    style.draw_note(drawn, panels["note"], [NOTE])
    return drawn


def _draw_row(axes: Axes, place: int, row: Row | None, name: str, in_kwh: float) -> None:
    if row is None:
        axes.text(0, place, " not known", va="center", fontsize=7, color=style.GREY)
        return
    look = {"color": style.PHASE_COLOURS.get(name, KIND_COLOUR)}
    axes.barh(
        place,
        row["total_kwh"] / in_kwh,
        height=0.62,
        **(style.UNKNOWN_LOOK if name == "unknown" else look),
    )
    low, high = row["total_low_kwh"], row["total_high_kwh"]
    has_ends = low is not None and high is not None
    if has_ends:
        axes.plot([low / in_kwh, high / in_kwh], [place, place], color=style.INK, lw=1.2)
        for end in (low, high):
            axes.plot([end / in_kwh] * 2, [place - 0.16, place + 0.16], color=style.INK, lw=1.2)
    axes.annotate(
        _energy_text(row),
        ((high if has_ends else row["total_kwh"]) / in_kwh, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
    )
