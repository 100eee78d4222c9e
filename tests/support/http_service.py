"""A small service over real HTTP and a client of it, for tests of the requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from footprint.config import settings
from footprint.sources.grid5000 import service as services
from footprint.sources.grid5000.answers import Answers
from footprint.sources.grid5000.service import Service
from tests.support.api_answers import kwollect_record

POWER_METRIC, FORMER_METRIC = "bmc_node_power_watt", "bmc_power_node_watt"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Query = dict[str, str]
Answer = Callable[[str, Query], Any]
"""Returns the answer to a path and its parameters: JSON, or a status with a text or JSON."""


class Api:
    """A running service.

    Attributes:
        url: Its address.
        answer: Answers requests; tests may replace it.
        requests: Paths and parameters of the requests, in order.
    """

    def __init__(self, url: str, answer: Answer) -> None:
        self.url, self.answer = url, answer
        self.requests: list[tuple[str, Query]] = []

    def clear_requests(self) -> None:
        """Empty the list of requests."""
        self.requests = []


@contextmanager
def running_api(answer: Answer) -> Iterator[Api]:
    """Run a service for the time of a test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            api.requests.append((url.path, query))
            found = api.answer(url.path, query)
            status, body = found if isinstance(found, tuple) else (200, found)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = Api(f"http://127.0.0.1:{server.server_address[1]}", answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def grid5000_config(
    url: str, *, study: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return a loaded configuration of the source `grid5000` without retries."""
    usual = {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"}
    source = {"kind": "grid5000", "url": url} | changes.pop("source", {})
    download = {"retries": 0, "wait_s": 0.01, "concurrency": 1} | changes.pop("download", {})
    raw = {"study": usual | (study or {}), "source": source, "download": download}
    return settings.prepare_configuration(raw | changes)


def open_service(url: str, folder: Path, **download: Any) -> Service:
    """Return a service that keeps its answers in a folder; a second one stands for a second run."""
    loaded = grid5000_config(url, download=download)
    return Service(loaded["source"], loaded["download"], Answers(folder / "answers"))


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Set the time by which answers are judged final."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # noqa: ARG003
            return moment

    monkeypatch.setattr(services, "datetime", Clock)


def kwollect_reading(
    node: str, at: datetime, value: Any, *, metric: str = POWER_METRIC, **labels: str
) -> Any:
    """Return a reading as Kwollect writes it."""
    return kwollect_record(at.isoformat(), value, device_id=node, metric_id=metric, labels=labels)


@dataclass
class Kwollect:
    """A small Kwollect: nodes with a reading at each whole minute.

    The service includes both bounds of a window. The value of a reading is the number of its minute
    since `since`.

    Attributes:
        nodes: Nodes with readings.
        since: Time of the first reading.
        until: Time after the last reading.
        max_rows: Maximum number of readings in one answer.
        failing: Nodes whose requests always fail.
        renamed: Time before which readings have the former name of the metric alone.
        silent: Nodes and hours of the day with means over 5 minutes alone.
    """

    nodes: Sequence[str]
    since: datetime
    until: datetime
    max_rows: int = 10**9
    failing: set[str] = field(default_factory=set)
    renamed: datetime | None = None
    silent: set[tuple[str, int]] = field(default_factory=set)

    def value_at(self, at: datetime) -> int:
        return (at - self.since) // MINUTE

    def __call__(self, path: str, query: Query) -> Any:
        assert path == "/sites/nancy/metrics"
        nodes, summary = query["nodes"].split(","), "summary" in query
        first, last = (
            datetime.fromtimestamp(float(query[name]), UTC) for name in ("start_time", "end_time")
        )
        if failing := self.failing & set(nodes):
            return 500, {"message": f"could not read {min(failing)}", "code": "XX001"}
        step = 5 * MINUTE if summary else MINUTE
        times = [self.since + n * step for n in range((self.until - self.since) // step)]
        rows = [
            kwollect_reading(
                node, at, self.value_at(at) + (2 if summary else 0), metric=query["metrics"]
            )
            for at in times
            if first <= at <= last and query["metrics"] == self._metric_at(at)
            for node in nodes
            if node in self.nodes and (summary or (node, at.hour) not in self.silent)
        ]
        if len(rows) > self.max_rows:
            message = "plpy.Error: Request timeout, too much data to process."
            return 500, {"message": message, "code": "38000"}
        return rows

    def _metric_at(self, at: datetime) -> str:
        return FORMER_METRIC if self.renamed is not None and at < self.renamed else POWER_METRIC
