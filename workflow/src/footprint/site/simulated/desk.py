"""Who does a piece of work, on which cluster, how it is worded, how long it takes and how it ends.

How jobs last and end follows published figures (language-model jobs on a French supercomputer; the
Acme, Philly and Helios traces; MIT Supercloud) and the public job files of a team at Nancy. None of
them is a threshold to classify by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

import numpy as np

from footprint.site.simulated.catalogue import CLUSTERS
from footprint.site.simulated.people import TEAMS, Paper, Person, Team, pick
from footprint.site.simulated.requests import Ending, Kind, Load, Request
from footprint.site.simulated.tasks import lognormal
from footprint.site.simulated.timetable import DAY_S, HOUR_S

Campaign = list[Request]

Purpose = Literal["train", "infer", "prepare"]
_ON_PAPER = 0.78
# Stage numbers of the one script of those who work by stages; nothing in them tells the purpose.
_STAGES: dict[Purpose, int] = {"train": 4, "infer": 6, "prepare": 2}
_SCRIPTS: dict[Purpose, tuple[str, ...]] = {
    "train": ("train.py", "train.py", "finetune.py", "main.py", "fit_model.py"),
    "infer": ("evaluate.py", "decode.py", "enhance.py", "infer.py", "main.py", "score.py"),
    "prepare": ("prepare_data.py", "make_corpus.py", "features.py"),
}
_SUBJECTS = ("unet", "conformer", "tdnn", "rnnt", "flow", "diff", "gcn", "bert", "sac", "vits")
_NAMES = ("run", "exp", "v", "job", "big", "new", "train_test", "retry", "baseline", "test")
# A shell's exit status stands in the upper byte of a wait status; a signal alone in the lower one.
_SHELL = 256
_CRASHES = (*(status * _SHELL for status in (1, 1, 1, 2, 127, 134, 137)), 9)
# When people give up waiting.
_PATIENCE_S: dict[Kind, int] = {
    "debug": 8 * HOUR_S,
    "inference_run": DAY_S,
    "training_run": 6 * DAY_S,
    "preprocessing": 3 * DAY_S,
    "interactive": HOUR_S,
    "idle_hold": 2 * DAY_S,
}
_THOUGHT_BETTER = 0.02


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody at work: the person, their team, and the paper that the work is for."""

    team: Team
    person: Person
    paper: Paper | None


