"""Ratios of a study with their intervals, sensitivities and budgets, and energies of phases."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from footprint.core.vocabulary import NameSelection
from footprint.phases import (
    baseline,
    part_energies,
    ratio,
    ratio_budget,
    ratio_intervals,
    reported_runs,
    roles,
    sensitivities,
    weighed_kinds,
)
from footprint.phases.energies import StudyErrors


class StudyRatios(NamedTuple):
    """`schemas.PhaseRatio`, `PhaseSensitivities`, `PhaseEnergies` and `RatioUncertainty`."""

    ratios: pl.LazyFrame
    sensitivities: pl.LazyFrame
    energies: pl.DataFrame
    budget: pl.DataFrame


def ratios_of_study(
    runs: pl.LazyFrame,
    *,
    features: pl.LazyFrame,
    labelled: pl.LazyFrame,
    levels: pl.LazyFrame,
    recorded_time: pl.LazyFrame,
    errors: StudyErrors,
    jobs: pl.LazyFrame,
    papers_wanted: NameSelection = "all",
    by_gate: pl.LazyFrame | None = None,
    gate: str = "two_part",
    site: str = "site",
) -> StudyRatios:
    """Ratios of each paper and project, with their intervals, sensitivities and budgets.

    Args:
        runs: `schemas.Runs`.
        features: Result of `features.collect_features`.
        labelled: `schemas.JobLabels`.
        levels: `schemas.Levels` of the same jobs, which define the groups.
        recorded_time: Result of `recorded_time.recorded_time_of_jobs`.
        errors: Nodes of the jobs and errors of the study.
        jobs: `schemas.Jobs`.
        papers_wanted: `levels.papers` of the configuration.
        by_gate: `job_id`, `gate`, `total_kwh`: energies under each gate. None: not varied.
        gate: The configured gate.
        site: Name of the site, for the energies of its phases and kinds.
    """
    labels = roles.labels_of_runs(labelled)
    of_papers = runs.join(labels.select("run_id", "paper"), on="run_id", how="left")
    time = ratio.time_of_runs(runs, recorded_time).collect().lazy()
    rows = ratio.rows_of_groups(of_papers, levels=levels, time=time, papers_wanted=papers_wanted)
    moves = ratio_intervals.moves_of_kinds(rows, of_papers, labels, jobs)
    ratios = ratio.compare_development_with_training(
        of_papers,
        levels=levels,
        time=time,
        intervals=ratio_intervals.intervals_of_ratios(rows, runs, errors, moves),
        baseline=baseline.classify_by_exit_state(features),
        uncertain=reported_runs.uncertain_reported_runs(runs, labels).lazy(),
        papers_wanted=papers_wanted,
    )
    ratios = ratios.collect().lazy()
    varied = sensitivities.sensitivities(
        rows,
        ratios,
        runs=of_papers,
        labelled=labels,
        time=time,
        alternatives=sensitivities.Alternatives(
            jobs=jobs,
            variants=weighed_kinds.weigh_variants(runs),
            by_gate=by_gate,
            gate=gate,
        ),
    )
    of_parts = part_energies.energies_of_parts(
        rows, of_papers, labelled=labels, jobs=jobs, errors=errors, site=site
    )
    budget = ratio_budget.budget_of_ratios(rows, ratios, runs, errors, moves)
    return StudyRatios(ratios, varied, of_parts, budget)
