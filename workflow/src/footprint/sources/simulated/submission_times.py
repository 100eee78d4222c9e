"""Times at which people submit work: office hours, week-ends, public holidays, deadlines."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
_FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
# Relative submissions by local hour: offices fill from 9, scripts continue through the night.
_HOUR_WEIGHTS = (
    *(0.12, 0.08, 0.06, 0.05, 0.05, 0.06, 0.1, 0.25, 0.6, 1.0, 1.25, 1.3),
    *(0.8, 0.95, 1.3, 1.35, 1.3, 1.2, 0.95, 0.55, 0.4, 0.35, 0.3, 0.2),
)
_DAY_OFF_FACTOR = 0.28
_BEFORE_DEADLINE_FACTOR = 2.0
_AFTER_DEADLINE_FACTOR = 0.5


def easter_sunday(year: int) -> date:
    """Easter Sunday of a year.

    Source: J. Meeus, Astronomical Algorithms, ch. 8 (the anonymous Gregorian algorithm).
    """
    century, rest = divmod(year, 100)
    leaps, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * (year % 19) + century - leaps - correction + 15) % 30
    week = (32 + 2 * century_rest + 2 * (rest // 4) - moon - rest % 4) % 7
    shift = moon + week - 7 * ((year % 19 + 11 * moon + 22 * week) // 451) + 114
    return date(year, shift // 31, shift % 31 + 1)


def public_holidays(year: int) -> set[date]:
    """Public holidays of France in a year."""
    sunday = easter_sunday(year)
    moving = {sunday + timedelta(days=days) for days in (1, 39, 50)}
    return moving | {date(year, month, day) for month, day in _FIXED_HOLIDAYS}


@cache
def _hour_weights(start: datetime, end: datetime) -> NDArray[np.float64]:
    """Relative submissions in each hour of a window, without deadlines."""
    days_off = {day for year in range(start.year, end.year + 1) for day in public_holidays(year)}
    paris, n_hours = ZoneInfo("Europe/Paris"), int((end - start).total_seconds()) // HOUR_S
    weights = np.empty(n_hours)
    for hour in range(n_hours):
        local = (start + timedelta(hours=hour)).astimezone(paris)
        is_off = local.weekday() >= 5 or local.date() in days_off
        weights[hour] = _HOUR_WEIGHTS[local.hour] * (_DAY_OFF_FACTOR if is_off else 1.0)
    return weights


class SubmissionTimes:
    """Distribution of submission times in a window, in whole seconds since its start."""

    def __init__(self, *, start: datetime, end: datetime, deadline: datetime | None = None) -> None:
        """Compute the weight of each hour.

        Args:
            start: Start of the window, on a whole hour, UTC.
            end: End of the window, excluded.
            deadline: Submissions double in the three weeks before it and halve in the week after.
        """
        weights = _hour_weights(start, end)
        if deadline is not None:
            ahead_s = (deadline - start).total_seconds() - HOUR_S * np.arange(len(weights))
            is_before = (ahead_s >= 0) & (ahead_s < 21 * DAY_S)
            is_after = (ahead_s >= -7 * DAY_S) & (ahead_s < 0)
            weights = weights * np.where(is_before, _BEFORE_DEADLINE_FACTOR, 1.0)
            weights *= np.where(is_after, _AFTER_DEADLINE_FACTOR, 1.0)
        self._cumulative_weights: NDArray[np.float64] = np.cumsum(weights) / np.sum(weights)

    def draw_s(self, rng: np.random.Generator) -> int:
        """Draw one submission time."""
        hour = int(np.searchsorted(self._cumulative_weights, rng.random(), side="right"))
        return min(hour, len(self._cumulative_weights) - 1) * HOUR_S + int(rng.integers(HOUR_S))
