"""The study's window and its months, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta


def window(start: str, end: str) -> tuple[datetime, datetime]:
    """First moment of the study and the moment at which it is over.

    Args:
        start: First day, as `2025-03-03`.
        end: Day after the last.
    """
    first, last = (datetime.combine(date.fromisoformat(day), time.min, UTC) for day in (start, end))
    return first, last


def months(start: datetime, end: datetime) -> list[str]:
    """UTC months that [start, end) touches, as `2025-03`, in order."""
    first, last = (
        each.astimezone(UTC).year * 12 + each.astimezone(UTC).month - 1
        for each in (start, end - end.resolution)
    )
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]


def month_window(month: str, start: str, end: str) -> tuple[datetime, datetime]:
    """The part of a month inside the study.

    Args:
        month: The month, as `2025-03`.
        start: First day of the study.
        end: Day after its last.
    """
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    following = (first + timedelta(days=31)).replace(day=1)
    low, high = window(start, end)
    return max(first, low), min(following, high)
