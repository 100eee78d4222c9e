"""Intervals of the ratio of two groups, such as development over training of a paper."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_totals import TAIL, draw_groups


def draw_ratios(
    amounts: pl.DataFrame, model: ErrorModel, *, side: str, over: tuple[str, str]
) -> pl.DataFrame:
    """Return 95 % intervals of the ratio of two sides of each group, and of both sides.

    Both sides take the same draws of the errors that they share.

    Args:
        amounts: Rows of `group_amounts.group_amounts`, whose keys are those of the groups and
            `side`.
        model: Errors of the study.
        side: Column with the side: a value of `over`.
        over: Side of the numerator and side of the denominator. A missing numerator is 0.

    Returns:
        The keys of the groups; `ratio_low`, `ratio_high` (2.5 and 97.5 % quantiles of the draws;
        null without a denominator; the upper end is also null where the denominator may be 0);
        and `{side}_low_kwh`, `{side}_high_kwh` for both values of `over`. Sorted by the keys.
    """
    draws = draw_groups(amounts, model)
    keys = [name for name in draws.names.columns if name != side]
    places = {
        name: draws.names.with_row_index("place").filter(pl.col(side) == name) for name in over
    }
    groups = draws.names.select(keys).unique().sort(keys)
    for name, place in places.items():
        groups = groups.join(
            place.select(*keys, pl.col("place").alias(name)),
            on=keys,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
    rows = [_row(draws.kwh, group) for group in groups.select(over).rows()]
    columns = ["ratio_low", "ratio_high"]
    columns += [f"{name}_{end}_kwh" for name in over for end in ("low", "high")]
    ends = pl.DataFrame(rows, dict.fromkeys(columns, pl.Float64()), orient="row")
    return pl.concat([groups.select(keys), ends], how="horizontal")


def _row(kwh: Floats, places: tuple[int | None, ...]) -> tuple[float | None, ...]:
    """Ends of the ratio and of both sides, from the places of the sides among the draws."""
    part, whole = (None if place is None else kwh[place] for place in places)
    ends: tuple[float | None, ...] = (None, None)
    if whole is not None and (whole > 0).any():
        above = np.zeros(len(whole)) if part is None else part
        quotients = np.full(len(whole), np.inf)
        np.divide(above, whole, out=quotients, where=whole > 0)
        low, high = np.quantile(quotients, [TAIL, 1 - TAIL], method="inverted_cdf")
        ends = (_finite(low), _finite(high))
    sides = (_interval(draws) for draws in (part, whole))
    return (*ends, *(end for pair in sides for end in pair))


def _interval(draws: Floats | None) -> tuple[float | None, float | None]:
    if draws is None:
        return None, None
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
