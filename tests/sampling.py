"""Downloads of samples from a Kwollect in miniature, for tests of what is asked and what comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from asking import HOUR, METRIC, MINUTE, Api, Kwollect, service

from footprint.site.grid5000 import samples
from footprint.site.grid5000.samples import Query

START = datetime(2025, 3, 3, tzinfo=UTC)
NODES = ["gruss-1", "gruss-2", "gruss-3", "gruss-4"]
EMPTY = pl.DataFrame(
    schema={
        "node": pl.String,
        "labels": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "value": pl.Float64,
        "from_summary": pl.Boolean,
    }
)


def kwollect(*nodes: str, hours: int = 6, **changes: Any) -> Kwollect:
    """Readings from before START until so many hours after it, and some more."""
    return Kwollect(nodes or NODES, START - HOUR, START + (hours + 1) * HOUR, **changes)


def query(**changes: Any) -> Query:
    """What to ask: an hour of all nodes at once, one request after the other, unless told."""
    return Query(**{"site": "nancy", "metric": METRIC, "hours": 1.0, "concurrency": 1} | changes)


def download(
    api: Api,
    folder: Path,
    asks: Query,
    *,
    nodes: list[str] | None = None,
    hours: float = 1,
    start: datetime = START,
) -> pl.DataFrame:
    """All that one run gets."""
    frames = samples.download(
        service(api.url, folder, concurrency=asks.concurrency),
        asks,
        nodes=nodes or NODES,
        start=start,
        end=start + timedelta(hours=hours),
    )
    return pl.concat([EMPTY, *frames])


def every_minute(nodes: list[str], hours: float, *, since: datetime = START) -> list[Any]:
    """What there is, each once: nodes in order, and their times."""
    minutes = range(round(hours * 60))
    return [(node, since + n * MINUTE) for node in nodes for n in minutes]


def places(found: pl.DataFrame) -> list[Any]:
    """What came: nodes in order, and their times."""
    return found.sort("node", "timestamp").select("node", "timestamp").rows()


def spans(api: Api) -> list[tuple[str, int, int]]:
    """Nodes, first and last minute since START of the requests."""
    origin = START.timestamp()
    return [
        (
            asked["nodes"],
            round(float(asked["start_time"]) - origin) // 60,
            round(float(asked["end_time"]) - origin) // 60,
        )
        for _, asked in api.asked
    ]
