"""Numbers and kinds in words: totals with intervals, percentages, durations, ratios.

The summary, figures and tables word them alike. Nothing here needs a library that draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from footprint.core import latex

Row = Mapping[str, Any]

NARROW_SPACE: Final = latex.NARROW_SPACE
"""No-break space between a number and its unit, and between thousands."""
MINUS: Final = "\u2212"
UNKNOWN: Final = "unknown"
LEAST_MEASURED_FRAC: Final = 0.5
"""Least measured fraction of an energy that is not called estimated."""

CLASS_NAMES: Final[Mapping[str, str]] = {
    "job": "in jobs",
    "stranded": "stranded",
    "idle": "idle",
    "standby": "standby",
    "unavailable": "unavailable",
    "unattributed": "unattributed",
    "no_data": "no data",
}
"""Every class of a node's energy, with its name in tables and figures."""

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


STAGE_NAMES: Final[Mapping[str, str]] = {
    "data": "data",
    "explore": "exploration",
    "baseline": "baselines",
    "ablate": "ablations",
    "hyperparam": "hyperparameters",
    "final": "final runs",
}
"""Every stage of the work, with its name in tables."""

CHOICE_NAMES: Final[Mapping[str, str]] = {
    "membership": "jobs of the paper",
    "reported_training": "reported training",
    "idle_holds": "idle holds",
    "unknown_kinds": "runs of unknown kind",
    "thresholds": "smallest probability of a kind",
    "gate_policy": "division of shared nodes",
}
"""Choices that R depends on, the most important first, with their names in tables and figures."""

LEAST_CHANGE_FRAC: Final = 0.05
"""Least change of R by a choice that the figure and the printed table have."""


def format_number(value: float, *, digits: int = 3) -> str:
    """A number with significant digits, thousands separated by narrow no-break spaces."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    magnitude = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - magnitude)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}".replace(",", NARROW_SPACE).replace("-", MINUS)


def energy_unit(largest_kwh: float | None) -> tuple[str, float]:
    """Unit for energies up to `largest_kwh` (Wh, kWh, MWh or GWh), and its size in kWh."""
    size = abs(largest_kwh or 0.0)
    for unit, in_kwh in (("GWh", 1e6), ("MWh", 1e3), ("kWh", 1.0)):
        # 999.6 kWh would be rounded to 1 000 kWh
        if size >= 0.9995 * in_kwh:
            return unit, in_kwh
    return "Wh", 1e-3


def format_energy(kwh: float | None, *, digits: int = 3) -> str:
    """An energy with its unit, such as `12.3 MWh`; `unknown` if it is null."""
    if kwh is None or math.isnan(kwh):
        return UNKNOWN
    if kwh == 0:
        return f"0{NARROW_SPACE}kWh"
    unit, in_kwh = energy_unit(kwh)
    return f"{format_number(kwh / in_kwh, digits=digits)}{NARROW_SPACE}{unit}"


def format_percent(fraction: float | None) -> str:
    """A fraction in per cent with two digits; `unknown` if it is null.

    A fraction just below 1 is not rounded to 100 %; one under a thousandth is `< 0.1 %`.
    """
    if fraction is None or math.isnan(fraction):
        return "unknown"
    value = 100 * fraction
    if 0 < value < 0.1:
        shown = "< 0.1"
    elif 99.5 <= value < 100:
        shown = "> 99.9" if value > 99.9 else f"{math.floor(value * 10) / 10:.1f}"
    else:
        shown = format_number(value, digits=3 if value >= 100 else 2)
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return f"{shown}{NARROW_SPACE}%"


def format_change(ratio: float) -> str:
    """A ratio as a change in per cent, such as `+25 %`."""
    change = round(100 * (ratio - 1))
    sign = "±" if change == 0 else "+" if change > 0 else MINUS
    return f"{sign}{abs(change)}{NARROW_SPACE}%"


def format_count(n: int) -> str:
    """A count with all digits, thousands separated by narrow no-break spaces."""
    return f"{n:,}".replace(",", NARROW_SPACE)


def format_duration(duration_h: float, *, of: str = "") -> str:
    """A duration in minutes, hours or days; `of="node "` makes node hours of them."""
    if duration_h < 1:
        return f"{format_number(duration_h * 60, digits=2)}{NARROW_SPACE}{of}min"
    if duration_h < 100:
        return f"{format_number(duration_h)}{NARROW_SPACE}{of}h"
    return f"{format_number(duration_h / 24)}{NARROW_SPACE}{of}days"


def format_rounded(values: Sequence[float], *, decimals: int) -> list[str]:
    """Numbers rounded to the same decimals (negative: to tens); narrow spaces divide thousands."""
    shown = max(decimals, 0)
    return [
        f"{round(value, decimals) + 0.0:,.{shown}f}".replace(",", NARROW_SPACE).replace("-", MINUS)
        for value in values
    ]


MOST_TIMES = 10.0
"""Times the value up to which an upper end takes the decimals of the value."""


def interval_texts(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A value and both ends of its interval, rounded to the same decimals.

    An upper end above `MOST_TIMES` the value says nothing of the digits of the others: it has two
    digits, above a thousand times the value one, since such ends scatter between draws; and the
    distance to the lower end rounds the others.

    Args:
        value: Value, not negative; outside of the ends it widens them.
        low: Lower end.
        high: Upper end.
    """
    # rounding keeps the order: the value stays inside
    low, high = min(low, value), max(high, value)
    if high > MOST_TIMES * value > 0:
        first = format_rounded([value, low], decimals=_decimals(value, low, 2 * value - low))
        two_digits = format_rounded([high], decimals=_decimals(high, 0.0, 2 * high))
        last = [format_number(high, digits=1)] if high > 1000 * value else two_digits
    else:
        first = format_rounded([value, low], decimals=_decimals(value, low, high))
        last = format_rounded([high], decimals=_decimals(value, low, high))
    return first[0], first[1], last[0]


