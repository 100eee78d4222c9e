"""Sums of floats that are the same to the last bit, whatever the order of rows and the threads.

Polars adds the parts that its threads summed, so that `sum()` by group (and `sort().sum()`, from
which it drops the sort) changes in the last bits with the number of threads. Published tables must
not, or a run with `--cores 1` would differ from one with eight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def known_sum(values: pl.Expr) -> pl.Expr:
    """Sum of what is known, in ascending order, one by one; null when nothing is known."""
    return values.sort().cum_sum().last()


def total(values: pl.Expr) -> pl.Expr:
    """The same, and 0 when nothing is known: for quantities where a missing row is none of it."""
    return known_sum(values).fill_null(0.0)


def mean(values: pl.Expr) -> pl.Expr:
    """Mean of what is known; null when nothing is known."""
    return known_sum(values) / values.count()


def standard_deviation(values: pl.Expr) -> pl.Expr:
    """Standard deviation of a sample: of n known values, with n - 1; null for fewer than two."""
    n = values.count()
    squares = known_sum((values - mean(values)) ** 2)
    return pl.when(n > 1).then((squares / (n - 1)).sqrt())


def exact_sum(values: pl.Expr) -> pl.Expr:
    """Sum of whole numbers, durations or conditions (how many hold): the same in any order.

    Never of floats: nothing here keeps the order of their terms.
    """
    return values.sum()


def quotient(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """`part / whole`; null where there is no whole, or it is not known."""
    return pl.when(whole > 0).then(part / whole)


def by_group(
    rows: pl.DataFrame, by: list[str], *, first: list[str], **terms: pl.Expr
) -> pl.DataFrame:
    """`total` of each term over each group, sorted by group.

    Most groups have one row (a job on a node in a month), and these need no sum.

    Args:
        rows: Rows of the groups.
        by: Columns that make a group.
        first: Columns of which a group has one value.
        terms: Terms to sum, by the name of the sum.
    """
    found = rows.select(*by, *first, **{name: term.fill_null(0.0) for name, term in terms.items()})
    alone = found.select(pl.struct(by).is_unique()).to_series()
    summed = found.filter(~alone).group_by(by, maintain_order=True)
    several = summed.agg(pl.col(first).first(), total(pl.col(list(terms))))
    return pl.concat([found.filter(alone), several.select(found.columns)]).sort(by)


def by_run(
    rows: pl.DataFrame, by: list[str], *, sums: Sequence[str], unions: Sequence[str] = ()
) -> pl.DataFrame:
    """Sums over each run of rows with the same key, in the order of the rows; one row a run.

    As quick for a million groups as for one, where sorting within each is not.

    Args:
        rows: Rows, those of a key one after the other.
        by: Columns that make a key, none of which is null.
        sums: Columns to sum; a null makes the sum null.
        unions: Columns of bits, of which a run has the union.
    """
    if rows.is_empty():
        return rows.select(*by, *sums, *unions)
    changes = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in by)
    first = np.flatnonzero(rows.select(changes.fill_null(True)).to_series().to_numpy())
    summed = (
        pl.Series(name, np.add.reduceat(rows[name].fill_null(float("nan")).to_numpy(), first))
        for name in sums
    )
    united = (
        pl.Series(name, np.bitwise_or.reduceat(rows[name].to_numpy(), first)) for name in unions
    )
    return rows.select(pl.col(by).gather(first), *(each.fill_nan(None) for each in summed), *united)
