import json
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.hardware import topology
from footprint.hardware.topology import Gpu

NUMBERINGS = (
    "contiguous",
    "round-robin",
    "contiguous-including-threads",
    "contiguous-grouped-by-threads",
)


def cpusets(numbering, *, n_cpus=2, n_cores=4, n_threads=8):
    cores = topology.cores_of_node(
        numbering=numbering, n_cpus=n_cpus, n_cores=n_cores, n_threads=n_threads
    )
    return [core.cpuset for core in cores]


def gpu_of_socket(cpu, *, cores=None, reservable=True):
    declared_cores = None if cores is None else frozenset(cores)
    return Gpu(cpu=cpu, declared_cores=declared_cores, reservable=reservable)


@pytest.mark.parametrize(
    ("numbering", "expected"),
    [
        ("contiguous", [0, 1, 2, 3]),
        ("round-robin", [0, 2, 1, 3]),
        ("contiguous-including-threads", [0, 1, 4, 5]),
        ("contiguous-grouped-by-threads", [0, 2, 4, 6]),
    ],
)
def test_cores_of_node_numbers_two_sockets_of_two_cores(numbering, expected):
    assert cpusets(numbering) == expected


@given(
    numbering=st.sampled_from(NUMBERINGS),
    n_cpus=st.integers(1, 4),
    per_cpu=st.integers(1, 16),
    threads=st.integers(1, 4),
)
def test_cores_of_node_have_distinct_numbers_below_the_threads(numbering, n_cpus, per_cpu, threads):
    n_cores = n_cpus * per_cpu
    found = cpusets(numbering, n_cpus=n_cpus, n_cores=n_cores, n_threads=n_cores * threads)
    assert len(set(found)) == n_cores
    assert 0 <= min(found) <= max(found) < n_cores * threads


def test_cores_of_node_refuses_counts_that_do_not_divide():
    with pytest.raises(ValueError, match="do not divide"):
        cpusets("contiguous", n_cpus=2, n_cores=5)
    with pytest.raises(ValueError, match="'spiral'"):
        cpusets("spiral")


def test_gpu_of_each_core_divides_the_cores_of_a_socket_in_order():
    cores = topology.cores_of_node(numbering="contiguous", n_cpus=2, n_cores=6, n_threads=12)
    gpus = [gpu_of_socket(0), gpu_of_socket(0), gpu_of_socket(1)]
    # Three cores and two GPUs on socket 0: core 0 and 1 (0*2//3, 1*2//3) with GPU 0, core 2 with 1.
    assert topology.gpu_of_each_core(cores, gpus) == {0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 2}


def test_gpu_of_each_core_uses_declared_cores_alone():
    cores = topology.cores_of_node(numbering="contiguous", n_cpus=1, n_cores=4, n_threads=4)
    gpus = [gpu_of_socket(0, cores=[0, 2]), gpu_of_socket(0, cores=[1])]
    assert topology.gpu_of_each_core(cores, gpus) == {0: 0, 1: 1, 2: 0, 3: None}


def test_gpu_of_each_core_is_the_only_reservable_gpu():
    cores = topology.cores_of_node(numbering="contiguous", n_cpus=2, n_cores=2, n_threads=2)
    assert topology.gpu_of_each_core(cores, [gpu_of_socket(1)]) == {0: 0, 1: 0}
    assert topology.gpu_of_each_core(
        cores, [gpu_of_socket(0, reservable=False), gpu_of_socket(1)]
    ) == {
        0: 1,
        1: 1,
    }
    assert topology.gpu_of_each_core(cores, [gpu_of_socket(0, reservable=False)]) == {
        0: None,
        1: None,
    }
    assert topology.gpu_of_each_core(cores, []) == {0: None, 1: None}


def test_gpu_of_each_core_of_a_socket_without_gpu_is_none():
    cores = topology.cores_of_node(numbering="contiguous", n_cpus=2, n_cores=2, n_threads=2)
    assert topology.gpu_of_each_core(cores, [gpu_of_socket(0), gpu_of_socket(0)]) == {0: 0, 1: None}


@pytest.mark.parametrize("cluster", ["graffiti", "grue"])
def test_gpu_of_each_core_equals_the_table_of_oar(shared_data, cluster):
    folder = shared_data / "reference-api"
    described = json.loads((folder / "nancy" / f"{cluster}_nodes.json").read_text())["items"][0]
    architecture = described["architecture"]
    gpus = [
        gpu_of_socket(
            gpu["cpu_affinity"],
            cores=[int(core) for core in gpu["cores_affinity"].split()]
            if "cores_affinity" in gpu
            else None,
        )
        for gpu in described["gpu_devices"].values()
    ]
    cores = topology.cores_of_node(
        numbering=architecture["cpu_core_numbering"],
        n_cpus=architecture["nb_procs"],
        n_cores=architecture["nb_cores"],
        n_threads=architecture["nb_threads"],
    )
    table = (folder / f"{cluster}_core_gpu_table.txt").read_text().splitlines()
    rows = [[field.strip() for field in line.split("|")] for line in table if line[:1] == "|"][1:]
    by_host = {
        host: {int(row[5]): int(row[8]) for row in group}
        for host, group in groupby(rows, key=lambda row: row[2])
    }
    assert by_host
    found = topology.gpu_of_each_core(cores, gpus)
    assert all(expected == found for expected in by_host.values())


@pytest.mark.parametrize(
    ("capability", "written", "generation"),
    [
        ("8.0", "Ampere", "Ampere"),
        (8.9, None, "Ada Lovelace"),
        ("7.5", "Turing", "Turing"),
        ("7.2", "Volta", "Volta"),
        ("5.2", "Fermi", "Maxwell"),  # GeForce GTX 980 of graphique
        ("2.0", "Maxwell", "Fermi"),  # Tesla M2075 of orion
        ("11.6", "Blackwell", "Blackwell"),
        ("12.0", None, "Blackwell"),
        (None, "Vega20", "Vega20"),
        ("99.1", "Rubin", "Rubin"),
        ("", " ", None),
        (None, None, None),
    ],
)
def test_gpu_generation_prefers_the_compute_capability(capability, written, generation):
    found = topology.gpu_generation(compute_capability=capability, microarchitecture=written)
    assert found == generation


def test_max_plausible_power_is_twice_the_power_of_the_parts():
    # 2 x (250 + 200 for the unknown limit + 12 x 16 + 0.3725 x 128 + 300) = 1979.36
    power = topology.max_plausible_power_w(
        gpu_power_limits_w=[250.0, None], n_cores=16, memory_bytes=128 * 10**9
    )
    assert power == pytest.approx(1979.36)
    assert topology.max_plausible_power_w(
        gpu_power_limits_w=[], n_cores=1, memory_bytes=None
    ) == pytest.approx(624.0)
