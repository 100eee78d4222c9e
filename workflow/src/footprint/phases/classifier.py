"""Classify runs: the first rule of `footprint.phases.rules` that applies gives the kind.

Each classification keeps the rule, the features that the rule used, and the rule's confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import polars as pl

from footprint.core.vocabulary import KINDS
from footprint.phases.rules import RULES, Rule
from footprint.phases.thresholds import Thresholds

__all__ = [
    "RULES",
    "RULE_SET",
    "VARIED_THRESHOLDS",
    "Rule",
    "Thresholds",
    "apply_labels",
    "classify_runs",
    "classify_variants",
]

RULE_SET = "2"
"""Version of the rules. Raise it with every change of a rule, of the order or of a default."""

VARIED_THRESHOLDS = ("idle_level", "debug_s", "plateau_level", "long_walltime_h")
"""The thresholds with most influence, which `classify_variants` multiplies."""

KIND_TYPE = pl.Enum(KINDS)
CLASSIFICATION_SCHEMA = pl.Schema(
    {
        "run_id": pl.Int64(),
        "kind": KIND_TYPE,
        "rule": pl.String(),
        "features": pl.String(),
        "confidence": pl.Float64(),
    }
)
_DIGITS = 4


def classify_runs(features: pl.LazyFrame, thresholds: Thresholds) -> pl.LazyFrame:
    """Kind of each run by the first rule that applies.

    Args:
        features: Result of `features.collect_features`.
        thresholds: Thresholds of the rules.

    Returns:
        `run_id`, `kind` (null: the run never started), `rule`, `features` (values of the features
        that the rule used, as JSON) and `confidence`, one row a run, sorted by run.
    """
    first_rule = pl.coalesce(_index_if(rule, i, thresholds) for i, rule in enumerate(RULES))
    extended = features.with_columns(
        rule_index=first_rule,
        idle_frac=thresholds.idle_time_frac(),
        plateau_frac=thresholds.plateau_time_frac(),
    )
    used = sorted({name for rule in RULES for name in rule.features})
    by_rule = (
        extended.select("run_id", "rule_index", *used)
        .collect()
        .partition_by("rule_index", as_dict=True)
    )
    return pl.concat(
        [
            pl.LazyFrame(schema=CLASSIFICATION_SCHEMA),
            *(
                _rows_of_rule(runs, RULES[int(rule_index)])
                for (rule_index,), runs in sorted(by_rule.items())
            ),
        ]
    ).sort("run_id")


def _index_if(rule: Rule, index: int, thresholds: Thresholds) -> pl.Expr:
    """The index of a rule where it applies; null elsewhere."""
    return pl.when(rule.condition(thresholds).fill_null(False)).then(pl.lit(index, dtype=pl.UInt8))


def _rows_of_rule(runs: pl.DataFrame, rule: Rule) -> pl.LazyFrame:
    """Classifications by one rule, with the columns of `CLASSIFICATION_SCHEMA`."""
    # Single precision is widened before rounding, or 0.1 would print as 0.10000000149.
    rounded = pl.col(pl.Float32, pl.Float64).cast(pl.Float64).round(_DIGITS)
    used = runs.lazy().select("run_id", *rule.features).with_columns(rounded)
    as_json = pl.struct(rule.features).struct.json_encode() if rule.features else pl.lit("{}")
    return used.select(
        "run_id",
        kind=pl.lit(rule.kind, dtype=KIND_TYPE),
        rule=pl.lit(rule.name),
        features=as_json,
        confidence=pl.lit(rule.confidence),
    )


def apply_labels(classified: pl.LazyFrame, kinds_by_run: pl.LazyFrame) -> pl.LazyFrame:
    """Classifications in which kinds of labels replace those of rules.

    Args:
        classified: Result of `classify_runs`.
        kinds_by_run: `run_id` and `kind` of labels; null: no label gives a kind.

    Returns:
        The columns of `classify_runs`. Replaced rows have the rule `label` and confidence 1. Runs
        that never started stay without a kind.
    """
    labels = kinds_by_run.select("run_id", label_kind=pl.col("kind").cast(KIND_TYPE))
    is_labelled = pl.col("label_kind").is_not_null() & pl.col("kind").is_not_null()
    return (
        classified.join(labels, on="run_id", how="left", maintain_order="left")
        .with_columns(
            kind=pl.when(is_labelled).then("label_kind").otherwise("kind"),
            rule=pl.when(is_labelled).then(pl.lit("label")).otherwise("rule"),
            features=pl.when(is_labelled).then(pl.lit("{}")).otherwise("features"),
            confidence=pl.when(is_labelled).then(pl.lit(1.0)).otherwise("confidence"),
        )
        .select(CLASSIFICATION_SCHEMA.names())
    )


def classify_variants(
    features: pl.LazyFrame,
    thresholds: Thresholds,
    factors: Sequence[float] = (0.5, 1.0, 2.0),
) -> pl.LazyFrame:
    """Kind of each run under every combination of factors of the `VARIED_THRESHOLDS`.

    The histograms are read once: a rule is evaluated for each value of the thresholds that it
    depends on, and the first rule that applies is found from these columns.

    Args:
        features: Result of `features.collect_features`.
        thresholds: Thresholds to multiply.
        factors: Factors of each of the four thresholds.

    Returns:
        `run_id`, `variant` and `kind`, sorted by variant and run. Variants are numbered in the
        order of `variant_factors`.
    """
    combinations = [
        dict(zip(VARIED_THRESHOLDS, each, strict=True)) for each in variant_factors(factors)
    ]
    columns: dict[str, pl.Expr] = {}
    names_by_variant: list[list[str]] = [[] for _ in combinations]
    for i, rule in enumerate(RULES):
        name_of: dict[str, str] = {}
        for variant, combination in enumerate(combinations):
            index = _index_if(rule, i, _scaled_thresholds(thresholds, combination))
            # A rule that does not use a threshold has one expression for all of its factors.
            name = name_of.setdefault(index.meta.serialize().hex(), f"{rule.name}/{variant}")
            columns.setdefault(name, index)
            names_by_variant[variant].append(name)
    rule_indices = features.select("run_id", **columns).collect()
    kind_of_rule = dict(enumerate(rule.kind for rule in RULES))
    wide = rule_indices.select(
        "run_id",
        *(
            pl.coalesce(names)
            .replace_strict(kind_of_rule, return_dtype=KIND_TYPE)
            .alias(str(variant))
            for variant, names in enumerate(names_by_variant)
        ),
    ).sort("run_id")
    return pl.concat(
        wide.lazy().select(
            "run_id", variant=pl.lit(variant, dtype=pl.Int16), kind=pl.col(str(variant))
        )
        for variant in range(len(combinations))
    )


def variant_factors(factors: Sequence[float]) -> list[tuple[float, ...]]:
    """Factors of each variant, in the order of `VARIED_THRESHOLDS`; the last changes fastest."""
    return list(product(factors, repeat=len(VARIED_THRESHOLDS)))


def _scaled_thresholds(thresholds: Thresholds, by: dict[str, float]) -> Thresholds:
    return replace(
        thresholds, **{name: getattr(thresholds, name) * factor for name, factor in by.items()}
    )
