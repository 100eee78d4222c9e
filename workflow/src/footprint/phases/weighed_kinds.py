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
        "rule": pl.String(),
        "features": pl.String(),
        "confidence": pl.Float64(),
        **dict.fromkeys(PROBABILITY_COLUMNS, pl.Float64()),
    }
)
VARIED_PROBABILITIES = (0.0, 0.4, 0.6, 0.7)
"""Smallest probabilities of a kind, of which `weigh_variants` takes one after the other."""

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
        `WEIGHED_SCHEMA`, one row a run, sorted by run. `rule` is `weights`, or `never_ran` or
        `interactive` for runs that are certain. `confidence` is the probability of the most
        probable kind. `features` names the features that raised its log odds against the other
        kinds most, with the amounts, as in `ran 8 to 16 h (+1.2); time at idle under 0.02 (+0.8)`.
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
    )
    is_sure = pl.col("confidence") >= min_probability
    return frame.select(
        "run_id",
        kind=pl.when("has_run").then(
            pl.when(is_sure).then("best").otherwise(pl.lit("unknown", pl.Enum(KINDS)))
        ),
        confidence=pl.when("has_run").then("confidence").otherwise(1.0),
        **{name: pl.when("has_run").then(name) for name in PROBABILITY_COLUMNS},
        rule=pl.when(~pl.col("has_run"))
        .then(pl.lit("never_ran"))
        .when("is_interactive")
        .then(pl.lit("interactive"))
        .otherwise(pl.lit("weights")),
        features=pl.when(pl.col("has_run") & ~pl.col("is_interactive"))
        .then("reasons")
        .otherwise(pl.lit("")),
    ).select(pl.col(name).cast(dtype) for name, dtype in WEIGHED_SCHEMA.items())


def with_labelled_kinds(weighed: pl.LazyFrame, kinds_by_run: pl.LazyFrame) -> pl.LazyFrame:
    """Kinds in which those of labels replace those of weights.

    Args:
        weighed: Result of `weigh_runs`.
        kinds_by_run: `run_id` and `kind` of labels; null: no label gives a kind.

    Returns:
        `WEIGHED_SCHEMA`. Replaced rows have the rule `label`, and probability 1 of the kind; where
        the label says `unknown`, the probabilities stay. Runs that never started stay without a
        kind.
    """
    labels = kinds_by_run.select("run_id", label_kind=pl.col("kind").cast(pl.Enum(KINDS)))
    is_labelled = pl.col("label_kind").is_not_null() & pl.col("kind").is_not_null()
    certain: dict[str, pl.Expr] = {
        "kind": pl.col("label_kind"),
        "rule": pl.lit("label"),
        "features": pl.lit(""),
        "confidence": pl.lit(1.0),
        **{
            name: pl.when(pl.col("label_kind") != "unknown")
            .then((pl.col("label_kind") == kind).cast(pl.Float64))
            .otherwise(name)
            for name, kind in zip(PROBABILITY_COLUMNS, WEIGHED_KINDS, strict=True)
        },
    }
    return (
        weighed.join(labels, on="run_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(is_labelled).then(value).otherwise(name).alias(name)
            for name, value in certain.items()
        )
        .select(WEIGHED_SCHEMA.names())
    )


def weigh_variants(weighed: pl.LazyFrame) -> pl.LazyFrame:
    """Kind of each run under each of `VARIED_PROBABILITIES`.

    Args:
        weighed: `run_id` and `PROBABILITY_COLUMNS` of runs, without changes by labels.

    Returns:
        `run_id`, `variant` (its index) and `kind`, sorted by variant and run.
    """
    found = weighed.select("run_id", *PROBABILITY_COLUMNS).sort("run_id").collect().lazy()
    return pl.concat(
        found.select(
            "run_id", variant=pl.lit(variant, pl.Int16), kind=most_probable_kind(probability)
        )
        for variant, probability in enumerate(VARIED_PROBABILITIES)
    )


def most_probable_kind(min_probability: float) -> pl.Expr:
    """The most probable kind by `PROBABILITY_COLUMNS`; null where they are null.

    Args:
        min_probability: Probability of this kind below which it is `unknown`.
    """
    largest = pl.max_horizontal(PROBABILITY_COLUMNS)
    best = pl.coalesce(
        pl.when(pl.col(name) == largest).then(pl.lit(kind, pl.Enum(KINDS)))
        for name, kind in zip(PROBABILITY_COLUMNS, WEIGHED_KINDS, strict=True)
    )
    unknown = pl.lit("unknown", pl.Enum(KINDS))
    return pl.when(largest >= min_probability).then(best).when(largest.is_not_null()).then(unknown)


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
