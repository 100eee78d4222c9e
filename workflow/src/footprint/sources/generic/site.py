"""Site of the source `generic`: nodes, jobs, states and power from plain tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import series, state_notes
from footprint.sources.generic import (
    allocations,
    counters,
    hardware,
    jobs,
    readings,
    states,
)
from footprint.sources.kwollect import metrics
from footprint.sources.node_names import GENERIC_PATTERN
from footprint.sources.oar import job_checks
from footprint.sources.protocol import JobRecords


class GenericSite:
    """Nodes, jobs, states and power of a site, from the tables of a folder (`protocol.Site`)."""

    def __init__(
        self,
        directory: Path,
        *,
        site: str,
        converted: Path | None = None,
        pattern: str = GENERIC_PATTERN,
        power: str = "watts",
    ) -> None:
        """Open the folder of a site's tables.

        Args:
            directory: The folder.
            site: Name of the site.
            converted: Folder of the readings as Parquet, one subfolder a metric, written by
                `convert_power`; only `power` and `devices` need it.
            pattern: Pattern of the nodes' names.
            power: `watts`, or `counter` where power is that between the readings of counters.

        Raises:
            InputError: The folder is missing.
        """
        if not directory.is_dir():
            do = "set source.directory to the folder of the tables (docs/your-cluster.md)"
            raise InputError("there is no such folder", where=str(directory), do=do)
        self.directory = directory
        self.site = site
        self.converted = converted
        self.pattern = pattern
        self.has_counter_power = power == "counter"

    @classmethod
    def from_config(cls, source: Mapping[str, Any], *, site: str) -> Self:
        """Open the site of a `source`: `directory`, and optionally the other arguments."""
        folder = source.get("converted")
        return cls(
            Path(source["directory"]),
            site=site,
            converted=None if folder is None else Path(folder),
            pattern=source.get("node_pattern") or GENERIC_PATTERN,
            power=source.get("power") or "watts",
        )

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node (`schemas.Nodes`).

        Raises:
            InputError: See `hardware.read_nodes`.
        """
        return self._nodes.lazy()

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        return hardware.read_nodes(self.directory, site=self.site, pattern=self.pattern)

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a described node in [start, end), or were submitted in it but never ran.

        Raises:
            InputError: A table cannot be read, contradicts the nodes, or names no nodes of jobs.
        """
        usable, rejected = jobs.usable_jobs(jobs.read_jobs(self.directory), start=start, end=end)
        has_started = pl.col("started_at").is_not_null()
        held = allocations.held_nodes(self.directory, usable.filter(has_started))
        known, others = allocations.of_described_nodes(held, self._nodes, self.pattern)
        is_here = pl.col("job_id").is_in(known["job_id"].unique().implode())
        is_away = pl.col("job_id").is_in(others["job_id"].unique().implode()) & ~is_here
        without = usable.filter(has_started & ~is_here & ~is_away)
        if len(without) and not len(held):
            what = "no table names the nodes of any job"
            do = "add the column nodes to jobs, or the table allocations"
            raise InputError(what, where=str(self.directory / "jobs"), do=do)
        left_out = [
            rows.select("file", "job_id", reason=pl.lit(reason))
            for rows, reason in (
                (usable.filter(is_away), job_checks.OTHER_CLUSTERS),
                (others.filter(is_here), job_checks.NODE_OF_OTHER_CLUSTER),
                (without, jobs.NO_NODES),
            )
        ]
        kept = jobs.job_rows(usable.filter(~has_started | is_here), site=self.site)
        table = allocations.allocation_table(known, kept, self._nodes)
        counted = jobs.rejected_jobs(pl.concat(left_out))
        return JobRecords(
            kept.lazy(),
            table.lazy(),
            conform(RejectedRows, pl.concat([rejected, counted])).lazy(),
        )

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Intervals that overlap [start, end) in which nodes could not be used; None without any.

        Raises:
            InputError: See `states.read_states`.
        """
        rows = states.read_states(self.directory)
        return None if rows is None else state_notes.states_in_window(rows, start=start, end=end)

    def convert_power(self, *, metric: str, directory: Path) -> pl.DataFrame:
        """Convert the table `power`, and return its rejected rows (`schemas.RejectedRows`).

        Args:
            metric: Name of the metric, for the subfolder.
            directory: Folder whose subfolder `metric` gets the Parquet files.

        Raises:
            InputError: See `readings.convert_power`.
        """
        return readings.convert_power(
            self.directory,
            directory / metric,
            nodes=self._nodes,
            pattern=self.pattern,
            power="counter" if self.has_counter_power else "watts",
        )

    def convert_devices(self, *, directory: Path) -> pl.DataFrame:
        """Convert the table `devices`, and return its rejected rows (`schemas.RejectedRows`).

        Args:
            directory: Folder whose subfolders of `metrics.TABLE_SERIES` get the Parquet files.

        Raises:
            InputError: See `readings.convert_devices`.
        """
        return readings.convert_devices(
            self.directory,
            directory,
            nodes=self._nodes,
            pattern=self.pattern,
            series=metrics.TABLE_SERIES,
        )

    def count_outside_study(
        self,
        directories: Sequence[Path],
        *,
        clusters: Collection[str],
        start: datetime,
        end: datetime,
        stage: str = "power",
    ) -> pl.DataFrame:
        """Counts of converted readings that the study does not use (`schemas.RejectedRows`).

        Args:
            directories: Subfolders of metrics, written by `convert_power` or `convert_devices`.
            clusters: Clusters of the study.
            start: Start of the study.
            end: End of the study, excluded.
            stage: `power` or `devices`.
        """
        is_counter = stage == "power" and self.has_counter_power
        return readings.count_outside_study(
            [each / readings.COUNTERS_FOLDER if is_counter else each for each in directories],
            nodes=self._nodes,
            clusters=clusters,
            start=start,
            end=end,
            stage=stage,
        )

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame for each node that has some, by name.

        Columns as in `protocol.Site.power`; from counters as in `counters.power_of_counter`.

        Raises:
            ValueError: `convert_power` has not been called for this metric.
        """
        if not self.has_counter_power:
            for frame in self._readings(metric, cluster, start, end):
                yield series.drop_equal_labels(frame) if "labels" in frame.columns else frame
            return
        inside = pl.col("timestamp").is_between(start, end, closed="left")
        for frame in self.counters(metric=metric, cluster=cluster, start=start, end=end):
            found = counters.power_of_counter(frame, frame["node"][0]).filter(inside)
            if len(found):
                yield found

    def counters(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Readings of counters in [start, end) with `counters.MARGIN`, one frame a node, by name.

        Columns `counters.COUNTER_COLUMNS`.

        Raises:
            ValueError: `convert_power` has not been called for this metric.
        """
        name = f"{metric}/{readings.COUNTERS_FOLDER}"
        return self._readings(name, cluster, start - counters.MARGIN, end + counters.MARGIN)

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings of a series in [start, end), one frame for each node that has some, by name.

        Columns `node`, `labels`, `timestamp`, `value`, as in `protocol.Site.devices`.

        Raises:
            ValueError: `convert_devices` has not been called.
        """
        for frame in self._readings(metric, cluster, start, end):
            yield frame.select("node", "labels", "timestamp", "value")

    def _readings(
        self, name: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        folder = None if self.converted is None else self.converted / name
        if folder is None or not folder.is_dir():
            raise ValueError(f"the readings of {name} have not been converted")
        nodes = self._nodes.filter(pl.col("cluster") == cluster)["node"].unique().to_list()
        return readings.readings_by_node(folder, nodes=nodes, start=start, end=end)
