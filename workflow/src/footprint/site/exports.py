"""The source `exports`: files that a user saved from the API or on a frontend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from footprint import tables
from footprint.errors import InputError
from footprint.node_names import GRID5000
from footprint.site import (
    JobRecords,
    converted,
    files,
    folders,
    holdings,
    kwollect,
    listing_totals,
    oar,
    reference,
    states,
)


class ExportedSite:
    """Nodes, jobs, states and power of a site, from the files of a folder.

    The folder has `nodes/`, `jobs/` and `power/`, and may have `resources/`, `states/` and
    `devices/`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        site: str,
        converted: Path | None = None,
        pattern: str = GRID5000,
    ) -> None:
        """A site whose files are in `directory`.

        Args:
            directory: The folder of the exports.
            site: Name of the site.
            converted: Folder of the power files as Parquet, one subfolder a metric, as
                `convert_power` writes them; only `power` needs it.
            pattern: Pattern of the nodes' names.

        Raises:
            InputError: There is no such folder.
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
        """The site of a `source`: `directory`, and optionally `converted` and `node_pattern`."""
        folder = source.get("converted")
        return cls(
            Path(source["directory"]),
            site=site,
            converted=None if folder is None else Path(folder),
            pattern=source.get("node_pattern", GRID5000),
        )

    def nodes(self) -> pl.LazyFrame:
        """Hardware of every node described (`tables.Nodes`).

        Raises:
            InputError: A file of `nodes/` is missing, cannot be read or lacks a field.
        """
        return self._nodes.lazy()

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        rows = reference.node_rows(
            (
                (folders.label(path, self.directory), document)
                for path in folders.node_files(self.directory)
                for document in files.documents(path)
            ),
            site=self.site,
            pattern=self.pattern,
        )
        if not rows:
            where = str(self.directory / "nodes")
            raise InputError("no file describes a node", where=where, do=reference.SAVE_NODES)
        schema = tables.Nodes.create_empty().schema
        nodes: pl.DataFrame = tables.conform(tables.Nodes, pl.DataFrame(rows, schema=schema))
        return nodes

    def jobs(self, *, start: datetime, end: datetime) -> JobRecords:
        """Jobs that held a described node, or were submitted and never started, in [start, end).

        Raises:
            InputError: See `oar.parse_jobs` and `holdings.job_records`.
        """
        resources = self._resources()
        records = [pl.DataFrame(schema=oar.RECORD)]
        empty = []
        pages: list[listing_totals.Page | None] = []
        for path in folders.job_files(self.directory):
            name = folders.label(path, self.directory)
            documents = files.documents(path)
            empty += [] if documents else [name]
            for document in documents:
                records.append(oar.parse_jobs(document, file=name, resources=resources))
                pages.append(listing_totals.page(document, records[-1], file=name))
        found = holdings.job_records(
            pl.concat(records),
            nodes=self._nodes,
            site=self.site,
            start=start,
            end=end,
            pattern=self.pattern,
        )
        not_listed = listing_totals.not_listed(filter(None, pages), start=start)
        set_aside = pl.concat([found.set_aside, _empty_files(empty).lazy(), not_listed.lazy()])
        return found._replace(set_aside=tables.conform(tables.SetAside, set_aside).lazy())

    def _resources(self) -> dict[int, oar.Core | None]:
        """What resource ids mean, from `resources/`."""
        table: dict[int, oar.Core | None] = {}
        for path in folders.resource_files(self.directory):
            name = folders.label(path, self.directory)
            for document in files.documents(path):
                for key, core in oar.parse_resources(document, file=name).items():
                    if table.setdefault(key, core) != core:
                        what = f"resource {key} is not what another file says"
                        do = "keep the table that held during the study"
                        raise InputError(what, where=name, do=do)
        return table

    def states(self, *, start: datetime, end: datetime) -> pl.LazyFrame | None:
        """Intervals that touch [start, end) in which nodes could not be used; None without files.

        Raises:
            InputError: A file of `states/` cannot be read, a node of a described cluster has no
                description, or a node has two states from the same time on.
        """
        paths = folders.state_files(self.directory)
        if not paths:
            return None
        rows = pl.concat(
            states.read_states(path, name=folders.label(path, self.directory), site=self.site)
            for path in paths
        )
        where = str(self.directory / "states")
        return states.in_window(
            rows, nodes=self._nodes, where=where, start=start, end=end, pattern=self.pattern
        )

    def convert_power(self, *, metric: str, directory: Path) -> pl.DataFrame:
        """Convert the files of `power/` for one metric; what was set aside (`tables.SetAside`).

        The Parquet files go to the subfolder `metric` of `directory`, which is what `converted` of
        this class must name for `power` to find them.

        Raises:
            InputError: See `converted.convert_power`.
        """
        return converted.convert_power(
            folders.power_files(self.directory),
            metric=metric,
            nodes=self._nodes["node"].unique().to_list(),
            directory=directory / metric,
            site=self.site,
            pattern=self.pattern,
        )

    def convert_devices(self, *, directory: Path) -> pl.DataFrame:
        """The same for the files of `devices/` and the power of single GPUs."""
        return converted.convert_power(
            folders.device_files(self.directory),
            metric=kwollect.GPU_POWER_METRIC,
            nodes=self._nodes["node"].unique().to_list(),
            directory=directory / kwollect.GPU_POWER_METRIC,
            stage="devices",
            site=self.site,
            pattern=self.pattern,
        )

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """Raw readings in [start, end), one frame a node that has some, by the nodes' names.

        Raises:
            ValueError: The power files were not converted for this metric.
        """
        folder = None if self.converted is None else self.converted / metric
        if folder is None or not folder.is_dir():
            raise ValueError(f"convert_power has not been called for {metric}")
        nodes = self._nodes.filter(pl.col("cluster") == cluster)["node"].unique().to_list()
        yield from converted.power(folder, nodes=nodes, start=start, end=end)

    def devices(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        """The same of single GPUs: `node`, `labels`, `timestamp`, `value`, one frame a node."""
        gpu = pl.concat_str(pl.lit('{"gpu":"'), "gpu", pl.lit('"}'))
        for frame in self.power(metric=metric, cluster=cluster, start=start, end=end):
            yield frame.select("node", gpu.alias("labels"), "timestamp", value="power_w")


def _empty_files(names: list[str]) -> pl.DataFrame:
    """Files of jobs without content, which is what `oarstat -J` prints when it finds no job."""
    columns = {
        "stage": ["jobs"] * len(names),
        "source": names,
        "reason": ["empty file"] * len(names),
        "n_rows": [0] * len(names),
        "example": [None] * len(names),
    }
    return pl.DataFrame(columns, schema=tables.SetAside.create_empty().schema)
