"""Runs of each paper over time, by phase, and the energy that they add up to."""

from __future__ import annotations

import textwrap
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
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from footprint.figures import style, time_axis
from footprint.figures.phases import NAMES
from footprint.gates import held_until
from footprint.levels import OTHERS, SMALL_GROUPS, Wanted
from footprint.phases import ratios
from footprint.phases.ratios import NO_TRAINING
from footprint.summation import known_sum, total

MOST_PAPERS = 6
"""Those with most energy; the rest is counted in a note."""
ONE_COLUMN = 3
"""Papers that stand one below the other; more stand in two columns."""
MOST_VECTORS = 1500
"""Runs drawn one by one; more of them are an image inside the file, or it would be megabytes."""
MOST_STEPS = 400
"""Of a line of energy: it is less than a millimetre late for it."""
MOST_DECADES = 5
"""Of the axis of energy: runs below stand on its foot."""
PAPER_MM = 47.0
PANEL_MM: Mapping[int, float] = {1: 140.0, 2: 54.0}
"""Width of a panel, without labels, by the number of columns."""
NAME_LENGTH: Mapping[int, int] = {1: 60, 2: 34}
"""Letters of a paper's name that have room above a panel."""
NOTE_LENGTH = 105

EDGES = {
    "training": style.PHASES["training"],
    "inference": "#a87b12",
    "development": style.PHASES["development"],
    "unknown": style.GREY,
}
"""Of marks: darker than what they enclose where that is light."""

# development is by far the most: below, so that the few others are seen
ORDER = ("development", "unknown", "inference", "training")


def of_papers(
    runs: pl.LazyFrame,
    papers: pl.LazyFrame,
    *,
    jobs: pl.LazyFrame,
    ratio: pl.LazyFrame,
    levels: pl.LazyFrame,
    end: datetime,
    papers_wanted: Wanted = "all",
) -> pl.DataFrame:
    """Runs of the papers that the levels show, with the name of the paper.

    Args:
        runs: `tables.Runs`.
        papers: `run_id`, `paper`, as in `roles.of_runs`.
        jobs: `tables.Jobs`: a run without an end lasts until the last of its jobs must end.
        ratio: `tables.PhaseRatio` of the same papers.
        end: Moment at which the study is over.
        levels: `tables.Levels`.
        papers_wanted: `levels.papers` of the configuration.

    Returns:
        `paper` (the row of the levels: small groups are one), `run_id`, `started_at`,
        `stopped_at`, `phase`, `role_basis`, `energy_kwh`, `is_part` (whether too little of the
        paper's development or training was measured for a ratio), sorted by paper, start and run.
    """
    ends = (
        runs.filter(pl.col("stopped_at").is_null())
        .select("run_id", job_id="job_ids")
        .explode("job_id", empty_as_null=False, keep_nulls=False)
        .join(jobs.filter(pl.col("started_at").is_not_null()), on="job_id")
        .group_by("run_id")
        .agg(ends_at=held_until(end).max())
    )
    of_paper = ratio.filter(pl.col("scope") == "paper").select(
        paper="name", is_part=pl.col("ratio_reason").fill_null(NO_TRAINING) != NO_TRAINING
    )
    known = runs.join(papers.select("run_id", "paper"), on="run_id", how="left")
    shown = ratios.members(known, levels=levels, papers_wanted=papers_wanted)
    return (
        shown.filter(pl.col("scope") == "paper")
        .select("run_id", paper="name")
        .join(runs, on="run_id")
        .join(ends, on="run_id", how="left")
        .join(of_paper, on="paper", how="left")
        .select(
            "paper",
            "run_id",
            "started_at",
            pl.coalesce("stopped_at", "ends_at"),
            pl.col("phase").cast(pl.String),
            pl.col("role_basis").cast(pl.String),
            "energy_kwh",
            pl.col("is_part").fill_null(False),
        )
        .sort("paper", "started_at", "run_id")
        .collect()
    )


