"""Break development down by the stage of the work, where labels give it.

Stages are optional labels (`data`, `explore`, `baseline`, `ablate`, `hyperparam`, `final`). Runs
without one have a row of their own, so that the rows of a paper add up to its development.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import known_sum
from footprint.core.vocabulary import STAGES, NameSelection
from footprint.phases import ratio
from footprint.phases.energies import ENERGY_COLUMNS, StudyErrors, complete_job_nodes
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_totals import draw_groups
from footprint.totals.job_totals import measured_fraction

_KEY = [*ratio.GROUP_KEY, "stage"]
_UNKNOWN = ""


def development_by_stage(
    runs: pl.LazyFrame,
    *,
    labelled: pl.LazyFrame,
    levels: pl.LazyFrame,
    errors: StudyErrors,
    papers_wanted: NameSelection = "all",
) -> pl.DataFrame:
    """Energy of development of each paper and project by stage.

    Args:
        runs: `schemas.Runs`.
        labelled: `schemas.JobLabels`.
        levels: `schemas.Levels` of the same jobs, which define the groups.
        errors: Nodes of the jobs and errors of the study.
        papers_wanted: `levels.papers` of the configuration.

    Returns:
        `schemas.PhaseStages`, sorted by scope, name and stage in their usual order, the runs
        without a stage last.
    """
    labels = labelled.select("paper", "stage", run_id="job_id")
    of_papers = runs.join(labels, on="run_id", how="left")
    stage = pl.col("stage").cast(pl.String).fill_null(_UNKNOWN)
    rows = (
        ratio.groups_of_runs(of_papers, levels=levels, papers_wanted=papers_wanted)
        .join(of_papers, on="run_id")
        .filter(pl.col("phase").cast(pl.String) == "development")
        .select(*ratio.GROUP_KEY, stage, "run_id", "job_ids", *ENERGY_COLUMNS)
        .sort(*_KEY, "run_id")
        .collect()
    )
    sums = rows.group_by(_KEY, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_runs"),
        *(known_sum(pl.col(name)) for name in ENERGY_COLUMNS),
    )
    ends = _intervals(rows, errors)
    known = pl.col("total_kwh").is_not_null()
    order = pl.col("stage").cast(pl.Enum(STAGES))
    return (
        sums.join(ends, on=_KEY, how="left")
        .with_columns(
            measured_frac=measured_fraction(),
            stage=pl.when(pl.col("stage") != _UNKNOWN).then("stage"),
            total_low_kwh=pl.when(known).then(pl.min_horizontal("total_low_kwh", "total_kwh")),
            total_high_kwh=pl.when(known).then(pl.max_horizontal("total_high_kwh", "total_kwh")),
        )
        .sort(*ratio.GROUP_KEY, order, nulls_last=True)
    )


def _intervals(rows: pl.DataFrame, errors: StudyErrors) -> pl.DataFrame:
    """95 % intervals by group and stage: `_KEY`, `total_low_kwh`, `total_high_kwh`."""
    jobs = rows.select(*_KEY, job_id="job_ids").explode(
        "job_id", empty_as_null=False, keep_nulls=False
    )
    energies = complete_job_nodes(errors.job_nodes).join(jobs.lazy(), on="job_id")
    amounts = group_amounts(energies, _KEY, errors.model)
    return draw_groups(amounts, errors.model).interval().drop("total_kwh")
