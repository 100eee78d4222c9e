"""What inner jobs and overlapping jobs leave of an allocation.

Allocations of a job and node are linear in what is taken of them: what another job takes is added
as an interval with negative shares, and the sum is cut wherever it changes.
"""

from __future__ import annotations

import polars as pl

from footprint.allocation.shares import SHARE_COLUMNS, SHARE_TOLERANCE, without_residue
from footprint.core.step_functions import sums_over_time

INTERVAL_COLUMNS = ("job_id", "node", "started_at", "stopped_at", *SHARE_COLUMNS)
"""Interval in which a job holds a part of a node."""

_JOB_NODE = ["job_id", "node"]


def without_inner_jobs(held: pl.LazyFrame, inner: pl.LazyFrame) -> pl.LazyFrame:
    """Intervals in which a container has its own share less the shares of its inner jobs.

    A container that its inner jobs fill keeps an interval of share 0: it still holds the node.

    Args:
        held: `INTERVAL_COLUMNS`; intervals of the same job and node do not overlap.
        inner: Result of `containers.inner_jobs`.

    Returns:
        `INTERVAL_COLUMNS`.
    """
    lent = held.join(inner, on="job_id").with_columns(job_id="container_id")
    return _subtract(held, lent.select(INTERVAL_COLUMNS))


def without_overlaps(held: pl.LazyFrame, lost: pl.DataFrame) -> pl.LazyFrame:
    """Intervals without the parts that jobs lose; a job holds nothing while it loses all.

    Args:
        held: `INTERVAL_COLUMNS`; intervals of the same job and node do not overlap.
        lost: Result of `overlaps.losses_of_jobs`.

    Returns:
        `INTERVAL_COLUMNS`.
    """
    left = _subtract(held, lost.lazy().select(INTERVAL_COLUMNS))
    return left.filter(pl.col("share") > SHARE_TOLERANCE)


def _subtract(held: pl.LazyFrame, taken: pl.LazyFrame) -> pl.LazyFrame:
    """Intervals of each job and node less what is taken of them, cut wherever that changes.

    What is taken while the job does not hold the node has no effect.
    """
    shortened = taken.select(_JOB_NODE).unique()
    own = held.join(shortened, on=_JOB_NODE, how="semi")
    changes = pl.concat(
        [own.with_columns(n_held=1.0), taken.with_columns(-pl.col(SHARE_COLUMNS), n_held=0.0)]
    )
    left = sums_over_time(changes, [*SHARE_COLUMNS, "n_held"], by=_JOB_NODE)
    return pl.concat(
        [
            held.join(shortened, on=_JOB_NODE, how="anti"),
            left.filter(pl.col("n_held") > 0)
            .select(INTERVAL_COLUMNS)
            .with_columns(without_residue(pl.col(name)) for name in SHARE_COLUMNS),
        ]
    )
