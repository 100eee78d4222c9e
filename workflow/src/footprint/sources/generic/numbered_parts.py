"""Numbers of the cores and GPUs of jobs that hold a part of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.generic import hardware
from footprint.sources.generic.core_places import FreePlaces, bits_of, positions_of

PART_COLUMNS = (
    *("started_at", "job_id", "stopped_at", "whole", "cores", "n_cores", "gpus", "n_gpus", "file"),
)


class _Node(NamedTuple):
    """A node: numbers of its cores and GPUs, and the bits of the cores of each GPU."""

    name: str
    cores: Sequence[int]
    gpus: Sequence[int]
    cores_of_gpu: dict[int, int]


class _Lists:
    """Lists of numbers, each once, by an index: most jobs hold one of a few sets of cores."""

    def __init__(self) -> None:
        self.index_of: dict[tuple[int, ...], int] = {}

    def index(self, numbers: Sequence[int]) -> int:
        return self.index_of.setdefault(tuple(numbers), len(self.index_of))

    def table(self, name: str) -> pl.DataFrame:
        lists = [list(each) for each in self.index_of]
        return pl.DataFrame(
            {f"{name}_index": range(len(lists)), name: lists},
            schema={f"{name}_index": pl.Int64, name: pl.List(pl.Int64)},
        )


def number_parts(held: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Cores and GPUs of the jobs that hold a part of a node.

    Args:
        held: `node` and `PART_COLUMNS` of all jobs on these nodes: times in microseconds, `whole`
            where a job holds all of the node, texts or numbers of cores and GPUs.
        nodes: `schemas.Nodes`.

    Returns:
        `job_id`, `node`, `cores`, `gpus`, `basis` of the jobs that do not hold all of it.

    Raises:
        InputError: A job has a core or GPU that its node lacks, or more than the node has.
    """
    of_name = {row["node"]: _node(row) for row in nodes.iter_rows(named=True)}
    cores, gpus = _Lists(), _Lists()
    found: list[tuple[int, str, int, int]] = []
    for (name,), frame in held.sort("node").group_by("node", maintain_order=True):
        rows = sorted(
            frame.select(PART_COLUMNS).iter_rows(), key=lambda row: (row[0], row[4] is None, row[1])
        )
        _number_node(of_name[str(name)], rows, found, cores, gpus)
    schema = {
        "job_id": pl.Int64,
        "node": pl.String,
        "cores_index": pl.Int64,
        "gpus_index": pl.Int64,
    }
    return (
        pl.DataFrame(found, schema=schema, orient="row")
        .join(cores.table("cores"), on="cores_index")
        .join(gpus.table("gpus"), on="gpus_index")
        .select("job_id", "node", "cores", "gpus", basis=pl.lit("cores"))
    )


def _node(row: dict[str, Any]) -> _Node:
    of_gpu: dict[int, int] = {}
    for position, gpu in enumerate(row["core_gpus"]):
        if gpu is not None:
            of_gpu[gpu] = of_gpu.get(gpu, 0) | 1 << position
    return _Node(row["node"], row["cores"], row["gpus"], of_gpu)


def _number_node(
    node: _Node,
    rows: list[tuple[Any, ...]],
    found: list[tuple[int, str, int, int]],
    cores: _Lists,
    gpus: _Lists,
) -> None:
    """Append job, node, and index of cores and GPUs of each job with a part of a node."""
    free_cores, free_gpus = FreePlaces(len(node.cores)), FreePlaces(len(node.gpus))
    lists: dict[tuple[int, int], tuple[int, int]] = {}
    for start, job_id, stop, whole, core_text, n_cores, gpu_text, n_gpus, file in rows:
        if whole:
            free_cores.take(start, stop, n=len(node.cores))
            free_gpus.take(start, stop, n=len(node.gpus))
            continue
        where = f"{file}, job {job_id} on {node.name}"
        held_gpus = 0
        if node.gpus and (gpu_text or n_gpus):
            known = _known_bits(gpu_text, node.gpus, where, "gpus")
            n = min(n_gpus or 0, len(node.gpus))
            held_gpus = free_gpus.take(start, stop, n=n, known=known)
        known = _known_bits(core_text, node.cores, where, "cores")
        if known is None and held_gpus:
            known = 0
            for position in positions_of(held_gpus):
                known |= node.cores_of_gpu.get(node.gpus[position], 0)
        n_held = (n_cores or 0) if known is None else known.bit_count()
        if not 1 <= n_held <= len(node.cores):
            what = f"{n_held} cores, and the node has {len(node.cores)}"
            do = "set n_cores of the node to the cores or slots that the scheduler gives out"
            raise InputError(what, where=where, do=do)
        held_cores = free_cores.take(start, stop, n=n_held, known=known)
        key = (held_cores, held_gpus)
        if key not in lists:
            lists[key] = _indices(node, held_cores, held_gpus, cores, gpus)
        found.append((job_id, node.name, *lists[key]))


def _indices(
    node: _Node, held_cores: int, held_gpus: int, cores: _Lists, gpus: _Lists
) -> tuple[int, int]:
    """Indices of the lists of cores and GPUs; without given GPUs, those of the cores."""
    of_cores = [gpu for gpu, bits in sorted(node.cores_of_gpu.items()) if bits & held_cores]
    given = [node.gpus[position] for position in positions_of(held_gpus)]
    numbers = sorted(node.cores[position] for position in positions_of(held_cores))
    return cores.index(numbers), gpus.index(given or of_cores)


def _known_bits(text: str | None, numbers: Sequence[int], where: str, column: str) -> int | None:
    """Bits of the numbers in a text; None where the text is null."""
    if text is None:
        return None
    position_of = {number: position for position, number in enumerate(numbers)}
    given = hardware.parse_ids(text, where, column)
    unknown = [number for number in given if number not in position_of]
    if unknown or not given:
        kind = {"cores": "core", "gpus": "GPU"}[column]
        what = f"{kind} {unknown[0]}, which the node does not have" if unknown else f"no {kind}"
        raise InputError(what, where=where, do="fix the row, or the node in the table nodes")
    return bits_of(position_of[number] for number in given)
