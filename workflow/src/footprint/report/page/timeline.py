"""Energy of each scope of the report by phase and day, or by week or month of long studies."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from footprint.core.sums import sum_or_zero
from footprint.core.vocabulary import PHASES

MOST_DAYS = 120
MOST_WEEKS = 160
"""Most bars of the timeline; longer studies have weeks, or months."""

LEVELS = ("site", "project", "paper", "user")


def bar_length(start: datetime, end: datetime) -> str:
    """Length of a bar of the timeline: `1d`, `1w` or `1mo`, by the length of the study."""
    days = (end - start) / timedelta(days=1)
    if days <= MOST_DAYS:
        return "1d"
    return "1w" if days <= 7 * MOST_WEEKS else "1mo"


def energy_by_bar(
    runs: pl.DataFrame,
    job_energy: pl.DataFrame,
    *,
    site: str,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Energy of each scope in each bar of the timeline, by phase.

    The total energy of a job is spread evenly over its time within the study.

    Args:
        runs: Result of `run_rows.runs_of_page`.
        job_energy: `schemas.JobEnergy`.
        site: Name of the site.
        start: First moment of the study.
        end: First moment after the study.

    Returns:
        `scope` (`level:name`), `bar` (first UTC day), `phase`, `kwh` (above 0), sorted.
    """
    every = bar_length(start, end)
    spans = (
        runs.select("job_ids", "project", "paper", "user", pl.col("phase").cast(pl.String))
        .explode("job_ids")
        .rename({"job_ids": "job_id"})
        .join(
            job_energy.select("job_id", "started_at", "stopped_at", "total_kwh"),
            on="job_id",
        )
        .filter(pl.col("total_kwh") > 0)
        .with_columns(
            since=pl.max_horizontal("started_at", pl.lit(start)),
            until=pl.min_horizontal(pl.col("stopped_at").fill_null(end), pl.lit(end)),
            site=pl.lit(site),
        )
        .filter(pl.col("until") > pl.col("since"))
    )
    first = pl.col("since").dt.truncate(every)
    bars = spans.with_columns(
        bar=pl.datetime_ranges(first, pl.col("until"), every, closed="left")
    ).explode("bar")
    inside = pl.min_horizontal("until", pl.col("bar").dt.offset_by(every)) - pl.max_horizontal(
        "since", "bar"
    )
    part = (
        inside.dt.total_microseconds() / (pl.col("until") - pl.col("since")).dt.total_microseconds()
    )
    bars = bars.with_columns(kwh=pl.col("total_kwh") * part)
    order = pl.Enum(PHASES)
    found = [
        bars.filter(pl.col(level).is_not_null())
        .group_by(
            scope=pl.format("{}:{}", pl.lit(level), pl.col(level)),
            bar=pl.col("bar").dt.date(),
            phase=pl.col("phase").cast(order),
        )
        .agg(kwh=sum_or_zero(pl.col("kwh")))
        for level in LEVELS
    ]
    return pl.concat(found).filter(pl.col("kwh") > 0).sort("scope", "bar", "phase")
