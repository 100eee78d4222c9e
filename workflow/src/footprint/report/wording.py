"""Numbers of the summary in words: energies, intervals and ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from footprint.report.figures import style

Row = Mapping[str, Any]


def format_kwh(kwh: float) -> str:
    """An energy without its unit: whole kWh from 100 on, else three significant digits."""
    return style.format_count(round(kwh)) if kwh >= 100 else style.format_number(kwh)


def format_interval(row: Row) -> str:
    """The 95 % interval of a row of `schemas.Levels`, in kWh without the unit."""
    return format_range(format_kwh(row["energy_low_kwh"]), format_kwh(row["energy_high_kwh"]))


def format_range(low: str, high: str) -> str:
    """Both ends of a range, or one number where the rounded ends are equal."""
    return low if low == high else f"{low} to {high}"


def format_ratio(value: float | None) -> str:
    """A ratio R: two significant digits below 10, else three; `unknown` for None."""
    return "unknown" if value is None else style.format_number(value, digits=2 if value < 10 else 3)
