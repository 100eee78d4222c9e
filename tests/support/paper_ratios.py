"""R of the papers of simulated studies without samples, with labels withheld, and their true R."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from footprint.phases import (
    assembly,
    chains,
    classifier,
    energies,
    features,
    ratio,
    recorded_time,
    study_ratios,
)
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import PowerHistograms
from tests.support.fast_site import FastStudy, build_fast_study
from tests.support.site_totals import DEFAULT_METERS, study_energies

SETTINGS = ("kinds", "reported", "paper", "half")
"""What labels give.

- `kinds`: the paper of all its runs, and role and kind of those of the reported model.
- `reported`: the paper of all its runs, and the role of those of the reported model.
- `paper`: the paper of all its runs.
- `half`: the role of the reported training, and the paper of half of the other runs.
"""

RANGES = {"paper": "reported_training", "half": "membership"}
"""The choice whose named alternatives are the range of a setting: what labels leave open."""

RECORDS = ("recorded", "home", "opaque")
"""What the records of jobs show.

- `recorded`: a directory for each paper, and settings files in its folder.
- `home`: all jobs were submitted from the home of their owner.
- `opaque`: in addition, all commands with a file of settings are `./run.sh`.
"""

COMPARED_SCHEMA = pl.Schema(
    {
        "paper": pl.String(),
        "setting": pl.String(),
        "records": pl.String(),
        "draw": pl.Int64(),
        "truth": pl.Float64(),
        "ratio": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "range_low": pl.Float64(),
        "range_high": pl.Float64(),
        "n_withheld": pl.Int64(),
        "reason": pl.String(),
    }
)
"""One row a paper, setting, records and draw of withheld labels: `low` and `high` are the 95 %
interval (null `high`: no upper end), the range is that of the named alternatives of the choice of
the setting in `RANGES` (that of R alone without one). `reason`: why there is no R.
"""


class _Study(NamedTuple):
    fast: FastStudy
    job_energy: pl.DataFrame
    job_nodes: pl.DataFrame
    run_of_job: pl.DataFrame
    errors: energies.StudyErrors
    true_kinds: pl.DataFrame


def compare_ratios(
    source: Mapping[str, Any],
    *,
    settings: Sequence[str] = SETTINGS,
    records: Sequence[str] = ("recorded",),
    seed: int = 0,
    draws: int = 1,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare R of each paper of a study with the truth.

    Args:
        source: Configuration of the simulated source, with `start` and `end`.
        settings: Settings of labels.
        records: Records of jobs.
        seed: Seed of the labels that are withheld.
        draws: Number of draws of the labels that are withheld.

    Returns:
        `COMPARED_SCHEMA`, and R of each alternative of the choices of `RANGES`: `paper`, `choice`,
        `value`, `ratio`, `setting`, `records`, `draw`.
    """
    study = _study(source)
    truth = _true_ratios(study)
    compared, alternatives = [], []
    for shown in records:
        jobs = _shown_jobs(study.fast.jobs, shown)
        drawn = [(setting, i) for setting in settings for i in range(draws)]
        for setting, draw in drawn:
            if draw and setting != "half":
                continue
            labelled, n_withheld = _labels(study, setting, seed, draw)
            found = _ratios(study, jobs, labelled)
            own = {
                "setting": pl.lit(setting),
                "records": pl.lit(shown),
                "draw": pl.lit(draw, pl.Int64),
            }
            values = (
                found.sensitivities.with_columns(pl.col("choice").cast(pl.String))
                .filter(pl.col("scope") == "paper", pl.col("choice").is_in([*RANGES.values()]))
                .select(pl.col("name").alias("paper"), "choice", "value", "ratio", **own)
                .collect()
            )
            varied = values.filter(pl.col("choice") == RANGES.get(setting, ""))
            ranges = varied.group_by("paper").agg(
                varied_low=pl.col("ratio").min(), varied_high=pl.col("ratio").max()
            )
            row = (
                found.ratios.filter(pl.col("scope") == "paper")
                .select(
                    *(pl.col("name").alias("paper"), "ratio", "ratio_low", "ratio_high"),
                    pl.col("ratio_reason").alias("reason"),
                    **own,
                )
                .rename({"ratio_low": "low", "ratio_high": "high"})
                .collect()
                .join(truth, on="paper")
                .join(ranges, on="paper", how="left")
                .join(n_withheld, on="paper", how="left")
                .with_columns(
                    range_low=pl.coalesce("varied_low", "ratio"),
                    range_high=pl.coalesce("varied_high", "ratio"),
                )
            )
            compared.append(row.select(COMPARED_SCHEMA.names()).cast(COMPARED_SCHEMA))
            alternatives.append(values)
    return pl.concat(compared), pl.concat(alternatives)


def _study(source: Mapping[str, Any]) -> _Study:
    fast = build_fast_study(source)
    models, job_nodes, job_energy = study_energies(fast)
    run_of_job = chains.merge_jobs_into_runs(
        fast.jobs.lazy(), gap_h=48.0, allocations=fast.allocations.lazy()
    ).collect()
    # the pipeline is not shown the truth
    errors = energies.errors_of_study(
        job_nodes.drop("paper", "phase", "true_kwh").lazy(),
        job_energy=job_energy.lazy(),
        virtual_meter=models,
        meters=dict(DEFAULT_METERS),
    )
    none = pl.lit(None, pl.Float64)
    job_energy = job_energy.with_columns(total_low_kwh=none, total_high_kwh=none)
    kinds = fast.site.true_kinds().collect()
    return _Study(fast, job_energy, job_nodes, run_of_job, errors, kinds)


