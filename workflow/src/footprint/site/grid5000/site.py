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

from footprint import addresses, series, tables
from footprint.errors import InputError
from footprint.node_names import cluster_of
from footprint.site import JobRecords, holdings, kwollect, states
from footprint.site.grid5000 import jobs, samples
from footprint.site.grid5000.descriptions import Descriptions

ASKED_TWICE = ("repeated", "outside the window")
"""Records that are set aside since a service lists more than was wanted: no loss of the study."""

log = logging.getLogger(__name__)


class Grid5000Site:
    """A site of Grid'5000, over a study's days."""

    def __init__(
        self,
        descriptions: Descriptions,
        *,
        source: Mapping[str, Any],
        download: Mapping[str, Any],
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            descriptions: The site's hardware over the study's days, and the API that tells it.
            source: Of the configuration's `source`: `states`, `oar_database`, and `clusters` to
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
        """The site that a configuration asks for; `source` as `Study.source` completes it."""
        descriptions = Descriptions.from_config(source, site=site, download=download)
        return cls(descriptions, source=source, download=download)

    def clusters(self) -> list[str]:
        """Clusters that the site had in the days of the study, sorted."""
        return self.descriptions.clusters()

    def nodes(self) -> pl.LazyFrame:
        """Hardware of the nodes of the study's clusters, a row a period (`tables.Nodes`)."""
        return self._nodes.lazy()

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        clusters = self._source.get("clusters") or self.clusters()
        rows = self.descriptions.node_rows(clusters, concurrency=self._download["concurrency"])
        schema = tables.Nodes.create_empty().schema
        nodes: pl.DataFrame = tables.conform(tables.Nodes, pl.DataFrame(rows, schema=schema))
        return nodes

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a node of the study's clusters in [start, end), or never started then.

        Raises:
            InputError: See `jobs.records`, `oar_database.jobs` and `holdings.job_records`.
        """
        database, lacking = self._source["oar_database"], []
        if database is not None:
            from footprint.site import oar_database  # its driver takes long to load

            records = oar_database.jobs(database, start=start, end=end)
        else:
            records, lacks = jobs.records(
                self.service,
                site=self.site,
                start=start,
                end=end,
                listing=self._download["jobs"],
                history=timedelta(days=self._download["history_days"]),
                concurrency=self._download["concurrency"],
            )
            lacking = [lacks.lazy()]
        found = holdings.job_records(
            records,
            nodes=self._nodes,
            site=self.site,
            start=start,
            end=end,
            pattern=self.descriptions.pattern,
        )
        wanted = ~pl.col("reason").is_in(ASKED_TWICE)
        return found._replace(set_aside=pl.concat([found.set_aside.filter(wanted), *lacking]))

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Intervals in which nodes could not be used; None: nothing tells.

        Raises:
            InputError: See `states.parse_states`, `states.in_window` and `oar_database.states`.
        """
        database, told = self._source["oar_database"], self._source["states"]
        if told is not None:
            where, rows = told, self._notes(told)
        elif database is not None:
            from footprint.site import oar_database

            found = oar_database.states(database, start=start, end=end)
            where, rows = addresses.DATABASE, self._of_described(found)
        else:
            return None
        return states.in_window(
            rows,
            nodes=self._nodes,
            where=where,
            start=start,
            end=end,
            pattern=self.descriptions.pattern,
        )

    def _notes(self, told: str) -> pl.DataFrame:
        if not told.startswith("/sites/"):
            return states.read_states(Path(told), name=told, site=self.site)
        answer = self.service.ask(told, {}, check=json.loads, final=lambda _: False)
        notes = answer.get("items") if isinstance(answer, dict) else answer
        if not isinstance(notes, list):
            raise InputError("answers no list of states", where=told, do=states.EXPECTED)
        return states.parse_states(
            ((f"{told}, item {number}", note) for number, note in enumerate(notes, start=1)),
            site=self.site,
        )

    def _of_described(self, rows: pl.DataFrame) -> pl.DataFrame:
        """States of described nodes: OAR keeps the history of those that are long gone."""
        return rows.filter(pl.col("node").is_in(self._nodes["node"].unique().implode()))

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame a node that has some, by the nodes' names.

        `from_summary` is true where means over 5 minutes stand in for readings; `labels` is
        there where those of a node's readings differ.

        Raises:
            InputError: See `samples.download`.
        """
        of_cluster = self._nodes.filter(pl.col("cluster") == cluster)
        if without := kwollect.uncollected(of_cluster, metric):
            log.info("%s is not collected by default of %s", metric, ", ".join(without))
        query = self.power_query(metric)
        for frame in self._samples(query, cluster, start, end):
            yield series.with_labels_that_differ(
                frame.select("node", "labels", "timestamp", "from_summary", power_w="value")
            )

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """The same of another series of the nodes: `node`, `labels`, `timestamp`, `value`."""
        query = samples.Query(**self._asking(metric))
        for frame in self._samples(query, cluster, start, end):
            yield frame.drop("from_summary")

    def power_query(self, metric: str) -> samples.Query:
        """How `power` asks for a metric."""
        until = datetime.fromisoformat(self._download["former_name_until"]).replace(tzinfo=UTC)
        return samples.Query(
            **self._asking(metric),
            former_name=kwollect.FORMER_NAMES.get(metric),
            former_until=until,
            summaries=self._download["summaries"],
        )

    def node_names(self, cluster: str) -> list[str]:
        """Nodes of a cluster in the days of the study, sorted."""
        of_cluster = self._nodes.filter(pl.col("cluster") == cluster)
        names: list[str] = of_cluster["node"].unique().sort().to_list()
        return names

    def _samples(
        self, query: samples.Query, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        names = self.node_names(cluster)
        clusters = self.clusters() if query.missing else []
        for node in sorted(query.missing):
            own = cluster_of(node.partition(".")[0], self.descriptions.pattern)
            if own not in clusters:
                what, known = f"{self.site} has no cluster of a node {node}", clusters
            elif own == cluster and node not in names:
                what, known = f"{cluster} has no node {node}", names
            else:
                continue
            do = f"it has {', '.join(known)}"
            raise InputError(what, where="download.allow_missing", do=do)
        return samples.download(self.service, query, nodes=names, start=start, end=end)

    def _asking(self, metric: str) -> dict[str, Any]:
        chunks = self._download["chunks"]
        return {
            "site": self.site,
            "metric": metric,
            "missing": frozenset(self._download["allow_missing"]),
            "hours": chunks["hours"],
            "n_nodes": chunks["nodes"],
            "concurrency": self._download["concurrency"],
        }
