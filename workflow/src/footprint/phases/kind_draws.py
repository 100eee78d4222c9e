"""Draws of the energy that uncertain kinds move between the phases of a group.

A kind moves energy only where the phase follows from it (`roles.add_roles_and_phases`):

- A run with the label `reported`, and no label of its kind or phase, is training, inference or
  development by the kind drawn.
- Where the reported training is assumed, each draw assumes it anew: the largest run whose kind is
  drawn as a training. All other runs of the paper are development.
- A run of unknown kind and without a reported role is development, of whatever kind it is.

A classifier is often right or wrong about all runs of one person and command at once, because
words, habits and requested walltimes are alike in them. It is not known how often. So the runs of a
person and command take a common uniform number in half of the draws (`COMMON_FRAC`). In the other
half each size of run takes its own: runs whose energies have the same power of `ALIKE_FACTOR` below
the largest one are alike, as the seeds of one training. The interval holds both that all runs of a
command are of one kind, and that the run less like a training is the only one. Labelled kinds and
phases are certain.

A paper with a reported model was trained: draws without any training among the runs that may be the
reported one are drawn again (rejection sampling), so that kinds have their probabilities given that
there is a training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.core.arrays import Floats
from footprint.core.sums import sum_or_zero
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.ratio import GROUP_KEY
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.totals.error_draws import N_DRAWS, uniform_draws

Booleans = NDArray[np.bool_]

COMMON_FRAC = 0.5
"""Share of the draws in which all runs of a person and command take one uniform number. It is
between never and always for want of a measured correlation."""

ALIKE_FACTOR = 3.0
"""Factor between the energies of runs of one command that differ in size, as the factor between
durations in `group_agreement`."""

_ALIKE_BY = ["similar", "size"]
_DRAWN_BY = [*_ALIKE_BY, *PROBABILITY_COLUMNS]
_TRAINING, _INFERENCE = (WEIGHED_KINDS.index(name) for name in ("training_run", "inference_run"))
MIN_PROBABILITY = 0.5 / N_DRAWS
"""Probabilities below half a draw in all are 0."""

Moves = dict[tuple[str, ...], tuple[Floats, ...]]
"""Draws of the energy (kWh) that is added to development, training and inference, by scope and
name."""


def moved_energies(rows: pl.LazyFrame, inputs: pl.LazyFrame, uncertain: pl.LazyFrame) -> Moves:
    """Energy that each draw of kinds moves between the phases of each group.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        inputs: Result of `roles.role_inputs` for all runs, with `paper` and `project`.
        uncertain: `run_id`, `PROBABILITY_COLUMNS`, and `similar`, which is equal for the runs of
            one person and command.

    Returns:
        Draws by scope and name, for the groups in which some energy moves.
    """
    groups = rows.select(*GROUP_KEY, "run_id", pl.col("phase").cast(pl.String)).collect()
    moves: Moves = {}
    for scope, name, kwh in _unknown_energies(rows, inputs).iter_rows():
        _sides(moves, (scope, name))[0][:] += kwh
    candidates = _candidates(inputs, uncertain)
    trained = set(groups.filter(pl.col("phase") == "training")["run_id"])
    of_runs: dict[int, list[tuple[str, str, str]]] = {}
    wanted = groups.join(candidates.select("run_id"), on="run_id", how="semi")
    for scope, name, run_id, phase in wanted.sort("run_id", *GROUP_KEY).iter_rows():
        of_runs.setdefault(run_id, []).append((scope, name, phase))
    for run_id, kwh, is_training, is_inference in _drawn_phases(candidates, trained):
        for scope, name, phase in of_runs.get(run_id, ()):
            development, training, inference = _sides(moves, (scope, name))
            # unknown runs were added to development
            was_development = float(phase in ("development", "unknown"))
            development += kwh * (~(is_training | is_inference) - was_development)
            training += kwh * (is_training - float(phase == "training"))
            inference += kwh * (is_inference - float(phase == "inference"))
    return {key: sides for key, sides in moves.items() if any(side.any() for side in sides)}


def _sides(moves: Moves, key: tuple[str, str]) -> tuple[Floats, ...]:
    return moves.setdefault(key, tuple(np.zeros(N_DRAWS) for _ in range(3)))


def _unknown_energies(rows: pl.LazyFrame, inputs: pl.LazyFrame) -> pl.DataFrame:
    """Energy of the runs whose kind was not found, by group; labels leave other runs unknown."""
    is_found = pl.col("label_kind").is_null() & pl.col("label_phase").is_null()
    return (
        rows.filter(pl.col("phase").cast(pl.String) == "unknown")
        .join(inputs.filter(is_found).select("run_id"), on="run_id", how="semi")
        .group_by(GROUP_KEY)
        .agg(kwh=sum_or_zero(pl.col("total_kwh")))
        .sort(GROUP_KEY)
        .collect()
    )


def _candidates(inputs: pl.LazyFrame, uncertain: pl.LazyFrame) -> pl.DataFrame:
    """Runs whose phase depends on their kind: by unit, the largest first.

    Columns: `run_id`, `of_unit` (a paper or project), `is_assumed`, `kwh`, `similar`, `size` (the
    power of `ALIKE_FACTOR` below the largest run of its unit and command; null: energy unknown or
    0), `PROBABILITY_COLUMNS`, which are 0 and 1 where a label gives the kind or phase.
    """
    role, label_kind, label_phase = (
        pl.col(f"label_{name}").cast(pl.String) for name in ("role", "kind", "phase")
    )
    is_reported = (role == "reported").fill_null(False)
    of_reported = pl.coalesce(
        pl.concat_str(pl.lit("reported paper "), "paper"),
        pl.concat_str(pl.lit("reported project "), "project"),
        pl.lit("reported"),
    )
    # any kind that is neither training nor inference makes development
    of_phase = label_phase.replace_strict(
        {"training": "training_run", "inference": "inference_run", "development": "debug"},
        default=None,
        return_dtype=pl.String,
    )
    certain = pl.coalesce(of_phase, label_kind)
    return (
        inputs.filter(
            pl.col("kind").is_not_null()
            & (certain != "unknown").fill_null(True)
            & (is_reported | (pl.col("unit").is_not_null() & label_phase.is_null()))
        )
        .join(uncertain, on="run_id")
        .with_columns(
            pl.when(certain.is_not_null())
            .then((certain == kind).cast(pl.Float64))
            .otherwise(f"p_{kind}")
            .alias(f"p_{kind}")
            for kind in WEIGHED_KINDS
        )
        .select(
            "run_id",
            "similar",
            *PROBABILITY_COLUMNS,
            "gpu_hours",
            "total_kwh",
            is_assumed=~is_reported,
            of_unit=pl.when(is_reported).then(of_reported).otherwise("unit"),
            kwh=pl.col("total_kwh").fill_null(0.0),
        )
        .with_columns(size=_size().over("of_unit", "similar"))
        # the order in which `roles.assumed_trainings` ranks trainings
        .sort(
            *("of_unit", "total_kwh", "gpu_hours", "run_id"),
            descending=[False, True, True, False],
            nulls_last=True,
        )
        .collect()
    )


def _size() -> pl.Expr:
    kwh = pl.when(pl.col("kwh") > 0).then("kwh")
    powers = (kwh.max() / kwh).log() / math.log(ALIKE_FACTOR)
    # equal energies differ by no power, whatever the rounding
    return (powers + 1e-9).floor().cast(pl.Int64)


def _drawn_phases(
    candidates: pl.DataFrame, trained: set[int]
) -> Iterator[tuple[int, float, Booleans, Booleans]]:
    """Run, energy, and the draws in which it is training, and inference, of the reported model.

    Args:
        candidates: Result of `_candidates`.
        trained: Runs of phase `training`, which are among the results even where no draw calls them
            a training.
    """
    for _, own in candidates.group_by("of_unit", maintain_order=True):
        can_train = own.filter(pl.col("p_training_run") > MIN_PROBABILITY)
        # of runs that are drawn alike, the first is a training where any other is
        distinct = can_train.unique(_DRAWN_BY, keep="first", maintain_order=True)
        order = _draws_with_training(distinct)
        forced = _most_probable_trainings(can_train) if order is None else set()
        is_assumed = bool(own["is_assumed"][0])
        wanted = own
        if is_assumed:
            is_wanted = pl.col("run_id").is_in(distinct["run_id"].implode())
            wanted = own.filter(is_wanted | pl.col("run_id").is_in(sorted(trained)))
        is_found = np.zeros(N_DRAWS, dtype=bool)
        for row in wanted.iter_rows(named=True):
            if is_assumed and is_found.all() and row["run_id"] not in trained:
                continue
            kinds = _drawn_kinds(row) if order is None else _drawn_kinds(row)[order]
            is_training = (kinds == _TRAINING) | (row["run_id"] in forced)
            is_inference = (kinds == _INFERENCE) & ~is_training
            if is_assumed:
                is_training = is_training & ~is_found
                is_found |= is_training
                is_inference = np.zeros(N_DRAWS, dtype=bool)
            yield row["run_id"], row["kwh"], is_training, is_inference


def _draws_with_training(runs: pl.DataFrame) -> NDArray[np.intp] | None:
    """For each draw, the draw that replaces it: itself where one of the runs is a training.

    The others are replaced by those with a training, each as often as any other (but for one).
    None: no draw has a training.
    """
    is_missing = np.ones(N_DRAWS, dtype=bool)
    for row in runs.iter_rows(named=True):
        is_missing &= _drawn_kinds(row) != _TRAINING
        if not is_missing.any():
            break
    order, given = np.arange(N_DRAWS), np.flatnonzero(~is_missing)
    if not len(given):
        return None
    n_missing = int(np.count_nonzero(is_missing))
    order[is_missing] = given[np.arange(n_missing) * len(given) // max(n_missing, 1)]
    return order


def _most_probable_trainings(runs: pl.DataFrame) -> set[int]:
    """The run most probable to be a training, and those alike; none where there is no run."""
    first = runs.sort("p_training_run", descending=True, maintain_order=True).head(1)
    alike = runs.join(first.select(_ALIKE_BY), on=_ALIKE_BY, how="semi", nulls_equal=True)
    return set(alike["run_id"])


def _drawn_kinds(row: dict[str, Any]) -> NDArray[np.intp]:
    """Place in `WEIGHED_KINDS` of the kind of a run in each draw."""
    ends = np.cumsum([row[name] for name in PROBABILITY_COLUMNS])[:-1]
    similar, size = str(row["similar"]), row["size"]
    drawn = uniform_draws("kind", similar)
    # runs of the largest size have the common numbers always
    if size != 0:
        is_common = uniform_draws("common kind", similar) < COMMON_FRAC
        drawn = np.where(is_common, drawn, uniform_draws("kind", similar, str(size)))
    return np.searchsorted(ends, drawn, side="right")
