"""Power that a job adds to its nodes: start-up, plateaus, dips, validation passes, bursts.

A course is piecewise constant. The power jumps between its pieces, as the power of a GPU does
within a few milliseconds. Inside a piece the node's noise (`power_function.py`) is scaled with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from footprint.sources.simulated.catalogue import GpuHardware
from footprint.sources.simulated.hardware import Node
from footprint.sources.simulated.hidden_hardware import HiddenHardware
from footprint.sources.simulated.job_requests import ProgramLoad

Floats = NDArray[np.float64]
_FAST_NOISE_FRAC = 0.012
_MIN_PROGRAM_S = 2.0
_RISE_S = 24.0
_RISE_STEPS = 8
# Trials that are stopped early, and their length relative to a whole one.
_STOPPED_EARLY_PROBABILITY = 0.45
_EARLY_LENGTHS, _WHOLE_LENGTHS = (0.08, 0.4), (0.7, 1.3)
_HIGHEST_LEVEL = 0.97


class ActivityCourse(NamedTuple):
    """Pieces of a program's activity.

    Attributes:
        starts_s: Start of each piece.
        gpu: Activity of the GPUs: 0 when idle, 1 at the power limit.
        cpu: Activity of the cores: 0 when idle, 1 when busy.
    """

    starts_s: Floats
    gpu: Floats
    cpu: Floats


class JobWork(NamedTuple):
    """Work of a job on a node.

    Attributes:
        course: Activity since the simulation's origin; 0 from the last piece on.
        n_cores: Number of cores of its allocation.
        gpus: Numbers of the GPUs that it uses.
        roughness: Standard deviation of slow noise, as a fraction of its power.
    """

    course: ActivityCourse
    n_cores: int
    gpus: Sequence[int]
    roughness: float


class AddedPower(NamedTuple):
    """Power that a job adds: starts of its pieces, watts, and variances of fast and slow noise.

    The last piece has no power and marks the end.
    """

    starts_s: Floats
    power_w: Floats
    fast_w2: Floats
    slow_w2: Floats


def _cut_course(lengths_s: Floats, gpu: Floats, cpu: Floats, *, length_s: float) -> ActivityCourse:
    """Course of consecutive pieces, cut at `length_s`."""
    starts_s = np.concatenate(([0.0], np.cumsum(lengths_s)[:-1]))
    inside = starts_s < length_s
    return ActivityCourse(starts_s[inside], gpu[inside], cpu[inside])


def _with_startup(startup_s: float, course: ActivityCourse, *, cpu: float) -> ActivityCourse:
    """Course with a start-up of little GPU power and a stepwise rise before it."""
    rise_s = min(_RISE_S, 0.5 * startup_s)
    steps = np.arange(_RISE_STEPS) / _RISE_STEPS
    return ActivityCourse(
        np.concatenate(([0.0], startup_s + rise_s * (steps - 1.0), course.starts_s + startup_s)),
        np.concatenate(([0.02], steps * course.gpu[0], course.gpu)),
        np.concatenate(([cpu], cpu + steps * (course.cpu[0] - cpu), course.cpu)),
    )


def _draw_training(load: ProgramLoad, length_s: float, rng: np.random.Generator) -> ActivityCourse:
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
    course = _cut_course(
        pattern_s.ravel(),
        (level * gpu).ravel(),
        np.tile(load.cpu_level * cpu, n_epochs),
        length_s=length_s - startup_s,
    )
    return _with_startup(startup_s, course, cpu=load.cpu_level * 0.6)


def _draw_bursts(
    load: ProgramLoad,
    length_s: float,
    rng: np.random.Generator,
    *,
    pause_s: float,
    pause_gpu: float,
    pause_cpu: float,
) -> ActivityCourse:
    """Course of bursts of about `load.stretch_s` with pauses between, both of random length."""
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
    return _cut_course(lengths_s.ravel(), gpu.ravel(), cpu.ravel(), length_s=length_s)


def _draw_trials(load: ProgramLoad, length_s: float, rng: np.random.Generator) -> ActivityCourse:
    """Course of consecutive trainings with pauses between them; some are stopped early.

    The plateau differs by trial, as batch and model sizes do. Short dips separate the epochs.
    """
    startup_s = min(load.startup_s, 0.8 * length_s)
    n_trials = int((length_s - startup_s) / (0.4 * (load.stretch_s + load.dip_s))) + 4
    n_epochs = max(1, min(200, round(load.stretch_s / load.epoch_s)))
    early, span, pause = rng.random((3, n_trials))
    low, high = (
        np.where(early < _STOPPED_EARLY_PROBABILITY, short, whole)
        for short, whole in zip(_EARLY_LENGTHS, _WHOLE_LENGTHS, strict=True)
    )
    epochs_s = load.stretch_s * (low + (high - low) * span)[:, None] / n_epochs
    epoch_dip_s = np.minimum(8.0, 0.15 * epochs_s)
    pattern_s = np.hstack((epochs_s - epoch_dip_s, epoch_dip_s))
    lengths_s = np.column_stack((np.tile(pattern_s, n_epochs), load.dip_s * (0.4 + 1.2 * pause)))
    level = np.minimum(load.gpu_level * (0.6 + 0.8 * rng.random((n_trials, 1))), _HIGHEST_LEVEL)
    gpu = level * np.append(np.tile([1.0, 1.0 - load.dip_depth], n_epochs), 0.0)
    cpu = np.append(np.tile([1.0, 0.7], n_epochs), 0.05) * np.ones((n_trials, 1))
    course = _cut_course(
        lengths_s.ravel(),
        gpu.ravel(),
        load.cpu_level * cpu.ravel(),
        length_s=length_s - startup_s,
    )
    return ActivityCourse(
        np.concatenate(([0.0], course.starts_s + startup_s)),
        np.concatenate(([0.0], course.gpu)),
        np.concatenate(([0.01], course.cpu)),
    )


def _draw_server(load: ProgramLoad, length_s: float, rng: np.random.Generator) -> ActivityCourse:
    """Course of a loaded model that answers requests in episodes of very unequal length."""
    startup_s = min(load.startup_s, 0.5 * length_s)
    n = int(length_s / (0.3 * (load.stretch_s + load.dip_s))) + 8
    pause_s = load.dip_s * np.exp(1.1 * rng.standard_normal(n))
    busy_s = load.stretch_s * np.exp(0.8 * rng.standard_normal(n))
    height = 0.25 + 0.75 * rng.random(n)
    rest = np.full(n, 1.0 - load.dip_depth)
    course = _cut_course(
        np.column_stack((pause_s, busy_s)).ravel(),
        load.gpu_level * np.column_stack((rest, np.maximum(rest, height))).ravel(),
        load.cpu_level * np.column_stack((np.full(n, 0.1), height)).ravel(),
        length_s=length_s - startup_s,
    )
    return _with_startup(startup_s, course, cpu=load.cpu_level)


def _draw_crash(load: ProgramLoad, length_s: float, rng: np.random.Generator) -> ActivityCourse:
    startup_s = min(load.startup_s, length_s)
    reaches_gpu = rng.random() < 0.6
    end = ActivityCourse(
        np.zeros(1), np.array([load.gpu_level * reaches_gpu]), np.array([load.cpu_level])
    )
    return _with_startup(startup_s, end, cpu=load.cpu_level)


def draw_program_course(
    load: ProgramLoad, *, length_s: float, rng: np.random.Generator
) -> ActivityCourse:
    """Draw the activity of a program, in seconds since its start.

    Args:
        load: Load of the program.
        length_s: Length of its run.
        rng: Random numbers of this program alone.
    """
    if load.shape == "training":
        return _draw_training(load, length_s, rng)
    if load.shape == "inference":
        startup_s = min(load.startup_s, 0.5 * length_s)
        rest = _draw_bursts(
            load,
            length_s - startup_s,
            rng,
            pause_s=load.dip_s,
            pause_gpu=1.0 - load.dip_depth,
            pause_cpu=1.0,
        )
        return _with_startup(startup_s, rest, cpu=load.cpu_level)
    if load.shape == "trials":
        return _draw_trials(load, length_s, rng)
    if load.shape == "server":
        return _draw_server(load, length_s, rng)
    if load.shape == "processors":
        return _draw_bursts(
            load, length_s, rng, pause_s=load.dip_s, pause_gpu=0.0, pause_cpu=1.0 - load.dip_depth
        )
    if load.shape == "session":
        return _draw_bursts(
            load, length_s, rng, pause_s=load.epoch_s, pause_gpu=0.02, pause_cpu=0.03
        )
    if load.shape == "crash":
        return _draw_crash(load, length_s, rng)
    return ActivityCourse(np.zeros(1), np.array([load.gpu_level]), np.array([load.cpu_level]))


def draw_job_course(
    load: ProgramLoad, *, started_s: float, stopped_s: float, rng: np.random.Generator
) -> ActivityCourse:
    """Draw the activity of a job, in seconds since the simulation's origin.

    The program starts slightly after the job and ends slightly before it, because of prologue and
    epilogue. Power therefore does not jump on whole seconds.

    Args:
        load: Load of the program.
        started_s: Start of the job, in seconds since the simulation's origin.
        stopped_s: End of the job.
        rng: Random numbers of this job alone.

    Returns:
        Course whose last piece has no activity.
    """
    first_s = started_s + 0.2 + 2.8 * rng.random()
    last_s = stopped_s - 0.1 - 1.4 * rng.random()
    if last_s - first_s < _MIN_PROGRAM_S:
        return ActivityCourse(np.array([started_s]), np.zeros(1), np.zeros(1))
    program = draw_program_course(load, length_s=last_s - first_s, rng=rng)
    return ActivityCourse(
        np.append(program.starts_s + first_s, last_s),
        np.append(program.gpu, 0.0),
        np.append(program.cpu, 0.0),
    )


def power_added_to_node(work: JobWork, node: Node, hidden: HiddenHardware) -> AddedPower:
    """Power that a job adds to a node.

    Power of busy processors above idle is a fraction of the TDP, since the rest belongs to the
    node's idle power. Losses grow with the load.
    """
    gpus_w = sum(_power_range_w(node.gpus[gpu]) for gpu in work.gpus)
    cores_w = node.facts.n_cpus * node.facts.tdp_w * work.n_cores / node.n_cores
    power_w = hidden.loss_factor * (
        work.course.gpu * gpus_w + work.course.cpu * cores_w * hidden.processor_range_frac
    )
    return _with_noise(work, power_w)


def power_added_to_gpu(work: JobWork, gpu: GpuHardware) -> AddedPower:
    """Power that a job adds to one of its GPUs; a part of the power that it adds to the node."""
    return _with_noise(work, work.course.gpu * _power_range_w(gpu))


def _power_range_w(gpu: GpuHardware) -> float:
    return gpu.limit_w - gpu.idle_w


def _with_noise(work: JobWork, power_w: Floats) -> AddedPower:
    fast_w2, slow_w2 = (_FAST_NOISE_FRAC * power_w) ** 2, (work.roughness * power_w) ** 2
    return AddedPower(work.course.starts_s, power_w, fast_w2, slow_w2)