class Desk:
    """Draws workers, clusters, words, durations and endings."""

    def __init__(
        self, rng: np.random.Generator, counts: Mapping[str, int], keys: count[int]
    ) -> None:
        """Take the random numbers to use, nodes by cluster, and keys for arrays and chains."""
        self.rng = rng
        self._counts = dict(counts)
        self._keys = keys

    def key(self) -> int:
        """A key that no other array or chain has."""
        return next(self._keys)

    def chance(self, probability: float) -> bool:
        """True as often as the probability says."""
        return bool(self.rng.random() < probability)

    def worker(self, emphasis: Mapping[str, float] | None = None) -> Worker:
        """Somebody, by the weights of teams and people; `emphasis` multiplies those of projects."""
        factors = emphasis or {}
        weights = {team.project: team.weight * factors.get(team.project, 1.0) for team in TEAMS}
        project = pick(weights, self.rng.random())
        team = next(team for team in TEAMS if team.project == project)
        people = {person.login: person for person in team.people}
        shares = {login: person.weight for login, person in people.items()}
        person = people[pick(shares, self.rng.random())]
        own = [paper for paper in team.papers if person.login in paper.authors]
        paper = own[0] if own and self.chance(_ON_PAPER) else None
        return Worker(team, person, paper)

    def gpu_cluster(self, team: Team, *, n_gpus: int = 1) -> str:
        """A cluster of the site with enough GPUs in a node, as the team prefers.

        Falls back to the GPU cluster with the largest nodes where the site has none that is enough.
        """
        able = {
            name: float(n) for name, n in self._counts.items() if len(CLUSTERS[name].gpus) >= n_gpus
        }
        if not able:
            return max(self._counts, key=lambda name: (len(CLUSTERS[name].gpus), name))
        liked = {name: team.clusters[name] for name in able if name in team.clusters}
        return pick(liked or able, self.rng.random())

    def gpus_there(self, cluster: str, n_gpus: int) -> int:
        """GPUs to ask for on a cluster's nodes, where fewer than wanted may be."""
        return min(n_gpus, len(CLUSTERS[cluster].gpus))

    def nodes_there(self, cluster: str, n_nodes: int) -> int:
        """Nodes to ask for on a cluster, where fewer than wanted may be."""
        return min(n_nodes, self._counts[cluster])

    def cpu_cluster(self, team: Team) -> str:
        """A cluster without GPUs, or where the site has none the one that the team prefers."""
        without = {name: float(n) for name, n in self._counts.items() if not CLUSTERS[name].gpus}
        return pick(without, self.rng.random()) if without else self.gpu_cluster(team)

    def configuration(self, worker: Worker, *, final: bool = False) -> str:
        """File that sets up a run, in the paper's folder if any; `final`: of the reported model."""
        if worker.paper is None:
            subject = _SUBJECTS[int(self.rng.integers(len(_SUBJECTS)))]
            return f"conf/{subject}_{int(self.rng.integers(1, 400))}.yaml"
        variant = "final" if final else f"v{int(self.rng.integers(1, 120)):03d}"
        return f"egs/{worker.paper.slug}/{variant}.yaml"

    def command(self, worker: Worker, purpose: Purpose, configuration: str) -> str:
        """Command line, in the person's style."""
        style = worker.person.style
        if style == "stages":
            return f"./run.sh --stage {_STAGES[purpose]} {configuration}"
        if style == "opaque":
            return f"./job.oar {configuration}"
        scripts = _SCRIPTS[purpose]
        return f"python {scripts[int(self.rng.integers(len(scripts)))]} --config {configuration}"

    def name(self, worker: Worker) -> str | None:
        """Name of a job: mostly none, and seldom telling."""
        if not self.chance(worker.person.names_jobs):
            return None
        word = _NAMES[int(self.rng.integers(len(_NAMES)))]
        return f"{word}{int(self.rng.integers(1, 1000))}"

    def folder(self, worker: Worker) -> str:
        """Folder below the person's home that the job is launched in."""
        return worker.paper.slug if worker.paper else worker.team.project

    def duration_s(self, median: float, spread: float, low: float, high: float) -> int:
        """A lognormal duration in whole seconds, kept inside limits."""
        return round(lognormal(self.rng, median=median, spread=spread, low=low, high=high))

    def walltime_s(self, *hours: int) -> int:
        """One of the walltimes that people are used to asking for."""
        return hours[int(self.rng.integers(len(hours)))] * HOUR_S

    def ending(self, done: float, deleted: float) -> tuple[Ending, int]:
        """How a job ends, and with which status: what is left of 1 crashes."""
        draw = self.rng.random()
        if draw < done:
            return "done", 0
        if draw < done + deleted:
            return "deleted", 0
        return "done", _CRASHES[int(self.rng.integers(len(_CRASHES)))]

    def request(
        self,
        worker: Worker,
        kind: Kind,
        *,
        cluster: str,
        load: Load,
        runtime_s: int,
        walltime_s: int,
        purpose: Purpose = "train",
        configuration: str | None = None,
        **rest: Any,
    ) -> Request:
        """A request of a worker; command, name and patience are drawn unless `rest` gives them."""
        configuration = configuration or self.configuration(worker)
        rest.setdefault("command", self.command(worker, purpose, configuration))
        rest.setdefault("name", self.name(worker))
        if "patience_s" not in rest:
            rest["patience_s"] = 0 if self.chance(_THOUGHT_BETTER) else _PATIENCE_S[kind]
        return Request(
            login=worker.person.login,
            project=worker.team.project,
            kind=kind,
            cluster=cluster,
            load=load,
            runtime_s=runtime_s,
            walltime_s=walltime_s,
            folder=self.folder(worker),
            paper=worker.paper.name if worker.paper else None,
            **rest,
        )


def in_a_row(requests: Sequence[Request], delay_s: Callable[[], int]) -> Request:
    """The first of some requests, each of which follows the one before after a delay."""
    head = requests[-1]
    for request in reversed(requests[:-1]):
        head = replace(request, then=((delay_s(), head),))
    return head
