"""What inner jobs and overlapping jobs leave of an allocation.

Allocations of a job and node are linear in what is taken of them: what another job takes is added
as an allocation with negative shares, and the sum is cut wherever it changes.
"""

from __future__ import annotations

import polars as pl

from footprint.allocation.shares import SHARE_COLUMNS, SHARE_TOLERANCE, without_residue
from footprint.core.sums import exact_sum, sum_or_zero

_JOB_NODE = ["job_id", "node"]


def without_inner_jobs(allocations: pl.LazyFrame, inner: pl.LazyFrame) -> pl.LazyFrame:
    """Allocations in which a container has its own share less the shares of its inner jobs.

    A container that its inner jobs fill keeps an allocation of share 0: it still holds the node.

    Args:
        allocations: `node_allocations.ALLOCATION_SCHEMA`.
        inner: Result of `containers.inner_jobs`.

    Returns:
        Columns as in `allocations`.
    """
    columns = allocations.collect_schema().names()
    inside = allocations.join(inner, on="job_id").select(
        pl.col("container_id").alias("job_id"),
        "node",
        *(pl.col(name).alias(f"{name}_inner") for name in ("started_at", "stopped_at")),
        *(-pl.col(name).alias(name) for name in SHARE_COLUMNS),
    )
    taken = (
        allocations.drop(SHARE_COLUMNS)
        .join(inside, on=_JOB_NODE)
        .with_columns(
            started_at=pl.max_horizontal("started_at", "started_at_inner"),
            stopped_at=pl.min_horizontal("stopped_at", "stopped_at_inner"),
        )
        .filter(pl.col("stopped_at") > pl.col("started_at"))
        .select(columns)
    )
    emptied = taken.select(_JOB_NODE).unique()
    untouched = allocations.join(emptied, on=_JOB_NODE, how="anti")
    containers = allocations.join(emptied, on=_JOB_NODE, how="semi")
    return pl.concat([untouched, _subtract(containers, taken)])


def without_overlaps(allocations: pl.LazyFrame, lost: pl.DataFrame) -> pl.LazyFrame:
    """Allocations without the parts that jobs lose; a job holds nothing while it loses all.

    Args:
        allocations: `node_allocations.ALLOCATION_SCHEMA`, not yet clipped.
        lost: Result of `overlaps.losses_of_jobs`.

    Returns:
        Columns as in `allocations`.
    """
    if lost.is_empty():
        return allocations
    losing = lost.lazy().select(_JOB_NODE).unique()
    taken = lost.lazy().select(
        *_JOB_NODE,
        "started_at",
        "stopped_at",
        *(-pl.col(name) for name in SHARE_COLUMNS),
        opens=pl.lit(False),
        closes=pl.lit(False),
    )
    is_gone = pl.col("share") <= SHARE_TOLERANCE
    follows = pl.col("started_at") == pl.col("stopped_at").shift(1)
    precedes = pl.col("stopped_at") == pl.col("started_at").shift(-1)
    cut = (
        _subtract(
            allocations.join(losing, on=_JOB_NODE, how="semi"),
            taken.select(allocations.collect_schema().names()),
        )
        .sort(*_JOB_NODE, "started_at")
        .with_columns(
            # the job opens or closes where the part that is gone begins or ends
            opens=pl.col("opens") | (is_gone.shift(1) & follows).over(_JOB_NODE).fill_null(False),
            closes=pl.col("closes")
            | (is_gone.shift(-1) & precedes).over(_JOB_NODE).fill_null(False),
        )
        .filter(~is_gone)
    )
    return pl.concat([allocations.join(losing, on=_JOB_NODE, how="anti"), cut])


def _subtract(allocations: pl.LazyFrame, taken: pl.LazyFrame) -> pl.LazyFrame:
    """Allocations of each job and node less what is taken of them, cut wherever that changes.

    Args:
        allocations: `node_allocations.ALLOCATION_SCHEMA`.
        taken: Rows with the same columns and negative shares.
    """
    columns = allocations.collect_schema().names()
    is_own = pl.col("share") > 0
    begin = pl.concat([allocations, taken]).select(
        *_JOB_NODE,
        *SHARE_COLUMNS,
        at="started_at",
        n_held=is_own.cast(pl.Int64),
        opens=is_own & pl.col("opens"),
        closes=pl.lit(False),
    )
    end = pl.concat([allocations, taken]).select(
        *_JOB_NODE,
        *(-pl.col(name) for name in SHARE_COLUMNS),
        at="stopped_at",
        n_held=-is_own.cast(pl.Int64),
        opens=pl.lit(False),
        closes=is_own & pl.col("closes"),
    )
    return (
        pl.concat([begin, end.select(begin.collect_schema().names())])
        .group_by(*_JOB_NODE, "at")
        .agg(
            sum_or_zero(pl.col(SHARE_COLUMNS)),
            exact_sum(pl.col("n_held")),
            pl.col("opens", "closes").any(),
        )
        .sort(*_JOB_NODE, "at")
        .with_columns(
            *(
                without_residue(pl.col(name).cum_sum().over(_JOB_NODE)).alias(name)
                for name in SHARE_COLUMNS
            ),
            pl.col("n_held").cum_sum().over(_JOB_NODE),
            started_at="at",
            stopped_at=pl.col("at").shift(-1).over(_JOB_NODE),
            closes=pl.col("closes").shift(-1).over(_JOB_NODE),
        )
        .filter((pl.col("n_held") > 0) & pl.col("stopped_at").is_not_null())
        .select(columns)
    )
