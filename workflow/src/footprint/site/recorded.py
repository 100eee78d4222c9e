"""Files that energy tools left -> runs: CodeCarbon's CSV files and carbontracker's logs.

A time without offset is Paris', as Grid'5000's nodes show it (carbontracker writes a `Z` into the
names of its files all the same). Of an hour that autumn repeats, the earlier is taken. Energies are
those of the machine: a PUE is divided out, since all methods are compared without one.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from footprint import units
from footprint.errors import InputError
from footprint.site import files

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
"""A run of a tool; `job_id` and `host` are hints, `reason` says why it is set aside."""

EARLIER_STATE = "an earlier state of the same run"
TASK = "a task of a run: the run's own row is used"
NO_ENERGY = "no energy"
NEGATIVE_ENERGY = "negative energy"
ENERGY_WITHOUT_DURATION = "energy without duration"
NEGATIVE_DURATION = "negative duration"
NO_EPOCH = "no epoch was finished"
NO_POWER = "no power of an epoch"
DEVICES_UNKNOWN = "a mean power of an unknown number of devices"
TWICE = "the same run is in another log"
OUTPUT_LOG = "carbontracker output log: its energies include a PUE; the standard log is used"
ERROR_LOG = "carbontracker error log: it holds no energy"

PARIS = ZoneInfo("Europe/Paris")
LOG_STEP_S = 2.0
"""Two times of a log, each cut to a second, may differ by so much less than what is between."""

NEEDED = {"run_id", "duration", "energy_consumed", "timestamp"}
ENERGIES = {
    "gpu_kwh": "gpu_energy",
    "cpu_kwh": "cpu_energy",
    "memory_kwh": "ram_energy",
    "energy_kwh": "energy_consumed",
}
EXPECTED = "CodeCarbon's emissions.csv and carbontracker's standard logs can be read"
TIME = "a time looks like 2025-04-18T18:55:33, with an offset unless it is Paris' time"

STAMPED = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d{3})? - ?(.*)")
VERSION = re.compile(r"carbontracker version (\S+)")
EPOCH = re.compile(r"Epoch \d+:")
DURATION = re.compile(r"Duration: *(.*)")
CLOCK = re.compile(r"(-?)(?:(\d+) days?, )?(\d+):(\d\d?):(\d\d?(?:\.\d+)?)")
POWER = re.compile(r"Average power usage \(W\) for ([^:]+): *(.*)")
DEVICES = re.compile(r"([A-Z]+) with device\(s\) (.*?)\.(?= +[A-Z]+ with device\(s\)|\s*$)")

JOB_FIELD = re.compile(r"(?:(?:oar|job)[-_])?(\d{4,18})(?:\.0)?", re.IGNORECASE)
"""A job in a field of CodeCarbon; pandas, which writes its files, may make a float of a number."""
JOB_NAME = re.compile(r"(?:(?:oar|job|emissions)[-_])?(\d{4,18})", re.IGNORECASE)
NO_NODE = r"(?!(?:emissions|oar|job|run|codecarbon|carbontracker)-)"
DOMAIN = r"\.[a-z]+\.grid5000\.fr"
NODE_NAME = re.compile(rf"{NO_NODE}([a-z][a-z0-9]*-\d+)({DOMAIN})?")
NODE_FIRST = re.compile(rf"{NO_NODE}([a-z][a-z0-9]*-\d+)({DOMAIN})?(?=[._-])")


class _Record(NamedTuple):
    """A record of a log: the line that it starts on, its time, and what it says."""

    line: int
    time: str
    message: str


class _Epoch(NamedTuple):
    """An epoch of a log: its length, and the power of each component, null where not known."""

    duration_s: float | None
    power_w: dict[str, float | None]


def parse(paths: Iterable[tuple[str, Path]]) -> pl.DataFrame:
    """Runs in files of CodeCarbon and carbontracker, in the order of the files (`RUNS`).

    The content tells the format; `.gz` and `.zst` are decompressed. Runs that cannot be used are
    rows with a `reason`.

    Args:
        paths: Each file with its label: its path relative to the folder of recordings.

    Raises:
        InputError: A file is none of these, or a number or time in it cannot be read; the message
            names the line.
    """
    rows = [row for label, path in paths for row in _runs(label, path)]
    return _once(pl.DataFrame(rows, schema=RUNS, orient="row"))


def _once(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs, of which each is used once.

    CodeCarbon writes a run again with what it used up to then, and saves old files under another
    name. carbontracker 1 writes a run also into the logs that the same process began before.
    """
    numbered = runs.with_row_index("index")
    states = (pl.col("tool") == "codecarbon") & pl.col("reason").ne_missing(TASK)
    by_length = numbered.filter(states).sort("duration_s", maintain_order=True)
    longest = by_length.filter(pl.col("run").is_last_distinct())["index"]
    logs = (pl.col("tool") == "carbontracker") & pl.col("reason").is_null()
    what = ("tool_version", "started_at", "stopped_at", "duration_s", "gpu_kwh", "cpu_kwh")
    first = numbered.filter(logs).filter(pl.struct(what).is_first_distinct())["index"]
    return numbered.with_columns(
        reason=pl.when(states & ~pl.col("index").is_in(longest.implode()))
        .then(pl.lit(EARLIER_STATE))
        .when(logs & ~pl.col("index").is_in(first.implode()))
        .then(pl.lit(TWICE))
        .otherwise("reason")
    ).drop("index")


