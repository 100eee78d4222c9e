"""Texts of jobs in one form: a project in Unicode's NFC and in NFD is one project."""

from __future__ import annotations

import polars as pl

from footprint.core.names import clean_name

SHOWN_COLUMNS = ("user", "project", "queue")
"""Names that results show."""

MATCHED_COLUMNS = ("name", "command")
"""Texts that labels select by; they keep all their characters."""


def normalise_texts(jobs: pl.LazyFrame) -> pl.LazyFrame:
    """`schemas.Jobs` with names of one form (`core.names.clean_name`), and other texts in NFC."""
    return jobs.with_columns(
        pl.col(SHOWN_COLUMNS).map_elements(clean_name, return_dtype=pl.String),
        pl.col(MATCHED_COLUMNS).str.normalize("NFC"),
    )
