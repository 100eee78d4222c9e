"""Names and order of the sources of uncertainty, for the figure and table of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from footprint.totals.budget import CLASSIFICATION

SOURCE_NAMES: Final[Mapping[str, str]] = {
    "meter": "meters: true power over reading",
    "meter_by_run": "meters: changes from run to run",
    "estimate_common": "estimates: common error",
    "estimate_own": "estimates: error of each run",
    "gaps": "gaps in readings",
    "sampling": "time between readings",
    "resolution": "resolution of sensors",
}
"""Every source of totals with its name in texts, in the order of figures and tables."""

RATIO_SOURCE_NAMES: Final[Mapping[str, str]] = {CLASSIFICATION: "kinds of runs", **SOURCE_NAMES}
"""Every source of ratios with its name in texts, in the order of figures and tables."""


def sort_sources(uncertainty: pl.DataFrame) -> pl.DataFrame:
    """Rows of the site first, then of the papers by name; sources in the order of `SOURCE_NAMES`.

    Args:
        uncertainty: `schemas.Uncertainty`.
    """
    level = pl.col("level").cast(pl.Enum(["site", "paper"]))
    return uncertainty.sort(level, "name", place_of_source(), "source")


def place_of_source() -> pl.Expr:
    """Place of `source` in the order of `RATIO_SOURCE_NAMES`; sources without a name come last."""
    places = {name: number for number, name in enumerate(RATIO_SOURCE_NAMES)}
    return pl.col("source").replace_strict(places, default=len(places), return_dtype=pl.Int64)


def source_name(source: str) -> str:
    """Name of a source in texts; a source without one is named as in the table."""
    return RATIO_SOURCE_NAMES.get(source, source.replace("_", " "))
