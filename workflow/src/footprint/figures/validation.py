"""Every method on the recorded runs, each run a mark, over the energy by the wattmetre."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from footprint.figures import style
from footprint.validation.against_wattmetre import summary

HEADINGS = {
    "meter": "Meter in the node",
    "tool": "Tools that ran in the runs",
    "estimator": "Our estimators, from hardware alone",
}
SETTING = "of an 8-GPU node at idle and on CPU work"
COLOURS = {
    "bmc": style.METHODS["bmc"],
    "carbontracker": style.SEQUENCE[0],
    "codecarbon": style.METHODS["codecarbon"],
    "energyscope": style.GREY,
    "experiment_impact_tracker": style.SEQUENCE[3],
    "ga4hpc": style.METHODS["green_algorithms"],
}
OTHER_COLOUR = style.SEQUENCE[2]
MARKERS = ("o", "s", "^", "D", "v", "P")
LEAST = 0.05
"""A logarithmic axis has no 0: smaller ratios are drawn here, and said."""
ROW_MM = 7.0
COLUMNS = {"median": 5, "5 to 95 %": 37, "runs": 86}
"""Numbers right of the panel, and how many points right of it they stand."""
LANES = 0.64
"""Part of a row's height that its marks take."""

Row = dict[str, Any]


def message(rows: pl.DataFrame) -> str:
    """What the figure shows, in a sentence, from the result of `against_wattmetre.summary`."""
    compared = rows.filter(pl.col("n_runs") > 0)
    if compared.is_empty():
        return "No run could be compared with the wattmetre"
    n_runs = style.count(int(compared["n_runs"].max()))  # type: ignore[arg-type]
    told = [
        f"{words} {middles}"
        for words, middles in (
            ("BMC reads", _range(compared.filter(pl.col("method") == "bmc"))),
            ("software tools", _range(compared.filter(pl.col("kind") == "tool"))),
            ("models of the hardware", _range(compared.filter(pl.col("kind") == "estimator"))),
        )
        if middles
    ]
    if not told:
        return f"On {n_runs} runs {SETTING}, there is no method beside the wattmetre"
    told[0] += " of the wattmetre"
    return f"On {n_runs} runs {SETTING}, " + _listed(told)


def _range(rows: pl.DataFrame) -> str:
    """Lowest and highest median, as in `0.12 to 0.29`."""
    ends = [rows["ratio_p50"].min(), rows["ratio_p50"].max()]
    shown = [style.number(float(end), digits=2) for end in ends if end is not None]  # type: ignore[arg-type]
    return " to ".join(dict.fromkeys(shown))


