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
    folders,
    node_lists,
    numbered_parts,
    rows,
)

HELD_SCHEMA: dict[str, Any] = {
    **{column.name: cells.DTYPES[column.kind] for column in columns.ALLOCATIONS},
    "total_cores": pl.Int64,
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
        *("job_id", "n_cores", "total_cores", "n_gpus", "exclusive", "file"),
        pl.col("nodes").alias("node"),
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
    of_list = names.group_by("node").agg(n_nodes=pl.len().cast(pl.Int64))
    divided = (pl.col("total_cores") + pl.col("n_nodes") - 1) // pl.col("n_nodes")
    return (
        held.join(of_list, on="node", maintain_order="left")
        .join(names, on="node", how="inner", maintain_order="left_right")
        .with_columns(node="name", n_cores=pl.coalesce("n_cores", "n_slots", divided))
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
    as are given, numbered by `numbered_parts`; else the whole node. An exclusive job holds the
    whole node.

    Args:
        held: `HELD_SCHEMA`, on described nodes.
        jobs: `schemas.Jobs`.
        nodes: `schemas.Nodes`.

    Raises:
        InputError: A job has a core or GPU that its node lacks, or more than the node has; or a job
            has two rows for one node.
    """
    facts = nodes.select(
        "node",
        size=pl.col("n_cores").cast(pl.Int64),
        threads=pl.col("n_threads").cast(pl.Int64),
        node_has_gpus=pl.col("gpus").list.len() > 0,
    )
    times = jobs.select("job_id", pl.col("started_at", "stopped_at").dt.epoch("us"))
    rows_of = held.join(facts, on="node").join(times, on="job_id")
    _check_once(rows_of)
    number = pl.col("n_cores")
    # schedulers that hand out threads count a whole node by them
    is_whole = (number == pl.col("size")) | (number == pl.col("threads"))
    no_number = pl.col("cores").is_null() & number.is_null()
    no_gpu = pl.col("gpus").is_null() & pl.col("n_gpus").fill_null(0).eq(0)
    whole = (
        pl.col("exclusive").fill_null(False)
        | (no_number & ~(pl.col("node_has_gpus") & ~no_gpu))
        | (pl.col("cores").is_null() & is_whole.fill_null(False))
    )
    assumed = no_number & ~pl.col("exclusive").fill_null(False)
    rows_of = rows_of.with_columns(whole=whole, assumed=assumed)
    whole_nodes = rows_of.filter("whole").join(nodes.select("node", "cores", "gpus"), on="node")
    of_whole = whole_nodes.select(
        "job_id",
        "node",
        cores="cores_right",
        gpus="gpus_right",
        basis=pl.when("assumed").then(pl.lit("whole_node")).otherwise(pl.lit("cores")),
    )
    schema: Any = Allocations.create_empty().schema
    shared = rows_of.join(rows_of.filter(~pl.col("whole")).select("node").unique(), on="node")
    of_parts = numbered_parts.number_parts(shared, nodes)
    found: pl.DataFrame = conform(
        Allocations, pl.concat([of_whole.cast(schema), of_parts.cast(schema)])
    )
    return found


def _check_once(held: pl.DataFrame) -> None:
    twice = held.filter(pl.struct("job_id", "node").is_duplicated()).head(1)
    for row in twice.iter_rows(named=True):
        what = f"job {row['job_id']} has two rows for node {row['node']}"
        raise InputError(what, where=row["file"], do="write one row for each job and node")
