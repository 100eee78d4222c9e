"""Total energy of rows of which a part may be unknown."""

from __future__ import annotations

import polars as pl


def known_total() -> pl.Expr:
    """Return `measured_kwh` + `estimated_kwh`, each where it is known; null where neither is.

    Sums over jobs and nodes add up what is known, and count the rest in `unknown_node_h`. The total
    of a single job is null where its estimate is (`job_totals.total_energy`).
    """
    measured, estimated = pl.col("measured_kwh"), pl.col("estimated_kwh")
    is_known = measured.is_not_null() | estimated.is_not_null()
    return pl.when(is_known).then(measured.fill_null(0.0) + estimated.fill_null(0.0))
