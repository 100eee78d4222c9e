"""Measured energies of the simulated site's jobs against those of meters without faults."""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, sum_or_zero

# Shorter jobs have too few samples of 5 s to assess the method by their error.
MIN_COMPARED_DURATION_S = 600.0
FULLY_COVERED_FRAC = 1 - 1e-9


def compare_with_truth(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, truth: pl.LazyFrame, steps_w: dict[str, float]
) -> pl.LazyFrame:
    """Measured energy of each job, the energy that a perfect meter would have read, and the truth.

    The first two contain the meter's gain, so that their difference is the error of the arithmetic.

    Args:
        jobs: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        truth: `schemas.Truth`.
        steps_w: Step of the sensors of each cluster, in watts.

    Returns:
        `job_id`, `step_w` (the coarsest of its sensors), `measured_kwh`, `metered_kwh`, `true_kwh`,
        `error_frac`, `inside` (the metered energy lies in the interval), `width_frac` (width of the
        interval over the metered energy), `compared` (long and fully covered).
    """
    step = job_nodes.group_by("job_id").agg(
        step_w=pl.col("cluster").replace_strict(steps_w, return_dtype=pl.Float64).max()
    )
    true = truth.group_by("job_id").agg(sum_or_zero(pl.col("metered_kwh", "true_kwh")))
    energy, metered_kwh = pl.col("measured_kwh"), pl.col("metered_kwh")
    return (
        jobs.filter((pl.col("duration_s") > 0) & energy.is_not_null())
        .join(true, on="job_id")
        .join(step, on="job_id")
        .filter(metered_kwh > 0)
        .select(
            "job_id",
            "step_w",
            "measured_kwh",
            "metered_kwh",
            "true_kwh",
            error_frac=energy / metered_kwh - 1,
            inside=metered_kwh.is_between("total_low_kwh", "total_high_kwh"),
            width_frac=(pl.col("total_high_kwh") - pl.col("total_low_kwh")) / metered_kwh,
            compared=(pl.col("duration_s") > MIN_COMPARED_DURATION_S)
            & (pl.col("coverage_frac") >= FULLY_COVERED_FRAC),
        )
        .sort("job_id")
    )


def summarise_errors(compared: pl.LazyFrame) -> pl.LazyFrame:
    """Errors and intervals by step of the sensors and over all (`schemas.SimulationCheck`)."""
    error = pl.col("error_frac").filter(pl.col("compared")).abs()
    label = pl.format("{} W", pl.col("step_w").cast(pl.Int64))
    return pl.concat(
        [
            compared.with_columns(sensors=sensors)
            .group_by("sensors")
            .agg(
                n_jobs=pl.len(),
                n_jobs_compared=exact_sum(pl.col("compared")),
                largest_error_frac=error.max(),
                median_error_frac=error.median(),
                inside_frac=exact_sum(pl.col("inside")) / pl.col("inside").count(),
                median_width_frac=pl.col("width_frac").median(),
            )
            for sensors in (pl.lit("all"), label)
        ]
    ).sort("sensors")


def sensor_steps_w(source: dict[str, object], *, site: str) -> dict[str, float]:
    """Step of the sensors of each cluster of the simulated site, in watts."""
    from footprint.sources.simulated import SimulatedSite

    return SimulatedSite.from_config(source, site=site).sensor_steps_w()
