"""Table of allocations: cores and GPUs of described nodes that jobs held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.schemas.raw import Allocations
from footprint.schemas.writing import conform
from footprint.sources import node_names
from footprint.sources.node_names import GRID5000_DOMAIN
from footprint.sources.oar.rejected_jobs import KEEP_ONE_SITE, file_names, listed_values, verb_form
from footprint.sources.reference_api.descriptions import SAVE_NODE, UNKNOWN_SINCE

JOBS_AT_ONCE = 5_000
"""Jobs whose cores are unfolded together: limits the memory."""

DESCRIPTION_KEY = ("node", "valid_from")
HELD_NODE_SCHEMA: dict[str, Any] = {
    "job_id": pl.Int64,
    "started_at": pl.Datetime("us", "UTC"),
    "file": pl.String,
    "node": pl.String,
    "cluster": pl.String,
    "cores": pl.List(pl.Int32),
    "gpus": pl.List(pl.Int32),
}
"""Columns of a node that a job held. Node names are short; `cores` are ascending, and null where
only the node is known; `gpus` are empty where OAR does not give them."""


def held_node_rows(jobs: pl.DataFrame, *, site: str, pattern: str) -> pl.DataFrame:
    """Return one row a job and node that it held (`HELD_NODE_SCHEMA`).

    Args:
        jobs: One row a job, with the columns of `job_records.RECORD_SCHEMA`.
        site: Site of the jobs.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A node is of another site of Grid'5000.
    """
    return pl.concat(
        [pl.DataFrame(schema=HELD_NODE_SCHEMA), *_iter_held_nodes(jobs, site, pattern)]
    )


def _iter_held_nodes(jobs: pl.DataFrame, site: str, pattern: str) -> Iterator[pl.DataFrame]:
    columns = ("job_id", "started_at", "file", "held_nodes")
    for part in jobs.select(columns).iter_slices(JOBS_AT_ONCE):
        rows = part.explode("held_nodes").drop_nulls("held_nodes").unnest("held_nodes")
        name_parts = pl.col("node").str.split(".")
        site_of_node = name_parts.list.get(1, null_on_oob=True)
        strangers = rows.filter(
            pl.col("node").str.ends_with(GRID5000_DOMAIN) & (site_of_node != site)
        )
        if len(strangers):
            job_ids = listed_values("job", strangers["job_id"])
            names = listed_values("", strangers["node"])
            verb = verb_form(strangers["node"], "is not a node", "are not nodes")
            what = f"{job_ids} held {names}, which {verb} of {site}"
            raise InputError(what, where=file_names(strangers), do=KEEP_ONE_SITE)
        short = name_parts.list.first()
        named = rows.with_columns(
            (pl.col("started_at") * 1_000_000).cast(pl.Datetime("us", "UTC")),
            node=short,
            cluster=node_names.cluster_of_column(short, pattern),
        )
        yield _merge_names(named.select(list(HELD_NODE_SCHEMA)))


def _merge_names(held: pl.DataFrame) -> pl.DataFrame:
    """Return one row a job and node, also where a record has a node by its short and full name."""
    key = [name for name in HELD_NODE_SCHEMA if name not in ("cores", "gpus")]
    if not held.select(pl.struct(key).is_duplicated().any()).item():
        return held
    parts = held.group_by(key, maintain_order=True).agg(
        pl.col("cores", "gpus").list.explode().drop_nulls().unique().sort()
    )
    known = pl.when(pl.col("cores").list.len() > 0).then("cores")
    return parts.with_columns(cores=known).select(list(HELD_NODE_SCHEMA))


def allocation_table(held: pl.DataFrame, *, nodes: pl.DataFrame) -> pl.DataFrame:
    """Return the cores and GPUs that jobs held on described nodes (`schemas.Allocations`).

    The hardware is taken from the description that is valid at the job's start, and before the
    first description from that one. GPUs are those that OAR lists, otherwise those that the
    description assigns to the held cores. If only the node is known, the job held all its cores and
    reservable GPUs.

    Args:
        held: Nodes that jobs held (`HELD_NODE_SCHEMA`).
        nodes: Hardware (`schemas.Nodes`) of every node of the clusters in `held`.

    Raises:
        InputError: A node is not described, or lacks a core that a job held.
    """
    is_first = pl.col("node").is_first_distinct()
    hardware = nodes.sort(DESCRIPTION_KEY).with_columns(
        valid_from=pl.when(is_first).then(UNKNOWN_SINCE).otherwise("valid_from")
    )
    parts = [
        _allocation_rows(part, hardware=hardware)
        for part in held.sort("job_id").iter_slices(JOBS_AT_ONCE)
    ]
    empty = pl.DataFrame(schema=Allocations.create_empty().schema)
    table: pl.DataFrame = conform(Allocations, pl.concat([empty, *parts]))
    return table


def _allocation_rows(held: pl.DataFrame, *, hardware: pl.DataFrame) -> pl.DataFrame:
    held = _with_node_cores(held, hardware)
    reservable = (
        hardware.explode("gpus", "gpu_reservable")
        .filter("gpu_reservable")
        .group_by(DESCRIPTION_KEY)
        .agg(reservable=pl.col("gpus").sort())
    )
    held = held.join(reservable, on=DESCRIPTION_KEY, how="left").with_columns(
        cores=pl.coalesce(pl.col("cores").cast(pl.List(pl.UInt16)), "node_cores"),
        basis=pl.when(pl.col("cores").is_null())
        .then(pl.lit("whole_node"))
        .otherwise(pl.lit("cores")),
    )
    by_core = _gpus_of_cores(held, hardware)
    gpus_of_cores = by_core.group_by("job_id", "node").agg(
        gpus_of_cores=pl.col("gpu").drop_nulls().unique().sort()
    )
    listed = pl.when(pl.col("gpus").list.len() > 0).then(pl.col("gpus").cast(pl.List(pl.UInt8)))
    return held.join(gpus_of_cores, on=["job_id", "node"]).select(
        "job_id",
        "node",
        "cores",
        gpus=pl.when(pl.col("basis") == "whole_node")
        .then(pl.col("reservable").fill_null([]))
        .otherwise(pl.coalesce(listed, "gpus_of_cores")),
        basis=pl.col("basis").cast(Allocations.create_empty().schema["basis"]),
    )


def _with_node_cores(held: pl.DataFrame, hardware: pl.DataFrame) -> pl.DataFrame:
    """Add `valid_from` and `node_cores` of the description that is valid at the job's start."""
    held = held.sort("started_at").join_asof(
        hardware.select("node", "valid_from", node_cores="cores").sort("valid_from"),
        left_on="started_at",
        right_on="valid_from",
        by="node",
        check_sortedness=False,  # both are sorted, which polars cannot see within groups
    )
    stray = held.filter(pl.col("node_cores").is_null())
    if len(stray):
        job_ids = listed_values("job", stray["job_id"])
        names, verb = listed_values("node", stray["node"]), verb_form(stray["node"], "is", "are")
        what = f"{job_ids} held {names}, which {verb} not described"
        raise InputError(what, where=file_names(stray), do=SAVE_NODE)
    return held


def _gpus_of_cores(held: pl.DataFrame, hardware: pl.DataFrame) -> pl.DataFrame:
    """Return one row a job and held core, with the `gpu` of the core by its description."""
    gpus = hardware.select(*DESCRIPTION_KEY, core="cores", gpu="core_gpus", known=True)
    by_core = (
        held.select("job_id", "file", *DESCRIPTION_KEY, core="cores")
        .explode("core")
        .join(gpus.explode("core", "gpu"), on=[*DESCRIPTION_KEY, "core"], how="left")
    )
    lacking = by_core.filter(pl.col("known").is_null())
    if len(lacking):
        place = pl.format("{} of {}", "core", "node")
        job_ids = listed_values("job", lacking["job_id"])
        cores = listed_values("core", lacking.select(place).to_series())
        what = f"{job_ids} held {cores}, which its description lacks"
        do = "fix the node's `architecture`, or save the node's description of that time"
        raise InputError(what, where=file_names(lacking), do=do)
    return by_core
