"""Whole files that a source cannot use, as rejected rows."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform


def reject_files(entries: Iterable[tuple[str, str]], *, stage: str) -> pl.DataFrame:
    """Rejected rows about whole files (`schemas.RejectedRows`).

    Args:
        entries: Name of each file, and the reason.
        stage: `states` or `devices`.
    """
    rows = [(stage, name, reason, 1, None) for name, reason in entries]
    schema = RejectedRows.create_empty().schema
    found: pl.DataFrame = conform(RejectedRows, pl.DataFrame(rows, schema=schema, orient="row"))
    return found
