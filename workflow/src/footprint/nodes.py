"""Hardware of a node as OAR reserves it: its cores, the GPU of each core, the power it may draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

WATTS_PER_CORE = 12.0
"""A core of an unknown processor: "Any" CPU of Green Algorithms (Lannelongue et al. 2021)."""
WATTS_PER_GPU = 200.0
"""A GPU whose limit is unknown: "Any" GPU of Green Algorithms."""
WATTS_PER_GB = 0.3725
"""A GB of memory, the constant of Green Algorithms."""
WATTS_OF_THE_REST = 300.0
"""Board, disks, fans and losses of the power supplies: an allowance, not a measurement."""
PLAUSIBLE_MARGIN = 2.0


GENERATIONS = {
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
"""Generation of an NVIDIA GPU by compute capability, else by its first number.

Source: "Compute capabilities" in NVIDIA's CUDA C++ Programming Guide, and "CUDA GPUs" on NVIDIA's
developer pages.
"""


def gpu_generation(*, compute_capability: object, microarchitecture: object) -> str | None:
    """Generation of a GPU, as in `Ampere`; null where its description has neither of the two.

    The compute capability decides, which the card itself reports. The microarchitecture is written
    by hand: the Reference API calls a GTX 980 (5.2) Fermi and a Tesla M2075 (2.0) Maxwell. AMD's
    GPUs have no compute capability.
    """
    capability = "" if compute_capability is None else str(compute_capability).strip()
    major = capability.partition(".")[0]
    written = "" if microarchitecture is None else str(microarchitecture).strip()
    return GENERATIONS.get(capability, GENERATIONS.get(major)) or written or None


class Gpu(NamedTuple):
    """A GPU as the Reference API places it in its node."""

    cpu: int | None
    """Socket that it hangs on: `cpu_affinity_override`, else `cpu_affinity`."""
    cores: frozenset[int] | None
    """`cores_affinity`: `cpuset` of the cores that it is reserved with; None when not declared."""
    reservable: bool
    """`reservation`, which is true unless the API says otherwise."""


class Core(NamedTuple):
    """A physical core, the unit of OAR's reservations."""

    cpuset: int
    """Number of its first hardware thread."""
    cpu: int
    """Socket."""
    rank: int
    """Position among the cores of its socket."""


def cores(*, numbering: str, n_cpus: int, n_cores: int, n_threads: int) -> list[Core]:
    """Cores of a node, socket by socket, with the `cpuset` that OAR knows them by.

    The four numberings of the Reference API (`architecture.cpu_core_numbering`), with C cores and
    T threads a socket, P sockets and t threads a core, for core k of socket p: `contiguous` pC + k;
    `round-robin` p + kP; `contiguous-including-threads` pT + k; `contiguous-grouped-by-threads`
    pT + kt. Source: the OAR property generator of Grid'5000's reference-repository.

    Raises:
        ValueError: The numbering is none of the four, or the counts are not whole multiples.
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
    if numbering not in steps:
        raise ValueError(f"unknown cpu_core_numbering {numbering!r}")
    cpu_step, core_step = steps[numbering]
    return [
        Core(cpu * cpu_step + rank * core_step, cpu, rank)
        for cpu in range(n_cpus)
        for rank in range(per_cpu)
    ]


def core_gpus(cores: Sequence[Core], gpus: Sequence[Gpu]) -> dict[int, int | None]:
    """Index of the GPU that each core (by `cpuset`) is reserved with; None where there is none.

    The only reservable GPU of a node goes with every core. Otherwise a core goes with a reservable
    GPU of its own socket: the one whose declared cores include it, or, where none are declared, the
    GPUs of the socket share its cores in order and equally (core k of C and n GPUs: GPU kn // C).
    Source: the OAR property generator of Grid'5000's reference-repository.
    """
    reservable = [index for index, gpu in enumerate(gpus) if gpu.reservable]
    if len(reservable) == 1:
        return {core.cpuset: reservable[0] for core in cores}
    per_cpu = 1 + max((core.rank for core in cores), default=0)
    found: dict[int, int | None] = {}
    for core in cores:
        near = [index for index in reservable if gpus[index].cpu == core.cpu]
        if near and gpus[near[0]].cores is not None:
            named = (index for index in near if core.cpuset in (gpus[index].cores or ()))
            found[core.cpuset] = next(named, None)
        else:
            found[core.cpuset] = near[core.rank * len(near) // per_cpu] if near else None
    return found


def max_plausible_power_w(
    *, gpu_power_limits_w: Iterable[float | None], n_cores: int, memory_bytes: int | None
) -> float:
    """Power above which a reading of the node is a spike: twice what its parts can draw.

    2 x (sum of the GPUs' power limits + 12 W a core + 0.3725 W a GB of memory + 300 W); a GPU
    without a known limit counts 200 W, unknown memory nothing.
    """
    gpus_w = sum(WATTS_PER_GPU if limit is None else limit for limit in gpu_power_limits_w)
    memory_w = WATTS_PER_GB * (memory_bytes or 0) / 1e9
    return PLAUSIBLE_MARGIN * (gpus_w + WATTS_PER_CORE * n_cores + memory_w + WATTS_OF_THE_REST)
