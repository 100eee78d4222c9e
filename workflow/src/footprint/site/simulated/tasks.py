"""What is trained and run: families of models, with the power levels and rhythms they show.

Ranges follow published figures: mean GPU power of trainings from 15 to 95 % of the power limit
(recommender, small vision, speech recognition, language models, image classification on V100, A40
and RTX 6000), epochs from 14 s to 2 h, noise of 2 to 10 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from footprint.site.simulated.requests import Load

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models: ranges of the figures that `requests.Load` explains."""

    gpu_level: Range
    cpu_level: Range
    epoch_s: Range
    stretch_s: Range
    dip_s: Range


FAMILIES: dict[str, Family] = {
    "separation": Family((0.5, 0.9), (0.1, 0.3), (1200, 7200), (900, 2400), (10, 50)),
    "recognition": Family((0.35, 0.7), (0.15, 0.4), (1800, 7200), (200, 700), (10, 60)),
    "language": Family((0.6, 0.95), (0.05, 0.15), (1500, 5400), (1500, 2400), (20, 60)),
    "vision": Family((0.2, 0.6), (0.2, 0.6), (14, 90), (600, 900), (5, 15)),
    "graphs": Family((0.13, 0.25), (0.1, 0.4), (30, 400), (400, 800), (5, 20)),
    "policy": Family((0.15, 0.35), (0.5, 0.95), (60, 900), (100, 400), (30, 80)),
}
FAMILIES_OF_PROJECT: dict[str, tuple[str, ...]] = {
    "multispeech": ("separation", "separation", "recognition", "recognition", "vision"),
    "larsen": ("policy", "policy", "vision", "vision", "graphs"),
    "synalp": ("language", "language", "language", "recognition"),
    "orpailleur": ("graphs", "language"),
    "capsid": ("graphs", "vision"),
    "tangram": ("vision", "separation"),
}


def between(rng: np.random.Generator, limits: Range) -> float:
    """A number drawn evenly between two limits."""
    return limits[0] + (limits[1] - limits[0]) * rng.random()


def log_between(rng: np.random.Generator, limits: Range) -> float:
    """A number between two limits, even in its logarithm."""
    return limits[0] * float((limits[1] / limits[0]) ** rng.random())


def lognormal(
    rng: np.random.Generator, *, median: float, spread: float, low: float, high: float
) -> float:
    """A lognormal number of a median and a spread of the logarithm, kept inside limits."""
    return min(max(median * float(np.exp(spread * rng.standard_normal())), low), high)


def _depth(rng: np.random.Generator, every_s: float) -> float:
    """Depth of dips: shallow where they are frequent, since loaders work ahead of the GPUs."""
    deepest = min(0.9, 0.04 * float((every_s / 14.0) ** 0.55))
    return deepest * between(rng, (0.6, 1.0))


def training_load(rng: np.random.Generator, project: str, *, runtime_s: float) -> Load:
    """Load of a training of one of the project's families."""
    families = FAMILIES_OF_PROJECT[project]
    family = FAMILIES[families[int(rng.integers(len(families)))]]
    # people size short runs so that they see a few epochs at least
    epoch_s = min(max(log_between(rng, family.epoch_s), runtime_s / 3000), max(14.0, runtime_s / 4))
    stretch_s = between(rng, family.stretch_s)
    return Load(
        shape="training",
        gpu_level=between(rng, family.gpu_level),
        cpu_level=between(rng, family.cpu_level),
        roughness=between(rng, (0.015, 0.08)),
        startup_s=lognormal(rng, median=70, spread=0.9, low=5, high=900),
        epoch_s=epoch_s,
        validation_frac=between(rng, (0.04, 0.15)) if epoch_s > 60 else 0.0,
        stretch_s=stretch_s,
        dip_s=between(rng, family.dip_s) if epoch_s > 60 else between(rng, (1.0, 4.0)),
        dip_depth=_depth(rng, min(stretch_s, epoch_s)),
    )


def inference_load(rng: np.random.Generator) -> Load:
    """Load of decoding, enhancement or scoring: bursts on the GPUs with pauses between them."""
    burst_s = log_between(rng, (40, 600))
    return Load(
        shape="inference",
        gpu_level=between(rng, (0.12, 0.6)),
        cpu_level=between(rng, (0.1, 0.5)),
        roughness=between(rng, (0.02, 0.08)),
        startup_s=lognormal(rng, median=15, spread=0.7, low=3, high=120),
        stretch_s=burst_s,
        dip_s=between(rng, (3, 40)),
        dip_depth=_depth(rng, burst_s),
    )


def processors_load(rng: np.random.Generator) -> Load:
    """Load of corpus generation and feature extraction on cores alone."""
    stretch_s = log_between(rng, (60, 900))
    return Load(
        shape="processors",
        cpu_level=between(rng, (0.45, 1.0)),
        roughness=between(rng, (0.01, 0.05)),
        startup_s=between(rng, (1, 15)),
        stretch_s=stretch_s,
        dip_s=between(rng, (5, 40)),
        dip_depth=_depth(rng, stretch_s),
    )


def crash_load(rng: np.random.Generator) -> Load:
    """Load of a program that starts, perhaps begins to compute, and stops."""
    return Load(
        shape="crash",
        gpu_level=between(rng, (0.1, 0.7)),
        cpu_level=between(rng, (0.1, 0.4)),
        startup_s=lognormal(rng, median=25, spread=0.8, low=2, high=200),
    )


def session_load(rng: np.random.Generator) -> Load:
    """Load of a person at a prompt or in a notebook: long idle, now and then a burst."""
    return Load(
        shape="session",
        gpu_level=between(rng, (0.04, 0.2)),
        cpu_level=between(rng, (0.05, 0.3)),
        stretch_s=log_between(rng, (40, 300)),
        epoch_s=log_between(rng, (600, 3000)),
    )


def hold_load(rng: np.random.Generator) -> Load:
    """Load of resources that are held and hardly used; the GPUs may keep a context open."""
    return Load(shape="hold", gpu_level=between(rng, (0.0, 0.04)), cpu_level=0.01)
