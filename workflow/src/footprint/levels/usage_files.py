"""Files of the section `usage`: jobs over a longer time, and numbers that a platform publishes.

They are optional: a file that cannot be used is counted, and the study's own jobs replace it.
"""

from __future__ import annotations

import csv
import io
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import files
from footprint.sources.oar import fields, job_checks, job_records

LOG = logging.getLogger(__name__)

TIME_TYPE = pl.Datetime("us", "UTC")
HISTORY_COLUMNS = ("user", "started_at", "stopped_at")
STATISTICS_COLUMNS = ("year", "active_users", "source")
STATISTICS_HINT = "write a CSV with the columns year, active_users and, if you like, source"
"""What to do about statistics that cannot be used."""

COUNT_SCHEMA: dict[str, Any] = {
    "basis": pl.String,
    "since": TIME_TYPE,
    "until": TIME_TYPE,
    "n_users": pl.Int64,
    "known_frac": pl.Float64,
    "is_partial": pl.Boolean,
    "source": pl.String,
}
"""Columns of numbers of users, before small ones are hidden."""

_HISTORY_SCHEMA: dict[str, Any] = {
    "user": pl.String,
    "started_at": TIME_TYPE,
    "stopped_at": TIME_TYPE,
}
_REJECTED_SCHEMA = {
    "source": pl.String,
    "reason": pl.String,
    "n_rows": pl.Int64,
    "example": pl.String,
}


class History(NamedTuple):
    """Jobs of a history.

    Attributes:
        jobs: `user`, `started_at`, `stopped_at`.
        faults: Reason, number and file of records that are left out.
    """

    jobs: pl.DataFrame
    faults: list[tuple[str, int, str]]


class UsageFiles(NamedTuple):
    """Content of the files of the section `usage`.

    Attributes:
        history: `user`, `started_at`, `stopped_at`; None without a file that can be used.
        statistics: Rows of `COUNT_SCHEMA`; None without a file that can be used.
        rejected: `schemas.RejectedRows`.
    """

    history: pl.DataFrame | None
    statistics: pl.DataFrame | None
    rejected: pl.DataFrame


def read_usage(*, history: str | None, statistics: str | None) -> UsageFiles:
    """Jobs of a history and published numbers, as far as they can be read.

    Args:
        history: File or folder of jobs (`read_history`); None: none.
        statistics: File of published numbers (`read_statistics`); None: none.
    """
    jobs = counts = None
    rejected: list[tuple[str, str, int, str | None]] = []
    try:
        if history is not None:
            jobs, faults = read_history(history)
            rejected += [("usage.history", *fault) for fault in faults]
    except InputError as error:
        LOG.warning("%s", error)
        rejected.append(("usage.history", error.what, 1, Path(history or "").name))
    try:
        if statistics is not None:
            counts = read_statistics(statistics)
    except InputError as error:
        LOG.warning("%s", error)
        rejected.append(("usage.statistics", error.what, 1, Path(statistics or "").name))
    rows = (
        pl.DataFrame(rejected, schema=_REJECTED_SCHEMA, orient="row")
        .group_by("source", "reason")
        .agg(exact_sum(pl.col("n_rows")), pl.col("example").min())
        .with_columns(stage=pl.lit("usage"))
    )
    return UsageFiles(jobs, counts, conform(RejectedRows, rows))


def read_history(path: str | Path) -> History:
    """Read the jobs of a history; power and nodes are not needed.

    Args:
        path: A file in any format of the exports' `jobs/`, a Parquet file with `HISTORY_COLUMNS`
            (UTC), or a folder of such files.

    Raises:
        InputError: There is no such file, a file cannot be read, none contains a started job, or a
            job lacks its times.
    """
    where = Path(path).expanduser()
    if not where.exists():
        do = "fix usage.history, or set it to null"
        raise InputError("there is no such file or folder", where=str(where), do=do)
    found = [where]
    if where.is_dir():
        found = files.list_files(where.parent, where.name, content="jobs")
    parts = [pl.DataFrame(schema=_HISTORY_SCHEMA)]
    faults: list[tuple[str, int, str]] = []
    for file in found:
        if file.suffix == ".parquet":
            parts.append(_read_table(file))
            continue
        for document in files.read_documents(file):
            records = job_records.parse_jobs(document, file=str(file), resources={})
            records = records.with_columns(fault=job_checks.record_fault())
            counts = records.drop_nulls("fault")["fault"].value_counts().sort("fault")
            faults += [(reason, n_rows, file.name) for reason, n_rows in counts.rows()]
            parts.append(_times_of_jobs(records.filter(pl.col("fault").is_null()), file))
    jobs = pl.concat(parts)
    if jobs["started_at"].null_count() == len(jobs):
        raise InputError("it contains no started job", where=str(where), do=fields.SAVE_JOBS)
    return History(jobs, faults)


def _read_table(file: Path) -> pl.DataFrame:
    """Jobs of a Parquet file."""
    input_files.check_regular(file, where=str(file))
    try:
        lacking = sorted(set(HISTORY_COLUMNS) - set(pl.read_parquet_schema(file)))
        if not lacking:
            return (
                pl.read_parquet(file, columns=list(HISTORY_COLUMNS))
                .select(HISTORY_COLUMNS)
                .cast(pl.Schema(_HISTORY_SCHEMA))
            )
    except (pl.exceptions.PolarsError, OSError):
        do = "save the columns user (text), started_at and stopped_at (UTC) as Parquet"
        raise InputError("not a Parquet file of jobs", where=str(file), do=do) from None
    do = "save the columns user, started_at and stopped_at"
    raise InputError(f"no column {lacking[0]}", where=str(file), do=do)


def _times_of_jobs(records: pl.DataFrame, file: Path) -> pl.DataFrame:
    """User, start and end of records of jobs."""
    without_times = records.filter(
        ~pl.col("has_times"), ~pl.col("state").is_in(job_records.NOT_STARTED_STATES)
    )
    if len(without_times):
        what = f"job {without_times['job_id'][0]} has no times"
        raise InputError(what, where=str(file), do=fields.SAVE_JOBS)
    times = pl.from_epoch(pl.col("started_at", "stopped_at"), time_unit="s")
    return records.select("user", times.dt.replace_time_zone("UTC").cast(TIME_TYPE))


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
    return pl.DataFrame([rows[year] for year in sorted(rows)], schema=COUNT_SCHEMA)


def _parse_number(
    text: str | None, column: str, *, where: str, least: int, most: int = 10_000_000
) -> int:
    shown = (text or "").strip()
    if not shown.isdecimal() or len(shown) > 18 or not least <= int(shown) <= most:
        what = f"{column} is {shown!r:.60}, not a whole number from {least} on"
        raise InputError(what, where=where, do=STATISTICS_HINT)
    return int(shown)
