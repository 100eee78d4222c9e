"""Tables of the uncertainty budgets of totals and of ratios."""

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


class RatioUncertainty(dy.Schema):
    """Uncertainty budget of R, development over training, of each paper and project with an R.

    The standard uncertainty of a source is the standard deviation of the logarithm of R where the
    source alone varies (JCGM 101:2008, annex B).
    """

    scope = Key(description="`paper` or `project`")
    name = Key(description="Name of the paper or project")
    source = Key(
        description="Source of uncertainty: those of `uncertainty`, and `classification`, the "
        "kinds of runs (docs/uncertainty.md, section 2)"
    )
    evaluation = dy.Enum(["A", "B"], description="`A`: from data; `B`: from other knowledge")
    distribution = dy.Enum(
        ["rectangular", "normal", "t", "discrete"], description="Distribution of a single error"
    )
    mean_shift_frac = dy.Float64(
        nullable=True,
        description="Mean of the logarithm of drawn R minus that of R, due to the source; null: as "
        "standard_uncertainty_frac",
    )
    standard_uncertainty_frac = dy.Float64(
        nullable=True,
        min=0,
        description="Standard deviation of the logarithm of R, in which draws of R count as at "
        "most 1000 times R and at least its inverse; null: R is 0",
    )
    ratio_low = dy.Float64(
        nullable=True, description="Lower end of the 95 % interval of R with this source alone"
    )
    ratio_high = dy.Float64(
        nullable=True,
        description="Upper end of the 95 % interval of R with this source alone; null: none",
    )
    degrees_of_freedom = dy.Float64(
        nullable=True, min=1, description="Degrees of freedom of `t`; null: infinite"
    )
    correlated_over = Text(nullable=False, description="What shares the error")
    share_frac = Fraction(
        description="Part of the sum of the squared standard uncertainties; null: nothing is "
        "uncertain"
    )
