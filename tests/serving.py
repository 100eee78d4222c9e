"""A served simulated site, for tests: a small study, a client, and the site itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from footprint import serve, settings
from footprint.serve.recorded import Recorded
from footprint.site.simulated import SimulatedSite

METRIC = "bmc_node_power_watt"
SOURCE = {
    "kind": "simulated",
    "seed": 6,  # a job is suspended during the study
    "nodes": {"graffiti": 2, "grouille": 1, "gruss": 1, "gres": 1},
    "jobs": 150,
    "mix": {
        **dict.fromkeys(("sweep", "debug", "inference"), 1),
        **dict.fromkeys(("container", "besteffort"), 0.3),
        **dict.fromkeys(("training", "idle_hold"), 0.1),
        **dict.fromkeys(("chain", "long_inference"), 0),
    },
}


def config(start: str = "2025-03-29", end: str = "2025-04-01", **source: Any) -> dict[str, Any]:
    """Three days of five nodes; Paris goes over to summer time in the second of them."""
    study = {"site": "nancy", "start": start, "end": end}
    return settings.load({"study": study, "source": SOURCE | source})


class Served:
    """A server, a client of it, and the site that it serves."""

    def __init__(self, server: serve.Server, client: httpx.Client, site: SimulatedSite) -> None:
        self.server, self.client, self.site = server, client, site

    def get(self, path: str, *, expect: int = 200, **params: Any) -> httpx.Response:
        """An answer; `from_` stands for the parameter `from`."""
        given = {name.rstrip("_"): value for name, value in params.items()}
        answer = self.client.get(path, params=given)
        assert answer.status_code == expect, answer.text
        return answer

    def json(self, path: str, **params: Any) -> Any:
        return self.get(path, **params).json()

    def metrics(self, **params: Any) -> list[dict[str, Any]]:
        """Records of readings; of graffiti-1's power unless others are asked for."""
        params = {"nodes": "graffiti-1", "metrics": METRIC} | params
        return list(self.json("/sites/nancy/metrics", **params))

    def pages(self, path: str, limit: int, **params: Any) -> list[dict[str, Any]]:
        """Items of all pages, until an empty one."""
        items: list[dict[str, Any]] = []
        while page := self.json(path, limit=limit, offset=len(items), **params)["items"]:
            items += page
        return items


@contextmanager
def serving(config: dict[str, Any], **options: Any) -> Iterator[Served]:
    """A server for the time of a test."""
    site = Recorded.from_config(config).site
    with (
        serve.running(config, **options) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield Served(server, client, site)


def seconds(at: datetime) -> int:
    return int(at.timestamp())
