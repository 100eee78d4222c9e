"""Readings of the generic tables `power` and `devices`, converted once to indexed Parquet files.

A folder has the files and the index of one kind of readings (`indexed_readings`), to be read by
node and month. A reading of a node that the table `nodes` lacks is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources import indexed_readings, node_names
from footprint.sources.generic import counters, folders, rows
from footprint.sources.generic.allocations import ADD_NODE

INDEX_FILE = "index.parquet"
"""Name of the file of the index (`indexed_readings.INDEX_COLUMNS`)."""

PART_ROWS = 1 << 23
"""Rows of a file of readings; about 300 MB in memory."""

COUNTERS_FOLDER = "counters"
"""Folder of the readings of energy counters beside those of power."""

OTHER_CLUSTER, NO_GPU = "other cluster", "neither a GPU nor a load average"
OUTSIDE_STUDY, NOT_STUDIED = "outside the study's days", "cluster not studied"


class ReadingsWriter:
    """Writes readings to the files of a folder, in parts of `PART_ROWS`, and their index."""

    def __init__(self, directory: Path) -> None:
        """Create the folder."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._pending: list[pl.DataFrame] = []
        self._index = [pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS)]

    def add(self, readings: pl.DataFrame) -> None:
        """Add readings: `node`, `timestamp`, and the same columns each time."""
        if len(readings):
            self._pending.append(readings)
        if sum(map(len, self._pending)) >= PART_ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest and the index."""
        self._write()
        pl.concat(self._index).write_parquet(self.directory / INDEX_FILE)

    def _write(self) -> None:
        if self._pending:
            target = self.directory / f"{len(self._index):05d}.parquet"
            self._index.append(indexed_readings.write_readings(pl.concat(self._pending), target))
            self._pending = []


def convert_power(
    directory: Path, target: Path, *, nodes: pl.DataFrame, pattern: str, power: str
) -> pl.DataFrame:
    """Convert the table `power`, and return its rejected rows.

    Args:
        directory: Folder of the tables.
        target: Folder of the readings of power; its subfolder `COUNTERS_FOLDER` gets those of
            counters, where a file has some.
        nodes: `schemas.Nodes`.
        pattern: Pattern of the nodes' names.
        power: `watts`, or `counter` where the energy is that of the counters.

    Returns:
        `schemas.RejectedRows`.

    Raises:
        InputError: A file cannot be read or has a faulty cell, no file has the wanted column, or
            has readings of a node that is not described although its cluster is.
    """
    wanted = "energy_j" if power == "counter" else "power_w"
    watts, energies = ReadingsWriter(target), ReadingsWriter(target / COUNTERS_FOLDER)
    rejected, n_wanted = [_no_rows()], 0
    for path in folders.table_files(directory, "power"):
        name = folders.relative_name(path, directory)
        for block in rows.read_rows(path, table="power", where=name):
            known, stray = _of_described_nodes(block, nodes, name, pattern)
            rejected.append(_counted(stray.group_by("node").len(), OTHER_CLUSTER, "power", name))
            n_wanted += len(block) if wanted in block.columns else 0
            labels = (
                []
                if "sensor" not in block.columns
                else [pl.struct("sensor").struct.json_encode().alias("labels")]
            )
            if "power_w" in block.columns:
                watts.add(known.select("node", *labels, "timestamp", "power_w"))
            if "energy_j" in block.columns:
                _check_one_counter(known, name)
                energies.add(known.select(counters.COUNTER_COLUMNS))
    if not n_wanted:
        column, other = ("energy_j", "watts") if power == "counter" else ("power_w", "counter")
        what = f"no file of `power` has the column {column}"
        raise InputError(what, where="source.power", do=f"set it to `{other}`, or add the column")
    watts.close()
    energies.close()
    rejected.append(_count_resets(target / COUNTERS_FOLDER))
    return _merged(rejected)


def convert_devices(
    directory: Path, target: Path, *, nodes: pl.DataFrame, pattern: str, series: Sequence[str]
) -> pl.DataFrame:
    """Convert the table `devices`, and return its rejected rows (`schemas.RejectedRows`).

    Args:
        directory: Folder of the tables.
        target: Folder whose subfolders get the readings of each series.
        nodes: `schemas.Nodes`.
        pattern: Pattern of the nodes' names.
        series: Names of the series: power of GPUs, load averages.

    Raises:
        InputError: See `convert_power`.
    """
    gpu_series, load_series = series
    gpus, loads = ReadingsWriter(target / gpu_series), ReadingsWriter(target / load_series)
    rejected = [_no_rows()]
    for path in folders.table_files(directory, "devices"):
        name = folders.relative_name(path, directory)
        for block in rows.read_rows(path, table="devices", where=name):
            known, stray = _of_described_nodes(block, nodes, name, pattern)
            rejected.append(_counted(stray.group_by("node").len(), OTHER_CLUSTER, "devices", name))
            missing = [each for each in ("gpu", "power_w", "load1") if each not in block.columns]
            known = known.with_columns(pl.lit(None, pl.Float64).alias(each) for each in missing)
            is_gpu = pl.col("gpu").is_not_null() & pl.col("power_w").is_not_null()
            is_load = pl.col("gpu").is_null() & pl.col("load1").is_not_null()
            label = pl.concat_str(pl.lit('{"gpu":"'), pl.col("gpu").cast(pl.Int64), pl.lit('"}'))
            gpus.add(
                known.filter(is_gpu).select("node", "timestamp", labels=label, value="power_w")
            )
            loads.add(
                known.filter(is_load).select(
                    "node", "timestamp", labels=pl.lit("{}"), value="load1"
                )
            )
            neither = known.filter(~is_gpu & ~is_load).group_by("node").len()
            rejected.append(_counted(neither, NO_GPU, "devices", name))
    gpus.close()
    loads.close()
    return _merged(rejected)


def readings_by_node(
    directory: Path, *, nodes: Collection[str], start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """Converted readings in [start, end), one frame for each node that has some, by name.

    Args:
        directory: Folder written by `ReadingsWriter`.
        nodes: Nodes to read.
        start: Start of the window.
        end: End of the window, excluded.
    """
    index = pl.read_parquet(directory / INDEX_FILE)
    yield from indexed_readings.readings_by_node(
        directory, index, nodes=nodes, start=start, end=end
    )


def count_outside_study(
    directories: Sequence[Path],
    *,
    nodes: pl.DataFrame,
    clusters: Collection[str],
    start: datetime,
    end: datetime,
    stage: str,
) -> pl.DataFrame:
    """Counts of converted readings that the study does not use (`schemas.RejectedRows`).

    Args:
        directories: Folders written by `ReadingsWriter`.
        nodes: `schemas.Nodes`.
        clusters: Clusters of the study.
        start: Start of the study.
        end: End of the study, excluded.
        stage: `power` or `devices`.
    """
    studied = nodes.filter(pl.col("cluster").is_in(list(clusters)))["node"].unique()
    is_inside = pl.col("timestamp").is_between(start, end, closed="left")
    reason = (
        pl.when(~pl.col("node").is_in(studied.implode()))
        .then(pl.lit(NOT_STUDIED))
        .when(~is_inside)
        .then(pl.lit(OUTSIDE_STUDY))
    )
    found = [_no_rows()]
    for directory in directories:
        for name in sorted(set(pl.read_parquet(directory / INDEX_FILE)["file"])):
            counted = (
                pl.scan_parquet(directory / name)
                .select("node", reason=reason)
                .drop_nulls("reason")
                .group_by("reason", "node")
                .len()
                .collect()
            )
            found += [
                _counted(counted.filter(pl.col("reason") == why), why, stage, "all files")
                for why in (NOT_STUDIED, OUTSIDE_STUDY)
            ]
    return _merged(found)


def _of_described_nodes(
    block: pl.DataFrame, nodes: pl.DataFrame, name: str, pattern: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of described nodes by their short names, and rows of nodes of other clusters."""
    given = block["node"].unique().sort()
    short = {each: each.partition(".")[0] for each in given}
    if any(each != of for each, of in short.items()):
        block = block.with_columns(pl.col("node").replace(short))
    described, clusters = set(nodes["node"]), set(nodes["cluster"])
    stray = sorted(set(short.values()) - described)
    for node in stray:
        if node_names.cluster_of(node, pattern) in clusters:
            what = f"has readings of node {node}, which is not described"
            raise InputError(what, where=name, do=ADD_NODE)
    if not stray:
        return block, block.clear()
    is_stray = pl.col("node").is_in(stray)
    return block.filter(~is_stray), block.filter(is_stray)


