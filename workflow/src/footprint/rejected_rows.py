"""Rejected rows and other limits of the input, as lines for the summaries of a run."""

from __future__ import annotations

import polars as pl

from footprint.summation import exact_sum

MOST_LINES = 20
"""Reasons that a summary lists; the table `quality` and `set_aside.parquet` have all of them."""


STAGES = (
    "jobs",
    "power",
    "hardware",
    "states",
    "devices",
    "recorded",
    "ledger",
    "carbon",
    "models",
)
"""Order of the stages: what the measurement rests on first, optional inputs last."""


def lines(set_aside: pl.DataFrame) -> list[str]:
    """One line a stage and reason, with the number of rows and an example.

    The order is that of `STAGES`, and by reason in a stage.

    Args:
        set_aside: `tables.SetAside`.

    Returns:
        At most `MOST_LINES` lines and one that counts the rest; none where nothing was rejected.
    """
    order = {stage: number for number, stage in enumerate(STAGES)}
    reasons = (
        set_aside.group_by("stage", "reason")
        .agg(
            exact_sum(pl.col("n_rows")),
            pl.col("source").n_unique().alias("n_sources"),
            pl.col("source").min(),
            pl.col("example").min(),
        )
        .sort(pl.col("stage").replace_strict(order, default=len(order)), "stage", "reason")
    )
    listed = [_line(*row) for row in reasons.head(MOST_LINES).iter_rows()]
    n_more = len(reasons) - len(listed)
    return listed + ([f"{n_more} more reasons: energy/set_aside.parquet"] if n_more else [])


def _line(
    stage: str, reason: str, n_rows: int, n_sources: int, source: str, example: str | None
) -> str:
    where = source if n_sources == 1 else f"{n_sources} sources"
    shown = f", as in {example}" if example else ""
    count = f"{n_rows:,}".replace(",", "\u00a0")
    return f"{stage}: {reason}: {count} ({where}{shown})"
