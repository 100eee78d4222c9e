"""Hardware of nodes from the Reference API, as it was on the days of a study.

The API answers for any date (`timestamp`). It is asked for the first day of the study, of each
month, and the last; where two answers differ, for days between them until the day of the change is
known. What changed and changed back within a month, and a node that was there only then, is missed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Self

from footprint import windows
from footprint.errors import InputError
from footprint.node_names import GRID5000
from footprint.site import reference
from footprint.site.grid5000.refusals import Refused
from footprint.site.grid5000.service import Service, epoch, settled

Rows = dict[str, dict[str, Any]]
"""Rows of `tables.Nodes` by node."""

DAY = timedelta(days=1)


class Descriptions:
    """What the Reference API says of a site over a period."""

    def __init__(
        self,
        service: Service,
        *,
        site: str,
        start: datetime,
        end: datetime,
        pattern: str = GRID5000,
    ) -> None:
        """Prepare.

        Args:
            service: The API.
            site: Site.
            start: Start of the period.
            end: End of the period, excluded.
            pattern: Pattern of the nodes' names.
        """
        self.service, self.site, self.pattern = service, site, pattern
        months = (f"{month}-01" for month in windows.months(start, end))
        firsts = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in months)
        last = end - timedelta(seconds=1)
        self.dates = sorted({start, last, *(day for day in firsts if start < day < last)})
        self._clusters_at = cache(self._ask_clusters)

    @classmethod
    def from_config(
        cls, source: Mapping[str, Any], *, site: str, download: Mapping[str, Any]
    ) -> Self:
        """What a configuration asks about; `source` with `start`, `end` and `answers`."""
        start, end = windows.window(source["start"], source["end"])
        return cls(
            Service.from_config(source, download),
            site=site,
            start=start,
            end=end,
            pattern=source.get("node_pattern", GRID5000),
        )

    def clusters(self) -> list[str]:
        """Clusters that the site had at any of the dates, sorted.

        Raises:
            InputError: The service refuses, has no such site, or knows no cluster of it.
        """
        found = {str(cluster["uid"]) for date in self.dates for cluster in self._clusters_at(date)}
        if not found:
            what = f"has no cluster from {self.dates[0]:%Y-%m-%d} to {self.dates[-1]:%Y-%m-%d}"
            raise InputError(what, where=f"/sites/{self.site}", do="check study.site and the days")
        return sorted(found)

    def node_rows(self, clusters: Collection[str], *, concurrency: int) -> list[dict[str, Any]]:
        """Rows of `tables.Nodes` of these clusters, one a node and period in which it stayed so.

        The first description holds from 1970 on and the last one without end, where the node was
        there on the first or the last date.

        Raises:
            InputError: The service refuses, or a description lacks a field.
        """
        for date in self.dates:
            self._clusters_at(date)  # once, before several threads want it
        with ThreadPoolExecutor(concurrency) as pool:
            found = pool.map(self._cluster_rows, sorted(clusters))
            rows = [row for rows in found for row in rows]
        return sorted(rows, key=lambda row: (row["node"], row["valid_from"]))

    def metrics(self, cluster: str) -> list[dict[str, Any]]:
        """Metrics that a cluster declares, as of the last of the dates at which it existed."""
        for date in reversed(self.dates):
            for each in self._clusters_at(date):
                if each["uid"] == cluster:
                    declared: list[dict[str, Any]] = each.get("metrics") or []
                    return declared
        return []

    def _cluster_rows(self, cluster: str) -> list[dict[str, Any]]:
        at = cache(lambda date: self._rows_at(cluster, date))
        known = [(self.dates[0], at(self.dates[0]))]
        for last, date in pairwise(self.dates):
            known += self._changes(at, (last, known[-1][1]), date)
        return _periods(known)

    def _changes(
        self, at: Any, before: tuple[datetime, Rows], date: datetime
    ) -> list[tuple[datetime, Rows]]:
        """Days, up to a date, from which on the cluster was another, with what it was then."""
        if at(date) == before[1]:
            return []
        if date - before[0] <= DAY:
            return [(date, at(date))]
        middle = before[0] + (date - before[0]) / 2
        middle = middle.replace(hour=0, minute=0, second=0, microsecond=0)
        if middle <= before[0]:
            middle = before[0] + DAY
        first = self._changes(at, before, middle)
        # what is known to hold at the middle, however it came to be so
        return first + self._changes(at, (middle, at(middle)), date)

    def _rows_at(self, cluster: str, date: datetime) -> Rows:
        """Rows of a cluster's nodes at a date; none where it did not exist."""
        declared = [each for each in self._clusters_at(date) if each["uid"] == cluster]
        if not declared:
            return {}
        path = f"/sites/{self.site}/clusters/{cluster}/nodes"
        try:
            answer = self._ask(path, date)
        except Refused as refusal:
            if refusal.status != 404:
                raise
            return {}
        documents = [
            (path, document)
            for document, objects in (
                (declared[0], reference.cluster_objects),
                (answer, reference.node_objects),
            )
            if any(objects(document, where=path))  # nodes may be to come, and metrics unknown
        ]
        rows = reference.node_rows(documents, site=self.site, pattern=self.pattern)
        return {row["node"]: row for row in rows}

    def _ask_clusters(self, date: datetime) -> list[dict[str, Any]]:
        path = f"/sites/{self.site}/clusters"
        try:
            answer = self._ask(path, date)
        except Refused as refusal:
            if refusal.status == 404:
                raise self._no_site() from None
            raise
        items: list[dict[str, Any]] = answer["items"]
        return items

    def _no_site(self) -> InputError:
        answer = self.service.document("/sites", {}, final=lambda _: False)
        names = sorted(str(site.get("uid")) for site in answer.get("items", []))
        do = f"choose among {', '.join(names)}" if names else "check source.url"
        return InputError(f"there is no site {self.site}", where="study.site", do=do)

    def _ask(self, path: str, date: datetime) -> dict[str, Any]:
        """A collection as it was at a date."""
        # without `queues`, clusters of the production queue are left out
        at = {"queues": "all", "timestamp": epoch(date)}

        def check(content: bytes) -> dict[str, Any]:
            answer = json.loads(content)
            items = answer.get("items") if isinstance(answer, dict) else None
            if (
                not isinstance(items, list)
                or not all(isinstance(each, dict) and "uid" in each for each in items)
                or len(items) < int(answer.get("total") or 0)
            ):
                what = "answers no whole list"
                raise InputError(what, where=path, do="check that source.url is the Grid'5000 API")
            return dict(answer)

        return self.service.ask(path, at, check=check, final=lambda _: settled(date))


def _periods(known: Iterable[tuple[datetime, Rows]]) -> list[dict[str, Any]]:
    """Rows with the time in which each held, from what a cluster was from some days on."""
    rows: list[dict[str, Any]] = []
    last: Rows = {}
    for number, (since, now) in enumerate(known):
        for node in last.keys() - now.keys():
            last[node]["valid_until"] = since
        current: Rows = {}
        for node, row in now.items():
            before = last.get(node)
            if before is not None and _same(before, row):
                current[node] = before
                continue
            if before is not None:
                before["valid_until"] = since
            current[node] = row | ({"valid_from": since} if number else {})
            rows.append(current[node])
        last = current
    return rows


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    times = ("valid_from", "valid_until")
    return all(one[key] == other[key] for key in one if key not in times)
