"""Intervals of the ratio of two groups, such as development over training of a paper."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.totals.error_draws import N_DRAWS
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_totals import TAIL, GroupDraws, draw_groups

Moves = Mapping[tuple[str, ...], tuple[Floats, Floats]]
"""Draws of energy (kWh) that is added to the two sides of a group, by the keys of the group."""


def draw_ratios(
    amounts: pl.DataFrame,
    model: ErrorModel,
    *,
    side: str,
    over: tuple[str, str],
    moves: Moves | None = None,
) -> pl.DataFrame:
    """Return 95 % intervals of the ratio of two sides of each group, and of both sides.

    Both sides take the same draws of the errors that they share.

    Args:
        amounts: Rows of `group_amounts.group_amounts`, whose keys are those of the groups and
            `side`.
        model: Errors of the study.
        side: Column with the side: a value of `over`.
        over: Side of the numerator and side of the denominator. A missing numerator is 0.
        moves: Energy that each draw adds to the numerator and to the denominator, as uncertain
            kinds do. It is multiplied by the mean error of both sides in the draw. None: nothing.

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
    rows = [
        _row(*_drawn_sides(draws, places_of_group, (moves or {}).get(key)))
        for key, places_of_group in zip(
            groups.select(keys).rows(), groups.select(over).rows(), strict=True
        )
    ]
    columns = ["ratio_low", "ratio_high"]
    columns += [f"{name}_{end}_kwh" for name in over for end in ("low", "high")]
    ends = pl.DataFrame(rows, dict.fromkeys(columns, pl.Float64()), orient="row")
    return pl.concat([groups.select(keys), ends], how="horizontal")


def _drawn_sides(
    draws: GroupDraws,
    places: tuple[int | None, ...],
    moved: tuple[Floats, Floats] | None,
) -> tuple[Floats | None, Floats | None]:
    """Draws of the numerator and the denominator, with the energy that moves."""
    part, whole = (None if place is None else draws.kwh[place] for place in places)
    if moved is None:
        return part, whole
    known = [place for place in places if place is not None]
    total = float(np.sum(draws.total_kwh[known]))
    factor = np.sum(draws.kwh[known], axis=0) / total if total > 0 else np.ones(N_DRAWS)
    more, more_whole = (factor * kwh for kwh in moved)
    part = more if part is None else part + more
    if whole is not None:
        whole = np.maximum(whole + more_whole, 0.0)
    return np.maximum(part, 0.0), whole


def _row(part: Floats | None, whole: Floats | None) -> tuple[float | None, ...]:
    """Ends of the ratio and of both sides, from the draws of the sides."""
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
