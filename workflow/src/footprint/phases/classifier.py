"""Classify runs by ordered rules, with which the weights are compared.

The first rule of `footprint.phases.rules` that applies gives the kind.

Each classification keeps the rule, the features that the rule used, and the rule's confidence.
"""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import KINDS
from footprint.phases.rules import RULES, Rule
from footprint.phases.thresholds import Thresholds

__all__ = [
    "RULES",
    "Rule",
    "Thresholds",
    "classify_runs",
]

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
