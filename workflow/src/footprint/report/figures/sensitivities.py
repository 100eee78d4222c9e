"""Figure of R under other choices than those of the headline, for each paper."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from footprint.levels.levels import is_named
from footprint.report import wording
from footprint.report.figures import style

MOST_PAPERS = 3
"""Most papers, those with the largest change of R."""
ROW_MM = 4.8

USED_LOOK: dict[str, Any] = {
    "marker": "o",
    "markersize": 5,
    "markerfacecolor": style.INK,
    "markeredgecolor": style.INK,
    "linestyle": "none",
}
OTHER_LOOK: dict[str, Any] = USED_LOOK | {
    "markerfacecolor": "white",
    "markeredgecolor": style.ACCENT,
    "markeredgewidth": 1.1,
}

CUT_LOOK: dict[str, Any] = {"color": style.GREY, "markersize": 5, "lw": 0.0, "clip_on": False}
BAND_EDGE_FRAC = 0.755
"""Right end of a band that is cut, as a fraction of the panel."""

Row = dict[str, Any]


def figure_title(shown: pl.DataFrame) -> str:
    """Title of the figure: the choice that changes R most, and what R becomes.

    Args:
        shown: `schemas.PhaseSensitivities` of the papers that are drawn.
    """
    used = pl.col("ratio").filter("is_headline").first().over("name", "choice")
    other = shown.with_columns(used_ratio=used).filter(
        ~pl.col("is_headline"), pl.col("ratio") > 0, pl.col("used_ratio") > 0
    )
    if other.is_empty():
        return "No other choice gives another R"
    factor = (pl.col("ratio") / pl.col("used_ratio")).log().abs()
    row = other.sort(factor, "name", "value", descending=[True, False, False]).row(0, named=True)
    return (
        f"The choice of the {wording.CHOICE_NAMES[row['choice']]} changes R most: from "
        f"{wording.format_ratio(row['used_ratio'])} to {wording.format_ratio(row['ratio'])} for "
        f"{row['name']} ({_value_name(row['value'])})"
    )


@style.with_style
def plot(sensitivities: pl.DataFrame, ratio: pl.DataFrame, *, provenance: str) -> Figure:
    """Dots of R by choice and value on a logarithmic axis, the choice of jobs first.

    The band is the 95 % interval of R, which includes no choice.

    Args:
        sensitivities: `schemas.PhaseSensitivities`.
        ratio: `schemas.PhaseRatio`, for the intervals.
        provenance: The foot line.
    """
    papers = _papers_by_change(sensitivities)
    shown = sensitivities.filter(
        pl.col("scope") == "paper", pl.col("name").is_in(papers[:MOST_PAPERS])
    )
    lines = _row_lines(shown, papers[:MOST_PAPERS])
    n_left_out = len(papers) - MOST_PAPERS
    drawn = style.new_figure(
        width_mm=style.TEXT_MM,
        height_mm=38 + ROW_MM * max(len(lines), 4) + (5 if n_left_out > 0 else 0),
        title=figure_title(shown) if lines else "No paper has an R that could be varied",
        provenance=provenance,
    )
    if not lines:
        style.draw_empty_panel(drawn.add_subplot(), "R cannot be given for any paper of the study.")
        return drawn
    panels = drawn.subplot_mosaic([["key"], ["marks"]], height_ratios=[1.2, max(len(lines), 4)])
    style.draw_key(panels["key"], _key_marks(), columns=3)
    marks = panels["marks"]
    marks.set_xscale("log")
    # the axis is that of R: an interval of a thousand times R would hide all differences
    known = [line["ratio"] for line in lines if line.get("ratio")]
    if known:
        low, high = min(known) / 1.4, max(known) * 1.4
        # room for the numbers at the right edge
        marks.set_xlim(low, high * (high / low) ** 0.3)
    ends = {row["name"]: row for row in ratio.filter(scope="paper").iter_rows(named=True)}
    _draw_intervals(marks, lines, ends)
    for place, line in enumerate(lines):
        if line.get("same"):
            continue
        if line.get("ratio"):
            _draw_mark(marks, place, line, ends.get(line.get("heading", "")))
        else:
            marks.text(1.0, place, "no R", **_side_text(marks), color=style.GREY)
    _format_axes(marks, lines)
    if n_left_out > 0:
        noun = "paper" if n_left_out == 1 else "papers"
        marks.set_xlabel(f"R ({n_left_out} more {noun} in the table)")
    return drawn


def _papers_by_change(sensitivities: pl.DataFrame) -> list[str]:
    """Named papers, those whose R changes most first."""
    logs = pl.col("ratio").filter(pl.col("ratio") > 0).log()
    return (
        sensitivities.filter(pl.col("scope") == "paper", is_named())
        .group_by("name")
        .agg(change=(logs.max() - logs.min()).fill_null(0.0))
        .sort("change", "name", descending=[True, False])["name"]
        .to_list()
    )


def _row_lines(shown: pl.DataFrame, papers: list[str]) -> list[Row]:
    """R of each paper as given, followed by R under each other choice."""
    lines: list[Row] = []
    order = pl.col("choice").cast(pl.String).cast(pl.Enum(list(wording.CHOICE_NAMES)))
    for name in papers:
        own = shown.filter(pl.col("name") == name)
        given = own.filter("is_headline")["ratio"].first()
        lines.append({"heading": name, "ratio": given})
        others = own.filter(~pl.col("is_headline")).sort(order, "value")
        is_same = ((pl.col("ratio") / given - 1).abs() < wording.LEAST_CHANGE_FRAC).fill_null(False)
        lines += [
            row | {"label": f"{wording.CHOICE_NAMES[row['choice']]}: {_value_name(row['value'])}"}
            for row in others.filter(~is_same).iter_rows(named=True)
        ]
        n_same = others.filter(is_same).height
        if n_same:
            percent = wording.format_percent(wording.LEAST_CHANGE_FRAC)
            which = "1 other value" if n_same == 1 else f"{n_same} other values"
            lines.append({"label": f"{which}: R changes by less than {percent}", "same": True})
    return lines


def _value_name(value: str) -> str:
    return value.replace("_", " ")


def _draw_intervals(axes: Axes, lines: list[Row], ends: dict[str, Row]) -> None:
    """Draw the interval of R behind the rows of each paper."""
    for place, line in enumerate(lines):
        row = ends.get(line.get("heading", ""))
        if row is None or not row["ratio_low"] or row["ratio_high"] is None:
            continue
        last = next((i for i in range(place + 1, len(lines)) if "heading" in lines[i]), len(lines))
        left, right = axes.get_xlim()
        # the band ends left of the numbers
        edge = left * (right / left) ** BAND_EDGE_FRAC
        ends_x = (max(row["ratio_low"], left), min(row["ratio_high"], edge))
        axes.fill_betweenx([place - 0.5, last - 0.5], *ends_x, **_BAND_LOOK)
        for x, marker, is_cut in (
            (left, "<", row["ratio_low"] < left),
            (edge, ">", row["ratio_high"] > edge),
        ):
            if is_cut:
                axes.plot(x, place, marker=marker, **CUT_LOOK)


_BAND_LOOK: dict[str, Any] = {"color": style.FAINT, "linewidth": 0.0, "zorder": 0.5}


def _draw_mark(axes: Axes, place: int, line: Row, ends: Row | None) -> None:
    """Draw R of a row, with the interval in words where it is R as given."""
    is_given = "heading" in line
    axes.plot(line["ratio"], place, **(USED_LOOK if is_given else OTHER_LOOK))
    text = wording.format_ratio(line["ratio"])
    if is_given and ends is not None and ends["ratio_low"] is not None:
        value, interval = wording.ratio_texts(line["ratio"], ends["ratio_low"], ends["ratio_high"])
        text = f"{value} ({interval})"
    weight = "bold" if is_given else "normal"
    axes.text(1.0, place, text, **_side_text(axes), fontweight=weight)


def _side_text(axes: Axes) -> dict[str, Any]:
    """Place and size of a number beside the panel."""
    return {
        "transform": axes.get_yaxis_transform(),
        "ha": "right",
        "va": "center",
        "fontsize": 7,
    }


def _format_axes(axes: Axes, lines: list[Row]) -> None:
    axes.set_yticks(
        range(len(lines)), [str(line.get("heading") or line["label"]) for line in lines]
    )
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if "heading" in line else "normal")
        label.set_fontsize(7.5)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=style.FAINT, lw=0.5)
    axes.set_xlabel("R")


def _key_marks() -> list[Line2D | Patch]:
    return [
        Line2D([], [], label="R as given", **USED_LOOK),
        Line2D([], [], label="R with another choice", **OTHER_LOOK),
        Patch(label="95 % interval of R (arrow: it goes further)", color=style.FAINT),
    ]
