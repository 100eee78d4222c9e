"""Intervals of the ratio of two groups, such as development over training of a paper."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_parts import (
    Moves,
    PartDraws,
    draw_parts,
    interval_of_draws,
    key_columns,
)
from footprint.totals.group_totals import TAIL


def draw_ratios(
    amounts: pl.DataFrame,
    model: ErrorModel,
    *,
    side: str,
    over: tuple[str, ...],
    moves: Moves | None = None,
) -> pl.DataFrame:
    """Return 95 % intervals of the ratio of two parts of each group, and of all parts.

    All parts take the same draws of the errors that they share.

    Args:
        amounts: Rows of `group_amounts.group_amounts`, whose keys are those of the groups and
            `side`.
        model: Errors of the study.
        side: Column with the part: a value of `over`.
        over: The part of the numerator, that of the denominator, and others. A missing numerator
            is 0.
        moves: Energy that each draw adds to the first parts of `over`, as uncertain kinds do. It
            keeps the error of the part that it leaves. None: nothing.

    Returns:
        The keys of the groups; `ratio_low`, `ratio_high` (2.5 and 97.5 % quantiles of the draws;
        null without a denominator; the upper end is also null where the denominator may be 0);
        and `{side}_low_kwh`, `{side}_high_kwh` for each value of `over`. Sorted by the keys.
    """
    keys = [name for name in key_columns(amounts) if name != side]
    rows = [
        (*group.key, *ratio_interval(drawn_ratio(group)), *_ends_of_parts(group))
        for group in draw_parts(amounts, model, side=side, over=over, moves=moves)
    ]
    columns = ["ratio_low", "ratio_high"]
    columns += [f"{name}_{end}_kwh" for name in over for end in ("low", "high")]
    schema = {name: amounts.schema[name] for name in keys}
    return pl.DataFrame(rows, schema | dict.fromkeys(columns, pl.Float64()), orient="row")


def drawn_ratio(group: PartDraws) -> Floats | None:
    """Draws of the first part over the second; None where the group has no second part.

    The ratio is infinite in draws in which the second part is 0.
    """
    part, whole = group.kwh[:2]
    if whole is None or not group.has_part[1] or not (whole > 0).any():
        return None
    above = np.zeros(len(whole)) if part is None else part
    quotients = np.full(len(whole), np.inf)
    np.divide(above, whole, out=quotients, where=whole > 0)
    return quotients


def ratio_interval(quotients: Floats | None) -> tuple[float | None, float | None]:
    """Return the 2.5 and 97.5 % quantiles of a ratio; None where it is infinite or has no draws."""
    if quotients is None:
        return None, None
    low, high = np.quantile(quotients, [TAIL, 1 - TAIL], method="inverted_cdf")
    return _finite(low), _finite(high)


def _ends_of_parts(group: PartDraws) -> list[float | None]:
    """Ends of the intervals of the parts; a second part that the group has not is unknown."""
    pairs = [interval_of_draws(kwh) for kwh in group.kwh]
    if not group.has_part[1]:
        pairs[1] = (None, None)
    return [end for pair in pairs for end in pair]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
