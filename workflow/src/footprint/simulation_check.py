"""Measured against true energy, where the truth is known."""

from __future__ import annotations

import polars as pl

from footprint.summation import exact_sum, total

# Shorter jobs hold too few samples of 5 s for their error to say much about the method.
COMPARED_AFTER_S = 600.0
FULLY_COVERED_FRAC = 1 - 1e-9


def compare(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, truth: pl.LazyFrame, steps_w: dict[str, float]
) -> pl.LazyFrame:
    """Each measured job beside its true energy.

    Args:
        jobs: `tables.JobEnergy`.
        job_nodes: `tables.JobNodeEnergy`.
        truth: `tables.Truth`.
        steps_w: Step of the sensors of each cluster.

    Returns:
        `job_id`, `step_w` (the coarsest of its sensors), `energy_kwh`, `true_kwh`, `error_frac`,
        `inside` (the truth lies in the interval), `width_frac`, `compared` (long and fully
        covered).
    """
    step = job_nodes.group_by("job_id").agg(
        step_w=pl.col("cluster").replace_strict(steps_w, return_dtype=pl.Float64).max()
    )
    true = truth.group_by("job_id").agg(total(pl.col("true_kwh")))
    energy, true_kwh = pl.col("energy_kwh"), pl.col("true_kwh")
    return (
        jobs.filter((pl.col("duration_s") > 0) & energy.is_not_null())
        .join(true, on="job_id")
        .join(step, on="job_id")
        .filter(true_kwh > 0)
        .select(
            "job_id",
            "step_w",
            "energy_kwh",
            "true_kwh",
            error_frac=energy / true_kwh - 1,
            inside=true_kwh.is_between("energy_low_kwh", "energy_high_kwh"),
            width_frac=(pl.col("energy_high_kwh") - pl.col("energy_low_kwh")) / true_kwh,
            compared=(pl.col("duration_s") > COMPARED_AFTER_S)
            & (pl.col("coverage_frac") >= FULLY_COVERED_FRAC),
        )
        .sort("job_id")
    )


def summarise(compared: pl.LazyFrame) -> pl.LazyFrame:
    """Errors and intervals by the step of the sensors, and over all (`tables.SimulationCheck`)."""
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


def sensor_steps(source: dict[str, object], *, site: str) -> dict[str, float]:
    """Step in watts of the sensors of each cluster of the simulated site."""
    from footprint.site.simulated import SimulatedSite

    return SimulatedSite.from_config(source, site=site).sensor_steps_w()
