"""Settings of the executor, from options (`--oar-queue production`) or a profile.

A resource `oar_queue` (`oar_project`, ...) of a rule overrides the setting for its jobs.
"""

# no `from __future__ import annotations`: Snakemake reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


def _help_metadata(help_text: str) -> dict[str, Any]:
    return {"help": help_text, "required": False}


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the executor; an empty text passes no option to `oarsub`."""

    queue: str = field(default="", metadata=_help_metadata("Queue (`oarsub -q`)."))
    project: str = field(default="", metadata=_help_metadata("Project (`oarsub --project`)."))
    types: str = field(
        default="", metadata=_help_metadata("Types of jobs, separated by commas (`oarsub -t`).")
    )
    properties: str = field(
        default="",
        metadata=_help_metadata("SQL condition on the properties of nodes (`oarsub -p`)."),
    )
    memory_per_core_mb: int = field(
        default=0,
        metadata=_help_metadata(
            "Memory of a core, in MB: jobs whose mem_mb exceeds the memory of their cores get more "
            "cores. 0: memory is ignored."
        ),
    )
    logdir: str = field(default="logs/oar", metadata=_help_metadata("Folder of the logs of jobs."))
