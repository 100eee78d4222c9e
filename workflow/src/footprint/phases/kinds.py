"""What each run was: the first of the rules of `footprint.phases.rules` that applies decides.

Every decision keeps the rule, the evidence that it saw, and how often the rule was right where the
truth is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import polars as pl

from footprint.phases.rules import RULES, Rule, Thresholds
from footprint.tables import KINDS

__all__ = ["RULES", "RULE_SET", "VARIED", "Rule", "Thresholds", "classify", "labelled", "variants"]

RULE_SET = "1"
"""Version of the rules: to be raised with every change of a rule, its order or a default."""

VARIED = ("idle_level", "debug_s", "plateau_level", "long_walltime_h")
"""The thresholds that matter most, which `variants` multiplies."""

KIND = pl.Enum(KINDS)
CLASSIFIED = pl.Schema(
    {
        "run_id": pl.Int64(),
        "kind": KIND,
        "rule": pl.String(),
        "evidence": pl.String(),
        "confidence": pl.Float64(),
    }
)
_DIGITS = 4


def classify(evidence: pl.LazyFrame, thresholds: Thresholds) -> pl.LazyFrame:
    """What each run was, by the first rule that applies.

    Args:
        evidence: Result of `evidence.gather`.
        thresholds: Where the rules draw their lines.

    Returns:
        `run_id`, `kind` (null: it never ran), `rule`, `evidence` (what the rule saw, as JSON) and
        `confidence`, one row a run, sorted.
    """
    decided = pl.coalesce(_number(rule, at, thresholds) for at, rule in enumerate(RULES))
    known = evidence.with_columns(
        decided=decided,
        idle_frac=thresholds.idle(),
        plateau_frac=thresholds.plateau(),
    )
    seen = sorted({name for rule in RULES for name in rule.saw})
    facts = known.select("run_id", "decided", *seen).collect().partition_by("decided", as_dict=True)
    return pl.concat(
        [
            pl.LazyFrame(schema=CLASSIFIED),
            *(_told(own, RULES[int(at)]) for (at,), own in sorted(facts.items())),
        ]
    ).sort("run_id")


def _number(rule: Rule, at: int, thresholds: Thresholds) -> pl.Expr:
    return pl.when(rule.when(thresholds).fill_null(False)).then(pl.lit(at, dtype=pl.UInt8))


def _told(runs: pl.DataFrame, rule: Rule) -> pl.LazyFrame:
    """Decisions of one rule."""
    # as texts, for 0.1 of single precision would become 0.10000000149
    rounded = pl.col(pl.Float32, pl.Float64).cast(pl.Float64).round(_DIGITS)
    seen = runs.lazy().select("run_id", *rule.saw).with_columns(rounded)
    text = pl.struct(rule.saw).struct.json_encode() if rule.saw else pl.lit("{}")
    return seen.select(
        "run_id",
        kind=pl.lit(rule.kind, dtype=KIND),
        rule=pl.lit(rule.name),
        evidence=text,
        confidence=pl.lit(rule.confidence),
    )


def labelled(classified: pl.LazyFrame, kinds_by_run: pl.LazyFrame) -> pl.LazyFrame:
    """What labels say overrides the rules: rule `label`, confidence 1.

    Args:
        classified: Result of `classify`.
        kinds_by_run: `run_id` and `kind` that labels give; null: they give none.

    Returns:
        As `classify`. Runs that never ran stay without a kind.
    """
    said = kinds_by_run.select("run_id", said=pl.col("kind").cast(KIND))
    overrides = pl.col("said").is_not_null() & pl.col("kind").is_not_null()
    return (
        classified.join(said, on="run_id", how="left", maintain_order="left")
        .with_columns(
            kind=pl.when(overrides).then("said").otherwise("kind"),
            rule=pl.when(overrides).then(pl.lit("label")).otherwise("rule"),
            evidence=pl.when(overrides).then(pl.lit("{}")).otherwise("evidence"),
            confidence=pl.when(overrides).then(pl.lit(1.0)).otherwise("confidence"),
        )
        .select(CLASSIFIED.names())
    )


def variants(
    evidence: pl.LazyFrame,
    thresholds: Thresholds,
    factors: Sequence[float] = (0.5, 1.0, 2.0),
) -> pl.LazyFrame:
    """What each run was under every combination of the factors over the thresholds of `VARIED`.

    The histograms are looked at once: a rule is evaluated for each value of the thresholds that
    change it, and the first that applies is found from these columns.

    Args:
        evidence: Result of `evidence.gather`.
        thresholds: Those that are multiplied.
        factors: Factors of each of the four.

    Returns:
        `run_id`, `variant` and `kind`, sorted by variant and run: variants are numbered in the
        order of the product, the last of `VARIED` changing first.
    """
    combinations = [dict(zip(VARIED, each, strict=True)) for each in combined(factors)]
    columns: dict[str, pl.Expr] = {}
    of_variant: list[list[str]] = [[] for _ in combinations]
    for at, rule in enumerate(RULES):
        known: dict[str, str] = {}
        for variant, combination in enumerate(combinations):
            number = _number(rule, at, _scaled(thresholds, combination))
            # rules that a factor does not change have the same expression
            name = known.setdefault(number.meta.serialize().hex(), f"{rule.name}/{variant}")
            columns.setdefault(name, number)
            of_variant[variant].append(name)
    told = evidence.select("run_id", **columns).collect()
    kinds = dict(enumerate(rule.kind for rule in RULES))
    decided = told.select(
        "run_id",
        *(
            pl.coalesce(names).replace_strict(kinds, return_dtype=KIND).alias(str(variant))
            for variant, names in enumerate(of_variant)
        ),
    ).sort("run_id")
    return pl.concat(
        decided.lazy().select(
            "run_id", variant=pl.lit(variant, dtype=pl.Int16), kind=pl.col(str(variant))
        )
        for variant in range(len(combinations))
    )


def combined(factors: Sequence[float]) -> list[tuple[float, ...]]:
    """The factors of each variant, in the order of `VARIED`."""
    return list(product(factors, repeat=len(VARIED)))


def _scaled(thresholds: Thresholds, by: dict[str, float]) -> Thresholds:
    return replace(
        thresholds, **{name: getattr(thresholds, name) * factor for name, factor in by.items()}
    )
