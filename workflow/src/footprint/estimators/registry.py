"""All estimators by name, and their estimates of the jobs of a study.

To add an estimator, add a module with `ESTIMATORS` and its name to `MODULES`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from footprint.core import json_schema
from footprint.core.errors import InputError
from footprint.estimators import codecarbon, ga4hpc, green_algorithms, mlco2, recorded, tracked
from footprint.estimators.estimator import Estimator
from footprint.estimators.inputs import EstimatorInputs
from footprint.schemas.estimates import Estimates
from footprint.schemas.writing import conform

LOG = logging.getLogger(__name__)

MODULES = (mlco2, green_algorithms, ga4hpc, codecarbon, recorded, tracked)

ESTIMATORS: dict[str, Estimator] = {
    each.name: each for module in MODULES for each in module.ESTIMATORS
}


def select_estimators(names: Sequence[str] | Literal["all"]) -> list[Estimator]:
    """Return the estimators that a configuration names, in the order of the registry.

    Args:
        names: Names, or `all` for the default ones.

    Raises:
        InputError: A name that no estimator has.
    """
    if names == "all":
        return [each for each in ESTIMATORS.values() if each.is_default]
    for name in names:
        if name not in ESTIMATORS:
            raise InputError(
                f"there is no estimator `{name}`",
                where="estimators",
                do=json_schema.spelling_hint(name, ESTIMATORS)
                or f"choose among {', '.join(ESTIMATORS)}",
            )
    return [each for name, each in ESTIMATORS.items() if name in names]


def estimate_jobs(inputs: EstimatorInputs, estimator: Estimator) -> pl.DataFrame:
    """Return the energy of every job by an estimator (`schemas.Estimates`).

    A job that held nothing has an energy of exactly 0. A job whose nodes are unknown has null.
    Estimators that need a record have a row for the jobs with a record only.

    Args:
        inputs: Inputs of the jobs.
        estimator: The estimator.
    """
    found = estimator.estimate(inputs)
    if estimator.covers_all_jobs:
        rest = inputs.jobs.join(found.select("job_id"), on="job_id", how="anti")
        energies = ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh", "covered_kwh")
        without_nodes = rest.select(
            "job_id",
            *(pl.when("has_known_nodes").then(0.0).alias(name) for name in energies),
            basis=pl.lit("none"),
            gpu_hours=0.0,
            core_hours=0.0,
            memory_gbh=0.0,
        )
        found = pl.concat([found, without_nodes], how="diagonal")
    scaled = (pl.col(name) * estimator.pue for name in ("energy_kwh", "covered_kwh"))
    rows: pl.DataFrame = conform(
        Estimates,
        found.with_columns(*scaled, estimator=pl.lit(estimator.label), pue=pl.lit(estimator.pue)),
    )
    return rows


def write_estimates(
    inputs: EstimatorInputs, estimators: Sequence[Estimator], path: str | Path
) -> None:
    """Write `schemas.Estimates` by estimator, with the rows of one estimator in memory at a time.

    Args:
        inputs: Inputs of the jobs.
        estimators: Estimators; at least one.
        path: Parquet file to write.
    """
    import pyarrow.parquet as pq  # figures and tables import this module for the names alone

    empty = pl.DataFrame(Estimates.create_empty()).to_arrow()
    with pq.ParquetWriter(path, empty.schema, compression="zstd") as writer:
        for each in sorted(estimators, key=lambda estimator: estimator.label):
            rows = estimate_jobs(inputs, each)
            n_known = len(rows) - rows["energy_kwh"].null_count()
            writer.write_table(rows.to_arrow().cast(empty.schema))
            LOG.info("%s estimates %d of %d jobs", each.label, n_known, len(rows))
