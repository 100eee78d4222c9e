"""Active users: distinct people with a job in the 12 months before each point in time."""

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

from footprint import sites
from footprint.figures import style

MOST_TICKS: Final = 16
"""Windows that are named below the axis, and whose numbers stand at their dots; of more, only the
first and the last whole one carry theirs."""

CLOSE_FRAC: Final = 0.045
"""Of the time that is drawn: a number takes as much."""

DAYS: Final = 365.25 / 2
"""Half a window: the least room on both sides of the points."""

JOBS, PLATFORM = style.SEQUENCE[0], style.SEQUENCE[1]

Row = dict[str, Any]


def message(users: pl.DataFrame, *, site: str) -> str:
    """What the figure shows, in a sentence.

    Args:
        users: `tables.usage.ActiveUsers`.
        site: Site of the study.
    """
    jobs = users.filter(pl.col("basis") != "statistics").sort("until")
    who = sites.town(site)
    if jobs.is_empty():
        jobs, who = users.sort("until"), "Grid'5000"
    if jobs.is_empty():
        return f"How many people use {sites.town(site)} is not known"
    whole = jobs.filter(~pl.col("is_partial"), pl.col("n_users").is_not_null())
    if len(whole) < 2 or whole["until"][-1] != jobs["until"][-1]:
        return _last(jobs.row(-1, named=True), who)
    first, last = whole.row(0, named=True), whole.row(-1, named=True)
    span = f"{_label(first['until'])} to {_label(last['until'])}"
    change = last["n_users"] - first["n_users"]
    if change == 0:
        return f"{who} had as many active users in the end as at first ({span})"
    word = "grew" if change > 0 else "fell"
    numbers = f"{style.count(first['n_users'])} to {style.count(last['n_users'])}"
    return f"Active users of {who} {word} from {numbers} ({span})"


def _last(row: Row, who: str) -> str:
    when = f"the 12 months to {_day(row['until'])}"
    if row["n_users"] is None:
        few = f"Fewer than {row['fewer_than']} people"
        if row["is_partial"]:
            few += " are known to have"
            return f"{few} used {who} in {when}, of which {_known(row)} are known"
        return f"{few} used {who} in {when}"
    people = f"{style.count(row['n_users'])} people used {who}"
    if row["is_partial"]:
        return f"At least {people} in {when}, of which {_known(row)} are known"
    return f"{people} in {when}"


def _day(until: datetime, *, month: str = "%B") -> str:
    """The last day of a window, whose end is excluded."""
    last = until - timedelta(microseconds=1)
    return f"{last.day} {last.strftime(month)} {last.year}"


def _label(until: datetime) -> str:
    """A window that ends with a year is called by it."""
    last = until - timedelta(microseconds=1)
    return str(last.year) if last.year < until.year else f"{last.day} {last:%b %Y}"


def _known(row: Row) -> str:
    """How much of a window is known, in whole weeks, of which a year has 52."""
    return f"{round(row['known_frac'] * 52)} of 52 weeks"


@style.styled
def plot(users: pl.DataFrame, *, site: str, provenance: str) -> Figure:
    """Dots over time, joined where the whole of both windows is known.

    Args:
        users: `tables.usage.ActiveUsers`.
        site: Site of the study.
        provenance: The foot line.
    """
    alone = len(users) < 2
    drawn = style.figure(
        width_mm=style.COLUMN_MM if alone else style.TEXT_MM,
        height_mm=70,
        title=message(users, site=site),
        provenance=provenance,
    )
    panels = drawn.subplot_mosaic([["users"], ["key"]], height_ratios=[8, 1])
    axes = panels["users"]
    if users.is_empty():
        style.empty(axes, "No job with a start and an end is known: nobody can be counted.")
        panels["key"].set_axis_off()
        return drawn
    handles = []
    for bases, colour, name in (
        (("jobs", "history"), JOBS, f"users of {sites.town(site)}, counted from jobs"),
        (("statistics",), PLATFORM, "the platform's own statistics"),
    ):
        series = users.filter(pl.col("basis").is_in(bases)).sort("until")
        if len(series):
            _series(axes, series, colour)
        if not series["is_partial"].all():
            handles.append(Line2D([], [], label=name, **_dot(colour, partial=False)))
    if users.filter("is_partial")["n_users"].is_not_null().any():
        name = "lower bound (partly known)"
        handles.append(Line2D([], [], label=name, **_dot(JOBS, partial=True)))
    _axes(axes, users)
    style.key(panels["key"], handles, columns=3)
    return drawn


