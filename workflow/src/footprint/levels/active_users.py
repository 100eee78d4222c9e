"""Active users of a site: distinct users in the 12 months before a point in time.

A user is active in a window when one of their jobs held resources in it. Windows end with each year
(or month) of the known jobs, and where the known jobs end. A window that extends beyond the known
jobs is marked as partial: its number is a lower bound, not a decline. The result has numbers of
people and no names.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl

from footprint.allocation.node_allocations import held_until
from footprint.core import input_files
from footprint.core.calendar import Window
from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.schemas.usage import ActiveUsers
from footprint.schemas.writing import conform
from footprint.sources import files
from footprint.sources.oar import fields, job_checks, job_records

LOG = logging.getLogger(__name__)

WindowEnd = Literal["month", "year"]
TIME_TYPE = pl.Datetime("us", "UTC")

MAX_SILENCE = timedelta(days=31)
"""Longest time without a job of the whole site; a longer one is a hole in the history."""

MIN_COMPLETE_FRAC = 51 / 52
"""Least known part of a complete window: the first job of a year does not start at midnight."""

HISTORY_COLUMNS = ("user", "started_at", "stopped_at")
STATISTICS_COLUMNS = ("year", "active_users", "source")
STATISTICS_HINT = "write a CSV with the columns year, active_users and, if you like, source"
"""What to do about statistics that cannot be used."""


def active_users_table(
    jobs: pl.LazyFrame,
    *,
    window: Window,
    history: str | Path | None,
    statistics: str | Path | None,
    every: WindowEnd = "year",
    minimum_group: int,
) -> pl.DataFrame:
    """Numbers of active users from all sources (`schemas.usage.ActiveUsers`).

    Args:
        jobs: `schemas.Jobs` of the study; used when there is neither history nor statistics. A job
            without an end is active until its walltime, as in `node_allocations.held_until`.
        window: Window of the study, in which its jobs are known.
        history: File or folder of jobs over a longer time (`read_history`).
        statistics: File of the platform's own numbers (`read_statistics`).
        every: Whether windows end with each month or with each year.
        minimum_group: `privacy.minimum_group`: smallest number of people that is shown.

    Raises:
        InputError: A file cannot be used.
    """
    parts = []
    if history is not None:
        past_jobs = read_history(history)
        parts.append(
            count_active_users(
                past_jobs, known=covered_windows(past_jobs), every=every, basis="history"
            )
        )
    if statistics is not None:
        parts.append(read_statistics(statistics))
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
_COUNT_SCHEMA: dict[str, Any] = {
    "basis": pl.String,
    **_WINDOW_SCHEMA,
    "n_users": pl.Int64,
    "known_frac": pl.Float64,
    "is_partial": pl.Boolean,
    "source": pl.String,
}


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
        return pl.DataFrame(schema=_COUNT_SCHEMA)
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
        .select(list(_COUNT_SCHEMA))
        .sort("until")
        .collect()
        .cast(pl.Schema(_COUNT_SCHEMA))
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


def read_history(path: str | Path) -> pl.DataFrame:
    """Read the jobs of a history; power and nodes are not needed.

    Args:
        path: A file in any format of the exports' `jobs/`, a Parquet file with these columns (UTC),
            or a folder of such files.

    Returns:
        `user`, `started_at`, `stopped_at`.

    Raises:
        InputError: There is no such file, it contains no started job, or a job lacks its times.
    """
    where = Path(path).expanduser()
    if not where.exists():
        do = "fix usage.history, or set it to null"
        raise InputError("there is no such file or folder", where=str(where), do=do)
    found = [where]
    if where.is_dir():
        found = files.list_files(where.parent, where.name, content="jobs")
    parts = [jobs for file in found for jobs in _read_jobs(file)]
    jobs = pl.concat([pl.DataFrame(schema=_HISTORY_SCHEMA), *parts])
    if jobs["started_at"].null_count() == len(jobs):
        raise InputError("it contains no started job", where=str(where), do=fields.SAVE_JOBS)
    return jobs


_HISTORY_SCHEMA: dict[str, Any] = {
    "user": pl.String,
    "started_at": TIME_TYPE,
    "stopped_at": TIME_TYPE,
}


def _read_jobs(file: Path) -> Iterator[pl.DataFrame]:
    if file.suffix == ".parquet":
        lacking = sorted(set(HISTORY_COLUMNS) - set(pl.read_parquet_schema(file)))
        if lacking:
            do = "save the columns user, started_at and stopped_at"
            raise InputError(f"no column {lacking[0]}", where=str(file), do=do)
        yield (
            pl.read_parquet(file, columns=list(HISTORY_COLUMNS))
            .select(HISTORY_COLUMNS)
            .cast(pl.Schema(_HISTORY_SCHEMA))
        )
        return
    for document in files.read_documents(file):
        records = job_records.parse_jobs(document, file=str(file), resources={})
        records = records.with_columns(fault=job_checks.record_fault())
        for reason, n_rows in records.drop_nulls("fault")["fault"].value_counts(sort=True).rows():
            LOG.warning("%s: %d records of jobs are left out: %s", file, n_rows, reason)
        records = records.filter(pl.col("fault").is_null())
        without_times = records.filter(
            ~pl.col("has_times"), ~pl.col("state").is_in(job_records.NOT_STARTED_STATES)
        )
        if len(without_times):
            what = f"job {without_times['job_id'][0]} has no times"
            raise InputError(what, where=str(file), do=fields.SAVE_JOBS)
        times = pl.from_epoch(pl.col("started_at", "stopped_at"), time_unit="s")
        yield records.select("user", times.dt.replace_time_zone("UTC").cast(TIME_TYPE))


def read_statistics(path: str | Path) -> pl.DataFrame:
    """Read the numbers of active users by year that a platform publishes.

    Args:
        path: CSV file with the columns `year`, `active_users` and perhaps `source`.

    Returns:
        Rows as of `count_active_users`, by year; `until` is the end of the year.

    Raises:
        InputError: At `file:line`: an unknown column, a value that is not a year or number, or a
            year that occurs twice.
    """
    text = input_files.read_text(Path(path).expanduser(), where=str(path))
    reader = csv.DictReader(io.StringIO(text))
    try:
        return _statistics_of_lines(reader, str(path))
    except csv.Error as error:
        where = f"{path}:{reader.line_num}"
        raise InputError(f"not CSV ({error})", where=where, do=STATISTICS_HINT) from None


def _statistics_of_lines(reader: csv.DictReader[str], path: str) -> pl.DataFrame:
    """Rows of statistics, of the lines of a file; the path is for messages."""
    names = reader.fieldnames or []
    if not {"year", "active_users"} <= set(names) or not set(names) <= set(STATISTICS_COLUMNS):
        what = f"the columns are {', '.join(names) or 'none'}"
        raise InputError(what, where=f"{path}:1", do=STATISTICS_HINT)
    rows: dict[int, dict[str, Any]] = {}
    for line in reader:
        where = f"{path}:{reader.line_num}"
        year = _parse_number(line["year"], "year", where=where, least=1970, most=9998)
        if year in rows:
            raise InputError(f"year {year} occurs twice", where=where, do="remove one line")
        rows[year] = {
            "basis": "statistics",
            "since": datetime(year, 1, 1, tzinfo=UTC),
            "until": datetime(year + 1, 1, 1, tzinfo=UTC),
            "n_users": _parse_number(line["active_users"], "active_users", where=where, least=0),
            "known_frac": None,
            "is_partial": False,
            "source": (line.get("source") or "").strip() or None,
        }
    if not rows:
        raise InputError("it contains no year", where=str(path), do=STATISTICS_HINT)
    return pl.DataFrame([rows[year] for year in sorted(rows)], schema=_COUNT_SCHEMA)


def _parse_number(
    text: str | None, column: str, *, where: str, least: int, most: int = 10_000_000
) -> int:
    shown = (text or "").strip()
    if not shown.isdecimal() or len(shown) > 18 or not least <= int(shown) <= most:
        what = f"{column} is {shown!r:.60}, not a whole number from {least} on"
        raise InputError(what, where=where, do=STATISTICS_HINT)
    return int(shown)
