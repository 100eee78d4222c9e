"""When people submit work: hours of the day, week-ends, public holidays, deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
_FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
# Submissions by local hour, in any unit: offices fill from 9, scripts go on through the night.
_BY_HOUR = (
    *(0.12, 0.08, 0.06, 0.05, 0.05, 0.06, 0.1, 0.25, 0.6, 1.0, 1.25, 1.3),
    *(0.8, 0.95, 1.3, 1.35, 1.3, 1.2, 0.95, 0.55, 0.4, 0.35, 0.3, 0.2),
)
_DAY_OFF = 0.28
_BEFORE_DEADLINE = 2.0
_AFTER_DEADLINE = 0.5


def easter(year: int) -> date:
    """Easter Sunday of a year (the anonymous Gregorian algorithm, as Meeus gives it)."""
    century, rest = divmod(year, 100)
    leaps, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * (year % 19) + century - leaps - correction + 15) % 30
    week = (32 + 2 * century_rest + 2 * (rest // 4) - moon - rest % 4) % 7
    shift = moon + week - 7 * ((year % 19 + 11 * moon + 22 * week) // 451) + 114
    return date(year, shift // 31, shift % 31 + 1)


def holidays(year: int) -> set[date]:
    """Public holidays of France in a year."""
    sunday = easter(year)
    moving = {sunday + timedelta(days=days) for days in (1, 39, 50)}
    return moving | {date(year, month, day) for month, day in _FIXED_HOLIDAYS}


class Timetable:
    """Draws submission times between two instants, in whole seconds since the first."""

    def __init__(self, *, start: datetime, end: datetime, deadline: datetime | None = None) -> None:
        """Weigh every hour.

        Args:
            start: First instant, on a whole hour, UTC.
            end: Last instant, excluded.
            deadline: Work doubles in the three weeks before it and halves in the week after.
        """
        paris = ZoneInfo("Europe/Paris")
        n_hours = int((end - start).total_seconds()) // HOUR_S
        off = {day for year in range(start.year, end.year + 1) for day in holidays(year)}
        weights = np.empty(n_hours)
        for hour in range(n_hours):
            at = start.astimezone(UTC) + timedelta(hours=hour)
            local = at.astimezone(paris)
            weight = _BY_HOUR[local.hour]
            if local.weekday() >= 5 or local.date() in off:
                weight *= _DAY_OFF
            if deadline is not None:
                ahead_days = (deadline - at) / timedelta(days=1)
                weight *= _BEFORE_DEADLINE if 0 <= ahead_days < 21 else 1.0
                weight *= _AFTER_DEADLINE if -7 <= ahead_days < 0 else 1.0
            weights[hour] = weight
        self._reached: NDArray[np.float64] = np.cumsum(weights) / np.sum(weights)

    def draw_s(self, rng: np.random.Generator) -> int:
        """One submission time."""
        hour = int(np.searchsorted(self._reached, rng.random(), side="right"))
        return min(hour, len(self._reached) - 1) * HOUR_S + int(rng.integers(HOUR_S))
