"""Uncertainty budget: each source of uncertainty of a group's total (JCGM 100:2008, section 5).

Standard uncertainties are of first order, with the variance `s^2 df / (df - 2)` of t. Intervals are
quantiles of draws in which the source alone varies. Squares of standard uncertainties add up to the
variance of the total.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.sums import quotient, sum_by_group
from footprint.totals.closed_form import interval_terms
from footprint.totals.error_model import BASES, MIN_DEGREES_OF_FREEDOM, ErrorModel
from footprint.totals.group_amounts import VARIANCE_COLUMNS, group_amounts
from footprint.totals.group_totals import INDEPENDENT_SOURCES, SOURCES, draw_groups

CLASSIFICATION = "classification"
"""Source of uncertainty of ratios and phases alone: the kinds of runs."""


class _Source(NamedTuple):
    evaluation: str
    distribution: str
    correlated_over: str


_DESCRIPTIONS = {
    "meter": _Source("B", "rectangular", "nodes of a cluster; in part all clusters"),
    "meter_by_run": _Source("B", "rectangular", "nodes of a job"),
    "sampling": _Source("A", "normal", "nothing"),
    "resolution": _Source("B", "rectangular", "jobs on a node"),
    "gaps": _Source("A", "normal", "nodes of a job; in part similar jobs"),
    "estimate_common": _Source("A", "t", "clusters without readings"),
    "estimate_own": _Source("A", "normal", "nodes of a job; in part similar jobs"),
    CLASSIFICATION: _Source("B", "discrete", "runs of one person and command"),
}
_CALIBRATED = _Source("A", "normal", "nodes of a cluster")
"""Description of `meter` where calibrations make up most of its variance."""

BUDGET_COLUMNS = (
    *("source", "evaluation", "distribution", "mean_shift_kwh", "standard_uncertainty_kwh"),
    *("low_kwh", "high_kwh", "degrees_of_freedom", "correlated_over", "share_frac"),
)


def budget_of_groups(rows: pl.LazyFrame, by: str, level: str, model: ErrorModel) -> pl.DataFrame:
    """Return the uncertainty budget of each group of jobs on nodes (`schemas.totals.Uncertainty`).

    Args:
        rows: Rows as in `study_totals.group_intervals`. Rows without a name are left out.
        by: Column with the name of the group.
        level: Value of the column `level`.
        model: Errors of the study.

    Returns:
        `level`, `name` and `BUDGET_COLUMNS`, sorted by name and in the order of `SOURCES`.
    """
    amounts = group_amounts(rows.filter(pl.col(by).is_not_null()), [by], model)
    amounts = amounts.rename({by: "name"})
    summed = _variances(amounts, model)
    return (
        pl.concat(
            [
                _source_rows(source, order, summed, amounts, model)
                for order, source in enumerate(SOURCES)
            ]
        )
        .sort("name", "order")
        .select(pl.lit(level).alias("level"), "name", *BUDGET_COLUMNS)
    )


def _variances(amounts: pl.DataFrame, model: ErrorModel) -> pl.DataFrame:
    """Variance of each group by source, with the shift of the meters and the basis of estimates."""
    table = model.cluster_table(amounts["cluster"].unique().to_list())
    terms = interval_terms()
    spread = {
        basis: pl.col(f"{basis}_kwh")
        * pl.col(f"{basis}_log_shift").exp()
        * (pl.col(f"{basis}_df") / (pl.col(f"{basis}_df") - 2)).sqrt()
        for basis in BASES
    }
    mean = {b: e * pl.col(f"{b}_mean_sd") for b, e in spread.items()}
    cluster = {b: e * pl.col(f"{b}_sd") for b, e in spread.items()}
    of_basis = {b: mean[b].pow(2) + cluster[b].pow(2) for b in BASES}
    rows = amounts.join(table, on="cluster", how="left").select(
        "name",
        *VARIANCE_COLUMNS,
        **terms,
        mean_sd=mean["virtual_meter"] + mean["hardware"],
        cluster_var=(cluster["virtual_meter"] + cluster["hardware"]).pow(2),
        weight=of_basis["virtual_meter"] + of_basis["hardware"],
        weighted_df=sum(of_basis[b] * pl.col(f"{b}_df") for b in BASES),
    )
    summed = sum_by_group(
        rows, ["name"], first=[], **{c: pl.col(c) for c in rows.columns if c != "name"}
    )
    rectangular = (pl.col("common_gain_kwh").pow(2) + pl.col("own_gain_kwh2")) * (1 / 3)
    variances = {
        "meter": rectangular + pl.col("rest_kwh").pow(2) + pl.col("line_kwh2"),
        "estimate_common": pl.col("mean_sd").pow(2) + pl.col("cluster_var"),
    } | {source: pl.col(column) for source, column in INDEPENDENT_SOURCES.items()}
    known = summed.with_columns(
        shift_kwh=pl.col("centre_kwh") - pl.col("total_kwh"),
        is_calibrated=pl.col("line_kwh2") > rectangular + pl.col("rest_kwh").pow(2),
        degrees_of_freedom=quotient(pl.col("weighted_df"), pl.col("weight")).fill_null(
            float(MIN_DEGREES_OF_FREEDOM)
        ),
        **variances,
    )
    whole = pl.lit(0.0)
    for source in SOURCES:
        whole = whole + pl.col(source)
    return known.with_columns(variance_kwh2=whole)


def _source_rows(
    source: str, order: int, summed: pl.DataFrame, amounts: pl.DataFrame, model: ErrorModel
) -> pl.DataFrame:
    """Rows of one source, with the column `order`."""
    ends = draw_groups(amounts, model, sources=(source,)).interval()
    return summed.join(ends.drop("total_kwh"), on="name").select(
        "name",
        pl.lit(order).alias("order"),
        pl.lit(source).alias("source"),
        mean_shift_kwh=pl.col("shift_kwh") if source == "meter" else pl.lit(0.0),
        standard_uncertainty_kwh=pl.col(source).sqrt(),
        low_kwh="total_low_kwh",
        high_kwh="total_high_kwh",
        share_frac=quotient(pl.col(source), pl.col("variance_kwh2")),
        **_description(source),
    )


def _description(source: str) -> dict[str, pl.Expr]:
    """Fields of `_Source` and `degrees_of_freedom` of a source, from columns of `_variances`."""
    usual = _DESCRIPTIONS[source]
    is_calibrated = pl.col("is_calibrated") & (pl.lit(source) == "meter")
    described = {
        field: pl.when(is_calibrated)
        .then(pl.lit(getattr(_CALIBRATED, field)))
        .otherwise(pl.lit(getattr(usual, field)))
        for field in _Source._fields
    }
    df = pl.lit(None, pl.Float64)
    if source == "estimate_common":  # the spread of one cluster or node is not known: the prior's
        df = pl.col("degrees_of_freedom")
        has_data = df > MIN_DEGREES_OF_FREEDOM + 1
        described["evaluation"] = pl.when(has_data).then(pl.lit("A")).otherwise(pl.lit("B"))
    return described | {"degrees_of_freedom": df}


def describe_sources(amounts: pl.DataFrame, model: ErrorModel) -> pl.DataFrame:
    """Return evaluation, distribution and correlation of each source of ratios, by group.

    Args:
        amounts: Rows of `group_amounts.group_amounts` of groups by `name`.
        model: Errors of the study.

    Returns:
        `name`, `source` (`SOURCES` and `CLASSIFICATION`), `evaluation`, `distribution`,
        `correlated_over`, `degrees_of_freedom`.
    """
    summed = _variances(amounts, model)
    return pl.concat(
        summed.select("name", pl.lit(source).alias("source"), **_description(source))
        for source in (*SOURCES, CLASSIFICATION)
    )
