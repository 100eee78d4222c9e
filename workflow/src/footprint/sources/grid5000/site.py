"""Nodes, jobs, states, power and devices of a site, from the services of Grid'5000."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import conform
from footprint.sources import rejected_files, series, state_notes
from footprint.sources.grid5000 import jobs, samples
from footprint.sources.grid5000.descriptions import Descriptions
from footprint.sources.grid5000.service import Request
from footprint.sources.kwollect import metrics
from footprint.sources.kwollect.collected_metrics import uncollected_nodes
from footprint.sources.node_names import cluster_of
from footprint.sources.oar import job_tables
from footprint.sources.protocol import JobRecords

HARMLESS_REASONS = ("repeated", "outside the window")
"""Reasons of rejected rows that are no loss: a service lists more jobs than the study needs."""

log = logging.getLogger(__name__)


class Grid5000Site:
    """A site of Grid'5000 over the days of a study."""

    def __init__(
        self,
        descriptions: Descriptions,
        *,
        source: Mapping[str, Any],
        download: Mapping[str, Any],
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            descriptions: The site's hardware over the study's days, and the API that describes it.
            source: `states` and `oar_database` of the configuration's `source`, and `clusters` to
                describe; without them, all that the site had.
            download: The configuration's `download`.
        """
        self.descriptions = descriptions
        self.site, self.service = descriptions.site, descriptions.service
        self._source, self._download = source, download

    @classmethod
    def from_config(
        cls, source: Mapping[str, Any], *, site: str, download: Mapping[str, Any]
    ) -> Self:
        """Return the site of a configuration; `source` as `Study.source` completes it."""
        descriptions = Descriptions.from_config(source, site=site, download=download)
        return cls(descriptions, source=source, download=download)

    def clusters(self) -> list[str]:
        """Return the clusters that the site had on the days of the study, sorted."""
        return self.descriptions.clusters()

    def nodes(self) -> pl.LazyFrame:
        """Return the hardware of the nodes of the study's clusters (`schemas.Nodes`).

        A node has a row for each time in which its hardware stayed equal.
        """
        return self._nodes.lazy()

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        clusters = self._source.get("clusters") or self.clusters()
        rows = self.descriptions.node_rows(clusters, concurrency=self._download["concurrency"])
        schema = Nodes.create_empty().schema
        nodes: pl.DataFrame = conform(Nodes, pl.DataFrame(rows, schema=schema))
        return nodes

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Return jobs of [start, end) that held a node of the study's clusters, or never started.

        Raises:
            InputError: See `jobs.list_job_records`, `postgresql.read_jobs` and
                `job_tables.tables_from_records`.
        """
        database, lacking = self._source["oar_database"], []
        if database is not None:
            from footprint.sources.oar import postgresql  # its driver loads slowly

            records = postgresql.read_jobs(database, start=start, end=end)
        else:
            records, gaps = jobs.list_job_records(
                self.service,
                site=self.site,
                start=start,
                end=end,
                listing=self._download["jobs"],
                history=timedelta(days=self._download["history_days"]),
                concurrency=self._download["concurrency"],
            )
            lacking = [gaps.lazy()]
        found = job_tables.tables_from_records(
            records,
            nodes=self._nodes,
            site=self.site,
            start=start,
            end=end,
            pattern=self.descriptions.pattern,
        )
        is_loss = ~pl.col("reason").is_in(HARMLESS_REASONS)
        lacking.append(self._state_notes[1].lazy())
        return found._replace(rejected=pl.concat([found.rejected.filter(is_loss), *lacking]))

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Return the intervals in which nodes could not be used; None without a source of them.

        Notes that cannot be used are among the rejected rows of `jobs`.

        Raises:
            InputError: The service refuses the request; or see `postgresql.read_states`.
        """
        notes, database = self._state_notes[0], self._source["oar_database"]
        if self._source["states"] is None and database is not None:
            from footprint.sources.oar import postgresql

            notes = self._of_described_nodes(postgresql.read_states(database, start=start, end=end))
        if notes is None:
            return None
        return state_notes.states_in_window(notes, start=start, end=end)

    @cached_property
    def _state_notes(self) -> tuple[pl.DataFrame | None, pl.DataFrame]:
        """States of `source.states`, and whether its notes cannot be used (`RejectedRows`)."""
        address: str | None = self._source["states"]
        unusable: list[tuple[str, str]] = []
        found = None
        if address is not None:
            answer = self._request_notes(address) if address.startswith("/sites/") else None
            try:
                found = self._parse_notes(address, answer)
            except InputError as error:
                log.warning("%s", error)
                unusable = [(address, error.what)]
        return found, rejected_files.reject_files(unusable, stage="states")

    def _request_notes(self, address: str) -> Any:
        return self.service.fetch_answer(
            Request(address, {}), parse=json.loads, is_final=lambda _: False
        )

    def _parse_notes(self, address: str, answer: Any) -> pl.DataFrame:
        """Notes on states of a file, or of the answer to a path of the API."""
        if not address.startswith("/sites/"):
            return state_notes.read_states(Path(address), name=address, site=self.site)
        notes = answer.get("items") if isinstance(answer, dict) else answer
        if not isinstance(notes, list):
            raise InputError(
                "returned no list of states", where=address, do=state_notes.EXPECTED_COLUMNS
            )
        return state_notes.parse_states(
            ((f"{address}, item {number}", note) for number, note in enumerate(notes, start=1)),
            site=self.site,
        )

    def _of_described_nodes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """States of described nodes: OAR also keeps the history of nodes retired long ago."""
        return rows.filter(pl.col("node").is_in(self._nodes["node"].unique().implode()))

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Yield raw readings (W) in [start, end), one frame for each node that has some, by name.

        Columns `node`, `timestamp`, `from_summary`, `power_w`, and `labels` if those of a node's
        readings differ. `from_summary` is true if a mean over 5 minutes replaces readings.

        Raises:
            InputError: See `samples.download_samples`.
        """
        of_cluster = self._nodes.filter(pl.col("cluster") == cluster)
        if without := uncollected_nodes(of_cluster, metric):
            log.info("%s is not collected by default of %s", metric, ", ".join(without))
        query = self.power_query(metric)
        for frame in self._download_samples(query, cluster, start, end):
            yield series.drop_equal_labels(
                frame.select("node", "labels", "timestamp", "from_summary", power_w="value")
            )

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Yield raw readings of another metric in [start, end), one frame for each node, by name.

        Columns `node`, `labels`, `timestamp`, `value`.

        Raises:
            InputError: See `samples.download_samples`.
        """
        query = samples.SampleQuery(**self._query_options(metric))
        for frame in self._download_samples(query, cluster, start, end):
            yield frame.drop("from_summary")

    def power_query(self, metric: str) -> samples.SampleQuery:
        """Return the query of `power` for a metric."""
        until = datetime.fromisoformat(self._download["former_name_until"]).replace(tzinfo=UTC)
        return samples.SampleQuery(
            **self._query_options(metric),
            former_name=metrics.FORMER_NAMES.get(metric),
            former_until=until,
            summaries=self._download["summaries"],
        )

    def node_names(self, cluster: str) -> list[str]:
        """Return the nodes of a cluster on the days of the study, sorted."""
        of_cluster = self._nodes.filter(pl.col("cluster") == cluster)
        names: list[str] = of_cluster["node"].unique().sort().to_list()
        return names

    def _download_samples(
        self, query: samples.SampleQuery, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        names = self.node_names(cluster)
        clusters = self.clusters() if query.missing else []
        for node in sorted(query.missing):
            own = cluster_of(node.partition(".")[0], self.descriptions.pattern)
            if own not in clusters:
                what = f"{self.site} has no cluster of node {node}"
                do = f"fix or remove it; the clusters are {', '.join(clusters)}"
            elif own == cluster and node not in names:
                what = f"{cluster} has no node {node}"
                do = f"fix or remove it; the nodes are {', '.join(names)}"
            else:
                continue
            raise InputError(what, where="download.allow_missing", do=do)
        return samples.download_samples(self.service, query, nodes=names, start=start, end=end)

    def _query_options(self, metric: str) -> dict[str, Any]:
        chunks = self._download["chunks"]
        return {
            "site": self.site,
            "metric": metric,
            "missing": frozenset(self._download["allow_missing"]),
            "hours": chunks["hours"],
            "n_nodes": chunks["nodes"],
            "concurrency": self._download["concurrency"],
        }
