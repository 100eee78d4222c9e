"""Nodes of the simulated site, with their cores and GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.hardware.topology import max_plausible_power_w
from footprint.sources.kwollect.metrics import SIMULATED_METRIC
from footprint.sources.simulated import meters
from footprint.sources.simulated.catalogue import (
    BYTES_PER_GIB,
    CLUSTER_HARDWARE,
    MISSING_NODES,
    NODE_GPU_EXCEPTIONS,
    ClusterHardware,
    GpuHardware,
)
from footprint.sources.simulated.habits.choice import choose_habits
from footprint.sources.simulated.random_numbers import DEFAULT_SEED

_UTC = pl.Datetime("us", "UTC")
_NODES_SCHEMA = pl.Schema(
    {
        "node": pl.String(),
        "valid_from": _UTC,
        "valid_until": _UTC,
        "site": pl.String(),
        "cluster": pl.String(),
        "cpu_model": pl.String(),
        "n_cpus": pl.Int32(),
        "n_cores": pl.Int32(),
        "n_threads": pl.Int32(),
        "memory_bytes": pl.Int64(),
        "cores": pl.List(pl.UInt16()),
        "core_gpus": pl.List(pl.UInt8()),
        "gpus": pl.List(pl.UInt8()),
        "gpu_reservable": pl.List(pl.Boolean()),
        "gpu_models": pl.List(pl.String()),
        "gpu_generations": pl.List(pl.String()),
        "gpu_power_limits_w": pl.List(pl.Float64()),
        "gpu_memory_bytes": pl.List(pl.Int64()),
        "queues": pl.List(pl.String()),
        "power_metrics": pl.List(pl.String()),
        "max_plausible_power_w": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Node:
    """A node. A set of its cores is a bit mask, in which bit i is the core with `cpuset` i.

    Attributes:
        has_meter: Whether its BMC is read.
        has_series: Whether its exporters are read.
    """

    name: str
    cluster: str
    facts: ClusterHardware
    gpus: tuple[GpuHardware, ...]
    gpu_masks: tuple[int, ...]
    has_meter: bool = True
    has_series: bool = True

    @cached_property
    def n_cores(self) -> int:
        """Number of physical cores."""
        return self.facts.n_cpus * self.facts.cores_per_cpu

    @cached_property
    def full_mask(self) -> int:
        """Mask of all cores."""
        return (1 << self.n_cores) - 1

    def cores_of(self, mask: int) -> list[int]:
        """Numbers of the cores of a mask, ascending."""
        return [core for core in range(self.n_cores) if mask >> core & 1]

    def gpus_of(self, mask: int) -> list[int]:
        """Numbers of the GPUs that have at least one core in a mask, ascending."""
        return [gpu for gpu, cores in enumerate(self.gpu_masks) if mask & cores]

    def share(self, mask: int) -> float:
        """Share of the node that a mask reserves: mean over its GPUs, or by core without GPUs."""
        if not self.gpu_masks:
            return mask.bit_count() / self.n_cores
        parts = [(mask & cores).bit_count() / cores.bit_count() for cores in self.gpu_masks]
        return sum(parts) / len(parts)

    @property
    def sensor_step_w(self) -> float | None:
        """Resolution of the BMC in watts; None: it is not read."""
        return self.facts.sensor_step_w if self.has_meter else None

    @property
    def max_plausible_power_w(self) -> float:
        """Power above which a reading is rejected (`footprint.hardware.topology`)."""
        return max_plausible_power_w(
            gpu_power_limits_w=[gpu.limit_w for gpu in self.gpus],
            n_cores=self.n_cores,
            memory_bytes=self.facts.memory_gib * BYTES_PER_GIB,
        )


def node_counts(source: Mapping[str, Any]) -> dict[str, int]:
    """Number of nodes of each cluster of the simulated site, sorted by cluster.

    Args:
        source: Configuration; `nodes` ({cluster: count}) replaces the default counts of all
            clusters.

    Raises:
        InputError: A cluster does not exist, a count is not a whole number above 0, or no cluster
            has GPUs.
    """
    configured = source.get("nodes")
    if configured is None:
        return {name: facts.n_nodes for name, facts in sorted(CLUSTER_HARDWARE.items())}
    for name, count in configured.items():
        if name not in CLUSTER_HARDWARE:
            raise InputError(
                f"there is no simulated cluster {name!r}",
                where="source.nodes",
                do=f"choose among {', '.join(sorted(CLUSTER_HARDWARE))}",
            )
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(
                f"{count!r} is not a number of nodes",
                where=f"source.nodes.{name}",
                do="set a whole number above 0",
            )
    if not any(CLUSTER_HARDWARE[name].gpus for name in configured):
        raise InputError(
            "no cluster with GPUs is named",
            where="source.nodes",
            do="add one, for instance graffiti: most of the simulated work needs GPUs",
        )
    return dict(sorted(configured.items()))


def cluster_names(source: Mapping[str, Any]) -> list[str]:
    """Names of the clusters of the simulated site, sorted.

    Raises:
        InputError: A key of the nodes, the meters or the habits has a wrong value.
    """
    names = list(node_counts(source))
    meters.check_meters(source, names)
    choose_habits(source, seed=0)
    return names


def node_count(source: Mapping[str, Any], cluster: str) -> int:
    """Number of nodes of a cluster of the simulated site.

    Raises:
        InputError: The site has no such cluster.
    """
    counts = node_counts(source)
    if cluster not in counts:
        raise InputError(
            f"the simulated site has no cluster {cluster!r}",
            where="study.clusters",
            do=f"choose among {', '.join(counts)}",
        )
    return counts[cluster]


def _socket_cores(facts: ClusterHardware, socket: int) -> list[int]:
    """Cores of a socket, in the order in which the platform assigns them to its GPUs."""
    if facts.alternating:
        return list(range(socket, facts.n_cpus * facts.cores_per_cpu, facts.n_cpus))
    return list(range(socket * facts.cores_per_cpu, (socket + 1) * facts.cores_per_cpu))


def _gpu_cores(facts: ClusterHardware) -> list[list[int]]:
    """Cores that are reserved with each GPU of a node."""
    if facts.gpu_cores:
        return [list(cores) for cores in facts.gpu_cores]
    if len(facts.gpus) == 1:
        return [list(range(facts.n_cpus * facts.cores_per_cpu))]
    gpu_cores = []
    for gpu, socket in enumerate(facts.gpu_sockets):
        neighbours = [
            other for other, other_socket in enumerate(facts.gpu_sockets) if other_socket == socket
        ]
        cores, rank = _socket_cores(facts, socket), neighbours.index(gpu)
        size = len(cores) // len(neighbours)
        gpu_cores.append(cores[rank * size : (rank + 1) * size])
    return gpu_cores


def build_nodes(source: Mapping[str, Any], *, seed: int = DEFAULT_SEED) -> list[Node]:
    """Nodes of the site, sorted by name.

    Args:
        source: Configuration (`node_counts`, `meters.clusters_without_meters`,
            `meters.clusters_without_series`).
        seed: Seed of the clusters without meters or series, where they are drawn.

    Raises:
        InputError: A key has a wrong value.
    """
    nodes = []
    counts = node_counts(source)
    without_meters = meters.clusters_without_meters(source, counts, seed=seed)
    without_series = meters.clusters_without_series(source, counts, seed=seed)
    for cluster, count in counts.items():
        facts = CLUSTER_HARDWARE[cluster]
        masks = tuple(sum(1 << core for core in cores) for cores in _gpu_cores(facts))
        names = (f"{cluster}-{number}" for number in range(1, count + len(MISSING_NODES) + 1))
        existing = [name for name in names if name not in MISSING_NODES][:count]
        nodes += [
            Node(
                name,
                cluster,
                facts,
                NODE_GPU_EXCEPTIONS.get(name, facts.gpus),
                masks,
                has_meter=cluster not in without_meters,
                has_series=cluster not in without_series,
            )
            for name in existing
        ]
    return sorted(nodes, key=lambda node: node.name)


def describe_nodes(nodes: list[Node], *, site: str) -> pl.LazyFrame:
    """Hardware of the nodes, as the Reference API describes it (`schemas.Nodes`)."""
    rows = []
    for node in nodes:
        owner = {
            core: gpu for gpu, mask in enumerate(node.gpu_masks) for core in node.cores_of(mask)
        }
        rows.append(
            {
                "node": node.name,
                "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
                "valid_until": None,
                "site": site,
                "cluster": node.cluster,
                "cpu_model": node.facts.cpu_model,
                "n_cpus": node.facts.n_cpus,
                "n_cores": node.n_cores,
                "n_threads": 2 * node.n_cores,
                "memory_bytes": node.facts.memory_gib * BYTES_PER_GIB,
                "cores": list(range(node.n_cores)),
                "core_gpus": [owner.get(core) for core in range(node.n_cores)],
                "gpus": list(range(len(node.gpus))),
                "gpu_reservable": [True] * len(node.gpus),
                "gpu_models": [gpu.model for gpu in node.gpus],
                "gpu_generations": [None] * len(node.gpus),
                "gpu_power_limits_w": [gpu.limit_w for gpu in node.gpus],
                "gpu_memory_bytes": [gpu.memory_bytes for gpu in node.gpus],
                "queues": list(node.facts.queues),
                "power_metrics": [SIMULATED_METRIC] if node.has_meter else [],
                "max_plausible_power_w": node.max_plausible_power_w,
            }
        )
    return pl.LazyFrame(rows, schema=_NODES_SCHEMA)
