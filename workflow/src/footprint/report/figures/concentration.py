"""Figure of the concentration of energy: Lorenz curves, and jobs by duration."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from footprint.energy.job_count import has_held_node
from footprint.levels import concentration
from footprint.report import wording
from footprint.report.figures import style
from footprint.report.figures.distributions import seaborn

MOST_POINTS = 400
"""Most points of a curve; a million jobs would make a file of a hundred megabytes."""

CURVE_COLOURS = {"jobs": style.INK, "runs": style.COLOUR_SEQUENCE[1]}
BAR_COLOURS = {"jobs": style.COLOUR_SEQUENCE[4], "energy": style.INK}

Row = dict[str, Any]


def figure_title(durations: pl.DataFrame, jobs_kwh: pl.Series) -> str:
    """Title of the figure: the part of the jobs that used half of the energy.

    Args:
        durations: Result of `concentration.jobs_by_duration`.
        jobs_kwh: Energies of the jobs.
    """
    largest = concentration.n_jobs_with_energy_frac(jobs_kwh)
    if not largest:
        return "No energy of a job is known"
    known = jobs_kwh.count()
    text = (
        f"Half of the energy went into {wording.format_percent(largest / known)} of the "
        f"jobs ({wording.format_count(largest)} of {wording.format_count(known)})"
    )
    short = durations.row(0, named=True)
    if short["n_jobs"] and short["energy_frac"] is not None:
        text += (
            f"; jobs under 10 min were {wording.format_percent(short['job_frac'])} of the jobs "
            f"and {wording.format_percent(short['energy_frac'])} of the energy"
        )
    return text


@style.with_style
def plot(jobs: pl.DataFrame, runs: pl.DataFrame, *, provenance: str) -> Figure:
    """Lorenz curves of jobs and runs at the left, jobs and energy by duration at the right.

    Args:
        jobs: `schemas.JobEnergy`.
        runs: `schemas.Runs`.
        provenance: The foot line.
    """
    held = jobs.filter(has_held_node())
    durations = concentration.jobs_by_duration(held.lazy())
    title = figure_title(durations, held["total_kwh"])
    drawn = style.new_figure(
        width_mm=style.TEXT_MM, height_mm=92, title=title, provenance=provenance
    )
    if not concentration.n_jobs_with_energy_frac(held["total_kwh"]):
        style.draw_empty_panel(drawn.add_subplot(), "No energy of a job is known.")
        return drawn
    panels = drawn.subplot_mosaic(
        [["curves", "key"], ["curves", "durations"]],
        height_ratios=[1, 6],
        width_ratios=[1, 1.25],
    )
    ran = runs.filter(pl.col("duration_s") > 0)
    _draw_curves(panels["curves"], {"jobs": held["total_kwh"], "runs": ran["total_kwh"]})
    key = [Patch(color=colour, label=name) for name, colour in BAR_COLOURS.items()]
    if (durations["n_jobs"] > durations["n_known"]).any():
        key.insert(1, Patch(label="jobs of unknown energy", **style.UNKNOWN_LOOK))
    style.draw_key(panels["key"], key, columns=3)
    _draw_durations(panels["durations"], durations)
    return drawn


def thin_curve(curve: pl.DataFrame) -> pl.DataFrame:
    """Points of a Lorenz curve that suffice to draw it, in even steps by jobs and by energy."""
    if len(curve) <= MOST_POINTS:
        return curve
    step = 2 / MOST_POINTS
    x, y = ((pl.col(name) / step).floor() for name in curve.columns)
    last = pl.int_range(pl.len()) == pl.len() - 1
    # the first point of each step by jobs or by energy
    kept = (x != x.shift(1)) | (y != y.shift(1)) | last
    return curve.filter(kept.fill_null(True))


def _draw_curves(axes: Axes, energies_kwh: dict[str, pl.Series]) -> None:
    axes.plot([0, 100], [0, 100], color=style.FAINT, zorder=1)
    axes.text(30, 32, "equality", color=style.GREY, fontsize=7, rotation=45, ha="center")
    lines = []
    for name, kwh in energies_kwh.items():
        curve = thin_curve(concentration.lorenz_curve(kwh))
        if curve.is_empty():
            continue
        axes.plot(
            100 * curve["item_frac"],
            100 * curve["energy_frac"],
            color=CURVE_COLOURS[name],
            lw=1.4,
            ls="-" if name == "jobs" else (0, (4, 1.5)),
        )
        index = wording.format_number(concentration.gini_index(kwh) or 0.0, digits=2)
        lines.append(
            (f"{wording.format_count(kwh.count())} {name}: Gini {index}", CURVE_COLOURS[name])
        )
    for place, (text, colour) in enumerate(lines):
        axes.text(4, 94 - 8 * place, text, color=colour, va="center", fontsize=8)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xticks(range(0, 101, 25))
    axes.set_yticks(range(0, 101, 25))
    axes.grid(color=style.FAINT, lw=0.5)
    axes.set_xlabel("Smallest jobs or runs (% of those of known energy)")
    axes.set_ylabel("Their energy (%)")


def _draw_durations(axes: Axes, durations: pl.DataFrame) -> None:
    """Draw two bars for each class of duration: its part of the jobs and of the energy."""
    percents = durations.select(
        "duration",
        jobs=100 * pl.col("known_frac"),
        energy=100 * pl.col("energy_frac").fill_null(0.0),
        unknown=100 * (pl.col("job_frac") - pl.col("known_frac")),
    )
    parts = percents.unpivot(["jobs", "energy"], index="duration", variable_name="of")
    seaborn.barplot(
        parts.to_dict(as_series=False),
        x="value",
        y="duration",
        hue="of",
        palette=BAR_COLOURS,
        saturation=1,
        gap=0.1,
        legend=False,
        ax=axes,
    )
    jobs, energy = (bars for bars in axes.containers if isinstance(bars, BarContainer))
    unknown = axes.barh(
        [bar.get_y() for bar in jobs],
        percents["unknown"],
        left=percents["jobs"],
        height=[bar.get_height() for bar in jobs],
        align="edge",
        **style.UNKNOWN_LOOK,
    )
    for bars, label in ((unknown, _job_label), (energy, _energy_label)):
        texts = [label(row) for row in durations.iter_rows(named=True)]
        axes.bar_label(bars, texts, padding=3, fontsize=7)
    axes.set_ylim(len(durations) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    widest = max(1.0, *(100 * durations["job_frac"]), *percents["energy"])
    # room for the label of the longest bar
    axes.set_xlim(0, 1.4 * widest)
    axes.set_xticks([tick for tick in range(0, 101, 20) if tick <= 1.4 * widest])
    axes.set_xlabel("Share of all jobs, and of the known energy (%)")
    axes.set_ylabel("")


def _job_label(row: Row) -> str:
    return f"{wording.format_percent(row['job_frac'])} ({wording.format_count(row['n_jobs'])})"


def _energy_label(row: Row) -> str:
    if not row["n_jobs"]:
        return f"0{wording.NARROW_SPACE}%"
    if row["energy_frac"] is None:
        return "unknown"
    kwh = wording.format_energy(row["total_kwh"])
    return f"{wording.format_percent(row['energy_frac'])} ({kwh})"
