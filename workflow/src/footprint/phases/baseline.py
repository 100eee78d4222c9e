"""The published rule that takes the exit state of a job for its phase: the baseline to beat.

Exit states of jobs on MIT Supercloud are read as stages of development: COMPLETED mature, CANCELLED
exploratory, FAILED development, TIMEOUT an IDE session ("AI-Enabling Workloads on Large-Scale
GPU-Accelerated System", HPCA 2022). Mature runs count as training, all others as development. The
rule does not know kinds: its nearest stand beside them, so that both can be compared.
"""

from __future__ import annotations

import polars as pl

from footprint.tables import KINDS, PHASES

KIND, PHASE = pl.Enum(KINDS), pl.Enum(PHASES)

OF_ENDING: dict[str, tuple[str, str]] = {
    "completed": ("training_run", "training"),
    "cancelled": ("training_run", "development"),
    # who is pushed aside is cancelled by another
    "killed": ("training_run", "development"),
    "failed": ("debug", "development"),
    "walltime": ("interactive", "development"),
    # it has no exit state yet
    "running": ("unknown", "unknown"),
}
"""Kind and phase by how the last job of a run ended (`evidence.EVIDENCE`)."""


def kinds(evidence: pl.LazyFrame) -> pl.LazyFrame:
    """Kind and phase of each run by the exit state of its last job.

    Args:
        evidence: Result of `evidence.gather`.

    Returns:
        `run_id`, `kind`, `phase`, sorted; null for runs that never ran.
    """
    ended = pl.col("ended").cast(pl.String)
    of = {
        name: {how: pair[at] for how, pair in OF_ENDING.items()}
        for at, name in enumerate(("kind", "phase"))
    }
    return evidence.select(
        "run_id",
        kind=ended.replace_strict(of["kind"], default=None, return_dtype=KIND),
        phase=ended.replace_strict(of["phase"], default=None, return_dtype=PHASE),
    ).sort("run_id")
