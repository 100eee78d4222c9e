"""CodeCarbon's CSV files -> runs and tasks, each line by itself."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from footprint.site.run_records import (
    BAD_DURATION,
    BAD_NUMBER,
    UnreadableError,
    fault,
    utc,
)

TOOL = "codecarbon"
TASK = "a task of a run: the run's own row is used"
WRONG_FIELDS = "another number of fields than the header has"
NOT_CSV = "the line is not CSV"
NO_GPU_READING = "GPUs are listed and their energy is 0: it was not read"

NEEDED = {"duration", "energy_consumed", "timestamp"}
VERSION_2 = {"run_id"}
VERSION_1 = {"emissions", "on_cloud"}
"""What tells files of version 1, which have neither runs nor parts, from those of other tools."""
ENERGIES = {
    "gpu_kwh": "gpu_energy",
    "cpu_kwh": "cpu_energy",
    "memory_kwh": "ram_energy",
    "energy_kwh": "energy_consumed",
}
LEFT_OUT = ("region", "longitude", "latitude")
"""Columns that version 3.2.9 leaves out of a row where they are empty, but not of the header."""
COUNTRY = re.compile(r"[A-Z]{3}")
MODES = {"machine", "process"}

JOB_FIELD = re.compile(r"(?:(?:oar|job)[-_])?(\d{4,18})(?:\.0)?", re.IGNORECASE)
"""A job in a field of CodeCarbon; pandas, which writes its files, may make a float of a number."""


def is_header(cells: list[str]) -> bool:
    """Whether these cells are the header of a file of CodeCarbon, of any version."""
    found = {cell.strip(' "') for cell in cells}
    return found >= NEEDED and (found >= VERSION_2 or found >= VERSION_1)


def rows(label: str, text: str) -> Iterator[dict[str, Any]]:
    """Rows of `run_records.RUNS`, and `own_fault` of tasks: why such a task could not be used.

    A header may come again, where files were put together. No field holds a line break, so that a
    quote left open by a torn line ends with it.
    """
    names: list[str] = []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        unread = {"source": label, "line": line, "tool": TOOL, "run": f"{label}:{line}"}
        try:
            (cells,) = csv.reader([content], strict=True)
        except csv.Error:
            yield unread | {"reason": NOT_CSV}
            continue
        fields = [cell.strip() for cell in cells]
        if is_header(fields):
            names = fields
            continue
        try:
            yield unread | _run(_named(fields, names), f"{label}:{line}")
        except UnreadableError as error:
            yield unread | {"reason": error.reason}


def _named(fields: list[str], names: list[str]) -> dict[str, str]:
    """Fields by the name of their column."""
    if len(fields) == len(names):
        return dict(zip(names, fields, strict=True))
    shorter = [name for name in names if name not in LEFT_OUT]
    if len(fields) != len(shorter):
        raise UnreadableError(WRONG_FIELDS)
    row = dict(zip(shorter, fields, strict=True))
    fits = COUNTRY.fullmatch(row.get("country_iso_code", "")) and row.get("tracking_mode") in MODES
    if not fits:
        raise UnreadableError(WRONG_FIELDS)
    return row


def _run(row: dict[str, str], where: str) -> dict[str, Any]:
    """A run from a row; its time is that of the end."""
    stopped = utc(row["timestamp"])
    duration_s = _number(row, "duration")
    if duration_s is None or abs(duration_s) > stopped.timestamp():
        raise UnreadableError(BAD_DURATION)
    # every version that knows a PUE has multiplied the energies by it, those of the parts as well
    pue = max(_number(row, "pue") or 1.0, 1.0)
    energies = {
        ours: None if (kwh := _number(row, theirs)) is None else kwh / pue
        for ours, theirs in ENERGIES.items()
    }
    jobs = (JOB_FIELD.fullmatch(row.get(name, "")) for name in ("experiment_id", "project_name"))
    reason = fault(duration_s, energies)
    if reason is None and energies["gpu_kwh"] == 0 and energies["energy_kwh"]:
        # nothing that is on draws 0 W: cards before Volta have no counter of energy
        reason = NO_GPU_READING if (_number(row, "gpu_count") or 0) > 0 else None
    is_task = "task_name" in row
    return {
        "tool_version": row.get("codecarbon_version") or None,
        # a row that does not say its run is one by itself
        "run": row.get("run_id") or where,
        "job_id": next((int(found[1]) for found in jobs if found), None),
        "started_at": stopped - timedelta(seconds=duration_s),
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": TASK if is_task else reason,
        **({"own_fault": reason} if is_task else {}),
    }


def _number(row: dict[str, str], name: str) -> float | None:
    """A number of a row; null when it is not there, not a number, or infinite."""
    text = row.get(name, "")
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise UnreadableError(BAD_NUMBER) from None
    return value if math.isfinite(value) else None
