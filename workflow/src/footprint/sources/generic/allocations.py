"""Cores and GPUs of jobs on nodes, from the generic tables (`schemas.Allocations`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations
from footprint.schemas.writing import conform
from footprint.sources import node_names
from footprint.sources.generic import (
    cells,
    columns,
    core_places,
    folders,
    hardware,
    node_lists,
    rows,
)

HELD_SCHEMA: dict[str, Any] = {
    **{column.name: cells.DTYPES[column.kind] for column in columns.ALLOCATIONS},
    "exclusive": pl.Boolean,
    "file": pl.String,
}
"""Columns of a node that a job held, before cores and GPUs have numbers."""

ADD_NODE = "add the node to the table nodes"


def held_nodes(directory: Path, jobs: pl.DataFrame) -> pl.DataFrame:
    """One row a job and node (`HELD_SCHEMA`), from `allocations`, else from `nodes` of the job.

    Args:
        directory: Folder of the tables.
        jobs: Jobs, with the columns of `columns.JOBS` and `file`.

    Raises:
        InputError: A file cannot be read, or a cell is no list of nodes.
    """
    listed = [pl.DataFrame(schema=HELD_SCHEMA)]
    for path in folders.table_files(directory, "allocations"):
        name = folders.relative_name(path, directory)
        for block in rows.read_rows(path, table="allocations", where=name):
            own = block.join(jobs.select("job_id", "exclusive"), on="job_id")
            listed.append(own.with_columns(file=pl.lit(name)))
    found = pl.concat(listed, how="diagonal")
    others = jobs.filter(pl.col("nodes").is_not_null()).join(found, on="job_id", how="anti")
    of_jobs = others.select(
        "job_id", "n_cores", "n_gpus", "exclusive", "file", pl.col("nodes").alias("node")
    )
    return _expanded(pl.concat([found, of_jobs], how="diagonal"))


def _expanded(held: pl.DataFrame) -> pl.DataFrame:
    """Rows with one node each; slots in a list of nodes are cores where no number is given."""
    texts = held["node"].unique().drop_nulls()
    lists: dict[str, tuple[node_lists.HeldNode, ...]] = {}
    for text in texts:
        try:
            lists[text] = node_lists.expand(text)
        except ValueError as error:
            row = held.filter(pl.col("node") == text).row(0, named=True)
            do = "write it as n[1-4,7], 48*n051:48*n114 or n1 n2"
            raise InputError(
                str(error), where=f"{row['file']}, job {row['job_id']}", do=do
            ) from None
    schema = {"node": pl.String, "name": pl.String, "n_slots": pl.Int64}
    names = pl.DataFrame(
        [(text, each.name, each.n_slots) for text in lists for each in lists[text]],
        schema=schema,
        orient="row",
    )
    return (
        held.join(names, on="node", how="inner", maintain_order="left_right")
        .with_columns(node="name", n_cores=pl.coalesce("n_cores", "n_slots"))
        .select(list(HELD_SCHEMA))
    )


def of_described_nodes(
    held: pl.DataFrame, nodes: pl.DataFrame, pattern: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows on described nodes, and rows on nodes of other clusters.

    Args:
        held: `HELD_SCHEMA`.
        nodes: `schemas.Nodes`.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A node is not described although its cluster is.
    """
    is_known = pl.col("node").is_in(nodes["node"].unique().implode())
    others = held.filter(~is_known)
    clusters = set(nodes["cluster"])
    for row in others.unique("node", keep="first", maintain_order=True).iter_rows(named=True):
        if node_names.cluster_of(row["node"], pattern) in clusters:
            what = f"job {row['job_id']} held node {row['node']}, which is not described"
            raise InputError(what, where=row["file"], do=ADD_NODE)
    return held.filter(is_known), others


