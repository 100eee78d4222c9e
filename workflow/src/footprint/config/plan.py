"""Plan of the download of a study: requests, samples, size, and nodes without a power metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from footprint.config import study
from footprint.core import calendar
from footprint.sources import registry
from footprint.sources.grid5000 import jobs_by_date, oarapi
from footprint.sources.grid5000.samples import is_chunk_kept
from footprint.sources.grid5000.site import Grid5000Site

JSON_BYTES_PER_SAMPLE, STORED_BYTES_PER_SAMPLE = 134, 12
"""Bytes of a sample: as JSON in an answer, and compressed on disk.

Measured on answers in the format of the API
(`{"timestamp":"2025-04-18T18:55:33.754307+02:00",...}`).
"""


STORED_BYTES_PER_NODE_DAY = 38_000
"""Bytes of `resources/` for a day of a node: 101 MB for 47 nodes over 56 days of the default."""


@dataclass(frozen=True)
class ClusterPlan:
    """Download of the power of one cluster.

    Attributes:
        cluster: Name of the cluster.
        n_nodes: Number of nodes described on the days of the study.
        uncollected: Nodes whose metric is collected only for jobs that request it.
        without: Nodes without the metric.
        n_requests: Number of requests for power.
        n_kept: Number of these requests whose answers are kept already.
        n_samples: Number of samples expected.
    """

    cluster: str
    n_nodes: int
    uncollected: list[str]
    without: list[str]
    n_requests: int
    n_kept: int
    n_samples: int


def describe_plan(config: Mapping[str, Any]) -> str:
    """Return the plan of a study, as text: what it downloads, reads or simulates.

    Args:
        config: A configuration as `settings.prepare_configuration` returns it.

    Raises:
        InputError: The source cannot be used, or a service refuses a request.
    """
    if config["source"]["kind"] == "grid5000":
        return describe_download(config)
    planned = study.plan_study(dict(config))
    site = registry.open_site(planned.source, site=planned.site, download=config["download"])
    described = site.nodes().filter(pl.col("cluster").is_in(planned.clusters))
    n_nodes = described.select(pl.col("node").n_unique()).lazy().collect().item()
    start, end = calendar.study_window(planned.start, planned.end)
    n_bytes = n_nodes * ((end - start) / timedelta(days=1)) * STORED_BYTES_PER_NODE_DAY
    n_files = len(planned.clusters) * len(planned.months)
    lines = [
        planned.description,
        "",
        f"nodes:       {n_nodes} of {', '.join(planned.clusters)}",
        f"months:      {', '.join(planned.months)}",
        f"power:       {n_files} monthly files in resources/{planned.site}/power, with all records "
        f"about {_size(n_bytes)} for sensors that are read every 5 s",
        "download:    nothing",
    ]
    if planned.is_simulated:
        lines.append("records:     simulated on this machine, with known true energies")
    else:
        files = [Path(each) for value in asdict(planned.files).values() for each in value]
        n_read = sum(path.stat().st_size for path in files)
        folder = config["source"]["directory"]
        lines.append(f"records:     {len(files)} files of {folder}, {_size(n_read)}")
    return "\n".join(lines)


def describe_download(config: Mapping[str, Any]) -> str:
    """Return the plan of the download of a study of Grid'5000, as text.

    Requests go to the Reference API, and to OAR for the number of jobs. No power is downloaded.

    Args:
        config: A configuration as `settings.prepare_configuration` returns it.

    Raises:
        InputError: The service refuses a request.
    """
    planned = study.plan_study(dict(config))
    site = Grid5000Site.from_config(planned.source, site=planned.site, download=config["download"])
    clusters = [plan_cluster(site, planned, cluster) for cluster in planned.clusters]
    start, end = calendar.study_window(planned.start, planned.end)
    n_jobs = (
        jobs_by_date.count_by_date(site.service, site=planned.site, start=start, end=end)
        if config["source"]["oar_database"] is None
        else None
    )
    return "\n".join(_lines(planned, clusters, n_jobs))


def plan_cluster(site: Grid5000Site, planned: study.Study, cluster: str) -> ClusterPlan:
    """Return the plan of the download of one cluster's power.

    Args:
        site: The services of the site.
        planned: The study.
        cluster: Name of the cluster.
    """
    names = site.node_names(cluster)
    query = site.power_query(planned.metric)
    margin = timedelta(seconds=planned.integration["max_gap_s"])
    requests = [
        (chunk, name)
        for month in planned.months
        for start, end in [calendar.month_in_study(month, planned.start, planned.end)]
        for group in query.chunk_groups(names, start - margin, end + margin)
        for chunk in group
        for name in query.metric_names(chunk)
    ]
    metrics = {name for _, name in requests}
    declared = [each for each in site.descriptions.metrics(cluster) if each.get("name") in metrics]
    periods_of = {
        node: [
            each.get("period") or 0 for each in declared if node in (each.get("only_for") or names)
        ]
        for node in names
    }
    first, last = calendar.study_window(planned.start, planned.end)
    study_ms = (last - first) / timedelta(milliseconds=1)
    n_samples = sum(study_ms / max(periods) for periods in periods_of.values() if any(periods))
    return ClusterPlan(
        cluster,
        len(names),
        [node for node, periods in periods_of.items() if periods and not any(periods)],
        [node for node, periods in periods_of.items() if not periods],
        len(requests),
        sum(is_chunk_kept(site.service, query, chunk, name) for chunk, name in requests),
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
        f"{'total':<12} {sum(each.n_nodes for each in clusters):>6} {n_requests:>9} "
        f"{n_kept:>7} {n_samples:>12,}",
        "",
        f"download:    about {_size(n_samples * JSON_BYTES_PER_SAMPLE)} over the network, "
        f"{_size(n_samples * STORED_BYTES_PER_SAMPLE)} kept on disk"
        + (f", less the answers of {n_kept} requests that are kept already" if n_kept else ""),
    ]
    start, end = calendar.study_window(planned.start, planned.end)
    if n_jobs is not None:
        n_pages = (end - start).days + n_jobs // oarapi.OARAPI_PAGE
        lines.append(f"jobs:        {n_jobs:,}, in about {n_pages:,} requests")
    else:
        lines.append("jobs:        not counted: OAR's list by date is not used or not accessible")
    for title, nodes in (
        ("no power", [node for each in clusters for node in each.without]),
        ("on demand", [node for each in clusters for node in each.uncollected]),
    ):
        if nodes:
            lines.append(f"{title + ':':<12} {', '.join(nodes)}")
    return lines


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