def _runs(label: str, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file."""
    text = b"".join(files.blocks(path)).decode("utf-8-sig", "replace")
    start = text.lstrip().partition("\n")[0].strip()
    name, hints = files.plain_name(path), _path_hints(label)
    if {cell.strip(' "') for cell in start.split(",")} >= NEEDED:
        for row in _codecarbon(label, text):
            yield row | {key: row.get(key) or hint for key, hint in hints.items()}
        return
    unused = {"source": label, "line": 1, "tool": "carbontracker", "run": label, **hints}
    if VERSION.search(text) or POWER.search(text):
        for row in _carbontracker(label, _records(text)):
            yield unused | row
    elif re.search(r"(?m)(^| - )CarbonTracker:", text) or (
        # carbontracker 1 leaves it empty unless it was told to be verbose
        not start and name.endswith("carbontracker_output.log")
    ):
        yield unused | {"reason": OUTPUT_LOG}
    elif start and name.endswith("carbontracker_err.log"):
        yield unused | {"reason": ERROR_LOG}
    else:
        what = f"this is of no tool that is known: {start[:60]}" if start else "the file is empty"
        raise InputError(what, where=f"{label}:1", do=EXPECTED)


# CodeCarbon


def _codecarbon(label: str, text: str) -> Iterator[dict[str, Any]]:
    """Rows of a CSV file; a header may come again, where files were put together."""
    names: list[str] = []
    reader = csv.reader(io.StringIO(text))
    line = 1
    try:
        for cells in reader:
            where = f"{label}:{line}"
            fields = [cell.strip() for cell in cells]
            if set(fields) >= NEEDED:
                names = fields
            elif fields not in ([], [""]):
                if len(fields) != len(names):
                    what = f"{len(fields)} fields instead of {len(names)}"
                    raise InputError(what, where=where, do=files.SAVE_AGAIN)
                row = dict(zip(names, fields, strict=True))
                yield {"source": label, "line": line, **_codecarbon_run(row, where)}
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"this is not CSV ({error})", where=f"{label}:{line}") from None


def _codecarbon_run(row: dict[str, str], where: str) -> dict[str, Any]:
    """A run from a row; its time is that of the end."""
    stopped = _utc(row["timestamp"], where)
    duration_s = _number(row, "duration", where)
    if duration_s is None or abs(duration_s) > stopped.timestamp():
        raise InputError(f"cannot tell the duration of {row['duration']!r}", where=where)
    # every version that knows a PUE has multiplied the energies by it, those of the parts as well
    pue = max(_number(row, "pue", where) or 1.0, 1.0)
    energies = {
        ours: None if (kwh := _number(row, theirs, where)) is None else kwh / pue
        for ours, theirs in ENERGIES.items()
    }
    jobs = (JOB_FIELD.fullmatch(row.get(name, "")) for name in ("experiment_id", "project_name"))
    return {
        "tool": "codecarbon",
        "tool_version": row.get("codecarbon_version") or None,
        # a row that does not say its run is one by itself
        "run": row["run_id"] or where,
        "job_id": next((int(found[1]) for found in jobs if found), None),
        "started_at": stopped - timedelta(seconds=duration_s),
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": TASK if "task_name" in row else _fault(duration_s, energies),
    }


def _number(row: dict[str, str], name: str, where: str) -> float | None:
    """A number of a row; null when it is not there, not a number, or infinite."""
    text = row.get(name, "")
    try:
        value = float(text) if text else math.nan
    except ValueError:
        what = f"the {name} {text!r} is not a number"
        raise InputError(what, where=where, do=files.SAVE_AGAIN) from None
    return value if math.isfinite(value) else None


def _fault(duration_s: float, energies: dict[str, float | None]) -> str | None:
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


# carbontracker


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


def _carbontracker(label: str, records: list[_Record]) -> Iterator[dict[str, Any]]:
    """Runs of a standard log; each starts with the version, where that is told."""
    starts = [n for n, record in enumerate(records) if VERSION.match(record.message)]
    # what stands before the first version belongs to that run
    bounds = [0, *starts[1:], len(records)]
    for start, end in pairwise(bounds):
        if start == end:
            raise InputError("no line has a time", where=f"{label}:1", do=EXPECTED)
        row = _carbontracker_run(label, records[start:end])
        yield row | {"run": label if start == 0 else f"{label}:{row['line']}"}


def _carbontracker_run(label: str, records: list[_Record]) -> dict[str, Any]:
    """A run from its records."""
    versions = [(record, v) for record in records if (v := VERSION.match(record.message))]
    first = versions[0][0] if versions else records[0]
    last = records[-1]
    epochs, reason = _epochs(label, records)
    durations = [epoch.duration_s for epoch in epochs if epoch.duration_s is not None]
    duration_s = sum(durations) if durations else None
    energies: dict[str, float | None] = {}
    if reason is None and duration_s is not None:
        energies = _energies(epochs)
        reason = _fault(duration_s, energies)
    end = f"{label}:{last.line}"
    started, stopped = _utc(first.time, f"{label}:{first.line}"), _utc(last.time, end)
    if (stopped - started).total_seconds() < (duration_s or 0.0) - LOG_STEP_S:
        # its epochs do not fit: it ended when autumn's hour came for the second time
        stopped = _utc(last.time, end, later=True)
    return {
        "line": first.line,
        "tool_version": versions[0][1][1] if versions else None,
        "started_at": started,
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": reason,
    }


def _epochs(label: str, records: list[_Record]) -> tuple[list[_Epoch], str | None]:
    """Epochs of a run, and why they cannot be used.

    carbontracker 1 writes the power of each device, in brackets. carbontracker 2 writes the mean
    over devices (it puts the readings of all into one list), so that the sum needs their number.
    """
    epochs: list[_Epoch] = []
    devices: dict[str, int] = {}
    reason = None
    for record in records:
        where = f"{label}:{record.line}"
        for name, names in DEVICES.findall(record.message):
            devices[name.lower()] = len(names.split(", "))
        if EPOCH.match(record.message):
            epochs.append(_Epoch(None, {}))
        elif epochs and (duration := DURATION.match(record.message)):
            epochs[-1] = epochs[-1]._replace(duration_s=_seconds(duration[1], where))
        elif epochs and (power := POWER.match(record.message)):
            component = power[1].strip()
            if component not in ("cpu", "gpu"):
                raise InputError(f"{component} is no component", where=where, do=EXPECTED)
            power_w = _powers(power[2].strip(), where)
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


def _powers(text: str, where: str) -> list[float] | None:
    """Powers as carbontracker writes them: one, or an array; null when one of them is not known."""
    if text.startswith("[") and not text.endswith("]"):
        return None  # the log breaks off
    try:
        values = [
            math.nan if value == "None" else float(value)
            for value in text.strip("[]").replace(",", " ").split()
        ]
    except ValueError:
        what = f"the power {text[:60]!r} is not a number"
        raise InputError(what, where=where, do=files.SAVE_AGAIN) from None
    return values if values and all(map(math.isfinite, values)) else None


def _seconds(text: str, where: str) -> float:
    """Seconds of a duration, as in `0:00:49.06` or `1 day, 2:03:04.5`."""
    found = CLOCK.fullmatch(text.strip())
    if not found:
        what = f"cannot tell the duration of {text[:60]!r}"
        raise InputError(what, where=where, do=files.SAVE_AGAIN)
    sign, days, hours, minutes, seconds = found.groups()
    whole = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60
    return (whole + float(seconds)) * (-1 if sign else 1)


# Times and hints


def _utc(text: str, where: str, *, later: bool = False) -> datetime:
    """A time in UTC; without an offset it is Paris'.

    Args:
        text: The time (ISO).
        where: Where it stands, for messages.
        later: Whether to take the later of an hour that Paris had twice.

    Raises:
        InputError: It is no time of this century, or Paris never had it, in spring.
    """
    try:
        time = datetime.fromisoformat(text)
        if ":" not in text or not 2000 < time.year < 2100:
            raise ValueError
    except ValueError:
        what = f"cannot tell the time of {text[:60]!r}"
        raise InputError(what, where=where, do=TIME) from None
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    found = time.replace(tzinfo=PARIS, fold=int(later)).astimezone(UTC)
    if found.astimezone(PARIS).replace(tzinfo=None) != time:
        raise InputError(f"Paris never had the time {text}", where=where, do=TIME)
    return found


def _path_hints(label: str) -> dict[str, Any]:
    """Job and node that a file's path names: the nearest to the file, and full node names first."""
    path = PurePosixPath(label)
    file = files.plain_name(Path(path.name))
    folders = [folder.name for folder in path.parents if folder.name]
    jobs = (JOB_NAME.fullmatch(name) for name in (PurePosixPath(file).stem, *folders))
    nodes = [NODE_FIRST.match(file), *(NODE_NAME.fullmatch(folder) for folder in folders)]
    named = sorted((found for found in nodes if found), key=lambda found: found[2] is None)
    return {
        "job_id": next((int(found[1]) for found in jobs if found), None),
        "host": named[0][1] if named else None,
    }