def _decimals(value: float, low: float, high: float) -> int:
    """Decimals of a value and of both ends of its interval.

    The half width has two digits up to 0.354, 3.54, 35.4 and so on, and one above, as the Particle
    Data Group rounds uncertainties (Review of Particle Physics, introduction, section 5.3). No
    number has more than three significant digits, unless the value would be rounded to 0. The value
    has two, where the other numbers then have no more than three.
    """
    largest = max(value, high)
    if largest <= 0:
        return 0
    decimals = 2 - math.floor(math.log10(largest))
    if round(largest, decimals) >= 10.0 ** (3 - decimals):
        # 9.996 is rounded to 10.00
        decimals -= 1
    most = decimals
    half = (high - low) / 2
    if half > 0:
        place = math.floor(math.log10(half))
        digits = 2 if half / 10.0**place < 3.55 else 1
        decimals = min(decimals, digits - 1 - place)
    if value > 0:
        place = math.floor(math.log10(value))
        decimals = max(min(most, max(decimals, 1 - place)), -place)
    return decimals


class EnergyTexts(NamedTuple):
    """An energy in words.

    Attributes:
        total: Energy with its unit, as `4.1 MWh`.
        interval: Ends of its 95 % interval without the unit, as `3.7 to 4.9`; None: unknown.
    """

    total: str
    interval: str | None


def energy_texts(total_kwh: float, low_kwh: float | None, high_kwh: float | None) -> EnergyTexts:
    """An energy and its 95 % interval, with the same unit and the same decimals.

    Args:
        total_kwh: Total energy.
        low_kwh: Lower end; None: unknown.
        high_kwh: Upper end; None: unknown.
    """
    if low_kwh is None or high_kwh is None:
        return EnergyTexts(format_energy(total_kwh), None)
    unit, in_kwh = energy_unit(max(total_kwh, high_kwh) or 1.0)
    value, low, high = interval_texts(total_kwh / in_kwh, low_kwh / in_kwh, high_kwh / in_kwh)
    return EnergyTexts(f"{value}{NARROW_SPACE}{unit}", f"{low} to {high}")


def format_qualified(
    text: str, *, measured_frac: float | None, unknown_node_h: float | None
) -> str:
    """An energy with `an estimated` or `at least` before it, where it is that.

    Args:
        text: Energy with its unit.
        measured_frac: Measured fraction of the energy; under a half, it is called estimated.
        unknown_node_h: Node hours without readings and estimate; above 0, the energy is a bound.
    """
    if measured_frac is not None and measured_frac < LEAST_MEASURED_FRAC:
        text = f"an estimated {text}"
    return f"at least {text}" if unknown_node_h else text


