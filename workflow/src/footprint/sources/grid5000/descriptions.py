"""Hardware of nodes on the days of a study, from the Reference API.

The API describes a site at any date (`timestamp`). Requested are the first day of the study, of
each month, and the last. If two of them differ, days in between are requested until the day of the
change is found. A change that is undone within a month is missed, as is a node that exists only
within one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Self

from footprint.core import calendar
from footprint.core.errors import InputError
from footprint.sources.grid5000.refusals import Refused
from footprint.sources.grid5000.service import Request, Service, epoch_text, is_settled
from footprint.sources.node_names import GRID5000_PATTERN
from footprint.sources.reference_api import descriptions

RowsByNode = dict[str, dict[str, Any]]
"""Rows of `schemas.Nodes` by node."""

ONE_DAY = timedelta(days=1)


class Descriptions:
    """Hardware of a site over a window, from the Reference API."""

    def __init__(
        self,
        service: Service,
        *,
        site: str,
        start: datetime,
        end: datetime,
        pattern: str = GRID5000_PATTERN,
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            service: The API.
            site: Site.
            start: Start of the window.
            end: End of the window, excluded.
            pattern: Pattern of the nodes' names.
        """
        self.service, self.site, self.pattern = service, site, pattern
        months = (f"{month}-01" for month in calendar.months_between(start, end))
        month_starts = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in months)
        last = end - timedelta(seconds=1)
        self.dates = sorted({start, last, *(day for day in month_starts if start < day < last)})
        self._clusters_at = cache(self._fetch_clusters)

    @classmethod
    def from_config(
        cls, source: Mapping[str, Any], *, site: str, download: Mapping[str, Any]
    ) -> Self:
        """Return the descriptions that a configuration needs.

        Args:
            source: The configuration's `source`, with `start`, `end` and `answers`.
            site: Site.
            download: The configuration's `download`.
        """
        start, end = calendar.study_window(source["start"], source["end"])
        return cls(
            Service.from_config(source, download),
            site=site,
            start=start,
            end=end,
            pattern=source.get("node_pattern", GRID5000_PATTERN),
        )

    def clusters(self) -> list[str]:
        """Return the clusters that the site had at any of the dates, sorted.

        Raises:
            InputError: The service refuses, does not have the site, or has no cluster of it.
        """
        found = {str(cluster["uid"]) for date in self.dates for cluster in self._clusters_at(date)}
        if not found:
            what = f"has no cluster from {self.dates[0]:%Y-%m-%d} to {self.dates[-1]:%Y-%m-%d}"
            raise InputError(what, where=f"/sites/{self.site}", do="fix study.site or the days")
        return sorted(found)

    def node_rows(self, clusters: Collection[str], *, concurrency: int) -> list[dict[str, Any]]:
        """Return rows of `schemas.Nodes`, one for each node and time of unchanged hardware.

        The first description is valid from 1970 on, and the last one has no end.

        Args:
            clusters: Clusters of the rows.
            concurrency: Number of simultaneous requests.

        Raises:
            InputError: The service refuses, or a description lacks a field.
        """
        for date in self.dates:
            self._clusters_at(date)  # once, before several threads need it
        with ThreadPoolExecutor(concurrency) as pool:
            found = pool.map(self._cluster_rows, sorted(clusters))
            rows = [row for rows in found for row in rows]
        return sorted(rows, key=lambda row: (row["node"], row["valid_from"]))

    def metrics(self, cluster: str) -> list[dict[str, Any]]:
        """Return the metrics that a cluster declares at the last date at which it exists."""
        for date in reversed(self.dates):
            for each in self._clusters_at(date):
                if each["uid"] == cluster:
                    declared: list[dict[str, Any]] = each.get("metrics") or []
                    return declared
        return []

    def _cluster_rows(self, cluster: str) -> list[dict[str, Any]]:
        rows_at = cache(lambda date: self._rows_at(cluster, date))
        known = [(self.dates[0], rows_at(self.dates[0]))]
        for last, date in pairwise(self.dates):
            known += self._changes(rows_at, (last, known[-1][1]), date)
        return _rows_with_validity(known)

    def _changes(
        self,
        rows_at: Callable[[datetime], RowsByNode],
        before: tuple[datetime, RowsByNode],
        date: datetime,
    ) -> list[tuple[datetime, RowsByNode]]:
        """Return the days after `before` and up to `date` at which rows change, with the new rows.

        Args:
            rows_at: Returns the rows of a cluster at a date.
            before: A date and the rows at it.
            date: Last date of the search.
        """
        if rows_at(date) == before[1]:
            return []
        if date - before[0] <= ONE_DAY:
            return [(date, rows_at(date))]
        middle = before[0] + (date - before[0]) / 2
        middle = middle.replace(hour=0, minute=0, second=0, microsecond=0)
        if middle <= before[0]:
            middle = before[0] + ONE_DAY
        first_half = self._changes(rows_at, before, middle)
        return first_half + self._changes(rows_at, (middle, rows_at(middle)), date)

    def _rows_at(self, cluster: str, date: datetime) -> RowsByNode:
        """Rows of a cluster's nodes at a date; none if the cluster does not exist then."""
        declared = [each for each in self._clusters_at(date) if each["uid"] == cluster]
        if not declared:
            return {}
        path = f"/sites/{self.site}/clusters/{cluster}/nodes"
        try:
            answer = self._fetch_collection(path, date)
        except Refused as refusal:
            if refusal.status != 404:
                raise
            return {}
        documents = [
            (path, document)
            for document, objects in (
                (declared[0], descriptions.cluster_descriptions),
                (answer, descriptions.node_descriptions),
            )
            if any(objects(document, where=path))  # a new cluster may lack nodes or metrics
        ]
        rows = descriptions.node_rows(documents, site=self.site, pattern=self.pattern)
        return {row["node"]: row for row in rows}

    def _fetch_clusters(self, date: datetime) -> list[dict[str, Any]]:
        path = f"/sites/{self.site}/clusters"
        try:
            answer = self._fetch_collection(path, date)
        except Refused as refusal:
            if refusal.status == 404:
                raise self._unknown_site() from None
            raise
        items: list[dict[str, Any]] = answer["items"]
        return items

    def _unknown_site(self) -> InputError:
        answer = self.service.fetch_document("/sites", {}, is_final=lambda _: False)
        names = sorted(str(site.get("uid")) for site in answer.get("items", []))
        do = f"set it to one of {', '.join(names)}" if names else "fix source.url"
        return InputError(f"site {self.site} does not exist", where="study.site", do=do)

    def _fetch_collection(self, path: str, date: datetime) -> dict[str, Any]:
        """A collection as it was at a date."""
        # without `queues`, clusters of the production queue are left out
        params = {"queues": "all", "timestamp": epoch_text(date)}

        def parse(content: bytes) -> dict[str, Any]:
            answer = json.loads(content)
            items = answer.get("items") if isinstance(answer, dict) else None
            if (
                not isinstance(items, list)
                or not all(isinstance(each, dict) and "uid" in each for each in items)
                or len(items) < int(answer.get("total") or 0)
            ):
                what = "returned an incomplete list"
                do = "set source.url to the address of the Grid'5000 API"
                raise InputError(what, where=path, do=do)
            return dict(answer)

        return self.service.fetch_answer(
            Request(path, params), parse=parse, is_final=lambda _: is_settled(date)
        )


def _rows_with_validity(known: Iterable[tuple[datetime, RowsByNode]]) -> list[dict[str, Any]]:
    """Return the rows of a cluster with `valid_from` and `valid_until`.

    Args:
        known: Times from which rows of the cluster are valid, ascending, with these rows.
    """
    rows: list[dict[str, Any]] = []
    last: RowsByNode = {}
    for number, (since, now) in enumerate(known):
        for node in last.keys() - now.keys():
            last[node]["valid_until"] = since
        current: RowsByNode = {}
        for node, row in now.items():
            before = last.get(node)
            if before is not None and _is_same_hardware(before, row):
                current[node] = before
                continue
            if before is not None:
                before["valid_until"] = since
            current[node] = row | ({"valid_from": since} if number else {})
            rows.append(current[node])
        last = current
    return rows


def _is_same_hardware(one: dict[str, Any], other: dict[str, Any]) -> bool:
    times = ("valid_from", "valid_until")
    return all(one[key] == other[key] for key in one if key not in times)
