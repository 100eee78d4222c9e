"""A small Reference API: clusters that declare metrics, and their nodes."""

from __future__ import annotations

from typing import Any

from tests.support.api_answers import collection_page, reference_node
from tests.support.http_service import POWER_METRIC


class ReferenceApi:
    """Answers the same clusters and nodes for any date.

    Attributes:
        clusters: Nodes of each cluster.
        metrics: Metrics that a cluster declares; those without an entry have power every 5 s.
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
            default = [{"name": POWER_METRIC, "period": 5000}]
            return collection_page(
                *(
                    {"uid": name, "metrics": self.metrics.get(name, default)}
                    for name in self.clusters
                )
            )
        cluster = path.split("/")[4]
        assert path == f"/sites/nancy/clusters/{cluster}/nodes"
        return collection_page(*(reference_node(name) for name in self.clusters[cluster]))