def allocation_table(held: pl.DataFrame, jobs: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Numbered cores and GPUs of each job on each node (`schemas.Allocations`).

    A job holds the cores that are given; else those of its GPUs, on a node with GPUs; else as many
    as are given, numbered by `core_places`; else the whole node. An exclusive job holds the whole
    node.

    Args:
        held: `HELD_SCHEMA`, on described nodes.
        jobs: `schemas.Jobs`.
        nodes: `schemas.Nodes`.

    Raises:
        InputError: A job has a core or GPU that its node lacks, or more than the node has; or a job
            has two rows for one node.
    """
    kinds = {name: HELD_SCHEMA[name] for name in ("n_cores", "n_gpus")}
    facts = nodes.select(
        "node",
        node_cores="cores",
        node_core_gpus="core_gpus",
        node_gpus="gpus",
        size=pl.col("n_cores").cast(kinds["n_cores"]),
        node_threads=pl.col("n_threads").cast(kinds["n_cores"]),
    )
    rows_of = held.join(facts, on="node").join(
        jobs.select("job_id", "started_at", "stopped_at"), on="job_id"
    )
    _check_once(rows_of)
    number = pl.col("n_cores")
    # schedulers that hand out threads count a whole node by them
    is_whole = (number == pl.col("size")) | (number == pl.col("node_threads"))
    no_number = pl.col("cores").is_null() & number.is_null()
    no_gpu = pl.col("gpus").is_null() & pl.col("n_gpus").fill_null(0).eq(0)
    has_gpus = (pl.col("node_gpus").list.len() > 0) & ~no_gpu
    whole = (
        pl.col("exclusive").fill_null(False)
        | (no_number & ~has_gpus)
        | (pl.col("cores").is_null() & is_whole.fill_null(False))
    )
    rows_of = rows_of.with_columns(whole=whole)
    simple = rows_of.filter("whole").select(
        "job_id",
        "node",
        cores="node_cores",
        gpus="node_gpus",
        basis=pl.when(pl.col("exclusive").fill_null(False) | ~no_number)
        .then(pl.lit("cores"))
        .otherwise(pl.lit("whole_node")),
    )
    schema = Allocations.create_empty().schema
    parts = [
        frame
        for _, frame in rows_of.filter(
            pl.col("node").is_in(rows_of.filter(~pl.col("whole"))["node"].unique().implode())
        ).group_by("node", maintain_order=True)
    ]
    numbered = [record for frame in parts for record in _numbered(frame)]
    found: pl.DataFrame = conform(
        Allocations,
        pl.concat(
            [
                simple.cast(schema),
                pl.DataFrame(numbered, schema=schema),
            ]
        ),
    )
    return found


def _check_once(held: pl.DataFrame) -> None:
    twice = held.filter(pl.struct("job_id", "node").is_duplicated()).head(1)
    for row in twice.iter_rows(named=True):
        what = f"job {row['job_id']} has two rows for node {row['node']}"
        raise InputError(what, where=row["file"], do="write one row for each job and node")


def _numbered(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Records of `schemas.Allocations` of the jobs on one node that hold parts of it."""
    requests, gpus_of = [], {}
    records = frame.sort("started_at", "job_id", nulls_last=True).to_dicts()
    owner = dict(zip(records[0]["node_cores"], records[0]["node_core_gpus"], strict=True))
    gpu_requests = []
    for row in records:
        where = f"{row['file']}, job {row['job_id']} on {row['node']}"
        gpus = hardware.parse_ids(row["gpus"], where, "gpus") if row["gpus"] else None
        _check_known(gpus or (), row["node_gpus"], where, "GPU")
        n_gpus = len(row["node_gpus"]) if row["whole"] else len(gpus or ()) or row["n_gpus"] or 0
        if n_gpus > len(row["node_gpus"]):
            n_gpus, gpus = 0, None  # such as GPUs of a job of which this node has none
        gpu_requests.append(_request(row, row["node_gpus"] if row["whole"] else gpus, n_gpus))
    gpus_of = core_places.place_cores(gpu_requests, records[0]["node_gpus"])
    for row in records:
        where = f"{row['file']}, job {row['job_id']} on {row['node']}"
        cores = hardware.parse_ids(row["cores"], where, "cores") if row["cores"] else None
        _check_known(cores or (), row["node_cores"], where, "core")
        if row["whole"]:
            cores = row["node_cores"]
        elif cores is None and gpus_of[row["job_id"]]:
            wanted = gpus_of[row["job_id"]]
            cores = [core for core, gpu in owner.items() if gpu in wanted]
        n_cores = len(cores) if cores else row["n_cores"] or 0
        if not 1 <= n_cores <= row["size"]:
            what = f"{n_cores} cores, and the node has {row['size']}"
            do = "set n_cores of the node to the cores or slots that the scheduler gives out"
            raise InputError(what, where=where, do=do)
        requests.append(_request(row, cores, n_cores))
    cores_of = core_places.place_cores(requests, records[0]["node_cores"])
    return [
        {
            "job_id": row["job_id"],
            "node": row["node"],
            "cores": cores_of[row["job_id"]],
            "gpus": gpus_of[row["job_id"]]
            or sorted({owner[core] for core in cores_of[row["job_id"]]} - {None}),
            "basis": "cores",
        }
        for row in records
        if not row["whole"]
    ]


def _request(row: dict[str, Any], known: list[int] | None, n: int) -> core_places.CoreRequest:
    return core_places.CoreRequest(row["started_at"], row["stopped_at"], row["job_id"], known, n)


def _check_known(ids: Any, of_node: list[int], where: str, kind: str) -> None:
    unknown = sorted(set(ids) - set(of_node))
    if unknown:
        what = f"{kind} {unknown[0]}, which the node does not have"
        raise InputError(what, where=where, do="fix the row, or the node in the table nodes")
