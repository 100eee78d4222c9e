"""Draws of the energy that uncertain kinds move between the phases of a group.

A kind moves energy only where the phase follows from it (`roles.add_roles_and_phases`):

- A run with the label `reported`, and no label of its kind or phase, is training, inference or
  development by the kind drawn.
- Where the reported training is assumed, each draw assumes it anew: the largest run whose kind is
  drawn as a training. All other runs of the paper are development.
- A run of unknown kind and without a reported role is development, of whatever kind it is.

All runs of one person and command take the same uniform draw: words, habits and requested walltimes
are alike in them, so that the classifier is right or wrong about all at once; runs with equal
probabilities have equal kinds. For sums of many runs this is the widest of all correlations. For
the question which of two reported runs of one command is the training it is the narrowest. Labelled
kinds and phases are certain.

A paper with a reported model was trained: in draws without any training among the runs that may be
the reported one, the run most probable to be a training is the training.
"""

from __future__ import annotations

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

_DRAWN_BY = ["similar", *PROBABILITY_COLUMNS]
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

    Columns: `run_id`, `of_unit` (a paper or project), `is_assumed`, `kwh`, `similar`,
    `PROBABILITY_COLUMNS`, which are 0 and 1 where a label gives the kind or phase.
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
        # the order in which `roles.assumed_trainings` ranks trainings
        .sort(
            *("of_unit", "total_kwh", "gpu_hours", "run_id"),
            descending=[False, True, True, False],
            nulls_last=True,
        )
        .collect()
    )


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
        missing = _draws_without_training(distinct)
        order = distinct.sort("p_training_run", descending=True, maintain_order=True)
        forced = order["run_id"][0] if len(order) else None
        is_assumed = bool(own["is_assumed"][0])
        wanted = own
        if is_assumed:
            is_wanted = pl.col("run_id").is_in(distinct["run_id"].implode())
            wanted = own.filter(is_wanted | pl.col("run_id").is_in(sorted(trained)))
        is_found = np.zeros(N_DRAWS, dtype=bool)
        for row in wanted.iter_rows(named=True):
            if is_assumed and is_found.all() and row["run_id"] not in trained:
                continue
            kinds = _drawn_kinds(row)
            is_training = kinds == _TRAINING
            if row["run_id"] == forced:
                is_training = is_training | missing
            is_inference = (kinds == _INFERENCE) & ~is_training
            if is_assumed:
                is_training = is_training & ~is_found
                is_found |= is_training
                is_inference = np.zeros(N_DRAWS, dtype=bool)
            yield row["run_id"], row["kwh"], is_training, is_inference


def _draws_without_training(runs: pl.DataFrame) -> Booleans:
    """Draws in which none of the runs is a training; none where there is no run."""
    missing = np.full(N_DRAWS, len(runs) > 0)
    for row in runs.iter_rows(named=True):
        if not missing.any():
            break
        missing &= _drawn_kinds(row) != _TRAINING
    return missing


def _drawn_kinds(row: dict[str, Any]) -> NDArray[np.intp]:
    """Place in `WEIGHED_KINDS` of the kind of a run in each draw."""
    ends = np.cumsum([row[name] for name in PROBABILITY_COLUMNS])[:-1]
    return np.searchsorted(ends, uniform_draws("kind", str(row["similar"])), side="right")
