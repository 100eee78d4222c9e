"""Ledgers read back: tracked runs, and faults by file and line.

A truncated line, a line of a newer format, and a line that contradicts an earlier one are faults
and are left out; every other line is used. Times derive from the start and from the tracker's
monotonic clock, so that a change of the system clock has no effect.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.core.names import clean_name
from footprint.core.vocabulary import LABEL_FIELDS, LABEL_VALUES
from footprint.tracker.ledger import FORMAT_VERSION, SUFFIX

# Reasons of faults: values of tables, hence their wording is fixed.
LINE_TRUNCATED = "the line is cut off"
NOT_A_RECORD = "the line is no record"
NEWER_FORMAT = "the line is of a newer version"
UNKNOWN_RECORD_KIND = "the record is of an unknown kind"
NO_START = "the run has no start"
SECOND_START = "the run starts a second time"
SECOND_STOP = "the run stops a second time"
RECORD_AFTER_STOP = "the run goes on after its stop"
DURATION_DECREASED = "the run is shorter than it was before"
CLOCK_CHANGED = "the clock was set while it ran"
INVALID_LABEL = "a label has a value that is not known"
INVALID_VALUE = "a value is missing or impossible"
UNREADABLE = "the file cannot be opened"
UNREADABLE_FOLDER = "the folder cannot be opened"
EMPTY_FILE = "the file is empty"

CLOCK_TOLERANCE_S = 120.0
"""Upper bound of usual clock corrections while a job runs."""
COMPONENTS = ("gpu", "cpu", "memory")

POSSIBLE_YEARS = range(1971, 2200)
"""Years of a time; the end of a run that starts later may be no time at all."""
MAX_DURATION_S = 1e9
"""Longest plausible duration of a run, 30 years."""


class Fault(NamedTuple):
    """A line that cannot be used, or only in part; without a line, the whole file."""

    file: str
    line: int | None
    reason: str

    @property
    def place(self) -> str:
        """`file:line`, or `file` for a whole file."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        """Message `file:line: reason`, or `file: reason` for a whole file."""
        return f"{self.place}: {self.reason}"


class DeviceEnergy(NamedTuple):
    """Energy of the devices of a component that is due to a run.

    Attributes:
        energy_j: Energy in joules; with other trackers, the part of this one.
        covered_frac: Covered share of the time of the devices.
        shared_j: Whole energy of the devices where other trackers have a part of it, else None.
    """

    energy_j: float
    covered_frac: float
    shared_j: float | None = None

    @property
    def whole_j(self) -> float:
        """Whole energy of the devices, whoever caused it."""
        return self.energy_j if self.shared_j is None else self.shared_j


@dataclass(kw_only=True)
class TrackedRun:
    """A run in a ledger; fields that the ledger lacks are None or empty.

    Attributes:
        file: Name of the run's file.
        line: Line of its start record.
        identity: Its identity.
        within: Identity of the enclosing run.
        started_at: Start (UTC).
        duration_s: Time until its stop, or until its last sign of life; None: neither is recorded.
        end: `stopped`, `seen` (it ended some time after the last sign of life) or `started`.
        warned_by: Last signal that was forwarded to it.
        devices: Energy of its devices by component.
        n_gpus: GPUs that were read; None: unknown.
        absent: Reason for absent devices, by source.
    """

    file: str
    line: int
    identity: str
    started_at: datetime
    within: str | None = None
    mark: str | None = None
    host: str | None = None
    job_id: int | None = None
    array_index: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    commit: str | None = None
    duration_s: float | None = None
    end: str = "started"
    exit_status: int | None = None
    signal: str | None = None
    warned_by: str | None = None
    devices: dict[str, DeviceEnergy] = field(default_factory=dict)
    n_gpus: int | None = None
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def stopped_at(self) -> datetime | None:
        """Start plus duration; None without a duration."""
        if self.duration_s is None:
            return None
        return self.started_at + timedelta(seconds=self.duration_s)


class LedgerContents(NamedTuple):
    """Tracked runs ordered by start, and faults."""

    runs: list[TrackedRun]
    faults: list[Fault]

    def outermost_runs(self) -> list[TrackedRun]:
        """Runs without an enclosing run in these ledgers, whose energies can be summed."""
        identities = {run.identity for run in self.runs}
        return [run for run in self.runs if run.within not in identities]


def ledger_files(folder: Path) -> list[Path]:
    """Files of a ledger, subfolders included, sorted."""
    return sorted(path for path in folder.rglob(f"*{SUFFIX}") if path.is_file())


def read_folder(folder: Path) -> LedgerContents:
    """Runs and faults of a ledger; a file or subfolder that cannot be opened is a fault.

    Args:
        folder: Folder of the ledger.
    """
    faults: list[Fault] = []

    def add_fault(error: OSError) -> None:
        faults.append(Fault(f"{Path(error.filename).name}/", None, UNREADABLE_FOLDER))

    files: list[Path] = []
    for inner, _, names in os.walk(folder, onerror=add_fault):
        files += [Path(inner, name) for name in names if name.endswith(SUFFIX)]
    contents = read_ledgers(sorted(files))
    return contents._replace(faults=[*contents.faults, *faults])


def read_ledgers(paths: Iterable[Path]) -> LedgerContents:
    """Runs and faults of ledger files; a file that cannot be opened is a fault.

    Args:
        paths: Files; faults contain their names without folders, which may contain logins.
    """
    runs: dict[str, TrackedRun] = {}
    faults: list[Fault] = []
    for path in paths:
        reader = _FileReader(path.name, runs, faults)
        try:
            content = input_files.read_content(path)
        except InputError as error:
            faults.append(Fault(path.name, None, error.what))
            continue
        if not content.strip():
            faults.append(Fault(path.name, None, EMPTY_FILE))
        for line, text in enumerate(content.split(b"\n"), start=1):
            reader.read_line(line, text)
    ordered = sorted(runs.values(), key=lambda run: (run.started_at, run.file, run.line))
    return LedgerContents(ordered, faults)


class _FileReader:
    """Reader of one file, which adds to the runs and faults of all files."""

    def __init__(self, name: str, runs: dict[str, TrackedRun], faults: list[Fault]) -> None:
        self._name, self._runs, self._faults = name, runs, faults
        self._identities_of_file: set[str] = set()
        self._record_readers: dict[str, Callable[[int, Mapping[str, Any]], None]] = {
            "start": self._read_start,
            "devices": self._read_devices,
            "seen": self._read_sign_of_life,
            "signal": self._read_signal,
            "stop": self._read_stop,
            "companion": lambda *_: None,
        }

    def read_line(self, line: int, text: bytes) -> None:
        """Read one line; a line that cannot be used becomes a fault."""
        if not text.strip():
            return
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            self._add_fault(line, NOT_A_RECORD if text.rstrip().endswith(b"}") else LINE_TRUNCATED)
            return
        if not isinstance(record, dict) or not isinstance(record.get("format"), int):
            self._add_fault(line, NOT_A_RECORD)
        elif record["format"] > FORMAT_VERSION:
            self._add_fault(line, NEWER_FORMAT)
        elif str(record.get("record")) not in self._record_readers:
            self._add_fault(line, UNKNOWN_RECORD_KIND)
        else:
            try:
                self._record_readers[record["record"]](line, record)
            except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
                self._add_fault(line, INVALID_VALUE)

    def _add_fault(self, line: int, reason: str) -> None:
        self._faults.append(Fault(self._name, line, reason))

    def _read_start(self, line: int, record: Mapping[str, Any]) -> None:
        identity = _parse_text(record["id"])
        if identity in self._runs:
            self._add_fault(line, SECOND_START)
            return
        oar = record.get("oar") or {}
        enclosing = self._runs.get(record.get("within") or "")
        self._runs[identity] = TrackedRun(
            file=self._name,
            line=line,
            identity=identity,
            started_at=_parse_time(record["at"]),
            within=_parse_optional_text(record.get("within")),
            mark=_parse_optional_text(record.get("mark")),
            # the record of an inner block does not repeat host and job
            host=_parse_optional_text(record.get("host"))
            or (enclosing.host if enclosing else None),
            job_id=_parse_count(oar.get("job_id")) if oar or not enclosing else enclosing.job_id,
            array_index=_parse_count(oar.get("array_index")),
            labels=dict(self._valid_labels(line, record.get("labels") or {})),
            command=[_parse_text(word) for word in record.get("command") or []],
            commit=_parse_optional_text(record.get("commit")),
        )
        self._identities_of_file.add(identity)

    def _valid_labels(self, line: int, labels: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in labels.items():
            if name in LABEL_FIELDS and value in LABEL_VALUES.get(name, (value,)) and value:
                yield name, clean_name(_parse_text(value))
            else:
                self._add_fault(line, INVALID_LABEL)

    def _run_of_record(self, line: int, record: Mapping[str, Any]) -> TrackedRun | None:
        """Run that a record belongs to; None, with a fault, if it has no start or has stopped."""
        identity = _parse_text(record["id"])
        if identity not in self._identities_of_file:
            self._add_fault(line, NO_START)
            return None
        run = self._runs[identity]
        if run.end == "stopped":
            is_stop = record["record"] == "stop"
            self._add_fault(line, SECOND_STOP if is_stop else RECORD_AFTER_STOP)
            return None
        return run

    def _read_devices(self, _: int, record: Mapping[str, Any]) -> None:
        """Set the devices of every run of the file: a process has the same devices throughout."""
        gpus = [each for each in record["found"] if each["source"] == "nvml"]
        for identity in self._identities_of_file:
            # without a driver that responds, the number of GPUs is unknown
            self._runs[identity].n_gpus = None if "nvml" in record["absent"] else len(gpus)
            self._runs[identity].absent = {
                _parse_text(name): _parse_text(why) for name, why in record["absent"].items()
            }

    def _read_sign_of_life(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run_of_record(line, record)
        if run is not None:
            self._update_usage(run, line, record)
            run.end = "seen"

    def _read_signal(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run_of_record(line, record)
        if run is not None:
            self._update_usage(run, line, record)
            run.end, run.warned_by = "seen", _parse_text(record["signal"])

    def _read_stop(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run_of_record(line, record)
        if run is not None:
            status = _parse_count(record.get("exit_status"))
            signal = _parse_optional_text(record.get("signal"))
            self._update_usage(run, line, record)
            run.end, run.exit_status, run.signal = "stopped", status, signal

    def _update_usage(self, run: TrackedRun, line: int, record: Mapping[str, Any]) -> None:
        """Set duration and energies of a run from a later record."""
        if run.devices and not record.get("devices") and record["record"] != "signal":
            raise ValueError("devices that were read before are missing")
        duration_s = _parse_non_negative(record["duration_s"])
        if duration_s > MAX_DURATION_S:
            raise ValueError(duration_s)
        devices = {
            name: DeviceEnergy(
                _parse_non_negative(each["energy_j"]),
                _parse_non_negative(each["covered_frac"]),
                None if each.get("whole_j") is None else _parse_non_negative(each["whole_j"]),
            )
            for name, each in (record.get("devices") or {}).items()
            if name in COMPONENTS
        }
        recorded_at = _parse_time(record["at"])
        if run.duration_s is not None and duration_s < run.duration_s:
            self._add_fault(line, DURATION_DECREASED)
            return
        clock_change_s = (recorded_at - run.started_at).total_seconds() - duration_s
        if abs(clock_change_s) > CLOCK_TOLERANCE_S:
            self._add_fault(line, CLOCK_CHANGED)
        run.duration_s, run.devices = duration_s, devices or run.devices


def _parse_time(value: Any) -> datetime:
    time = datetime.fromisoformat(_parse_text(value))
    if time.tzinfo is None or time.year not in POSSIBLE_YEARS:
        raise ValueError(value)
    return time.astimezone(UTC)


def _parse_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    value.encode()  # half of a character alone (`\\ud800`) is no text
    return value


def _parse_optional_text(value: Any) -> str | None:
    """A text, or None if it is missing or empty."""
    return None if value is None or value == "" else _parse_text(value)


def _parse_count(value: Any) -> int | None:
    """A whole number from 0 below 2^63, or None."""
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value


def _parse_non_negative(value: Any) -> float:
    """A finite number from 0."""
    number = float(value)
    if isinstance(value, str) or not math.isfinite(number) or number < 0:
        raise ValueError(value)
    return number
