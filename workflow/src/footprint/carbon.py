"""Carbon of the study's energies, as a range over named factors, and never as one number.

What a kWh emits depends on what is counted. *Direct* factors count the fuel that is burnt, *life
cycle* ones the plants as well; a range goes over factors of one convention, never over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from footprint import eco2mix
from footprint.gates import held_until
from footprint.levels import METHOD, NO_PROJECT, NO_QUEUE, OTHERS, SMALL_GROUPS
from footprint.summation import known_sum, quotient, total
from footprint.tables import OFFSET_CLASSES
from footprint.units import H_PER_S

BY_HOURS = "eco2mix"
EMBODIED = "embodied"
KG_PER_G = 1e-3
H_PER_YEAR = 365.25 * 24

_KEY = ["level", "name"]


@dataclass(frozen=True, kw_only=True)
class Energies:
    """The tables that carbon is computed from: `tables.Levels`, and what they were made of.

    `papers` has `job_id`, `paper`; `records` are `tables.Jobs`, for the times of jobs.
    """

    levels: pl.DataFrame
    job_energy: pl.DataFrame
    job_nodes: pl.DataFrame
    node_energy: pl.DataFrame
    papers: pl.DataFrame
    records: pl.DataFrame


def estimate(
    energies: Energies,
    *,
    factors: Sequence[Mapping[str, Any]],
    pue: float,
    start: datetime,
    end: datetime,
    intensity: pl.DataFrame | None = None,
    embodied: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Carbon of every measured level, by each factor (`tables.Carbon`).

    `carbon_kg = (energy_kwh + imputed_kwh) x pue x g_per_kwh / 1000`, the interval likewise. What
    was not measured at all has no energy, and no carbon.

    Args:
        energies: Tables of the study.
        factors: `name`, `convention` (`direct` or `life_cycle`), `g_per_kwh` of each.
        pue: Power usage effectiveness, as everywhere in the study.
        start: First moment of the study.
        end: The moment at which it is over.
        intensity: What `eco2mix.read` returns; None: no row by the jobs' own hours. The energy of a
            job is spread evenly over the time from its start to its end, inside the study; a job
            without an end holds its nodes until its walltime (`gates.held_until`). The energy of a
            node's class is spread over the day.
        embodied: `kg_per_gpu_node`, `kg_per_cpu_node`, `lifetime_y`: making a node counts by the
            part of its life that it was held, or stood idle. None: no such row.
    """
    base = energies.levels.filter(
        pl.col("method") == METHOD, (pl.col("level") != "offset") | (pl.col("name") != "no_data")
    ).select(
        *_KEY,
        pl.col("energy_kwh") + pl.col("imputed_kwh").fill_null(0.0),
        "energy_low_kwh",
        "energy_high_kwh",
    )
    rows = [_constant(base, factor) for factor in factors]
    members = _members(energies)
    if intensity is not None:
        hours = _by_hours(energies, members, intensity, start=start, end=end)
        rows.append(
            base.join(hours, on=_KEY, how="left").with_columns(
                factor=pl.lit(BY_HOURS), convention=pl.lit("direct")
            )
        )
    kg = pl.col("g_per_kwh") * KG_PER_G * pue
    found = pl.concat([base.clear().with_columns(**_EMPTY), *rows], how="diagonal").with_columns(
        (pl.col("energy_kwh") * kg).alias("carbon_kg"),
        (pl.col("energy_low_kwh") * kg).alias("carbon_low_kg"),
        (pl.col("energy_high_kwh") * kg).alias("carbon_high_kg"),
    )
    if embodied is not None:
        made = _embodied(energies, members, embodied)
        found = pl.concat([found, base.select(_KEY).join(made, on=_KEY)], how="diagonal")
    return found.drop("energy_low_kwh", "energy_high_kwh").sort(*_KEY, "factor")


_EMPTY = {
    name: pl.lit(None, dtype)
    for name, dtype in {
        "factor": pl.String(),
        "convention": pl.String(),
        "g_per_kwh": pl.Float64(),
        "energy_frac": pl.Float64(),
    }.items()
}


def _constant(base: pl.DataFrame, factor: Mapping[str, Any]) -> pl.DataFrame:
    return base.with_columns(
        factor=pl.lit(factor["name"]),
        convention=pl.lit(factor["convention"]),
        g_per_kwh=pl.lit(float(factor["g_per_kwh"])),
        energy_frac=pl.lit(1.0),
    )


