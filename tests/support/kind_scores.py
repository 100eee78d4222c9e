"""Scores of the probabilities of kinds against true kinds, by energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from footprint.phases.binned_features import feature_names
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import MIN_PROBABILITY
from tests.support.kind_fits import LabelledRuns

Floats = NDArray[np.float64]

DEVELOPMENT_KINDS = ("interactive", "debug", "idle_hold", "preprocessing")
"""Kinds that are development whatever labels say."""


class Score(NamedTuple):
    """Scores of one set of runs; all are shares of energy.

    Attributes:
        right: Energy whose most probable kind is right.
        right_given: The same with kinds under the smallest probability as wrong (`unknown`).
        unknown: Energy of unknown kind.
        training: Energy of trainings: what "everything is training" gets right.
        worst: Smallest `right` less `training` of a site.
        calibration_error: Expected calibration error in ten bins of confidence.
        inference: Recall of inference where power is known.
        development: Recall of the kinds of `DEVELOPMENT_KINDS`.
    """

    right: float
    right_given: float
    unknown: float
    training: float
    worst: float
    calibration_error: float
    inference: float
    development: float


def share(mass: Floats, condition: NDArray[np.bool_]) -> float:
    """Share of a mass where a condition holds; NaN of no mass."""
    whole = float(mass.sum())
    return float(mass[condition].sum()) / whole if whole else float("nan")


def reliability(
    confidence: Floats, is_right: NDArray[np.bool_], mass: Floats
) -> list[tuple[float, float, float]]:
    """Mass, mean confidence and right share of each tenth of confidence that has a mass."""
    tenth = np.minimum((confidence * 10).astype(int), 9)
    rows = []
    for number in range(10):
        inside = tenth == number
        weight = float(mass[inside].sum())
        if weight:
            mean = float((mass * confidence)[inside].sum()) / weight
            rows.append((weight, mean, share(mass[inside], is_right[inside])))
    return rows


def score(runs: LabelledRuns, probabilities: Floats) -> Score:
    """Scores of probabilities, one row a run and one column a kind of `WEIGHED_KINDS`."""
    found, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    is_right, mass = found == runs.kinds, runs.kwh
    is_training = runs.kinds == WEIGHED_KINDS.index("training_run")
    is_inference = runs.kinds == WEIGHED_KINDS.index("inference_run")
    is_development = np.isin(runs.kinds, [WEIGHED_KINDS.index(k) for k in DEVELOPMENT_KINDS])
    has_power = has_own_power(runs)
    is_sure = confidence >= MIN_PROBABILITY
    by_site = [runs.sites == site for site in np.unique(runs.sites)]
    table = reliability(confidence, is_right, mass)
    error = sum(weight * abs(mean - right) for weight, mean, right in table) / mass.sum()
    of_inference = is_inference & has_power
    return Score(
        right=share(mass, is_right),
        right_given=share(mass, is_right & is_sure),
        unknown=share(mass, ~is_sure),
        training=share(mass, is_training),
        worst=min(
            share(mass[own], is_right[own]) - share(mass[own], is_training[own]) for own in by_site
        ),
        calibration_error=float(error),
        inference=share(mass[of_inference], is_right[of_inference]),
        development=share(
            mass[is_development],
            np.isin(found[is_development], [WEIGHED_KINDS.index(k) for k in DEVELOPMENT_KINDS]),
        ),
    )


def has_own_power(runs: LabelledRuns) -> NDArray[np.bool_]:
    """Whether the power of each run's own hardware is known."""
    return np.asarray(runs.bins[:, feature_names().index("level")] > 0)


def confusion(runs: LabelledRuns, probabilities: Floats) -> Floats:
    """Energy by true kind (rows) and most probable kind (columns)."""
    table = np.zeros((len(WEIGHED_KINDS), len(WEIGHED_KINDS)))
    np.add.at(table, (runs.kinds, probabilities.argmax(axis=1)), runs.kwh)
    return table


def recall_by_habit(runs: LabelledRuns, probabilities: Floats) -> dict[str, tuple[float, float]]:
    """Energy and its share of the right kind, by habit."""
    is_right = probabilities.argmax(axis=1) == runs.kinds
    return {
        str(habit): (
            float(runs.kwh[runs.habits == habit].sum()),
            share(runs.kwh[runs.habits == habit], is_right[runs.habits == habit]),
        )
        for habit in np.unique(runs.habits)
    }


def score_lines(rows: Sequence[tuple[str, Score]]) -> list[str]:
    """Lines of a table of scores, in %."""
    head = f"{'':<34}" + "".join(f"{name[:11]:>12}" for name in Score._fields)
    return [head] + [
        f"{name:<34}" + "".join(f"{100 * value:>12.1f}" for value in each) for name, each in rows
    ]
