"""Flags of jobs that held a node while its power sensor failed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from footprint.allocation import held_intervals
from footprint.sources.cleaning import DROP_OUT_KIND, STUCK_KIND

FLAG_OF_SPELL_KIND = {STUCK_KIND: "stuck_sensor", DROP_OUT_KIND: "sensor_drop_out"}
"""Flag of a job by the kind of a spell in which it held the node."""


def flags_from_files(files: Any, *, end: datetime) -> pl.DataFrame:
    """Flags of the sensors of each job (`flags_of_jobs`), from the files of a study.

    Args:
        files: Paths of `jobs`, `allocations`, and of the `spells` of each month.
        end: End of the study.
    """
    held = held_intervals.held_intervals_of_jobs(
        pl.scan_parquet(files.jobs), pl.scan_parquet(files.allocations), end=end
    )
    return flags_of_jobs(pl.read_parquet(files.spells), held)


def flags_of_jobs(spells: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Flags of the sensors of each job: `job_id`, `sensor_flags`; jobs without flags are left out.

    Args:
        spells: `schemas.SensorSpells`.
        held: Result of `held_intervals.held_intervals_of_jobs`.
    """
    touching = (
        held.join(spells.rename({"started_at": "first", "stopped_at": "last"}), on="node")
        .filter((pl.col("first") < pl.col("stopped_at")) & (pl.col("last") >= pl.col("started_at")))
        .select("job_id", "kind")
        .unique()
        .join(
            pl.DataFrame(
                {"kind": list(FLAG_OF_SPELL_KIND), "place": range(len(FLAG_OF_SPELL_KIND))}
            ).cast({"kind": spells.schema["kind"]}),
            on="kind",
        )
        .sort("job_id", "place")
    )
    words = (
        pl.col("kind").cast(pl.String).replace_strict(FLAG_OF_SPELL_KIND, return_dtype=pl.String)
    )
    return touching.group_by("job_id", maintain_order=True).agg(sensor_flags=words)


def with_sensor_flags(jobs: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Jobs with the flags of their sensors after their other flags.

    Args:
        jobs: `schemas.JobEnergy`.
        found: Result of `flags_of_jobs`.
    """
    added = jobs.join(found, on="job_id", how="left", maintain_order="left")
    more = pl.col("sensor_flags").fill_null(pl.lit([], dtype=pl.List(pl.String)))
    return added.with_columns(flags=pl.col("flags").list.concat(more)).drop("sensor_flags")
