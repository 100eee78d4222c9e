"""Total energies of jobs and runs, and their intervals, for the tables of the phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from footprint.core.sums import sum_by_group
from footprint.core.units import H_PER_S
from footprint.totals.error_model import ErrorModel
from footprint.totals.job_totals import group_ends, measured_fraction, total_energy
from footprint.totals.meter_error import MeterInterval

ENERGY_COLUMNS = ("measured_kwh", "estimated_kwh", "total_kwh")
"""Energies that add up from jobs to runs and to groups of runs."""

INTERVAL_COLUMNS = ("total_low_kwh", "total_high_kwh", "measured_frac")


class StudyErrors(NamedTuple):
    """What intervals of groups of jobs are computed from.

    Attributes:
        job_nodes: `schemas.JobNodeEnergy`.
        model: Errors of the meters and estimates of the study.
    """

    job_nodes: pl.LazyFrame
    model: ErrorModel


def complete_job_nodes(job_nodes: pl.LazyFrame) -> pl.LazyFrame:
    """Jobs on nodes with `total_kwh`, the parts of `estimated_kwh` and `unknown_node_h`.

    A table without parts has estimates from the readings around gaps alone. Its time without
    readings is unknown where it has no estimate.

    Args:
        job_nodes: `schemas.JobNodeEnergy`, also without these columns.
    """
    unmeasured_h = pl.col("share") * (pl.col("duration_s") - pl.col("covered_s")) * H_PER_S
    unknown_h = pl.when(pl.col("estimated_kwh").is_null()).then(unmeasured_h).otherwise(0.0)
    return _add_missing(
        job_nodes,
        total_kwh=total_energy(),
        own_readings_kwh=pl.col("estimated_kwh"),
        unknown_node_h=unknown_h.clip(lower_bound=0.0).fill_null(0.0),
    )


def add_total(job_energy: pl.LazyFrame) -> pl.LazyFrame:
    """Jobs with `total_kwh`.

    Args:
        job_energy: `schemas.JobEnergy`, also without this column.
    """
    return _add_missing(job_energy, total_kwh=total_energy())


def complete_jobs(job_energy: pl.LazyFrame) -> pl.LazyFrame:
    """Jobs with `total_kwh` and `measured_frac`.

    Args:
        job_energy: `schemas.JobEnergy`, also without these columns.
    """
    return _add_missing(add_total(job_energy), measured_frac=measured_fraction())


def _add_missing(rows: pl.LazyFrame, **columns: pl.Expr) -> pl.LazyFrame:
    present = rows.collect_schema().names()
    return rows.with_columns(**{k: v for k, v in columns.items() if k not in present})


def energy_of_runs(
    run_of_job: pl.LazyFrame, job_energy: pl.LazyFrame, errors: StudyErrors | None
) -> pl.LazyFrame:
    """Energies of runs: sums of the energies of their jobs that are known.

    Args:
        run_of_job: `job_id`, `run_id`.
        job_energy: Result of `complete_jobs`.
        errors: Nodes of the jobs and errors of the study. None: no intervals.

    Returns:
        `run_id`, `ENERGY_COLUMNS` (null where no job has one), `total_low_kwh`, `total_high_kwh`
        (95 %, in closed form; they contain the total), `measured_frac`, sorted by run.
    """
    of_jobs = run_of_job.select("job_id", "run_id").join(
        job_energy.select("job_id", *ENERGY_COLUMNS), on="job_id"
    )
    sums = sum_by_group(
        of_jobs.collect(),
        ["run_id"],
        first=[],
        **{name: pl.col(name) for name in ENERGY_COLUMNS},
        **{f"n_{name}": pl.col(name).is_not_null().cast(pl.Float64) for name in ENERGY_COLUMNS},
    ).lazy()
    known = sums.select(
        "run_id",
        *(pl.when(pl.col(f"n_{name}") > 0).then(name).alias(name) for name in ENERGY_COLUMNS),
    ).with_columns(measured_frac=measured_fraction())
    none = pl.lit(None, pl.Float64)
    if errors is None:
        ends = known.select("run_id", total_low_kwh=none, total_high_kwh=none)
    else:
        rows = complete_job_nodes(errors.job_nodes).join(
            run_of_job.select("job_id", "run_id"), on="job_id"
        )
        ends = group_ends(rows, ["run_id"], errors.model).lazy()
    total = pl.col("total_kwh")
    low, high = pl.col("total_low_kwh"), pl.col("total_high_kwh")
    return (
        known.join(ends, on="run_id", how="left")
        .with_columns(
            total_low_kwh=pl.when(total.is_not_null() & low.is_not_null()).then(
                pl.min_horizontal(low, total)
            ),
            total_high_kwh=pl.when(total.is_not_null() & high.is_not_null()).then(
                pl.max_horizontal(high, total)
            ),
        )
        .select("run_id", *ENERGY_COLUMNS, *INTERVAL_COLUMNS)
        .sort("run_id")
    )


def read_errors(
    job_nodes: str, job_energy: str, virtual_meter: str | None, meters: Mapping[str, Any]
) -> StudyErrors:
    """Errors of a study from its Parquet files; see `errors_of_study`."""
    return errors_of_study(
        pl.scan_parquet(job_nodes),
        job_energy=pl.scan_parquet(job_energy),
        virtual_meter=pl.read_parquet(virtual_meter) if virtual_meter else None,
        meters=meters,
    )


def errors_of_study(
    job_nodes: pl.LazyFrame,
    *,
    job_energy: pl.LazyFrame,
    virtual_meter: pl.DataFrame | None,
    meters: Mapping[str, Any] | None,
) -> StudyErrors:
    """Errors of a study, for its intervals.

    Args:
        job_nodes: `schemas.JobNodeEnergy`, also without the parts of `estimated_kwh`.
        job_energy: `job_id`, `similar` (equal for similar jobs) of `schemas.JobEnergy`.
        virtual_meter: `schemas.VirtualMeter`. None: no node without readings is estimated.
        meters: `low`, `high`, `correlation`, `calibration` of the configuration. None: the
            defaults.
    """
    default = MeterInterval()
    standard = {
        "low": default.low,
        "high": default.high,
        "correlation": default.correlation,
        "calibration": {},
    }
    model = ErrorModel.of_study(virtual_meter, standard if meters is None else meters)
    similar = job_energy.select("job_id", "similar")
    return StudyErrors(complete_job_nodes(job_nodes).join(similar, on="job_id", how="left"), model)
