"""Runs of carbontracker's logs.

carbontracker writes local times without an offset. The `Z` in the names of its files is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from footprint.core import units
from footprint.sources.tool_logs.run_records import (
    BAD_DURATION,
    BAD_NUMBER,
    UnreadableError,
    energy_fault,
    parse_utc,
)

TOOL_NAME = "carbontracker"
NO_EPOCH = "no epoch was finished"
NO_POWER = "no power of an epoch"
UNKNOWN_DEVICE_COUNT = "a mean power of an unknown number of devices"
NO_TIME = "no line has a time"
UNKNOWN_COMPONENT = "power of a component that is not known"
OUTPUT_LOG = "carbontracker output log: its energies include a PUE; the standard log is used"
ERROR_LOG = "carbontracker error log: it holds no energy"

IMPOSSIBLE_DURATION = "its epochs last longer than its log"

LOG_RESOLUTION_S = 2.0
"""Two times of a log, each truncated to a second, may be this much closer than the events."""
DURATION_RESOLUTION_S = 0.01
"""carbontracker writes the duration of an epoch with two decimals."""

STAMPED_LINE_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d{3})? - ?(.*)")
VERSION_PATTERN = re.compile(r"carbontracker version (\S+)")
EPOCH_PATTERN = re.compile(r"Epoch \d+:")
DURATION_PATTERN = re.compile(r"Duration: *(.*)")
CLOCK_PATTERN = re.compile(r"(-?)(?:(\d+) days?, )?(\d+):(\d\d?):(\d\d?(?:\.\d+)?)")
POWER_PATTERN = re.compile(r"Average power usage \(W\) for ([^:]+): *(.*)")
DEVICES_PATTERN = re.compile(r"([A-Z]+) with device\(s\) (.*?)\.(?= +[A-Z]+ with device\(s\)|\s*$)")


class _Record(NamedTuple):
    """A record of a log: its first line, its time, and its message."""

    line: int
    time: str
    message: str


class _Epoch(NamedTuple):
    """An epoch of a log: its duration, and the power of each component; None where unknown."""

    duration_s: float | None
    power_w: dict[str, float | None]


def unused_log_reason(text: str, name: str) -> str | None:
    """Return why a complete file of carbontracker is not used; None for every other file.

    Args:
        text: Text of the file.
        name: Name of the file, without the suffix of a compression.
    """
    is_empty = not text.strip()
    if re.search(r"(?m)(^| - )CarbonTracker:", text) or (
        # carbontracker 1 leaves this log empty unless it is verbose.
        is_empty and name.endswith("carbontracker_output.log")
    ):
        return OUTPUT_LOG
    return ERROR_LOG if not is_empty and name.endswith("carbontracker_err.log") else None


def is_standard_log(text: str) -> bool:
    """Return whether a text is a standard log."""
    return bool(VERSION_PATTERN.search(text) or POWER_PATTERN.search(text))


def parse_log(label: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield rows of `run_records.RUN_SCHEMA`, one a run.

    Each run starts with the record of the version, if there is one. A run with a number or a time
    that cannot be read is a row with the reason.

    Args:
        label: The file, as `source` of the rows.
        text: Text of the file.
    """
    records = _parse_records(text)
    starts = [n for n, record in enumerate(records) if VERSION_PATTERN.match(record.message)]
    # Records before the first version belong to the first run.
    bounds = [0, *starts[1:], len(records)]
    for start, end in pairwise(bounds):
        row: dict[str, Any] = {"source": label, "line": 1, "tool": TOOL_NAME, "run": label}
        if start != end:
            row["line"] = _first_record(records[start:end]).line
            row["run"] = label if start == 0 else f"{label}:{row['line']}"
        try:
            yield row | _parse_run(records[start:end])
        except UnreadableError as error:
            yield row | {"reason": error.reason}


def _first_record(records: list[_Record]) -> _Record:
    """Return the record of the version, or the first one."""
    return next((each for each in records if VERSION_PATTERN.match(each.message)), records[0])


def _parse_records(text: str) -> list[_Record]:
    """Return the records of a log.

    A line without a time, as in a long array, continues the record before it.
    """
    found: list[_Record] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if stamped := STAMPED_LINE_PATTERN.fullmatch(line.strip()):
            found.append(_Record(number, stamped[1], stamped[2]))
        elif found and line.strip():
            last = found[-1]
            found[-1] = last._replace(message=f"{last.message} {line.strip()}")
    return found


