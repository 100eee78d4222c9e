"""Counts of rejected rows of jobs, and the words of messages about several jobs."""

from __future__ import annotations

import polars as pl

MAX_LISTED_NAMES = 200
"""Jobs, nodes or cores that a message lists."""

KEEP_ONE_SITE = "keep the files of one site only: each site numbers its own jobs"


def rejected_rows(rows: pl.DataFrame, reason: str | pl.Expr) -> pl.DataFrame:
    """Return rows counted by file and reason, with the lowest job id as example.

    Args:
        rows: Rows with `job_id` and `file`.
        reason: Reason of all rows, or of each.

    Returns:
        Columns of `schemas.RejectedRows`.
    """
    counted = (
        rows.with_columns(reason=pl.lit(reason) if isinstance(reason, str) else reason)
        .group_by("file", "reason")
        .agg(n_rows=pl.len().cast(pl.Int64), example=pl.col("job_id").min().cast(pl.String))
    )
    return counted.select(
        stage=pl.lit("jobs"),
        source="file",
        reason="reason",
        n_rows="n_rows",
        example="example",
    )


def listed_values(word: str, values: pl.Series) -> str:
    """Return each value once, in order, after a word: `job 3`, or `jobs 3, 4`.

    Args:
        word: The word in the singular; empty for values alone.
        values: Values; those beyond the first 200 are counted.
    """
    each = [str(value) for value in values.unique().sort()]
    more = f" and {len(each) - MAX_LISTED_NAMES} more" if len(each) > MAX_LISTED_NAMES else ""
    listed = ", ".join(each[:MAX_LISTED_NAMES]) + more
    return f"{word}{'s' if len(each) > 1 else ''} {listed}" if word else listed


def verb_form(values: pl.Series, singular: str, plural: str) -> str:
    """Return the form of a verb whose subject is these values."""
    return singular if values.n_unique() == 1 else plural


def file_names(rows: pl.DataFrame) -> str:
    """Return the files of rows, each once, in order, joined by commas."""
    return ", ".join(rows["file"].unique().sort())
