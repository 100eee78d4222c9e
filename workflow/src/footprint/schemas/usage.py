"""Tables of active users, of notable AI models, and of the logins behind the pseudonyms."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import USAGE_BASES
from footprint.schemas.columns import Count, Fraction, Key, Text, Timestamp


class ActiveUsers(dy.Schema):
    """Number of distinct users with a job in the 12 months before each date."""

    basis = dy.Enum(
        USAGE_BASES,
        primary_key=True,
        description="`jobs` of the study, a `history` of jobs, or `statistics` of the platform",
    )
    until = Timestamp(primary_key=True, description="End of the 12 months, excluded")
    since = Timestamp(description="Start of the 12 months")
    n_users = Count(
        nullable=True,
        metadata={"unit": "people"},
        description="Distinct users; a lower bound if `is_partial`; null: see `fewer_than`",
    )
    fewer_than = Count(
        nullable=True,
        metadata={"unit": "people"},
        description="`privacy.minimum_group`, in place of a smaller number",
    )
    known_frac = Fraction(
        description="Part of the 12 months with known jobs; null: not given by the statistics"
    )
    is_partial = dy.Bool(description="Whether jobs are missing for a part of the 12 months")
    source = Text(description="Source named by the statistics")

    @dy.rule()
    def a_number_or_a_bound(cls) -> pl.Expr:
        return pl.col("n_users").is_null() != pl.col("fewer_than").is_null()

    @dy.rule()
    def ends_after_it_starts(cls) -> pl.Expr:
        return pl.col("since") < pl.col("until")


class NotableModels(dy.Schema):
    """Training compute and publication date of notable AI models."""

    model = Key(description="Model, as named by the source")
    published_on = dy.Date(primary_key=True, description="Day of publication")
    training_flop = dy.Float64(
        nullable=True,
        min_exclusive=0,
        metadata={"unit": "FLOP"},
        description="Estimated operations of the final training; null: unknown",
    )
    domain = Text(description="Domain of application; several are separated by commas")
    source = dy.String(description="Source of the numbers")


class Logins(dy.Schema):
    """Login behind each pseudonym. Written with `privacy.reveal` alone, never for publication."""

    user = Key(description="Pseudonym, as in all results")
    login = dy.String(description="Login at the site")

    @dy.rule()
    def nobody_has_two_pseudonyms(cls) -> pl.Expr:
        return pl.col("login").is_unique()
