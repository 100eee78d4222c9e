"""The table of who is behind the pseudonyms; it is written to `private/` alone, where asked for."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Key


class Logins(dy.Schema):
    """Who is behind each pseudonym. Only with `privacy.reveal`, never for publication."""

    user = Key(description="Pseudonym, as in all results")
    login = dy.String(description="Login at the site")

    @dy.rule()
    def nobody_has_two_pseudonyms(cls) -> pl.Expr:
        return pl.col("login").is_unique()
