"""Rejected rows and other limits of the input, as lines of the summary and the terminal text."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum

MOST_LINES = 20
"""Reasons that a summary lists; the table `quality` and `rejected.parquet` have all of them."""

STAGE_ORDER = (
    "jobs",
    "power",
    "hardware",
    "states",
    "devices",
    "recorded",
    "ledger",
    "labels",
    "carbon",
    "models",
    "usage",
)
"""Order of the stages: inputs of the measurement first, optional inputs last."""


def rejected_row_lines(rejected: pl.DataFrame) -> list[str]:
    """A line for each stage and reason, with the number of rows and an example.

    Lines are sorted by `STAGE_ORDER`, then by reason.

    Args:
        rejected: `schemas.RejectedRows`.

    Returns:
        At most `MOST_LINES` lines, and one that counts the rest; empty if nothing was rejected.
    """
    order = {stage: number for number, stage in enumerate(STAGE_ORDER)}
    reasons = (
        rejected.group_by("stage", "reason")
        .agg(
            exact_sum(pl.col("n_rows")),
            pl.col("source").n_unique().alias("n_sources"),
            pl.col("source").min(),
            pl.col("example").min(),
        )
        .sort(pl.col("stage").replace_strict(order, default=len(order)), "stage", "reason")
    )
    listed = [_reason_line(*row) for row in reasons.head(MOST_LINES).iter_rows()]
    n_more = len(reasons) - len(listed)
    return listed + ([f"{n_more} more reasons: energy/rejected.parquet"] if n_more else [])


def _reason_line(
    stage: str, reason: str, n_rows: int, n_sources: int, source: str, example: str | None
) -> str:
    where = source if n_sources == 1 else f"{n_sources} sources"
    shown = f", as in {example}" if example else ""
    count = f"{n_rows:,}".replace(",", "\u00a0")
    return f"{stage}: {reason}: {count} ({where}{shown})"
