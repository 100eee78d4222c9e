"""Words shared by labels, tables and the tracker. This module imports nothing of the library."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

KINDS = (
    "interactive",
    "debug",
    "idle_hold",
    "preprocessing",
    "training_run",
    "inference_run",
    "unknown",
)
ROLES = ("reported", "other")
PHASES = ("training", "inference", "development", "unknown")

MIN_COVERAGE_FRAC = 0.9
"""Lowest coverage of development, and of the reported training, for which R is computed.

At a coverage of one half, one side of R counts with half of its energy, and R is wrong by a factor
of two.
"""

STAGES = ("data", "explore", "baseline", "ablate", "hyperparam", "final")
"""Stages of the work on a paper, in their usual order: preparation of data, first trials, baselines
to compare with, ablations, search of hyperparameters, final runs. It is the vocabulary of a French
laboratory whose members name their jobs `project,stage,run_type`."""

KIND_OF_RUN_TYPE = {
    "train": "training_run",
    "pretrain": "training_run",
    "posttrain": "training_run",
    "evaluate": "inference_run",
    "debug": "debug",
}
"""Kind of a run by its run type, the last word of `project,stage,run_type`."""

LABEL_FIELDS = ("paper", "kind", "role", "phase", "stage")
"""Fields of a label."""

LABEL_VALUES = {
    "kind": KINDS,
    "role": ROLES,
    "phase": tuple(phase for phase in PHASES if phase != "unknown"),
    "stage": STAGES,
}
"""Allowed values of the fields of a label; a field that is not listed is free text."""

UNAVAILABLE_STATES = ("absent", "suspected", "dead", "maintenance")
"""States in which a node cannot be used. `standby` is not one of them: a job can wake the node."""

NODE_CLASSES = (
    "job",
    "stranded",
    "idle",
    "standby",
    "unavailable",
    "unattributed",
    "no_data",
)
"""What the time and energy of a node served."""

GATES = ("binary", "reserved", "active", "two_part")
"""Gates: divisions of the energy of a shared node among its jobs."""

OVERHEAD_CLASSES = ("stranded", "idle", "standby", "unavailable")
"""Classes whose energy serves no job."""

CARBON_CONVENTIONS = ("direct", "life_cycle", "embodied")
"""Scope of an emission factor: fuel burnt; also building the plants; manufacture of the nodes."""

HOURLY_FACTOR = "eco2mix"
"""Name of the carbon factor that follows the intensity of each hour."""

EMBODIED_FACTOR = "embodied"
"""Name of the carbon factor for the production of nodes."""

USAGE_BASES = ("jobs", "history", "statistics")
"""Sources of numbers of active users."""

MEASURED_METHOD = "bmc"
"""Value of the column `method` for measured energy; other values are names of estimators."""

NO_PROJECT = "(no project)"
OTHERS = "(others)"
SMALL_GROUPS = "others (small groups)"
"""Names of the rows of a level that combine several groups."""

NameSelection = Collection[str] | Literal["all"]
"""Names that a key of the configuration selects."""

WELL_COVERED_FRAC = 0.95
"""Coverage below which a job has the flag `partly_measured`."""
