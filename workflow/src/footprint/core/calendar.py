"""The study's window and its calendar months, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple


class Window(NamedTuple):
    """Window of time in UTC, from its start to its end, which is excluded.

    A tuple, so that callers that need the two moments alone can unpack it.
    """

    start: datetime
    end: datetime


def study_window(start: str, end: str) -> Window:
    """Return the study's window.

    Args:
        start: First day, as `2025-03-03`.
        end: Day after the last day.
    """
    return Window(first_moment(start), first_moment(end))


def first_moment(day: str) -> datetime:
    """Return the first moment of a UTC day, as `2025-03-03`."""
    return datetime.combine(date.fromisoformat(day), time.min, UTC)


def months_between(start: datetime, end: datetime) -> list[str]:
    """Return the UTC months that overlap [start, end), as `2025-03`, in order."""
    first, last = (
        each.astimezone(UTC).year * 12 + each.astimezone(UTC).month - 1
        for each in (start, end - end.resolution)
    )
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]


def month_in_study(month: str, start: str, end: str) -> Window:
    """Return the part of a month within the study's window.

    Args:
        month: The month, as `2025-03`.
        start: First day of the study.
        end: Day after the last day of the study.
    """
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    following = (first + timedelta(days=31)).replace(day=1)
    low, high = study_window(start, end)
    return Window(max(first, low), min(following, high))
