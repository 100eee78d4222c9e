"""Draws of the energy that uncertain kinds move between the kinds of a group.

Runs of one person and command take one uniform number, as in `kind_draws`, and in a part of the
draws (`OF_ALL_FRAC`) all runs of the study do. As a function of this number, the energy of a kind
is a step function, which is summed over runs first and drawn once for each person and command.

A run whose kind was not found has one in every draw. Its energy stays in `unknown` as well, whose
interval is that of its energy alone. Runs that a label calls unknown stay unknown.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.phases.kind_draws import MIN_PROBABILITY, Moves
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.ratio import GROUP_KEY
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.totals.error_draws import N_DRAWS, uniform_draws

DRAWN_KINDS = (*WEIGHED_KINDS, "unknown")
"""Kinds with an interval; energy moves between all but the last."""

OF_ALL_FRAC = 0.25
"""Share of the draws in which all runs of a study take one uniform number: weights whose
probabilities are too low or too high are so for all people. With independent numbers alone, errors
of many people cancelled, and 70 % of the intervals of kinds of 20 simulated sites held the true
energy (seeds 826046 to 826065); this is the least share tried with which all of the first four
did."""

_MIDPOINTS = (np.arange(N_DRAWS) + 0.5) / N_DRAWS


def moves_between_kinds(
    rows: pl.LazyFrame, labelled: pl.LazyFrame, uncertain: pl.LazyFrame
) -> Moves:
    """Energy that each draw moves to or from each kind of each group.

    Args:
        rows: `scope`, `name`, `run_id`, `kind` (as found or labelled), `total_kwh` (null: 0).
        labelled: `run_id`, `kind` of labels.
        uncertain: Result of `ratio_intervals.uncertain_kinds`.

    Returns:
        Draws for each of `WEIGHED_KINDS` by scope and name, for the groups in which some energy
        moves.
    """
    named_unknown = labelled.filter(pl.col("kind").cast(pl.String) == "unknown")
    is_certain = pl.any_horizontal(
        (pl.col("kind") == kind) & (pl.col(f"p_{kind}") > 1 - MIN_PROBABILITY)
        for kind in WEIGHED_KINDS
    )
    runs = (
        rows.select(*GROUP_KEY, "run_id", pl.col("kind").cast(pl.String), kwh="total_kwh")
        .filter(pl.col("kwh") > 0)
        .join(named_unknown, on="run_id", how="anti")
        .join(uncertain, on="run_id")
        .filter(~is_certain)
        .sort("similar", *GROUP_KEY, "run_id")
        .collect()
    )
    # how many draws, from the lowest, give a kind up to each but the last
    ends = np.searchsorted(
        _MIDPOINTS, np.cumsum(runs.select(PROBABILITY_COLUMNS).to_numpy(), axis=1)[:, :-1]
    )
    kwh = runs["kwh"].to_numpy()
    found = runs["kind"].replace_strict(
        {kind: number for number, kind in enumerate(DRAWN_KINDS)}, return_dtype=pl.Int64
    )
    kinds = found.to_numpy()
    is_of_all = uniform_draws("all kinds are of one number") < OF_ALL_FRAC
    of_all = uniform_draws("kind")
    moves: Moves = {}
    spans = runs.with_row_index("start").group_by("similar", *GROUP_KEY, maintain_order=True)
    for similar, scope, name, start, length in spans.agg(
        pl.col("start").first(), length=pl.len()
    ).iter_rows():
        own = slice(start, start + length)
        number = np.where(is_of_all, of_all, uniform_draws("kind", str(similar)))
        energies = _drawn_energies(ends[own], kwh[own], number)
        energies -= np.bincount(kinds[own], kwh[own], len(DRAWN_KINDS))[:-1, None]
        sides = moves.setdefault((scope, name), tuple(np.zeros(N_DRAWS) for _ in WEIGHED_KINDS))
        for side, energy in zip(sides, energies, strict=True):
            side += energy
    return moves


def _drawn_energies(ends: np.ndarray, kwh: Floats, number: Floats) -> Floats:
    """Energy of each of `WEIGHED_KINDS` in each draw, of the runs of one person and command.

    Args:
        ends: Number of the lowest draws that give each run a kind up to each but the last; one row
            a run.
        kwh: Energy of each run.
        number: Uniform number of each draw.
    """
    n_ends = ends.shape[1]
    # energy that leaves the kinds up to each end before a draw
    left = np.zeros((n_ends, N_DRAWS + 1))
    np.add.at(left, (np.arange(n_ends), ends), kwh[:, None])
    up_to = np.sum(kwh) - np.cumsum(left, axis=1)[:, :-1]
    whole = np.full((1, N_DRAWS), np.sum(kwh))
    energies = np.diff(np.vstack([np.zeros((1, N_DRAWS)), up_to, whole]), axis=0)
    drawn: Floats = energies[:, (number * N_DRAWS).astype(np.int64)]
    return drawn
