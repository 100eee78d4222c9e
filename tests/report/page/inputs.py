"""Small tables of a study, for tests of the report's page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from footprint.core.vocabulary import KINDS, PHASES
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS

START = datetime(2025, 3, 3, tzinfo=UTC)
END = datetime(2025, 3, 10, tzinfo=UTC)
Row = dict[str, Any]


def run(
    run_id: int, kwh: float | None, hours: float = 24.0, *, at_h: float = 0.0, **more: Any
) -> Row:
    """A run of one job that begins `at_h` hours after `START`."""
    since = START + timedelta(hours=at_h)
    row = {
        "run_id": run_id,
        "job_ids": [run_id],
        "user": "u-1",
        "project": "speech",
        "started_at": since,
        "stopped_at": since + timedelta(hours=hours),
        "duration_s": hours * 3600,
        "gpu_hours": hours,
        "measured_kwh": kwh,
        "total_kwh": kwh,
        "total_low_kwh": kwh,
        "total_high_kwh": kwh,
        "measured_frac": None if kwh is None else 1.0,
        "kind": "training_run",
        "phase": "development",
        "rule": "weights",
        "features": "ran 8 to 16 h (+1.2)",
    }
    return row | dict.fromkeys(PROBABILITY_COLUMNS, 0.0) | {"p_training_run": 1.0} | more


def runs_frame(*rows: Row) -> pl.DataFrame:
    """Runs as `schemas.Runs`, with the columns that the page reads."""
    frame = pl.DataFrame(
        list(rows),
        schema_overrides={
            "started_at": pl.Datetime("us", "UTC"),
            "stopped_at": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("total_kwh", "measured_kwh", "measured_frac"), pl.Float64),
        },
        infer_schema_length=None,
    )
    return frame.cast({"kind": pl.Enum(KINDS), "phase": pl.Enum(PHASES)})


def job_energy_of(runs: pl.DataFrame) -> pl.DataFrame:
    """Energies of the jobs of runs with one job each, on the cluster `a`."""
    columns = ("started_at", "stopped_at", "total_kwh")
    return runs.select(
        pl.col("job_ids").list.first().alias("job_id"), *columns, clusters=pl.lit(["a"])
    )


def level(name: str, of: str, total_kwh: float | None, **more: Any) -> Row:
    """A row of measurement of `schemas.Levels`."""
    row = {
        "level": of,
        "name": name,
        "method": "bmc",
        "n_jobs": 3,
        "n_users": 4,
        "measured_kwh": total_kwh,
        "total_kwh": total_kwh,
        "total_low_kwh": None if total_kwh is None else 0.9 * total_kwh,
        "total_high_kwh": None if total_kwh is None else 1.2 * total_kwh,
        "covered_kwh": total_kwh,
        "measured_frac": 0.75,
        "unknown_node_h": 0.0,
        "gpu_hours": 48.0,
    }
    return row | more


def levels_frame(*rows: Row) -> pl.DataFrame:
    """Rows of `schemas.Levels`."""
    return pl.DataFrame(list(rows), infer_schema_length=None)
