"""Assign roles and phases to runs, from labels and kinds.

Power and commands show the kind of a run, but not its role, so that roles come from labels. Where
no label of a paper gives a role, the largest training of the paper is assumed to be that of the
reported model, and marked `assumed`. Inference is never assumed. Reasons: `docs/phases.md`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.vocabulary import KINDS, PHASES, ROLES

ROLE_BASES = ("label", "assumed")

_KIND_TYPE, _ROLE_TYPE, _PHASE_TYPE = (pl.Enum(values) for values in (KINDS, ROLES, PHASES))


def labels_of_runs(labelled: pl.LazyFrame) -> pl.LazyFrame:
    """Labels of each run: `run_id`, `paper`, `kind`, `role`, `phase`.

    `matching.match_label_files` gives all jobs of a run the same labels, so that the first job,
    whose id is the id of the run, is enough. Rows of the other jobs stay, and match no run.

    Args:
        labelled: `schemas.JobLabels`.
    """
    return labelled.select(pl.col("job_id").alias("run_id"), "paper", "kind", "role", "phase")


def assign_roles(runs: pl.LazyFrame, labelled: pl.LazyFrame) -> pl.LazyFrame:
    """Role and phase of each run.

    Args:
        runs: `run_id`, `project`, `paper`, `kind` (null: the run never started), `total_kwh`,
            `gpu_hours`.
        labelled: `run_id`, `kind`, `role`, `phase`, from `labels_of_runs`.

    Returns:
        `run_id`, `role`, `role_basis`, `phase`, sorted by run. All are null for runs that never
        started. Role and basis are null for runs with neither a label nor an assumption.
    """
    columns = ("run_id", "role", "role_basis", "phase")
    return add_roles_and_phases(role_inputs(runs, labelled)).select(columns).sort("run_id")


def role_inputs(runs: pl.LazyFrame, labelled: pl.LazyFrame) -> pl.LazyFrame:
    """Properties of runs that determine roles and phases, one row a run.

    A label of the phase `training` or `inference` implies the role `reported`, because only the
    reported model has these phases. A *unit* is a group of runs of which one training may be
    assumed to be the reported one: a paper without a labelled role, or a project without a labelled
    role or paper.

    Args:
        runs: `run_id`, `project`, `paper`, `kind` (null: the run never started), `total_kwh`,
            `gpu_hours`.
        labelled: `run_id`, `kind`, `role`, `phase`, from `labels_of_runs`.

    Returns:
        `run_id`, `kind` (of a label, else of the rules), `total_kwh`, `gpu_hours`, `label_kind`,
        `label_role`, `label_phase` (null: no label), `unit` (null: nothing is assumed).
    """
    labels = labelled.select(
        "run_id",
        pl.col("kind").cast(_KIND_TYPE).alias("label_kind"),
        pl.col("role").cast(_ROLE_TYPE).alias("label_role"),
        pl.col("phase").cast(_PHASE_TYPE).alias("label_phase"),
    )
    rows = runs.select(
        "run_id", "project", "paper", pl.col("kind").cast(_KIND_TYPE), "total_kwh", "gpu_hours"
    ).join(labels, on="run_id", how="left", validate="1:1")
    implied = pl.when(pl.col("label_phase").is_in(["training", "inference"])).then(
        pl.lit("reported", _ROLE_TYPE)
    )
    paper, project = pl.col("paper"), pl.col("project")
    has_role = pl.col("label_role").is_not_null()
    # Labels of runs that never started count here as well.
    is_paper_open = paper.is_not_null() & ~has_role.any().over("paper")
    has_role_or_paper = (has_role | paper.is_not_null()).any().over("project")
    is_project_open = project.is_not_null() & ~has_role_or_paper
    unit = (
        pl.when(is_paper_open)
        .then(pl.concat_str(pl.lit("paper "), paper))
        .when(is_project_open)
        .then(pl.concat_str(pl.lit("project "), project))
    )
    return (
        rows.with_columns(pl.coalesce("label_role", implied).alias("label_role"))
        .with_columns(unit.alias("unit"))
        .with_columns(
            pl.when(pl.col("kind").is_not_null())
            .then(pl.coalesce("label_kind", "kind"))
            .alias("kind")
        )
        .drop("paper", "project")
    )


def assumed_trainings(rows: pl.LazyFrame, *, over: Sequence[str] = ()) -> pl.LazyFrame:
    """The run of each unit that is assumed to have trained the reported model.

    It is the training with the largest total energy. Trainings of unknown energy rank below all
    others, by GPU hours, because they give no ratio. Runs with a labelled phase are excluded.

    Args:
        rows: The columns of `role_inputs`, and those of `over`.
        over: Grouping columns, as `variant`: each of their values has one training a unit.

    Returns:
        The selected rows, one for each unit and value of `over`.
    """
    is_training = pl.col("kind") == "training_run"
    return (
        rows.filter(is_training & pl.col("unit").is_not_null() & pl.col("label_phase").is_null())
        .sort(
            *over,
            "unit",
            "total_kwh",
            "gpu_hours",
            "run_id",
            descending=[*(False for _ in over), False, True, True, False],
            nulls_last=True,
        )
        .unique([*over, "unit"], keep="first", maintain_order=True)
    )


def add_roles_and_phases(rows: pl.LazyFrame, *, over: Sequence[str] = ()) -> pl.LazyFrame:
    """`rows` with `role`, `role_basis` and `phase`.

    The first matching case gives the phase: a run that never started has none (null); a labelled
    phase is kept; an unknown kind is `unknown`; a training or inference of the reported model is
    `training` or `inference`; every other run is `development`.

    Args:
        rows: The columns of `role_inputs`, and those of `over`.
        over: Grouping columns, as `variant`: each of their values has one assumed training a unit.
    """
    assumed = assumed_trainings(rows, over=over).select(
        *over, "run_id", pl.lit(True).alias("assumed")
    )
    kind, has_started, role = pl.col("kind"), pl.col("kind").is_not_null(), pl.col("role")
    role_if_started = pl.coalesce(
        "label_role", pl.when("assumed").then(pl.lit("reported", _ROLE_TYPE))
    )
    basis = (
        pl.when(pl.col("label_role").is_not_null())
        .then(pl.lit("label"))
        .when("assumed")
        .then(pl.lit("assumed"))
    )
    phase = (
        pl.when(~has_started)
        .then(None)
        .when(pl.col("label_phase").is_not_null())
        .then(pl.col("label_phase"))
        .when(kind == "unknown")
        .then(pl.lit("unknown", _PHASE_TYPE))
        .when((role == "reported") & (kind == "training_run"))
        .then(pl.lit("training", _PHASE_TYPE))
        .when((role == "reported") & (kind == "inference_run"))
        .then(pl.lit("inference", _PHASE_TYPE))
        .otherwise(pl.lit("development", _PHASE_TYPE))
    )
    return (
        rows.join(assumed, on=[*over, "run_id"], how="left")
        .with_columns(
            pl.when(has_started).then(role_if_started).alias("role"),
            pl.when(has_started).then(basis).cast(pl.Enum(ROLE_BASES)).alias("role_basis"),
        )
        .with_columns(phase.alias("phase"))
        .drop("assumed")
    )
