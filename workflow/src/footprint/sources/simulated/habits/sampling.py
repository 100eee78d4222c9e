"""Sampler of requests of people with habits: who works, with which command and under which name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from footprint.sources.simulated.habits.command_lines import draw_command_line, draw_job_name
from footprint.sources.simulated.habits.people import PersonalStyle
from footprint.sources.simulated.job_requests import JobKind, JobRequest
from footprint.sources.simulated.people import TEAMS, Person, Team, select_by_weight
from footprint.sources.simulated.request_sampler import Purpose, RequestSampler, Worker

_ON_PAPER_PROBABILITY = 0.6
_TRIES = 20
_PURPOSE_BY_KIND: dict[JobKind, Purpose] = {
    "inference_run": "infer",
    "preprocessing": "prepare",
}


class HabitSampler(RequestSampler):
    """Draws requests in the styles of the people, and of one habit of work.

    Attributes:
        words: Random numbers of commands and names alone, so that a style of commands changes
            nothing else of the jobs.
        max_array: Largest number of jobs of an array.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        counts: Mapping[str, int],
        keys: count[int],
        *,
        words: np.random.Generator,
        styles: Mapping[str, PersonalStyle],
        habit: str | None = None,
        people: frozenset[str] | None = None,
        max_array: int = 300,
    ) -> None:
        """Keep the random numbers, styles by login, the habit and the people who have it."""
        super().__init__(rng, counts, keys)
        self.words, self.max_array = words, max_array
        self._styles, self._habit, self._people = styles, habit, people

    def draw_worker(self, emphasis: Mapping[str, float] | None = None) -> Worker:
        """Draw a worker, among the people who have the habit."""
        if self._people is None:
            return super().draw_worker(emphasis)
        workers = {
            person.login: (team, person)
            for team in TEAMS
            for person in team.people
            if person.login in self._people
        }
        # habits are less unequal than the usual work, whose busiest people do most of it
        weights = {
            login: (team.weight * person.weight) ** 0.5 for login, (team, person) in workers.items()
        }
        team, person = workers[select_by_weight(weights, self.rng.random())]
        return self._on_paper(team, person)

    def draw_cluster_of_several_nodes(self, team: Team) -> str:
        """Draw a GPU cluster with two nodes or more; if the site has none, any GPU cluster."""
        several = {name for name, n in self._counts.items() if n >= 2}
        found = self.draw_gpu_cluster(team)
        for _ in range(_TRIES):
            if found in several:
                break
            found = self.draw_gpu_cluster(team)
        return found

    def _on_paper(self, team: Team, person: Person) -> Worker:
        papers = [paper for paper in team.papers if person.login in paper.authors]
        is_on_paper = self.chance(_ON_PAPER_PROBABILITY)
        return Worker(team, person, papers[0] if papers and is_on_paper else None)

    def draw_command(self, worker: Worker, purpose: Purpose, configuration: str) -> str:
        """Draw a command line in the style of the person."""
        style = self._styles[worker.person.login]
        usual = super().draw_command(worker, purpose, configuration)
        informs = (
            style.commands == "usual_commands" and worker.person.style == "words" and self._habit
        )
        if style.commands == "usual_commands" and not informs:
            return usual
        return draw_command_line(
            self.words, style, habit=self._habit, purpose=purpose, configuration=configuration
        )

    def draw_name(self, worker: Worker, purpose: Purpose = "train") -> str | None:
        """Draw the name of a job in the style of the person."""
        style = self._styles[worker.person.login]
        usual = super().draw_name(worker)
        if style.commands == "usual_commands":
            return usual
        return draw_job_name(self.words, style, habit=self._habit, purpose=purpose)

    def draw_request(self, worker: Worker, kind: JobKind, **rest: Any) -> JobRequest:
        """Draw a request of a worker, which belongs to the habit."""
        if "name" not in rest:
            purpose = rest.get("purpose", "train")
            rest["name"] = self.draw_name(worker, _PURPOSE_BY_KIND.get(kind, purpose))
        return super().draw_request(worker, kind, habit=self._habit, **rest)
