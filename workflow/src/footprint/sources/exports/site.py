"""Site of the source `exports`: nodes, jobs, states and power from the files of a folder."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes, RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import files, rejected_files, series, state_notes
from footprint.sources.exports import conversion, folders
from footprint.sources.kwollect import metrics
from footprint.sources.node_names import GRID5000_PATTERN
from footprint.sources.oar import job_records, job_tables, listing_totals
from footprint.sources.oar.held_resources import Core
from footprint.sources.protocol import JobRecords
from footprint.sources.reference_api import descriptions

LOG = logging.getLogger(__name__)


class ExportedSite:
    """Nodes, jobs, states and power of a site, from the files of a folder (`protocol.Site`).

    The folder has `nodes/`, `jobs/` and `power/`, and optionally `resources/`, `states/` and
    `devices/`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        site: str,
        converted: Path | None = None,
        pattern: str = GRID5000_PATTERN,
    ) -> None:
        """Open the folder of a site's exports.

        Args:
            directory: The folder of the exports.
            site: Name of the site.
            converted: Folder of the power files as Parquet, one subfolder a metric, written by
                `convert_power`; only `power` and `devices` need it.
            pattern: Pattern of the nodes' names.

        Raises:
            InputError: The folder is missing.
        """
        if not directory.is_dir():
            do = "set source.directory to the folder that holds nodes/, jobs/ and power/"
            raise InputError("there is no such folder", where=str(directory), do=do)
        self.directory = directory
        self.site = site
        self.converted = converted
        self.pattern = pattern

    @classmethod
    def from_config(cls, source: Mapping[str, Any], *, site: str) -> Self:
        """Open the site of a `source`: `directory`, optionally `converted` and `node_pattern`."""
        folder = source.get("converted")
        return cls(
            Path(source["directory"]),
            site=site,
            converted=None if folder is None else Path(folder),
            pattern=source.get("node_pattern", GRID5000_PATTERN),
        )

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every described node (`schemas.Nodes`).

        Raises:
            InputError: A file of `nodes/` is missing, cannot be read or lacks a field.
        """
        return self._nodes.lazy()

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        rows = descriptions.node_rows(
            (
                (folders.relative_name(path, self.directory), document)
                for path in folders.node_files(self.directory)
                for document in files.read_documents(path)
            ),
            site=self.site,
            pattern=self.pattern,
        )
        if not rows:
            where = str(self.directory / "nodes")
            raise InputError("no file describes a node", where=where, do=descriptions.SAVE_NODES)
        schema = Nodes.create_empty().schema
        nodes: pl.DataFrame = conform(Nodes, pl.DataFrame(rows, schema=schema))
        return nodes

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a described node in [start, end), or were submitted in it but never ran.

        Raises:
            InputError: See `job_records.parse_jobs` and `job_tables.tables_from_records`.
        """
        resources = self._resources()
        records = [pl.DataFrame(schema=job_records.RECORD_SCHEMA)]
        empty_files = []
        pages: list[listing_totals.ListingPage | None] = []
        for path in folders.job_files(self.directory):
            name = folders.relative_name(path, self.directory)
            documents = files.read_documents(path)
            n_before = len(records)
            for document in documents:
                records.append(job_records.parse_jobs(document, file=name, resources=resources))
                pages.append(listing_totals.parse_page(document, records[-1], file=name))
            empty_files += [] if any(map(len, records[n_before:])) else [name]
        found = job_tables.tables_from_records(
            pl.concat(records),
            nodes=self._nodes,
            site=self.site,
            start=start,
            end=end,
            pattern=self.pattern,
        )
        not_listed = listing_totals.count_unlisted_jobs(filter(None, pages), start=start)
        counted = (_reject_empty_files(empty_files), not_listed, self._state_notes[1])
        rejected = pl.concat([found.rejected, *(each.lazy() for each in counted)])
        return found._replace(rejected=conform(RejectedRows, rejected).lazy())

    def _resources(self) -> dict[int, Core | None]:
        """Core of each resource id, from `resources/`; None for a resource that is not a core."""
        table: dict[int, Core | None] = {}
        for path in folders.resource_files(self.directory):
            name = folders.relative_name(path, self.directory)
            for document in files.read_documents(path):
                for key, core in job_records.parse_resources(document, file=name).items():
                    if table.setdefault(key, core) != core:
                        what = f"resource {key} differs from the same resource in another file"
                        do = "remove the table that was not valid during the study"
                        raise InputError(what, where=name, do=do)
        return table

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Intervals that overlap [start, end) in which nodes could not be used; None without files.

        Files that cannot be used are among the rejected rows of `jobs`.
        """
        notes = self._state_notes[0]
        return (
            state_notes.states_in_window(pl.concat(notes), start=start, end=end) if notes else None
        )

    @cached_property
    def _state_notes(self) -> tuple[list[pl.DataFrame], pl.DataFrame]:
        """States of each file of `states/`, and the files that cannot be used (`RejectedRows`).

        Without states, time of nodes that could not be used is idle: no energy changes.
        """
        found, unusable = [], folders.unreadable_entries(self.directory, "states")
        for path in folders.state_files(self.directory):
            name = folders.relative_name(path, self.directory)
            try:
                found.append(state_notes.read_states(path, name=name, site=self.site))
            except InputError as error:
                LOG.warning("%s", error)
                unusable.append((name, error.what))
        return found, rejected_files.reject_files(unusable, stage="states")

    def convert_power(self, *, metric: str, directory: Path) -> pl.DataFrame:
        """Convert the readings of one metric in `power/`, and return the rejected ones.

        Args:
            metric: The metric.
            directory: Folder whose subfolder `metric` gets the Parquet files; `converted` of a site
                that reads them.

        Returns:
            `schemas.RejectedRows`.

        Raises:
            InputError: See `conversion.convert_power`.
        """
        paths = folders.power_files(self.directory)
        return self._convert(paths, [metric], directory, stage="power")

    def convert_devices(self, *, directory: Path) -> pl.DataFrame:
        """Convert the series of `metrics.EXPORTED_SERIES` in `devices/`.

        Args:
            directory: Folder whose subfolders of the metrics get the Parquet files.

        Returns:
            `schemas.RejectedRows`.

        Raises:
            InputError: See `conversion.convert_power`.
        """
        paths = folders.device_files(self.directory)
        rejected = self._convert(paths, metrics.EXPORTED_SERIES, directory, stage="devices")
        unreadable = folders.unreadable_entries(self.directory, "devices")
        return pl.concat([rejected, rejected_files.reject_files(unreadable, stage="devices")])

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
        return conversion.count_outside_study(
            directories,
            clusters=clusters,
            start=start,
            end=end,
            stage=stage,
            pattern=self.pattern,
        )

    def _convert(
        self, paths: list[Path], names: Sequence[str], directory: Path, *, stage: str
    ) -> pl.DataFrame:
        return conversion.convert_power(
            paths,
            metrics=names,
            nodes=self._nodes["node"].unique().to_list(),
            directory=directory,
            stage=stage,
            site=self.site,
            pattern=self.pattern,
        )

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame for each node that has some, by name.

        Columns as in `protocol.Site.power`.

        Raises:
            ValueError: The power files were not converted for this metric.
        """
        for frame in self._converted_readings(metric, cluster, start, end):
            yield series.drop_equal_labels(frame)

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings of a series in [start, end), one frame for each node that has some, by name.

        Columns `node`, `labels`, `timestamp`, `value`, as in `protocol.Site.devices`.

        Raises:
            ValueError: The files of `devices/` were not converted.
        """
        labels = pl.col("labels")
        if metric == metrics.GPU_POWER_METRIC:
            labels = pl.concat_str(pl.lit('{"gpu":"'), series.gpu_index(labels), pl.lit('"}'))
        for frame in self._converted_readings(metric, cluster, start, end):
            yield frame.select("node", labels.alias("labels"), "timestamp", value="power_w")

    def _converted_readings(
        self, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        folder = None if self.converted is None else self.converted / metric
        if folder is None or not folder.is_dir():
            raise ValueError(f"convert_power has not been called for {metric}")
        nodes = self._nodes.filter(pl.col("cluster") == cluster)["node"].unique().to_list()
        return conversion.converted_readings(folder, nodes=nodes, start=start, end=end)


def _reject_empty_files(names: list[str]) -> pl.DataFrame:
    """Rejected rows about empty files of jobs; `oarstat -J` prints nothing when it finds no job."""
    columns = {
        "stage": ["jobs"] * len(names),
        "source": names,
        "reason": ["empty file"] * len(names),
        "n_rows": [0] * len(names),
        "example": [None] * len(names),
    }
    return pl.DataFrame(columns, schema=RejectedRows.create_empty().schema)
