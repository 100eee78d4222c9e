"""What the services of the simulated site have on record: its nodes, its jobs, its readings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from footprint.errors import InputError
from footprint.settings import SIMULATED_METRIC
from footprint.site import JobRecords
from footprint.site.simulated import SimulatedSite
from footprint.site.simulated.site import WARM_UP_DAYS

READ_OUT = timedelta(hours=12)
"""The services answer as they would have at this time after the study's end."""

TIMES = ("submitted_at", "started_at", "stopped_at")
SERVABLE = "give the configuration of a simulated study, or of one that asks this server"


class Recorded:
    """A simulated site as its services know it, a short time after the study.

    Attributes:
        site: The site itself.
        name: Its name.
        since: Start of the records.
        now: The time at which the services answer; the records end here.
    """

    def __init__(self, site: SimulatedSite) -> None:
        self.site, self.name = site, site.site
        self.since = site.start - timedelta(days=WARM_UP_DAYS)
        self.now = site.end + READ_OUT

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Recorded:
        """The site of a loaded configuration, over the window of its study.

        Raises:
            InputError: The source is made of files.
        """
        source, study = config["source"], config["study"]
        if source["kind"] == "exports":
            raise InputError(
                "only a simulated site can be served", where="source.kind", do=SERVABLE
            )
        window = {key: study[key] for key in ("start", "end")}
        return cls(SimulatedSite.from_config({**source, **window}, site=study["site"]))

    @property
    def now_s(self) -> int:
        """The time at which the services answer, in seconds since 1970."""
        return int(self.now.timestamp())

    @cached_property
    def nodes(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of `tables.Nodes` by cluster."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.site.nodes().collect().iter_rows(named=True):
            found.setdefault(row["cluster"], []).append(row)
        return found

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(row["node"] for rows in self.nodes.values() for row in rows)

    @cached_property
    def jobs(self) -> dict[int, dict[str, Any]]:
        """Every job by its id, ascending, as `job_rows` gives it."""
        records = self.site.jobs(start=self.since, end=self.now)
        return {row["job_id"]: row for row in job_rows(records)}

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job by its id as it is written; None: it is not on record."""
        return self.jobs.get(int(job_id)) if job_id.isdecimal() else None

    @cached_property
    def version(self) -> str:
        """What stands for the commit of the descriptions: the same for the same nodes."""
        described = json.dumps(self.nodes, default=str, sort_keys=True)
        return hashlib.sha1(described.encode(), usedforsecurity=False).hexdigest()

    def readings(
        self, node: str, metric: str, start: datetime, end: datetime
    ) -> pl.DataFrame | None:
        """What was read of a node in [start, end): `labels`, `timestamp`, `value`, as it came.

        None where there is no such node or metric, or nothing on record in that time.
        """
        start, end = max(start, self.since), min(end, self.now)
        if start >= end or node not in self._names:
            return None
        if metric != SIMULATED_METRIC:
            return self.site.devices_of(node, metric=metric, start=start, end=end)
        power = self.site.power_of(node, start=start, end=end)
        if power is None:
            return None
        return power.select("timestamp", labels=pl.lit("{}"), value="power_w")

    def states(self) -> pl.DataFrame:
        """When nodes could not be used (`tables.States`)."""
        return self.site.states(start=self.since, end=self.now).collect()


def job_rows(records: JobRecords) -> list[dict[str, Any]]:
    """Jobs by id, as rows of `tables.Jobs` with times in seconds since 1970, and what they held.

    `held` is a list of `{node, cores, gpus}`, and `suspensions` one of `{started_at, stopped_at}`.
    """
    held = records.allocations.group_by("job_id", maintain_order=True).agg(
        held=pl.struct("node", "cores", "gpus")
    )
    spell = pl.element().struct
    spells = pl.struct(
        spell.field(name).dt.epoch("s").alias(name) for name in ("started_at", "stopped_at")
    )
    jobs = records.jobs.with_columns(
        pl.col(TIMES).dt.epoch("s"), pl.col("suspensions").list.eval(spells)
    )
    joined = jobs.join(held, on="job_id", how="left").with_columns(pl.col("held").fill_null([]))
    return joined.sort("job_id").collect().to_dicts()
