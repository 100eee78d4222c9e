"""Fit the weights of `footprint.phases.kind_weights` to labelled runs, with scikit-learn.

scikit-learn is in the dependency group `fit`: only `tests/benchmarks/fit_kinds.py` and the tests of
this module need it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint.phases.binned_features import (
    Bins,
    bin_counts,
    bin_features,
    columns_of_group,
    cross_bins,
    feature_names,
    withhold,
)
from footprint.phases.feature_bins import FEATURES
from footprint.phases.kind_weights import (
    SETTINGS,
    WEIGHED_KINDS,
    KindWeights,
    settings_of,
    softmax,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WITHHELD: tuple[tuple[tuple[str, ...], float], ...] = (
    ((), 0.2),
    (("power",), 0.15),
    (("commands", "names"), 0.15),
    (("commands",), 0.1),
    (("walltimes",), 0.1),
    (("commands", "names", "walltimes"), 0.1),
    (("commands", "names", "power"), 0.1),
    (("power", "walltimes"), 0.05),
    (("habits", "walltimes"), 0.05),
    (("commands", "names", "power", "walltimes"), 0.05),
)
"""Groups of features withheld from the copies of runs, and the share of the copies."""

PENALTY = 10.0
"""Half the weight of the squared weights against the log loss of all runs, which weigh 1 each on
average."""

MAX_ITERATIONS = 60
"""Iterations of the fit. More change accuracies of held-out habits by less than 0.2 points."""

GROUP_SCALES = {"commands": 2.0}
"""Scales of groups of features: their weights cost the less the larger it is. Words of a command
mean the same whoever writes them; times and powers are habits."""

MAX_NAME_WEIGHT = 0.75
"""Largest weight of a word of a name, on both sides."""

MISLEADING_FRAC = 0.05
"""Share of the copies with the words of another run: real words mislead more often than those of
the simulated site (`train_eval.py`, a script that was copied)."""

EQUAL_WALLTIMES_FRAC = 0.2
"""Share of the copies as if everybody requested one of `EQUAL_WALLTIMES_H` always."""

EQUAL_WALLTIMES_H = (24.0, 48.0, 168.0)

FLOOR = 0.01
"""Energy added to that of each run, as a fraction of the mean."""

ENERGY_POWER = 0.5
"""Exponent of a run's energy in its weight: between runs alike (0) and energy alone (1)."""


@dataclass(frozen=True)
class LabelledRuns:
    """Runs with their true kinds.

    Attributes:
        bins: Result of `binned_features.bin_features`.
        kinds: Index into `WEIGHED_KINDS` of each run.
        kwh: Energy of each run.
        sites: Site of each run, as a number.
        ran_h: Run time of each run.
        habits: Habit of each run; `usual` without one.
    """

    bins: Bins
    kinds: Integers
    kwh: Floats
    sites: Integers
    ran_h: Floats
    habits: NDArray[np.str_]

    def take(self, rows: Any) -> LabelledRuns:
        """Some of the runs, by index or condition."""
        return LabelledRuns(*(getattr(self, field.name)[rows] for field in fields(self)))

    def with_bins(self, bins: Bins) -> LabelledRuns:
        """The runs with other bins."""
        return replace(self, bins=bins)


def labelled_runs(features: pl.DataFrame, truth: pl.DataFrame, *, site: int) -> LabelledRuns:
    """Runs that started and whose true kind is known.

    Args:
        features: Result of `features.collect_features`.
        truth: `run_id`, `kind`, `total_kwh`, `habit`.
        site: Number of the site.
    """
    known = features.join(
        truth.select("run_id", "total_kwh", "habit", true_kind=pl.col("kind").cast(pl.String)),
        on="run_id",
        maintain_order="left",
    ).filter(pl.col("n_jobs") > 0, pl.col("true_kind").is_in(WEIGHED_KINDS))
    numbers = {kind: number for number, kind in enumerate(WEIGHED_KINDS)}
    return LabelledRuns(
        bins=bin_features(known.drop("true_kind", "total_kwh", "habit")),
        kinds=known["true_kind"].replace_strict(numbers, return_dtype=pl.Int64).to_numpy(),
        kwh=known["total_kwh"].fill_null(0.0).to_numpy().copy(),
        sites=np.full(len(known), site),
        ran_h=known["ran_s"].fill_null(0.0).to_numpy() / 3600,
        habits=known["habit"].fill_null("usual").to_numpy().astype(np.str_),
    )


