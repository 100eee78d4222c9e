"""What a job needs, in the words of `oarsub`."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from typing import NamedTuple


def walltime(minutes: float) -> str:
    """A time as OAR writes it; a part of a second counts as a whole one.

    Raises:
        ValueError: The time is not above zero.
    """
    seconds = math.ceil(minutes * 60)
    if seconds <= 0:
        raise ValueError(f"runtime must be above zero minutes, not {minutes:g}")
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
    """The value of `oarsub -l`.

    OAR counts cores and GPUs and no memory: a job that needs more memory than its cores come with
    takes more cores. A GPU comes with its part of the node's cores and memory. All that a job
    holds is on one node, which a bare `core=2` would not say.

    Args:
        cores: Cores that the job uses.
        runtime_min: Longest time that it takes, in minutes.
        memory_mb: Memory that it needs.
        memory_per_core_mb: Memory that comes with a core; 0: memory is not considered.
        gpus: GPUs that it uses.
        request: A request to use instead, without walltime, such as `host=1`.

    Raises:
        ValueError: A number makes no sense.
    """
    for name, number in {"cores": cores - 1, "gpu": gpus, "mem_mb": memory_mb}.items():
        if number < 0:
            raise ValueError(f"too small a number of {name}: {number + (name == 'cores'):g}")
    if not request and gpus:
        request = f"host=1/gpu={gpus}"
    elif not request:
        by_memory = math.ceil(memory_mb / memory_per_core_mb) if memory_per_core_mb else 0
        request = f"host=1/core={max(cores, by_memory)}"
    return f"{request},walltime={walltime(runtime_min)}"


class Submission(NamedTuple):
    """One call of `oarsub`."""

    script: str
    directory: str
    log: str
    """File for all that the job writes; OAR replaces `%jobid%` in it."""
    name: str
    resources: str
    queue: str = ""
    project: str = ""
    properties: str = ""
    types: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The command, a word each."""
        options = {"-q": self.queue, "--project": self.project, "-p": self.properties}
        return [
            *("oarsub", "-n", self.name, "-l", self.resources),
            *(word for option, value in options.items() if value for word in (option, value)),
            *(word for each in self.types for word in ("-t", each)),
            # Without -d, OAR takes $PWD, which `snakemake --directory` leaves as it was.
            *("-d", self.directory, "-O", self.log, "-E", self.log, shlex.quote(self.script)),
        ]


def job_name(rule: str, wildcards: Iterable[str] = ()) -> str:
    """A name for `oarsub -n`, which is also part of a file's: short, and of plain characters."""
    return re.sub(r"[^\w.-]", "_", ".".join((rule, *wildcards)))[:90]
