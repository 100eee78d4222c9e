"""Totals, intervals and truth of a simulated study without samples, at every level and for R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from footprint.energy import gap_energy, job_energy, node_hardware, observed_segments, power_model
from footprint.energy.study_records import StudyRecords
from footprint.totals.error_model import ErrorModel
from footprint.totals.group_amounts import group_amounts
from footprint.totals.group_totals import GroupDraws, draw_groups
from footprint.totals.study_totals import add_totals_of_jobs
from tests.support.fast_site import FastStudy, build_fast_study

LEVELS = ("site", "user", "project", "paper", "ratio", "unmeasured job")
DEFAULT_METERS = {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}}
MIN_JOB_S = 600.0
"""Jobs of which the accuracy is compared."""
MIN_GROUP_KWH = 0.1
"""Groups with less energy are not compared: intervals of nothing."""

COMPARED_SCHEMA = pl.Schema(
    {
        "level": pl.String(),
        "name": pl.String(),
        "total": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "truth": pl.Float64(),
        "rank_frac": pl.Float64(),
        "estimated_frac": pl.Float64(),
        "true_estimated_kwh": pl.Float64(),
        "estimated_kwh": pl.Float64(),
    }
)
"""One row a group: `rank_frac` is the part of the draws below the truth (null for jobs);
`true_estimated_kwh` is the true energy of what was not measured."""


class SiteTotals(NamedTuple):
    """Results of a study.

    Attributes:
        compared: `COMPARED_SCHEMA`.
        models: `schemas.gaps.VirtualMeter`.
        job_nodes: Energies of jobs on nodes, with `user`, `project`, `paper`, `phase`, `similar`.
    """

    compared: pl.DataFrame
    models: pl.DataFrame
    job_nodes: pl.DataFrame


def compare_totals(
    source: Mapping[str, Any], meters: Mapping[str, Any] = DEFAULT_METERS
) -> SiteTotals:
    """Build a study and compare its totals with the truth.

    Args:
        source: Configuration of the simulated source, with `start` and `end`.
        meters: Errors of meters that the intervals assume.
    """
    study = build_fast_study(source)
    models, rows, jobs = study_energies(study)
    model = ErrorModel.of_study(models, meters)
    groups = [
        _compare_groups(rows, level, column, model)
        for level, column in (
            ("site", pl.lit("site")),
            ("user", pl.col("user")),
            ("project", pl.col("project")),
            ("paper", pl.col("paper")),
        )
    ]
    compared = pl.concat([*groups, _compare_ratios(rows, model), _compare_jobs(rows, jobs, model)])
    return SiteTotals(compared, models, rows)


def study_energies(study: FastStudy) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Power models, energies of jobs on nodes with the truth, and energies of jobs."""
    hardware = node_hardware.describe_node_hardware(study.nodes)
    observed = observed_segments.observed_segments(
        study.segments.drop("true_j").lazy(),
        study.series.lazy(),
        study.node_allocations.lazy(),
        study.window,
    )
    models = power_model.fit_power_models(observed, hardware)
    gaps = []
    for nodes in hardware.partition_by("cluster"):
        own = pl.col("node").is_in(nodes["node"].implode())
        gaps.append(
            gap_energy.estimate_gaps(
                study.segments.drop("true_j").filter(own),
                study.node_allocations,
                study.window,
                gate="reserved",
                hardware=hardware,
                models=models,
                series=study.series.filter(own),
            ).jobs
        )
    of_nodes = hardware.select("node", "cluster", "has_gpu").lazy()
    per_node = job_energy.job_node_energies(
        study.job_sums.lazy(), of_nodes, method="trapezoid", gaps=pl.concat(gaps).lazy()
    ).collect()
    records = StudyRecords(
        window=study.window,
        jobs=study.jobs.lazy(),
        allocations=study.allocations.lazy(),
        overlaps=study.overlaps,
    )
    jobs = job_energy.job_energies(per_node.lazy(), records).collect()
    kinds = study.site.true_kinds().collect().select("job_id", "paper", "phase")
    rows = (
        per_node.join(jobs.select("job_id", "user", "project", "similar"), on="job_id")
        .join(kinds, on="job_id", how="left")
        .join(study.truth, on=["job_id", "node"], how="left")
    )
    return models, rows, jobs


def _with_truth(draws: GroupDraws, truth: pl.DataFrame, level: str) -> pl.DataFrame:
    """Rows of `COMPARED_SCHEMA` for draws of groups by `name`.

    Args:
        draws: Draws of the groups.
        truth: `name`, `truth`, `estimated_frac`, `true_estimated_kwh`, `estimated_kwh`.
        level: Level.
    """
    found = draws.interval().join(truth, on="name", how="left", maintain_order="left")
    true = found["truth"].to_numpy()
    ranks = (draws.kwh < true[:, None]).mean(axis=1)
    return found.select(
        pl.lit(level).alias("level"),
        "name",
        total="total_kwh",
        low="total_low_kwh",
        high="total_high_kwh",
        truth="truth",
        rank_frac=pl.Series(ranks, dtype=pl.Float64),
        estimated_frac="estimated_frac",
        true_estimated_kwh="true_estimated_kwh",
        estimated_kwh="estimated_kwh",
    ).filter(pl.col("truth") > MIN_GROUP_KWH)


