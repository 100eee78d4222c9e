"""Uncertainty budget of R: the part of each source in the uncertainty of development over training.

The standard uncertainty of a source is the standard deviation of the logarithm of R in draws in
which the source alone varies, and all others keep their expected error (JCGM 101:2008, annex B).
The logarithm, because R is a ratio, and uncertain kinds may change it by a factor. The squares are
divided by their sum: sources that act together make a variance that differs a little from it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.core.sums import quotient, sum_or_zero
from footprint.phases.energies import StudyErrors
from footprint.phases.ratio import DRAWN_PHASES, GROUP_KEY, RATIO_PHASES
from footprint.phases.ratio_intervals import amounts_of_parts
from footprint.totals.budget import CLASSIFICATION, describe_sources
from footprint.totals.group_parts import Moves, draw_parts
from footprint.totals.group_ratios import drawn_ratio, ratio_interval
from footprint.totals.group_totals import SOURCES

RATIO_SOURCES = (*SOURCES, CLASSIFICATION)
"""Sources of uncertainty of R, in the order of the table."""

FARTHEST_FACTOR = 1e3
"""Draws of R count as at most so many times R and at least its inverse, also without an end."""

ROUNDING = 1e-12
"""Uncertainties below this are errors of rounding."""

_NUMBERS = ("mean_shift_frac", "standard_uncertainty_frac", "ratio_low", "ratio_high")


def budget_of_ratios(
    rows: pl.LazyFrame,
    ratios: pl.LazyFrame,
    runs: pl.LazyFrame,
    errors: StudyErrors,
    moves: Moves,
) -> pl.DataFrame:
    """Return the uncertainty budget of each R.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        ratios: `schemas.PhaseRatio`. Groups without a ratio are left out.
        runs: `run_id`, `job_ids`.
        errors: Nodes of the jobs and errors of the study.
        moves: Result of `ratio_intervals.moves_of_kinds`.

    Returns:
        `schemas.totals.RatioUncertainty`, sorted by scope, name and in the order of
        `RATIO_SOURCES`.
    """
    given = (
        ratios.filter(pl.col("ratio").is_not_null()).select(*GROUP_KEY, "ratio").collect().lazy()
    )
    own = rows.join(given, on=GROUP_KEY, how="semi")
    amounts = amounts_of_parts(own, runs, errors, "phase")
    values = {tuple(row[:2]): row[2] for row in given.collect().iter_rows()}
    found = [
        (*group.key, source, *_moments(quotients, values[group.key]), *ratio_interval(quotients))
        for source in RATIO_SOURCES
        for group in draw_parts(
            amounts,
            errors.model,
            side="phase",
            over=DRAWN_PHASES,
            moves=moves if source == CLASSIFICATION else None,
            sources=() if source == CLASSIFICATION else (source,),
        )
        if (quotients := drawn_ratio(group)) is not None
    ]
    names = {name: pl.String() for name in (*GROUP_KEY, "source")}
    table = pl.DataFrame(found, names | dict.fromkeys(_NUMBERS, pl.Float64()), orient="row")
    variance = pl.col("standard_uncertainty_frac").pow(2)
    described = _descriptions(own, runs, errors)
    return (
        table.join(described, on=[*GROUP_KEY, "source"], how="left")
        .with_columns(share_frac=quotient(variance, sum_or_zero(variance).over(GROUP_KEY)))
        .sort(*GROUP_KEY, pl.col("source").cast(pl.Enum(RATIO_SOURCES)))
    )


def _moments(quotients: Floats, value: float) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the logarithm of drawn R over R; None where R is 0."""
    if value <= 0:
        return None, None
    factors = np.clip(quotients / value, 1 / FARTHEST_FACTOR, FARTHEST_FACTOR)
    logs = np.log(factors)
    shift, deviation = float(np.mean(logs, axis=0)), float(np.std(logs, axis=0))
    return _rounded(shift), _rounded(deviation)


def _rounded(number: float) -> float:
    return number if abs(number) > ROUNDING else 0.0


def _descriptions(rows: pl.LazyFrame, runs: pl.LazyFrame, errors: StudyErrors) -> pl.DataFrame:
    """Evaluation, distribution and correlation of the sources of each group."""
    sides = rows.filter(pl.col("phase").cast(pl.String).is_in(RATIO_PHASES))
    whole = sides.with_columns(group=pl.concat_str(GROUP_KEY, separator="\n"))
    amounts = amounts_of_parts(whole, runs, errors, "group")
    found = describe_sources(amounts.drop(GROUP_KEY).rename({"group": "name"}), errors.model)
    parts = pl.col("name").str.split_exact("\n", 1)
    return found.select(
        parts.struct.field("field_0").alias("scope"),
        parts.struct.field("field_1").alias("name"),
        pl.exclude("name"),
    )