def _check_one_counter(block: pl.DataFrame, name: str) -> None:
    """Refuse several counters of a node: their sum is not known at one moment."""
    if "sensor" not in block.columns:
        return
    several = block.group_by("node").agg(pl.col("sensor").n_unique()).filter(pl.col("sensor") > 1)
    if len(several):
        what = f"several counters of node {several['node'].sort()[0]}"
        do = "add the counters of a node up, or keep the one of the whole node"
        raise InputError(what, where=f"{name}, column sensor", do=do)


def _count_resets(directory: Path) -> pl.DataFrame:
    """Counts of the resets of counters, in all files together."""
    index = pl.read_parquet(directory / INDEX_FILE)
    n_resets = []
    for node in index["node"].unique().sort():
        names = index.filter(pl.col("node") == node)["file"].unique().sort()
        readings = pl.scan_parquet([directory / each for each in names])
        moves = counters.counter_moves(readings.filter(pl.col("node") == node).collect())
        is_reset = pl.col("gain_j").is_null() & pl.col("since_s").is_not_null()
        n_resets.append((node, moves.filter(is_reset).height))
    counted = pl.DataFrame(n_resets, schema={"node": pl.String, "len": pl.Int64}, orient="row")
    rows_of = counted.filter(pl.col("len") > 0)
    return _counted(rows_of, counters.RESET_REASON, "power", "all files")


def _counted(by_node: pl.DataFrame, reason: str, stage: str, source: str) -> pl.DataFrame:
    """Row of `schemas.RejectedRows` of `node` and `len`; no row where there are none."""
    if by_node.is_empty():
        return _no_rows()
    row = {
        "stage": stage,
        "source": source,
        "reason": reason,
        "n_rows": by_node.select(exact_sum(pl.col("len").cast(pl.Int64))).item(),
        "example": by_node["node"].min(),
    }
    return pl.DataFrame([row], schema=RejectedRows.create_empty().schema)


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=RejectedRows.create_empty().schema)


def _merged(counts: list[pl.DataFrame]) -> pl.DataFrame:
    """Counts with one row for each reason and file."""
    merged = (
        pl.concat(counts)
        .group_by("stage", "source", "reason")
        .agg(exact_sum(pl.col("n_rows")), pl.col("example").min())
    )
    found: pl.DataFrame = conform(RejectedRows, merged)
    return found
