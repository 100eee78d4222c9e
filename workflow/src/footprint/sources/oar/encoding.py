"""Repair of text that was encoded as UTF-8 twice, as OAR's database holds text beyond ASCII."""

from __future__ import annotations

import polars as pl


def repair_text(text: str) -> str:
    """Return the text with one of two UTF-8 encodings undone: `entraÃ®nÃ©` becomes `entraîné`.

    Text is changed only if it is not ASCII, all its characters exist in Latin-1, and their bytes
    are valid UTF-8. Text that was encoded once, such as `entraîné`, does not meet the last
    condition.
    """
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def repair_column(text: pl.Expr) -> pl.Expr:
    """Return a column of strings with `repair_text` applied to each."""
    return text.map_batches(_repair_series, return_dtype=pl.String)


def _repair_series(series: pl.Series) -> pl.Series:
    text = series.cast(pl.String)
    foreign = text.filter(text.str.contains(r"[^\x00-\x7F]")).unique().to_list()
    return text.replace(foreign, [repair_text(each) for each in foreign]) if foreign else text
