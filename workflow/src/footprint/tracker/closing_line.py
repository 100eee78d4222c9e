"""The line that `footprint track` prints at its end: energy, duration, ledger."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RELATIVE_LIMITS = {"gpu": 0.05, "cpu": 0.10, "memory": 0.20}
"""Limits of the error of a component's readings, as a share of its energy. GPUs: NVIDIA's reference
of `nvmlDeviceGetPowerUsage` for the cards of which it states one. Memory: Desrochers et al., MEMSYS
2016, doi:10.1145/2989081.2989088. Processors: assumed."""
GPU_STEP_S = 0.1
"""Longest time between two values of a GPU's counter: that of the energy unknown at both ends."""
WHOLE_FRAC = 0.99
"""Covered share of the time below which the line reports it."""
J_PER_UNIT = {"kWh": 3.6e6, "Wh": 3600.0, "J": 1.0}


def describe_run(usage: Mapping[str, Any], unknown: str, path: Path | None) -> str:
    """Closing line of a run.

    Args:
        usage: Fields `duration_s`, `devices` and `trackers` of its stop record.
        unknown: Reason for which its energy is unknown, if there is no reading.
        path: File of its ledger; None: it could not be written.
    """
    devices = {
        name: each for name, each in usage.get("devices", {}).items() if each["covered_frac"] > 0
    }
    duration_s = usage["duration_s"]
    parts = [_energy_text(devices, duration_s) if devices else f"energy unknown, because {unknown}"]
    others = usage.get("trackers", 1) - 1
    if devices and others:
        parts.append(f"devices shared with {others} other tracked run{'s' if others > 1 else ''}")
    parts.append(_duration_text(duration_s))
    parts.append("not recorded" if path is None else f"ledger {path}")
    return f"footprint: {'; '.join(parts)}"


def _energy_text(devices: Mapping[str, Mapping[str, float]], duration_s: float) -> str:
    energy_j = low_j = high_j = 0.0
    for name, each in devices.items():
        step_frac = GPU_STEP_S / duration_s if name == "gpu" and duration_s > 0 else 0.0
        limit_j = each["energy_j"] * (RELATIVE_LIMITS[name] + step_frac)
        energy_j += each["energy_j"]
        low_j += max(each["energy_j"] - limit_j, 0.0)
        high_j += each["energy_j"] + limit_j
    unit = next((unit for unit, j in J_PER_UNIT.items() if energy_j >= j), "J")
    digits = 2 - math.floor(math.log10(energy_j / J_PER_UNIT[unit])) if energy_j > 0 else 0
    value, low, high = (
        f"{round(each / J_PER_UNIT[unit], digits):.{max(digits, 0)}f}"
        for each in (energy_j, low_j, high_j)
    )
    names = {"gpu": "GPUs", "cpu": "processors", "memory": "memory"}
    listed = " and ".join(", ".join(names[name] for name in devices).rsplit(", ", 1))
    covered_frac = min(each["covered_frac"] for each in devices.values())
    covered = (
        f", read for {math.floor(100 * covered_frac)} % of the time"
        if covered_frac < WHOLE_FRAC
        else ""
    )
    return f"{value} {unit} (interval {low} to {high}) of {listed}{covered}"


def _duration_text(duration_s: float) -> str:
    if duration_s < 60:
        return f"{duration_s:.3g} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def print_on_terminal(line: str) -> None:
    """Print a line on standard error if that is a terminal: other outputs are the command's.

    Args:
        line: The line.
    """
    try:
        if os.isatty(2):
            # a tracker in the background must not be stopped by its own line
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
            print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return  # the terminal is gone
