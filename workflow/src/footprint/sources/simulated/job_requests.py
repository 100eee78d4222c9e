"""Requests of jobs, with the load of their programs and their end unless interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JobKind = Literal[
    "interactive", "debug", "idle_hold", "preprocessing", "training_run", "inference_run"
]
LoadShape = Literal[
    "training", "trials", "inference", "server", "session", "hold", "processors", "crash"
]
# left: the user quits an interactive session, which OAR records as an error
JobEnding = Literal["done", "deleted", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLoad:
    """Activity of a program on the GPUs and cores of its allocation.

    Attributes:
        shape: Shape of its course, drawn by `job_power.py`.
        gpu_level: Plateau of the GPUs, from 0 when idle to 1 at the power limit.
        cpu_level: Plateau of the cores, from 0 when idle to 1 when busy.
        roughness: Standard deviation of slow noise, as a fraction of the program's power.
        startup_s: Time of low power before the plateau.
        epoch_s: Length of an epoch.
        validation_frac: Fraction of an epoch spent in a validation pass.
        stretch_s: Time between two dips within an epoch (data stalls, checkpoints); typical length
            of a trial or of a burst.
        dip_s: Length of a dip, or of a pause between trials or bursts.
        dip_depth: Fraction of the plateau that a dip removes.
    """

    shape: LoadShape
    gpu_level: float = 0.0
    cpu_level: float = 0.0
    roughness: float = 0.03
    startup_s: float = 20.0
    epoch_s: float = 600.0
    validation_frac: float = 0.0
    stretch_s: float = 1800.0
    dip_s: float = 20.0
    dip_depth: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request of a job, and its course unless interrupted.

    Attributes:
        login: Login of the owner.
        project: Project of the job.
        kind: True kind of the job.
        cluster: Cluster.
        n_nodes: Number of nodes.
        n_gpus: GPUs on each node; whole nodes if `n_gpus` and `n_cores` are 0.
        n_cores: Cores on each node, in a request without GPUs.
        walltime_s: Walltime.
        runtime_s: Time until the program ends or its owner deletes the job.
        ending: Way in which it ends then.
        exit_code: Raw wait status if the program ends by itself.
        array: Key shared by the jobs of an array.
        array_index: Index within the array.
        chain: Key shared by the jobs of a chain.
        patience_s: Time after which it is withdrawn if it has not started; None: never.
        resumes: Whether the rest of its work is submitted again when the platform kills it.
        suspended: Start, in seconds since the job's start, and length of a suspension.
        then: Requests submitted after its end, each with its delay in seconds.
        inside: Requests of inner jobs, each with its delay after the start; the job is then a
            container.
        habit: Habit to which the job belongs (`habits`); None: the usual work of the site.
    """

    login: str
    project: str
    kind: JobKind
    cluster: str
    n_nodes: int = 1
    n_gpus: int = 0
    n_cores: int = 0
    walltime_s: int
    runtime_s: int
    ending: JobEnding = "done"
    exit_code: int = 0
    load: ProgramLoad
    command: str
    name: str | None = None
    folder: str = "exp"
    interactive: bool = False
    types: tuple[str, ...] = ()
    array: int | None = None
    array_index: int = 1
    chain: int | None = None
    paper: str | None = None
    reported: bool = False
    patience_s: int | None = None
    resumes: bool = False
    suspended: tuple[int, int] | None = None
    then: tuple[tuple[int, JobRequest], ...] = ()
    inside: tuple[tuple[int, JobRequest], ...] = ()
    habit: str | None = None

    @property
    def is_besteffort(self) -> bool:
        """Whether any other job may preempt it."""
        return "besteffort" in self.types
