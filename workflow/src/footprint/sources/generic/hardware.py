"""Nodes of the generic table `nodes` (`schemas.Nodes`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.hardware import topology
from footprint.hardware.catalogue import BYTES_PER_GIB
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import conform
from footprint.sources.generic import folders, node_lists, rows
from footprint.sources.node_names import CLUSTER_NAME_RULE, cluster_of

UNKNOWN_SINCE = datetime(1970, 1, 1, tzinfo=UTC)

MOST_CORES, MOST_GPUS = 4096, 64
"""Most cores and GPUs of a node; a greater number is a damaged one."""

UNKNOWN_MODEL = "unknown"

_ID_RANGE = re.compile(r"\d{1,6}(-\d{1,6})?", re.ASCII)
_CORE_GPUS = re.compile(r"(\d+|-)(?:\*(\d+))?")


def read_nodes(directory: Path, *, site: str, pattern: str) -> pl.DataFrame:
    """Read the hardware of every node (`schemas.Nodes`).

    Args:
        directory: Folder of the tables.
        site: Site of the nodes.
        pattern: Pattern of the nodes' names.

    Raises:
        InputError: A file cannot be read, a node is described twice, its name does not match the
            pattern, or a value is impossible.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in folders.table_files(directory, "nodes"):
        name = folders.relative_name(path, directory)
        for where, row in _iter_rows(path, name):
            for node in _names(row["node"], where):
                described = _node_row(node, row, site=site, where=where, pattern=pattern)
                if found.setdefault(node, described) != described:
                    what = f"node {node} is described twice, differently"
                    raise InputError(what, where=where, do="keep one of the rows")
    if not found:
        where = str(directory / "nodes")
        raise InputError("no row describes a node", where=where, do="add a row for each kind")
    schema = Nodes.create_empty().schema
    table: pl.DataFrame = conform(Nodes, pl.DataFrame(list(found.values()), schema=schema))
    return table


def _iter_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    for block in rows.read_rows(path, table="nodes", where=name):
        for row in block.iter_rows(named=True):
            number += 1
            yield f"{name}, row {number}", row


def _names(text: str, where: str) -> list[str]:
    try:
        return [node.name for node in node_lists.expand(text)]
    except ValueError as error:
        do = "write names as n001 or n[001-064]"
        raise InputError(str(error), where=f"{where}, column node", do=do) from None


def _node_row(
    node: str, row: dict[str, Any], *, site: str, where: str, pattern: str
) -> dict[str, Any]:
    cluster = cluster_of(node, pattern)
    if not cluster:
        raise InputError(
            f"{node!r} is not the name of a node by the pattern `{pattern}`",
            where=where,
            do=f"set source.node_pattern; {CLUSTER_NAME_RULE}",
        )

    def value(name: str, default: Any) -> Any:
        found = row.get(name)
        return default if found is None else found

    n_cores, n_cpus = value("n_cores", 0), value("n_cpus", 1)
    n_threads, n_gpus = value("n_threads", n_cores), value("n_gpus", 0)
    _check_count("n_cores", n_cores, 1, MOST_CORES, where)
    _check_count("n_cpus", n_cpus, 1, n_cores, where)
    _check_count("n_threads", n_threads, n_cores, 16 * n_cores, where)
    _check_count("n_gpus", n_gpus, 0, MOST_GPUS, where)
    cores = parse_ids(row.get("cores"), where, "cores") or list(range(n_cores))
    if len(cores) != n_cores:
        what = f"{len(cores)} cores in `cores`, {n_cores} in `n_cores`"
        raise InputError(what, where=where, do="fix one of the two")
    memory_gib, limit_w = row.get("memory_gib"), row.get("gpu_power_limit_w")
    gpu_memory_gib = row.get("gpu_memory_gib")
    for name in ("memory_gib", "gpu_power_limit_w", "gpu_memory_gib"):
        if row.get(name) is not None and not 0 < row[name] < 1e6:
            raise InputError(f"{row[name]:g}", where=f"{where}, column {name}", do="fix the unit")
    memory_bytes = None if memory_gib is None else round(memory_gib * BYTES_PER_GIB)
    gpu_bytes = None if gpu_memory_gib is None else round(gpu_memory_gib * BYTES_PER_GIB)
    return {
        "node": node,
        "valid_from": UNKNOWN_SINCE,
        "valid_until": None,
        "site": site,
        "cluster": cluster,
        "cpu_model": row.get("cpu_model"),
        "n_cpus": n_cpus,
        "n_cores": n_cores,
        "n_threads": n_threads,
        "memory_bytes": memory_bytes,
        "cores": cores,
        "core_gpus": _core_gpus(row.get("core_gpus"), n_cores, n_gpus, where),
        "gpus": list(range(n_gpus)),
        "gpu_reservable": [True] * n_gpus,
        "gpu_models": [value("gpu_model", UNKNOWN_MODEL)] * n_gpus,
        "gpu_generations": [row.get("gpu_generation")] * n_gpus,
        "gpu_power_limits_w": [limit_w] * n_gpus,
        "gpu_memory_bytes": [gpu_bytes] * n_gpus,
        "queues": (row.get("queues") or "").split(),
        "power_metrics": None,
        "max_plausible_power_w": topology.max_plausible_power_w(
            gpu_power_limits_w=[limit_w] * n_gpus, n_cores=n_cores, memory_bytes=memory_bytes
        ),
    }


def _check_count(name: str, count: int, low: int, high: int, where: str) -> None:
    if not low <= count <= high:
        what = f"{count} is not from {low} to {high}"
        raise InputError(what, where=f"{where}, column {name}", do="fix the number")


def parse_ids(text: str | None, where: str, column: str) -> list[int]:
    """Numbers of a text such as `0-11,24`, ascending; none where the text is null.

    Raises:
        InputError: The text has another form.
    """
    found: set[int] = set()
    for part in re.split(r"[,\s]+", (text or "").strip().strip("[]")):
        low, _, high = part.partition("-")
        if part and not _ID_RANGE.fullmatch(part):
            what, do = f"{text!r:.60} is no list of numbers", "write it as 0-11,24"
            raise InputError(what, where=f"{where}, column {column}", do=do)
        if part:
            first, last = int(low), int(high or low)
            if last >= MOST_CORES * 16 or last < first:
                what, do = f"{part!r:.60} is no range of numbers", "write it as 0-11"
                raise InputError(what, where=f"{where}, column {column}", do=do)
            found.update(range(first, last + 1))
    return sorted(found)


def _core_gpus(text: str | None, n_cores: int, n_gpus: int, where: str) -> list[int | None]:
    """GPU of each core; by default, each GPU has an equal part of the cores, in order."""
    if text is None:
        return [index * n_gpus // n_cores if n_gpus else None for index in range(n_cores)]
    found: list[int | None] = []
    for part in text.split():
        match = _CORE_GPUS.fullmatch(part)
        gpu = None if match is None or match[1] == "-" else int(match[1])
        if match is None or (gpu or 0) >= max(n_gpus, 1):
            what = f"{part!r:.60} is no GPU of the node"
            do = f"write numbers below {n_gpus} or `-`, as 0*12"
            raise InputError(what, where=f"{where}, column core_gpus", do=do)
        found += [gpu] * int(match[2] or 1)
    if len(found) != n_cores:
        what = f"GPUs for {len(found)} cores, and the node has {n_cores}"
        raise InputError(what, where=f"{where}, column core_gpus", do="write one for each core")
    return found
