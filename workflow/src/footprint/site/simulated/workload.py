"""All work of a period: how much of each activity, and when it is submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import numpy as np

from footprint.errors import InputError
from footprint.site.simulated.daily_work import (
    debug,
    idle_hold,
    inference,
    interactive,
    long_inference,
    preprocessing,
)
from footprint.site.simulated.desk import Campaign, Desk, Worker
from footprint.site.simulated.people import TEAMS
from footprint.site.simulated.random_numbers import generator
from footprint.site.simulated.requests import Request
from footprint.site.simulated.timetable import DAY_S, Timetable
from footprint.site.simulated.trainings import besteffort, chain, container, sweep, training

DEFAULT_JOBS = 3600
# Each activity, and its share of all jobs.
_ACTIVITIES: dict[str, tuple[Callable[[Desk], Campaign], float]] = {
    "debug": (debug, 0.32),
    "sweep": (sweep, 0.13),
    "inference": (inference, 0.135),
    "preprocessing": (preprocessing, 0.1),
    "training": (training, 0.11),
    "interactive": (interactive, 0.08),
    "chain": (chain, 0.045),
    "long_inference": (long_inference, 0.035),
    "idle_hold": (idle_hold, 0.02),
    "besteffort": (besteffort, 0.02),
    "container": (container, 0.008),
}
DEFAULT_MIX: dict[str, float] = {name: share for name, (_, share) in _ACTIVITIES.items()}


def mix_of(source: Mapping[str, Any]) -> dict[str, float]:
    """Share of each activity: the default, where `mix` does not say otherwise.

    Raises:
        InputError: An activity that does not exist, a negative weight, or nothing left.
    """
    wanted = dict(source.get("mix") or {})
    for name, weight in wanted.items():
        if name not in DEFAULT_MIX:
            raise InputError(
                f"there is no activity {name!r}",
                where="source.mix",
                do=f"choose among {', '.join(DEFAULT_MIX)}",
            )
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
            raise InputError(
                f"{weight!r} is not a weight", where=f"source.mix.{name}", do="give 0 or more"
            )
    weights = {name: float(wanted.get(name, weight)) for name, weight in DEFAULT_MIX.items()}
    total = sum(weights.values())
    if total == 0:
        raise InputError("all weights are 0", where="source.mix", do="give one above 0")
    return {name: weight / total for name, weight in weights.items()}


def size(request: Request) -> int:
    """Jobs that a request and all that follows it will make."""
    followers = (follower for _, follower in (*request.then, *request.inside))
    return 1 + sum(size(follower) for follower in followers)


def _timetables(seed: int, *, start: datetime, end: datetime) -> dict[str, Timetable]:
    """Submission times of each project, around a deadline of its own."""
    tables = {}
    for team in TEAMS:
        draw = generator(seed, "deadline", team.project).random()
        deadline = start + draw * (end - start)
        tables[team.project] = Timetable(start=start, end=end, deadline=deadline)
    return tables


def build(
    source: Mapping[str, Any],
    counts: Mapping[str, int],
    *,
    seed: int,
    start: datetime,
    end: datetime,
    study_days: float,
) -> list[tuple[int, Request]]:
    """Requests of a period with their submission in seconds since `start`, in the order submitted.

    Args:
        source: Configuration; `jobs` is the number aimed at in the study, `mix` the activities.
        counts: Nodes of each cluster.
        seed: Seed.
        start: First submission, on a whole hour; before the study, so that it finds work under way.
        end: Last submission, the end of the study.
        study_days: Length of the study, which `jobs` counts for.

    Returns:
        First requests of every campaign; what follows them hangs on them.

    Raises:
        InputError: A number of jobs or a mix that makes no sense.
    """
    jobs = source.get("jobs") or DEFAULT_JOBS
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(
            f"{jobs!r} is not a number of jobs",
            where="source.jobs",
            do="give a whole number above 0",
        )
    span_days = (end - start) / timedelta(days=1)
    n_jobs = jobs * span_days / study_days
    tables = _timetables(seed, start=start, end=end)
    keys = count(1)
    submitted: list[tuple[int, Request]] = []

    def submit(campaign: Campaign, rng: np.random.Generator) -> int:
        at_s = tables[campaign[0].project].draw_s(rng)
        submitted.extend((at_s, request) for request in campaign)
        return sum(size(request) for request in campaign)

    for name, share in mix_of(source).items():
        rng = generator(seed, "activity", name)
        desk, draw = Desk(rng, counts, keys), _ACTIVITIES[name][0]
        reached = 0
        while reached < share * n_jobs:
            reached += submit(draw(desk), rng)
    submitted += _reported(Desk(generator(seed, "reported"), counts, keys), span_days)
    return sorted(submitted, key=lambda pair: pair[0])


def _reported(desk: Desk, span_days: float) -> list[tuple[int, Request]]:
    """The training of each paper's reported model, early enough to be decoded in the study."""
    chains = []
    for team in TEAMS:
        people = {person.login: person for person in team.people}
        for paper in team.papers:
            worker = Worker(team, people[paper.authors[0]], paper)
            at_days = span_days * (0.35 + 0.2 * desk.rng.random())
            chains += [
                (round(at_days * DAY_S), request) for request in chain(desk, worker, final=True)
            ]
    return chains
