"""What a study would download: requests, samples, size, and nodes without a power metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from footprint import study, windows
from footprint.errors import InputError
from footprint.site.grid5000 import by_date
from footprint.site.grid5000.samples import is_kept
from footprint.site.grid5000.site import Grid5000Site

JSON_BYTES, KEPT_BYTES = 134, 12
"""Bytes of a sample: in an answer (`{"timestamp":"2025-04-18T18:55:33.754307+02:00",...}`), and as
it is kept, compressed. Measured on answers in the form of the API's."""


@dataclass(frozen=True)
class ClusterPlan:
    """What a cluster takes.

    Attributes:
        cluster: The cluster.
        n_nodes: Nodes described in the study's days.
        uncollected: Nodes of which the metric comes only where a job asked for it.
        without: Nodes that do not have the metric at all.
        n_requests: Requests for power.
        n_kept: Those of them whose answers are kept already.
        n_samples: Samples to expect.
    """

    cluster: str
    n_nodes: int
    uncollected: list[str]
    without: list[str]
    n_requests: int
    n_kept: int
    n_samples: int


def text(config: Mapping[str, Any]) -> str:
    """The plan of a loaded configuration, as lines to read.

    The Reference API is asked, and OAR for the number of jobs; no power is downloaded.

    Raises:
        InputError: The source is not `grid5000`, or the service refuses.
    """
    if config["source"]["kind"] != "grid5000":
        what = f"`{config['source']['kind']}` downloads nothing"
        raise InputError(what, where="source.kind", do="a plan is for `grid5000`")
    planned = study.plan(dict(config))
    site = Grid5000Site.from_config(planned.source, site=planned.site, download=config["download"])
    clusters = [cluster_plan(site, planned, cluster) for cluster in planned.clusters]
    start, end = windows.window(planned.start, planned.end)
    n_jobs = (
        by_date.count_by_date(site.service, site=planned.site, start=start, end=end)
        if config["source"]["oar_database"] is None
        else None
    )
    return "\n".join(_lines(planned, clusters, n_jobs))


def cluster_plan(site: Grid5000Site, planned: study.Study, cluster: str) -> ClusterPlan:
    """What the power of one cluster takes."""
    names = site.node_names(cluster)
    query = site.power_query(planned.metric)
    margin = timedelta(seconds=planned.integration["max_gap_s"])
    asked = [
        (chunk, name)
        for month in planned.months
        for start, end in [windows.month_window(month, planned.start, planned.end)]
        for group in query.chunks(names, start - margin, end + margin)
        for chunk in group
        for name in query.names(chunk)
    ]
    called = {name for _, name in asked}
    declared = [each for each in site.descriptions.metrics(cluster) if each.get("name") in called]
    having = {
        node: [
            each.get("period") or 0 for each in declared if node in (each.get("only_for") or names)
        ]
        for node in names
    }
    first, last = windows.window(planned.start, planned.end)
    study_ms = (last - first) / timedelta(milliseconds=1)
    n_samples = sum(study_ms / max(periods) for periods in having.values() if any(periods))
    return ClusterPlan(
        cluster,
        len(names),
        [node for node, periods in having.items() if periods and not any(periods)],
        [node for node, periods in having.items() if not periods],
        len(asked),
        sum(is_kept(site.service, query, chunk, name) for chunk, name in asked),
        round(n_samples),
    )


def _lines(planned: study.Study, clusters: list[ClusterPlan], n_jobs: int | None) -> list[str]:
    n_requests = sum(each.n_requests for each in clusters)
    n_kept = sum(each.n_kept for each in clusters)
    n_samples = sum(each.n_samples for each in clusters)
    lines = [
        f"{planned.site}, {planned.start} to {planned.end} (excluded), {planned.metric}",
        "",
        f"{'cluster':<12} {'nodes':>6} {'requests':>9} {'kept':>7} {'samples':>12}",
    ]
    lines += [
        f"{each.cluster:<12} {each.n_nodes:>6} {each.n_requests:>9} {each.n_kept:>7} "
        f"{each.n_samples:>12,}"
        for each in clusters
    ]
    lines += [
        f"{'in all':<12} {sum(each.n_nodes for each in clusters):>6} {n_requests:>9} "
        f"{n_kept:>7} {n_samples:>12,}",
        "",
        f"to come:     about {_size(n_samples * JSON_BYTES)} over the network, "
        f"{_size(n_samples * KEPT_BYTES)} kept on disk"
        + (f", less what {n_kept} kept requests hold" if n_kept else ""),
    ]
    start, end = windows.window(planned.start, planned.end)
    if n_jobs is not None:
        n_pages = (end - start).days + n_jobs // by_date.OARAPI_PAGE
        lines.append(f"jobs:        {n_jobs:,}, in about {n_pages:,} requests")
    else:
        lines.append("jobs:        not counted: OAR's list by date is not asked or not open")
    for title, nodes in (
        ("no power of", [node for each in clusters for node in each.without]),
        ("on demand", [node for each in clusters for node in each.uncollected]),
    ):
        if nodes:
            lines.append(f"{title + ':':<12} {', '.join(nodes)}")
    return lines


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
