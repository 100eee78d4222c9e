"""Table of the uncertainty budget."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.schemas.columns import Energy, Fraction, Key, Text


class Uncertainty(dy.Schema):
    """Uncertainty budget of the total energy of the site and of each paper (JCGM 100)."""

    level = Key(description="`site` or `paper`")
    name = Key(description="Name at that level")
    source = Key(
        description="Source of uncertainty: `meter`, `meter_by_run`, `sampling`, `resolution`, "
        "`gaps`, `estimate_common`, `estimate_own` (docs/uncertainty.md, section 2)"
    )
    evaluation = dy.Enum(["A", "B"], description="`A`: from data; `B`: from other knowledge")
    distribution = dy.Enum(
        ["rectangular", "normal", "t"], description="Distribution of a single error"
    )
    mean_shift_kwh = Energy(
        nullable=False, description="Expected true energy minus total_kwh, due to the source"
    )
    standard_uncertainty_kwh = Energy(nullable=False, min=0, description="Standard deviation")
    low_kwh = Energy(
        nullable=False,
        description="Lower end of the 95 % interval of total_kwh with this source alone",
    )
    high_kwh = Energy(
        nullable=False,
        description="Upper end of the 95 % interval of total_kwh with this source alone",
    )
    degrees_of_freedom = dy.Float64(
        nullable=True, min=1, description="Degrees of freedom of `t`; null: infinite"
    )
    correlated_over = Text(nullable=False, description="What shares the error")
    share_frac = Fraction(
        description="Part of the variance of the total; null: nothing is uncertain"
    )

    @dy.rule()
    def ends_in_order(cls) -> pl.Expr:
        return pl.col("low_kwh") <= pl.col("high_kwh")
