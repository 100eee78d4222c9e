"""An axis of UTC time with few plain labels, whether it shows two days or ten years."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import date2num

STEPS: Final = (
    *("1h", "3h", "6h", "12h"),
    *("1d", "2d", "1w", "2w"),
    *("1mo", "2mo", "3mo", "6mo", "1y", "2y", "5y"),
)
"""Between labels; weeks begin on Mondays."""

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not from the system, whose language is anybody's guess."""

LABEL_MM: Final[Mapping[str, float]] = {"h": 11.0, "d": 15.0, "w": 15.0, "o": 10.0, "y": 10.0}
"""Room for a label, as in `24 Mar`, and the space beside it, by the last letter of the step."""


def ticks(start: datetime, end: datetime, *, width_mm: float) -> dict[datetime, str]:
    """Moments to label in [start, end], and what to say there.

    The first label and those of a new year (of a new day, between hours) have a second line.

    Args:
        start: First moment shown.
        end: Last moment shown.
        width_mm: Width of the axis.
    """
    step, moments = STEPS[-1], _moments(start, end, STEPS[-1])
    for finer in STEPS:
        found = _moments(start, end, finer)
        if len(found) <= max(2, int(width_mm / LABEL_MM[finer[-1]])):
            step, moments = finer, found
            break
    said: dict[datetime, str] = {}
    before: str | None = None
    for moment in moments:
        first, second = _label(moment, step)
        said[moment] = first if second in (before, "") else f"{first}\n{second}"
        before = second
    return said


def apply(axes: Axes, start: datetime, end: datetime, *, width_mm: float) -> None:
    """Make the horizontal axis one of time, from `start` to `end`."""
    labels = ticks(start, end, width_mm=width_mm)
    axes.set_xlim(date2num(start), date2num(end))
    axes.set_xticks([date2num(moment) for moment in labels], list(labels.values()))


def _moments(start: datetime, end: datetime, step: str) -> list[datetime]:
    first = pl.Series([start]).dt.truncate(step).item()
    return [
        moment
        for moment in pl.datetime_range(first, end, interval=step, eager=True)
        if moment >= start
    ]


def _label(moment: datetime, step: str) -> tuple[str, str]:
    month = MONTHS[moment.month - 1]
    if step.endswith("h"):
        return f"{moment:%H:%M}", f"{moment.day} {month} {moment.year}"
    if step.endswith("y"):
        return str(moment.year), ""
    return (month if step.endswith("mo") else f"{moment.day} {month}"), str(moment.year)
