"""Course of a job's own power: start-up, plateaus, dips, validation passes, bursts.

A course is piecewise constant. Between its pieces the power jumps, as a GPU's does within a few
milliseconds; inside them the node's noise (`signal.py`) is scaled with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from footprint.site.simulated.catalogue import Gpu
from footprint.site.simulated.hardware import Node
from footprint.site.simulated.requests import Load

Floats = NDArray[np.float64]
# Part of a processor's TDP between idle and busy; the idle part is in the node's own power.
_PROCESSOR_RANGE = 0.75
# Fans and conversion losses that come with the load.
_OVERHEAD = 1.06
_FAST_NOISE = 0.012
_SHORTEST_S = 2.0
_RISE_S = 24.0
_RISE_STEPS = 8


class Course(NamedTuple):
    """Pieces of a program's activity: starts, and parts of the GPUs' and cores' ranges of power."""

    starts_s: Floats
    gpu: Floats
    cpu: Floats


class Work(NamedTuple):
    """What a job does on a node.

    Attributes:
        course: Its course since the simulation's origin; nothing from the last piece on.
        n_cores: Cores that it holds of the node.
        gpus: GPUs that it uses.
        roughness: Standard deviation of slow noise, as a part of its power.
    """

    course: Course
    n_cores: int
    gpus: Sequence[int]
    roughness: float


class Draw(NamedTuple):
    """Power that a job adds: starts of its pieces, watts, and variances of fast and slow noise.

    The last piece is the end: nothing is drawn from there on.
    """

    starts_s: Floats
    power_w: Floats
    fast_w2: Floats
    slow_w2: Floats


def _pieces(lengths_s: Floats, gpu: Floats, cpu: Floats, *, length_s: float) -> Course:
    """Pieces of given lengths one after the other, cut at `length_s`."""
    starts_s = np.concatenate(([0.0], np.cumsum(lengths_s)[:-1]))
    inside = starts_s < length_s
    return Course(starts_s[inside], gpu[inside], cpu[inside])


def _behind(startup_s: float, course: Course, *, cpu: float) -> Course:
    """A course behind a start-up with hardly any GPU power, and a rise while batches warm up."""
    rise_s = min(_RISE_S, 0.5 * startup_s)
    steps = np.arange(_RISE_STEPS) / _RISE_STEPS
    return Course(
        np.concatenate(([0.0], startup_s + rise_s * (steps - 1.0), course.starts_s + startup_s)),
        np.concatenate(([0.02], steps * course.gpu[0], course.gpu)),
        np.concatenate(([cpu], cpu + steps * (course.cpu[0] - cpu), course.cpu)),
    )


def _training(load: Load, length_s: float, rng: np.random.Generator) -> Course:
    startup_s = min(load.startup_s, 0.6 * length_s)
    n_epochs = int((length_s - startup_s) / (0.9 * load.epoch_s)) + 2
    epochs_s = load.epoch_s * (1 + 0.03 * np.clip(rng.standard_normal(n_epochs), -3, 3))
    work_s = epochs_s * (1 - load.validation_frac)
    n_stretches = max(1, round(load.epoch_s * (1 - load.validation_frac) / load.stretch_s))
    dip_s = min(load.dip_s, 0.4 * float(work_s.min()) / n_stretches)
    stretch_s = (work_s / n_stretches - dip_s)[:, None]
    pattern_s = np.tile(np.hstack((stretch_s, np.full_like(stretch_s, dip_s))), n_stretches)
    gpu = np.tile([1.0, 1.0 - load.dip_depth], n_stretches)
    cpu = np.tile([1.0, 0.7], n_stretches)
    if load.validation_frac:
        pattern_s = np.hstack((pattern_s, (epochs_s * load.validation_frac)[:, None]))
        # forward passes only, with a smaller batch
        gpu, cpu = np.append(gpu, 1.0 - 0.5 * load.dip_depth), np.append(cpu, 0.8)
    level = load.gpu_level * (1 + 0.01 * rng.standard_normal((n_epochs, 1)))
    course = _pieces(
        pattern_s.ravel(),
        (level * gpu).ravel(),
        np.tile(load.cpu_level * cpu, n_epochs),
        length_s=length_s - startup_s,
    )
    return _behind(startup_s, course, cpu=load.cpu_level * 0.6)


