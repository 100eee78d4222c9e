"""Carbon of each level of the study by named factors; a range over factors, never one number.

The emission of a kWh depends on the convention. *Direct* factors count the fuel that is burnt,
*life cycle* factors also count the plants. A range covers factors of one convention, never of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from footprint.allocation.node_allocations import held_until
from footprint.core.calendar import Window
from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import (
    EMBODIED_FACTOR,
    HOURLY_FACTOR,
    MEASURED_METHOD,
    NO_PROJECT,
    OTHERS,
    OVERHEAD_CLASSES,
    SMALL_GROUPS,
)
from footprint.levels import carbon_intensity
from footprint.levels.levels import NO_QUEUE
from footprint.totals.known_total import known_total

KG_PER_G = 1e-3
H_PER_YEAR = 365.25 * 24

_KEY_COLUMNS = ["level", "name"]


@dataclass(frozen=True, kw_only=True)
class CarbonInputs:
    """Tables that carbon is computed from.

    Attributes:
        levels: `schemas.Levels`.
        job_energy: `schemas.JobEnergy` that the levels were computed from.
        job_nodes: `schemas.JobNodeEnergy` that the levels were computed from.
        node_energy: `schemas.NodeEnergy` that the levels were computed from.
        papers: `job_id`, `paper`.
        records: `schemas.Jobs`, for the times of jobs.
    """

    levels: pl.DataFrame
    job_energy: pl.DataFrame
    job_nodes: pl.DataFrame
    node_energy: pl.DataFrame
    papers: pl.DataFrame
    records: pl.DataFrame


def carbon_of_levels(
    energies: CarbonInputs,
    *,
    factors: Sequence[Mapping[str, Any]],
    pue: float,
    window: Window,
    intensity: pl.DataFrame | None = None,
    embodied: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Carbon of every measured level by each factor, in kg (`schemas.Carbon`).

    `carbon_kg = total_kwh x pue x g_per_kwh / 1000`, the interval likewise. Energy and carbon are
    null where nothing is known, and lower bounds where `unknown_node_h` is above 0.

    Args:
        energies: Tables of the study.
        factors: `name`, `convention` (`direct` or `life_cycle`), `g_per_kwh` of each.
        pue: Power usage effectiveness of the study.
        window: Window of the study.
        intensity: Result of `eco2mix.read_intensity`; None: no row by the jobs' own hours.
            The energy of a job is spread evenly over the time from its start to its end, inside the
            study; a job without an end holds its nodes until its walltime
            (`node_allocations.held_until`). The energy of a node's class is spread over the day.
        embodied: `kg_per_gpu_node`, `kg_per_cpu_node`, `lifetime_y`: the production of a node
            counts by the part of its life that it was held or was overhead. None: no such row.
    """
    base = energies.levels.filter(
        pl.col("method") == MEASURED_METHOD,
        (pl.col("level") != "overhead") | (pl.col("name") != "no_data"),
    ).select(*_KEY_COLUMNS, *("total_kwh", "total_low_kwh", "total_high_kwh", "unknown_node_h"))
    rows = [_apply_factor(base, factor) for factor in factors]
    members = _jobs_of_levels(energies)
    if intensity is not None:
        hours = _intensity_by_hours(energies, members, intensity, window)
        rows.append(
            base.join(hours, on=_KEY_COLUMNS, how="left").with_columns(
                factor=pl.lit(HOURLY_FACTOR), convention=pl.lit("direct")
            )
        )
    kg = pl.col("g_per_kwh") * KG_PER_G * pue
    found = pl.concat(
        [base.clear().with_columns(**_EMPTY_COLUMNS), *rows], how="diagonal"
    ).with_columns(
        (pl.col("total_kwh") * kg).alias("carbon_kg"),
        (pl.col("total_low_kwh") * kg).alias("carbon_low_kg"),
        (pl.col("total_high_kwh") * kg).alias("carbon_high_kg"),
    )
    if embodied is not None:
        production = _embodied_carbon(energies, members, embodied)
        rows_of_levels = base.select(*_KEY_COLUMNS, "unknown_node_h").join(
            production, on=_KEY_COLUMNS
        )
        found = pl.concat([found, rows_of_levels], how="diagonal")
    return found.drop("total_low_kwh", "total_high_kwh").sort(*_KEY_COLUMNS, "factor")


_EMPTY_COLUMNS = {
    name: pl.lit(None, dtype)
    for name, dtype in {
        "factor": pl.String(),
        "convention": pl.String(),
        "g_per_kwh": pl.Float64(),
        "energy_frac": pl.Float64(),
    }.items()
}


