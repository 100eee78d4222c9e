"""Held intervals of jobs, and held time of nodes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from footprint.allocation import held_intervals
from footprint.schemas.raw import Jobs
from footprint.sources.held_time import HeldTime

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
US = pl.Datetime("us", "UTC")


def at(hour: float) -> datetime:
    return NOON + timedelta(hours=hour)


def us(*hours: float) -> Any:
    return pl.Series([at(hour) for hour in hours], dtype=US).cast(pl.Int64).to_numpy()


def jobs(*rows: tuple[int, float | None, float | None, list[tuple[float, float]]]) -> pl.LazyFrame:
    schema = Jobs.create_empty().schema
    frame = pl.DataFrame(
        [
            {
                "job_id": job,
                "started_at": None if start is None else at(start),
                "stopped_at": None if stop is None else at(stop),
                "walltime_s": 7200,
                "suspensions": [
                    {"started_at": at(first), "stopped_at": at(last)} for first, last in pauses
                ],
            }
            for job, start, stop, pauses in rows
        ],
        schema={name: schema[name] for name in ("job_id", "started_at", "stopped_at")}
        | {"walltime_s": pl.Int64, "suspensions": schema["suspensions"]},
    )
    return frame.lazy()


def test_intervals_leave_out_suspensions_and_end_at_the_walltime() -> None:
    records = jobs((1, 0, 2, [(0.5, 1)]), (2, 3, None, []), (3, None, None, []))
    allocations = pl.LazyFrame({"job_id": [1, 1, 2, 3], "node": ["c-1", "c-2", "c-1", "c-1"]})
    found = held_intervals.held_intervals_of_jobs(records, allocations, end=at(10)).sort(
        "node", "started_at"
    )
    assert found.rows() == [
        (1, "c-1", at(0), at(0.5)),
        (1, "c-1", at(1), at(2)),
        (2, "c-1", at(3), at(5)),
        (1, "c-2", at(0), at(0.5)),
        (1, "c-2", at(1), at(2)),
    ]


def test_node_is_held_from_start_until_stop_while_available() -> None:
    held = pl.DataFrame(
        {
            "job_id": [1, 2],
            "node": ["c-1", "c-1"],
            "started_at": [at(1), at(0)],
            "stopped_at": [at(4), at(2)],
        },
        schema_overrides={"started_at": US, "stopped_at": US},
    )
    states = pl.DataFrame(
        {
            "node": ["c-1", "c-1", "c-2"],
            "started_at": [at(3), at(1), at(0)],
            "stopped_at": [None, at(2), None],
            "state": ["dead", "alive", "absent"],
        },
        schema_overrides={"started_at": US, "stopped_at": US},
    )
    both = held_intervals.held_time_of_nodes(held, states, end=at(10))
    assert set(both) == {"c-1", "c-2"}
    node = both["c-1"]
    np.testing.assert_array_equal(node.bounds_us, us(0, 1, 2, 4))
    assert node.is_held(us(-1, 0, 2.5, 2.999, 3, 3.5, 4)).tolist() == [
        *(False, True, True, True),
        *(False, False, False),
    ]
    assert not both["c-2"].is_held(us(1)).any()
    assert not HeldTime().is_held(us(1)).any()
    assert len(HeldTime().bounds_us) == 0
