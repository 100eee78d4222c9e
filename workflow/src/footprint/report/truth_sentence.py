"""Sentence on how many totals and ratios of a simulated study contain the truth."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum
from footprint.validation.true_totals import RATIO_LEVEL, TOTAL_LEVELS


def truth_sentences(against_truth: pl.DataFrame | None) -> list[str]:
    """Sentence on the intervals that contain the true value; none without a comparison.

    Args:
        against_truth: `schemas.AgainstTruth`; None: the truth is unknown.
    """
    if against_truth is None:
        return []
    parts = [
        (TOTAL_LEVELS, "totals (site, projects, users and papers)"),
        ((RATIO_LEVEL,), "R"),
    ]
    texts = []
    for levels, noun in parts:
        own = against_truth.filter(pl.col("level").cast(pl.String).is_in(levels))
        n, n_inside = own.select(exact_sum(pl.col("n_compared", "n_inside"))).row(0)
        if n:
            texts.append(f"{n_inside} of {n} {noun}")
    if not texts:
        return []
    return [
        f"The 95 % intervals of {' and '.join(texts)} of this run contain the true value, which "
        "is known only on a simulated site."
    ]
