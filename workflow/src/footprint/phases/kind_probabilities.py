"""Probability of each kind of the runs that started, for draws of kinds."""

from __future__ import annotations

import polars as pl

from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS


def kind_probabilities(runs: pl.LazyFrame) -> pl.LazyFrame:
    """Probability of each kind of the runs that started.

    Args:
        runs: `run_id`, `kind` (null: never started) and `PROBABILITY_COLUMNS`, whose rounded
            values add up to nearly 1.

    Returns:
        `run_id` and `PROBABILITY_COLUMNS`, which add up to 1, sorted by run.
    """
    total = pl.sum_horizontal(PROBABILITY_COLUMNS)
    return (
        runs.filter(pl.col("kind").is_not_null())
        .select("run_id", *(pl.col(name) / total for name in PROBABILITY_COLUMNS))
        .sort("run_id")
    )