def concatenate(parts: Sequence[LabelledRuns]) -> LabelledRuns:
    """The runs of several sites."""
    return LabelledRuns(
        *(
            np.concatenate([getattr(each, field.name) for each in parts])
            for field in fields(LabelledRuns)
        )
    )


def example_weights(runs: LabelledRuns) -> Floats:
    """Weight of each run in the fit: a power of its energy, with the same sum for each site."""
    floor = FLOOR * (runs.kwh.sum() / max(len(runs.kwh), 1))
    weights = np.asarray((runs.kwh + floor) ** ENERGY_POWER, dtype=np.float64)
    for site in np.unique(runs.sites):
        of_site = runs.sites == site
        weights[of_site] *= of_site.sum() / weights[of_site].sum()
    return weights


def thinned(runs: LabelledRuns, rng: np.random.Generator) -> tuple[LabelledRuns, Floats]:
    """Fewer runs of little weight, and the weights of the runs that are left.

    Of the runs that weigh less than the average each is left with a probability in proportion to
    its weight, and then weighs as the average, so that sums are kept in expectation.
    """
    weights = example_weights(runs)
    probability = np.minimum(weights / weights.mean(), 1.0)
    is_left = rng.random(len(weights)) < probability
    return runs.take(is_left), (weights / probability)[is_left]


def with_withheld(runs: LabelledRuns, rng: np.random.Generator) -> LabelledRuns:
    """The runs, and one copy of each with groups of features withheld by `WITHHELD`."""
    shares = np.array([share for _, share in WITHHELD])
    drawn = rng.choice(len(WITHHELD), size=len(runs.kinds), p=shares / shares.sum())
    copies = runs.bins.copy()
    for number, (groups, _) in enumerate(WITHHELD):
        of_pattern = drawn == number
        copies[of_pattern] = withhold(runs.bins[of_pattern], groups)
    copies = with_misleading_words(copies, rng)
    equal = rng.random(len(runs.kinds)) < EQUAL_WALLTIMES_FRAC
    walltimes_h = rng.choice(EQUAL_WALLTIMES_H, size=len(runs.kinds))
    copied = runs.with_bins(copies)
    as_equal = with_equal_walltimes(copied, walltimes_h).bins
    copied = copied.with_bins(np.where(equal[:, None], as_equal, copies))
    return concatenate([runs, copied])


def with_misleading_words(bins: Bins, rng: np.random.Generator) -> Bins:
    """Bins in which a share of the runs (`MISLEADING_FRAC`) has the words of another run."""
    columns = columns_of_group("commands") + columns_of_group("names")
    misled = np.flatnonzero(rng.random(len(bins)) < MISLEADING_FRAC)
    others = rng.integers(0, len(bins), size=len(misled))
    changed = bins.copy()
    changed[np.ix_(misled, columns)] = bins[np.ix_(others, columns)]
    return cross_bins(changed)


def with_equal_walltimes(runs: LabelledRuns, walltime_h: float | Floats) -> LabelledRuns:
    """The runs as if everybody requested one walltime always, where walltimes are known."""
    names = feature_names()
    edges = {each.name: each.edges for each in FEATURES}
    bins = runs.bins.copy()
    was_known = bins[:, names.index("limit_walltime")] > 0
    for name, value in {
        "usual_walltime": 1.0,
        "same_walltime": 1.0,
        "limit_walltime": 1.0,
        "used_walltime": runs.ran_h / walltime_h,
    }.items():
        column = names.index(name)
        found = np.searchsorted(edges[name], value, side="right") + 1
        bins[:, column] = np.where(was_known, found, bins[:, column])
    return runs.with_bins(cross_bins(bins))


