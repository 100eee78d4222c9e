"""Numbers and kinds in words: energies, percentages, durations, intervals, ratios.

The summary, figures and tables word them alike. Nothing here needs a library that draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

Row = Mapping[str, Any]

THIN_SPACE: Final = "\u2009"
MINUS: Final = "\u2212"

KIND_NAMES: Final[Mapping[str, str]] = {
    "interactive": "interactive",
    "debug": "debug",
    "idle_hold": "idle hold",
    "preprocessing": "preprocessing",
    "training_run": "training",
    "inference_run": "inference",
    "unknown": "unknown",
}
"""Every kind, with its name in tables and figures."""


def format_number(value: float, *, digits: int = 3) -> str:
    """A number with significant digits, thousands separated by thin spaces."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    magnitude = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - magnitude)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}".replace(",", THIN_SPACE).replace("-", MINUS)


def energy_unit(largest_kwh: float | None) -> tuple[str, float]:
    """Unit for energies up to `largest_kwh` (Wh, kWh, MWh or GWh), and its size in kWh."""
    size = abs(largest_kwh or 0.0)
    for unit, in_kwh in (("GWh", 1e6), ("MWh", 1e3), ("kWh", 1.0)):
        # 999.6 kWh would be rounded to 1 000 kWh
        if size >= 0.9995 * in_kwh:
            return unit, in_kwh
    return "Wh", 1e-3


def format_energy(kwh: float | None, *, digits: int = 3) -> str:
    """An energy with its unit, such as `12.3 MWh`; `not measured` if it is unknown."""
    if kwh is None or math.isnan(kwh):
        return "not measured"
    if kwh == 0:
        return f"0{THIN_SPACE}kWh"
    unit, in_kwh = energy_unit(kwh)
    return f"{format_number(kwh / in_kwh, digits=digits)}{THIN_SPACE}{unit}"


def format_percent(fraction: float | None) -> str:
    """A fraction in per cent with two digits; `unknown` if it is null.

    A fraction just below 1 is not rounded to 100 %.
    """
    if fraction is None or math.isnan(fraction):
        return "unknown"
    value = 100 * fraction
    if 99.5 <= value < 100:
        shown = "> 99.9" if value > 99.9 else f"{math.floor(value * 10) / 10:.1f}"
    else:
        shown = format_number(value, digits=3 if value >= 100 else 2)
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return f"{shown}{THIN_SPACE}%"


def format_count(n: int) -> str:
    """A count with all digits, thousands separated by thin spaces."""
    return f"{n:,}".replace(",", THIN_SPACE)


def format_duration(duration_h: float, *, of: str = "") -> str:
    """A duration in minutes, hours or days; `of="node "` makes node hours of them."""
    if duration_h < 1:
        return f"{format_number(duration_h * 60, digits=2)}{THIN_SPACE}{of}min"
    if duration_h < 100:
        return f"{format_number(duration_h)}{THIN_SPACE}{of}h"
    return f"{format_number(duration_h / 24)}{THIN_SPACE}{of}days"


def format_kwh(kwh: float) -> str:
    """An energy without its unit: whole kWh from 100 on, else three significant digits."""
    return format_count(round(kwh)) if kwh >= 100 else format_number(kwh)


def format_interval(row: Row) -> str:
    """The 95 % interval of a row of `schemas.Levels`, in kWh without the unit."""
    return format_range(format_kwh(row["total_low_kwh"]), format_kwh(row["total_high_kwh"]))


def format_range(low: str, high: str) -> str:
    """Both ends of a range, or one number where the rounded ends are equal."""
    return low if low == high else f"{low} to {high}"


def format_ratio(value: float | None) -> str:
    """A ratio R: two significant digits below 10, else three; `unknown` for None."""
    return "unknown" if value is None else format_number(value, digits=2 if value < 10 else 3)
