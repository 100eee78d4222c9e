"""From jobs to levels: the site, its offset, queues, projects, people and papers.

Two rules hold at every level. *Nothing is lost*: the rows of a level that parts the site (queue,
project, user) add up to the row of the site; what is not shown by name is one row of its own.
*Nobody stands out*: a group of fewer people than the minimum is shown only when each of them asked
for it, by being named in `levels.users`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Literal

import polars as pl

from footprint import uncertainty
from footprint.errors import InputError
from footprint.job_count import holds_node
from footprint.summation import known_sum, quotient, total
from footprint.tables import OFFSET_CLASSES
from footprint.units import H_PER_S

LOG = logging.getLogger(__name__)

HEADINGS = {
    "site": "Site",
    "offset": "Beside the jobs",
    "queue": "Queues",
    "project": "Projects",
    "user": "People",
    "paper": "Papers",
}
"""Every level, with what readers call it."""
LEVELS = tuple(HEADINGS)
REDISTRIBUTIONS = ("none", "energy", "resource_hours", "users")
METHOD = "bmc"

OTHERS = "(others)"
SMALL_GROUPS = "others (small groups)"
NO_PROJECT = "(no project)"
NO_QUEUE = "(no queue)"

Wanted = Collection[str] | Literal["all"]

_MEASURES = (
    "n_jobs",
    "n_users",
    "energy_kwh",
    "energy_low_kwh",
    "energy_high_kwh",
    "coverage_frac",
    "imputed_kwh",
    "unmeasured_node_h",
    "gpu_node_frac",
    "gpu_hours",
    "core_hours",
    "offset_kwh",
)


def levels(
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    node_energy: pl.LazyFrame,
    papers: pl.LazyFrame,
    estimates: pl.LazyFrame,
    *,
    site: str,
    projects: Wanted,
    users: Wanted,
    papers_wanted: Wanted,
    redistribution: str,
    minimum_group: int,
) -> pl.LazyFrame:
    """Energy at each level of the study, by each method (`tables.Levels`).

    Energies and coverage are sums over the level's rows of `job_nodes`; the interval is
    `uncertainty.combine` of them, centred on `energy_kwh + imputed_kwh` and never below 0. A row of
    `job_nodes` whose imputed energy is unknown takes part with its measured energy alone, so the
    interval is that of what is known: `unmeasured_node_h` and `coverage_frac` say what it leaves
    out. Jobs that held no node of the study are not counted.

    An estimator's `energy_kwh` is of the time that was measured, so that it compares with the
    measurement; its `imputed_kwh` is of the rest. Both are null where it cannot tell of some job.

    Args:
        job_energy: `tables.JobEnergy`; its users are pseudonyms.
        job_nodes: `tables.JobNodeEnergy` of the same jobs.
        node_energy: `tables.NodeEnergy`.
        papers: `job_id`, `paper` (see `labels.table`).
        estimates: `tables.Estimates`.
        site: Name of the site.
        projects: Names to show, or `all`. The rest is one row, `(others)`.
        users: Pseudonyms of the people who asked to be shown, or `all` for a row a person; groups
            smaller than the minimum stay hidden under `all`, since it names nobody.
        papers_wanted: Names to show, or `all`.
        redistribution: How the offset energy is given to jobs, and by them to every level (see
            `offset_of_jobs`); `none` leaves `offset_kwh` null.
        minimum_group: Fewest people of a queue, project or paper shown by name without their
            asking. Smaller ones are merged into `others (small groups)`, and if that row has too
            few people itself, the smallest of the larger ones with them.

    Raises:
        InputError: An unknown `redistribution`.
    """
    jobs, nodes = _facts(job_energy, job_nodes, papers, node_energy, redistribution, site)
    asked = frozenset() if users == "all" else frozenset(users)
    people = {level: _people(jobs, level) for level in LEVELS if level != "offset"}
    shown = {
        "site": {name: name for name in people["site"]},
        "queue": _names("queue", people["queue"], "all", asked, minimum_group),
        "project": _names("project", people["project"], projects, asked, minimum_group),
        "user": _names("user", people["user"], users, asked, 1),
        "paper": _names("paper", people["paper"], papers_wanted, asked, minimum_group),
    }
    wanted: dict[str, Wanted] = {
        "site": [site],
        "project": projects,
        "user": users,
        "paper": papers_wanted,
    }
    rows = [_level(jobs, nodes, level, names) for level, names in shown.items()]
    rows += [_estimated(jobs, estimates, level, names) for level, names in shown.items()]
    rows += [_missing(level, names, people[level]) for level, names in wanted.items()]
    rows.append(_offset(node_energy))
    order = pl.col("level").cast(pl.Enum(LEVELS))
    return (
        pl.concat(rows, how="diagonal")
        .select("level", "name", pl.col("method").fill_null(METHOD), *_MEASURES)
        .sort(order, "name", "method")
    )


def offset_of_jobs(
    jobs: pl.LazyFrame, job_nodes: pl.LazyFrame, node_energy: pl.LazyFrame, *, redistribution: str
) -> pl.LazyFrame:
    """Part of the offset energy that each job is given; the parts add up to all of it.

    The offset energy is that of the classes stranded, idle, standby and unavailable. It is given

    - `energy`: in proportion to the measured energy of jobs;
    - `resource_hours`: that of GPU nodes in proportion to GPU hours held on GPU nodes, that of
      other nodes in proportion to core hours held on other nodes. When nobody held nodes of one
      sort, its offset energy follows the hours on the other;
    - `users`: to every active user (one whose job held a node) alike, and among the jobs of a user
      in proportion to node hours held (share x time).

    Where a rule has nothing to go by (no energy measured, no hours), each user is given the same,
    and where a user's jobs held no time, each job of theirs.

    Args:
        jobs: `job_id`, `user`, one row for each job that held a node.
        job_nodes: `tables.JobNodeEnergy` of these jobs.
        node_energy: `tables.NodeEnergy`.
        redistribution: One of `REDISTRIBUTIONS` but `none`.

    Returns:
        `job_id`, `offset_kwh`.
    """
    offset = node_energy.filter(pl.col("class").is_in(OFFSET_CLASSES))
    gpu, energy = pl.col("has_gpu"), pl.col("energy_kwh")
    pools = offset.select(
        total(energy.filter(gpu)).alias("gpu_pool"), total(energy.filter(~gpu)).alias("cpu_pool")
    )
    held = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    weights = job_nodes.group_by("job_id").agg(
        total(energy).alias("w_energy"),
        total(pl.col("gpu_hours").filter(gpu)).alias("w_gpu"),
        total(pl.col("core_hours").filter(~gpu)).alias("w_cpu"),
        total(held).alias("w_held"),
    )
    of_user = _part(pl.col("w_held"), pl.len(), over="user")
    by_user = of_user / pl.col("user").n_unique()
    by_energy, by_gpu, by_cpu = (_part(pl.col(w), None) for w in ("w_energy", "w_gpu", "w_cpu"))
    both = pl.col("gpu_pool") + pl.col("cpu_pool")
    given = {
        "energy": both * pl.coalesce(by_energy, by_user),
        "resource_hours": pl.col("gpu_pool") * pl.coalesce(by_gpu, by_cpu, by_user)
        + pl.col("cpu_pool") * pl.coalesce(by_cpu, by_gpu, by_user),
        "users": both * by_user,
    }[redistribution]
    return (
        jobs.select("job_id", "user")
        .join(weights, on="job_id", how="left")
        .with_columns(pl.col("w_energy", "w_gpu", "w_cpu", "w_held").fill_null(0.0))
        .sort("job_id")
        .join(pools, how="cross")
        .select("job_id", given.alias("offset_kwh"))
    )


def _part(weight: pl.Expr, count: pl.Expr | None, *, over: str | None = None) -> pl.Expr:
    """A weight over the sum of weights; where that is 0, 1 / `count`, or null without a count."""
    whole = total(weight) if over is None else total(weight).over(over)
    equal = None if count is None else 1.0 / (count if over is None else count.over(over))
    return pl.when(whole > 0).then(weight / whole).otherwise(equal)


def _facts(
    job_energy: pl.LazyFrame,
    job_nodes: pl.LazyFrame,
    papers: pl.LazyFrame,
    node_energy: pl.LazyFrame,
    redistribution: str,
    site: str,
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Jobs that held a node, with a column a level, and what they held, computed once."""
    if redistribution not in REDISTRIBUTIONS:
        raise InputError(
            f"unknown redistribution {redistribution!r}",
            where="levels.redistribution",
            do=f"use {', '.join(REDISTRIBUTIONS)}",
        )
    jobs = (
        job_energy.filter(holds_node())
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
        jobs = jobs.with_columns(pl.lit(None, pl.Float64).alias("offset_kwh"))
    else:
        given = offset_of_jobs(jobs, job_nodes, node_energy, redistribution=redistribution)
        jobs = jobs.join(given, on="job_id", how="left")
    jobs = jobs.collect().lazy()
    nodes = job_nodes.join(
        jobs.select("job_id", "site", "user", "queue", "project", "paper"), on="job_id"
    )
    return jobs, nodes.collect().lazy()


def _people(jobs: pl.LazyFrame, level: str) -> dict[str, set[str]]:
    """People behind each name of a level."""
    pairs = jobs.select(pl.col(level).alias("name"), pl.col("user").alias("person"))
    pairs = pairs.drop_nulls().unique().sort("name", "person")
    groups = pairs.group_by("name").agg("person").collect()
    return {name: set(persons) for name, persons in groups.iter_rows()}


def _names(
    level: str,
    people: Mapping[str, set[str]],
    wanted: Wanted,
    asked: frozenset[str],
    minimum: int,
) -> dict[str, str]:
    """Name under which each group of a level is shown.

    A level that parts the site keeps the groups that are not wanted, as one row; papers do not part
    it, and those not wanted are left out.
    """
    rest = SMALL_GROUPS if wanted == "all" or level == "paper" else OTHERS
    named = set(people) if wanted == "all" else set(people) & set(wanted)
    small = {name for name in named if len(people[name]) < minimum and not people[name] <= asked}
    if small and wanted != "all":
        for name in sorted(small):
            LOG.warning(
                "%s %s has fewer than privacy.minimum_group = %d people: it is part of `%s` unless "
                "each of them is named in levels.users",
                level,
                name,
                minimum,
                rest,
            )
    hidden = small if level == "paper" else small | (set(people) - named)
    # One small group alone among the others would still be one small group.
    for name in sorted(named - small, key=lambda name: (len(people[name]), name)):
        together = set().union(*(people[other] for other in hidden))
        if not hidden or len(together) >= minimum or together <= asked:
            break
        if not people[name] <= asked:
            hidden.add(name)
    return {name: rest if name in hidden else name for name in sorted(named | hidden)}


def _level(
    jobs: pl.LazyFrame, nodes: pl.LazyFrame, level: str, names: Mapping[str, str]
) -> pl.LazyFrame:
    """Rows of one level: a row for each name that `names` gives to a group."""
    label = _shown(level, names)
    jobs, nodes = (
        frame.with_columns(label.alias("name")).filter(pl.col("name").is_not_null())
        for frame in (jobs, nodes)
    )
    energy, imputed = pl.col("energy_kwh"), pl.col("imputed_kwh")
    held_s = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    covered_s = held_s * pl.col("coverage_frac").fill_null(0.0)
    measured = nodes.group_by("name").agg(
        known_sum(energy).alias("energy_kwh"),
        known_sum(imputed).alias("imputed_kwh"),
        (total(energy) + total(imputed)).alias("centre_kwh"),
        quotient(total(covered_s), total(held_s)).clip(0.0, 1.0).alias("coverage_frac"),
        (total(held_s.filter(energy.is_null())) * H_PER_S).alias("unmeasured_node_h"),
        _gpu_node_frac().alias("gpu_node_frac"),
    )
    counted = jobs.group_by("name").agg(
        pl.len().cast(pl.Int64).alias("n_jobs"),
        pl.col("user").n_unique().cast(pl.Int64).alias("n_users"),
        total(pl.col("gpu_hours")),
        total(pl.col("core_hours")),
        known_sum(pl.col("offset_kwh")).alias("offset_kwh"),
    )
    half = pl.col("half_width_kwh")
    return (
        counted.join(measured, on="name", how="left")
        .join(uncertainty.combine(nodes, by=["name"]), on="name", how="left")
        .with_columns(
            pl.lit(level).alias("level"),
            (pl.col("centre_kwh") - half).clip(lower_bound=0.0).alias("energy_low_kwh"),
            (pl.col("centre_kwh") + half).alias("energy_high_kwh"),
        )
        .select("level", "name", *_MEASURES)
    )


def _shown(level: str, names: Mapping[str, str]) -> pl.Expr:
    """Name under which the group of a job or node is shown; null: it is not."""
    return pl.col(level).replace_strict(
        list(names), list(names.values()), default=None, return_dtype=pl.String
    )


def _estimated(
    jobs: pl.LazyFrame, estimates: pl.LazyFrame, level: str, names: Mapping[str, str]
) -> pl.LazyFrame:
    """Rows of one level by each estimator, for the same jobs and the same names."""
    named = jobs.select("job_id", "user", name=_shown(level, names)).drop_nulls("name")
    of_group = named.group_by("name").agg(
        pl.len().cast(pl.Int64).alias("n_jobs"),
        pl.col("user").n_unique().cast(pl.Int64).alias("n_users"),
    )
    covered, whole = pl.col("covered_kwh"), pl.col("energy_kwh")
    told = (
        estimates.select("job_id", "estimator", "covered_kwh", "energy_kwh")
        .join(named, on="job_id")
        .group_by("name", method="estimator")
        .agg(
            covered.count().cast(pl.Int64).alias("n_told"),
            known_sum(covered).alias("energy_kwh"),
            known_sum(whole - covered).alias("imputed_kwh"),
        )
    )
    tells_all = pl.col("n_told") == pl.col("n_jobs")
    return (
        told.join(of_group, on="name")
        .with_columns(
            pl.lit(level).alias("level"),
            *(pl.when(tells_all).then(name).alias(name) for name in ("energy_kwh", "imputed_kwh")),
        )
        .drop("n_told")
    )


def _gpu_node_frac() -> pl.Expr:
    energy = pl.col("energy_kwh")
    return quotient(total(energy.filter("has_gpu")), total(energy)).clip(0.0, 1.0)


def is_named(name: str = "name") -> pl.Expr:
    """Whether a row is of a name: neither of what is left, nor of what has none."""
    return ~pl.col(name).str.contains(r"^\(|^others")


def _missing(level: str, wanted: Wanted, people: Collection[str]) -> pl.LazyFrame:
    """A row without energy for each wanted name that no job of the study bears."""
    absent = [] if wanted == "all" else sorted(set(wanted) - set(people))
    for name in absent:
        LOG.warning("levels: no job of the study belongs to %s %s", level, name)
    schema = {
        "level": pl.String(),
        "name": pl.String(),
        "n_jobs": pl.Int64(),
        "n_users": pl.Int64(),
    }
    return pl.LazyFrame([(level, name, 0, 0) for name in absent], schema, orient="row")


def _offset(node_energy: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each class of node time that is not a job's.

    Energies are those of the classes. Time without samples belongs to no class: it is the row
    `no_data`, whose node hours are in `unmeasured_node_h`, and includes that of jobs.
    """
    energy = pl.col("energy_kwh")
    hours, unmeasured = total(pl.col("duration_s")) * H_PER_S, pl.col("name") == "no_data"
    return (
        node_energy.filter(pl.col("class") != "job")
        .with_columns(pl.col("class").cast(pl.String).alias("name"))
        .group_by("name")
        .agg(
            known_sum(energy).alias("energy_kwh"),
            _gpu_node_frac().alias("gpu_node_frac"),
            hours.alias("unmeasured_node_h"),
        )
        .filter((pl.col("unmeasured_node_h") > 0) | (energy > 0))
        .with_columns(
            pl.lit("offset").alias("level"),
            pl.lit(0, pl.Int64).alias("n_jobs"),
            pl.when(unmeasured).then("unmeasured_node_h"),
        )
    )
