"""Estimates beside the measured energy of the same jobs and the same time."""

from __future__ import annotations

import polars as pl

from footprint.allocation import shares
from footprint.core.sums import exact_sum, quotient, sum_or_zero
from footprint.core.vocabulary import MEASURED_METHOD, WELL_COVERED_FRAC

MIN_DURATION_S = 60.0
"""Shortest job compared. Shorter jobs have a dozen readings: the sensor dominates their ratio."""

DURATION_BOUNDS_S = {
    "under 10 min": 600.0,
    "10 min to 1 h": 3600.0,
    "1 to 12 h": 12 * 3600.0,
    "12 to 24 h": 24 * 3600.0,
    "over 24 h": float("inf"),
}
"""Upper bounds in seconds of the groups by duration; a bound belongs to the next group."""

SEVERAL_NAMES = "(several)"
NO_GPU = "(no GPU)"
NOT_CATALOGUED = "(not catalogued)"

FOUR_METHODS = {
    "mlco2": "MLCO2",
    "green_algorithms": "GA",
    "codecarbon_2": "CC",
    "bmc": "BMC",
}
"""Methods of the talk (CITATION.cff) with its names, from the simplest to the measured."""

GROUP_COLUMNS = ("all", "cluster", "gpu_generation", "gpu_model", "duration")
RATIO_QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def ratios_by_group(
    estimates: pl.LazyFrame,
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    hardware: pl.LazyFrame,
) -> pl.LazyFrame:
    """Ratios of estimates to measured energy, by group of jobs (`schemas.EstimateRatios`).

    A ratio is the estimate for the measured time of a job over the energy measured in it. Jobs of
    a minute or more are compared, if 95 % or more of their time was measured.

    Args:
        estimates: `schemas.Estimates`.
        job_energy: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        hardware: `schemas.Hardware`.
    """
    compared = job_energy.filter(
        (pl.col("duration_s") >= MIN_DURATION_S)
        & (pl.col("coverage_frac") >= WELL_COVERED_FRAC)
        & (pl.col("measured_kwh") > 0)
    ).select("job_id", "duration_s", "started_at", "measured_kwh")
    compared_estimates = (
        estimates.select("job_id", "estimator", "covered_kwh")
        .join(compared, on="job_id")
        .join(groups_of_jobs(compared, job_nodes, hardware), on="job_id")
        .with_columns(ratio=pl.col("covered_kwh") / pl.col("measured_kwh"))
    )
    has_ratio = pl.col("ratio").is_not_null()
    quantiles = {
        f"ratio_{name}": pl.col("ratio").quantile(level, "linear")
        for name, level in RATIO_QUANTILES.items()
    }
    sums = {
        "n_jobs": exact_sum(has_ratio).cast(pl.Int64),
        "n_jobs_unknown": exact_sum(~has_ratio).cast(pl.Int64),
        "measured_kwh": sum_or_zero(pl.col("measured_kwh").filter(has_ratio)),
        "estimated_kwh": sum_or_zero(pl.col("covered_kwh")),
    }
    by_group = [
        compared_estimates.group_by("estimator", pl.col(group).alias("name"))
        .agg(**sums, **quantiles)
        .with_columns(group=pl.lit(group))
        for group in GROUP_COLUMNS
    ]
    measured = pl.col("measured_kwh")
    return pl.concat(by_group).with_columns(
        total_ratio=pl.when(measured > 0).then(pl.col("estimated_kwh") / measured)
    )


def groups_of_jobs(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, hardware: pl.LazyFrame
) -> pl.LazyFrame:
    """Group of each job in each of `GROUP_COLUMNS`.

    Args:
        jobs: `job_id`, `duration_s`, `started_at`.
        job_nodes: `schemas.JobNodeEnergy`.
        hardware: `schemas.Hardware`.

    Returns:
        `job_id` and a column for each of `GROUP_COLUMNS`.
    """
    gpus = hardware.select(
        "node",
        "valid_from",
        gpu_model=_single_name("gpu_models"),
        gpu_generation=_single_name("gpu_generations"),
    )
    held = shares.with_hardware_version(
        job_nodes.select("job_id", "node", "cluster", "gpu_hours").join(
            jobs.select("job_id", "started_at"), on="job_id"
        ),
        hardware.select("node", "valid_from"),
    ).join(gpus, on=["node", "valid_from"])
    has_gpu = pl.col("gpu_hours") > 0

    def name_or_several(name: str) -> pl.Expr:
        return (
            pl.when(pl.col(name).n_unique() == 1)
            .then(pl.col(name).first())
            .otherwise(pl.lit(SEVERAL_NAMES))
        )

    duration = pl.col("duration_s")
    group = pl.lit(None, pl.String)
    for name, below_s in reversed(DURATION_BOUNDS_S.items()):
        group = pl.when(duration < below_s).then(pl.lit(name)).otherwise(group)
    return (
        held.with_columns(
            pl.when(has_gpu).then(name).otherwise(pl.lit(NO_GPU)).alias(name)
            for name in ("gpu_model", "gpu_generation")
        )
        .group_by("job_id")
        .agg(*(name_or_several(name) for name in ("cluster", "gpu_model", "gpu_generation")))
        .join(jobs.select("job_id", duration=group), on="job_id")
        .with_columns(all=pl.lit("all"))
    )


def _single_name(names: str) -> pl.Expr:
    """Name in a list column; `SEVERAL_NAMES` for different ones, `NOT_CATALOGUED` for null."""
    known = pl.col(names).list.eval(pl.element().fill_null(NOT_CATALOGUED)).list.unique()
    several = pl.when(known.list.len() > 1).then(pl.lit(SEVERAL_NAMES))
    return several.otherwise(known.list.first())


def method_name() -> pl.Expr:
    """Name of a method, from the column `method` with its version."""
    return pl.col("method").str.split("@").list.first()


def relative_to_measurement(levels: pl.DataFrame, *, pue: float = 1.0) -> pl.DataFrame:
    """Energy of every method at each level, relative to the measurement at that level.

    Args:
        levels: `schemas.Levels`.
        pue: Factor for the energies of every method alike.

    Returns:
        The columns of `schemas.Levels`; `covered_low_kwh`, `covered_high_kwh` (interval of the
        measured energy: that of the total, in proportion); `method_name`; and `ratio`, the energy
        over the time with readings (`covered_kwh`) over the measured energy of that time.
    """
    energies = [name for name in levels.columns if name.endswith("_kwh")]
    measured = levels.filter(pl.col("method") == MEASURED_METHOD)
    covered = pl.col("covered_kwh")
    scale = quotient(covered, pl.col("total_kwh"))
    return (
        levels.join(
            measured.select("level", "name", reference_kwh="measured_kwh"),
            on=["level", "name"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col(energies) * pue,
            covered_low_kwh=pl.col("total_low_kwh") * scale * pue,
            covered_high_kwh=pl.col("total_high_kwh") * scale * pue,
            ratio=quotient(covered, pl.col("reference_kwh")),
            method_name=method_name(),
        )
        .drop("reference_kwh")
    )
