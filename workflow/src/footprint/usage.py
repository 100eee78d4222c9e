"""How many people use a site: distinct users in the 12 months before a point in time.

A user is active in a window when one of their jobs held something in it. The window slides: it
ends with each year (or month) of which jobs are known, and where they end. Windows that reach
beyond the known jobs hold fewer users than there were, so they are marked: their number is a lower
bound, not a decline. People are counted here and never named.
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

from footprint import tables
from footprint.errors import InputError
from footprint.gates import held_until
from footprint.site import files, job_checks, oar
from footprint.summation import exact_sum
from footprint.tables.usage import ActiveUsers

log = logging.getLogger(__name__)

Every = Literal["month", "year"]
TIME = pl.Datetime("us", "UTC")

LONGEST_SILENCE = timedelta(days=31)
"""A history in which no job of a whole site runs for longer has a hole there."""

WHOLE_FRAC = 51 / 52
"""Known part from which a window counts as whole: a new year's first job is never at midnight."""

COLUMNS = ("user", "started_at", "stopped_at")
STATISTICS = ("year", "active_users", "source")
DO_STATISTICS = "write a CSV with the columns year, active_users and, if you like, source"


def table(
    jobs: pl.LazyFrame,
    *,
    start: datetime,
    end: datetime,
    history: str | Path | None,
    statistics: str | Path | None,
    every: Every = "year",
    minimum_group: int,
) -> pl.DataFrame:
    """Active users by all that is known of them (`tables.usage.ActiveUsers`).

    Args:
        jobs: `tables.Jobs` of the study; used when there is neither history nor statistics. A job
            without an end is active until its walltime, as in `gates.held_until`.
        start: Start of the study, from which on its jobs are known.
        end: End of the study.
        history: File or folder of jobs over a longer time (`read_history`).
        statistics: File of the platform's own numbers (`read_statistics`).
        every: Whether windows end with each month or with each year.
        minimum_group: `privacy.minimum_group`: fewest people that are shown as a number.

    Raises:
        InputError: A file cannot be used.
    """
    parts = []
    if history is not None:
        longer = read_history(history)
        parts.append(count(longer, known=known_spans(longer), every=every, basis="history"))
    if statistics is not None:
        parts.append(read_statistics(statistics))
    if not parts:
        whole = pl.DataFrame({"since": [start], "until": [end]}, schema=_SPAN)
        held = jobs.select("user", "started_at", held_until(end))
        parts.append(count(held.collect(), known=whole, every=every, basis="jobs"))
    rows: pl.DataFrame = tables.conform(
        ActiveUsers, conceal(pl.concat(parts), minimum_group=minimum_group)
    )
    return rows


_SPAN: dict[str, Any] = {"since": TIME, "until": TIME}
_COUNTED: dict[str, Any] = {
    "basis": pl.String,
    **_SPAN,
    "n_users": pl.Int64,
    "known_frac": pl.Float64,
    "is_partial": pl.Boolean,
    "source": pl.String,
}


def conceal(counted: pl.DataFrame, *, minimum_group: int) -> pl.DataFrame:
    """The same rows with `fewer_than` in place of numbers below `minimum_group`."""
    few = pl.col("n_users") < minimum_group
    return counted.with_columns(
        n_users=pl.when(~few).then("n_users"),
        fewer_than=pl.when(few).then(pl.lit(minimum_group, pl.Int64)),
    )


def count(
    jobs: pl.DataFrame, *, known: pl.DataFrame, every: Every, basis: Literal["jobs", "history"]
) -> pl.DataFrame:
    """Distinct users in each window of 12 months that ends inside the known time.

    A job counts in a window when it started before its end and stopped after its start. One whose
    end is not known counts at its start alone.

    Args:
        jobs: `user`, `started_at`, `stopped_at`; jobs that never started do not count.
        known: Spans (`since`, `until`) of which all jobs are known.
        every: Whether windows end with each month or with each year.
        basis: Where the jobs come from.
    """
    if known.is_empty():
        return pl.DataFrame(schema=_COUNTED)
    windows = pl.DataFrame({"until": window_ends(known, every=every)}, schema={"until": TIME})
    windows = windows.with_columns(since=pl.col("until").dt.offset_by("-12mo"))
    people = (
        jobs.lazy()
        .filter(pl.col("started_at") < known["until"].max(), pl.col("user").is_not_null())
        .with_columns(stopped_at=pl.coalesce("stopped_at", "started_at"))
        # A window is longer than a month, and none ends inside one but the last: the first start
        # and the last end of those who started a job in a month say as much as all their jobs.
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
        # A job that stopped as the window began held nothing in it, unless it only began then.
        .filter(
            (pl.col("stopped_at") > pl.col("since")) | (pl.col("started_at") >= pl.col("since"))
        )
        .group_by("until")
        .agg(pl.col("user").n_unique().cast(pl.Int64).alias("n_users"))
    )
    return (
        windows.lazy()
        .join(users, on="until", how="left")
        .join(_known_time(windows, known).lazy(), on="until", how="left")
        .with_columns(
            basis=pl.lit(basis),
            n_users=pl.col("n_users").fill_null(0),
            is_partial=pl.col("known_frac") < WHOLE_FRAC,
            source=pl.lit(None, pl.String),
        )
        .select(list(_COUNTED))
        .sort("until")
        .collect()
        .cast(pl.Schema(_COUNTED))
    )


def window_ends(known: pl.DataFrame, *, every: Every) -> list[datetime]:
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