def _members(energies: Energies) -> pl.DataFrame:
    """Jobs of each row of the levels: `level`, `name`, `job_id`.

    A group that is not shown by name belongs to the row of the others. Which papers that row holds
    is not known here, so it has no jobs.
    """
    measured = energies.levels.filter(pl.col("method") == METHOD)
    jobs = (
        energies.job_energy.filter(pl.col("n_nodes") > 0)
        .join(energies.papers.select("job_id", "paper"), on="job_id", how="left")
        .select(
            "job_id",
            pl.col("site"),
            pl.col("queue").fill_null(NO_QUEUE),
            pl.col("project").fill_null(NO_PROJECT),
            pl.col("user"),
            pl.col("paper"),
        )
    )
    parts = [
        jobs.select(
            pl.lit(level).alias("level"),
            _shown(level, measured.filter(pl.col("level") == level)["name"].to_list()),
            "job_id",
        )
        for level in ("site", "queue", "project", "user", "paper")
    ]
    return pl.concat(parts).drop_nulls("name")


def _shown(level: str, names: list[str]) -> pl.Expr:
    rest = next((name for name in (SMALL_GROUPS, OTHERS) if name in names), None)
    others = pl.lit(None, pl.String) if level == "paper" else pl.lit(rest, pl.String)
    own = pl.col(level)
    return pl.when(own.is_in(names)).then(own).otherwise(others).alias("name")


def _by_hours(
    energies: Energies,
    members: pl.DataFrame,
    intensity: pl.DataFrame,
    *,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Mean intensity of each level, weighted by energy, and the part of the energy it is of."""
    kwh = pl.col("energy_kwh") + pl.col("imputed_kwh").fill_null(0.0)
    times = energies.records.select(
        "job_id", pl.col("started_at").clip(start, end), held_until(end).clip(start, end)
    )
    jobs = (
        energies.job_energy.select("job_id", kwh.alias("kwh"))
        .join(times, on="job_id")
        .drop_nulls(["kwh", "started_at"])
    )
    of_jobs = members.join(eco2mix.mean_over(jobs, intensity), on="job_id")
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    days = (
        energies.node_energy.with_columns(pl.col("class").cast(pl.String).alias("name"))
        .filter(pl.col("name").is_in(OFFSET_CLASSES))
        .group_by("name", "day")
        .agg(total(pl.col("energy_kwh")).alias("kwh"))
        .with_columns(
            level=pl.lit("offset"), started_at=midnight, stopped_at=midnight + timedelta(days=1)
        )
    )
    of_classes = eco2mix.mean_over(days, intensity)
    columns = [*_KEY, "kwh", "g_per_kwh", "known_frac"]
    known_kwh = pl.col("kwh") * pl.col("known_frac").fill_null(0.0)
    g, of_known = pl.col("g_per_kwh"), pl.col("g_per_kwh").is_not_null()
    return (
        pl.concat([of_jobs.select(columns), of_classes.select(columns)])
        .group_by(_KEY)
        .agg(
            quotient(known_sum((known_kwh * g).filter(of_known)), total(known_kwh)).alias(
                "g_per_kwh"
            ),
            quotient(total(known_kwh), total(pl.col("kwh"))).clip(0.0, 1.0).alias("energy_frac"),
        )
    )


def _embodied(
    energies: Energies, members: pl.DataFrame, embodied: Mapping[str, Any]
) -> pl.DataFrame:
    """The part of making the nodes: node hours over the hours of a node's life."""
    held_s = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    held = members.join(
        energies.job_nodes.select("job_id", "has_gpu", held_s.alias("node_s")), on="job_id"
    ).select(*_KEY, "has_gpu", "node_s")
    classes = (
        energies.node_energy.with_columns(pl.col("class").cast(pl.String).alias("name"))
        .filter(pl.col("name").is_in(OFFSET_CLASSES))
        .select(pl.lit("offset").alias("level"), "name", "has_gpu", node_s="duration_s")
    )
    of_node = pl.when("has_gpu").then(pl.lit(float(embodied["kg_per_gpu_node"])))
    life_h = float(embodied["lifetime_y"]) * H_PER_YEAR
    kg = of_node.otherwise(pl.lit(float(embodied["kg_per_cpu_node"]))) * (H_PER_S / life_h)
    return (
        pl.concat([held, classes])
        .group_by(_KEY)
        .agg(total(pl.col("node_s") * kg).clip(lower_bound=0.0).alias("carbon_kg"))
        .with_columns(factor=pl.lit(EMBODIED), convention=pl.lit("embodied"))
    )


def bounds(carbon: pl.DataFrame, *, level: str, name: str, convention: str) -> pl.DataFrame:
    """Least and most of one row of the levels over the factors of one convention.

    Args:
        carbon: `tables.Carbon`.
        level: Level of the row.
        name: Its name.
        convention: `direct` or `life_cycle`.

    Returns:
        The rows of the two factors, or of the one that there is, the least first.
    """
    rows = carbon.filter(
        pl.col("level") == level, pl.col("name") == name, pl.col("convention") == convention
    )
    ordered = rows.drop_nulls("carbon_kg").sort("carbon_kg", "factor")
    return ordered.filter(pl.int_range(pl.len()).is_in([0, len(ordered) - 1]))
