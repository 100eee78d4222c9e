"""An axis of UTC time with few plain labels, for two days as for ten years."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import date2num

TICK_STEPS: Final = (
    *("1h", "3h", "6h", "12h"),
    *("1d", "2d", "1w", "2w"),
    *("1mo", "2mo", "3mo", "6mo", "1y", "2y", "5y"),
)
"""Steps between labels; weeks begin on Mondays."""

MONTH_NAMES: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
"""English names of months, whatever the locale of the system."""

LABEL_MM: Final[Mapping[str, float]] = {"h": 11.0, "d": 12.5, "w": 12.5, "o": 10.0, "y": 10.0}
"""Width of a label such as `24 Mar` with its space, by the last letter of the step."""
LABEL_PT: Final = 8.0
"""Size of the letters in `LABEL_MM`."""


def tick_labels(start: datetime, end: datetime, *, width_mm: float) -> dict[datetime, str]:
    """Labels of an axis by their moments in [start, end].

    The first label and the first of a year (of a day, for steps of hours) have a second line.

    Args:
        start: First moment shown.
        end: Last moment shown.
        width_mm: Width of the axis.
    """
    step, moments = TICK_STEPS[-1], _moments_between(start, end, TICK_STEPS[-1])
    for finer in TICK_STEPS:
        found = _moments_between(start, end, finer)
        if len(found) <= max(2, int(width_mm / LABEL_MM[finer[-1]])):
            step, moments = finer, found
            break
    labels: dict[datetime, str] = {}
    before: str | None = None
    for moment in moments:
        first, second = _label_lines(moment, step)
        labels[moment] = first if second in (before, "") else f"{first}\n{second}"
        before = second
    return labels


def apply_time_axis(
    panels: Iterable[Axes], start: datetime, end: datetime, *, width_mm: float
) -> None:
    """Set the limits and labels of the horizontal axes to the time from `start` to `end`."""
    # smaller letters need less room
    room = width_mm * LABEL_PT / mpl.rcParams["xtick.labelsize"]
    labels = tick_labels(start, end, width_mm=room)
    for axes in panels:
        axes.set_xlim(date2num(start), date2num(end))
        axes.set_xticks([date2num(moment) for moment in labels], list(labels.values()))


def _moments_between(start: datetime, end: datetime, step: str) -> list[datetime]:
    first = pl.Series([start]).dt.truncate(step).item()
    return [
        moment
        for moment in pl.datetime_range(first, end, interval=step, eager=True)
        if moment >= start
    ]


def _label_lines(moment: datetime, step: str) -> tuple[str, str]:
    month = MONTH_NAMES[moment.month - 1]
    if step.endswith("h"):
        return f"{moment:%H:%M}", f"{moment.day} {month} {moment.year}"
    if step.endswith("y"):
        return str(moment.year), ""
    return (month if step.endswith("mo") else f"{moment.day} {month}"), str(moment.year)
