"""Flags of jobs that held a node while its sensor failed."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from footprint.energy import sensor_flags
from tests.support.sensor_spells import NOON, spells


def held(*rows: tuple[int, str, float, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (job, node, NOON + timedelta(seconds=start), NOON + timedelta(seconds=stop))
            for job, node, start, stop in rows
        ],
        schema={
            "job_id": pl.Int64,
            "node": pl.String,
            "started_at": pl.Datetime("us", "UTC"),
            "stopped_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def test_flags_are_of_spells_in_which_the_job_held_the_node() -> None:
    flags = sensor_flags.flags_of_jobs(
        spells(
            ("c-1", "stuck", 0, 4000, 801),
            ("c-1", "drop_out", 100, 100, 1),
            ("c-2", "drop_out", 0, 10, 3),
        ),
        held(
            (1, "c-1", -100, 50),
            (2, "c-1", 4000, 5000),
            (3, "c-1", 4001, 5000),
            (4, "c-1", -50, 0),
            (5, "c-1", 60, 200),
            (6, "c-2", 5, 6),
            (6, "c-3", 0, 100),
        ),
    )
    assert dict(flags.iter_rows()) == {
        1: ["stuck_sensor"],
        2: ["stuck_sensor"],
        5: ["stuck_sensor", "sensor_drop_out"],
        6: ["sensor_drop_out"],
    }


def test_with_flags_appends_sensor_flags_to_the_others() -> None:
    jobs = pl.DataFrame({"job_id": [2, 1], "flags": [["shared_node"], []]})
    flags = pl.DataFrame({"job_id": [2], "sensor_flags": [["stuck_sensor"]]})
    assert sensor_flags.with_sensor_flags(jobs, flags).rows() == [
        (2, ["shared_node", "stuck_sensor"]),
        (1, []),
    ]