def cumulated(runs: pl.DataFrame, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Energy of a paper up to each moment, by phase: a run's energy is added when the run ends.

    Args:
        runs: Runs of a paper, as `of_papers` gives them; those without measurement add nothing.
        start: First moment of the study.
        end: Moment at which it is over: runs that end later, or not at all, end then.

    Returns:
        `moment`, a column for each phase and `energy_kwh`, all of them together: a row for `start`,
        for each end of a run, and for `end`.
    """
    stopped = pl.col("stopped_at").fill_null(end).clip(start, end)
    measured = runs.filter(pl.col("energy_kwh").is_not_null())
    by_phase = [
        total(pl.col("energy_kwh").filter(pl.col("phase") == name)).alias(name) for name in ORDER
    ]
    ends = pl.DataFrame({"moment": [start, end]}, {"moment": pl.Datetime("us", "UTC")})
    return (
        measured.group_by(stopped.alias("moment"))
        .agg(by_phase)
        .join(ends, on="moment", how="full", coalesce=True)
        .sort("moment")
        .with_columns(pl.col(ORDER).fill_null(0.0).cum_sum())
        .with_columns(pl.sum_horizontal(ORDER).alias("energy_kwh"))
    )


def message(runs: pl.DataFrame) -> str:
    """What the figure shows, in a sentence: how little of the energy was the model's training."""
    energy, phase = pl.col("energy_kwh"), pl.col("phase")
    papers = (
        runs.filter(_is_named())
        .group_by("paper")
        .agg(
            known_sum(energy),
            pl.len().alias("n_runs"),
            known_sum(energy.filter(phase == "training")).alias("training_kwh"),
            (pl.col("role_basis").filter(phase == "training") == "assumed").any().alias("guess"),
            pl.col("is_part").any(),
        )
        .filter(energy > 0)
        .sort("energy_kwh", "paper", descending=[True, False])
    )
    if papers.is_empty():
        return "No energy of a paper's runs was measured"
    # a part of the energy says as much of the training as R does, and needs as much measured
    trained = papers.filter(pl.col("training_kwh").is_not_null(), ~pl.col("is_part"))
    # what rests on labels comes before what rests on an assumption
    assumed = bool(trained["guess"].all())
    trained = trained.filter(pl.col("guess") == assumed)
    what = "the largest training" if assumed else "training of the reported model"
    first = papers.row(0, named=True)
    if len(papers) == 1:
        runs_of_it = "1 run" if first["n_runs"] == 1 else f"{style.count(first['n_runs'])} runs"
        text = f"{first['paper']} took {style.energy(first['energy_kwh'])} in {runs_of_it}"
        if trained.is_empty():
            return text
        part = style.percent(first["training_kwh"] / first["energy_kwh"])
        return f"{text}; {what} was {part} of it"
    if trained.is_empty():
        several = style.energy(papers.select(total(energy)).item())
        return f"The runs of {len(papers)} papers took {several}"
    parts = trained.select(pl.col("training_kwh") / energy).to_series().sort()
    low, high = (style.percent(parts[place]) for place in (0, -1))
    told = low if low == high else f"{low} to {high}"
    of = "a paper" if len(trained) == 1 else f"{len(trained)} papers"
    return f"{what[0].upper()}{what[1:]} took {told} of the energy of {of}"


@style.styled
def plot(runs: pl.DataFrame, *, start: datetime, end: datetime, provenance: str) -> Figure:
    """A pair of panels for each paper: its runs by their energy, and the energy up to each moment.

    A run is a mark at its start with a line to its end, at the height of its energy; runs without
    measurement are hatched at the foot. Below, the energy steps up where a run ends.

    Args:
        runs: Result of `of_papers`.
        start: First moment of the study.
        end: Moment at which it is over.
        provenance: The foot line.
    """
    ranked = _ranked(runs)
    names = ranked[:MOST_PAPERS]
    columns = 1 if len(names) <= ONE_COLUMN else 2
    rows = max(1, -(-len(names) // columns))
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=30 + PAPER_MM * rows,
        title=message(runs),
        provenance=provenance,
    )
    if not names:
        style.empty(drawn.add_subplot(), "No run of a paper that the levels show was measured.")
        return drawn
    places = [f"{kind}{place}" for place in range(rows * columns) for kind in ("runs", "sum")]
    mosaic: list[Any] = [["key"] * columns]
    heights = [0.55]
    for row in range(rows):
        for kind, height in (("runs", 2.2), ("sum", 1.2)):
            mosaic.append([f"{kind}{row * columns + column}" for column in range(columns)])
            heights.append(height)
    note = _note(runs, ranked[MOST_PAPERS:])
    if note:
        mosaic.append(["note"] * columns)
        heights.append(0.2 + 0.15 * note.count("\n"))
    panels = drawn.subplot_mosaic(mosaic, height_ratios=heights)
    style.key(panels["key"], _key(runs.filter(pl.col("paper").is_in(names))), columns=3)
    if note:
        panels["note"].set_axis_off()
        panels["note"].text(0, 0.5, note, va="center", fontsize=7, color=style.GREY)
    as_image = runs.filter(pl.col("paper").is_in(names)).height > MOST_VECTORS
    for place, name in enumerate(names):
        own = runs.filter(pl.col("paper") == name)
        above, below = panels[f"runs{place}"], panels[f"sum{place}"]
        _runs(above, own, start=start, end=end, as_image=as_image)
        _head(above, own, name=name, columns=columns)
        _sum(below, cumulated(own, start=start, end=end))
        for axes in (above, below):
            time_axis.apply(axes, start, end, width_mm=PANEL_MM[columns])
        above.tick_params(axis="x", labelbottom=False)
        # the time is that of the panel at the foot of the column
        below.tick_params(axis="x", labelbottom=place + columns >= len(names))
    for left in places[2 * len(names) :]:
        panels[left].set_axis_off()
    return drawn


def _is_named() -> pl.Expr:
    """Papers of their own: what is merged because few people are behind it is not one."""
    return ~pl.col("paper").is_in([OTHERS, SMALL_GROUPS])


def _ranked(runs: pl.DataFrame) -> list[str]:
    """Named papers with measured energy, those with most first."""
    return (
        runs.filter(_is_named())
        .group_by("paper")
        .agg(known_sum(pl.col("energy_kwh")))
        .filter(pl.col("energy_kwh") > 0)
        .sort("energy_kwh", "paper", descending=[True, False])["paper"]
        .to_list()
    )


def _key(runs: pl.DataFrame) -> list[Patch | Line2D]:
    present = set(runs["phase"])
    marks: list[Patch | Line2D] = [
        Line2D([], [], label=NAMES[name], lw=1.2, color=EDGES[name], **_mark(name))
        for name in NAMES
        if name in present
    ]
    if runs["energy_kwh"].null_count():
        marks.append(Patch(label="not measured", **style.HATCH))
    return marks


def _mark(name: str) -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 4 if name == "training" else 2.6,
        "markerfacecolor": style.PHASES[name],
        "markeredgecolor": EDGES[name],
        "markeredgewidth": 0.5,
    }


def _note(runs: pl.DataFrame, left_out: list[str]) -> str:
    """What is not drawn, in a line."""
    said = []
    if left_out:
        kwh = runs.filter(pl.col("paper").is_in(left_out)).select(total(pl.col("energy_kwh")))
        which = "1 more paper" if len(left_out) == 1 else f"{len(left_out)} more papers"
        said.append(f"{which} with less energy ({style.energy(kwh.item())} together)")
    merged = runs.filter(~_is_named())
    if len(merged):
        kwh = merged.select(known_sum(pl.col("energy_kwh"))).item()
        said.append(f"papers of small groups ({style.energy(kwh)} together)")
    unmeasured = runs.filter(_is_named()).group_by("paper").agg(pl.col("energy_kwh").count())
    without = unmeasured.filter(pl.col("energy_kwh") == 0)
    if len(without):
        which = "1 paper" if len(without) == 1 else f"{len(without)} papers"
        said.append(f"{which} without any measurement")
    text = f"Not drawn: {', '.join(said)}." if said else ""
    return textwrap.fill(text, NOTE_LENGTH, break_on_hyphens=False)


def _head(axes: Axes, runs: pl.DataFrame, *, name: str, columns: int) -> None:
    """Name of the paper and how many runs it has, above its panels."""
    most = NAME_LENGTH[columns]
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    told = "1 run" if len(runs) == 1 else f"{style.count(len(runs))} runs"
    unmeasured = runs["energy_kwh"].null_count()
    if unmeasured:
        told += f", {style.count(unmeasured)} not measured"
    between = ": " if columns == 1 else "\n"
    axes.set_title(f"{short}{between}{told}", loc="left", fontsize=8, pad=4, parse_math=False)


def _runs(
    axes: Axes, runs: pl.DataFrame, *, start: datetime, end: datetime, as_image: bool
) -> None:
    inside = runs.with_columns(
        pl.col("started_at").fill_null(start).clip(start, end),
        pl.col("stopped_at").fill_null(end).clip(start, end),
    )
    measured = inside.filter(pl.col("energy_kwh").is_not_null())
    largest = float(measured["energy_kwh"].max())  # type: ignore[arg-type]
    positive = measured.filter(pl.col("energy_kwh") > 0)["energy_kwh"]
    foot = max(float(positive.min()), largest / 10**MOST_DECADES)  # type: ignore[arg-type]
    unmeasured = inside.filter(pl.col("energy_kwh").is_null())
    axes.set_yscale("log")
    # room at the foot for what was not measured
    axes.set_ylim(foot / (4 if len(unmeasured) else 1.6), largest * 2)
    for layer, phase in enumerate(ORDER):
        own = measured.filter(pl.col("phase") == phase)
        if own.is_empty():
            continue
        x0, x1 = (date2num(own[column].to_list()) for column in ("started_at", "stopped_at"))
        y = own["energy_kwh"].clip(foot).to_numpy()
        lines = np.stack([np.column_stack([x0, y]), np.column_stack([x1, y])], axis=1)
        axes.add_collection(
            LineCollection(
                list(lines),
                colors=EDGES[phase],
                linewidths=1.0,
                zorder=2 + layer,
                rasterized=as_image,
            ),
            autolim=False,
        )
        axes.plot(
            x0,
            y,
            linestyle="none",
            zorder=2.5 + layer,
            clip_on=False,
            rasterized=as_image,
            **_mark(phase),
        )
    for row in unmeasured.iter_rows(named=True):
        left, right = date2num(row["started_at"]), date2num(row["stopped_at"])
        axes.add_patch(
            Rectangle(
                (left, 0.0),
                # to be seen at all
                max(right - left, 0.008 * (date2num(end) - date2num(start))),
                0.09,
                transform=axes.get_xaxis_transform(),
                rasterized=as_image,
                **style.HATCH,
            )
        )
    axes.yaxis.set_major_locator(LogLocator(10, numticks=5))
    axes.yaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda kwh, _: style.energy(kwh, digits=1)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Each run")


def thinned(course: pl.DataFrame) -> pl.DataFrame:
    """The last row of each of `MOST_STEPS` equal parts of the time, and the first and last row."""
    if len(course) <= MOST_STEPS:
        return course
    since = (pl.col("moment") - pl.col("moment").first()).dt.total_microseconds()
    part = (since * MOST_STEPS / since.last()).floor()
    row = pl.int_range(pl.len())
    return course.filter((part != part.shift(-1)).fill_null(True) | (row == 0))


def _sum(axes: Axes, course: pl.DataFrame) -> None:
    """Areas of the phases on each other, and the line of all together."""
    course = thinned(course)
    whole = float(course["energy_kwh"][-1])
    unit, in_kwh = style.energy_unit(whole)
    moments = date2num(course["moment"].to_list())
    below = np.zeros(len(course))
    for name in ORDER:
        above = below + course[name].to_numpy() / in_kwh
        look = style.HATCH if name == "unknown" else {"color": style.PHASES[name], "linewidth": 0.0}
        if course[name][-1] > 0:
            axes.fill_between(moments, below, above, step="post", **look)
        below = above
    axes.plot(moments, course["energy_kwh"] / in_kwh, drawstyle="steps-post", color=style.INK)
    axes.annotate(
        style.energy(whole),
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
