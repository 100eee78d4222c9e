"""Habits of the simulated site: their names, and those that a configuration chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from footprint.core.errors import InputError
from footprint.sources.simulated.random_numbers import random_generator

BY_SEED = "seed"
"""Value of `source.habits` for habits drawn by seed."""

DEFAULT_SHARE = 0.7
"""Share of the jobs that belong to habits, where the configuration sets none."""

WORK_SHARES: dict[str, float] = {
    "late_resume": 0.05,
    "reserved_node_training": 0.008,
    "one_job_sweep": 0.04,
    "array_sweep": 0.15,
    "loader_bound_training": 0.04,
    "multi_node_training": 0.012,
    "fine_tuning": 0.09,
    "inference_server": 0.085,
    "evaluation_array": 0.2,
    "corpus_generation": 0.085,
    "processors_on_gpu_nodes": 0.09,
    "open_notebook": 0.06,
    "crash_loop": 0.14,
}
"""Habits of work, with their typical shares of the jobs of all habits."""

WalltimePolicy = Literal["usual_walltime", "fitted_walltime", "day_walltime", "limit_walltime"]
CommandPolicy = Literal["usual_commands", "informing_commands", "silent_commands", "code_commands"]
WALLTIME_POLICIES: tuple[WalltimePolicy, ...] = (
    "usual_walltime",
    "fitted_walltime",
    "day_walltime",
    "limit_walltime",
)
COMMAND_POLICIES: tuple[CommandPolicy, ...] = (
    "usual_commands",
    "informing_commands",
    "silent_commands",
    "code_commands",
)
OWN_SYSTEM = "own_system"
STYLES = (*WALLTIME_POLICIES, *COMMAND_POLICIES, OWN_SYSTEM)
"""Styles of a person, which apply to all of their jobs."""

HABITS = (*WORK_SHARES, *STYLES)
"""Names that `source.habits` may list."""

_IN_MIX_PROBABILITY = 0.7
_FEWEST_DRAWN = 4
# Sigma of the logarithm of a habit's weight about its typical share.
_WEIGHT_SPREAD = 0.7


@dataclass(frozen=True)
class ChosenHabits:
    """Habits of a site.

    Attributes:
        share: Share of the jobs that belong to habits of work.
        weights: Weight of each habit of work among them.
        walltimes: Policies of walltimes that people may have.
        commands: Policies of commands that people may have.
        own_system: Whether some people deploy a system of their own, without exporters.
    """

    share: float
    weights: dict[str, float] = field(default_factory=dict)
    walltimes: tuple[WalltimePolicy, ...] = WALLTIME_POLICIES[:1]
    commands: tuple[CommandPolicy, ...] = COMMAND_POLICIES[:1]
    own_system: bool = False

    def shares(self) -> dict[str, float]:
        """Share of each habit of work among all jobs of the site."""
        total = sum(self.weights.values())
        return {name: self.share * weight / total for name, weight in self.weights.items()}


def choose_habits(source: Mapping[str, Any], *, seed: int) -> ChosenHabits | None:
    """Habits of a configuration; None: the usual work alone.

    Args:
        source: Configuration; `habits` is null, `seed` (the names of `draw_habits`) or a list of
            names of `HABITS`; `habit_share` is the share of the jobs that belong to habits of work.
        seed: Seed of the choice and of the weights.

    Raises:
        InputError: A value is not allowed.
    """
    share = source.get("habit_share")
    share = DEFAULT_SHARE if share is None else share
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(
            f"{share!r} is not a share", where="source.habit_share", do="set a number from 0 to 1"
        )
    wanted = source.get("habits")
    if wanted is None:
        return None
    names = draw_habits(seed) if wanted == BY_SEED else _listed_habits(wanted)
    rng = random_generator(seed, "weights of habits")
    factors = np.exp(_WEIGHT_SPREAD * rng.standard_normal(len(WORK_SHARES)))
    weights = {
        name: typical * float(factor)
        for (name, typical), factor in zip(WORK_SHARES.items(), factors, strict=True)
        if name in names
    }
    walltimes = tuple(name for name in WALLTIME_POLICIES if name in names)
    commands = tuple(name for name in COMMAND_POLICIES if name in names)
    return ChosenHabits(
        share=float(share) if weights else 0.0,
        weights=weights,
        walltimes=walltimes or WALLTIME_POLICIES[:1],
        commands=commands or COMMAND_POLICIES[:1],
        own_system=OWN_SYSTEM in names,
    )


def draw_habits(seed: int) -> list[str]:
    """Draw names for `source.habits`: some habits of work, and all styles."""
    luck = dict(
        zip(WORK_SHARES, random_generator(seed, "habits").random(len(WORK_SHARES)), strict=True)
    )
    ranked = sorted(WORK_SHARES, key=lambda name: float(luck[name]))
    kept = {name for name in WORK_SHARES if luck[name] < _IN_MIX_PROBABILITY}
    kept |= set(ranked[:_FEWEST_DRAWN])
    return [*(name for name in WORK_SHARES if name in kept), *STYLES]


def _listed_habits(wanted: object) -> list[str]:
    where = "source.habits"
    if not isinstance(wanted, list | tuple) or not wanted:
        raise InputError(
            f"{wanted!r} is not a list of habits",
            where=where,
            do=f"set a list of habits, `{BY_SEED}`, or null",
        )
    unknown = [name for name in wanted if name not in HABITS]
    if unknown:
        raise InputError(
            f"there is no habit {unknown[0]!r}", where=where, do=f"choose among {', '.join(HABITS)}"
        )
    return [str(name) for name in wanted]
