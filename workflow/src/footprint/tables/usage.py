"""Tables of how many people use a site."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Count, Fraction, Text, Timestamp

USAGE_BASES = ("jobs", "history", "statistics")


class ActiveUsers(dy.Schema):
    """Distinct users with a job in the 12 months before each point in time."""

    basis = dy.Enum(
        USAGE_BASES,
        primary_key=True,
        description="The study's `jobs`, a `history` of jobs, or the platform's own `statistics`",
    )
    until = Timestamp(primary_key=True, description="End of the 12 months, excluded")
    since = Timestamp(description="Start of the 12 months")
    n_users = Count(
        nullable=True,
        metadata={"unit": "people"},
        description="Distinct users; a lower bound where `is_partial`; null: see `fewer_than`",
    )
    fewer_than = Count(
        nullable=True,
        metadata={"unit": "people"},
        description="`privacy.minimum_group` where fewer were found: no number is given",
    )
    known_frac = Fraction(
        description="Part of the 12 months of which jobs are known; null: statistics do not say"
    )
    is_partial = dy.Bool(description="Whether jobs of a part of the 12 months are not known")
    source = Text(description="What the statistics give as their source")

    @dy.rule()
    def a_number_or_a_bound(cls) -> pl.Expr:
        return pl.col("n_users").is_null() != pl.col("fewer_than").is_null()

    @dy.rule()
    def ends_after_it_starts(cls) -> pl.Expr:
        return pl.col("since") < pl.col("until")