def _known_time(windows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Part of each window that the known spans cover; these do not overlap."""
    covered = pl.min_horizontal("until", "until_known") - pl.max_horizontal("since", "since_known")
    seconds = covered.dt.total_seconds().clip(lower_bound=0)
    length = (pl.col("until") - pl.col("since")).dt.total_seconds()
    spans = known.rename({"since": "since_known", "until": "until_known"})
    return (
        windows.join(spans, how="cross")
        .group_by("until")
        .agg(known_frac=exact_sum(seconds) / length.first())
        .sort("until")
    )


def known_spans(jobs: pl.DataFrame) -> pl.DataFrame:
    """Spans in which a history knows jobs: from its first to its last, without its holes.

    Args:
        jobs: `started_at`, `stopped_at`.

    Returns:
        `since`, `until`, ascending; a new span begins where no job ran for more than 31 days.
    """
    stopped = pl.coalesce("stopped_at", "started_at")
    return (
        jobs.filter(pl.col("started_at").is_not_null())
        .select("started_at", stopped_at=stopped)
        .sort("started_at", "stopped_at")
        .with_columns(busy_until=pl.col("stopped_at").cum_max())
        .with_columns(
            span=(pl.col("started_at") - pl.col("busy_until").shift(1) > LONGEST_SILENCE)
            .fill_null(False)
            .cum_sum()
        )
        .group_by("span", maintain_order=True)
        .agg(since=pl.col("started_at").min(), until=pl.col("stopped_at").max())
        .select("since", "until")
        .filter(pl.col("since") < pl.col("until"))
    )


def read_history(path: str | Path) -> pl.DataFrame:
    """Jobs of a history: `user`, `started_at`, `stopped_at`; no power and no nodes are needed.

    Args:
        path: A file in any format of the exports' `jobs/`, a Parquet file with these columns (UTC),
            or a folder of such files.

    Raises:
        InputError: There is no such file, it has no job that started, or a job lacks its times.
    """
    where = Path(path).expanduser()
    if not where.exists():
        do = "correct usage.history, or set it to null"
        raise InputError("there is no such file or folder", where=str(where), do=do)
    found = [where]
    if where.is_dir():
        found = files.listed(where.parent, where.name, holds="jobs")
    parts = [jobs for file in found for jobs in _jobs_of(file)]
    jobs = pl.concat([pl.DataFrame(schema=_HISTORY), *parts])
    if jobs["started_at"].null_count() == len(jobs):
        raise InputError("no job that started", where=str(where), do=oar.SAVE_JOBS)
    return jobs


_HISTORY: dict[str, Any] = {"user": pl.String, "started_at": TIME, "stopped_at": TIME}


def _jobs_of(file: Path) -> Iterator[pl.DataFrame]:
    if file.suffix == ".parquet":
        lacking = sorted(set(COLUMNS) - set(pl.read_parquet_schema(file)))
        if lacking:
            do = "it must hold user, started_at and stopped_at"
            raise InputError(f"no column {lacking[0]}", where=str(file), do=do)
        yield pl.read_parquet(file, columns=list(COLUMNS)).select(COLUMNS).cast(pl.Schema(_HISTORY))
        return
    for document in files.documents(file):
        records = oar.parse_jobs(document, file=str(file), resources={})
        records = records.with_columns(fault=job_checks.fault())
        for reason, n_rows in records.drop_nulls("fault")["fault"].value_counts(sort=True).rows():
            log.warning("%s: %d records of jobs are left out: %s", file, n_rows, reason)
        records = records.filter(pl.col("fault").is_null())
        timeless = records.filter(~pl.col("has_times"), ~pl.col("state").is_in(oar.NOT_STARTED))
        if len(timeless):
            what = f"job {timeless['job_id'][0]} has no times"
            raise InputError(what, where=str(file), do=oar.SAVE_JOBS)
        times = pl.from_epoch(pl.col("started_at", "stopped_at"), time_unit="s")
        yield records.select("user", times.dt.replace_time_zone("UTC").cast(TIME))


def read_statistics(path: str | Path) -> pl.DataFrame:
    """Active users of each year as the platform gives them.

    The file is a CSV with the columns `year`, `active_users` and perhaps `source`. A year's
    number is placed at its end.

    Raises:
        InputError: At `file:line`: a column, year or number that is none, or a year told twice.
    """
    text = b"".join(files.blocks(Path(path).expanduser())).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    names = reader.fieldnames or []
    if not {"year", "active_users"} <= set(names) or not set(names) <= set(STATISTICS):
        what = f"the columns are {', '.join(names) or 'none'}"
        raise InputError(what, where=f"{path}:1", do=DO_STATISTICS)
    rows: dict[int, dict[str, Any]] = {}
    for line in reader:
        where = f"{path}:{reader.line_num}"
        year = _whole(line["year"], "year", where=where, least=1970, most=9998)
        if year in rows:
            raise InputError(f"a second line for {year}", where=where, do="keep one")
        rows[year] = {
            "basis": "statistics",
            "since": datetime(year, 1, 1, tzinfo=UTC),
            "until": datetime(year + 1, 1, 1, tzinfo=UTC),
            "n_users": _whole(line["active_users"], "active_users", where=where, least=0),
            "known_frac": None,
            "is_partial": False,
            "source": (line.get("source") or "").strip() or None,
        }
    if not rows:
        raise InputError("no year", where=str(path), do=DO_STATISTICS)
    return pl.DataFrame([rows[year] for year in sorted(rows)], schema=_COUNTED)


def _whole(text: str | None, column: str, *, where: str, least: int, most: int = 10_000_000) -> int:
    shown = (text or "").strip()
    if not shown.isdecimal() or not least <= int(shown) <= most:
        what = f"{column} is {shown!r}, not a whole number from {least} on"
        raise InputError(what, where=where, do=DO_STATISTICS)
    return int(shown)