def fit_weights(
    runs: LabelledRuns, *, seed: int, origin: dict[str, Any], penalty: float = PENALTY
) -> KindWeights:
    """Weights without calibration: all temperatures are 1.

    Each run counts twice, as it is and with groups of features withheld at random. Runs without
    energy, which were preempted as they started, do not count: hardly a feature of them is known,
    so that runs of which nothing is known would pass for their kind.

    Args:
        runs: Runs of several sites.
        seed: Seed of what is left out and withheld.
        origin: How the weights are made, for the file.
        penalty: Half the weight of the squared weights against the log loss.

    Raises:
        ValueError: There are fewer than three kinds, for which scikit-learn has other weights.
    """
    if len(np.unique(runs.kinds)) < 3:
        raise ValueError("the runs have fewer than three kinds")
    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    left, weights = thinned(runs.take(runs.kwh > 0), rng)
    examples, weights = with_withheld(left, rng), np.tile(weights, 2)
    counts = np.array(bin_counts())
    starts = np.concatenate([[0], np.cumsum(counts)])
    scales = _scales(counts)
    rows, columns = examples.bins.shape
    indices = (starts[:-1] + examples.bins).ravel()
    design = csr_matrix(
        (scales[indices], indices, np.arange(0, rows * columns + 1, columns)),
        shape=(rows, int(starts[-1])),
    )
    model = LogisticRegression(C=1.0 / penalty, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design, examples.kinds, sample_weight=weights)
    fitted = np.zeros((int(starts[-1]), len(WEIGHED_KINDS)))
    fitted[:, model.classes_] = model.coef_.T * scales[:, None]
    intercepts = np.full(len(WEIGHED_KINDS), -20.0)
    intercepts[model.classes_] = model.intercept_
    tables = []
    share = weights / weights.sum()
    for i, (start, stop) in enumerate(pairwise(starts)):
        table = fitted[start:stop]
        present = np.bincount(examples.bins[:, i], weights=share, minlength=stop - start)
        mean = present @ table
        centred = np.where((present > 0)[:, None], table - mean, 0.0)
        tables.append(centred)
        intercepts = intercepts + mean
    tables = _bound_names(tables)
    return KindWeights(
        version="",
        weights=tuple(np.round(table, 3) for table in tables),
        intercepts=np.round(intercepts, 3),
        temperatures=dict.fromkeys(SETTINGS, 1.0),
        origin=origin,
    )


def _scales(counts: Integers) -> Floats:
    scales = [np.ones(count) for count in counts]
    for group, scale in GROUP_SCALES.items():
        for i in columns_of_group(group):
            scales[i] *= scale
    return np.concatenate(scales)


def _bound_names(tables: list[Floats]) -> list[Floats]:
    """Tables in which no word of a name weighs more than `MAX_NAME_WEIGHT`."""
    names = set(columns_of_group("names"))
    return [
        np.clip(table, -MAX_NAME_WEIGHT, MAX_NAME_WEIGHT) if i in names else table
        for i, table in enumerate(tables)
    ]


def calibrate(sums: Floats, bins: Bins, kinds: Integers, weights: Floats) -> dict[str, float]:
    """Temperature of each setting with the least weighted log loss.

    Args:
        sums: Sums of weights of held-out runs, by models that have not seen them.
        bins: Their bins.
        kinds: Their true kinds.
        weights: Weight of each run.
    """
    candidates = np.round(np.geomspace(0.5, 8.0, 61), 3)
    settings = settings_of(bins)
    found = {}
    for number, name in enumerate(SETTINGS):
        of_setting = settings == number
        if of_setting.sum() < 50:
            of_setting = np.ones(len(kinds), dtype=bool)
        own, true, mass = sums[of_setting], kinds[of_setting], weights[of_setting]
        losses = [
            -(mass * np.log(softmax(own / t)[np.arange(len(true)), true] + 1e-9)).sum()
            for t in candidates
        ]
        found[name] = float(candidates[int(np.argmin(losses))])
    return found


def with_version(weights: KindWeights, temperatures: dict[str, float]) -> KindWeights:
    """Weights with temperatures, and the version that follows from both."""
    digest = hashlib.sha256()
    for table in (*weights.weights, weights.intercepts):
        digest.update(np.round(table, 3).tobytes())
    digest.update(repr(sorted(temperatures.items())).encode())
    return KindWeights(
        version=digest.hexdigest()[:8],
        weights=weights.weights,
        intercepts=weights.intercepts,
        temperatures=temperatures,
        origin=weights.origin,
    )
