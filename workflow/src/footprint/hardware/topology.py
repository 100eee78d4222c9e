"""Cores of a node as OAR reserves them, the GPU of each core, and the node's plausible power."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

WATTS_PER_CORE = 12.0
"""Power of a core of any processor: "Any" CPU of Green Algorithms (Lannelongue et al. 2021)."""
WATTS_PER_GPU = 200.0
"""Power of a GPU without a known limit: "Any" GPU of Green Algorithms."""
WATTS_PER_GB = 0.3725
"""Power of a GB of memory: constant of Green Algorithms."""
WATTS_OF_THE_REST = 300.0
"""Power of board, disks, fans and power supply losses: an allowance, not a measurement."""
PLAUSIBLE_MARGIN = 2.0
"""Factor between the power of the parts and the highest plausible reading."""

GENERATION_BY_CAPABILITY = {
    "1": "Tesla",
    "2": "Fermi",
    "3": "Kepler",
    "5": "Maxwell",
    "6": "Pascal",
    "7": "Volta",
    "7.5": "Turing",
    "8": "Ampere",
    "8.9": "Ada Lovelace",
    "9": "Hopper",
    "10": "Blackwell",
    "11": "Blackwell",
    "12": "Blackwell",
}
"""Generation of an NVIDIA GPU, by compute capability or by its major number.

Source: "Compute capabilities" in NVIDIA's CUDA C++ Programming Guide, and "CUDA GPUs" on NVIDIA's
developer pages.
"""


def gpu_generation(*, compute_capability: object, microarchitecture: object) -> str | None:
    """Return the generation of a GPU, as `Ampere`; None if its description has neither value.

    The compute capability has priority, since the card itself reports it. The microarchitecture is
    entered by hand: the Reference API has Fermi for a GTX 980 (5.2) and Maxwell for a Tesla M2075
    (2.0). GPUs of AMD have no compute capability.

    Args:
        compute_capability: As described, such as `8.6` or `"8.6"`; None: not described.
        microarchitecture: As described, such as `Ampere`; None: not described.
    """
    capability = "" if compute_capability is None else str(compute_capability).strip()
    major = capability.partition(".")[0]
    written = "" if microarchitecture is None else str(microarchitecture).strip()
    return (
        GENERATION_BY_CAPABILITY.get(capability, GENERATION_BY_CAPABILITY.get(major))
        or written
        or None
    )


class Gpu(NamedTuple):
    """Place of a GPU in its node, from the Reference API."""

    cpu: int | None
    """Socket of the GPU: `cpu_affinity_override`, else `cpu_affinity`."""
    declared_cores: frozenset[int] | None
    """`cores_affinity`: `cpuset` of the cores reserved with the GPU; None: not declared."""
    reservable: bool
    """`reservation`; true if the API has no value."""


class Core(NamedTuple):
    """A physical core, OAR's smallest resource."""

    cpuset: int
    """Number of its first hardware thread."""
    cpu: int
    """Index of its socket."""
    rank: int
    """Position among the cores of its socket."""


def cores_of_node(*, numbering: str, n_cpus: int, n_cores: int, n_threads: int) -> list[Core]:
    """Return the cores of a node with their `cpuset` in OAR, socket by socket.

    The Reference API has four numberings (`architecture.cpu_core_numbering`). With C cores and T
    threads a socket, P sockets and t threads a core, core k of socket p has the number
    pC + k (`contiguous`), p + kP (`round-robin`), pT + k (`contiguous-including-threads`) or
    pT + kt (`contiguous-grouped-by-threads`). Source: the OAR property generator of Grid'5000's
    reference-repository.

    Args:
        numbering: One of the four numberings.
        n_cpus: Number of sockets.
        n_cores: Number of physical cores, all sockets together.
        n_threads: Number of hardware threads, all sockets together.

    Raises:
        ValueError: The numbering is none of the four, or the counts do not divide.
    """
    if min(n_cpus, n_cores, n_threads) < 1 or n_cores % n_cpus or n_threads % n_cores:
        raise ValueError(f"{n_cpus} sockets, {n_cores} cores and {n_threads} threads do not divide")
    per_cpu, threads_per_cpu, threads = n_cores // n_cpus, n_threads // n_cpus, n_threads // n_cores
    steps = {
        "contiguous": (per_cpu, 1),
        "round-robin": (1, n_cpus),
        "contiguous-including-threads": (threads_per_cpu, 1),
        "contiguous-grouped-by-threads": (threads_per_cpu, threads),
    }
    if not isinstance(numbering, str) or numbering not in steps:
        raise ValueError(f"unknown cpu_core_numbering {numbering!r}")
    cpu_step, core_step = steps[numbering]
    return [
        Core(cpu * cpu_step + rank * core_step, cpu, rank)
        for cpu in range(n_cpus)
        for rank in range(per_cpu)
    ]


def gpu_of_each_core(cores: Sequence[Core], gpus: Sequence[Gpu]) -> dict[int, int | None]:
    """Return the index of the GPU reserved with each core, by `cpuset`; None: no GPU.

    If a node has one reservable GPU, it is reserved with every core. Otherwise a core is reserved
    with a reservable GPU of its own socket: the one that declares the core, or, if the GPUs declare
    no cores, GPU kn // C for core k of C cores and n GPUs of the socket. Source: the OAR property
    generator of Grid'5000's reference-repository.

    Args:
        cores: Cores of the node.
        gpus: GPUs of the node, by index.
    """
    reservable = [index for index, gpu in enumerate(gpus) if gpu.reservable]
    if len(reservable) == 1:
        return {core.cpuset: reservable[0] for core in cores}
    per_cpu = 1 + max((core.rank for core in cores), default=0)
    found: dict[int, int | None] = {}
    for core in cores:
        of_socket = [index for index in reservable if gpus[index].cpu == core.cpu]
        if of_socket and gpus[of_socket[0]].declared_cores is not None:
            declaring = (
                index for index in of_socket if core.cpuset in (gpus[index].declared_cores or ())
            )
            found[core.cpuset] = next(declaring, None)
        elif of_socket:
            found[core.cpuset] = of_socket[core.rank * len(of_socket) // per_cpu]
        else:
            found[core.cpuset] = None
    return found


def max_plausible_power_w(
    *, gpu_power_limits_w: Iterable[float | None], n_cores: int, memory_bytes: int | None
) -> float:
    """Return the power (W) above which a reading of the node is a spike.

    It is 2 x (sum of the GPUs' power limits + 12 W a core + 0.3725 W a GB of memory + 300 W). A GPU
    without a known limit counts 200 W, unknown memory 0 W.

    Args:
        gpu_power_limits_w: Power limit of each GPU; None: unknown.
        n_cores: Number of physical cores.
        memory_bytes: Main memory; None: unknown.
    """
    gpus_w = sum(WATTS_PER_GPU if limit is None else limit for limit in gpu_power_limits_w)
    memory_w = WATTS_PER_GB * (memory_bytes or 0) / 1e9
    return PLAUSIBLE_MARGIN * (gpus_w + WATTS_PER_CORE * n_cores + memory_w + WATTS_OF_THE_REST)
