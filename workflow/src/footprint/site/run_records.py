"""A run that an energy tool recorded, as a row: its columns, its faults, and its times.

A time without offset is Paris', as Grid'5000's nodes show it. Of an hour that autumn repeats, the
earlier is taken.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

RUNS = pl.Schema(
    {
        "source": pl.String(),
        "line": pl.Int64(),
        "tool": pl.String(),
        "tool_version": pl.String(),
        "run": pl.String(),
        "job_id": pl.Int64(),
        "host": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "stopped_at": pl.Datetime("us", "UTC"),
        "duration_s": pl.Float64(),
        "gpu_kwh": pl.Float64(),
        "cpu_kwh": pl.Float64(),
        "memory_kwh": pl.Float64(),
        "energy_kwh": pl.Float64(),
        "reason": pl.String(),
    }
)
"""A run of a tool; `job_id` and `host` are hints, `reason` says why it is set aside. A file or a
line that cannot be read is a row with `source`, `reason` and, for a line, `line`."""

NO_ENERGY = "no energy"
NEGATIVE_ENERGY = "negative energy"
ENERGY_WITHOUT_DURATION = "energy without duration"
NEGATIVE_DURATION = "negative duration"
BAD_TIME = "a time cannot be read"
IMPOSSIBLE_TIME = "Paris never had its time, in spring"
BAD_DURATION = "its duration cannot be read"
BAD_NUMBER = "a number cannot be read"

PARIS = ZoneInfo("Europe/Paris")


class UnreadableError(Exception):
    """A line or a run that cannot be read; its text is the reason that is counted."""

    @property
    def reason(self) -> str:
        """Why it cannot be read, without anything of its content."""
        return str(self.args[0])


def fault(duration_s: float, energies: dict[str, float | None]) -> str | None:
    """Why a run with these numbers cannot be used; null when it can.

    A counter of the processors that wraps between two readings makes an energy negative.
    """
    energy_kwh = energies["energy_kwh"]
    if energy_kwh is None:
        return NO_ENERGY
    if any(kwh is not None and kwh < 0 for kwh in energies.values()):
        return NEGATIVE_ENERGY
    if duration_s <= 0 and energy_kwh != 0:
        return ENERGY_WITHOUT_DURATION
    return NEGATIVE_DURATION if duration_s < 0 else None


def utc(text: str, *, later: bool = False) -> datetime:
    """A time in UTC; without an offset it is Paris'.

    Args:
        text: The time (ISO).
        later: Whether to take the later of an hour that Paris had twice.

    Raises:
        UnreadableError: It is no time of this century, or Paris never had it, in spring.
    """
    try:
        time = datetime.fromisoformat(text)
        if ":" not in text or not 2000 < time.year < 2100:
            raise ValueError
    except ValueError:
        raise UnreadableError(BAD_TIME) from None
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    found = time.replace(tzinfo=PARIS, fold=int(later)).astimezone(UTC)
    if found.astimezone(PARIS).replace(tzinfo=None) != time:
        raise UnreadableError(IMPOSSIBLE_TIME)
    return found
