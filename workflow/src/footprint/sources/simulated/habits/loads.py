"""Random loads of the programs of habits, as different within a habit as between habits.

Limits follow the figures of `load_models`: plateaus at 15 to 95 % of the power limit, epochs of 14
s to 2 h. Loaders that cannot feed the GPUs leave them at about a quarter of their power, in a
saw-tooth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from footprint.sources.simulated.job_requests import ProgramLoad
from footprint.sources.simulated.load_models import (
    draw_log_uniform,
    draw_lognormal,
    draw_training_load,
    draw_uniform,
)

_PLATEAU_LEVELS = (0.15, 0.95)
_EPOCHS_S = (14.0, 7200.0)
# Half of the trainings have the load of a model family of their project.
_FAMILY_PROBABILITY = 0.5


def draw_plateau_load(rng: np.random.Generator, project: str, *, runtime_s: float) -> ProgramLoad:
    """Draw the load of a training: of a model family of the project, or of any level and epoch."""
    load = draw_training_load(rng, project, runtime_s=runtime_s)
    level, epoch_s = draw_uniform(rng, _PLATEAU_LEVELS), draw_log_uniform(rng, _EPOCHS_S)
    if rng.random() < _FAMILY_PROBABILITY:
        return load
    epoch_s = max(14.0, runtime_s / 3000, min(epoch_s, runtime_s / 3))
    return replace(
        load,
        gpu_level=level,
        epoch_s=epoch_s,
        cpu_level=draw_uniform(rng, (0.03, 0.7)),
        validation_frac=load.validation_frac if epoch_s > 60 else 0.0,
    )


def draw_loader_bound_load(rng: np.random.Generator, *, runtime_s: float) -> ProgramLoad:
    """Draw the load of a training that waits for its data: a saw-tooth at about a quarter."""
    stretch_s = draw_log_uniform(rng, (8, 90))
    dip_s = stretch_s * draw_uniform(rng, (0.25, 1.2))
    return ProgramLoad(
        shape="training",
        gpu_level=draw_uniform(rng, (0.15, 0.45)),
        cpu_level=draw_uniform(rng, (0.3, 0.95)),
        roughness=draw_uniform(rng, (0.03, 0.1)),
        startup_s=draw_lognormal(rng, median=120, spread=0.9, low=10, high=1800),
        epoch_s=max(runtime_s / 3000, draw_log_uniform(rng, (120, 7200))),
        validation_frac=draw_uniform(rng, (0.0, 0.2)),
        stretch_s=stretch_s + dip_s,
        dip_s=dip_s,
        dip_depth=draw_uniform(rng, (0.4, 0.95)),
    )


def draw_trials_load(
    rng: np.random.Generator, *, trial_s: float, pause_s: float, startup_s: float
) -> ProgramLoad:
    """Draw the load of consecutive trainings of about `trial_s` with pauses of about `pause_s`."""
    epoch_s = min(draw_log_uniform(rng, _EPOCHS_S), trial_s / 2)
    return ProgramLoad(
        shape="trials",
        gpu_level=draw_uniform(rng, _PLATEAU_LEVELS),
        cpu_level=draw_uniform(rng, (0.05, 0.6)),
        roughness=draw_uniform(rng, (0.015, 0.08)),
        startup_s=startup_s,
        epoch_s=max(epoch_s, trial_s / 200),
        stretch_s=trial_s,
        dip_s=pause_s,
        dip_depth=draw_uniform(rng, (0.05, 0.6)),
    )


def draw_server_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of a model that is served: idle for long, or busy day and night."""
    return ProgramLoad(
        shape="server",
        gpu_level=draw_uniform(rng, (0.25, 0.95)),
        cpu_level=draw_uniform(rng, (0.03, 0.3)),
        roughness=draw_uniform(rng, (0.02, 0.08)),
        startup_s=draw_lognormal(rng, median=90, spread=0.6, low=20, high=600),
        stretch_s=draw_log_uniform(rng, (15, 900)),
        dip_s=draw_log_uniform(rng, (10, 3600)),
        dip_depth=draw_uniform(rng, (0.6, 0.97)),
    )


def draw_generation_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of generation in large batches: a steady plateau with short pauses by shard."""
    shard_s = draw_log_uniform(rng, (300, 14400))
    return ProgramLoad(
        shape="training",
        gpu_level=draw_uniform(rng, (0.25, 0.95)),
        cpu_level=draw_uniform(rng, (0.03, 0.3)),
        roughness=draw_uniform(rng, (0.01, 0.07)),
        startup_s=draw_lognormal(rng, median=80, spread=0.6, low=10, high=600),
        epoch_s=shard_s,
        stretch_s=draw_log_uniform(rng, (300, 7200)),
        dip_s=draw_uniform(rng, (3, 40)),
        dip_depth=draw_uniform(rng, (0.05, 0.8)),
    )


def draw_notebook_load(rng: np.random.Generator) -> ProgramLoad:
    """Draw the load of a notebook that stays open: cells of minutes, hours without one."""
    return ProgramLoad(
        shape="session",
        gpu_level=draw_uniform(rng, (0.04, 0.8)),
        cpu_level=draw_uniform(rng, (0.03, 0.4)),
        stretch_s=draw_log_uniform(rng, (30, 900)),
        epoch_s=draw_log_uniform(rng, (900, 20000)),
    )
