"""Requests of a window: the amount of each activity, and the times of submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import numpy as np

from footprint.core.errors import InputError
from footprint.sources.simulated.daily_work import (
    draw_debugging,
    draw_idle_hold,
    draw_inference,
    draw_interactive_session,
    draw_long_inference,
    draw_preprocessing,
)
from footprint.sources.simulated.habits.choice import choose_habits
from footprint.sources.simulated.habits.requests import CAMPAIGNS, HabitualWork
from footprint.sources.simulated.job_requests import JobRequest
from footprint.sources.simulated.people import TEAMS
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.request_sampler import Campaign, RequestSampler, Worker
from footprint.sources.simulated.submission_times import DAY_S, SubmissionTimes
from footprint.sources.simulated.trainings import (
    draw_besteffort_array,
    draw_chain,
    draw_container,
    draw_sweep,
    draw_training,
)

DEFAULT_JOBS = 3600
# Function and share of all jobs of each activity.
_ACTIVITIES: dict[str, tuple[Callable[[RequestSampler], Campaign], float]] = {
    "debug": (draw_debugging, 0.32),
    "sweep": (draw_sweep, 0.13),
    "inference": (draw_inference, 0.135),
    "preprocessing": (draw_preprocessing, 0.1),
    "training": (draw_training, 0.11),
    "interactive": (draw_interactive_session, 0.08),
    "chain": (draw_chain, 0.045),
    "long_inference": (draw_long_inference, 0.035),
    "idle_hold": (draw_idle_hold, 0.02),
    "besteffort": (draw_besteffort_array, 0.02),
    "container": (draw_container, 0.008),
}
DEFAULT_MIX: dict[str, float] = {name: share for name, (_, share) in _ACTIVITIES.items()}


def activity_shares(source: Mapping[str, Any]) -> dict[str, float]:
    """Share of each activity among the jobs: the weights of `mix`, default weights for the rest.

    Raises:
        InputError: An activity does not exist, a weight is negative, or all weights are 0.
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
                f"{weight!r} is not a weight", where=f"source.mix.{name}", do="set 0 or more"
            )
    weights = {name: float(wanted.get(name, weight)) for name, weight in DEFAULT_MIX.items()}
    total = sum(weights.values())
    if total == 0:
        raise InputError("all weights are 0", where="source.mix", do="set one above 0")
    return {name: weight / total for name, weight in weights.items()}


def count_jobs(request: JobRequest) -> int:
    """Number of jobs of a request, its followers and its inner jobs."""
    followers = (follower for _, follower in (*request.then, *request.inside))
    return 1 + sum(count_jobs(follower) for follower in followers)


def _submission_times(seed: int, *, start: datetime, end: datetime) -> dict[str, SubmissionTimes]:
    """Distribution of submission times of each project, with a deadline of its own."""
    times = {}
    for team in TEAMS:
        draw = random_generator(seed, "deadline", team.project).random()
        deadline = start + draw * (end - start)
        times[team.project] = SubmissionTimes(start=start, end=end, deadline=deadline)
    return times


def build_requests(
    source: Mapping[str, Any],
    counts: Mapping[str, int],
    *,
    seed: int,
    start: datetime,
    end: datetime,
    study_days: float,
) -> list[tuple[int, JobRequest]]:
    """Requests with their submission in seconds since `start`, in the order of submission.

    Args:
        source: Configuration; `jobs` is the target number of jobs in the study, `mix` the weights
            of activities, `habits` and `habit_share` the habits of the people
            (`habits.choose_habits`).
        counts: Number of nodes of each cluster.
        seed: Seed.
        start: Start of submissions, on a whole hour before the study, so that jobs are running when
            the study starts.
        end: End of submissions and of the study.
        study_days: Length of the study in days.

    Returns:
        First requests of every campaign; followers hang on them.

    Raises:
        InputError: The number of jobs, the mix or the habits are invalid.
    """
    jobs = source.get("jobs") or DEFAULT_JOBS
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(
            f"{jobs!r} is not a number of jobs",
            where="source.jobs",
            do="set a whole number above 0",
        )
    window_days = (end - start) / timedelta(days=1)
    n_jobs = jobs * window_days / study_days
    times = _submission_times(seed, start=start, end=end)
    keys = count(1)
    submitted: list[tuple[int, JobRequest]] = []

    def submit(campaign: Campaign, rng: np.random.Generator) -> int:
        at_s = times[campaign[0].project].draw_s(rng)
        submitted.extend((at_s, request) for request in campaign)
        return sum(count_jobs(request) for request in campaign)

    chosen = choose_habits(source, seed=seed)
    habits = (
        None if chosen is None else HabitualWork(seed, chosen, counts, keys, n_jobs=float(jobs))
    )
    n_usual = n_jobs if chosen is None else (1.0 - chosen.share) * n_jobs

    def build_sampler(rng: np.random.Generator, name: str) -> RequestSampler:
        return RequestSampler(rng, counts, keys) if habits is None else habits.sampler(rng, name)

    def in_style(campaign: Campaign, rng: np.random.Generator) -> Campaign:
        return campaign if habits is None else habits.in_style(campaign, rng)

    for name, share in activity_shares(source).items():
        rng = random_generator(seed, "activity", name)
        sampler, draw, n_submitted = build_sampler(rng, name), _ACTIVITIES[name][0], 0
        while n_submitted < share * n_usual:
            n_submitted += submit(in_style(draw(sampler), rng), rng)
    if chosen is not None and habits is not None:
        for name, share in chosen.shares().items():
            rng = random_generator(seed, "habit", name)
            of_habit, n_submitted = habits.sampler(rng, name, habit=name), 0
            while n_submitted < share * n_jobs:
                n_submitted += submit(habits.in_style(CAMPAIGNS[name](of_habit), rng), rng)
    rng = random_generator(seed, "reported")
    for at_s, request in _draw_reported_trainings(build_sampler(rng, "reported"), window_days):
        submitted += [(at_s, each) for each in in_style([request], rng)]
    return sorted(submitted, key=lambda pair: pair[0])


def _draw_reported_trainings(
    sampler: RequestSampler, window_days: float
) -> list[tuple[int, JobRequest]]:
    """Draw the training of each paper's reported model, early enough for inference in the study."""
    chains = []
    for team in TEAMS:
        people = {person.login: person for person in team.people}
        for paper in team.papers:
            worker = Worker(team, people[paper.authors[0]], paper)
            at_days = window_days * (0.35 + 0.2 * sampler.rng.random())
            chains += [
                (round(at_days * DAY_S), request)
                for request in draw_chain(sampler, worker, final=True)
            ]
    return chains
