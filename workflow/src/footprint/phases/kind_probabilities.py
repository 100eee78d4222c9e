"""Probability of each kind of a run, from a classifier or from the confidence in one kind."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum, quotient
from footprint.core.vocabulary import KINDS

KNOWN_KINDS = tuple(kind for kind in KINDS if kind != "unknown")
"""Kinds that a run can have: `unknown` says that it was not found."""

PROBABILITY_COLUMNS = tuple(f"p_{kind}" for kind in KNOWN_KINDS)
"""Columns with the probability of each kind."""


def kind_probabilities(runs: pl.LazyFrame) -> pl.LazyFrame:
    """Probability of each kind of the runs that started.

    Probabilities of a classifier are divided by their sum, without that of `unknown`. Without
    these columns, the kind that was found has the confidence of its rule, and the rest is spread
    over the other kinds in proportion to the total energy of the runs that were found to be of
    these kinds. A run of unknown kind has the probabilities of the study's energy.

    Args:
        runs: `run_id`, `kind`, and either `PROBABILITY_COLUMNS` or `confidence` and `total_kwh`.

    Returns:
        `run_id` and `PROBABILITY_COLUMNS`, which add up to 1, sorted by run.
    """
    started = runs.filter(pl.col("kind").is_not_null())
    has_probabilities = set(PROBABILITY_COLUMNS) <= set(runs.collect_schema().names())
    found = started if has_probabilities else _by_confidence(started)
    total = pl.sum_horizontal(PROBABILITY_COLUMNS)
    return found.select("run_id", *(pl.col(name) / total for name in PROBABILITY_COLUMNS)).sort(
        "run_id"
    )


def _by_confidence(runs: pl.LazyFrame) -> pl.LazyFrame:
    """Runs with `PROBABILITY_COLUMNS` from the kind that was found and its confidence."""
    kind = pl.col("kind").cast(pl.String)
    energies = runs.select(
        known_sum(pl.col("total_kwh").filter(kind == name)).fill_null(0.0).alias(name)
        for name in KNOWN_KINDS
    ).collect()
    kwh = dict(zip(KNOWN_KINDS, energies.row(0), strict=True))
    # without any energy all kinds are alike
    weights = kwh if any(kwh.values()) else dict.fromkeys(KNOWN_KINDS, 1.0)
    whole = pl.lit(0.0)
    for name in KNOWN_KINDS:
        whole = whole + pl.when(kind == name).then(0.0).otherwise(weights[name])
    is_known = kind != "unknown"
    # a study of one kind leaves nothing to spread the rest over
    confidence = (
        pl.when(is_known & (whole > 0))
        .then("confidence")
        .otherwise(pl.when(is_known).then(1.0).otherwise(0.0))
    )
    return runs.with_columns(
        pl.when(kind == name)
        .then(confidence)
        .otherwise(quotient((1 - confidence) * weights[name], whole).fill_null(0.0))
        .alias(f"p_{name}")
        for name in KNOWN_KINDS
    )