def _true_ratios(study: _Study) -> pl.DataFrame:
    """`paper`, `truth`: true energy of development over that of training."""
    of_phases = (
        study.job_nodes.drop_nulls("paper")
        .group_by("paper")
        .agg(
            pl.col("true_kwh").filter(pl.col("phase").cast(pl.String) == phase).sum().alias(phase)
            for phase in ("development", "training")
        )
    )
    return of_phases.filter(pl.col("training") > 0).select(
        "paper", truth=pl.col("development") / pl.col("training")
    )


def _shown_jobs(jobs: pl.DataFrame, records: str) -> pl.DataFrame:
    home = pl.concat_str(pl.lit("/home/"), "user")
    if records in ("home", "opaque"):
        jobs = jobs.with_columns(directory=home)
    if records == "opaque":
        has_settings = pl.col("command").str.contains(r"\.yaml")
        run = pl.when(has_settings).then(pl.lit("./run.sh")).otherwise("command")
        jobs = jobs.with_columns(command=run)
    return jobs


def _labels(study: _Study, setting: str, seed: int, draw: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`schemas.JobLabels`, and the number of runs withheld from each paper."""
    runs = study.run_of_job.select("job_id", "run_id").sort("job_id")
    true = runs.join(
        study.true_kinds.select(pl.col("job_id").alias("run_id"), "paper", "kind", "role", "phase"),
        on="run_id",
        how="left",
    )
    is_training = (pl.col("phase") == "training").fill_null(False)
    is_kept = pl.lit(True)
    if setting == "half":
        of_papers = true.filter(pl.col("paper").is_not_null() & ~is_training)
        candidates = of_papers["run_id"].unique().sort().to_numpy()
        drawn = np.random.default_rng([seed, draw]).permutation(candidates)
        drawn = drawn[: len(candidates) // 2]
        is_kept = ~pl.col("run_id").is_in(sorted(drawn.tolist()))
    role = pl.when(pl.col("role") == "reported").then(pl.lit("reported"))
    given: dict[str, pl.Expr] = {}
    if setting in ("kinds", "reported"):
        given["role"] = role
    if setting == "kinds":
        given["kind"] = pl.when(role.is_not_null()).then("kind")
    if setting == "half":
        given["role"] = pl.when(is_training).then(role)
    withheld = true.filter(~is_kept).unique("run_id")
    schema = JobLabels.create_empty().schema
    columns = {name: pl.lit(None, dtype) for name, dtype in schema.items()}
    labelled = true.filter(is_kept & pl.col("paper").is_not_null()).select(
        **(columns | {"job_id": pl.col("job_id"), "paper": pl.col("paper")} | given)
    )
    counts = withheld.group_by("paper").agg(n_withheld=pl.len().cast(pl.Int64))
    return labelled.cast(schema), counts


class RatioInputs(NamedTuple):
    """Tables of the pipeline from which ratios are computed.

    Attributes:
        features: Result of `features.collect_features`.
        runs: `schemas.Runs`.
        labelled: `schemas.JobLabels`.
        levels: `schemas.Levels`, of the papers alone.
        recorded_time: Result of `recorded_time.recorded_time_of_jobs`.
    """

    features: pl.LazyFrame
    runs: pl.LazyFrame
    labelled: pl.LazyFrame
    levels: pl.LazyFrame
    recorded_time: pl.LazyFrame

    def with_papers(self, runs: pl.LazyFrame) -> pl.LazyFrame:
        """Runs with the column `paper` of their labels."""
        papers = self.labelled.select("paper", run_id="job_id")
        return runs.join(papers, on="run_id", how="left")

    def rows(self, runs: pl.LazyFrame) -> pl.LazyFrame:
        """Result of `ratio.rows_of_groups` for some runs."""
        time = ratio.time_of_runs(runs, self.recorded_time)
        return ratio.rows_of_groups(self.with_papers(runs), levels=self.levels, time=time)


def ratio_inputs(study: _Study, jobs: pl.DataFrame, labelled: pl.DataFrame) -> RatioInputs:
    """Runs and times of the pipeline, without power histograms."""
    run_of_job, job_energy = study.run_of_job.lazy(), study.job_energy.lazy()
    thresholds = classifier.Thresholds()
    found = features.collect_features(
        jobs=jobs.lazy(),
        run_of_job=run_of_job,
        job_energy=job_energy,
        job_nodes=study.job_nodes.lazy(),
        power_histograms=PowerHistograms.create_empty().lazy(),
    )
    found = found.collect().lazy()
    tables = assembly.assemble_phase_tables(
        found,
        thresholds=thresholds,
        run_of_job=run_of_job,
        job_energy=job_energy,
        labelled=labelled.lazy(),
        jobs=jobs.lazy(),
    )
    papers = labelled["paper"].drop_nulls().unique().sort()
    levels = pl.LazyFrame({"level": "paper", "name": papers, "method": "bmc"})
    start, end = study.fast.window
    time = recorded_time.recorded_time_of_jobs(
        jobs.lazy(), study.fast.allocations.lazy(), study.errors.job_nodes, start=start, end=end
    )
    return RatioInputs(found, tables.runs, labelled.lazy(), levels, time)


def _ratios(study: _Study, jobs: pl.DataFrame, labelled: pl.DataFrame) -> study_ratios.StudyRatios:
    """Ratios and sensitivities of the pipeline, without power histograms."""
    inputs = ratio_inputs(study, jobs, labelled)
    return study_ratios.ratios_of_study(
        inputs.runs,
        features=inputs.features,
        labelled=inputs.labelled,
        levels=inputs.levels,
        recorded_time=inputs.recorded_time,
        errors=study.errors,
        jobs=jobs.lazy(),
    )
