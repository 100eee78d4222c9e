"""Baselines that the classifier must beat: the exit-state rule, and "everything is training".

The published rule reads exit states of jobs on MIT Supercloud as stages of development: COMPLETED
is mature, CANCELLED exploratory, FAILED development, TIMEOUT an IDE session ("AI-Enabling Workloads
on Large-Scale GPU-Accelerated System", HPCA 2022). Mature runs count as training, all others as
development. The rule has no kinds: the closest kind is given, so that both can be compared.
"""

from __future__ import annotations

import polars as pl

from footprint.core.vocabulary import KINDS, PHASES

KIND_TYPE, PHASE_TYPE = pl.Enum(KINDS), pl.Enum(PHASES)

KIND_AND_PHASE_BY_ENDING: dict[str, tuple[str, str]] = {
    "completed": ("training_run", "training"),
    "cancelled": ("training_run", "development"),
    # a preempted job is cancelled too, by the scheduler instead of its owner
    "killed": ("training_run", "development"),
    "failed": ("debug", "development"),
    "walltime": ("interactive", "development"),
    # a running job has no exit state yet
    "running": ("unknown", "unknown"),
}
"""Kind and phase by how the last job of a run ended (`ended` of the features)."""


def classify_by_exit_state(features: pl.LazyFrame) -> pl.LazyFrame:
    """Kind and phase of each run by the exit state of its last job.

    Args:
        features: Result of `features.collect_features`.

    Returns:
        `run_id`, `kind`, `phase`, sorted by run; null for runs that never started.
    """
    ended = pl.col("ended").cast(pl.String)
    by_ending = {
        name: {ending: pair[i] for ending, pair in KIND_AND_PHASE_BY_ENDING.items()}
        for i, name in enumerate(("kind", "phase"))
    }
    return features.select(
        "run_id",
        kind=ended.replace_strict(by_ending["kind"], default=None, return_dtype=KIND_TYPE),
        phase=ended.replace_strict(by_ending["phase"], default=None, return_dtype=PHASE_TYPE),
    ).sort("run_id")


def classify_everything_as_training(features: pl.LazyFrame) -> pl.LazyFrame:
    """Kind `training_run` and phase `training` for each run.

    Most energy of a site is that of trainings, so that this baseline is right for much of it.

    Args:
        features: Result of `features.collect_features`.

    Returns:
        `run_id`, `kind`, `phase`, sorted by run; null for runs that never started.
    """
    has_started = pl.col("ended").is_not_null()
    return features.select(
        "run_id",
        kind=pl.when(has_started).then(pl.lit("training_run", KIND_TYPE)),
        phase=pl.when(has_started).then(pl.lit("training", PHASE_TYPE)),
    ).sort("run_id")
