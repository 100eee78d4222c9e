"""Nodes, jobs, states and readings that the services of the simulated site have on record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.kwollect.metrics import SIMULATED_METRIC
from footprint.sources.protocol import JobRecords
from footprint.sources.simulated import SimulatedSite
from footprint.sources.simulated.site import WARM_UP_DAYS

ANSWERED_AFTER = timedelta(hours=12)
"""Time after the study's end at which the services answer."""

TIME_COLUMNS = ("submitted_at", "started_at", "stopped_at")
SERVABLE_ADVICE = "set it to `simulated`, or to `grid5000` for a study of this server"


class RecordedSite:
    """A simulated site with its records at a short time after the study.

    Attributes:
        site: The site itself.
        name: Its name.
        since: Start of the records.
        now: Time at which the services answer, and end of the records.
    """

    def __init__(self, site: SimulatedSite) -> None:
        self.site, self.name = site, site.site
        self.since = site.start - timedelta(days=WARM_UP_DAYS)
        self.now = site.end + ANSWERED_AFTER

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RecordedSite:
        """Return the site of a loaded configuration, over the window of its study.

        Raises:
            InputError: The source is `exports`.
        """
        source, study = config["source"], config["study"]
        if source["kind"] == "exports":
            raise InputError(
                "only a simulated site can be served", where="source.kind", do=SERVABLE_ADVICE
            )
        window = {key: study[key] for key in ("start", "end")}
        return cls(SimulatedSite.from_config({**source, **window}, site=study["site"]))

    @property
    def now_s(self) -> int:
        """Time at which the services answer (s since 1970)."""
        return int(self.now.timestamp())

    @cached_property
    def nodes_by_cluster(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of `schemas.Nodes` by cluster."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.site.nodes().collect().iter_rows(named=True):
            found.setdefault(row["cluster"], []).append(row)
        return found

    @cached_property
    def _node_names(self) -> frozenset[str]:
        return frozenset(row["node"] for rows in self.nodes_by_cluster.values() for row in rows)

    @cached_property
    def jobs_by_id(self) -> dict[int, dict[str, Any]]:
        """Every job (a row of `job_rows`) by its id, ascending."""
        records = self.site.jobs(start=self.since, end=self.now)
        return {row["job_id"]: row for row in job_rows(records)}

    def find_job(self, job_id: str) -> dict[str, Any] | None:
        """Return a job by the text of its id; None if it is not on record."""
        return self.jobs_by_id.get(int(job_id)) if job_id.isdecimal() else None

    @cached_property
    def version(self) -> str:
        """Stand-in for the commit of the descriptions: equal for equal nodes."""
        described = json.dumps(self.nodes_by_cluster, default=str, sort_keys=True)
        return hashlib.sha1(described.encode(), usedforsecurity=False).hexdigest()

    def readings(
        self, node: str, metric: str, start: datetime, end: datetime
    ) -> pl.DataFrame | None:
        """Return raw readings of a node in [start, end): `labels`, `timestamp`, `value`.

        None if the node or metric does not exist, or nothing is on record in that time.
        """
        start, end = max(start, self.since), min(end, self.now)
        if start >= end or node not in self._node_names:
            return None
        if metric != SIMULATED_METRIC:
            return self.site.devices_of(node, metric=metric, start=start, end=end)
        power = self.site.power_of(node, start=start, end=end)
        if power is None:
            return None
        return power.select("timestamp", labels=pl.lit("{}"), value="power_w")

    def states(self) -> pl.DataFrame:
        """Return the intervals in which nodes could not be used (`schemas.States`)."""
        return self.site.states(start=self.since, end=self.now).collect()


def job_rows(records: JobRecords) -> list[dict[str, Any]]:
    """Return jobs by id: rows of `schemas.Jobs` with times in seconds since 1970, and allocations.

    `allocations` is a list of `{node, cores, gpus}`, and `suspensions` one of `{started_at,
    stopped_at}`.
    """
    allocations = records.allocations.group_by("job_id", maintain_order=True).agg(
        allocations=pl.struct("node", "cores", "gpus")
    )
    suspension = pl.element().struct
    in_seconds = pl.struct(
        suspension.field(name).dt.epoch("s").alias(name) for name in ("started_at", "stopped_at")
    )
    jobs = records.jobs.with_columns(
        pl.col(TIME_COLUMNS).dt.epoch("s"), pl.col("suspensions").list.eval(in_seconds)
    )
    joined = jobs.join(allocations, on="job_id", how="left").with_columns(
        pl.col("allocations").fill_null([])
    )
    return joined.sort("job_id").collect().to_dicts()
