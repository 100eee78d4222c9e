"""Counts of what a list of jobs lacks: rejected and missing jobs, and days without any job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import polars as pl

from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

# Reasons of `schemas.RejectedRows`.
COUNTED_ONLY_REASON = "counted by OAR over the study, but in none of its lists"
LISTED_ONLY_REASON = "in OAR's lists, but not in its count over the study"
MISSING_JOBS_REASON = "counted by the total of a list, but not in the list"
WRONG_TOTAL_REASON = "pages of the list whose total does not fit their jobs"
EMPTY_DAYS_REASON = "days without any job on the whole site"
MISSING_IDS_REASON = "job ids that are missing across days without any job"

DAY_S = 86_400
DAYS_SHOWN = 5
"""Days that a message names."""
NO_END_S = 2**62
"""Stands for the end of a job that has not ended (s since 1970)."""


def rejected_jobs(reasons: Mapping[int, str], *, source: str) -> pl.DataFrame:
    """Return a row (`schemas.RejectedRows`) for each reason, with the lowest job id as its example.

    Args:
        reasons: The reason of each rejected job, by its id.
        source: Name of the list.
    """
    rows = []
    for reason in sorted(set(reasons.values())):
        ids = [job_id for job_id, each in reasons.items() if each == reason]
        rows.append(_rejected_row(source, reason, len(ids), str(min(ids))))
    return _rejected_rows(rows)


def count_difference(
    *, n_listed: int, n_counted: int, source: str, days: Sequence[datetime] = ()
) -> pl.DataFrame:
    """Return a row (`schemas.RejectedRows`) if the number of listed jobs is not OAR's own count.

    Its example has both numbers, and the days on which jobs may be missing.
    """
    if n_listed == n_counted:
        return _rejected_rows([])
    reason = COUNTED_ONLY_REASON if n_counted > n_listed else LISTED_ONLY_REASON
    example = _counts_text(n_listed, n_counted, days)
    return _rejected_rows([_rejected_row(source, reason, abs(n_counted - n_listed), example)])


def missing_by_total(
    n_listed: int, n_counted: int, *, source: str, days: Sequence[datetime] = ()
) -> pl.DataFrame:
    """Return a row (`schemas.RejectedRows`) if a list has fewer jobs than its total.

    Its example has both numbers, and the days on which jobs may be missing.
    """
    if n_listed >= n_counted:
        return _rejected_rows([])
    example = _counts_text(n_listed, n_counted, days)
    return _rejected_rows(
        [_rejected_row(source, MISSING_JOBS_REASON, n_counted - n_listed, example)]
    )


def wrong_totals(doubts: Sequence[str], *, source: str) -> pl.DataFrame:
    """Return a row (`schemas.RejectedRows`) of pages whose total does not fit their jobs.

    Args:
        doubts: The fault of each such page.
        source: Name of the list.
    """
    rows = [_rejected_row(source, WRONG_TOTAL_REASON, len(doubts), doubts[0])] if doubts else []
    return _rejected_rows(rows)


def days_without_jobs(
    records: pl.DataFrame, *, start: datetime, end: datetime, source: str
) -> pl.DataFrame:
    """Return the days in which no job ran or was submitted, and the job ids missing across them.

    At most two rows (`schemas.RejectedRows`). The first counts the days; its example names them.
    The second counts the ids between the highest one before such days and the next one: the list
    may have lost these jobs. Its example names the days and the ids.

    Args:
        records: Records of jobs (`job_records.RECORD_SCHEMA`).
        start: Start of the study, a midnight.
        end: End of the study, excluded.
        source: Name of the list.
    """
    first = int(start.timestamp())
    n_days = -((first - int(end.timestamp())) // DAY_S)
    began = pl.coalesce("started_at", "submitted_at")
    stop = pl.when(pl.col("started_at").is_null()).then(began).otherwise("stopped_at")
    intervals = records.select(
        "job_id", began=began, ended=stop.fill_null(NO_END_S), since=(began - first) // DAY_S
    ).drop_nulls("began")
    inside = intervals.filter(pl.col("since") < n_days, pl.col("ended") >= first).select(
        since=pl.col("since").clip(0),
        until=((pl.col("ended") - first) // DAY_S).clip(0, n_days - 1),
    )
    n_jobs = np.zeros(n_days + 1, dtype=np.int64)
    np.add.at(n_jobs, inside["since"].to_numpy(), 1)
    np.add.at(n_jobs, inside["until"].to_numpy() + 1, -1)
    empty = np.flatnonzero(np.cumsum(n_jobs)[:n_days] == 0).tolist()
    if not empty:
        return _rejected_rows([])
    date_ranges, jumps = [], []
    for _, pairs in groupby(enumerate(empty), key=lambda pair: pair[1] - pair[0]):
        numbers = [day for _, day in pairs]
        dates = _date_range(start, numbers[0], numbers[-1])
        date_ranges.append(dates)
        before = intervals.filter(pl.col("began") < first + numbers[0] * DAY_S)["job_id"].max()
        after = intervals.filter(pl.col("job_id") > before)["job_id"].min() if before else None
        if isinstance(before, int) and isinstance(after, int) and after > before + 1:
            jumps.append((after - before - 1, f"{dates}: {before + 1} to {after - 1}"))
    rows = [_rejected_row(source, EMPTY_DAYS_REASON, len(empty), ", ".join(date_ranges))]
    if jumps:
        n_missing = sum(n_ids for n_ids, _ in jumps)
        example = ", ".join(ids for _, ids in jumps)
        rows.append(_rejected_row(source, MISSING_IDS_REASON, n_missing, example))
    return _rejected_rows(rows)


def days_text(days: Sequence[datetime]) -> str:
    """Return the dates of some days in a line: at most DAYS_SHOWN, and the number of the others."""
    shown = ", ".join(f"{day:%Y-%m-%d}" for day in days[:DAYS_SHOWN])
    return f"{shown} and {len(days) - DAYS_SHOWN} more" if len(days) > DAYS_SHOWN else shown


def _counts_text(n_listed: int, n_counted: int, days: Sequence[datetime]) -> str:
    counts = f"{n_counted} counted, {n_listed} listed"
    return f"{counts}; jobs may be missing on {days_text(days)}" if days else counts


def _date_range(start: datetime, first: int, last: int) -> str:
    dates = [(start + timedelta(days=number)).date().isoformat() for number in (first, last)]
    return dates[0] if first == last else " to ".join(dates)


def _rejected_row(source: str, reason: str, n_rows: int, example: str) -> dict[str, object]:
    return {
        "stage": "jobs",
        "source": source,
        "reason": reason,
        "n_rows": n_rows,
        "example": example,
    }


def _rejected_rows(rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = RejectedRows.create_empty().schema
    table: pl.DataFrame = conform(RejectedRows, pl.DataFrame(rows, schema=schema))
    return table
