"""carbontracker's logs -> runs.

carbontracker writes times without an offset, and a `Z` into the names of its files all the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from footprint import units
from footprint.site.run_records import BAD_DURATION, BAD_NUMBER, UnreadableError, fault, utc

TOOL = "carbontracker"
NO_EPOCH = "no epoch was finished"
NO_POWER = "no power of an epoch"
DEVICES_UNKNOWN = "a mean power of an unknown number of devices"
NO_TIME = "no line has a time"
NO_COMPONENT = "power of a component that is not known"
OUTPUT_LOG = "carbontracker output log: its energies include a PUE; the standard log is used"
ERROR_LOG = "carbontracker error log: it holds no energy"

LOG_STEP_S = 2.0
"""Two times of a log, each cut to a second, may differ by so much less than what is between."""

STAMPED = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d{3})? - ?(.*)")
VERSION = re.compile(r"carbontracker version (\S+)")
EPOCH = re.compile(r"Epoch \d+:")
DURATION = re.compile(r"Duration: *(.*)")
CLOCK = re.compile(r"(-?)(?:(\d+) days?, )?(\d+):(\d\d?):(\d\d?(?:\.\d+)?)")
POWER = re.compile(r"Average power usage \(W\) for ([^:]+): *(.*)")
DEVICES = re.compile(r"([A-Z]+) with device\(s\) (.*?)\.(?= +[A-Z]+ with device\(s\)|\s*$)")


class _Record(NamedTuple):
    """A record of a log: the line that it starts on, its time, and what it says."""

    line: int
    time: str
    message: str


class _Epoch(NamedTuple):
    """An epoch of a log: its length, and the power of each component, null where not known."""

    duration_s: float | None
    power_w: dict[str, float | None]


def unused_log(text: str, name: str) -> str | None:
    """Why a file of carbontracker is not used although it is whole; None for every other file."""
    is_empty = not text.strip()
    if re.search(r"(?m)(^| - )CarbonTracker:", text) or (
        # carbontracker 1 leaves it empty unless it was told to be verbose
        is_empty and name.endswith("carbontracker_output.log")
    ):
        return OUTPUT_LOG
    return ERROR_LOG if not is_empty and name.endswith("carbontracker_err.log") else None


def is_log(text: str) -> bool:
    """Whether a text is a standard log."""
    return bool(VERSION.search(text) or POWER.search(text))


def rows(label: str, text: str) -> Iterator[dict[str, Any]]:
    """Rows of `run_records.RUNS`, one a run; each starts with the version, where that is written.

    A run of which a number or a time cannot be read is a row with the reason.
    """
    records = _records(text)
    starts = [n for n, record in enumerate(records) if VERSION.match(record.message)]
    # what stands before the first version belongs to that run
    bounds = [0, *starts[1:], len(records)]
    for start, end in pairwise(bounds):
        row: dict[str, Any] = {"source": label, "line": 1, "tool": TOOL, "run": label}
        if start != end:
            row["line"] = _first(records[start:end]).line
            row["run"] = label if start == 0 else f"{label}:{row['line']}"
        try:
            yield row | _run(records[start:end])
        except UnreadableError as error:
            yield row | {"reason": error.reason}


def _first(records: list[_Record]) -> _Record:
    """The record of the version, or the first one."""
    return next((each for each in records if VERSION.match(each.message)), records[0])


def _records(text: str) -> list[_Record]:
    """Records of a log; lines without a time belong to the one before, as of a long array."""
    found: list[_Record] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if stamped := STAMPED.fullmatch(line.strip()):
            found.append(_Record(number, stamped[1], stamped[2]))
        elif found and line.strip():
            last = found[-1]
            found[-1] = last._replace(message=f"{last.message} {line.strip()}")
    return found


def _run(records: list[_Record]) -> dict[str, Any]:
    """A run from its records."""
    if not records:
        raise UnreadableError(NO_TIME)
    first, last = _first(records), records[-1]
    version = VERSION.match(first.message)
    epochs, reason = _epochs(records)
    durations = [epoch.duration_s for epoch in epochs if epoch.duration_s is not None]
    duration_s = sum(durations) if durations else None
    energies: dict[str, float | None] = {}
    if reason is None and duration_s is not None:
        energies = _energies(epochs)
        reason = fault(duration_s, energies)
    started, stopped = utc(first.time), utc(last.time)
    if (stopped - started).total_seconds() < (duration_s or 0.0) - LOG_STEP_S:
        # its epochs do not fit: it ended when autumn's hour came for the second time
        stopped = utc(last.time, later=True)
    return {
        "tool_version": version[1] if version else None,
        "started_at": started,
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": reason,
    }


def _epochs(records: list[_Record]) -> tuple[list[_Epoch], str | None]:
    """Epochs of a run, and why they cannot be used.

    carbontracker 1 writes the power of each device, in brackets. carbontracker 2 writes the mean
    over devices (it puts the readings of all into one list), so that the sum needs their number.
    """
    epochs: list[_Epoch] = []
    devices: dict[str, int] = {}
    reason = None
    for record in records:
        for name, names in DEVICES.findall(record.message):
            devices[name.lower()] = len(names.split(", "))
        if EPOCH.match(record.message):
            epochs.append(_Epoch(None, {}))
        elif epochs and (duration := DURATION.match(record.message)):
            epochs[-1] = epochs[-1]._replace(duration_s=_seconds(duration[1]))
        elif epochs and (power := POWER.match(record.message)):
            component = power[1].strip()
            if component not in ("cpu", "gpu"):
                raise UnreadableError(NO_COMPONENT)
            power_w = _powers(power[2].strip())
            if power_w is not None and not power[2].startswith("[") and any(power_w):
                if component not in devices:
                    reason = DEVICES_UNKNOWN
                power_w = power_w * devices.get(component, 1)
            epochs[-1].power_w[component] = None if power_w is None else math.fsum(power_w)
    if not any(epoch.duration_s is not None for epoch in epochs):
        return epochs, NO_EPOCH
    components = {component for epoch in epochs for component in epoch.power_w}
    for epoch in epochs:
        told = [epoch.power_w.get(component) for component in components]
        if epoch.duration_s is None or not told or None in told:
            return epochs, NO_POWER
    return epochs, reason


def _energies(epochs: list[_Epoch]) -> dict[str, float | None]:
    """Energy of each component over epochs of which all is known, and of both.

    carbontracker writes 0 W for what it may not read (the processors' counters, without root), and
    nothing that is on draws that: a component at 0 W throughout is not known.
    """
    found: dict[str, float | None] = {}
    for component in ("gpu", "cpu"):
        powers_w = [epoch.power_w.get(component) or 0.0 for epoch in epochs]
        joules = ((epoch.duration_s or 0.0) * w for epoch, w in zip(epochs, powers_w, strict=True))
        kwh = math.fsum(joules) * units.KWH_PER_J
        found[f"{component}_kwh"] = kwh if any(powers_w) else None
    known = [kwh for kwh in found.values() if kwh is not None]
    return {**found, "energy_kwh": math.fsum(known) if known else None}


def _powers(text: str) -> list[float] | None:
    """Powers as carbontracker writes them: one, or an array; null when one of them is not known."""
    if text.startswith("[") and not text.endswith("]"):
        return None  # the log breaks off
    try:
        values = [
            math.nan if value == "None" else float(value)
            for value in text.strip("[]").replace(",", " ").split()
        ]
    except ValueError:
        raise UnreadableError(BAD_NUMBER) from None
    return values if values and all(map(math.isfinite, values)) else None


def _seconds(text: str) -> float:
    """Seconds of a duration, as in `0:00:49.06` or `1 day, 2:03:04.5`."""
    found = CLOCK.fullmatch(text.strip())
    if not found:
        raise UnreadableError(BAD_DURATION)
    sign, days, hours, minutes, seconds = found.groups()
    whole = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60
    return (whole + float(seconds)) * (-1 if sign else 1)
