"""Ledgers read back: what was tracked, and the lines that cannot be used.

A line that is cut, of a newer version, or that contradicts one before it is told with its file and
line, and left out; all else is used. Times come from the start and from the monotonic clock of the
tracker, so that a clock that is set in between changes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from footprint.tracker.ledger import FORMAT
from footprint.vocabulary import ALLOWED, STATEMENTS

CUT = "the line is cut off"
NO_RECORD = "the line is no record"
NEWER = "the line is of a newer version"
NO_KIND = "the record is of an unknown kind"
NO_START = "the run has no start"
SECOND_START = "the run starts a second time"
SECOND_STOP = "the run stops a second time"
AFTER_STOP = "the run goes on after its stop"
SHRINKS = "the run is shorter than it was before"
CLOCK = "the clock was set while it ran"
BAD_LABEL = "a label has a value that is not known"
BAD_VALUE = "a value is missing or impossible"
UNREADABLE = "the file cannot be opened"

CLOCK_S = 120.0
"""Clocks are corrected by less than this while a job runs."""
COMPONENTS = ("gpu", "cpu", "memory")


LONGEST_S = 1e9
"""No run lasts 30 years."""


class Fault(NamedTuple):
    """A line that cannot be used, or not in full; without a line, the whole file."""

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        """As a message."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.reason}"


class Energy(NamedTuple):
    """Energy of the devices of a component, and the part of their time that was covered."""

    energy_j: float
    covered_frac: float


