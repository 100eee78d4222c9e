"""Columns, faults and times of a run that an energy tool recorded.

A time without offset is local time of Paris, as on the nodes of Grid'5000. In the hour that is
repeated at the end of summer time, the earlier time is taken.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

RUN_SCHEMA = pl.Schema(
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
        "limit": pl.String(),
        "job_candidates": pl.List(pl.Int64()),
        "is_local_time": pl.Boolean(),
    }
)
"""Columns of a run of a tool. `job_id`, `job_candidates` (numbers in longer names) and `host` are
hints. A run with a `reason` is rejected; one with a `limit` is used, and the limit is counted.
`is_local_time`: its times have no offset. A file or a line that cannot be read is a row with
`source`, `reason` and, for a line, `line`."""

NO_ENERGY = "no energy"
NEGATIVE_ENERGY = "negative energy"
ENERGY_WITHOUT_DURATION = "energy without duration"
NEGATIVE_DURATION = "negative duration"
BAD_TIME = "a time cannot be read"
IMPOSSIBLE_TIME = "its time does not exist in Paris: summer time began"
BAD_DURATION = "its duration cannot be read"
BAD_NUMBER = "a number cannot be read"
UNEQUAL_PARTS = "its parts do not add up to its total: used without parts"

PARTS_TOLERANCE_FRAC = 0.01
"""Largest difference between a total and the sum of its parts, as a part of the larger one."""
ENERGY_RESOLUTION_KWH = 1e-9
"""Energies that are closer than this are equal: files may round them."""

PARIS_TIMEZONE = ZoneInfo("Europe/Paris")


class UnreadableError(Exception):
    """A line or a run that cannot be read. The text is the reason that is counted."""

    @property
    def reason(self) -> str:
        """The reason, without values of the line."""
        return str(self.args[0])


def energy_fault(duration_s: float, energies: dict[str, float | None]) -> str | None:
    """Return why a run with these numbers cannot be used; None if it can.

    An energy is negative if a counter of the processors wraps between two readings.

    Args:
        duration_s: Duration of the run.
        energies: Energy of each component and `energy_kwh`; None where unknown.
    """
    energy_kwh = energies["energy_kwh"]
    if energy_kwh is None:
        return NO_ENERGY
    if any(kwh is not None and kwh < 0 for kwh in energies.values()):
        return NEGATIVE_ENERGY
    if duration_s <= 0 and energy_kwh != 0:
        return ENERGY_WITHOUT_DURATION
    return NEGATIVE_DURATION if duration_s < 0 else None


def have_unequal_parts(energies: dict[str, float | None]) -> bool:
    """Return whether the parts of an energy contradict it.

    The sum of all parts differs from the total, or the sum of the known parts exceeds it.

    Args:
        energies: Energy of each part and `energy_kwh`, in kWh; None where unknown.
    """
    total_kwh = energies["energy_kwh"]
    parts_kwh = [kwh for name, kwh in energies.items() if name != "energy_kwh"]
    known_kwh = [kwh for kwh in parts_kwh if kwh is not None]
    if total_kwh is None or not known_kwh:
        return False
    sum_kwh = math.fsum(known_kwh)
    allowed_kwh = max(PARTS_TOLERANCE_FRAC * max(total_kwh, sum_kwh), ENERGY_RESOLUTION_KWH)
    is_complete = len(known_kwh) == len(parts_kwh)
    return sum_kwh - total_kwh > allowed_kwh or (is_complete and total_kwh - sum_kwh > allowed_kwh)


def is_local_time(text: str) -> bool:
    """Return whether a time has no offset, so that `parse_utc` takes it for local time of Paris.

    Args:
        text: A time that `parse_utc` accepts.
    """
    return datetime.fromisoformat(text).tzinfo is None


def parse_utc(text: str, *, later: bool = False) -> datetime:
    """Return a time in UTC; a time without offset is local time of Paris.

    Args:
        text: The time (ISO 8601).
        later: Whether to take the later time in the hour that is repeated in autumn.

    Raises:
        UnreadableError: The text is not a time of this century, or is in the hour that is skipped
            in spring.
    """
    try:
        time = datetime.fromisoformat(text)
        if ":" not in text or not 2000 < time.year < 2100:
            raise ValueError
    except ValueError:
        raise UnreadableError(BAD_TIME) from None
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    found = time.replace(tzinfo=PARIS_TIMEZONE, fold=int(later)).astimezone(UTC)
    if found.astimezone(PARIS_TIMEZONE).replace(tzinfo=None) != time:
        raise UnreadableError(IMPOSSIBLE_TIME)
    return found
