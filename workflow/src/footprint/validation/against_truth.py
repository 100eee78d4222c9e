"""Energies of the simulated site's jobs: measured against metered, and intervals against true.

Measured energies are compared with what a perfect meter of the same gain would have read, so that
their difference is the error of the arithmetic. Intervals of totals are compared with the energy
that the nodes really drew.
"""

from __future__ import annotations

import polars as pl

from footprint.core.sums import exact_sum, quotient, sum_or_zero

# Shorter jobs have too few samples of 5 s to assess the method by their error.
MIN_COMPARED_DURATION_S = 600.0
FULLY_COVERED_FRAC = 1 - 1e-9
NO_READINGS = "no readings"
"""Name of jobs without a measured energy among the steps of sensors."""


def compare_with_truth(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, truth: pl.LazyFrame, steps_w: dict[str, float]
) -> pl.LazyFrame:
    """Energy of each job with a total, the energy of a perfect meter, and the true energy.

    Args:
        jobs: `schemas.JobEnergy`.
        job_nodes: `schemas.JobNodeEnergy`.
        truth: `schemas.Truth`.
        steps_w: Step of the sensors of each cluster, in watts.

    Returns:
        `job_id`, `step_w` (the coarsest of its sensors; null: no readings), `measured_kwh`,
        `metered_kwh`, `true_kwh`, `error_frac` (of the measured against the metered energy; null:
        none), `inside` (the true energy lies in the interval of the total), `width_frac` (width of
        this interval over the true energy), `compared` (long, measured and fully covered).
    """
    step = job_nodes.group_by("job_id").agg(
        step_w=pl.col("cluster").replace_strict(steps_w, return_dtype=pl.Float64).max()
    )
    true = truth.group_by("job_id").agg(sum_or_zero(pl.col("metered_kwh", "true_kwh")))
    error_frac = quotient(pl.col("measured_kwh"), pl.col("metered_kwh")) - 1
    true_kwh, is_measured = pl.col("true_kwh"), error_frac.is_not_null()
    return (
        jobs.filter((pl.col("duration_s") > 0) & pl.col("total_kwh").is_not_null())
        .join(true, on="job_id")
        .join(step, on="job_id")
        .filter(true_kwh > 0)
        .select(
            "job_id",
            pl.when(is_measured).then("step_w"),
            "measured_kwh",
            "metered_kwh",
            "true_kwh",
            error_frac=error_frac,
            inside=true_kwh.is_between("total_low_kwh", "total_high_kwh"),
            width_frac=(pl.col("total_high_kwh") - pl.col("total_low_kwh")) / true_kwh,
            compared=is_measured
            & (pl.col("duration_s") > MIN_COMPARED_DURATION_S)
            & (pl.col("coverage_frac") >= FULLY_COVERED_FRAC).fill_null(False),
        )
        .sort("job_id")
    )


def summarise_errors(compared: pl.LazyFrame) -> pl.LazyFrame:
    """Errors and intervals by step of the sensors and over all (`schemas.SimulationCheck`)."""
    error = pl.col("error_frac").filter(pl.col("compared")).abs()
    label = pl.format("{} W", pl.col("step_w").cast(pl.Int64)).fill_null(NO_READINGS)
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
