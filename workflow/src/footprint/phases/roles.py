"""Which runs serve the model that a paper reports, and what each run therefore counts as.

A label says so, or nobody knows: kinds can be told from power and commands, roles cannot. Where no
label of a paper says anything of roles, its largest training is assumed to be that of the reported
model, and marked `assumed`; inference is never assumed. Reasons: `docs/phases.md`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.tables import KINDS, PHASES, ROLES

BASES = ("label", "assumed")

_KIND, _ROLE, _PHASE = (pl.Enum(values) for values in (KINDS, ROLES, PHASES))


def of_runs(labelled: pl.LazyFrame) -> pl.LazyFrame:
    """What labels say of each run: `run_id`, `paper`, `kind`, `role`, `phase`.

    `labels.table` says the same of all jobs of a run, so that the first, which names the run, will
    do. Rows of the other jobs stay, and match no run.

    Args:
        labelled: `tables.Labelled`.
    """
    return labelled.select(pl.col("job_id").alias("run_id"), "paper", "kind", "role", "phase")


def assign(runs: pl.LazyFrame, labelled: pl.LazyFrame) -> pl.LazyFrame:
    """Role and phase of each run.

    Args:
        runs: `run_id`, `project`, `paper`, `kind` (null: it never ran), `energy_kwh`, `gpu_hours`.
        labelled: `run_id`, `kind`, `role`, `phase`, as `of_runs` gives them.

    Returns:
        `run_id`, `role`, `role_basis`, `phase`, sorted; all null for runs that never ran, and role
        and basis for runs of which nobody says anything.
    """
    columns = ("run_id", "role", "role_basis", "phase")
    return decide(facts(runs, labelled)).select(columns).sort("run_id")


def facts(runs: pl.LazyFrame, labelled: pl.LazyFrame) -> pl.LazyFrame:
    """What roles and phases are decided from, one row a run.

    A label of a phase says a role as well: only the reported model has training and inference. A
    *unit* is within which a training may be assumed to be the reported one: a paper of which no
    label says a role, and a project of which no label says a role or a paper.

    Args:
        runs: As in `assign`.
        labelled: As in `assign`.

    Returns:
        `run_id`, `kind` (a label's, else the one found), `energy_kwh`, `gpu_hours`, `said_kind`,
        `said_role`, `said_phase` (null: no label), `unit` (null: nothing is assumed).
    """
    said = labelled.select(
        "run_id",
        pl.col("kind").cast(_KIND).alias("said_kind"),
        pl.col("role").cast(_ROLE).alias("said_role"),
        pl.col("phase").cast(_PHASE).alias("said_phase"),
    )
    rows = runs.select(
        "run_id", "project", "paper", pl.col("kind").cast(_KIND), "energy_kwh", "gpu_hours"
    ).join(said, on="run_id", how="left", validate="1:1")
    implied = pl.when(pl.col("said_phase").is_in(["training", "inference"])).then(
        pl.lit("reported", _ROLE)
    )
    paper, project, told = pl.col("paper"), pl.col("project"), pl.col("said_role").is_not_null()
    # a role that is known of a job that never ran is known all the same
    alone = paper.is_not_null() & ~told.any().over("paper")
    bare = project.is_not_null() & ~(told | paper.is_not_null()).any().over("project")
    unit = (
        pl.when(alone)
        .then(pl.concat_str(pl.lit("paper "), paper))
        .when(bare)
        .then(pl.concat_str(pl.lit("project "), project))
    )
    return (
        rows.with_columns(pl.coalesce("said_role", implied).alias("said_role"))
        .with_columns(unit.alias("unit"))
        .with_columns(
            pl.when(pl.col("kind").is_not_null())
            .then(pl.coalesce("said_kind", "kind"))
            .alias("kind")
        )
        .drop("paper", "project")
    )


def candidates(rows: pl.LazyFrame, *, over: Sequence[str] = ()) -> pl.LazyFrame:
    """The run of each unit that is assumed to have trained the reported model.

    That is the training with most measured energy. Those without a measurement come after all with
    one, by GPU hours: no ratio can be had from them. Runs that a label gives a phase are out.

    Args:
        rows: The columns of `facts`, and those of `over`.
        over: Columns within whose values there is a candidate for each unit, as `variant`.

    Returns:
        The rows that won, one for each unit and value of `over`.
    """
    trainings = pl.col("kind") == "training_run"
    return (
        rows.filter(trainings & pl.col("unit").is_not_null() & pl.col("said_phase").is_null())
        .sort(
            *over,
            "unit",
            "energy_kwh",
            "gpu_hours",
            "run_id",
            descending=[*(False for _ in over), False, True, True, False],
            nulls_last=True,
        )
        .unique([*over, "unit"], keep="first", maintain_order=True)
    )


def decide(rows: pl.LazyFrame, *, over: Sequence[str] = ()) -> pl.LazyFrame:
    """`rows` with `role`, `role_basis` and `phase`.

    The first that fits gives the phase: it never ran, null; a label of it; an unknown kind,
    `unknown`; a training or inference of the reported model; all else is development.

    Args:
        rows: The columns of `facts`, and those of `over`.
        over: As in `candidates`.
    """
    chosen = candidates(rows, over=over).select(*over, "run_id", pl.lit(True).alias("assumed"))
    kind, ran, role = pl.col("kind"), pl.col("kind").is_not_null(), pl.col("role")
    role_or_guess = pl.coalesce("said_role", pl.when("assumed").then(pl.lit("reported", _ROLE)))
    basis = (
        pl.when(pl.col("said_role").is_not_null())
        .then(pl.lit("label"))
        .when("assumed")
        .then(pl.lit("assumed"))
    )
    phase = (
        pl.when(~ran)
        .then(None)
        .when(pl.col("said_phase").is_not_null())
        .then(pl.col("said_phase"))
        .when(kind == "unknown")
        .then(pl.lit("unknown", _PHASE))
        .when((role == "reported") & (kind == "training_run"))
        .then(pl.lit("training", _PHASE))
        .when((role == "reported") & (kind == "inference_run"))
        .then(pl.lit("inference", _PHASE))
        .otherwise(pl.lit("development", _PHASE))
    )
    return (
        rows.join(chosen, on=[*over, "run_id"], how="left")
        .with_columns(
            pl.when(ran).then(role_or_guess).alias("role"),
            pl.when(ran).then(basis).cast(pl.Enum(BASES)).alias("role_basis"),
        )
        .with_columns(phase.alias("phase"))
        .drop("assumed")
    )
