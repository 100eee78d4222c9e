"""Ledgers of the simulated site in which every job of a paper is tracked."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.vocabulary import LABEL_FIELDS
from footprint.tracker import ledger

GPU_FRAC, CPU_FRAC = 0.5, 0.2
"""Fractions of a job's node energy that are written as the energy of its devices."""


def write_ledgers(
    folder: Path, jobs: pl.DataFrame, allocations: pl.DataFrame, truth: pl.DataFrame
) -> pl.DataFrame:
    """Write a ledger file for each finished job of a paper.

    Args:
        folder: The ledger.
        jobs: `schemas.Jobs` with `measured_kwh`, the energy of its nodes.
        allocations: `schemas.Allocations`.
        truth: `schemas.TrueKinds`.

    Returns:
        The tracked jobs with their true kinds.
    """
    first = allocations.group_by("job_id").agg(pl.col("node").sort().first())
    tracked = (
        jobs.join(truth.drop_nulls(["phase", "paper"]), on="job_id")
        .join(first, on="job_id")
        .drop_nulls("stopped_at")
        .sort("job_id")
    )
    for row in tracked.iter_rows(named=True):
        _write(folder, row)
    return tracked


def _write(folder: Path, row: dict[str, Any]) -> None:
    """Write the records of a job, from five seconds after its start to five before its end."""
    host = f"{row['node']}.nancy.grid5000.fr"
    own = ledger.Ledger(folder, job=row["job_id"], host=host)
    start, end = row["started_at"], row["stopped_at"]
    if end - start > timedelta(minutes=1):
        start, end = start + timedelta(seconds=5), end - timedelta(seconds=5)
    identity = f"{row['job_id']:016x}"
    own.append(
        "start",
        id=identity,
        within=None,
        at=start.isoformat(),
        command=["./run.sh"],
        labels={name: row[name] for name in LABEL_FIELDS if name in row},
        oar={"job_id": row["job_id"], "array_id": None, "array_index": None},
        host=host,
    )
    own.append("devices", at=start.isoformat(), found=[{"source": "nvml"}], absent={})
    own.append(
        "stop",
        id=identity,
        at=end.isoformat(),
        duration_s=(end - start).total_seconds(),
        exit_status=0,
        devices=_devices(row["measured_kwh"], start, end),
    )


def _devices(energy_kwh: float | None, start: datetime, end: datetime) -> dict[str, Any] | None:
    if energy_kwh is None or end <= start:
        return None
    parts = {"gpu": GPU_FRAC, "cpu": CPU_FRAC}
    return {
        name: {"energy_j": energy_kwh * 3.6e6 * part, "covered_frac": 1.0}
        for name, part in parts.items()
    }


def add_faulty_lines(folder: Path) -> None:
    """Add a truncated line, a line of a newer format, and a job that OAR does not list."""
    lines = [
        json.dumps({"format": 99, "record": "start", "id": "new"}),
        json.dumps(
            {"format": 1, "record": "start", "id": "unknown", "at": "2025-03-31T10:00:00Z"}
            | {"oar": {"job_id": 1}, "labels": {"paper": "nobodys"}}
        ),
        '{"format":1,"record":"stop","id":"unkno',
    ]
    (folder / "spoilt.jsonl").write_text("\n".join(lines))
