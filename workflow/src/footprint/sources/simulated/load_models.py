"""Random loads of programs: families of trained models, inference, sessions and others.

Limits follow published figures: mean GPU power of trainings from 15 to 95 % of the power limit
(recommender, small vision, speech recognition, language models, image classification on V100, A40
and RTX 6000), epochs from 14 s to 2 h, noise of 2 to 10 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from footprint.sources.simulated.job_requests import ProgramLoad

Limits = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """A family of models: lowest and highest value of attributes of `job_requests.ProgramLoad`."""

    gpu_level: Limits
    cpu_level: Limits
    epoch_s: Limits
    stretch_s: Limits
    dip_s: Limits


MODEL_FAMILIES: dict[str, ModelFamily] = {
    "separation": ModelFamily((0.5, 0.9), (0.1, 0.3), (1200, 7200), (900, 2400), (10, 50)),
    "recognition": ModelFamily((0.35, 0.7), (0.15, 0.4), (1800, 7200), (200, 700), (10, 60)),
    "language": ModelFamily((0.6, 0.95), (0.05, 0.15), (1500, 5400), (1500, 2400), (20, 60)),
    "vision": ModelFamily((0.2, 0.6), (0.2, 0.6), (14, 90), (600, 900), (5, 15)),
    "graphs": ModelFamily((0.13, 0.25), (0.1, 0.4), (30, 400), (400, 800), (5, 20)),
    "policy": ModelFamily((0.15, 0.35), (0.5, 0.95), (60, 900), (100, 400), (30, 80)),
}
PROJECT_FAMILIES: dict[str, tuple[str, ...]] = {
    "multispeech": ("separation", "separation", "recognition", "recognition", "vision"),
    "larsen": ("policy", "policy", "vision", "vision", "graphs"),
    "synalp": ("language", "language", "language", "recognition"),
    "orpailleur": ("graphs", "language"),
    "capsid": ("graphs", "vision"),
    "tangram": ("vision", "separation"),
}


def draw_uniform(rng: np.random.Generator, limits: Limits) -> float:
    """Draw from the uniform distribution between two limits."""
    return limits[0] + (limits[1] - limits[0]) * rng.random()


def draw_log_uniform(rng: np.random.Generator, limits: Limits) -> float:
    """Draw from the log-uniform distribution between two limits."""
    return limits[0] * float((limits[1] / limits[0]) ** rng.random())


def draw_lognormal(
    rng: np.random.Generator, *, median: float, spread: float, low: float, high: float
) -> float:
    """Draw from a clipped lognormal distribution; `spread` is the sigma of the logarithm."""
    return min(max(median * float(np.exp(spread * rng.standard_normal())), low), high)


def _draw_dip_depth(rng: np.random.Generator, every_s: float) -> float:
    """Draw the depth of dips: shallow if frequent, since data loaders work ahead of the GPUs."""
    deepest = min(0.9, 0.04 * float((every_s / 14.0) ** 0.55))
    return deepest * draw_uniform(rng, (0.6, 1.0))


def draw_training_load(rng: np.random.Generator, project: str, *, runtime_s: float) -> ProgramLoad:
    """Draw the load of a training of one of the project's model families."""
    families = PROJECT_FAMILIES[project]
    family = MODEL_FAMILIES[families[int(rng.integers(len(families)))]]
    # people choose short runs so that they have at least a few epochs
    epoch_s = min(
        max(draw_log_uniform(rng, family.epoch_s), runtime_s / 3000), max(14.0, runtime_s / 4)
    )
    stretch_s = draw_uniform(rng, family.stretch_s)
    return ProgramLoad(
        shape="training",
        gpu_level=draw_uniform(rng, family.gpu_level),
        cpu_level=draw_uniform(rng, family.cpu_level),
        roughness=draw_uniform(rng, (0.015, 0.08)),
        startup_s=draw_lognormal(rng, median=70, spread=0.9, low=5, high=900),
        epoch_s=epoch_s,
        validation_frac=draw_uniform(rng, (0.04, 0.15)) if epoch_s > 60 else 0.0,
        stretch_s=stretch_s,
        dip_s=draw_uniform(rng, family.dip_s) if epoch_s > 60 else draw_uniform(rng, (1.0, 4.0)),
        dip_depth=_draw_dip_depth(rng, min(stretch_s, epoch_s)),
    )


def draw_inference_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of inference: bursts on the GPUs with pauses between them."""
    burst_s = draw_log_uniform(rng, (40, 600))
    return ProgramLoad(
        shape="inference",
        gpu_level=draw_uniform(rng, (0.12, 0.6)),
        cpu_level=draw_uniform(rng, (0.1, 0.5)),
        roughness=draw_uniform(rng, (0.02, 0.08)),
        startup_s=draw_lognormal(rng, median=15, spread=0.7, low=3, high=120),
        stretch_s=burst_s,
        dip_s=draw_uniform(rng, (3, 40)),
        dip_depth=_draw_dip_depth(rng, burst_s),
    )


def draw_processors_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of corpus generation or feature extraction, on cores alone."""
    stretch_s = draw_log_uniform(rng, (60, 900))
    return ProgramLoad(
        shape="processors",
        cpu_level=draw_uniform(rng, (0.45, 1.0)),
        roughness=draw_uniform(rng, (0.01, 0.05)),
        startup_s=draw_uniform(rng, (1, 15)),
        stretch_s=stretch_s,
        dip_s=draw_uniform(rng, (5, 40)),
        dip_depth=_draw_dip_depth(rng, stretch_s),
    )


def draw_crash_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of a program that starts, perhaps begins to compute, and crashes."""
    return ProgramLoad(
        shape="crash",
        gpu_level=draw_uniform(rng, (0.1, 0.7)),
        cpu_level=draw_uniform(rng, (0.1, 0.4)),
        startup_s=draw_lognormal(rng, median=25, spread=0.8, low=2, high=200),
    )


def draw_session_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of a session at a prompt or in a notebook: mostly idle, with some bursts."""
    return ProgramLoad(
        shape="session",
        gpu_level=draw_uniform(rng, (0.04, 0.2)),
        cpu_level=draw_uniform(rng, (0.05, 0.3)),
        stretch_s=draw_log_uniform(rng, (40, 300)),
        epoch_s=draw_log_uniform(rng, (600, 3000)),
    )


def draw_hold_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of an allocation that is hardly used; the GPUs may keep a context open."""
    return ProgramLoad(shape="hold", gpu_level=draw_uniform(rng, (0.0, 0.04)), cpu_level=0.01)
