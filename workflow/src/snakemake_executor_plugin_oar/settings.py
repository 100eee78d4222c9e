"""What users say of all jobs, as `--oar-queue production` or in a profile.

A resource `oar_queue` (`oar_project`, ...) of a rule says otherwise for its jobs.
"""

# No `from __future__ import annotations`: Snakemake reads the types of the fields.
from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


def _told(help_text: str) -> dict[str, Any]:
    return {"help": help_text, "required": False}


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the executor."""

    queue: str = field(default="", metadata=_told("Queue of OAR (`oarsub -q`)."))
    project: str = field(default="", metadata=_told("Project (`oarsub --project`)."))
    types: str = field(
        default="", metadata=_told("Types of the jobs, separated by commas (`oarsub -t`).")
    )
    properties: str = field(
        default="", metadata=_told("What nodes must have, in SQL (`oarsub -p`).")
    )
    memory_per_core_mb: int = field(
        default=0,
        metadata=_told(
            "Memory that comes with a core: jobs whose mem_mb is more than their cores come with "
            "get more cores. 0: memory is not considered."
        ),
    )
    logdir: str = field(
        default="logs/oar", metadata=_told("Folder for what each job of OAR writes.")
    )
