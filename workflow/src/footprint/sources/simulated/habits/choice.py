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
    "reserved_node_training": 0.017,
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

WalltimePolicy = Literal["usual", "fitted_walltime", "day_walltime", "limit_walltime"]
CommandPolicy = Literal["usual", "informing_commands", "silent_commands", "code_commands"]
WALLTIME_POLICIES: tuple[WalltimePolicy, ...] = (
    "usual",
    "fitted_walltime",
    "day_walltime",
    "limit_walltime",
)
COMMAND_POLICIES: tuple[CommandPolicy, ...] = (
    "usual",
    "informing_commands",
    "silent_commands",
    "code_commands",
)
OWN_SYSTEM = "own_system"
STYLES = (*WALLTIME_POLICIES[1:], *COMMAND_POLICIES[1:], OWN_SYSTEM)
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
    walltimes: tuple[WalltimePolicy, ...] = ("usual",)
    commands: tuple[CommandPolicy, ...] = ("usual",)
    own_system: bool = False

    def shares(self) -> dict[str, float]:
        """Share of each habit of work among all jobs of the site."""
        total = sum(self.weights.values())
        return {name: self.share * weight / total for name, weight in self.weights.items()}


def choose_habits(source: Mapping[str, Any], *, seed: int) -> ChosenHabits | None:
    """Habits of a configuration; None: the usual work alone.

    Args:
        source: Configuration; `habits` is null, `seed` (each habit of work with a probability of
            0.7, and all styles) or a list of names of `HABITS`; `habit_share` is the share of the
            jobs that belong to them.
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
    rng = random_generator(seed, "habits")
    luck = {name: float(rng.random()) for name in WORK_SHARES}
    factors = dict(zip(WORK_SHARES, rng.standard_normal(len(WORK_SHARES)), strict=True))
    if wanted == BY_SEED:
        luckiest = sorted(luck, key=lambda name: luck[name])[:_FEWEST_DRAWN]
        names = [name for name in WORK_SHARES if luck[name] < _IN_MIX_PROBABILITY]
        names = sorted({*names, *luckiest})
        walltimes, commands = WALLTIME_POLICIES, COMMAND_POLICIES
        own_system = True
    else:
        names = _listed_habits(wanted)
        walltimes = tuple(name for name in WALLTIME_POLICIES if name in names) or ("usual",)
        commands = tuple(name for name in COMMAND_POLICIES if name in names) or ("usual",)
        own_system = OWN_SYSTEM in names
    weights = {
        name: share_of_jobs * float(np.exp(_WEIGHT_SPREAD * factors[name]))
        for name, share_of_jobs in WORK_SHARES.items()
        if name in names
    }
    return ChosenHabits(
        share=float(share) if weights else 0.0,
        weights=weights,
        walltimes=walltimes,
        commands=commands,
        own_system=own_system,
    )


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
