"""Whether a list of jobs is complete: rejected jobs, OAR's own count, and days without any job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import polars as pl

from footprint import tables

COUNTED_ONLY = "counted by OAR over the study, but in none of its lists"
LISTED_ONLY = "in OAR's lists, but not in its count over the study"
MISSING = "counted by the total of a list, but not in the list"
WRONG_TOTAL = "pages of the list whose total does not fit their jobs"
EMPTY_DAYS = "days without any job on the whole site"
MISSING_IDS = "job ids that are missing across days without any job"

DAY_S = 86_400
LAST = 2**62


def rejected_jobs(reasons: Mapping[int, str], *, source: str) -> pl.DataFrame:
    """Return the count of damaged jobs by reason (`tables.SetAside`); the example is the lowest id.

    Args:
        reasons: The reason of each rejected job, by its id.
        source: The list that they come from.
    """
    rows = []
    for reason in sorted(set(reasons.values())):
        ids = [job_id for job_id, why in reasons.items() if why == reason]
        rows.append(_row(source, reason, len(ids), str(min(ids))))
    return _table(rows)


def compared_counts(*, n_listed: int, n_counted: int, source: str) -> pl.DataFrame:
    """Return a row (`tables.SetAside`) if the jobs listed are not as many as OAR counts."""
    if n_listed == n_counted:
        return _table([])
    reason = COUNTED_ONLY if n_counted > n_listed else LISTED_ONLY
    example = f"{n_counted} counted, {n_listed} listed"
    return _table([_row(source, reason, abs(n_counted - n_listed), example)])


def missing_by_total(n_listed: int, n_counted: int, *, source: str) -> pl.DataFrame:
    """Return a row (`tables.SetAside`) if fewer jobs are listed than the list's total counts."""
    if n_listed >= n_counted:
        return _table([])
    example = f"{n_counted} counted, {n_listed} listed"
    return _table([_row(source, MISSING, n_counted - n_listed, example)])


def wrong_totals(doubts: Sequence[str], *, source: str) -> pl.DataFrame:
    """Return a row (`tables.SetAside`) of pages whose total does not fit their jobs.

    Args:
        doubts: What is wrong on each such page.
        source: The list that they come from.
    """
    rows = [_row(source, WRONG_TOTAL, len(doubts), doubts[0])] if doubts else []
    return _table(rows)


def days_without_jobs(
    records: pl.DataFrame, *, start: datetime, end: datetime, source: str
) -> pl.DataFrame:
    """Return the days in which no job ran or was submitted, and the job ids missing across them.

    Two rows at most (`tables.SetAside`). The first counts the days, and its example has them. The
    second counts the ids between the highest before such days and the next one, which are those of
    jobs that a list may have lost; its example has the first such days and their ids.

    Args:
        records: Records of jobs (`oar.RECORD`).
        start: Start of the study, a midnight.
        end: End of the study, excluded.
        source: The list that they come from.
    """
    first = int(start.timestamp())
    n_days = -((first - int(end.timestamp())) // DAY_S)
    began = pl.coalesce("started_at", "submitted_at")
    stop = pl.when(pl.col("started_at").is_null()).then(began).otherwise("stopped_at")
    spans = records.select(
        "job_id", began=began, ended=stop.fill_null(LAST), since=(began - first) // DAY_S
    ).drop_nulls("began")
    inside = spans.filter(pl.col("since") < n_days, pl.col("ended") >= first).select(
        since=pl.col("since").clip(0),
        until=((pl.col("ended") - first) // DAY_S).clip(0, n_days - 1),
    )
    n_jobs = np.zeros(n_days + 1, dtype=np.int64)
    np.add.at(n_jobs, inside["since"].to_numpy(), 1)
    np.add.at(n_jobs, inside["until"].to_numpy() + 1, -1)
    empty = np.flatnonzero(np.cumsum(n_jobs)[:n_days] == 0).tolist()
    if not empty:
        return _table([])
    periods, jumps = [], []
    for _, days in groupby(enumerate(empty), key=lambda pair: pair[1] - pair[0]):
        numbers = [day for _, day in days]
        text = _period(start, numbers[0], numbers[-1])
        periods.append(text)
        before = spans.filter(pl.col("began") < first + numbers[0] * DAY_S)["job_id"].max()
        after = spans.filter(pl.col("job_id") > before)["job_id"].min() if before else None
        if isinstance(before, int) and isinstance(after, int) and after > before + 1:
            jumps.append((after - before - 1, f"{text}: {before + 1} to {after - 1}"))
    rows = [_row(source, EMPTY_DAYS, len(empty), ", ".join(periods))]
    if jumps:
        n_missing = sum(n for n, _ in jumps)
        rows.append(_row(source, MISSING_IDS, n_missing, ", ".join(text for _, text in jumps)))
    return _table(rows)


def _period(start: datetime, first: int, last: int) -> str:
    dates = [(start + timedelta(days=number)).date().isoformat() for number in (first, last)]
    return dates[0] if first == last else " to ".join(dates)


def _row(source: str, reason: str, n_rows: int, example: str) -> dict[str, object]:
    return {
        "stage": "jobs",
        "source": source,
        "reason": reason,
        "n_rows": n_rows,
        "example": example,
    }


def _table(rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = tables.SetAside.create_empty().schema
    table: pl.DataFrame = tables.conform(tables.SetAside, pl.DataFrame(rows, schema=schema))
    return table
