"""Energy of the site, the overhead, queues, projects, users and papers.

*Conservation* holds at every level: the rows of queues, projects and users each sum to the row of
the site; groups that are not shown by name (`selection`) are one row.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

import polars as pl

from footprint.core.errors import InputError
from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import (
    MEASURED_METHOD,
    NO_PROJECT,
    NameSelection,
)
from footprint.energy import uncertainty
from footprint.energy.energy_tables import EnergyTables
from footprint.energy.job_count import has_held_node
from footprint.levels.overhead import REDISTRIBUTIONS, redistribute_overhead
from footprint.levels.selection import LevelSelection

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
    "n_jobs",
    "n_users",
    "measured_kwh",
    "total_low_kwh",
    "total_high_kwh",
    "coverage_frac",
    "estimated_kwh",
    "unknown_node_h",
    "gpu_node_frac",
    "gpu_hours",
    "core_hours",
    "overhead_kwh",
)


def energy_by_level(
    energy: EnergyTables,
    papers: pl.LazyFrame,
    estimates: pl.LazyFrame,
    *,
    site: str,
    selection: LevelSelection,
    redistribution: str,
) -> pl.LazyFrame:
    """Energy at each level of the study, by each method (`schemas.Levels`).

    Energies and coverage are sums over the level's rows of `job_nodes`. The interval is
    `uncertainty.combine_half_widths` of these rows, centred on `measured_kwh + estimated_kwh`
    and never below 0. A row of `job_nodes` whose estimated energy is unknown counts with its
    measured energy alone, so the interval leaves out time that `unknown_node_h` and `coverage_frac`
    report. Jobs that held no node of the study are not counted.

    The `measured_kwh` of an estimator is for the measured time, to compare it with the measurement;
    its `estimated_kwh` is for the rest. Both are null where the estimator has no value for a job.

    Args:
        energy: Energy of the study; the users of jobs are pseudonyms.
        papers: `job_id`, `paper` (see `matching.labels_of_jobs`).
        estimates: `schemas.Estimates`.
        site: Name of the site.
        selection: Groups that are shown by name.
        redistribution: Rule that gives overhead energy to jobs, and so to every level (see
            `overhead.redistribute_overhead`); `none` leaves `overhead_kwh` null.

    Raises:
        InputError: An unknown `redistribution`.
    """
    jobs, nodes = _select_jobs(energy, papers, redistribution, site)
    people = {level: _people_by_name(jobs, level) for level in LEVELS if level != "overhead"}
    shown = {level: selection.shown_names(level, of_level) for level, of_level in people.items()}
    wanted = {level: selection.wanted_names(level) for level in people} | {"site": [site]}
    rows = [_measured_rows(jobs, nodes, level, names) for level, names in shown.items()]
    rows += [_estimated_rows(jobs, estimates, level, names) for level, names in shown.items()]
    rows += [_empty_rows(level, names, people[level]) for level, names in wanted.items()]
    rows.append(_overhead_rows(energy.nodes))
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
        jobs.select("job_id", "site", "user", "queue", "project", "paper"), on="job_id"
    )
    return jobs, nodes.collect().lazy()


def _people_by_name(jobs: pl.LazyFrame, level: str) -> dict[str, set[str]]:
    """People of each group of a level."""
    pairs = jobs.select(pl.col(level).alias("name"), pl.col("user").alias("person"))
    pairs = pairs.drop_nulls().unique().sort("name", "person")
    groups = pairs.group_by("name").agg("person").collect()
    return {name: set(persons) for name, persons in groups.iter_rows()}


def _measured_rows(
    jobs: pl.LazyFrame, nodes: pl.LazyFrame, level: str, names: Mapping[str, str]
) -> pl.LazyFrame:
    """Measured energy of one level, one row for each shown name."""
    shown_name = _shown_name(level, names)
    jobs, nodes = (
        frame.with_columns(shown_name.alias("name")).filter(pl.col("name").is_not_null())
        for frame in (jobs, nodes)
    )
    energy, imputed = pl.col("measured_kwh"), pl.col("estimated_kwh")
    held_s = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    covered_s = held_s * pl.col("coverage_frac").fill_null(0.0)
    measured = nodes.group_by("name").agg(
        known_sum(energy).alias("measured_kwh"),
        known_sum(imputed).alias("estimated_kwh"),
        (sum_or_zero(energy) + sum_or_zero(imputed)).alias("centre_kwh"),
        quotient(sum_or_zero(covered_s), sum_or_zero(held_s)).clip(0.0, 1.0).alias("coverage_frac"),
        (sum_or_zero(held_s.filter(energy.is_null())) * H_PER_S).alias("unknown_node_h"),
        _gpu_node_frac().alias("gpu_node_frac"),
    )
    counted = jobs.group_by("name").agg(
        pl.len().cast(pl.Int64).alias("n_jobs"),
        pl.col("user").n_unique().cast(pl.Int64).alias("n_users"),
        sum_or_zero(pl.col("gpu_hours")),
        sum_or_zero(pl.col("core_hours")),
        known_sum(pl.col("overhead_kwh")).alias("overhead_kwh"),
    )
    half = pl.col("half_width_kwh")
    return (
        counted.join(measured, on="name", how="left")
        .join(uncertainty.combine_half_widths(nodes, by=["name"]), on="name", how="left")
        .with_columns(
            pl.lit(level).alias("level"),
            (pl.col("centre_kwh") - half).clip(lower_bound=0.0).alias("total_low_kwh"),
            (pl.col("centre_kwh") + half).alias("total_high_kwh"),
        )
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
    covered, whole = pl.col("covered_kwh"), pl.col("energy_kwh")
    by_estimator = (
        estimates.select("job_id", "estimator", "covered_kwh", "energy_kwh")
        .join(named, on="job_id")
        .group_by("name", method="estimator")
        .agg(
            covered.count().cast(pl.Int64).alias("n_estimated"),
            known_sum(covered).alias("measured_kwh"),
            known_sum(whole - covered).alias("estimated_kwh"),
        )
    )
    has_all = pl.col("n_estimated") == pl.col("n_jobs")
    return (
        by_estimator.join(of_group, on="name")
        .with_columns(
            pl.lit(level).alias("level"),
            *(
                pl.when(has_all).then(name).alias(name)
                for name in ("measured_kwh", "estimated_kwh")
            ),
        )
        .drop("n_estimated")
    )


def _gpu_node_frac() -> pl.Expr:
    """Part of the energy that nodes with GPUs drew."""
    energy = pl.col("measured_kwh")
    return quotient(sum_or_zero(energy.filter("has_gpu")), sum_or_zero(energy)).clip(0.0, 1.0)


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


def _overhead_rows(node_energy: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of the level `overhead`: one for each class of node time but `job`.

    Time without samples is the row `no_data`, with its node hours in `unknown_node_h`; it
    includes time of jobs.
    """
    energy = pl.col("measured_kwh")
    hours, unmeasured = sum_or_zero(pl.col("duration_s")) * H_PER_S, pl.col("name") == "no_data"
    return (
        node_energy.filter(pl.col("class") != "job")
        .with_columns(pl.col("class").cast(pl.String).alias("name"))
        .group_by("name")
        .agg(
            known_sum(energy).alias("measured_kwh"),
            _gpu_node_frac().alias("gpu_node_frac"),
            hours.alias("unknown_node_h"),
        )
        .filter((pl.col("unknown_node_h") > 0) | (energy > 0))
        .with_columns(
            pl.lit("overhead").alias("level"),
            pl.lit(0, pl.Int64).alias("n_jobs"),
            pl.when(unmeasured).then("unknown_node_h"),
        )
    )
