"""Validation of tables by their schema, and their Parquet files."""

from __future__ import annotations

from typing import Any

import dataframely as dy
import polars as pl


def conform(schema: type[dy.Schema], frame: pl.LazyFrame | pl.DataFrame) -> Any:
    """Return the rows of `frame` with the columns, order and types of `schema`, sorted by its key.

    Args:
        schema: Schema of the table.
        frame: Rows with at least the columns of the schema.

    Raises:
        SchemaError: A column is missing or has another type (dataframely).
        ValidationError: A rule of the schema does not hold; the message names it (dataframely).
    """
    rows = frame.lazy().collect()
    return schema.validate(schema.cast(rows).sort(schema.primary_key(), maintain_order=True))


def write_table(schema: type[dy.Schema], frame: pl.LazyFrame | pl.DataFrame, path: str) -> None:
    """Validate a table and write it to Parquet; equal rows give equal bytes.

    Args:
        schema: Schema of the table.
        frame: Rows with at least the columns of the schema.
        path: Parquet file.

    Raises:
        SchemaError: See `conform`.
        ValidationError: See `conform`.
    """
    conform(schema, frame).write_parquet(path, compression="zstd", statistics=True)