def _parse_run(records: list[_Record]) -> dict[str, Any]:
    """Return a run from its records.

    Raises:
        UnreadableError: No line has a time, or a number or a time cannot be read.
    """
    if not records:
        raise UnreadableError(NO_TIME)
    first, last = _first_record(records), records[-1]
    version = VERSION_PATTERN.match(first.message)
    epochs, reason = _parse_epochs(records)
    durations = [epoch.duration_s for epoch in epochs if epoch.duration_s is not None]
    duration_s = sum(durations) if durations else None
    energies: dict[str, float | None] = {}
    if reason is None and duration_s is not None:
        energies = _component_energies(epochs)
        reason = energy_fault(duration_s, energies)
    started, stopped = parse_utc(first.time), parse_utc(last.time)
    # The first epoch of a log without its start may have begun before the first line.
    inside_s = sum(durations if version else durations[1:])
    least_s = inside_s - LOG_RESOLUTION_S - DURATION_RESOLUTION_S * len(durations)
    if (stopped - started).total_seconds() < least_s:
        # The epochs do not fit, unless the run ended in the repeated hour of autumn.
        stopped = parse_utc(last.time, later=True)
        is_too_long = (stopped - started).total_seconds() < least_s
        reason = reason or (IMPOSSIBLE_DURATION if is_too_long else None)
    return {
        "tool_version": version[1] if version else None,
        "started_at": started,
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": reason,
        "is_local_time": True,
    }


def _parse_epochs(records: list[_Record]) -> tuple[list[_Epoch], str | None]:
    """Return the epochs of a run, and why they cannot be used; None if they can.

    carbontracker 1 writes the power of each device, in brackets. carbontracker 2 writes the mean
    over devices (it puts the readings of all into one list), so that the sum needs their number.

    Raises:
        UnreadableError: A number cannot be read, or a component is unknown.
    """
    epochs: list[_Epoch] = []
    devices: dict[str, int] = {}
    reason = None
    for record in records:
        for name, names in DEVICES_PATTERN.findall(record.message):
            devices[name.lower()] = len(names.split(", "))
        if EPOCH_PATTERN.match(record.message):
            epochs.append(_Epoch(None, {}))
        elif epochs and (duration := DURATION_PATTERN.match(record.message)):
            epochs[-1] = epochs[-1]._replace(duration_s=_parse_duration_s(duration[1]))
        elif epochs and (power := POWER_PATTERN.match(record.message)):
            component = power[1].strip()
            if component not in ("cpu", "gpu"):
                raise UnreadableError(UNKNOWN_COMPONENT)
            power_w = _parse_powers_w(power[2].strip())
            if power_w is not None and not power[2].startswith("[") and any(power_w):
                if component not in devices:
                    reason = UNKNOWN_DEVICE_COUNT
                power_w = power_w * devices.get(component, 1)
            epochs[-1].power_w[component] = None if power_w is None else math.fsum(power_w)
    if not any(epoch.duration_s is not None for epoch in epochs):
        return epochs, NO_EPOCH
    components = {component for epoch in epochs for component in epoch.power_w}
    for epoch in epochs:
        powers_w = [epoch.power_w.get(component) for component in components]
        if epoch.duration_s is None or not powers_w or None in powers_w:
            return epochs, NO_POWER
    return epochs, reason


def _component_energies(epochs: list[_Epoch]) -> dict[str, float | None]:
    """Return `gpu_kwh`, `cpu_kwh` and their sum `energy_kwh` of complete epochs.

    carbontracker writes 0 W for components that it may not read (the processors' counters, without
    root). No device that is on draws 0 W, so that a component at 0 W throughout is unknown (None).
    """
    found: dict[str, float | None] = {}
    for component in ("gpu", "cpu"):
        powers_w = [epoch.power_w.get(component) or 0.0 for epoch in epochs]
        joules = ((epoch.duration_s or 0.0) * w for epoch, w in zip(epochs, powers_w, strict=True))
        kwh = math.fsum(joules) * units.KWH_PER_J
        found[f"{component}_kwh"] = kwh if any(powers_w) else None
    known = [kwh for kwh in found.values() if kwh is not None]
    return {**found, "energy_kwh": math.fsum(known) if known else None}


def _parse_powers_w(text: str) -> list[float] | None:
    """Return one power or an array of powers in watts; None if one of them is unknown.

    Raises:
        UnreadableError: A power is not a number.
    """
    if text.startswith("[") and not text.endswith("]"):
        return None  # the log is truncated
    try:
        values = [
            math.nan if value == "None" else float(value)
            for value in text.strip("[]").replace(",", " ").split()
        ]
    except ValueError:
        raise UnreadableError(BAD_NUMBER) from None
    return values if values and all(map(math.isfinite, values)) else None


def _parse_duration_s(text: str) -> float:
    """Return a duration in seconds, from a text as `0:00:49.06` or `1 day, 2:03:04.5`.

    Raises:
        UnreadableError: The text is not a duration.
    """
    found = CLOCK_PATTERN.fullmatch(text.strip())
    if not found:
        raise UnreadableError(BAD_DURATION)
    sign, days, hours, minutes, seconds = found.groups()
    whole = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60
    return (whole + float(seconds)) * (-1 if sign else 1)
