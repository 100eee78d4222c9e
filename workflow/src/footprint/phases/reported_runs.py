"""Reported runs of uncertain kind: labels name their role, and nothing certain their kind.

A paper has a reported training, and may have a reported inference. `role: reported` alone leaves it
to the classifier which of two reported runs is the training, and R changes by their quotient if it
is wrong. Such runs come first in `footprint labels`, and are counted beside R.
"""

from __future__ import annotations

import polars as pl

MIN_CONFIDENCE = 0.9
"""Confidence from which the found kind of a reported run is taken without a question."""

LOW_CONFIDENCE, DIFFERENT_KINDS = "low confidence", "different kinds"
"""Reasons for which the kind of a reported run is uncertain."""


def uncertain_reported_runs(runs: pl.LazyFrame, labels: pl.LazyFrame) -> pl.DataFrame:
    """Reported runs whose kind no label gives and the classifier is unsure of.

    The kind is uncertain where its confidence is below `MIN_CONFIDENCE`, or where reported runs of
    the paper (of the project without a paper) without a labelled kind have different found kinds.

    Args:
        runs: `run_id`, `project`, `kind` (null: never ran), `confidence`.
        labels: `run_id`, `paper`, `kind`, `role`, `phase` of labels.

    Returns:
        `run_id`, `reason` (`LOW_CONFIDENCE` or `DIFFERENT_KINDS`), sorted by run.
    """
    open_labels = labels.filter(
        pl.col("role").cast(pl.String) == "reported",
        pl.col("kind").is_null(),
        pl.col("phase").is_null(),
    ).select("run_id", "paper")
    unit = pl.when(pl.col("paper").is_null()).then("project")
    rows = (
        runs.select("run_id", "project", pl.col("kind").cast(pl.String), "confidence")
        .drop_nulls("kind")
        .join(open_labels, on="run_id")
        .with_columns(_unit=unit)
    )
    has_several_kinds = pl.col("kind").n_unique().over("paper", "_unit") > 1
    reason = (
        pl.when(pl.col("confidence") < MIN_CONFIDENCE)
        .then(pl.lit(LOW_CONFIDENCE))
        .when(has_several_kinds)
        .then(pl.lit(DIFFERENT_KINDS))
    )
    return (
        rows.with_columns(reason=reason)
        .drop_nulls("reason")
        .select("run_id", "reason")
        .sort("run_id")
        .collect()
    )


def count_uncertain(
    groups: pl.LazyFrame, rows: pl.LazyFrame, uncertain: pl.LazyFrame | None, by: list[str]
) -> pl.LazyFrame:
    """`groups` with `n_uncertain_reported`, the number of reported runs of uncertain kind.

    Args:
        groups: `by` and other columns.
        rows: `by`, `run_id`: runs of each group.
        uncertain: Result of `uncertain_reported_runs`. None: no run.
        by: Columns of a group.
    """
    if uncertain is None:
        return groups.with_columns(n_uncertain_reported=pl.lit(0, pl.Int64))
    counts = (
        rows.join(uncertain.select("run_id"), on="run_id")
        .group_by(by)
        .agg(n_uncertain_reported=pl.len().cast(pl.Int64))
    )
    return groups.join(counts, on=by, how="left").with_columns(
        pl.col("n_uncertain_reported").fill_null(0)
    )


def uncertain_messages(ratios: pl.DataFrame) -> list[str]:
    """A message for each paper with reported runs of uncertain kind.

    Args:
        ratios: `schemas.PhaseRatio`.
    """
    rows = ratios.filter(pl.col("scope") == "paper", pl.col("n_uncertain_reported") > 0)
    return [
        f"{name}: the kind of {n} reported run{'s' if n > 1 else ''} is uncertain, so that R may "
        "take inference for training or training for inference; set `kind` in the label "
        "(`footprint labels` lists such runs first)"
        for name, n in rows.sort("name").select("name", "n_uncertain_reported").iter_rows()
    ]
