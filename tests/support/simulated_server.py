"""A served simulated site for tests: a small study, a client, and the site itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from footprint import serve
from footprint.config import settings
from footprint.serve.recorded import RecordedSite
from footprint.sources.simulated import SimulatedSite

POWER_METRIC = "bmc_node_power_watt"
SIMULATED_SOURCE = {
    "kind": "simulated",
    "seed": 6,  # with this seed, a job is suspended during the study
    "nodes": {"graffiti": 2, "grouille": 1, "gruss": 1, "gres": 1},
    "jobs": 150,
    "mix": {
        **dict.fromkeys(("sweep", "debug", "inference"), 1),
        **dict.fromkeys(("container", "besteffort"), 0.3),
        **dict.fromkeys(("training", "idle_hold"), 0.1),
        **dict.fromkeys(("chain", "long_inference"), 0),
    },
}


def simulated_config(
    start: str = "2025-03-29", end: str = "2025-04-01", **source: Any
) -> dict[str, Any]:
    """Return a study of three days of five nodes; summer time begins in Paris on the second."""
    study = {"site": "nancy", "start": start, "end": end}
    return settings.prepare_configuration({"study": study, "source": SIMULATED_SOURCE | source})


class ServedSite:
    """A server, a client of it, and the served site."""

    def __init__(self, server: serve.Server, client: httpx.Client, site: SimulatedSite) -> None:
        self.server, self.client, self.site = server, client, site

    def get_response(self, path: str, *, expect: int = 200, **params: Any) -> httpx.Response:
        """Return the response to a request; `from_` stands for the parameter `from`."""
        query = {name.rstrip("_"): value for name, value in params.items()}
        answer = self.client.get(path, params=query)
        assert answer.status_code == expect, answer.text
        return answer

    def get_json(self, path: str, **params: Any) -> Any:
        """Return the JSON document of an answer."""
        return self.get_response(path, **params).json()

    def all_items(self, path: str, limit: int, **params: Any) -> list[dict[str, Any]]:
        """Return the items of all pages up to an empty one."""
        items: list[dict[str, Any]] = []
        while page := self.get_json(path, limit=limit, offset=len(items), **params)["items"]:
            items += page
        return items


@contextmanager
def served_site(config: dict[str, Any], **options: Any) -> Iterator[ServedSite]:
    """Run a server for the time of a test."""
    site = RecordedSite.from_config(config).site
    with (
        serve.running_server(config, **options) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield ServedSite(server, client, site)


def epoch_seconds(at: datetime) -> int:
    """Return a time in whole seconds since 1970."""
    return int(at.timestamp())
