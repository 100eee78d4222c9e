"""Figure of every method against the wattmeter, with a mark for each recorded run."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from footprint.report import wording
from footprint.report.figures import style
from footprint.validation.against_wattmeter import summarise_methods

KIND_HEADINGS = {
    "meter": "Meter in the node",
    "tool": "Tools that recorded the runs",
    "estimator": "Our estimators, from the hardware alone",
}
RUN_SETTING = "of an 8-GPU node at idle and on CPU work"
METHOD_COLOURS = {
    "bmc": style.METHOD_COLOURS["bmc"],
    "carbontracker": style.COLOUR_SEQUENCE[0],
    "codecarbon": style.METHOD_COLOURS["codecarbon"],
    "energyscope": style.GREY,
    "experiment_impact_tracker": style.COLOUR_SEQUENCE[3],
    "ga4hpc": style.METHOD_COLOURS["green_algorithms"],
}
OTHER_COLOUR = style.COLOUR_SEQUENCE[2]
APPLICATION_MARKERS = ("o", "s", "^", "D", "v", "P")
SMALLEST_RATIO = 0.05
"""A logarithmic axis has no 0: smaller ratios are drawn here, with their values."""
ROW_MM = 7.0
COLUMN_POINTS = {"median": 5, "5 to 95 %": 37, "runs": 86}
"""Columns of numbers, with their distance to the right of the panel in points."""
LANES_HEIGHT = 0.64
"""Part of the height of a row that its marks take."""

Row = dict[str, Any]


def figure_title(rows: pl.DataFrame) -> str:
    """Title of the figure: the medians of the meter, the tools and the models.

    Args:
        rows: Result of `against_wattmeter.summarise_methods`.
    """
    compared = rows.filter(pl.col("n_runs") > 0)
    if compared.is_empty():
        return "No run could be compared with the wattmeter"
    n_runs = wording.format_count(int(compared["n_runs"].max()))  # type: ignore[arg-type]
    texts = [
        f"{words} {middles}"
        for words, middles in (
            ("BMC reads", _median_range(compared.filter(pl.col("method") == "bmc"))),
            ("software tools", _median_range(compared.filter(pl.col("kind") == "tool"))),
            (
                "models of the hardware",
                _median_range(compared.filter(pl.col("kind") == "estimator")),
            ),
        )
        if middles
    ]
    if not texts:
        return f"On {n_runs} runs {RUN_SETTING}, there is no method but the wattmeter"
    texts[0] += " of the wattmeter"
    return f"On {n_runs} runs {RUN_SETTING}, " + _join_texts(texts)


def _median_range(rows: pl.DataFrame) -> str:
    """Lowest and highest median, such as `0.12 to 0.29`; empty without a median."""
    ends = [rows["ratio_p50"].min(), rows["ratio_p50"].max()]
    shown = [wording.format_number(float(end), digits=2) for end in ends if end is not None]  # type: ignore[arg-type]
    return " to ".join(dict.fromkeys(shown))


def _join_texts(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


@style.with_style
def plot(runs: pl.DataFrame, *, provenance: str) -> Figure:
    """A row for each method, with a mark for each run and a line at the median.

    Methods with the same ratio in every run share a row: they differ on other hardware only. At the
    right are the median and the range of nine tenths of the runs.

    Args:
        runs: `schemas.ValidationRuns`.
        provenance: The foot line.
    """
    compared = runs.filter(pl.col("ratio").is_not_null(), pl.col("method") != "wattmetre")
    lines = _row_lines(runs, compared)
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=38 + ROW_MM * max(len(lines), 5),
        title=figure_title(summarise_methods(runs)),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic([["key"], ["ratio"]], height_ratios=[1, max(len(lines), 5) * 1.1])
    if compared.is_empty():
        panels["key"].set_axis_off()
        style.draw_empty_panel(
            panels["ratio"], "The recordings hold no run that two methods measured."
        )
        return drawn
    names = compared["application"].unique().to_list()
    applications = sorted(names, key=lambda name: (name != "idle", name))
    style.draw_key(panels["key"], _key_marks(applications), columns=6)
    for place, line in enumerate(lines):
        if "heading" not in line:
            own = compared.filter(pl.col("method") == line["method"])
            _draw_marks(panels["ratio"], place, own, applications)
            _write_numbers(panels["ratio"], place, line)
    _format_axes(panels["ratio"], lines)
    return drawn


def _row_lines(runs: pl.DataFrame, compared: pl.DataFrame) -> list[Row]:
    """Headings and methods from top to bottom."""
    same: dict[tuple[float, ...], Row] = {}
    lines: list[Row] = []
    for row in summarise_methods(runs).iter_rows(named=True):
        own = compared.filter(pl.col("method") == row["method"]).sort("run_id")
        if own.is_empty():
            continue
        ratios = tuple(own["ratio"].round_sig_figs(9))
        name = row["method"].partition("@")[0]
        if ratios in same:
            same[ratios]["names"].append(name)
            continue
        heading = KIND_HEADINGS[row["kind"]]
        if heading not in [line.get("heading") for line in lines]:
            lines.append({"heading": heading})
        same[ratios] = row | {"names": [name]}
        lines.append(same[ratios])
    return lines


def _method_colour(method: str) -> str:
    """Colour of a method, or of the tool that it models."""
    name = method.partition("@")[0]
    for each, colour in (METHOD_COLOURS | dict(style.METHOD_COLOURS)).items():
        if name == each or name.startswith(f"{each}_"):
            return colour
    return OTHER_COLOUR


def _draw_marks(axes: Axes, place: int, own: pl.DataFrame, applications: list[str]) -> None:
    """Draw the runs of a method: a lane for each application, with its runs spread inside."""
    lane = LANES_HEIGHT / len(applications)
    colour = _method_colour(own["method"][0])
    for number, name in enumerate(applications):
        ratios = own.filter(pl.col("application") == name).sort("run_id")["ratio"].to_list()
        middle = place - LANES_HEIGHT / 2 + (number + 0.5) * lane
        # multiples of the golden ratio are evenly spread and reproducible
        heights = [middle + lane * (run * 0.618034 % 1 - 0.5) for run in range(len(ratios))]
        shown = [max(ratio, SMALLEST_RATIO) for ratio in ratios]
        axes.plot(shown, heights, **_mark_look(number), mec=colour, mew=0.5, clip_on=False)
        _write_small_ratios(
            axes, middle, [ratio for ratio in ratios if ratio < SMALLEST_RATIO], colour
        )
    median = float(own["ratio"].median())  # type: ignore[arg-type]
    axes.plot([median, median], [place - 0.42, place + 0.42], color=style.INK, lw=1.2)


def _write_small_ratios(axes: Axes, height: float, ratios: list[float], colour: str) -> None:
    """Write the number and values of the ratios below the axis beside their marks."""
    if ratios:
        ends = dict.fromkeys(
            wording.format_number(end, digits=1) for end in (min(ratios), max(ratios))
        )
        text = f"{wording.format_count(len(ratios))} at {' to '.join(ends)}"
        look: dict[str, Any] = {"va": "center", "fontsize": 6, "color": colour}
        axes.annotate(
            text, (SMALLEST_RATIO, height), xytext=(4, 0), textcoords="offset points", **look
        )


def _mark_look(number: int) -> dict[str, Any]:
    marker = APPLICATION_MARKERS[number % len(APPLICATION_MARKERS)]
    return {"marker": marker, "markersize": 2.6, "mfc": "none", "linestyle": "none"}


def _write_numbers(axes: Axes, place: int, row: Row) -> None:
    spread = f"{row['ratio_p05']:.2f} to {row['ratio_p95']:.2f}"
    texts = (f"{row['ratio_p50']:.2f}", spread, wording.format_count(row["n_runs"]))
    for points, text in zip(COLUMN_POINTS.values(), texts, strict=True):
        _write_beside(axes, place, points, text)


def _write_beside(axes: Axes, place: float, points: int, text: str, **look: Any) -> None:
    """Write text at the right of the panel, at the height of a row."""
    axes.annotate(
        text,
        (1.0, place),
        xycoords=axes.get_yaxis_transform(),
        xytext=(points, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        annotation_clip=False,
        **look,
    )


def _key_marks(applications: list[str]) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], label=name, mec=style.GREY, mew=0.7, **(_mark_look(number) | {"markersize": 4})
        )
        for number, name in enumerate(applications)
    ]
    handles.append(Line2D([], [], color=style.INK, lw=1.2, label="median"))
    handles.append(Line2D([], [], color=style.ACCENT, lw=0.8, label="wattmeter"))
    return handles


def _format_axes(axes: Axes, lines: list[Row]) -> None:
    names = [line.get("heading") or ", ".join(line["names"]) for line in lines]
    axes.set_yticks(range(len(lines)), names, fontsize=7)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.axvline(1.0, color=style.ACCENT, lw=0.8, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST_RATIO, max(axes.get_xlim()[1], 1.5))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.set_xlabel("Energy over energy by the wattmeter, all at a PUE of 1")
    for text, points in COLUMN_POINTS.items():
        _write_beside(axes, -0.75, points, text, color=style.GREY)
