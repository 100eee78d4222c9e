"""Figure of active users: people with a job in the 12 months before each point in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from footprint.report import sites, wording
from footprint.report.figures import style

MOST_TICKS: Final = 16
"""Most windows with a name below the axis and a number at the dot; of more windows, only the first
and the last whole one have a number."""

NUMBER_DISTANCE_FRAC: Final = 0.045
"""Least distance between two numbers, as a fraction of the time drawn."""

MARGIN_DAYS: Final = 365.25 / 2
"""Half a window: the margin on both sides of the points, in days."""

JOB_COLOUR, PLATFORM_COLOUR = style.COLOUR_SEQUENCE[0], style.COLOUR_SEQUENCE[1]

Row = dict[str, Any]


def figure_title(users: pl.DataFrame, *, site: str) -> str:
    """Title of the figure: the change of the number, or the number of the last window.

    Args:
        users: `schemas.usage.ActiveUsers`.
        site: Site of the study.
    """
    jobs = users.filter(pl.col("basis") != "statistics").sort("until")
    who = sites.town_name(site)
    if jobs.is_empty():
        jobs, who = users.sort("until"), "Grid'5000"
    if jobs.is_empty():
        return f"The number of people who use {sites.town_name(site)} is unknown"
    whole = jobs.filter(~pl.col("is_partial"), pl.col("n_users").is_not_null())
    if len(whole) < 2 or whole["until"][-1] != jobs["until"][-1]:
        return _last_window(jobs.row(-1, named=True), who)
    first, last = whole.row(0, named=True), whole.row(-1, named=True)
    span = f"{_window_label(first['until'])} to {_window_label(last['until'])}"
    change = last["n_users"] - first["n_users"]
    if change == 0:
        return f"{who} had as many active users at the end as at the start ({span})"
    word = "grew" if change > 0 else "fell"
    numbers = f"{wording.format_count(first['n_users'])} to {wording.format_count(last['n_users'])}"
    return f"Active users of {who} {word} from {numbers} ({span})"


def _last_window(row: Row, who: str) -> str:
    when = f"the 12 months to {_last_day(row['until'])}"
    if row["n_users"] is None:
        few = f"Fewer than {row['fewer_than']} people"
        if row["is_partial"]:
            few += " are known to have"
            return f"{few} used {who} in {when}, of which {_known_weeks(row)} are known"
        return f"{few} used {who} in {when}"
    people = f"{wording.format_count(row['n_users'])} people used {who}"
    if row["is_partial"]:
        return f"At least {people} in {when}, of which {_known_weeks(row)} are known"
    return f"{people} in {when}"


def _last_day(until: datetime, *, month: str = "%B") -> str:
    """Last day of a window, whose end is excluded."""
    last = until - timedelta(microseconds=1)
    return f"{last.day} {last.strftime(month)} {last.year}"


def _window_label(until: datetime) -> str:
    """Name of a window: its year if it ends with one, else its last day."""
    last = until - timedelta(microseconds=1)
    return str(last.year) if last.year < until.year else f"{last.day} {last:%b %Y}"


def _known_weeks(row: Row) -> str:
    """The known part of a window in whole weeks out of 52."""
    return f"{round(row['known_frac'] * 52)} of 52 weeks"


@style.with_style
def plot(users: pl.DataFrame, *, site: str, provenance: str) -> Figure:
    """Dots over time, joined where both windows are known completely.

    Args:
        users: `schemas.usage.ActiveUsers`.
        site: Site of the study.
        provenance: The foot line.
    """
    alone = len(users) < 2
    drawn = style.new_figure(
        width_mm=style.COLUMN_MM if alone else style.TEXT_MM,
        height_mm=70,
        title=figure_title(users, site=site),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic([["users"], ["key"]], height_ratios=[8, 1])
    axes = panels["users"]
    if users.is_empty():
        style.draw_empty_panel(
            axes, "No job with a start and an end is known, so nobody can be counted."
        )
        panels["key"].set_axis_off()
        return drawn
    handles = []
    for bases, colour, name in (
        (("jobs", "history"), JOB_COLOUR, f"users of {sites.town_name(site)}, counted from jobs"),
        (("statistics",), PLATFORM_COLOUR, "the platform's own statistics"),
    ):
        series = users.filter(pl.col("basis").is_in(bases)).sort("until")
        if len(series):
            _draw_series(axes, series, colour)
        if not series["is_partial"].all():
            handles.append(Line2D([], [], label=name, **_dot_look(colour, partial=False)))
    if users.filter("is_partial")["n_users"].is_not_null().any():
        name = "lower bound (partly known)"
        handles.append(Line2D([], [], label=name, **_dot_look(JOB_COLOUR, partial=True)))
    _format_axes(axes, users)
    style.draw_key(panels["key"], handles, columns=3)
    return drawn


def _format_axes(axes: Axes, users: pl.DataFrame) -> None:
    ends = [float(date2num(until)) for until in users["until"]]
    alone = len(users) < 2
    left = min([*ends, *(float(date2num(since)) for since in users["since"] if alone)])
    axes.set_xlim(left - MARGIN_DAYS / (4 if alone else 1), max(ends) + MARGIN_DAYS)
    highest = max(n for name in ("n_users", "fewer_than") for n in users[name].to_list() if n)
    axes.set_ylim(0, 1.3 * highest)
    _set_ticks(axes, users)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: wording.format_count(round(value)))
    )
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Active users")


def _set_ticks(axes: Axes, users: pl.DataFrame) -> None:
    """Label each window with its name if there is room, else label dates."""
    untils = sorted(set(users["until"].to_list()))
    if len(untils) > MOST_TICKS:
        locator = AutoDateLocator(minticks=3, maxticks=12)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
        axes.set_xlabel("End of the 12 months")
        return
    ticks = {until: _window_label(until).replace(" 2", "\n2") for until in untils}
    if len(users) == 1:
        first = users["since"].to_list()[0]
        ticks = {first: f"from\n{first.day} {first:%b %Y}"}
        ticks[untils[0]] = f"to\n{_last_day(untils[0], month='%b')}"
    else:
        axes.set_xlabel("12 months to the end of")
        # the last known day may be close to the year before it: write it a line lower
        ticks[untils[-1]] = "\n" * ("\n" in ticks[untils[-1]]) + ticks[untils[-1]]
    axes.set_xticks([float(date2num(until)) for until in ticks], list(ticks.values()))


def _dot_look(colour: str, *, partial: bool, size: float = 5) -> dict[str, Any]:
    return {
        "marker": "^" if partial else "o",
        "linestyle": "none" if partial else "-",
        "color": colour,
        "markersize": size,
        "markerfacecolor": "white" if partial else colour,
        "markeredgecolor": colour,
    }


def _draw_series(axes: Axes, series: pl.DataFrame, colour: str) -> None:
    whole = pl.when(~pl.col("is_partial")).then("n_users").fill_null(float("nan"))
    joined = series.select("until", y=whole.cast(pl.Float64))
    # a missing number interrupts the line
    times = [float(date2num(until)) for until in joined["until"]]
    size = 5 if len(series) <= MOST_TICKS else 2.5
    axes.plot(times, joined["y"].to_list(), **_dot_look(colour, partial=False, size=size))
    shown = _numbered_windows(series)
    alone = len(series) < 2
    for row, x in zip(series.to_dicts(), times, strict=True):
        if row["n_users"] is None:
            # a small number of a partly known window is not comparable with the others
            if alone or not row["is_partial"]:
                _draw_small_number(axes, row, x)
            continue
        bound = ""
        if row["is_partial"]:
            bound = "at least " if alone else "≥" + wording.NARROW_SPACE
            axes.plot(x, row["n_users"], **_dot_look(colour, partial=True, size=size))
        if alone:
            since = float(date2num(row["since"]))
            axes.plot([since, x], [row["n_users"]] * 2, color=colour, linestyle=":", lw=0.8)
        if row["until"] in shown:
            text = bound + wording.format_count(row["n_users"])
            _write_number(axes, text, (x, row["n_users"]), colour)


def _numbered_windows(series: pl.DataFrame) -> set[datetime]:
    """Ends of the windows with a number at their dot."""
    known = series.filter(pl.col("n_users").is_not_null())
    if len(known) > MOST_TICKS:
        whole = known.filter(~pl.col("is_partial"))
        return {row["until"] for row in (*whole.head(1).to_dicts(), *whole.tail(1).to_dicts())}
    ends: list[datetime] = known["until"].to_list()
    # a number that would touch the next one is left out
    return {
        end
        for end, following in zip_longest(ends, ends[1:])
        if following is None or following - end >= NUMBER_DISTANCE_FRAC * (ends[-1] - ends[0])
    }


def _draw_small_number(axes: Axes, row: Row, x: float) -> None:
    """Draw a hatched bar for a number that is too small to be shown."""
    half = MARGIN_DAYS / 8
    axes.add_patch(Rectangle((x - half, 0), 2 * half, row["fewer_than"], **style.UNKNOWN_LOOK))
    _write_number(axes, f"fewer\nthan {row['fewer_than']}", (x, row["fewer_than"]), style.GREY)


def _write_number(axes: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    axes.annotate(
        text,
        at,
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour if colour != PLATFORM_COLOUR else style.INK,
    )
