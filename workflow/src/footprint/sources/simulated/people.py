"""Teams, people and papers of the simulated site, and the style of each person's commands.

Projects have the names of public groups at Nancy. The people are invented and have the names of
trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

CommandStyle = Literal["words", "stages", "opaque"]


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the site.

    Attributes:
        login: Login.
        weight: Share of the team's work.
        style: `words`: a script for each purpose, named after it; `stages`: one script with a stage
            number; `opaque`: a job file whose name reveals nothing.
        names_jobs: Probability that they name a job.
    """

    login: str
    weight: float
    style: CommandStyle
    names_jobs: float


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper in progress: its name, the name of its folder, and the logins of its authors."""

    name: str
    slug: str
    authors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Team:
    """A project of the site: its share of all work, its people, its clusters by preference."""

    project: str
    weight: float
    people: tuple[Person, ...]
    clusters: dict[str, float]
    papers: tuple[Paper, ...] = ()


TEAMS: tuple[Team, ...] = (
    Team(
        "multispeech",
        0.42,
        (
            Person("birch", 0.36, "stages", 0.2),
            Person("cedar", 0.22, "words", 0.35),
            Person("alder", 0.16, "opaque", 0.1),
            Person("dogwood", 0.11, "words", 0.5),
            Person("elder", 0.08, "stages", 0.15),
            Person("gorse", 0.05, "opaque", 0.3),
            Person("fir", 0.02, "words", 0.6),
        ),
        {
            "graffiti": 0.42,
            "grele": 0.2,
            "grue": 0.12,
            "gruss": 0.14,
            "grat": 0.07,
            "gratouille": 0.03,
            "grouille": 0.02,
        },
        (Paper("dereverberation", "dereverb", ("birch", "cedar")),),
    ),
    Team(
        "larsen",
        0.2,
        (
            Person("hazel", 0.45, "words", 0.3),
            Person("holly", 0.27, "stages", 0.1),
            Person("juniper", 0.15, "opaque", 0.2),
            Person("hawthorn", 0.09, "words", 0.4),
            Person("larch", 0.04, "stages", 0.2),
        ),
        {"grele": 0.4, "graffiti": 0.24, "grue": 0.22, "gruss": 0.06, "grappe": 0.03, "gres": 0.05},
        (Paper("gesture-prediction", "gesture", ("hazel",)),),
    ),
    Team(
        "synalp",
        0.2,
        (
            Person("maple", 0.4, "opaque", 0.15),
            Person("oak", 0.3, "stages", 0.25),
            Person("linden", 0.18, "words", 0.5),
            Person("laurel", 0.08, "words", 0.2),
            Person("myrtle", 0.04, "opaque", 0.1),
        ),
        {
            "gruss": 0.26,
            "graffiti": 0.24,
            "grat": 0.16,
            "gres": 0.16,
            "grouille": 0.14,
            "gratouille": 0.04,
        },
        (Paper("low-resource-parsing", "lowparse", ("maple", "oak")),),
    ),
    Team(
        "orpailleur",
        0.1,
        (
            Person("pine", 0.6, "words", 0.2),
            Person("poplar", 0.3, "stages", 0.2),
            Person("rowan", 0.1, "opaque", 0.1),
        ),
        {"grappe": 0.4, "grue": 0.3, "grele": 0.2, "gres": 0.1},
    ),
    Team(
        "capsid",
        0.05,
        (Person("sorrel", 0.8, "words", 0.4), Person("spruce", 0.2, "stages", 0.1)),
        {"grappe": 0.55, "grele": 0.3, "gratouille": 0.15},
    ),
    Team(
        "tangram",
        0.03,
        (Person("willow", 0.7, "opaque", 0.2), Person("yew", 0.3, "words", 0.3)),
        {"graffiti": 0.5, "grele": 0.5},
    ),
)


def select_by_weight(weights: dict[str, float], draw: float) -> str:
    """Key that a number in [0, 1) selects, with probability proportional to its weight."""
    total = sum(weights.values())
    for key, reached in zip(weights, accumulate(weights.values()), strict=True):
        if draw * total < reached:
            return key
    return next(reversed(weights))