def _bursts(
    load: Load,
    length_s: float,
    rng: np.random.Generator,
    *,
    pause_s: float,
    pause_gpu: float,
    pause_cpu: float,
) -> Course:
    """Bursts of `load.stretch_s` with pauses between them, both of varying length."""
    n = int(length_s / (0.3 * (load.stretch_s + pause_s))) + 4
    lengths_s = np.column_stack(
        (
            pause_s * (0.4 + 1.2 * rng.random(n)),
            load.stretch_s * (0.4 + 1.2 * rng.random(n)),
        )
    )
    height = 0.8 + 0.4 * rng.random(n)
    gpu = np.column_stack((np.full(n, pause_gpu), height)) * load.gpu_level
    cpu = np.column_stack((np.full(n, pause_cpu), height)) * load.cpu_level
    return _pieces(lengths_s.ravel(), gpu.ravel(), cpu.ravel(), length_s=length_s)


def _crash(load: Load, length_s: float, rng: np.random.Generator) -> Course:
    startup_s = min(load.startup_s, length_s)
    reaches_gpu = rng.random() < 0.6
    end = Course(np.zeros(1), np.array([load.gpu_level * reaches_gpu]), np.array([load.cpu_level]))
    return _behind(startup_s, end, cpu=load.cpu_level)


def course(load: Load, *, length_s: float, rng: np.random.Generator) -> Course:
    """Activity of a program from its first instruction to its last.

    Args:
        load: What the program is like.
        length_s: How long it runs.
        rng: Random numbers of this program alone.
    """
    if load.shape == "training":
        return _training(load, length_s, rng)
    if load.shape == "inference":
        startup_s = min(load.startup_s, 0.5 * length_s)
        rest = _bursts(
            load,
            length_s - startup_s,
            rng,
            pause_s=load.dip_s,
            pause_gpu=1.0 - load.dip_depth,
            pause_cpu=1.0,
        )
        return _behind(startup_s, rest, cpu=load.cpu_level)
    if load.shape == "processors":
        return _bursts(
            load, length_s, rng, pause_s=load.dip_s, pause_gpu=0.0, pause_cpu=1.0 - load.dip_depth
        )
    if load.shape == "session":
        return _bursts(load, length_s, rng, pause_s=load.epoch_s, pause_gpu=0.02, pause_cpu=0.03)
    if load.shape == "crash":
        return _crash(load, length_s, rng)
    return Course(np.zeros(1), np.array([load.gpu_level]), np.array([load.cpu_level]))


def activity(load: Load, *, started_s: float, stopped_s: float, rng: np.random.Generator) -> Course:
    """What a job does, in seconds since the simulation's origin.

    The program starts a little after the job and is gone a little before its end, as prologue and
    epilogue have it, so that power does not jump on whole seconds.

    Args:
        load: What the program is like.
        started_s: Start of the job, in seconds since the simulation's origin.
        stopped_s: End of the job.
        rng: Random numbers of this job alone.

    Returns:
        Its course, with nothing from the last piece on.
    """
    first_s = started_s + 0.2 + 2.8 * rng.random()
    last_s = stopped_s - 0.1 - 1.4 * rng.random()
    if last_s - first_s < _SHORTEST_S:
        return Course(np.array([started_s]), np.zeros(1), np.zeros(1))
    program = course(load, length_s=last_s - first_s, rng=rng)
    return Course(
        np.append(program.starts_s + first_s, last_s),
        np.append(program.gpu, 0.0),
        np.append(program.cpu, 0.0),
    )


def of_node(work: Work, node: Node) -> Draw:
    """Power that a job adds to a node."""
    gpus_w = sum(_range_w(node.gpus[gpu]) for gpu in work.gpus)
    cores_w = node.facts.n_cpus * node.facts.tdp_w * work.n_cores / node.n_cores
    power_w = _OVERHEAD * (work.course.gpu * gpus_w + work.course.cpu * cores_w * _PROCESSOR_RANGE)
    return _noisy(work, power_w)


def of_gpu(work: Work, gpu: Gpu) -> Draw:
    """Power that a job adds to one of the GPUs that it uses; it is in that of the node."""
    return _noisy(work, work.course.gpu * _range_w(gpu))


def _range_w(gpu: Gpu) -> float:
    return gpu.limit_w - gpu.idle_w


def _noisy(work: Work, power_w: Floats) -> Draw:
    fast_w2, slow_w2 = (_FAST_NOISE * power_w) ** 2, (work.roughness * power_w) ** 2
    return Draw(work.course.starts_s, power_w, fast_w2, slow_w2)
