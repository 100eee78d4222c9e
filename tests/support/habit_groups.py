"""Groups of related habits, which are left out of a fit together, and sites to fit on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.support.kind_fits import LabelledRuns

HABIT_GROUPS: dict[str, tuple[str, ...]] = {
    "long trainings": ("late_resume", "multi_node_training"),
    "loader-bound trainings": ("loader_bound_training",),
    "trainings in reserved nodes": ("reserved_node_training",),
    "sweeps and fine-tuning": ("one_job_sweep", "array_sweep", "fine_tuning"),
    "inference servers": ("inference_server",),
    "generation of corpora": ("corpus_generation",),
    "evaluation arrays": ("evaluation_array",),
    "processors on GPU nodes": ("processors_on_gpu_nodes",),
    "open notebooks": ("open_notebook",),
    "crash loops": ("crash_loop",),
}
"""Habits of work of `source.habits` by group."""


def is_of_group(runs: LabelledRuns, group: str) -> NDArray[np.bool_]:
    """Whether each run belongs to a habit of a group."""
    return np.isin(runs.habits, HABIT_GROUPS[group])
