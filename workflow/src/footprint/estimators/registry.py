"""All estimators, by name, and what each says of the jobs of a study.

A new one is a module with `ESTIMATORS` and a word in `MODULES`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq

from footprint import schema, tables
from footprint.errors import InputError
from footprint.estimators import codecarbon, ga4hpc, green_algorithms, mlco2, recorded, tracked
from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts

LOG = logging.getLogger(__name__)

MODULES = (mlco2, green_algorithms, ga4hpc, codecarbon, recorded, tracked)

ESTIMATORS: dict[str, Estimator] = {
    each.name: each for module in MODULES for each in module.ESTIMATORS
}


def chosen(names: Sequence[str] | Literal["all"]) -> list[Estimator]:
    """Estimators that a configuration names, in the order of the registry.

    Args:
        names: Names, or `all` for every usual one.

    Raises:
        InputError: A name that no estimator has.
    """
    if names == "all":
        return [each for each in ESTIMATORS.values() if each.usual]
    for name in names:
        if name not in ESTIMATORS:
            raise InputError(
                f"there is no estimator `{name}`",
                where="estimators",
                do=schema.nearest(name, ESTIMATORS) or f"choose among {', '.join(ESTIMATORS)}",
            )
    return [each for name, each in ESTIMATORS.items() if name in names]


def estimate(facts: Facts, estimator: Estimator) -> pl.DataFrame:
    """What an estimator says of every job (`tables.Estimates`).

    A job that held nothing used exactly nothing; one whose nodes are not known is null. Where
    records are all there is, only jobs with a record have a row.
    """
    found = estimator.estimate(facts)
    if estimator.of_all:
        rest = facts.jobs.join(found.select("job_id"), on="job_id", how="anti")
        parts = ("gpu_kwh", "cpu_kwh", "memory_kwh", "energy_kwh", "covered_kwh")
        nothing = rest.select(
            "job_id",
            *(pl.when("known").then(0.0).alias(name) for name in parts),
            basis=pl.lit("none"),
            gpu_hours=0.0,
            core_hours=0.0,
            memory_gbh=0.0,
        )
        found = pl.concat([found, nothing], how="diagonal")
    scaled = (pl.col(name) * estimator.pue for name in ("energy_kwh", "covered_kwh"))
    rows: pl.DataFrame = tables.conform(
        tables.Estimates,
        found.with_columns(*scaled, estimator=pl.lit(estimator.label), pue=pl.lit(estimator.pue)),
    )
    return rows


def write(facts: Facts, estimators: Sequence[Estimator], path: str | Path) -> None:
    """Write `tables.Estimates`, an estimator after the other, so that one at a time is in memory.

    Args:
        facts: What jobs held.
        estimators: Which; at least one.
        path: The table.
    """
    empty = pl.DataFrame(tables.Estimates.create_empty()).to_arrow()
    with pq.ParquetWriter(path, empty.schema, compression="zstd") as writer:
        for each in sorted(estimators, key=lambda estimator: estimator.label):
            rows = estimate(facts, each)
            known = len(rows) - rows["energy_kwh"].null_count()
            writer.write_table(rows.to_arrow().cast(empty.schema))
            LOG.info("%s tells of %d of %d jobs", each.label, known, len(rows))