def _apply_factor(base: pl.DataFrame, factor: Mapping[str, Any]) -> pl.DataFrame:
    return base.with_columns(
        factor=pl.lit(factor["name"]),
        convention=pl.lit(factor["convention"]),
        g_per_kwh=pl.lit(float(factor["g_per_kwh"])),
        energy_frac=pl.lit(1.0),
    )


def _jobs_of_levels(energies: CarbonInputs) -> pl.DataFrame:
    """Jobs of each row of the levels: `level`, `name`, `job_id`.

    A group that is not shown by name belongs to the row of the other groups. The row of other
    papers has no jobs, because its papers are unknown here.
    """
    measured = energies.levels.filter(pl.col("method") == MEASURED_METHOD)
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
            _shown_name(level, measured.filter(pl.col("level") == level)["name"].to_list()),
            "job_id",
        )
        for level in ("site", "queue", "project", "user", "paper")
    ]
    return pl.concat(parts).drop_nulls("name")


def _shown_name(level: str, names: list[str]) -> pl.Expr:
    """Name under which the group of a job is shown at a level; null: it is left out."""
    rest = next((name for name in (SMALL_GROUPS, OTHERS) if name in names), None)
    others = pl.lit(None, pl.String) if level == "paper" else pl.lit(rest, pl.String)
    own = pl.col(level)
    return pl.when(own.is_in(names)).then(own).otherwise(others).alias("name")


def _intensity_by_hours(
    energies: CarbonInputs,
    members: pl.DataFrame,
    intensity: pl.DataFrame,
    window: Window,
) -> pl.DataFrame:
    """Mean carbon intensity of each row of the levels, weighted by energy.

    Returns:
        `level`, `name`, `g_per_kwh`, `energy_frac` (part of the energy with a known intensity).
    """
    times = energies.records.select(
        "job_id", pl.col("started_at").clip(*window), held_until(window.end).clip(*window)
    )
    jobs = (
        energies.job_energy.select("job_id", kwh=known_total())
        .join(times, on="job_id")
        .drop_nulls(["kwh", "started_at"])
    )
    of_jobs = members.join(carbon_intensity.mean_intensity(jobs, intensity), on="job_id")
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    days = (
        energies.node_energy.with_columns(pl.col("class").cast(pl.String).alias("name"))
        .filter(pl.col("name").is_in(OVERHEAD_CLASSES))
        .group_by("name", "day")
        .agg(kwh=sum_or_zero(known_total()))
        .with_columns(
            level=pl.lit("overhead"), started_at=midnight, stopped_at=midnight + timedelta(days=1)
        )
    )
    of_classes = carbon_intensity.mean_intensity(days, intensity)
    columns = [*_KEY_COLUMNS, "kwh", "g_per_kwh", "known_frac"]
    known_kwh = pl.col("kwh") * pl.col("known_frac").fill_null(0.0)
    g, of_known = pl.col("g_per_kwh"), pl.col("g_per_kwh").is_not_null()
    return (
        pl.concat([of_jobs.select(columns), of_classes.select(columns)])
        .group_by(_KEY_COLUMNS)
        .agg(
            quotient(known_sum((known_kwh * g).filter(of_known)), sum_or_zero(known_kwh)).alias(
                "g_per_kwh"
            ),
            quotient(sum_or_zero(known_kwh), sum_or_zero(pl.col("kwh")))
            .clip(0.0, 1.0)
            .alias("energy_frac"),
        )
    )


def _embodied_carbon(
    energies: CarbonInputs, members: pl.DataFrame, embodied: Mapping[str, Any]
) -> pl.DataFrame:
    """Carbon of producing nodes: kg of a node x node hours / hours of a node's life."""
    held_s = pl.col("share").fill_null(0.0) * pl.col("duration_s")
    held = members.join(
        energies.job_nodes.select("job_id", "has_gpu", held_s.alias("node_s")), on="job_id"
    ).select(*_KEY_COLUMNS, "has_gpu", "node_s")
    classes = (
        energies.node_energy.with_columns(pl.col("class").cast(pl.String).alias("name"))
        .filter(pl.col("name").is_in(OVERHEAD_CLASSES))
        .select(pl.lit("overhead").alias("level"), "name", "has_gpu", node_s="duration_s")
    )
    of_node = pl.when("has_gpu").then(pl.lit(float(embodied["kg_per_gpu_node"])))
    life_h = float(embodied["lifetime_y"]) * H_PER_YEAR
    kg = of_node.otherwise(pl.lit(float(embodied["kg_per_cpu_node"]))) * (H_PER_S / life_h)
    return (
        pl.concat([held, classes])
        .group_by(_KEY_COLUMNS)
        .agg(sum_or_zero(pl.col("node_s") * kg).clip(lower_bound=0.0).alias("carbon_kg"))
        .with_columns(factor=pl.lit(EMBODIED_FACTOR), convention=pl.lit("embodied"))
    )
