"""One node integrated for tests: its samples, allocations and states, and sums by job or class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from footprint.allocation import node_allocations
from footprint.energy import attribution
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.sensor_period import stretches_of_another_period, usual_period_s
from footprint.schemas.raw import States
from footprint.sources.calibration import Calibration

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY_S = 86_400
NOMINAL_S = 5.0
US = pl.Datetime("us", "UTC")


def samples(times_s: Any, power_w: Any) -> pl.DataFrame:
    """Samples at seconds after START."""
    origin = int(START.timestamp()) * 1_000_000
    times = [origin + round(float(each) * 1e6) for each in times_s]
    return pl.DataFrame(
        {
            "timestamp": pl.Series(times, dtype=pl.Int64).cast(US),
            "power_w": pl.Series(power_w, dtype=pl.Float64),
        }
    )


def allocated(*rows: tuple[int, float, float, float]) -> pl.DataFrame:
    """Allocations from (job, start, stop, share) on a node with 4 GPUs and 16 cores."""
    return pl.DataFrame(
        [
            {
                "job_id": job,
                "node": "c-1",
                "started_at": START + timedelta(seconds=start),
                "stopped_at": START + timedelta(seconds=stop),
                "share": share,
                "gpus": 4 * share,
                "cores": 16 * share,
                "opens": True,
                "closes": True,
            }
            for job, start, stop, share in rows
        ],
        schema=node_allocations.ALLOCATION_SCHEMA,
    )


def unavailable(*intervals: tuple[float, float]) -> pl.DataFrame:
    """States of node c-1 in maintenance from (start, stop) in seconds after START."""
    rows = [
        {
            "node": "c-1",
            "started_at": START + timedelta(seconds=start),
            "stopped_at": START + timedelta(seconds=stop),
            "state": "maintenance",
        }
        for start, stop in intervals
    ]
    return pl.DataFrame(rows, schema=pl.DataFrame(States.create_empty()).schema)


def integrate(
    frame: pl.DataFrame,
    held: pl.DataFrame,
    *,
    gate: str = "reserved",
    method: str = "trapezoid",
    max_gap_s: float = 30,
    states: pl.DataFrame | None = None,
    idle_power_w: float | None = None,
    jobs_complete: bool = True,
    calibration: Calibration | None = None,
    days: tuple[int, int] = (0, 1),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Jobs and classes of node c-1 from its samples and allocations, for days after START."""
    if gate == "binary":
        held = held.with_columns(share=pl.lit(1.0))
    integration = IntegrationSettings(
        gate, IntegrationMethod(method, max_gap_s, 20, NOMINAL_S), jobs_complete, calibration
    )
    return attribution.attribute_energy(
        ["c-1"],
        lambda _: frame,
        integration,
        NodeRecords(
            held,
            states=states,
            idle_power_w=None if idle_power_w is None else {"c-1": idle_power_w},
        ),
        start=START + timedelta(days=days[0]),
        end=START + timedelta(days=days[1]),
    )


def have_one_period(frames: Sequence[pl.DataFrame]) -> bool:
    """Whether `sum_of_samples` counts each sample for the same period in all of these frames."""
    times_us = [frame["timestamp"].cast(pl.Int64).to_numpy() for frame in frames]
    periods_s = {usual_period_s(each) or NOMINAL_S for each in times_us}
    return len(periods_s) == 1 and not any(
        stretches_of_another_period(each, max(periods_s)) for each in times_us
    )


def by_job(jobs: pl.DataFrame, column: str = "energy_j") -> dict[int, float]:
    """A column by job."""
    return dict(jobs.select("job_id", column).iter_rows())


def by_class(classes: pl.DataFrame, column: str = "energy_j") -> dict[str, float]:
    """Sum of a column by class."""
    return dict(
        classes.group_by("class").agg(pl.col(column).sum()).select("class", column).iter_rows()
    )


EVERY_5_S = np.arange(-10, DAY_S + 11, 5.0)
STEADY = samples(EVERY_5_S, np.full(len(EVERY_5_S), 200.0))
RAMP = samples(EVERY_5_S, 100 + EVERY_5_S / 1000)  # 100 W at midnight, 1 mW more each second
