"""Energy of the site, the overhead, queues, projects, users and papers.

*Conservation* holds at every level: the rows of queues, projects and users each sum to the row of
the site; groups that are not shown by name (`selection`) are one row.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import known_sum, sum_or_zero
from footprint.core.vocabulary import (
    MEASURED_METHOD,
    NO_PROJECT,
    NameSelection,
)
from footprint.energy.energy_tables import EnergyTables
from footprint.energy.job_count import has_held_node
from footprint.levels.level_totals import totals_of_groups, totals_of_overhead
from footprint.levels.overhead import REDISTRIBUTIONS, redistribute_overhead
from footprint.levels.selection import LevelSelection
from footprint.totals.error_model import ErrorModel

LOG = logging.getLogger(__name__)

LEVEL_HEADINGS = {
    "site": "Site",
    "overhead": "Overhead",
    "queue": "Queues",
    "project": "Projects",
    "user": "People",
    "paper": "Papers",
}
"""Every level with its heading in tables and figures."""
LEVELS = tuple(LEVEL_HEADINGS)
NO_QUEUE = "(no queue)"

_MEASURE_COLUMNS = (
    *("n_jobs", "n_users"),
    *("measured_kwh", "estimated_kwh", "total_kwh", "total_low_kwh", "total_high_kwh"),
    *("measured_frac", "coverage_frac", "unknown_node_h", "covered_kwh"),
    *("gpu_node_frac", "gpu_hours", "core_hours", "overhead_kwh"),
)


def energy_by_level(
    energy: EnergyTables,
    papers: pl.LazyFrame,
    estimates: pl.LazyFrame,
    *,
    site: str,
    selection: LevelSelection,
    redistribution: str,
    model: ErrorModel,
) -> pl.LazyFrame:
    """Energy at each level of the study, by each method (`schemas.Levels`).

    Energies and coverage are sums over the level's rows of `job_nodes`; the interval is that of
    `study_totals.group_intervals`. A sum adds what is known: a row whose estimated energy is
    unknown counts with its measured energy alone, and its time in `unknown_node_h`. Jobs that held
    no node of the study are not counted.

    An estimator has `total_kwh`, its energy of all the time, and `covered_kwh`, its energy of the
    time with readings, to compare it with the measurement. Both are null where the estimator has no
    value for a job. The other energies are null.

    Args:
        energy: Energy of the study; the users of jobs are pseudonyms.
        papers: `job_id`, `paper` (see `matching.match_label_files`).
        estimates: `schemas.Estimates`.
        site: Name of the site.
        selection: Groups that are shown by name.
        redistribution: Rule that gives overhead energy to jobs, and so to every level (see
            `overhead.redistribute_overhead`); `none` leaves `overhead_kwh` null.
        model: Errors of the meters and estimates of the study.

    Raises:
        InputError: An unknown `redistribution`.
    """
    jobs, nodes = _select_jobs(energy, papers, redistribution, site)
    people = {level: _people_by_name(jobs, level) for level in LEVELS if level != "overhead"}
    shown = {level: selection.shown_names(level, of_level) for level, of_level in people.items()}
    wanted = {level: selection.wanted_names(level) for level in people} | {"site": [site]}
    rows = [_measured_rows(jobs, nodes, level, names, model) for level, names in shown.items()]
    rows += [_estimated_rows(jobs, estimates, level, names) for level, names in shown.items()]
    rows += [_empty_rows(level, names, people[level]) for level, names in wanted.items()]
    rows.append(_overhead_rows(energy, model))
    order = pl.col("level").cast(pl.Enum(LEVELS))
    return (
        pl.concat(rows, how="diagonal")
        .select("level", "name", pl.col("method").fill_null(MEASURED_METHOD), *_MEASURE_COLUMNS)
        .sort(order, "name", "method")
    )


def _select_jobs(
    energy: EnergyTables, papers: pl.LazyFrame, redistribution: str, site: str
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Jobs that held a node and their rows of `job_nodes`, with a column for each level."""
    if redistribution not in REDISTRIBUTIONS:
        raise InputError(
            f"unknown redistribution {redistribution!r}",
            where="levels.redistribution",
            do=f"use {', '.join(REDISTRIBUTIONS)}",
        )
    jobs = (
        energy.jobs.filter(has_held_node())
        .select(
            "job_id",
            "similar",
            pl.lit(site).alias("site"),
            "user",
            pl.col("queue").fill_null(NO_QUEUE),
            pl.col("project").fill_null(NO_PROJECT),
            "gpu_hours",
            "core_hours",
        )
        .join(papers.select("job_id", "paper"), on="job_id", how="left")
    )
    if redistribution == "none":
        jobs = jobs.with_columns(pl.lit(None, pl.Float64).alias("overhead_kwh"))
    else:
        overhead = redistribute_overhead(
            jobs, energy.job_nodes, energy.nodes, redistribution=redistribution
        )
        jobs = jobs.join(overhead, on="job_id", how="left")
    jobs = jobs.collect().lazy()
    nodes = energy.job_nodes.join(
        jobs.select("job_id", "similar", "site", "user", "queue", "project", "paper"), on="job_id"
    )
    return jobs, nodes.collect().lazy()


