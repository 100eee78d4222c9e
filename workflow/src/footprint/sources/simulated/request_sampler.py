"""Random workers, clusters, commands, names, durations and endings of requests.

Durations and endings follow published figures (language-model jobs on a French supercomputer; the
Acme, Philly and Helios traces; MIT Supercloud) and the public job files of a team at Nancy. The
classifier uses none of them as a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

import numpy as np

from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.job_requests import JobEnding, JobKind, JobRequest, ProgramLoad
from footprint.sources.simulated.load_models import draw_lognormal
from footprint.sources.simulated.people import TEAMS, Paper, Person, Team, select_by_weight
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S

Campaign = list[JobRequest]

Purpose = Literal["train", "infer", "prepare"]
_ON_PAPER_PROBABILITY = 0.78
# Stage numbers of the script of people with the style `stages`; they do not reveal the purpose.
_STAGE_NUMBERS: dict[Purpose, int] = {"train": 4, "infer": 6, "prepare": 2}
_SCRIPTS: dict[Purpose, tuple[str, ...]] = {
    "train": ("train.py", "train.py", "finetune.py", "main.py", "fit_model.py"),
    "infer": ("evaluate.py", "decode.py", "enhance.py", "infer.py", "main.py", "score.py"),
    "prepare": ("prepare_data.py", "make_corpus.py", "features.py"),
}
_CONFIGURATION_SUBJECTS = (
    "unet",
    "conformer",
    "tdnn",
    "rnnt",
    "flow",
    "diff",
    "gcn",
    "bert",
    "sac",
    "vits",
)
_NAME_WORDS = ("run", "exp", "v", "job", "big", "new", "train_test", "retry", "baseline", "test")
# A wait status has the exit status of a shell in its upper byte, or a signal in its lower byte.
_EXIT_STATUS_FACTOR = 256
_CRASH_WAIT_STATUSES = (
    *(status * _EXIT_STATUS_FACTOR for status in (1, 1, 1, 2, 127, 134, 137)),
    9,
)
# Waiting time after which people withdraw a job.
_PATIENCE_S: dict[JobKind, int] = {
    "debug": 8 * HOUR_S,
    "inference_run": DAY_S,
    "training_run": 6 * DAY_S,
    "preprocessing": 3 * DAY_S,
    "interactive": HOUR_S,
    "idle_hold": 2 * DAY_S,
}
_WITHDRAWN_AT_ONCE_PROBABILITY = 0.02


@dataclass(frozen=True, slots=True)
class Worker:
    """The person, team and paper of a piece of work."""

    team: Team
    person: Person
    paper: Paper | None


class RequestSampler:
    """Draws the properties of requests from one random generator."""

    def __init__(
        self, rng: np.random.Generator, counts: Mapping[str, int], keys: count[int]
    ) -> None:
        """Keep the generator, node counts by cluster, and the counter of keys."""
        self.rng = rng
        self._counts = dict(counts)
        self._keys = keys

    def new_key(self) -> int:
        """Key that no other array or chain has."""
        return next(self._keys)

    def chance(self, probability: float) -> bool:
        """Draw a boolean that is true with a probability."""
        return bool(self.rng.random() < probability)

    def draw_worker(self, emphasis: Mapping[str, float] | None = None) -> Worker:
        """Draw a worker by weights of teams and people; `emphasis` multiplies project weights."""
        factors = emphasis or {}
        weights = {team.project: team.weight * factors.get(team.project, 1.0) for team in TEAMS}
        project = select_by_weight(weights, self.rng.random())
        team = next(team for team in TEAMS if team.project == project)
        people = {person.login: person for person in team.people}
        shares = {login: person.weight for login, person in people.items()}
        person = people[select_by_weight(shares, self.rng.random())]
        papers = [paper for paper in team.papers if person.login in paper.authors]
        paper = papers[0] if papers and self.chance(_ON_PAPER_PROBABILITY) else None
        return Worker(team, person, paper)

    def draw_gpu_cluster(self, team: Team, *, n_gpus: int = 1) -> str:
        """Draw a cluster with at least `n_gpus` per node, by the preferences of the team.

        If the site has none, the result is the cluster with the most GPUs per node.
        """
        eligible = {
            name: float(n)
            for name, n in self._counts.items()
            if len(CLUSTER_HARDWARE[name].gpus) >= n_gpus
        }
        if not eligible:
            return max(self._counts, key=lambda name: (len(CLUSTER_HARDWARE[name].gpus), name))
        preferred = {name: team.clusters[name] for name in eligible if name in team.clusters}
        return select_by_weight(preferred or eligible, self.rng.random())

    def available_gpus(self, cluster: str, n_gpus: int) -> int:
        """Number of GPUs to request on a cluster's nodes, at most all of a node."""
        return min(n_gpus, len(CLUSTER_HARDWARE[cluster].gpus))

    def available_nodes(self, cluster: str, n_nodes: int) -> int:
        """Number of nodes to request on a cluster, at most all."""
        return min(n_nodes, self._counts[cluster])

    def draw_cpu_cluster(self, team: Team) -> str:
        """Draw a cluster without GPUs; if the site has none, a GPU cluster by preference."""
        cpu_clusters = {
            name: float(n) for name, n in self._counts.items() if not CLUSTER_HARDWARE[name].gpus
        }
        return (
            select_by_weight(cpu_clusters, self.rng.random())
            if cpu_clusters
            else self.draw_gpu_cluster(team)
        )

    def draw_configuration(self, worker: Worker, *, final: bool = False) -> str:
        """Draw the configuration file of a run; `final`: of the reported model."""
        if worker.paper is None:
            subject = _CONFIGURATION_SUBJECTS[int(self.rng.integers(len(_CONFIGURATION_SUBJECTS)))]
            return f"conf/{subject}_{int(self.rng.integers(1, 400))}.yaml"
        variant = "final" if final else f"v{int(self.rng.integers(1, 120)):03d}"
        return f"egs/{worker.paper.slug}/{variant}.yaml"

    def draw_command(self, worker: Worker, purpose: Purpose, configuration: str) -> str:
        """Draw a command line in the person's style."""
        style = worker.person.style
        if style == "stages":
            return f"./run.sh --stage {_STAGE_NUMBERS[purpose]} {configuration}"
        if style == "opaque":
            return f"./job.oar {configuration}"
        scripts = _SCRIPTS[purpose]
        return f"python {scripts[int(self.rng.integers(len(scripts)))]} --config {configuration}"

    def draw_name(self, worker: Worker) -> str | None:
        """Draw the name of a job: usually none, and rarely informative."""
        if not self.chance(worker.person.names_jobs):
            return None
        word = _NAME_WORDS[int(self.rng.integers(len(_NAME_WORDS)))]
        return f"{word}{int(self.rng.integers(1, 1000))}"

    def job_folder(self, worker: Worker) -> str:
        """Working folder of the job below the person's home."""
        return worker.paper.slug if worker.paper else worker.team.project

    def draw_duration_s(self, median: float, spread: float, low: float, high: float) -> int:
        """Draw a lognormal duration in whole seconds, clipped to [low, high]."""
        return round(draw_lognormal(self.rng, median=median, spread=spread, low=low, high=high))

    def draw_walltime_s(self, *hours: int) -> int:
        """Draw one of some usual walltimes."""
        return hours[int(self.rng.integers(len(hours)))] * HOUR_S

    def draw_ending(self, done: float, deleted: float) -> tuple[JobEnding, int]:
        """Draw ending and wait status; a job crashes with probability 1 - `done` - `deleted`."""
        draw = self.rng.random()
        if draw < done:
            return "done", 0
        if draw < done + deleted:
            return "deleted", 0
        return "done", _CRASH_WAIT_STATUSES[int(self.rng.integers(len(_CRASH_WAIT_STATUSES)))]

    def draw_request(
        self,
        worker: Worker,
        kind: JobKind,
        *,
        cluster: str,
        load: ProgramLoad,
        runtime_s: int,
        walltime_s: int,
        purpose: Purpose = "train",
        configuration: str | None = None,
        **rest: Any,
    ) -> JobRequest:
        """Draw a request of a worker: command, name and patience unless given in `rest`."""
        configuration = configuration or self.draw_configuration(worker)
        rest.setdefault("command", self.draw_command(worker, purpose, configuration))
        rest.setdefault("name", self.draw_name(worker))
        if "patience_s" not in rest:
            rest["patience_s"] = (
                0 if self.chance(_WITHDRAWN_AT_ONCE_PROBABILITY) else _PATIENCE_S[kind]
            )
        return JobRequest(
            login=worker.person.login,
            project=worker.team.project,
            kind=kind,
            cluster=cluster,
            load=load,
            runtime_s=runtime_s,
            walltime_s=walltime_s,
            folder=self.job_folder(worker),
            paper=worker.paper.name if worker.paper else None,
            **rest,
        )


def follow_one_another(requests: Sequence[JobRequest], delay_s: Callable[[], int]) -> JobRequest:
    """First of some requests, each of which is submitted after the end of the one before it."""
    head = requests[-1]
    for request in reversed(requests[:-1]):
        head = replace(request, then=((delay_s(), head),))
    return head
