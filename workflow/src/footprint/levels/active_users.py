"""Active users of a site: distinct users in the 12 months before a point in time.

A user is active in a window when one of their jobs held resources in it. Windows end with each year
(or month) of the known jobs, and where the known jobs end. A window that extends beyond the known
jobs is marked as partial: its number is a lower bound, not a decline. The result has numbers of
people and no names.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import polars as pl

from footprint.allocation.node_allocations import held_until
from footprint.core.calendar import Window
from footprint.core.sums import exact_sum
from footprint.levels.usage_files import COUNT_SCHEMA, TIME_TYPE
from footprint.schemas.usage import ActiveUsers
from footprint.schemas.writing import conform

WindowEnd = Literal["month", "year"]

MAX_SILENCE = timedelta(days=31)
"""Longest time without a job of the whole site; a longer one is a hole in the history."""

MIN_COMPLETE_FRAC = 51 / 52
"""Least known part of a complete window: the first job of a year does not start at midnight."""


def active_users_table(
    jobs: pl.LazyFrame,
    *,
    window: Window,
    history: pl.DataFrame | None = None,
    statistics: pl.DataFrame | None = None,
    every: WindowEnd = "year",
    minimum_group: int,
) -> pl.DataFrame:
    """Numbers of active users from all sources (`schemas.usage.ActiveUsers`).

    Args:
        jobs: `schemas.Jobs` of the study; used when there is neither history nor statistics. A job
            without an end is active until its walltime, as in `node_allocations.held_until`.
        window: Window of the study, in which its jobs are known.
        history: Jobs over a longer time (`usage_files.read_history`).
        statistics: The platform's own numbers (`usage_files.read_statistics`).
        every: Whether windows end with each month or with each year.
        minimum_group: `privacy.minimum_group`: smallest number of people that is shown.
    """
    parts = []
    if history is not None:
        known = covered_windows(history)
        parts.append(count_active_users(history, known=known, every=every, basis="history"))
    if statistics is not None:
        parts.append(statistics)
    if not parts:
        study = pl.DataFrame(
            {"since": [window.start], "until": [window.end]}, schema=_WINDOW_SCHEMA
        )
        held = jobs.select("user", "started_at", held_until(window.end))
        parts.append(count_active_users(held.collect(), known=study, every=every, basis="jobs"))
    rows: pl.DataFrame = conform(
        ActiveUsers, hide_small_counts(pl.concat(parts), minimum_group=minimum_group)
    )
    return rows


_WINDOW_SCHEMA: dict[str, Any] = {"since": TIME_TYPE, "until": TIME_TYPE}


def hide_small_counts(counts: pl.DataFrame, *, minimum_group: int) -> pl.DataFrame:
    """Counts with `fewer_than` in place of `n_users` where this is below `minimum_group`."""
    is_small = pl.col("n_users") < minimum_group
    return counts.with_columns(
        n_users=pl.when(~is_small).then("n_users"),
        fewer_than=pl.when(is_small).then(pl.lit(minimum_group, pl.Int64)),
    )


def count_active_users(
    jobs: pl.DataFrame, *, known: pl.DataFrame, every: WindowEnd, basis: Literal["jobs", "history"]
) -> pl.DataFrame:
    """Number of distinct users in each window of 12 months that ends inside the known time.

    A job counts in a window when it started before the end of the window and stopped after its
    start. A job with an unknown end counts at its start alone.

    Args:
        jobs: `user`, `started_at`, `stopped_at`; jobs that never started do not count.
        known: Windows (`since`, `until`) in which all jobs are known.
        every: Whether windows end with each month or with each year.
        basis: Where the jobs come from.

    Returns:
        `basis`, `since`, `until`, `n_users`, `known_frac`, `is_partial`, `source`, by `until`.
    """
    if known.is_empty():
        return pl.DataFrame(schema=COUNT_SCHEMA)
    windows = pl.DataFrame({"until": window_ends(known, every=every)}, schema={"until": TIME_TYPE})
    windows = windows.with_columns(since=pl.col("until").dt.offset_by("-12mo"))
    people = (
        jobs.lazy()
        .filter(pl.col("started_at") < known["until"].max(), pl.col("user").is_not_null())
        .with_columns(stopped_at=pl.coalesce("stopped_at", "started_at"))
        # Windows are longer than a month, and only the last one ends inside a month. The first
        # start and the last end of a user's jobs of a month therefore suffice.
        .group_by("user", month=pl.col("started_at").dt.truncate("1mo"))
        .agg(pl.col("started_at").min(), pl.col("stopped_at").max())
    )
    users = (
        windows.lazy()
        .join_where(
            people,
            pl.col("started_at") < pl.col("until"),
            pl.col("stopped_at") >= pl.col("since"),
        )
        # A job that stopped at the start of the window counts only if it also started then.
        .filter(
            (pl.col("stopped_at") > pl.col("since")) | (pl.col("started_at") >= pl.col("since"))
        )
        .group_by("until")
        .agg(pl.col("user").n_unique().cast(pl.Int64).alias("n_users"))
    )
    return (
        windows.lazy()
        .join(users, on="until", how="left")
        .join(_known_part(windows, known).lazy(), on="until", how="left")
        .with_columns(
            basis=pl.lit(basis),
            n_users=pl.col("n_users").fill_null(0),
            is_partial=pl.col("known_frac") < MIN_COMPLETE_FRAC,
            source=pl.lit(None, pl.String),
        )
        .select(list(COUNT_SCHEMA))
        .sort("until")
        .collect()
        .cast(pl.Schema(COUNT_SCHEMA))
    )


def window_ends(known: pl.DataFrame, *, every: WindowEnd) -> list[datetime]:
    """Starts of years or months (UTC) after the first known moment, and the last known moment."""
    first, last = known["since"].min(), known["until"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    months = [
        datetime(year, month, 1, tzinfo=UTC)
        for year in range(first.year, last.year + 1)
        for month in ((1,) if every == "year" else range(1, 13))
    ]
    return sorted({*(month for month in months if first < month < last), last})


def _known_part(windows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Part of each window that the known windows, which do not overlap, cover (`known_frac`)."""
    covered = pl.min_horizontal("until", "until_known") - pl.max_horizontal("since", "since_known")
    seconds = covered.dt.total_seconds().clip(lower_bound=0)
    length = (pl.col("until") - pl.col("since")).dt.total_seconds()
    known_windows = known.rename({"since": "since_known", "until": "until_known"})
    return (
        windows.join(known_windows, how="cross")
        .group_by("until")
        .agg(known_frac=exact_sum(seconds) / length.first())
        .sort("until")
    )


def covered_windows(jobs: pl.DataFrame) -> pl.DataFrame:
    """Windows in which a history is complete: from its first to its last job, without holes.

    Args:
        jobs: `started_at`, `stopped_at`.

    Returns:
        `since`, `until`, ascending; a new window begins where no job ran for more than 31 days.
    """
    stopped = pl.coalesce("stopped_at", "started_at")
    return (
        jobs.filter(pl.col("started_at").is_not_null())
        .select("started_at", stopped_at=stopped)
        .sort("started_at", "stopped_at")
        .with_columns(busy_until=pl.col("stopped_at").cum_max())
        .with_columns(
            window=(pl.col("started_at") - pl.col("busy_until").shift(1) > MAX_SILENCE)
            .fill_null(False)
            .cum_sum()
        )
        .group_by("window", maintain_order=True)
        .agg(since=pl.col("started_at").min(), until=pl.col("stopped_at").max())
        .select("since", "until")
        .filter(pl.col("since") < pl.col("until"))
    )