def _people_by_name(jobs: pl.LazyFrame, level: str) -> dict[str, set[str]]:
    """People of each group of a level."""
    pairs = jobs.select(pl.col(level).alias("name"), pl.col("user").alias("person"))
    pairs = pairs.drop_nulls().unique().sort("name", "person")
    groups = pairs.group_by("name").agg("person").collect()
    return {name: set(persons) for name, persons in groups.iter_rows()}


def _measured_rows(
    jobs: pl.LazyFrame,
    nodes: pl.LazyFrame,
    level: str,
    names: Mapping[str, str],
    model: ErrorModel,
) -> pl.LazyFrame:
    """Measured and estimated energy of one level, one row for each shown name."""
    shown_name = _shown_name(level, names)
    jobs, nodes = (
        frame.with_columns(shown_name.alias("name")).filter(pl.col("name").is_not_null())
        for frame in (jobs, nodes)
    )
    counted = jobs.group_by("name").agg(
        pl.len().cast(pl.Int64).alias("n_jobs"),
        pl.col("user").n_unique().cast(pl.Int64).alias("n_users"),
        sum_or_zero(pl.col("gpu_hours")),
        sum_or_zero(pl.col("core_hours")),
        known_sum(pl.col("overhead_kwh")).alias("overhead_kwh"),
    )
    return (
        counted.join(totals_of_groups(nodes, model), on="name", how="left")
        .with_columns(pl.lit(level).alias("level"))
        .select("level", "name", *_MEASURE_COLUMNS)
    )


def _shown_name(level: str, names: Mapping[str, str]) -> pl.Expr:
    """Name under which the group of a job or node is shown; null: it is left out."""
    return pl.col(level).replace_strict(
        list(names), list(names.values()), default=None, return_dtype=pl.String
    )


def _estimated_rows(
    jobs: pl.LazyFrame, estimates: pl.LazyFrame, level: str, names: Mapping[str, str]
) -> pl.LazyFrame:
    """Energy of one level by each estimator, for the jobs and names of the measurement."""
    named = jobs.select("job_id", "user", name=_shown_name(level, names)).drop_nulls("name")
    of_group = named.group_by("name").agg(
        pl.len().cast(pl.Int64).alias("n_jobs"),
        pl.col("user").n_unique().cast(pl.Int64).alias("n_users"),
    )
    energies = ("covered_kwh", "total_kwh")
    by_estimator = (
        estimates.select("job_id", "estimator", "covered_kwh", total_kwh="energy_kwh")
        .join(named, on="job_id")
        .group_by("name", method="estimator")
        .agg(
            pl.col("total_kwh").count().cast(pl.Int64).alias("n_estimated"),
            known_sum(pl.col(energies)),
        )
    )
    has_all = pl.col("n_estimated") == pl.col("n_jobs")
    return (
        by_estimator.join(of_group, on="name")
        .with_columns(
            pl.lit(level).alias("level"),
            *(pl.when(has_all).then(name).alias(name) for name in energies),
        )
        .drop("n_estimated")
    )


def is_named(name: str = "name") -> pl.Expr:
    """Whether a name is the name of one group: not `(...)` and not `others ...`."""
    return ~pl.col(name).str.contains(r"^\(|^others")


def _empty_rows(level: str, wanted: NameSelection, found: Collection[str]) -> pl.LazyFrame:
    """A row without energy for each wanted name that no job of the study belongs to."""
    absent = [] if wanted == "all" else sorted(set(wanted) - set(found))
    for name in absent:
        LOG.warning("levels: no job of the study belongs to %s %s", level, name)
    schema = {
        "level": pl.String(),
        "name": pl.String(),
        "n_jobs": pl.Int64(),
        "n_users": pl.Int64(),
    }
    return pl.LazyFrame([(level, name, 0, 0) for name in absent], schema, orient="row")


def _overhead_rows(energy: EnergyTables, model: ErrorModel) -> pl.LazyFrame:
    """Rows of the level `overhead`: one for each class of node time but `job`."""
    return totals_of_overhead(energy.nodes, energy.job_nodes, model).with_columns(
        pl.lit("overhead").alias("level"), pl.lit(0, pl.Int64).alias("n_jobs")
    )
