"""Options of `oarsub` for the resources of a job of Snakemake."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from typing import NamedTuple


def format_walltime(minutes: float) -> str:
    """A duration in OAR's format `h:mm:ss`, rounded up to whole seconds.

    Args:
        minutes: Duration in minutes.

    Raises:
        ValueError: The duration is not positive.
    """
    seconds = math.ceil(minutes * 60)
    if seconds <= 0:
        raise ValueError(f"runtime must be positive, not {minutes:g} min")
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def resource_request(
    *,
    cores: int,
    runtime_min: float,
    memory_mb: float = 0,
    memory_per_core_mb: float = 0,
    gpus: int = 0,
    request: str = "",
) -> str:
    """Value of `oarsub -l`.

    OAR reserves cores and GPUs but not memory: a job that needs more memory than that of its cores
    reserves more cores. A GPU includes its share of the node's cores and memory. The request is
    for one node (`host=1`), as OAR may spread a bare `core=2` over two nodes.

    Args:
        cores: Cores that the job uses.
        runtime_min: Longest duration of the job, in minutes.
        memory_mb: Memory that the job needs.
        memory_per_core_mb: Memory of a core; 0: memory is ignored.
        gpus: GPUs that the job uses.
        request: A request without walltime that replaces the computed one, such as `host=1`.

    Raises:
        ValueError: A number is too small.
    """
    for name, number in {"cores": cores - 1, "gpu": gpus, "mem_mb": memory_mb}.items():
        if number < 0:
            raise ValueError(f"number of {name} is too small: {number + (name == 'cores'):g}")
    if not request and gpus:
        request = f"host=1/gpu={gpus}"
    elif not request:
        cores_for_memory = math.ceil(memory_mb / memory_per_core_mb) if memory_per_core_mb else 0
        request = f"host=1/core={max(cores, cores_for_memory)}"
    return f"{request},walltime={format_walltime(runtime_min)}"


class Submission(NamedTuple):
    """Arguments of a call of `oarsub`."""

    script: str
    directory: str
    log: str
    """File for the output and errors of the job; OAR replaces `%jobid%` in its name."""
    name: str
    resources: str
    queue: str = ""
    project: str = ""
    properties: str = ""
    types: tuple[str, ...] = ()

    def command_words(self) -> list[str]:
        """Words of the command line."""
        options = {"-q": self.queue, "--project": self.project, "-p": self.properties}
        return [
            *("oarsub", "-n", self.name, "-l", self.resources),
            *(word for option, value in options.items() if value for word in (option, value)),
            *(word for each in self.types for word in ("-t", each)),
            # without -d, OAR uses $PWD, which `snakemake --directory` does not set
            *("-d", self.directory, "-O", self.log, "-E", self.log, shlex.quote(self.script)),
        ]


def job_name(rule: str, wildcards: Iterable[str] = ()) -> str:
    """Name for `oarsub -n` and the log: at most 90 letters, digits and `_.-`.

    Args:
        rule: Name of the rule or group.
        wildcards: Values of its wildcards.
    """
    return re.sub(r"[^\w.-]", "_", ".".join((rule, *wildcards)))[:90]
