"""Readers' tables of the whole study: its summary, hardware and carbon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S
from footprint.core.vocabulary import (
    CARBON_CONVENTIONS,
    EMBODIED_FACTOR,
    HOURLY_FACTOR,
    MEASURED_METHOD,
    OVERHEAD_CLASSES,
)
from footprint.energy.job_count import JOB_COUNT_NOTE
from footprint.hardware import catalogue as descriptions
from footprint.levels.levels import LEVEL_HEADINGS, LEVELS
from footprint.report.tables.formats import Column, ReaderTable, total_columns
from footprint.totals.known_total import known_total

CLASS_NAMES = {
    "job": "Held by jobs",
    "stranded": "Stranded, beside a job",
    "idle": "Idle, without a job",
    "standby": "Standby",
    "unavailable": "Unavailable",
    "overhead": "Overhead",
    "unattributed": "Of unknown jobs",
    "no_data": "Without readings",
}
PHASE_NAMES = {
    "training_kwh": "Training of reported models",
    "inference_kwh": "Inference with them",
    "development_kwh": "Development",
    "unknown_kwh": "Unknown",
}

_SUMMARY_TYPES = {
    "group": pl.String(),
    "name": pl.String(),
    "n": pl.Int64(),
    "total_kwh": pl.Float64(),
    "total_low_kwh": pl.Float64(),
    "total_high_kwh": pl.Float64(),
    "measured_frac": pl.Float64(),
    "part_frac": pl.Float64(),
    "node_h": pl.Float64(),
    "is_total": pl.Boolean(),
}


def study_summary_table(
    levels: pl.DataFrame, node_energy: pl.DataFrame, ratio: pl.DataFrame
) -> ReaderTable:
    """Energy of the study by nodes, class, project, paper, and phase of the papers.

    Args:
        levels: `schemas.Levels`.
        node_energy: `schemas.NodeEnergy`.
        ratio: `schemas.PhaseRatio`.
    """
    measured = levels.filter(pl.col("method") == MEASURED_METHOD)
    rows = [
        _hardware_rows(node_energy),
        _class_rows(node_energy, measured),
        _project_and_paper_rows(measured),
        _phase_rows(ratio),
    ]
    empty = pl.DataFrame(schema=_SUMMARY_TYPES)
    return ReaderTable(
        name="study_summary",
        title="The study in numbers",
        note=(
            "Count: nodes; for jobs, projects and papers, jobs; for phases, "
            f"papers with R{_left_out(ratio)}. {JOB_COUNT_NOTE} "
            "Overhead: stranded, idle, standby and unavailable. "
            "Total: measured energy, and the estimate for the time without readings. Low and high: "
            "its 95 % interval, where it was computed. Measured: the part of the total that "
            "readings cover. Share: part of the energy of all nodes; for projects and papers, of "
            "the energy of all jobs; for phases, of the energy of these papers. Time of classes is "
            "that with readings."
        ),
        rows=pl.concat([empty, *rows], how="diagonal_relaxed").select(list(_SUMMARY_TYPES)),
        columns=[
            Column(name="name", header="What"),
            Column(name="n", header="Count", decimals=0),
            *total_columns(),
            Column(name="part_frac", header="Share", unit="%", decimals=1, scale=100),
            Column(name="node_h", header="Time", unit="node h", digits=3),
        ],
    )


def _node_sums(node_energy: pl.DataFrame) -> list[pl.Expr]:
    all_kwh = node_energy.select(sum_or_zero(known_total())).item()
    energy = known_sum(known_total())
    return [
        energy.alias("total_kwh"),
        quotient(sum_or_zero(pl.col("measured_kwh")), energy).alias("measured_frac"),
        (energy / (all_kwh if all_kwh > 0 else None)).cast(pl.Float64).alias("part_frac"),
        (sum_or_zero(pl.col("duration_s")) * H_PER_S).alias("node_h"),
    ]


def _hardware_rows(node_energy: pl.DataFrame) -> pl.DataFrame:
    sums = [pl.col("node").n_unique().cast(pl.Int64).alias("n"), *_node_sums(node_energy)]
    by_gpu = (
        node_energy.group_by("has_gpu")
        .agg(sums)
        .sort("has_gpu", descending=True)
        .with_columns(
            pl.when("has_gpu")
            .then(pl.lit("GPU nodes"))
            .otherwise(pl.lit("Other nodes"))
            .alias("name"),
            is_total=pl.lit(False),
        )
        .drop("has_gpu")
    )
    whole = node_energy.select(*sums).with_columns(name=pl.lit("All nodes"), is_total=pl.lit(True))
    rows = [by_gpu, whole.select(by_gpu.columns)] if len(node_energy) else [by_gpu]
    return pl.concat(rows).with_columns(group=pl.lit("Nodes"))


def _class_rows(node_energy: pl.DataFrame, measured: pl.DataFrame) -> pl.DataFrame:
    """Energy of each class and of the overhead; jobs also have their number and interval."""
    rows = node_energy.group_by(pl.col("class").cast(pl.String)).agg(_node_sums(node_energy))
    site = measured.filter(pl.col("level") == "site").select(
        pl.lit("job").alias("class"),
        pl.col("n_jobs").alias("n"),
        "total_low_kwh",
        "total_high_kwh",
    )
    of_overhead = node_energy.filter(pl.col("class").is_in(OVERHEAD_CLASSES))
    overhead = of_overhead.select(pl.lit("overhead").alias("class"), *_node_sums(node_energy)).head(
        1
    )
    return (
        pl.concat([rows, overhead.head(len(of_overhead))], how="vertical_relaxed")
        .sort(pl.col("class").cast(pl.Enum(list(CLASS_NAMES))))
        .join(site, on="class", how="left", maintain_order="left")
        .with_columns(
            pl.lit("Energy of the nodes by class").alias("group"),
            pl.col("class").replace(CLASS_NAMES).alias("name"),
            (pl.col("class") == "overhead").alias("is_total"),
            # jobs that overlap count energy of nodes again, under the gate `binary`
            *(
                pl.when(pl.col("total_kwh").is_between("total_low_kwh", "total_high_kwh")).then(end)
                for end in ("total_low_kwh", "total_high_kwh")
            ),
        )
        .drop("class")
    )


def _project_and_paper_rows(measured: pl.DataFrame) -> pl.DataFrame:
    """Energy of each project and paper."""
    order = pl.col("level").cast(pl.Enum(["project", "paper"]))
    site = measured.filter(pl.col("level") == "site")
    site_kwh = site.select(sum_or_zero(pl.col("total_kwh"))).item() or None
    return (
        measured.filter(pl.col("level").is_in(["project", "paper"]))
        .sort(order, "total_kwh", "name", descending=[False, True, False], nulls_last=True)
        .select(
            pl.col("level")
            .replace_strict(
                {
                    "project": "Energy of projects",
                    "paper": "Energy of papers",
                },
                return_dtype=pl.String,
            )
            .alias("group"),
            "name",
            pl.col("n_jobs").alias("n"),
            "total_kwh",
            "total_low_kwh",
            "total_high_kwh",
            "measured_frac",
            (pl.col("total_kwh") / pl.lit(site_kwh, pl.Float64)).alias("part_frac"),
            is_total=pl.lit(False),
        )
    )


def _left_out(ratio: pl.DataFrame) -> str:
    """Number of papers without R, as the end of a sentence; empty if all papers have one."""
    n_papers = len(ratio.filter(scope="paper"))
    n_without = n_papers - len(_with_ratio(ratio))
    return f" ({n_without} of {n_papers} papers have none and are left out)" if n_without else ""


def _with_ratio(ratio: pl.DataFrame) -> pl.DataFrame:
    """Papers with R. The phases of a paper without R would reveal the ratio that is withheld."""
    return ratio.filter(pl.col("scope") == "paper", pl.col("ratio").is_not_null())


def _phase_rows(ratio: pl.DataFrame) -> pl.DataFrame:
    """Energy of the papers with R by phase."""
    papers = _with_ratio(ratio)
    sums = papers.select(known_sum(pl.col(name)) for name in PHASE_NAMES)
    if papers.is_empty():
        return pl.DataFrame(schema=_SUMMARY_TYPES)
    values = sums.row(0)
    whole = sum(value for value in values if value is not None)
    return pl.DataFrame(
        {
            "group": ["Energy of papers by phase"] * len(values),
            "name": list(PHASE_NAMES.values()),
            "n": [int(papers[name].count()) for name in PHASE_NAMES],
            "total_kwh": values,
            "part_frac": [
                None if value is None or not whole > 0 else value / whole for value in values
            ],
            "is_total": [False] * len(values),
        },
        schema={name: _SUMMARY_TYPES[name] for name in _SUMMARY_TYPES if name in _PHASE_COLUMNS},
    )


_PHASE_COLUMNS = ("group", "name", "n", "total_kwh", "part_frac", "is_total")


def hardware_table(hardware: pl.DataFrame, node_power: pl.DataFrame) -> ReaderTable:
    """Hardware of each cluster, and the idle and highest power of its nodes.

    Args:
        hardware: `schemas.Hardware`.
        node_power: `schemas.NodePower` of the same clusters.
    """
    what = ["cluster", "cpu_model", "n_cpus", "n_cores", "memory_gb", "gpu_models", "gpu_limits_w"]
    n_models = pl.col("gpu_models").list.len()
    models = (
        pl.when(n_models > 0)
        .then(
            pl.when(pl.col("gpu_models").list.n_unique() == 1)
            .then(pl.format("{} × {}", n_models, pl.col("gpu_models").list.first()))
            .otherwise(pl.col("gpu_models").list.join(", "))
        )
        .alias("gpus")
    )
    n_cpus, limits = pl.col("n_cpus"), pl.col("gpu_limits_w")
    lacking = descriptions.unknown_hardware(descriptions.latest_hardware(hardware))
    rows = (
        descriptions.latest_hardware(hardware)
        .join(node_power.select("node", "idle_power_w", "max_power_w"), on="node", how="left")
        .group_by([*what, "tdp_w"])
        .agg(
            pl.len().cast(pl.Int64).alias("n_nodes"),
            pl.col("idle_power_w").median(),
            pl.col("max_power_w").median(),
            pl.col("max_power_w").count().cast(pl.Int64).alias("n_measured"),
        )
        .sort(*what, "tdp_w", nulls_last=True)
        .with_columns(
            pl.format("{} × {}", n_cpus, "cpu_model").alias("cpus"),
            (pl.col("tdp_w") * n_cpus).alias("cpu_tdp_w"),
            models,
            pl.when(limits.list.len() > 0, limits.list.drop_nulls().list.len() == limits.list.len())
            .then(limits.list.sum())
            .alias("gpu_limit_w"),
        )
    )
    watts = {
        "cpu_tdp_w": "TDP",
        "gpu_limit_w": "GPU limit",
        "idle_power_w": "Idle",
        "max_power_w": "Highest",
    }
    return ReaderTable(
        name="hardware",
        title="Hardware of the nodes, with idle and highest power",
        note=(
            "Nodes of a cluster with the same hardware, by their latest description, share a row. "
            "TDP: thermal design power of all sockets. GPU limit: sum of the default power limits "
            "of all GPUs. Idle and highest: power of the node (5th percentile without a job, "
            "99.5th percentile of all), as the median over the nodes with readings; a dash means "
            "no readings. Cores are physical, a GB is 2^30 bytes."
            + (f" The catalogue lacks: {'; '.join(lacking)}." if lacking else "")
        ),
        rows=rows,
        columns=[
            Column(name="cluster", header="Cluster"),
            Column(name="n_nodes", header="Nodes", decimals=0),
            Column(name="n_measured", header="With readings", decimals=0, printed=False),
            Column(name="cpus", header="Processors"),
            Column(name="n_cores", header="Cores", decimals=0, printed=False),
            Column(name="memory_gb", header="Memory", unit="GB", decimals=0, printed=False),
            Column(name="gpus", header="GPUs"),
            *(
                Column(name=name, header=header, unit="W", decimals=0, printed=name != "cpu_tdp_w")
                for name, header in watts.items()
            ),
        ],
    )


def carbon_table(
    carbon: pl.DataFrame,
    *,
    pue: float,
    factors: Sequence[Mapping[str, Any]],
    embodied: Mapping[str, Any] | None,
) -> ReaderTable:
    """Carbon of each level, one column for each factor.

    Args:
        carbon: `schemas.Carbon`.
        pue: Power usage effectiveness in `carbon`.
        factors: `carbon.factors` of the configuration; the note has their sources.
        embodied: `carbon.embodied` of the configuration; the note has its assumptions.
    """
    order = pl.col("level").cast(pl.Enum(LEVELS))
    by_factor = carbon.filter(pl.col("level") == "site").sort(
        pl.col("convention").cast(pl.Enum(CARBON_CONVENTIONS)), "g_per_kwh", "factor"
    )
    names = by_factor["factor"].unique(maintain_order=True).to_list()
    energy = carbon.group_by("level", "name").agg(pl.col("total_kwh").drop_nulls().first())
    rows = energy
    for place, name in enumerate(names):
        own = carbon.filter(pl.col("factor") == name)
        rows = rows.join(
            own.select("level", "name", pl.col("carbon_kg").alias(f"factor_{place}")),
            on=["level", "name"],
            how="left",
        )
    return ReaderTable(
        name="carbon",
        title="Carbon of each level, by named factors",
        note=" ".join(_carbon_notes(by_factor, pue=pue, factors=factors, embodied=embodied)),
        rows=rows.filter(pl.col("level").is_in(["site", "overhead", "project", "paper"]))
        .sort(order, "total_kwh", "name", descending=[False, True, False], nulls_last=True)
        .with_columns(
            pl.col("level").replace_strict(LEVEL_HEADINGS, return_dtype=pl.String).alias("group"),
            (pl.col("level") == "site").alias("is_total"),
        ),
        columns=[
            Column(name="name", header="Name"),
            Column(name="total_kwh", header="Total", unit="kWh", digits=3),
            *(
                Column(
                    name=f"factor_{place}",
                    header=_factor_header(name),
                    unit="kg",
                    digits=3,
                )
                for place, name in enumerate(names)
            ),
        ],
    )


def _factor_header(factor: str) -> str:
    return {HOURLY_FACTOR: "By own hours", EMBODIED_FACTOR: "Embodied"}.get(factor, factor)


def _carbon_notes(
    by_factor: pl.DataFrame,
    *,
    pue: float,
    factors: Sequence[Mapping[str, Any]],
    embodied: Mapping[str, Any] | None,
) -> list[str]:
    cooling = "1, so without cooling" if pue == 1 else f"{pue:g}"
    notes = [
        "kg of CO2 equivalent: total energy, measured and estimated, × PUE × factor. PUE is "
        f"{cooling}. A direct factor counts the fuel burnt, a life-cycle factor the plants as "
        "well; the two cannot be compared, and no range covers both. A dash: the "
        "energy is unknown."
    ]
    for factor in factors:
        kind = factor["convention"].replace("_", " ")
        notes.append(
            f"{factor['name']}: {factor['g_per_kwh']:g} g/kWh, {kind}; {factor['source']}."
        )
    hours = by_factor.filter(pl.col("factor") == HOURLY_FACTOR)
    for g_per_kwh, known in hours.select("g_per_kwh", "energy_frac").drop_nulls().iter_rows():
        notes.append(
            f"By own hours: RTE's eCO2mix (direct) at the hours of each job, with constant power; "
            f"{g_per_kwh:.1f} g/kWh for the site, known for {100 * known:.1f} % of its energy and "
            "assumed for the rest."
        )
    if embodied is not None:
        notes.append(
            f"Embodied: {embodied['kg_per_gpu_node']:g} kg for making a GPU node and "
            f"{embodied['kg_per_cpu_node']:g} kg for another, spread over "
            f"{embodied['lifetime_y']:g} years and counted by allocated time; {embodied['source']}."
        )
    return notes
