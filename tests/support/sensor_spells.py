"""Spells of power sensors by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from footprint.schemas.energy import SensorSpells
from footprint.schemas.writing import conform

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def spells(*rows: tuple[str, str, float, float, int]) -> pl.DataFrame:
    """Spells from (node, kind, first and last second after noon, readings)."""
    empty = pl.DataFrame(SensorSpells.create_empty())
    frame = pl.DataFrame(
        [
            (node, kind, NOON + timedelta(seconds=first), NOON + timedelta(seconds=last), n)
            for node, kind, first, last, n in rows
        ],
        schema=empty.schema,
        orient="row",
    )
    found: pl.DataFrame = conform(SensorSpells, frame)
    return found