def _axes(axes: Axes, users: pl.DataFrame) -> None:
    ends = [float(date2num(until)) for until in users["until"]]
    alone = len(users) < 2
    left = min([*ends, *(float(date2num(since)) for since in users["since"] if alone)])
    axes.set_xlim(left - DAYS / (4 if alone else 1), max(ends) + DAYS)
    highest = max(n for name in ("n_users", "fewer_than") for n in users[name].to_list() if n)
    axes.set_ylim(0, 1.3 * highest)
    _ticks(axes, users)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.count(round(value))))
    axes.grid(axis="y", color=style.FAINT, lw=0.5)
    axes.set_ylabel("Active users")


def _ticks(axes: Axes, users: pl.DataFrame) -> None:
    """Each window by its name where there is room for it, else dates."""
    untils = sorted(set(users["until"].to_list()))
    if len(untils) > MOST_TICKS:
        locator = AutoDateLocator(minticks=3, maxticks=12)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
        axes.set_xlabel("End of the 12 months")
        return
    ticks = {until: _label(until).replace(" 2", "\n2") for until in untils}
    if len(users) == 1:
        first = users["since"].to_list()[0]
        ticks = {first: f"from\n{first.day} {first:%b %Y}"}
        ticks[untils[0]] = f"to\n{_day(untils[0], month='%b')}"
    else:
        axes.set_xlabel("12 months to the end of")
        # The last known day may follow close on the year before it: a line further down.
        ticks[untils[-1]] = "\n" * ("\n" in ticks[untils[-1]]) + ticks[untils[-1]]
    axes.set_xticks([float(date2num(until)) for until in ticks], list(ticks.values()))


def _dot(colour: str, *, partial: bool, size: float = 5) -> dict[str, Any]:
    return {
        "marker": "^" if partial else "o",
        "linestyle": "none" if partial else "-",
        "color": colour,
        "markersize": size,
        "markerfacecolor": "white" if partial else colour,
        "markeredgecolor": colour,
    }


def _series(axes: Axes, series: pl.DataFrame, colour: str) -> None:
    whole = pl.when(~pl.col("is_partial")).then("n_users").fill_null(float("nan"))
    joined = series.select("until", y=whole.cast(pl.Float64))
    # A gap in the numbers is a gap in the line.
    times = [float(date2num(until)) for until in joined["until"]]
    size = 5 if len(series) <= MOST_TICKS else 2.5
    axes.plot(times, joined["y"].to_list(), **_dot(colour, partial=False, size=size))
    shown = _labelled(series)
    alone = len(series) < 2
    for row, x in zip(series.to_dicts(), times, strict=True):
        if row["n_users"] is None:
            # Few users of a window that is hardly known say nothing beside others.
            if alone or not row["is_partial"]:
                _few(axes, row, x)
            continue
        bound = ""
        if row["is_partial"]:
            bound = "at least " if alone else "≥" + style.THIN_SPACE
            axes.plot(x, row["n_users"], **_dot(colour, partial=True, size=size))
        if alone:
            since = float(date2num(row["since"]))
            axes.plot([since, x], [row["n_users"]] * 2, color=colour, linestyle=":", lw=0.8)
        if row["until"] in shown:
            text = bound + style.count(row["n_users"])
            _write(axes, text, (x, row["n_users"]), colour)


def _labelled(series: pl.DataFrame) -> set[datetime]:
    known = series.filter(pl.col("n_users").is_not_null())
    if len(known) > MOST_TICKS:
        whole = known.filter(~pl.col("is_partial"))
        return {row["until"] for row in (*whole.head(1).to_dicts(), *whole.tail(1).to_dicts())}
    ends: list[datetime] = known["until"].to_list()
    # A number that the next one would touch is left out.
    return {
        end
        for end, following in zip_longest(ends, ends[1:])
        if following is None or following - end >= CLOSE_FRAC * (ends[-1] - ends[0])
    }


def _few(axes: Axes, row: Row, x: float) -> None:
    """Too few to be shown as a number: anything up to it."""
    half = DAYS / 8
    axes.add_patch(Rectangle((x - half, 0), 2 * half, row["fewer_than"], **style.HATCH))
    _write(axes, f"fewer\nthan {row['fewer_than']}", (x, row["fewer_than"]), style.GREY)


def _write(axes: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    axes.annotate(
        text,
        at,
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour if colour != PLATFORM else style.INK,
    )
