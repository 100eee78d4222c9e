"""Kinds of runs by weights: a probability of each kind, and the features that weighed most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint.core.arrays import Floats
from footprint.core.vocabulary import KINDS
from footprint.phases.binned_features import Bins, bin_features, bin_texts
from footprint.phases.kind_weights import WEIGHED_KINDS, KindWeights, load_weights, softmax

MIN_PROBABILITY = 0.5
"""Probability of the most probable kind below which the kind is `unknown`."""

N_REASONS = 3
"""Features named for each run."""

PROBABILITY_COLUMNS = tuple(f"p_{kind}" for kind in WEIGHED_KINDS)
WEIGHED_SCHEMA = pl.Schema(
    {
        "run_id": pl.Int64(),
        "kind": pl.Enum(KINDS),
        "confidence": pl.Float64(),
        **dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64()),
        "reasons": pl.String(),
        "weights_version": pl.String(),
    }
)
_CHUNK_ROWS = 20_000
_DIGITS = 4


def weigh_runs(
    features: pl.LazyFrame,
    *,
    weights: KindWeights | None = None,
    min_probability: float = MIN_PROBABILITY,
) -> pl.LazyFrame:
    """Kind of each run, with the probability of every kind.

    Runs that never started have neither. Interactive jobs are interactive for certain.

    Args:
        features: Result of `features.collect_features`.
        weights: Weights; None: those of the repository.
        min_probability: Probability of the most probable kind below which the kind is `unknown`.

    Returns:
        `WEIGHED_SCHEMA`, one row a run, sorted by run. `confidence` is the probability of the most
        probable kind. `reasons` names the features that raised its log odds against the other kinds
        most, with the amounts, as in `ran 8 to 16 h (+1.2); time at idle under 0.02 (+0.8)`.
    """
    known = weights or load_weights()
    table = features.collect()
    parts = [pl.DataFrame(schema=WEIGHED_SCHEMA)]
    parts += [_weigh_rows(rows, known, min_probability) for rows in table.iter_slices(_CHUNK_ROWS)]
    return pl.concat(parts).sort("run_id").lazy()


def _weigh_rows(
    features: pl.DataFrame, weights: KindWeights, min_probability: float
) -> pl.DataFrame:
    bins = bin_features(features)
    probabilities = softmax(weights.sums(bins))
    reasons = explain(bins, probabilities, weights)
    has_run = (features["n_jobs"] > 0).to_numpy()
    is_interactive = features["interactive"].fill_null(False).to_numpy() & has_run
    certain = np.array([float(kind == "interactive") for kind in WEIGHED_KINDS])
    probabilities[is_interactive] = certain
    rounded = probabilities.round(_DIGITS)
    columns = pl.DataFrame(
        {name: rounded[:, i] for i, name in enumerate(PROBABILITY_COLUMNS)},
        schema=dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64),
    )
    best = pl.Series(np.array(WEIGHED_KINDS)[probabilities.argmax(axis=1)], dtype=pl.Enum(KINDS))
    frame = columns.with_columns(
        run_id=features["run_id"],
        best=best,
        has_run=pl.Series(has_run),
        is_interactive=pl.Series(is_interactive),
        reasons=reasons,
        confidence=pl.max_horizontal(PROBABILITY_COLUMNS),
        weights_version=pl.lit(weights.version),
    )
    is_sure = pl.col("confidence") >= min_probability
    return frame.select(
        "run_id",
        kind=pl.when("has_run").then(
            pl.when(is_sure).then("best").otherwise(pl.lit("unknown", pl.Enum(KINDS)))
        ),
        confidence=pl.when("has_run").then("confidence").otherwise(1.0),
        **{name: pl.when("has_run").then(name) for name in PROBABILITY_COLUMNS},
        reasons=pl.when(~pl.col("has_run"))
        .then(pl.lit("never started"))
        .when("is_interactive")
        .then(pl.lit("interactive job type"))
        .otherwise("reasons"),
        weights_version="weights_version",
    ).cast(WEIGHED_SCHEMA)


def explain(bins: Bins, probabilities: Floats, weights: KindWeights) -> pl.Series:
    """The features that raised the log odds of each run's most probable kind most.

    The contribution of a feature is its weight for the kind less its mean weight for the other
    kinds, each by its probability, over the temperature.
    """
    best, others = _best_and_others(probabilities)
    contributions = (
        np.column_stack(
            [
                table[bins[:, i], best] - (table[bins[:, i]] * others).sum(axis=1)
                for i, table in enumerate(weights.weights)
            ]
        )
        / (weights.temperatures_of(bins)[:, None])
    )
    top = np.argsort(-contributions, axis=1, kind="stable")[:, :N_REASONS]
    rows = np.arange(len(bins))
    starts = np.cumsum([0, *(len(table) for table in weights.weights)])[:-1]
    texts = pl.Series([text for each in bin_texts() for text in each])
    terms = []
    for rank in range(top.shape[1]):
        column = top[:, rank]
        amount = contributions[rows, column]
        text = texts.gather(starts[column] + bins[rows, column])
        terms.append(_terms(text, amount))
    joined = pl.DataFrame({str(rank): term for rank, term in enumerate(terms)})
    return joined.select(pl.concat_str(pl.all(), separator="; ", ignore_nulls=True)).to_series()


def _best_and_others(probabilities: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """The most probable kind, and the probabilities of the others, which sum to 1."""
    best = probabilities.argmax(axis=1)
    others = probabilities + 1e-12
    others[np.arange(len(best)), best] = 0.0
    return best, others / others.sum(axis=1, keepdims=True)


def _terms(text: pl.Series, amount: Floats) -> pl.Series:
    """`text (+1.2)`; null where the amount is not above 0."""
    frame = pl.DataFrame({"text": text, "tenths": np.rint(amount * 10).astype(np.int64)})
    tenths = pl.col("tenths")
    whole = pl.format("{} (+{}.{})", "text", tenths // 10, tenths % 10)
    return frame.select(term=pl.when(tenths > 0).then(whole))["term"]
