"""Sums of floats that are equal to the last bit for any order of rows and any number of threads.

Polars adds the partial sums of its threads. The last bits of `sum()` by group, and of
`sort().sum()`, from which Polars drops the sort, therefore depend on the number of threads.
Published tables must be the same with `--cores 1` and `--cores 8`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def known_sum(values: pl.Expr) -> pl.Expr:
    """Return the sum of the values that are not null, added in ascending order; null if none is."""
    return values.sort().cum_sum().last()


def sum_or_zero(values: pl.Expr) -> pl.Expr:
    """Return the sum of the values that are not null, added in ascending order; 0 if none is.

    It is for quantities where a missing row means zero.
    """
    return known_sum(values).fill_null(0.0)


def known_mean(values: pl.Expr) -> pl.Expr:
    """Return the mean of the values that are not null; null if none is."""
    return known_sum(values) / values.count()


def standard_deviation(values: pl.Expr) -> pl.Expr:
    """Return the sample standard deviation (n - 1) of the values that are not null.

    It is null for fewer than two values.
    """
    n = values.count()
    squares = known_sum((values - known_mean(values)) ** 2)
    return pl.when(n > 1).then((squares / (n - 1)).sqrt())


def exact_sum(values: pl.Expr) -> pl.Expr:
    """Return the sum of whole numbers or durations, or the number of conditions that hold.

    Their sum is exact in any order. Floats must not be summed here, since the order is not fixed.
    """
    return values.sum()


def quotient(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Return `part / whole`; null if `whole` is null or not positive."""
    return pl.when(whole > 0).then(part / whole)


def sum_by_group(
    rows: pl.DataFrame, by: list[str], *, first: list[str], **terms: pl.Expr
) -> pl.DataFrame:
    """Sum terms by group, with `sum_or_zero` for each term.

    Most groups have one row (a job on a node in a month) and are not summed, which is faster.

    Args:
        rows: Rows to group.
        by: Columns of the key.
        first: Columns with one value a group.
        terms: Terms to sum, by the name of the column of the sum.

    Returns:
        The columns `by`, `first` and one column a term, sorted by `by`.
    """
    found = rows.select(*by, *first, **{name: term.fill_null(0.0) for name, term in terms.items()})
    is_single = found.select(pl.struct(by).is_unique()).to_series()
    several = (
        found.filter(~is_single)
        .group_by(by, maintain_order=True)
        .agg(pl.col(first).first(), sum_or_zero(pl.col(list(terms))))
    )
    return pl.concat([found.filter(is_single), several.select(found.columns)]).sort(by)


def sum_consecutive(
    rows: pl.DataFrame, by: list[str], *, sums: Sequence[str], unions: Sequence[str] = ()
) -> pl.DataFrame:
    """Sum columns over consecutive rows with the same key, in the order of the rows.

    The time does not depend on the number of groups, unlike a sort within each group.

    Args:
        rows: Rows in which those with the same key follow one another.
        by: Columns of the key, without nulls.
        sums: Columns to sum; a null makes the sum null.
        unions: Columns of bit masks to combine with OR.

    Returns:
        The columns `by`, `sums` and `unions`, one row for each key, in the order of the rows.
    """
    if rows.is_empty():
        return rows.select(*by, *sums, *unions)
    has_new_key = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in by)
    first = np.flatnonzero(rows.select(has_new_key.fill_null(True)).to_series().to_numpy())
    summed = (
        pl.Series(name, np.add.reduceat(rows[name].fill_null(float("nan")).to_numpy(), first))
        for name in sums
    )
    united = (
        pl.Series(name, np.bitwise_or.reduceat(rows[name].to_numpy(), first)) for name in unions
    )
    return rows.select(pl.col(by).gather(first), *(each.fill_nan(None) for each in summed), *united)
