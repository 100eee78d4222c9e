"""Weights of binned features for the kinds of runs, and the file in which they are kept.

The weights are those of a multinomial logistic regression: the probabilities of the kinds are
proportional to the exponential of the sum of the weights of a run's bins, over a temperature. They
are fitted by `tests/benchmarks/fit_kinds.py` on simulated sites.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from footprint.core.arrays import Floats
from footprint.core.errors import InputError
from footprint.core.vocabulary import KINDS
from footprint.phases.binned_features import Bins, bin_counts, feature_names
from footprint.phases.feature_bins import FEATURES

WEIGHTS_FILE = Path(__file__).parent / "weights.json"
"""The weights of the repository."""

WEIGHED_KINDS = tuple(kind for kind in KINDS if kind != "unknown")
"""Kinds with a probability, in the order of the columns of all arrays."""

SETTINGS = ("power_and_words", "power", "words", "neither")
"""What is known of a run, which decides the temperature: power of its own hardware, words of its
command or name that are in a list."""

_DIGITS = 3


@dataclass(frozen=True)
class KindWeights:
    """Weights of all bins.

    Attributes:
        version: First digits of a hash of the weights.
        weights: For each feature of `binned_features.feature_names` one row a bin, one column a
            kind of `WEIGHED_KINDS`. Their mean over the runs of the fit is 0.
        intercepts: Sum of the weights of the average run, by kind.
        temperatures: Divisor of the sums by setting.
        origin: How the weights were made: command, seeds, versions.
    """

    version: str
    weights: tuple[Floats, ...]
    intercepts: Floats
    temperatures: Mapping[str, float]
    origin: Mapping[str, Any]

    def sums(self, bins: Bins) -> Floats:
        """Sums of weights over the temperature: one row a run, one column a kind."""
        total = np.tile(self.intercepts, (len(bins), 1))
        for column, weights in enumerate(self.weights):
            total += weights[bins[:, column]]
        return total / self.temperatures_of(bins)[:, None]

    def temperatures_of(self, bins: Bins) -> Floats:
        """Temperature of each run."""
        by_setting = np.array([self.temperatures[name] for name in SETTINGS])
        return np.asarray(by_setting[settings_of(bins)], dtype=np.float64)

    def probabilities(self, bins: Bins) -> Floats:
        """Probability of each kind of `WEIGHED_KINDS`, one row a run."""
        return softmax(self.sums(bins))

    def to_json(self) -> str:
        """The text of a file of weights."""
        features = [
            {
                "name": name,
                **_bin_definition(i),
                "weights": [
                    [round(float(value), _DIGITS) for value in row] for row in self.weights[i]
                ],
            }
            for i, name in enumerate(feature_names())
        ]
        head = {
            "origin": dict(self.origin),
            "kinds": list(WEIGHED_KINDS),
            "temperatures": {name: round(self.temperatures[name], _DIGITS) for name in SETTINGS},
            "intercepts": [round(float(value), _DIGITS) for value in self.intercepts],
        }
        lines = ",\n".join(f"  {json.dumps(each)}" for each in features)
        body = json.dumps(head, indent=1)[:-2]
        return f'{body},\n "version": "{self.version}",\n "features": [\n{lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Weights of a file.

        Args:
            text: Text of the file.
            where: Path of the file for messages.

        Raises:
            InputError: The file is of other kinds, features or bins than the code, or has a value
                that is not a finite number.
        """
        read = json.loads(text)
        names = [each["name"] for each in read["features"]]
        defined = [{"name": name, **_bin_definition(i)} for i, name in enumerate(feature_names())]
        found = [{k: v for k, v in each.items() if k != "weights"} for each in read["features"]]
        if read["kinds"] != list(WEIGHED_KINDS) or found != defined:
            differing = sorted(
                {each["name"] for each in defined if each not in found}
                | ({*names} - {*feature_names()})
            )
            raise InputError(
                f"the weights are of other bins than the code: {', '.join(differing) or 'kinds'}",
                where=where,
                do="fit them again with tests/benchmarks/fit_kinds.py",
            )
        numbers = {each["name"]: each["weights"] for each in read["features"]}
        numbers["intercepts"] = read["intercepts"]
        numbers["temperatures"] = list(read["temperatures"].values())
        for name, values in numbers.items():
            if not np.isfinite(np.array(values, dtype=np.float64)).all():
                raise InputError(
                    f"a value of {name} is not a finite number",
                    where=where,
                    do="fit them again with tests/benchmarks/fit_kinds.py",
                )
        return cls(
            version=read["version"],
            weights=tuple(np.array(each["weights"]) for each in read["features"]),
            intercepts=np.array(read["intercepts"]),
            temperatures=read["temperatures"],
            origin=read["origin"],
        )


def _bin_definition(column: int) -> dict[str, Any]:
    """Edges or categories of a feature; crossed features have a number of bins alone."""
    if column >= len(FEATURES):
        return {"n_bins": bin_counts()[column]}
    feature = FEATURES[column]
    if feature.categories:
        return {"categories": list(feature.categories)}
    return {"edges": list(feature.edges)}


@cache
def load_weights(path: Path = WEIGHTS_FILE) -> KindWeights:
    """Weights of a file, by default those of the repository.

    Raises:
        InputError: See `KindWeights.from_json`.
    """
    return KindWeights.from_json(path.read_text(encoding="utf-8"), where=str(path))


def settings_of(bins: Bins) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Index into `SETTINGS` of each run."""
    names = feature_names()
    has_power = bins[:, names.index("level")] > 0
    words = [i for i, each in enumerate(FEATURES) if each.name.startswith(("command_", "name_"))]
    # bin 1 is no word, bin 0 no text
    has_words = (bins[:, words] > 1).any(axis=1)
    return np.asarray(2 * ~has_power + ~has_words, dtype=np.int64)


def softmax(sums: Floats) -> Floats:
    """Exponentials of each row over their sum."""
    raised = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)
