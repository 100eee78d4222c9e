"""Intervals of the ratios: the energies of the phases are drawn with the errors that they share.

The gain of a cluster's meters, and the common errors of estimates, are the same draws in all
phases, so that they cancel where two ran on the same cluster (docs/uncertainty.md, section 2). The
independent errors of the phases are drawn apart. Kinds are drawn from their probabilities, and
move energy between the phases (`kind_draws`).
"""

from __future__ import annotations

import polars as pl

from footprint.labels.commands import group_of_command
from footprint.phases import kind_draws, roles
from footprint.phases.energies import StudyErrors, complete_job_nodes
from footprint.phases.kind_probabilities import kind_probabilities
from footprint.phases.ratio import DRAWN_PHASES, GROUP_KEY, INTERVAL_COLUMNS
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_parts import Moves
from footprint.totals.group_ratios import draw_ratios


def intervals_of_ratios(
    rows: pl.LazyFrame,
    runs: pl.LazyFrame,
    errors: StudyErrors,
    moves: Moves | None = None,
) -> pl.LazyFrame:
    """95 % intervals of development over training, and of the energy of each phase, by group.

    Args:
        rows: `scope`, `name`, `run_id`, `phase`: result of `ratio.rows_of_groups`.
        runs: `run_id`, `job_ids`.
        errors: Nodes of the jobs and errors of the study.
        moves: Result of `moves_of_kinds`. None: kinds count as found.

    Returns:
        `scope`, `name`, `ratio_low`, `ratio_high` (null: no upper end, or no training), and
        `{phase}_low_kwh`, `{phase}_high_kwh` for each of `DRAWN_PHASES`; groups without a job on a
        node of the study have no row.
    """
    amounts = amounts_of_parts(rows, runs, errors, "phase")
    return (
        draw_ratios(amounts, errors.model, side="phase", over=DRAWN_PHASES, moves=moves)
        .select(*GROUP_KEY, *INTERVAL_COLUMNS)
        .lazy()
    )


def amounts_of_parts(
    rows: pl.LazyFrame, runs: pl.LazyFrame, errors: StudyErrors, part: str
) -> pl.DataFrame:
    """Amounts of each part of each group (`group_amounts.group_amounts`).

    Args:
        rows: `scope`, `name`, `run_id` and the column of the part.
        runs: `run_id`, `job_ids`.
        errors: Nodes of the jobs and errors of the study.
        part: Column of the part: `phase` or `kind`.
    """
    run_of_job = runs.select("run_id", job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    members = rows.select(*GROUP_KEY, "run_id", pl.col(part).cast(pl.String)).drop_nulls(part)
    jobs = members.join(run_of_job, on="run_id").drop("run_id")
    by = [*GROUP_KEY, part]
    # columns of the same name in the table of nodes must not take their place
    energies = complete_job_nodes(errors.job_nodes).drop(by, strict=False)
    return group_amounts(energies.join(jobs, on="job_id"), by, errors.model)


def moves_of_kinds(
    rows: pl.LazyFrame, runs: pl.LazyFrame, labelled: pl.LazyFrame, jobs: pl.LazyFrame
) -> Moves:
    """Draws of the energy that uncertain kinds move between the phases.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        runs: `schemas.Runs` with the column `paper` of the labels; with the columns
            `kind_probabilities.PROBABILITY_COLUMNS`, where the classifier gives them.
        labelled: `run_id`, `kind`, `role`, `phase`, from `roles.labels_of_runs`.
        jobs: `schemas.Jobs`. The first job of a run gives its owner and command.

    Returns:
        Draws by scope and name (`kind_draws.moved_energies`).
    """
    inputs = roles.role_inputs(runs, labelled).join(
        runs.select("run_id", "paper", "project"), on="run_id"
    )
    return kind_draws.moved_energies(rows, inputs, uncertain_kinds(runs, jobs))


def uncertain_kinds(runs: pl.LazyFrame, jobs: pl.LazyFrame) -> pl.LazyFrame:
    """Probability of each kind of the runs that started, and which runs are drawn alike.

    Args:
        runs: As in `moves_of_kinds`.
        jobs: As in `moves_of_kinds`.

    Returns:
        The columns of `kind_probabilities`, and `similar`, which is equal for the runs of one
        person and command.
    """
    similar = jobs.select(
        pl.col("job_id").alias("run_id"),
        similar=pl.concat_str(
            pl.col("user").fill_null(""),
            group_of_command(pl.col("command")).fill_null(""),
            separator="\n",
        ),
    )
    return kind_probabilities(runs).join(similar, on="run_id")
