"""What people ask of the site: one request a job, with its course unless it is interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "interactive", "debug", "idle_hold", "preprocessing", "training_run", "inference_run"
]
Shape = Literal["training", "inference", "session", "hold", "processors", "crash"]
# left: an interactive session that its user quits, which OAR records as an error
Ending = Literal["done", "deleted", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How a program uses what it holds.

    Attributes:
        shape: Course over time (`load.py` draws it).
        gpu_level: Plateau of the GPUs, as a part of their range from idle to power limit.
        cpu_level: Plateau of the cores, as a part of their range.
        roughness: Standard deviation of slow noise, as a part of the program's own power.
        startup_s: Low power before the plateau.
        epoch_s: Length of an epoch.
        validation_frac: Part of an epoch spent in a validation pass.
        stretch_s: Work between two dips inside an epoch (data stalls, checkpoints).
        dip_s: Length of a dip.
        dip_depth: Part of the plateau that a dip takes away.
    """

    shape: Shape
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
class Request:
    """A job as asked for, and its course if nothing interrupts it.

    Attributes:
        login: Owner.
        project: Project it is submitted under.
        kind: What it truly is.
        cluster: Where it runs.
        n_nodes: Nodes.
        n_gpus: GPUs on each node; 0 with `n_cores` 0: whole nodes.
        n_cores: Cores on each node, without asking for GPUs.
        walltime_s: Longest time.
        runtime_s: Time until it ends by itself or by its owner.
        ending: How it ends then.
        exit_code: Raw wait status when it ends by itself.
        array: Key shared by the lines of an array, submitted together.
        array_index: Line of the array.
        chain: Key shared by the links of a chain of resumed trainings.
        patience_s: Withdrawn when it has not started by then.
        resumes: Submitted again with the rest of its work when the platform kills it.
        suspended: Start (since the job's start) and length of a suspension.
        then: Requests that follow its end, each with its delay.
        inside: Requests run inside it, each with its delay after its start; it is then a container.
    """

    login: str
    project: str
    kind: Kind
    cluster: str
    n_nodes: int = 1
    n_gpus: int = 0
    n_cores: int = 0
    walltime_s: int
    runtime_s: int
    ending: Ending = "done"
    exit_code: int = 0
    load: Load
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
    then: tuple[tuple[int, Request], ...] = ()
    inside: tuple[tuple[int, Request], ...] = ()

    @property
    def besteffort(self) -> bool:
        """Whether any other job may take its place."""
        return "besteffort" in self.types
