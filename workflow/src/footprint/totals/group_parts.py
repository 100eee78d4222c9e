"""Draws of the parts of groups, such as the phases of a paper, with energy that moves between them.

Parts of a group take the same draws of the errors that they share. Uncertain kinds move energy
from part to part; energy that moves keeps the error of the part that it leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.totals.error_draws import N_DRAWS
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_totals import SOURCES, TAIL, GroupDraws, draw_groups

Moves = Mapping[tuple[str, ...], tuple[Floats, ...]]
"""Draws of energy (kWh) that is added to the parts of a group, by the keys of the group."""

GROUPS_AT_ONCE = 64
"""Groups that are drawn at once, which bounds the memory."""


class PartDraws(NamedTuple):
    """Draws of the parts of one group.

    Attributes:
        key: Values of the columns of the group.
        kwh: Draws of the true energy (kWh) of each part; None: the group has no such part, and no
            energy moves there.
        has_part: Whether the group has the part, whatever moves.
    """

    key: tuple[str, ...]
    kwh: tuple[Floats | None, ...]
    has_part: tuple[bool, ...]


def draw_parts(
    amounts: pl.DataFrame,
    model: ErrorModel,
    *,
    side: str,
    over: tuple[str, ...],
    moves: Moves | None = None,
    sources: Collection[str] = SOURCES,
) -> Iterator[PartDraws]:
    """Draw the true energy of the parts of each group.

    Args:
        amounts: Rows of `group_amounts.group_amounts`, whose keys are those of the groups and
            `side`.
        model: Errors of the study.
        side: Column with the part: a value of `over`.
        over: The parts, in the order of the results.
        moves: Energy that each draw adds to the first parts of `over`, as uncertain kinds do.
            None: nothing.
        sources: Sources of uncertainty that vary, as in `group_totals.draw_groups`.

    Yields:
        The groups in the order of their keys.
    """
    keys = [name for name in key_columns(amounts) if name != side]
    names = amounts.select(keys).unique().sort(keys)
    for start in range(0, len(names), GROUPS_AT_ONCE):
        batch = names.slice(start, GROUPS_AT_ONCE)
        own = amounts.join(batch, on=keys, how="semi", nulls_equal=True)
        draws = draw_groups(own, model, sources=sources)
        places = {row: place for place, row in enumerate(draws.names.select(*keys, side).rows())}
        for key in batch.rows():
            of_group = [places.get((*key, part)) for part in over]
            moved = (moves or {}).get(key, ())
            yield PartDraws(
                key,
                _add_moved(draws, of_group, moved),
                tuple(place is not None for place in of_group),
            )


def key_columns(amounts: pl.DataFrame) -> list[str]:
    """Columns of amounts that make a group and its part: those before the column of the cluster.

    Args:
        amounts: Rows of `group_amounts.group_amounts`.
    """
    return amounts.columns[: amounts.columns.index("cluster")]


def _add_moved(
    draws: GroupDraws, places: list[int | None], moved: tuple[Floats, ...]
) -> tuple[Floats | None, ...]:
    """Draws of each part, with the energy that moves.

    Energy leaves a part with the part's own factor, true / total energy, so that a part that all
    energy leaves is 0. What the parts receive is true energy that left the others; more than that
    (from runs of unknown phase) has the factor of the group.
    """
    parts = [None if place is None else draws.kwh[place] for place in places]
    if not moved:
        return tuple(parts)
    known = [place for place in places if place is not None]
    total = float(np.sum(draws.total_kwh[known]))
    factor = np.sum(draws.kwh[known], axis=0) / total if total > 0 else np.ones(N_DRAWS)
    left, true_left, received = np.zeros((3, N_DRAWS))
    for place, part, kwh in zip(places, parts, moved, strict=False):
        received += np.maximum(kwh, 0.0)
        if place is not None and part is not None:
            leaving = _leaving_fraction(kwh, float(draws.total_kwh[place]))
            left += leaving * draws.total_kwh[place]
            true_left += leaving * part
    true_received = true_left + factor * np.maximum(received - left, 0.0)
    factor_in = np.ones(N_DRAWS)
    np.divide(true_received, received, out=factor_in, where=received > 0)
    for number, (place, kwh) in enumerate(zip(places, moved, strict=False)):
        arriving = factor_in * np.maximum(kwh, 0.0)
        part = parts[number]
        if place is not None and part is not None:
            staying = 1 - _leaving_fraction(kwh, float(draws.total_kwh[place]))
            parts[number] = part * staying + arriving
        elif kwh.any():
            parts[number] = arriving
    return tuple(parts)


def _leaving_fraction(kwh: Floats, total_kwh: float) -> Floats:
    """Fraction of a part that leaves it in each draw; exactly 1 where all energy leaves."""
    if total_kwh <= 0:
        return np.zeros(len(kwh))
    fraction = np.clip(-kwh / total_kwh, 0.0, 1.0)
    # sums of the same runs in another order differ by rounding
    return np.where(fraction > 1 - 1e-9, 1.0, fraction)


def interval_of_draws(draws: Floats | None) -> tuple[float | None, float | None]:
    """Return the 2.5 and 97.5 % quantiles of draws (kWh); None without draws."""
    if draws is None:
        return None, None
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    return float(low), float(high)


def intervals_of_parts(
    amounts: pl.DataFrame,
    model: ErrorModel,
    *,
    side: str,
    over: tuple[str, ...],
    moves: Moves | None = None,
) -> pl.DataFrame:
    """Return 95 % intervals of the energy of each part of each group.

    Args:
        amounts: As in `draw_parts`.
        model: As in `draw_parts`.
        side: As in `draw_parts`.
        over: As in `draw_parts`.
        moves: As in `draw_parts`.

    Returns:
        The keys of the groups, `side`, `total_low_kwh`, `total_high_kwh`: a row for each part that
        a group has or to which energy moves, sorted by the keys and in the order of `over`.
    """
    keys = [name for name in key_columns(amounts) if name != side]
    rows = [
        (*group.key, part, *interval_of_draws(kwh))
        for group in draw_parts(amounts, model, side=side, over=over, moves=moves)
        for part, kwh in zip(over, group.kwh, strict=True)
        if kwh is not None
    ]
    schema: dict[str, pl.DataType] = {name: amounts.schema[name] for name in keys}
    schema |= {side: pl.String(), "total_low_kwh": pl.Float64(), "total_high_kwh": pl.Float64()}
    return pl.DataFrame(rows, schema, orient="row")
