"""What ledgers know and OAR does not, and the reverse, in numbers that name nobody."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import polars as pl

from footprint import tables
from footprint.summation import known_sum, total

IN_A_JOB = "in a job of the study"
TRACKED = "tracked"
MISSED = "not tracked, of people who track"
OTHERS = "of people who do not track"


def reconcile(
    runs: pl.DataFrame,
    job_energy: pl.LazyFrame,
    set_aside: pl.DataFrame,
    *,
    users: Collection[str] | Literal["all"],
    minimum_group: int,
) -> pl.DataFrame:
    """Runs of the ledgers by what became of them, and jobs by whether they were tracked.

    Where one of the groups of jobs is of fewer people than the minimum, and not of those alone who
    asked to be shown, nothing is told of any: the others would tell it by the difference.

    Args:
        runs: `tables.Ledger`.
        job_energy: `tables.JobEnergy`; its users are pseudonyms.
        set_aside: `tables.SetAside` of the ledgers.
        users: Pseudonyms of the people who asked to be shown; `all` asks for nobody.
        minimum_group: Fewest people of a group that is shown.

    Returns:
        `tables.Reconciliation`.
    """
    return _conform(
        [
            _of_runs(runs),
            _of_lines(runs, set_aside),
            _of_jobs(runs, job_energy, users, minimum_group),
        ]
    )


def _conform(parts: list[pl.DataFrame]) -> pl.DataFrame:
    found: pl.DataFrame = tables.conform(
        tables.Reconciliation,
        pl.concat([pl.DataFrame(tables.Reconciliation.create_empty()), *parts], how="diagonal"),
    )
    return found


def _of_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """What nothing else was around, by job or by why there is none."""
    inside = pl.col("within").is_in(runs["run"].implode()).fill_null(False)
    return (
        runs.filter(~inside)
        .group_by(name=pl.col("reason").fill_null(IN_A_JOB))
        .agg(n_rows=pl.len().cast(pl.Int64))
        .with_columns(side=pl.lit("ledger"))
    )


def _of_lines(runs: pl.DataFrame, set_aside: pl.DataFrame) -> pl.DataFrame:
    """Everything else that is set aside: lines of the files, and energies."""
    told = runs["reason"].drop_nulls().unique().to_list()
    return (
        set_aside.filter(~pl.col("reason").is_in(told))
        .select(name="reason", n_rows="n_rows")
        .with_columns(side=pl.lit("lines"))
    )


def _of_jobs(
    runs: pl.DataFrame,
    job_energy: pl.LazyFrame,
    users: Collection[str] | Literal["all"],
    minimum_group: int,
) -> pl.DataFrame:
    ran = job_energy.filter(pl.col("duration_s") > 0).collect()
    is_tracked = pl.col("job_id").is_in(runs["job_id"].drop_nulls().unique().implode())
    who = ran.filter(is_tracked)["user"].unique().implode()
    group = (
        pl.when(is_tracked)
        .then(pl.lit(TRACKED))
        .when(pl.col("user").is_in(who))
        .then(pl.lit(MISSED))
        .otherwise(pl.lit(OTHERS))
    )
    asked = [] if users == "all" else sorted(users)
    groups = ran.group_by(name=group).agg(
        n_rows=pl.len().cast(pl.Int64),
        gpu_hours=total(pl.col("gpu_hours")),
        energy_kwh=known_sum(pl.col("energy_kwh")),
        is_shown=(pl.col("user").n_unique() >= minimum_group) | pl.col("user").is_in(asked).all(),
    )
    all_shown = bool(groups["is_shown"].all())
    return groups.with_columns(
        *(
            pl.when(pl.lit(all_shown)).then(name).alias(name)
            for name in ("n_rows", "gpu_hours", "energy_kwh")
        ),
        side=pl.lit("jobs"),
    ).drop("is_shown")
