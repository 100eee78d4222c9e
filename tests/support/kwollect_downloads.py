"""Downloads of readings from a small Kwollect, for tests of its requests and results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from footprint.sources.grid5000 import samples
from footprint.sources.grid5000.samples import SampleQuery
from tests.support.http_service import HOUR, MINUTE, POWER_METRIC, Api, Kwollect, open_service

START = datetime(2025, 3, 3, tzinfo=UTC)
NODES = ["gruss-1", "gruss-2", "gruss-3", "gruss-4"]
NO_SAMPLES = pl.DataFrame(
    schema={
        "node": pl.String,
        "labels": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "value": pl.Float64,
        "from_summary": pl.Boolean,
    }
)


def small_kwollect(*nodes: str, hours: int = 6, **changes: Any) -> Kwollect:
    """Return a Kwollect with readings from an hour before START to an hour after `hours`."""
    return Kwollect(nodes or NODES, START - HOUR, START + (hours + 1) * HOUR, **changes)


def sample_query(**changes: Any) -> SampleQuery:
    """Return a query: chunks of an hour and all nodes, one request at a time, unless changed."""
    return SampleQuery(
        **{"site": "nancy", "metric": POWER_METRIC, "hours": 1.0, "concurrency": 1} | changes
    )


def downloaded_samples(
    api: Api,
    folder: Path,
    request: SampleQuery,
    *,
    nodes: list[str] | None = None,
    hours: float = 1,
    start: datetime = START,
) -> pl.DataFrame:
    """Return all readings that one run downloads."""
    frames = samples.download_samples(
        open_service(api.url, folder, concurrency=request.concurrency),
        request,
        nodes=nodes or NODES,
        start=start,
        end=start + timedelta(hours=hours),
    )
    return pl.concat([NO_SAMPLES, *frames])


def every_minute(nodes: list[str], hours: float, *, since: datetime = START) -> list[Any]:
    """Return the nodes in order and the times of all their readings."""
    minutes = range(round(hours * 60))
    return [(node, since + n * MINUTE) for node in nodes for n in minutes]


def nodes_and_times(found: pl.DataFrame) -> list[Any]:
    """Return the nodes in order and the times of downloaded readings."""
    return found.sort("node", "timestamp").select("node", "timestamp").rows()


def requested_minutes(api: Api) -> list[tuple[str, int, int]]:
    """Return the nodes and the first and last minute since START of each request."""
    origin = START.timestamp()
    return [
        (
            params["nodes"],
            round(float(params["start_time"]) - origin) // 60,
            round(float(params["end_time"]) - origin) // 60,
        )
        for _, params in api.requests
    ]
