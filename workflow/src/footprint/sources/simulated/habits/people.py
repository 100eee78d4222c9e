"""Styles of people: the walltimes that they request, their commands, and their own systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from footprint.sources.simulated.habits.choice import (
    ChosenHabits,
    CommandPolicy,
    WalltimePolicy,
)
from footprint.sources.simulated.people import TEAMS
from footprint.sources.simulated.random_numbers import random_generator

T = TypeVar("T")

_HAS_HABIT_PROBABILITY = 0.35
_FEWEST_PEOPLE = 3
_OWN_SYSTEM_PROBABILITY = 0.25


@dataclass(frozen=True, slots=True)
class PersonalStyle:
    """Style of a person.

    Attributes:
        walltimes: Walltimes that they request.
        commands: Commands that they use.
        own_system: Whether they deploy a system of their own, which has no exporter, for most jobs.
        variant: Random number from 0 to 1, which selects one of several forms of a style.
    """

    walltimes: WalltimePolicy = "usual_walltime"
    commands: CommandPolicy = "usual_commands"
    own_system: bool = False
    variant: float = 0.0


def draw_styles(seed: int, chosen: ChosenHabits) -> dict[str, PersonalStyle]:
    """Draw the style of each person of the site, by login."""
    styles = {}
    for login in _logins():
        walltimes, commands, own, variant = random_generator(seed, "style", login).random(4)
        styles[login] = PersonalStyle(
            walltimes=_select(chosen.walltimes, walltimes),
            commands=_select(chosen.commands, commands),
            own_system=chosen.own_system and own < _OWN_SYSTEM_PROBABILITY,
            variant=float(variant),
        )
    return styles


def draw_people(seed: int, habit: str) -> frozenset[str]:
    """Draw the logins of the people with a habit of work."""
    logins = _logins()
    luck = dict(
        zip(logins, random_generator(seed, "people", habit).random(len(logins)), strict=True)
    )
    luckiest = sorted(logins, key=lambda login: float(luck[login]))[:_FEWEST_PEOPLE]
    return frozenset(
        {login for login in logins if luck[login] < _HAS_HABIT_PROBABILITY} | {*luckiest}
    )


def _logins() -> list[str]:
    return [person.login for team in TEAMS for person in team.people]


def _select(among: Sequence[T], draw: float) -> T:
    return among[int(draw * len(among))]
