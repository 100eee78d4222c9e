"""Runs and tasks of CodeCarbon's CSV files."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from footprint.sources.tool_logs import job_hints
from footprint.sources.tool_logs.run_records import (
    BAD_DURATION,
    BAD_NUMBER,
    UNEQUAL_PARTS,
    UnreadableError,
    energy_fault,
    have_unequal_parts,
    is_local_time,
    parse_utc,
)

TOOL_NAME = "codecarbon"
TASK_OF_RUN = "a task of a run: the run's own row is used"
WRONG_FIELD_COUNT = "another number of fields than the header has"
NOT_CSV = "the line is not CSV"
NO_GPU_READING = "GPUs are listed and their energy is 0: it was not read"

REQUIRED_COLUMNS = {"duration", "energy_consumed", "timestamp"}
VERSION_2_COLUMNS = {"run_id"}
VERSION_1_COLUMNS = {"emissions", "on_cloud"}
"""Columns that distinguish files of version 1, without runs and components, from other tools'
files."""

ENERGY_COLUMNS = {
    "gpu_kwh": "gpu_energy",
    "cpu_kwh": "cpu_energy",
    "memory_kwh": "ram_energy",
    "energy_kwh": "energy_consumed",
}
OMITTED_COLUMNS = ("region", "longitude", "latitude")
"""Columns that version 3.2.9 omits from a row if they are empty, but not from the header."""

COUNTRY_PATTERN = re.compile(r"[A-Z]{3}")
TRACKING_MODES = {"machine", "process"}


def is_header(cells: list[str]) -> bool:
    """Return whether these cells are the header of a file of CodeCarbon, of any version."""
    found = {cell.strip(' "') for cell in cells}
    return found >= REQUIRED_COLUMNS and (found >= VERSION_2_COLUMNS or found >= VERSION_1_COLUMNS)


def parse_rows(label: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield rows of `run_records.RUN_SCHEMA`; a row of a task also has `own_fault`.

    `own_fault` is the reason for which the task itself cannot be used. A header is repeated where
    files were concatenated. No field contains a line break, so that a quote left open by a torn
    line ends with the line.

    Args:
        label: The file, as `source` of the rows.
        text: Text of the file.
    """
    columns: list[str] = []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        unread = {"source": label, "line": line, "tool": TOOL_NAME, "run": f"{label}:{line}"}
        try:
            (cells,) = csv.reader([content], strict=True)
        except csv.Error:
            yield unread | {"reason": NOT_CSV}
            continue
        fields = [cell.strip() for cell in cells]
        if is_header(fields):
            columns = fields
            continue
        try:
            yield unread | _parse_run(_fields_by_column(fields, columns), f"{label}:{line}")
        except UnreadableError as error:
            yield unread | {"reason": error.reason}


def _fields_by_column(fields: list[str], columns: list[str]) -> dict[str, str]:
    """Return the fields of a line by column.

    Raises:
        UnreadableError: The number of fields differs from the header.
    """
    if len(fields) == len(columns):
        return dict(zip(columns, fields, strict=True))
    shorter = [name for name in columns if name not in OMITTED_COLUMNS]
    if len(fields) != len(shorter):
        raise UnreadableError(WRONG_FIELD_COUNT)
    row = dict(zip(shorter, fields, strict=True))
    fits = (
        COUNTRY_PATTERN.fullmatch(row.get("country_iso_code", ""))
        and row.get("tracking_mode") in TRACKING_MODES
    )
    if not fits:
        raise UnreadableError(WRONG_FIELD_COUNT)
    return row


def _parse_run(row: dict[str, str], where: str) -> dict[str, Any]:
    """Return a run from a row, whose timestamp is the end of the run."""
    stopped = parse_utc(row["timestamp"])
    duration_s = _number(row, "duration")
    if duration_s is None or duration_s > stopped.timestamp():
        raise UnreadableError(BAD_DURATION)
    # All versions with a PUE multiply all energies by it, also those of the components.
    pue = max(_number(row, "pue") or 1.0, 1.0)
    energies = {
        column: None if (kwh := _number(row, original)) is None else kwh / pue
        for column, original in ENERGY_COLUMNS.items()
    }
    jobs = (job_hints.job_of_field(row.get(name, "")) for name in ("experiment_id", "project_name"))
    reason, limit = energy_fault(duration_s, energies), None
    if reason is None and energies["gpu_kwh"] == 0 and energies["energy_kwh"]:
        # No device that is on draws 0 W. GPUs before Volta have no energy counter.
        reason = NO_GPU_READING if _has_gpu(row) else None
    if reason is None and have_unequal_parts(energies):
        total_kwh, limit = energies["energy_kwh"], UNEQUAL_PARTS
        energies = {name: total_kwh if name == "energy_kwh" else None for name in energies}
    is_task = "task_name" in row
    return {
        "tool_version": row.get("codecarbon_version") or None,
        # A row without run id is a run by itself.
        "run": row.get("run_id") or where,
        "job_id": next((job for job in jobs if job is not None), None),
        "job_candidates": job_hints.long_numbers(row.get("project_name", "")),
        "is_local_time": is_local_time(row["timestamp"]),
        "started_at": stopped - timedelta(seconds=max(duration_s, 0.0)),
        "stopped_at": stopped,
        "duration_s": duration_s,
        **energies,
        "reason": TASK_OF_RUN if is_task else reason,
        "limit": limit,
        **({"own_fault": reason} if is_task else {}),
    }


def _has_gpu(row: dict[str, str]) -> bool:
    """Return whether a row lists GPUs, by their number or, without one, by their model."""
    count = _number(row, "gpu_count")
    return count > 0 if count is not None else bool(row.get("gpu_model"))


def _number(row: dict[str, str], name: str) -> float | None:
    """Return a number of a row; None if it is missing, NaN or infinite.

    Raises:
        UnreadableError: The field is not a number.
    """
    text = row.get(name, "")
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise UnreadableError(BAD_NUMBER) from None
    return value if math.isfinite(value) else None