_IS_UNMEASURED = pl.col("measured_kwh").is_null() | (pl.col("coverage_frac") == 0)


def _truth_of_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Sums by `name` for `_with_truth`."""
    estimated = pl.col("estimated_kwh").fill_null(0.0)
    total = estimated + pl.col("measured_kwh").fill_null(0.0)
    return rows.group_by("name").agg(
        truth=pl.col("true_kwh").sum(),
        estimated_frac=estimated.sum() / total.sum(),
        true_estimated_kwh=pl.col("true_kwh").filter(_IS_UNMEASURED).sum(),
        estimated_kwh=estimated.filter(_IS_UNMEASURED).sum(),
    )


def _compare_groups(
    rows: pl.DataFrame, level: str, column: pl.Expr, model: ErrorModel
) -> pl.DataFrame:
    named = rows.with_columns(name=column).drop_nulls("name")
    if named.is_empty():
        return pl.DataFrame(schema=COMPARED_SCHEMA)
    draws = draw_groups(group_amounts(named.lazy(), ["name"], model), model)
    return _with_truth(draws, _truth_of_groups(named), level)


def _compare_ratios(rows: pl.DataFrame, model: ErrorModel) -> pl.DataFrame:
    """R of each paper by the true phases."""
    named = rows.filter(pl.col("phase").is_in(["development", "training"])).drop_nulls("paper")
    if named.is_empty():
        return pl.DataFrame(schema=COMPARED_SCHEMA)
    amounts = group_amounts(named.lazy(), ["paper", "phase"], model)
    draws = draw_groups(amounts, model)
    truth = _truth_of_groups(
        named.with_columns(name=pl.concat_str("paper", pl.lit("\n"), pl.col("phase").cast(str)))
    )
    sides = {row["name"]: row for row in truth.iter_rows(named=True)}
    place = {row: at for at, row in enumerate(draws.names.rows())}
    found = []
    for paper in sorted(named["paper"].unique().to_list()):
        keys = [(paper, "development"), (paper, "training")]
        if not all(key in place for key in keys):
            continue
        top, bottom = (place[key] for key in keys)
        true = [sides["\n".join(key)] for key in keys]
        if not true[1]["truth"] > MIN_GROUP_KWH or draws.total_kwh[bottom] == 0:
            continue  # no R can be given
        ratios = draws.kwh[top] / draws.kwh[bottom]
        total = float(draws.total_kwh[top] / draws.total_kwh[bottom])
        low, high = np.quantile(ratios, [0.025, 0.975])
        truth_ratio = true[0]["truth"] / true[1]["truth"]
        found.append(
            {
                "level": "ratio",
                "name": paper,
                "total": total,
                "low": min(float(low), total),
                "high": max(float(high), total),
                "truth": truth_ratio,
                "rank_frac": float((ratios < truth_ratio).mean()),
                "estimated_frac": max(side["estimated_frac"] or 0.0 for side in true),
            }
        )
    return pl.DataFrame(found, schema=COMPARED_SCHEMA)


def _compare_jobs(rows: pl.DataFrame, jobs: pl.DataFrame, model: ErrorModel) -> pl.DataFrame:
    """Jobs of more than ten minutes without any reading."""
    of_jobs = rows.group_by("job_id").agg(
        pl.col("true_kwh").sum(),
        is_unmeasured=_IS_UNMEASURED.all(),
        is_known=pl.col("estimated_kwh").is_not_null().all(),
        duration_s=pl.col("duration_s").max(),
    )
    wanted = of_jobs.filter("is_unmeasured", "is_known", pl.col("duration_s") > MIN_JOB_S)
    own = jobs.join(wanted.select("job_id"), on="job_id", how="semi").sort("job_id")
    own_rows = rows.join(wanted.select("job_id"), on="job_id", how="semi")
    totals = add_totals_of_jobs(own.lazy(), own_rows.lazy(), model).collect()
    return (
        totals.join(of_jobs.select("job_id", "true_kwh"), on="job_id")
        .filter(pl.col("true_kwh") > MIN_GROUP_KWH / 10)
        .select(
            pl.lit("unmeasured job").alias("level"),
            name=pl.col("job_id").cast(pl.String),
            total="total_kwh",
            low="total_low_kwh",
            high="total_high_kwh",
            truth="true_kwh",
            rank_frac=pl.lit(None, pl.Float64),
            estimated_frac=pl.lit(1.0),
            true_estimated_kwh="true_kwh",
            estimated_kwh="total_kwh",
        )
    )
