"""Bootstrap intervals of shares over dependent cases.

Cases of one cluster (the jobs of a user) depend on each other, so that clusters are drawn with
replacement and not cases (cluster bootstrap; Cameron, Gelbach and Miller 2008). Ends are the 2.5
and 97.5 % percentiles of the shares.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.sums import sum_by_group

N_RESAMPLES = 2_000
SEED = 20_25
TAIL = 0.025
MIN_CLUSTERS = 2
"""Fewest clusters for an interval; a single one has no spread."""


def share_interval(
    cases: pl.DataFrame, *, part: str, whole: str, cluster: str
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of `sum(part) / sum(whole)`, by drawing clusters with replacement.

    Args:
        cases: The columns `part`, `whole` (both at least 0; null: 0) and `cluster`.
        part: Column of the numerator.
        whole: Column of the denominator.
        cluster: Column of the cluster.

    Returns:
        Lower and upper end; None below `MIN_CLUSTERS` clusters, or where nothing can be divided.
    """
    sums = sum_by_group(
        cases, [cluster], first=[], part=pl.col(part).cast(float), whole=pl.col(whole).cast(float)
    )
    n = len(sums)
    if n < MIN_CLUSTERS or not (sums["whole"] > 0).any():
        return None, None
    drawn = np.random.default_rng(SEED).integers(0, n, (N_RESAMPLES, n))
    # sums along rows, whose order does not depend on the number of threads
    parts = sums["part"].to_numpy()[drawn].sum(axis=1)
    wholes = sums["whole"].to_numpy()[drawn].sum(axis=1)
    is_defined = wholes > 0
    shares = parts[is_defined] / wholes[is_defined]
    low, high = np.quantile(shares, [TAIL, 1 - TAIL])
    return float(low), float(high)