@dataclass(kw_only=True)
class Run:
    """Something that was tracked, as far as its ledger tells.

    Attributes:
        file: File that it stands in.
        line: Line of its start.
        identity: Its identity.
        within: Identity of what was tracked around it.
        started_at: Start (UTC).
        duration_s: Time until its stop, or until the last sign of life; null: none of the two.
        end: `stopped`, `seen` (it ended some time after the last sign of life) or `started`.
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
    devices: dict[str, Energy] = field(default_factory=dict)
    n_gpus: int | None = None
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def stopped_at(self) -> datetime | None:
        """Start and duration."""
        if self.duration_s is None:
            return None
        return self.started_at + timedelta(seconds=self.duration_s)


class Read(NamedTuple):
    """What was tracked, by start, and the lines that cannot be used."""

    runs: list[Run]
    faults: list[Fault]

    def outermost(self) -> list[Run]:
        """Runs that no other run of the same ledgers is around: their energies add up."""
        known = {run.identity for run in self.runs}
        return [run for run in self.runs if run.within not in known]


def files(folder: Path) -> list[Path]:
    """Files of a ledger, in its subfolders as well, sorted."""
    return sorted(path for path in folder.rglob("*.jsonl") if path.is_file())


def read(paths: Iterable[Path]) -> Read:
    """Runs in the files of ledgers; a file that cannot be opened is a fault.

    Args:
        paths: Files; messages name them without their folders, which may hold logins.
    """
    runs: dict[str, Run] = {}
    faults: list[Fault] = []
    for path in paths:
        file = _File(path.name, runs, faults)
        try:
            content = path.read_bytes()
        except OSError:
            faults.append(Fault(path.name, None, UNREADABLE))
            continue
        for line, text in enumerate(content.split(b"\n"), start=1):
            file.read_line(line, text)
    return Read(sorted(runs.values(), key=lambda run: (run.started_at, run.file, run.line)), faults)


class _File:
    """A file while it is read."""

    def __init__(self, name: str, runs: dict[str, Run], faults: list[Fault]) -> None:
        self._name, self._runs, self._faults = name, runs, faults
        self._own: set[str] = set()
        self._records: dict[str, Callable[[int, Mapping[str, Any]], None]] = {
            "start": self._start,
            "devices": self._found,
            "seen": self._seen,
            "signal": self._signal,
            "stop": self._stop,
            "companion": lambda *_: None,
        }

    def read_line(self, line: int, text: bytes) -> None:
        """Take what a line says; what cannot be used is a fault."""
        if not text.strip():
            return
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            self._fault(line, NO_RECORD if text.rstrip().endswith(b"}") else CUT)
            return
        if not isinstance(record, dict) or not isinstance(record.get("format"), int):
            self._fault(line, NO_RECORD)
        elif record["format"] > FORMAT:
            self._fault(line, NEWER)
        elif record.get("record") not in self._records:
            self._fault(line, NO_KIND)
        else:
            try:
                self._records[record["record"]](line, record)
            except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
                self._fault(line, BAD_VALUE)

    def _fault(self, line: int, reason: str) -> None:
        self._faults.append(Fault(self._name, line, reason))

    def _start(self, line: int, record: Mapping[str, Any]) -> None:
        identity = _text(record["id"])
        if identity in self._runs:
            self._fault(line, SECOND_START)
            return
        oar = record.get("oar") or {}
        around = self._runs.get(record.get("within") or "")
        self._runs[identity] = Run(
            file=self._name,
            line=line,
            identity=identity,
            started_at=_time(record["at"]),
            within=_optional(record.get("within")),
            mark=_optional(record.get("mark")),
            # a block inside a block does not say again where it is
            host=_optional(record.get("host")) or (around.host if around else None),
            job_id=_whole(oar.get("job_id")) if oar or not around else around.job_id,
            array_index=_whole(oar.get("array_index")),
            labels=dict(self._labels(line, record.get("labels") or {})),
            command=[_text(word) for word in record.get("command") or []],
            commit=_optional(record.get("commit")),
        )
        self._own.add(identity)

    def _labels(self, line: int, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in said.items():
            if name in STATEMENTS and value in ALLOWED.get(name, (value,)) and value:
                yield name, _text(value)
            else:
                self._fault(line, BAD_LABEL)

    def _run(self, line: int, record: Mapping[str, Any]) -> Run | None:
        identity = _text(record["id"])
        if identity not in self._own:
            self._fault(line, NO_START)
            return None
        run = self._runs[identity]
        if run.end == "stopped":
            self._fault(line, SECOND_STOP if record["record"] == "stop" else AFTER_STOP)
            return None
        return run

    def _found(self, _: int, record: Mapping[str, Any]) -> None:
        """Devices are those of the process, thus of every run of its file."""
        gpus = [each for each in record["found"] if each["source"] == "nvml"]
        for identity in self._own:
            # without a driver that answers, nobody knows how many there are
            self._runs[identity].n_gpus = None if "nvml" in record["absent"] else len(gpus)
            self._runs[identity].absent = {
                _text(name): _text(why) for name, why in record["absent"].items()
            }

    def _seen(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run(line, record)
        if run is not None:
            self._go_on(run, line, record)
            run.end = "seen"

    def _signal(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run(line, record)
        if run is not None:
            self._go_on(run, line, record)
            run.end, run.warned_by = "seen", _text(record["signal"])

    def _stop(self, line: int, record: Mapping[str, Any]) -> None:
        run = self._run(line, record)
        if run is not None:
            status = _whole(record.get("exit_status"))
            signal = _optional(record.get("signal"))
            self._go_on(run, line, record)
            run.end, run.exit_status, run.signal = "stopped", status, signal

    def _go_on(self, run: Run, line: int, record: Mapping[str, Any]) -> None:
        """Take duration and energies of a later record of a run."""
        duration_s = _number(record["duration_s"])
        if duration_s > LONGEST_S:
            raise ValueError(duration_s)
        devices = {
            name: Energy(_number(each["energy_j"]), _number(each["covered_frac"]))
            for name, each in (record.get("devices") or {}).items()
            if name in COMPONENTS
        }
        at = _time(record["at"])
        if run.duration_s is not None and duration_s < run.duration_s:
            self._fault(line, SHRINKS)
            return
        if abs((at - run.started_at).total_seconds() - duration_s) > CLOCK_S:
            self._fault(line, CLOCK)
        run.duration_s, run.devices = duration_s, devices


def _time(value: Any) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError(value)
    return at.astimezone(UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    value.encode()  # half of a character alone (`\\ud800`) is no text
    return value


def _optional(value: Any) -> str | None:
    return None if value is None or value == "" else _text(value)


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, str) or not math.isfinite(number) or number < 0:
        raise ValueError(value)
    return number
