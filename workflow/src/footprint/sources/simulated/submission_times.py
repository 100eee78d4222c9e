"""Times at which people submit work: office hours, week-ends, public holidays, deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
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


class SubmissionTimes:
    """Distribution of submission times in a window, in whole seconds since its start."""

    def __init__(self, *, start: datetime, end: datetime, deadline: datetime | None = None) -> None:
        """Compute the weight of each hour.

        Args:
            start: Start of the window, on a whole hour, UTC.
            end: End of the window, excluded.
            deadline: Submissions double in the three weeks before it and halve in the week after.
        """
        paris = ZoneInfo("Europe/Paris")
        n_hours = int((end - start).total_seconds()) // HOUR_S
        days_off = {
            day for year in range(start.year, end.year + 1) for day in public_holidays(year)
        }
        weights = np.empty(n_hours)
        for hour in range(n_hours):
            at = start.astimezone(UTC) + timedelta(hours=hour)
            local = at.astimezone(paris)
            weight = _HOUR_WEIGHTS[local.hour]
            if local.weekday() >= 5 or local.date() in days_off:
                weight *= _DAY_OFF_FACTOR
            if deadline is not None:
                ahead_days = (deadline - at) / timedelta(days=1)
                weight *= _BEFORE_DEADLINE_FACTOR if 0 <= ahead_days < 21 else 1.0
                weight *= _AFTER_DEADLINE_FACTOR if -7 <= ahead_days < 0 else 1.0
            weights[hour] = weight
        self._cumulative_weights: NDArray[np.float64] = np.cumsum(weights) / np.sum(weights)

    def draw_s(self, rng: np.random.Generator) -> int:
        """Draw one submission time."""
        hour = int(np.searchsorted(self._cumulative_weights, rng.random(), side="right"))
        return min(hour, len(self._cumulative_weights) - 1) * HOUR_S + int(rng.integers(HOUR_S))