def format_total(
    total_kwh: float | None,
    low_kwh: float | None,
    high_kwh: float | None,
    measured_frac: float | None,
    unknown_node_h: float | None = 0.0,
    *,
    mark: str = "",
) -> str:
    """A total energy, its 95 % interval and its measured fraction.

    As in `4.1 MWh (95 %: 3.7 to 4.9; 75 % measured)`; under 50 % measured `an estimated 4.1 MWh
    (...)`; with time of unknown energy `at least 4.1 MWh (...)`; `unknown` if the total is null.

    Args:
        total_kwh: Total energy, measured and estimated.
        low_kwh: Lower end of the interval.
        high_kwh: Upper end of the interval.
        measured_frac: Measured fraction of the total.
        unknown_node_h: Node hours without readings and without an estimate.
        mark: Letters before and after the energy, as `**` of Markdown.
    """
    if total_kwh is None or math.isnan(total_kwh):
        return UNKNOWN
    total, interval = energy_texts(total_kwh, low_kwh, high_kwh)
    details = ["interval unknown" if interval is None else f"95 %: {interval}"]
    if measured_frac is not None:
        details.append(f"{format_percent(measured_frac)} measured")
    text = format_qualified(
        f"{mark}{total}{mark}", measured_frac=measured_frac, unknown_node_h=unknown_node_h
    )
    return f"{text} ({'; '.join(details)})"


def format_row_total(row: Row, *, mark: str = "") -> str:
    """`format_total` of a row with the columns of totals (`schemas.Levels`)."""
    return format_total(
        row["total_kwh"],
        row["total_low_kwh"],
        row["total_high_kwh"],
        row["measured_frac"],
        row["unknown_node_h"],
        mark=mark,
    )


def format_ratio_interval(
    ratio: float | None, low: float | None, high: float | None, reason: str | None = None
) -> str:
    """A ratio R with its 95 % interval, or why it cannot be given.

    As in `78 (95 %: 70 to 87)`; `78 (95 %: 70 or more)` without an upper end.

    Args:
        ratio: Ratio; None: it cannot be given.
        low: Lower end of the interval; None: no interval is known.
        high: Upper end; None: there is none.
        reason: Why there is no ratio.
    """
    if ratio is None or math.isnan(ratio):
        return f"cannot be given: {reason or UNKNOWN}"
    value, interval = ratio_texts(ratio, low, high)
    return f"{value} ({'interval unknown' if interval is None else f'95 %: {interval}'})"


def ratio_texts(ratio: float, low: float | None, high: float | None) -> tuple[str, str | None]:
    """A ratio and its 95 % interval, with the same decimals.

    The interval is `70 to 87`, or `70 or more` without an upper end; None if `low` is None.
    """
    if low is None:
        return format_ratio(ratio), None
    if high is None:
        low = min(low, ratio)
        # the lower end alone says how well the ratio is known
        value, end, _ = interval_texts(ratio, low, 2 * ratio - low)
        return value, f"{end} or more"
    value, first, last = interval_texts(ratio, low, high)
    return value, f"{first} to {last}"


def mass_texts(
    mass_kg: float, low_kg: float | None, high_kg: float | None
) -> tuple[str, str | None]:
    """Carbon as `90 kg CO2e`, and its interval as `80 to 106`; None: unknown."""
    unit = f"{NARROW_SPACE}kg CO2e"
    if low_kg is None or high_kg is None:
        return f"{format_number(mass_kg)}{unit}", None
    value, low, high = interval_texts(mass_kg, low_kg, high_kg)
    return f"{value}{unit}", f"{low} to {high}"


def format_mass(mass_kg: float, low_kg: float | None, high_kg: float | None) -> str:
    """Carbon with its interval, as `90 kg CO2e (80 to 106)`."""
    value, interval = mass_texts(mass_kg, low_kg, high_kg)
    return value if interval is None else f"{value} ({interval})"


def format_range(low: str, high: str) -> str:
    """Both ends of a range, or one number where the rounded ends are equal."""
    return low if low == high else f"{low} to {high}"


def format_ratio(value: float | None) -> str:
    """A ratio R: two significant digits below 10, else three; `unknown` for None."""
    return UNKNOWN if value is None else format_number(value, digits=2 if value < 10 else 3)
