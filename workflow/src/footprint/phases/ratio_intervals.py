"""Intervals of the ratios: the energies of both phases are drawn with the errors that they share.

The gain of a cluster's meters, and the common errors of estimates, are the same draws in both
phases, so that they cancel where both ran on the same cluster (docs/uncertainty.md, section 2). The
independent errors of the two phases are drawn apart. Kinds are drawn from their probabilities, and
move energy between the phases (`kind_draws`).
"""

from __future__ import annotations

import polars as pl

from footprint.labels.commands import group_of_command
from footprint.phases import kind_draws, roles
from footprint.phases.energies import StudyErrors, complete_job_nodes
from footprint.phases.kind_probabilities import kind_probabilities
from footprint.phases.ratio import GROUP_KEY, INTERVAL_COLUMNS, RATIO_PHASES
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_ratios import Moves, draw_ratios

GROUPS_AT_ONCE = 128
"""Groups that are drawn at once, which bounds the memory."""


def intervals_of_ratios(
    rows: pl.LazyFrame,
    runs: pl.LazyFrame,
    errors: StudyErrors,
    moves: Moves | None = None,
) -> pl.LazyFrame:
    """95 % intervals of development over training, and of both energies, for each group.

    Args:
        rows: `scope`, `name`, `run_id`, `phase`: result of `ratio.rows_of_groups`.
        runs: `run_id`, `job_ids`.
        errors: Nodes of the jobs and errors of the study.
        moves: Result of `moves_of_kinds`. None: kinds count as found.

    Returns:
        `scope`, `name`, `ratio_low`, `ratio_high` (null: no upper end, or no training),
        `development_low_kwh`, `development_high_kwh`, `training_low_kwh`, `training_high_kwh`;
        groups without a job on a node of the study have no row.
    """
    run_of_job = runs.select("run_id", job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    members = rows.select(*GROUP_KEY, "run_id", pl.col("phase").cast(pl.String)).filter(
        pl.col("phase").is_in(RATIO_PHASES)
    )
    jobs = members.join(run_of_job, on="run_id").drop("run_id")
    energies = complete_job_nodes(errors.job_nodes).join(jobs, on="job_id")
    amounts = group_amounts(energies, [*GROUP_KEY, "phase"], errors.model)
    names = amounts.select(GROUP_KEY).unique().sort(GROUP_KEY)
    found = [
        draw_ratios(
            amounts.join(names.slice(start, GROUPS_AT_ONCE), on=GROUP_KEY, how="semi"),
            errors.model,
            side="phase",
            over=RATIO_PHASES,
            moves=moves,
        )
        for start in range(0, max(len(names), 1), GROUPS_AT_ONCE)
    ]
    return pl.concat(found).select(*GROUP_KEY, *INTERVAL_COLUMNS).lazy()


def moves_of_kinds(
    rows: pl.LazyFrame, runs: pl.LazyFrame, labelled: pl.LazyFrame, jobs: pl.LazyFrame
) -> Moves:
    """Draws of the energy that uncertain kinds move between development and training.

    Args:
        rows: Result of `ratio.rows_of_groups`.
        runs: `schemas.Runs` with the column `paper` of the labels; with the columns
            `kind_probabilities.PROBABILITY_COLUMNS`, where the classifier gives them.
        labelled: `run_id`, `kind`, `role`, `phase`, from `roles.labels_of_runs`.
        jobs: `schemas.Jobs`. The first job of a run gives its owner and command.

    Returns:
        Draws by scope and name (`kind_draws.moved_energies`).
    """
    similar = jobs.select(
        pl.col("job_id").alias("run_id"),
        similar=pl.concat_str(
            pl.col("user").fill_null(""),
            group_of_command(pl.col("command")).fill_null(""),
            separator="\n",
        ),
    )
    uncertain = kind_probabilities(runs).join(similar, on="run_id")
    inputs = roles.role_inputs(runs, labelled).join(
        runs.select("run_id", "paper", "project"), on="run_id"
    )
    return kind_draws.moved_energies(rows, inputs, uncertain)