def _listed(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


@style.styled
def plot(runs: pl.DataFrame, *, provenance: str) -> Figure:
    """A row a method, a mark a run by what ran in it, the median as a line across the row.

    Methods that say the same of every run, as those that differ on other hardware alone, share a
    row. At the right, the median and between which ratios nine tenths of the runs lie.

    Args:
        runs: `tables.ValidationRuns`.
        provenance: The foot line.
    """
    compared = runs.filter(pl.col("ratio").is_not_null(), pl.col("method") != "wattmetre")
    lines = _lines(runs, compared)
    drawn = style.figure(
        width_mm=style.TEXT_MM,
        height_mm=38 + ROW_MM * max(len(lines), 5),
        title=message(summary(runs)),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic([["key"], ["ratio"]], height_ratios=[1, max(len(lines), 5) * 1.1])
    if compared.is_empty():
        panels["key"].set_axis_off()
        style.empty(panels["ratio"], "The recordings hold no run that two methods measured.")
        return drawn
    names = compared["application"].unique().to_list()
    applications = sorted(names, key=lambda name: (name != "idle", name))
    style.key(panels["key"], _key(applications), columns=6)
    for place, line in enumerate(lines):
        if "heading" not in line:
            own = compared.filter(pl.col("method") == line["method"])
            _marks(panels["ratio"], place, own, applications)
            _numbers(panels["ratio"], place, line)
    _axes(panels["ratio"], lines)
    return drawn


def _lines(runs: pl.DataFrame, compared: pl.DataFrame) -> list[Row]:
    """Headings and methods from top to bottom."""
    same: dict[tuple[float, ...], Row] = {}
    lines: list[Row] = []
    for row in summary(runs).iter_rows(named=True):
        own = compared.filter(pl.col("method") == row["method"]).sort("run_id")
        if own.is_empty():
            continue
        ratios = tuple(own["ratio"].round_sig_figs(9))
        name = row["method"].partition("@")[0]
        if ratios in same:
            same[ratios]["names"].append(name)
            continue
        heading = HEADINGS[row["kind"]]
        if heading not in [line.get("heading") for line in lines]:
            lines.append({"heading": heading})
        same[ratios] = row | {"names": [name]}
        lines.append(same[ratios])
    return lines


def _colour(method: str) -> str:
    """That of the method, or of the tool that it stands for."""
    name = method.partition("@")[0]
    for each, colour in (COLOURS | dict(style.METHODS)).items():
        if name == each or name.startswith(f"{each}_"):
            return colour
    return OTHER_COLOUR


def _marks(axes: Axes, place: int, own: pl.DataFrame, applications: list[str]) -> None:
    """The runs of a method: applications in lanes of their own, runs spread inside the lane."""
    lane = LANES / len(applications)
    colour = _colour(own["method"][0])
    for number, name in enumerate(applications):
        ratios = own.filter(pl.col("application") == name).sort("run_id")["ratio"].to_list()
        middle = place - LANES / 2 + (number + 0.5) * lane
        # multiples of the golden ratio spread evenly, and the same in every run
        heights = [middle + lane * (run * 0.618034 % 1 - 0.5) for run in range(len(ratios))]
        shown = [max(ratio, LEAST) for ratio in ratios]
        axes.plot(shown, heights, **_look(number), mec=colour, mew=0.5, clip_on=False)
        _say_least(axes, middle, [ratio for ratio in ratios if ratio < LEAST], colour)
    median = float(own["ratio"].median())  # type: ignore[arg-type]
    axes.plot([median, median], [place - 0.42, place + 0.42], color=style.INK, lw=1.2)


def _say_least(axes: Axes, height: float, ratios: list[float], colour: str) -> None:
    """Beside the marks at the edge, what they stand for."""
    if ratios:
        ends = dict.fromkeys(style.number(end, digits=1) for end in (min(ratios), max(ratios)))
        text = f"{style.count(len(ratios))} at {' to '.join(ends)}"
        look: dict[str, Any] = {"va": "center", "fontsize": 6, "color": colour}
        axes.annotate(text, (LEAST, height), xytext=(4, 0), textcoords="offset points", **look)


def _look(number: int) -> dict[str, Any]:
    marker = MARKERS[number % len(MARKERS)]
    return {"marker": marker, "markersize": 2.6, "mfc": "none", "linestyle": "none"}


def _numbers(axes: Axes, place: int, row: Row) -> None:
    spread = f"{row['ratio_p05']:.2f} to {row['ratio_p95']:.2f}"
    texts = (f"{row['ratio_p50']:.2f}", spread, style.count(row["n_runs"]))
    for points, text in zip(COLUMNS.values(), texts, strict=True):
        _beside(axes, place, points, text)


def _beside(axes: Axes, place: float, points: int, text: str, **look: Any) -> None:
    """Text right of the panel, at a row."""
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


def _key(applications: list[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], label=name, mec=style.GREY, mew=0.7, **(_look(number) | {"markersize": 4}))
        for number, name in enumerate(applications)
    ]
    handles.append(Line2D([], [], color=style.INK, lw=1.2, label="median"))
    handles.append(Line2D([], [], color=style.ACCENT, lw=0.8, label="wattmetre"))
    return handles


def _axes(axes: Axes, lines: list[Row]) -> None:
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
    axes.set_xlim(LEAST, max(axes.get_xlim()[1], 1.5))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.set_xlabel("Energy over that by the wattmetre, all at a PUE of 1")
    for text, points in COLUMNS.items():
        _beside(axes, -0.75, points, text, color=style.GREY)
