"""Hardware of the simulated site's clusters.

Sources: Grid'5000's Reference API (March 2026) for Nancy's clusters of the same names (sockets,
cores, GPUs, memory, power limits, assignment of cores to GPUs); processor makers (TDP). Numbers of
nodes, idle powers and sensor steps are invented, since none is published.
"""

from __future__ import annotations

from dataclasses import dataclass

BYTES_PER_GIB = 2**30
PRODUCTION_QUEUES = ("admin", "production")


@dataclass(frozen=True, slots=True)
class GpuHardware:
    """A GPU model with its memory, default power limit and idle power."""

    model: str
    memory_bytes: int
    limit_w: float
    idle_w: float


@dataclass(frozen=True, slots=True)
class ClusterHardware:
    """Hardware that the nodes of a cluster share.

    Attributes:
        alternating: Whether core numbers alternate between the sockets (else socket by socket).
        gpu_sockets: Socket of each GPU; the GPUs of a socket share its cores evenly.
        gpu_cores: Cores of each GPU, where the platform lists them.
        idle_w: Idle power of a node, its GPUs included.
        sensor_step_w: Resolution of the BMC in watts.
        has_meter: Whether the BMC's power is collected by default.
        slow_sensor: Whether the BMC answers slowly, so that more readings are missed.
        sleeps: Whether idle nodes are switched off.
        n_nodes: Number of nodes of the default site.
    """

    cpu_model: str
    cores_per_cpu: int
    tdp_w: float
    memory_gib: int
    idle_w: float
    n_nodes: int
    gpus: tuple[GpuHardware, ...] = ()
    gpu_sockets: tuple[int, ...] = ()
    gpu_cores: tuple[tuple[int, ...], ...] = ()
    alternating: bool = False
    sensor_step_w: float = 1.0
    has_meter: bool = True
    slow_sensor: bool = False
    sleeps: bool = False
    queues: tuple[str, ...] = PRODUCTION_QUEUES
    n_cpus: int = 2


RTX_2080_TI = GpuHardware("GeForce RTX 2080 Ti", 11 * BYTES_PER_GIB, 250.0, 14.0)
RTX_6000 = GpuHardware("Quadro RTX 6000", 24 * BYTES_PER_GIB, 260.0, 16.0)
GTX_1080_TI = GpuHardware("GeForce GTX 1080 Ti", 11 * BYTES_PER_GIB, 250.0, 10.0)
T4 = GpuHardware("Tesla T4", 15 * BYTES_PER_GIB, 70.0, 10.0)
A40 = GpuHardware("A40", 48_305_799_168, 300.0, 28.0)
A100_SXM4 = GpuHardware("A100-SXM4-40GB", 40 * BYTES_PER_GIB, 400.0, 52.0)
A100_PCIE = GpuHardware("A100-PCIE-40GB", 40 * BYTES_PER_GIB, 250.0, 36.0)
V100 = GpuHardware("Tesla V100-PCIE-16GB", 16 * BYTES_PER_GIB, 250.0, 26.0)
L40S = GpuHardware("L40S", 48_305_799_168, 350.0, 34.0)

CLUSTER_HARDWARE: dict[str, ClusterHardware] = {
    "graffiti": ClusterHardware(
        cpu_model="Intel Xeon Silver 4110",
        cores_per_cpu=8,
        tdp_w=85.0,
        memory_gib=128,
        idle_w=162.0,
        n_nodes=12,
        gpus=(RTX_2080_TI,) * 4,
        gpu_sockets=(0, 0, 1, 1),
        alternating=True,
    ),
    "grappe": ClusterHardware(
        cpu_model="Intel Xeon Gold 5218R",
        cores_per_cpu=20,
        tdp_w=125.0,
        memory_gib=96,
        idle_w=104.0,
        n_nodes=9,
        alternating=True,
        sleeps=True,
    ),
    "grat": ClusterHardware(
        cpu_model="AMD EPYC 7513",
        cores_per_cpu=32,
        tdp_w=200.0,
        memory_gib=512,
        idle_w=812.0,
        n_nodes=1,
        gpus=(A100_SXM4,) * 8,
        gpu_sockets=(0, 0, 0, 0, 1, 1, 1, 1),
        sensor_step_w=36.0,
        slow_sensor=True,
    ),
    "gratouille": ClusterHardware(
        cpu_model="Intel Xeon E5-2650 v4",
        cores_per_cpu=12,
        tdp_w=105.0,
        memory_gib=128,
        idle_w=118.0,
        n_nodes=1,
        gpus=(V100,),
        gpu_sockets=(1,),
        alternating=True,
    ),
    "grele": ClusterHardware(
        cpu_model="Intel Xeon E5-2650 v4",
        cores_per_cpu=12,
        tdp_w=105.0,
        memory_gib=128,
        idle_w=128.0,
        n_nodes=10,
        gpus=(GTX_1080_TI,) * 2,
        gpu_sockets=(0, 1),
        alternating=True,
    ),
    "gres": ClusterHardware(
        cpu_model="AMD EPYC 9254",
        cores_per_cpu=24,
        tdp_w=200.0,
        memory_gib=512,
        idle_w=268.0,
        n_nodes=3,
        gpus=(L40S,) * 2,
        gpu_sockets=(1, 0),
        has_meter=False,
    ),
    "grouille": ClusterHardware(
        cpu_model="AMD EPYC 7452",
        cores_per_cpu=32,
        tdp_w=155.0,
        memory_gib=128,
        idle_w=274.0,
        n_nodes=2,
        gpus=(A100_PCIE,) * 2,
        gpu_sockets=(0, 1),
        sensor_step_w=12.0,
        queues=("admin", "default"),
    ),
    "grue": ClusterHardware(
        cpu_model="AMD EPYC 7351",
        cores_per_cpu=16,
        tdp_w=155.0,
        memory_gib=128,
        idle_w=186.0,
        n_nodes=5,
        gpus=(T4,) * 4,
        gpu_cores=(
            (0, 4, 8, 12, 16, 20, 24, 28),
            (2, 6, 10, 14, 18, 22, 26, 30),
            (1, 7, 9, 15, 17, 23, 25, 31),
            (3, 5, 11, 13, 19, 21, 27, 29),
        ),
        alternating=True,
    ),
    "gruss": ClusterHardware(
        cpu_model="AMD EPYC 7352",
        cores_per_cpu=24,
        tdp_w=155.0,
        memory_gib=256,
        idle_w=232.0,
        n_nodes=4,
        gpus=(A40,) * 2,
        gpu_sockets=(0, 1),
        sensor_step_w=4.0,
    ),
}

# Nancy has no graffiti-12, and graffiti-13 has other GPUs than the rest of its cluster.
MISSING_NODES = frozenset({"graffiti-12"})
NODE_GPU_EXCEPTIONS: dict[str, tuple[GpuHardware, ...]] = {"graffiti-13": (RTX_6000,) * 4}
