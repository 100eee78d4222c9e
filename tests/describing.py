"""The Reference API in miniature: clusters that declare metrics, and their nodes."""

from __future__ import annotations

from typing import Any

from answers import node, page
from asking import METRIC


class Reference:
    """What the Reference API says of some clusters, at whatever date.

    Attributes:
        clusters: Nodes of each cluster.
        metrics: Metrics that a cluster declares; the power of nodes every 5 s unless told here.
    """

    def __init__(self, **clusters: int) -> None:
        self.clusters = {
            name: [f"{name}-{number}" for number in range(1, n_nodes + 1)]
            for name, n_nodes in clusters.items()
        }
        self.metrics: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        assert query.get("queues") == "all"
        assert query["timestamp"].isdecimal()
        if path == "/sites/nancy/clusters":
            usual = [{"name": METRIC, "period": 5000}]
            return page(
                *({"uid": name, "metrics": self.metrics.get(name, usual)} for name in self.clusters)
            )
        cluster = path.split("/")[4]
        assert path == f"/sites/nancy/clusters/{cluster}/nodes"
        return page(*(node(name) for name in self.clusters[cluster]))
