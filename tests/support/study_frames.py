"""Small tables of an invented study, for tests of levels, figures and readers' tables.

They obey the schemas and conserve energy. `invented_study` draws random jobs on nodes of three
clusters; one cluster has no power readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from footprint.core.vocabulary import KINDS
from footprint.energy.energy_tables import EnergyTables
from footprint.schemas.energy import JobEnergy, JobNodeEnergy, NodeEnergy, Quality
from footprint.schemas.estimates import Estimates
from footprint.schemas.validation import SimulationCheck
from footprint.schemas.writing import conform
from footprint.totals.error_model import ErrorModel

START = datetime(2025, 3, 3, tzinfo=UTC)
CLUSTERS = {"graffiti": (4, True), "gros": (6, False), "grappe": (2, False)}
UNMEASURED = "grappe"
ERROR_MODEL = ErrorModel.of_study(None, {"low": 0.95, "high": 1.15, "correlation": 0.5})
PARTS = ("own_readings_kwh", "same_job_kwh", "virtual_meter_kwh", "hardware_kwh")
PROVENANCE = "nancy · 3 to 16 March 2025 · simulated site · footprint 0.1.0"


@dataclass(frozen=True)
class StudyFrames:
    """Tables of a study, by the names of the rules' inputs."""

    job_energy: pl.DataFrame
    job_nodes: pl.DataFrame
    node_energy: pl.DataFrame
    quality: pl.DataFrame
    papers: pl.DataFrame
    check: pl.DataFrame
    estimates: pl.DataFrame

    @property
    def energy(self) -> EnergyTables:
        return EnergyTables(self.job_energy.lazy(), self.job_nodes.lazy(), self.node_energy.lazy())


def job_node_row(job_id: int, node: str, measured_kwh: float | None, **columns: object) -> dict:
    """Row of `schemas.JobNodeEnergy`; by default of a whole node for a measured hour."""
    row: dict[str, object] = {
        "job_id": job_id,
        "node": node,
        "cluster": node.rpartition("-")[0],
        "has_gpu": node.startswith("graffiti"),
        "share": 1.0,
        "duration_s": 3600.0,
        "gpu_hours": 4.0 if node.startswith("graffiti") else 0.0,
        "core_hours": 16.0,
        "measured_kwh": measured_kwh,
        "estimated_kwh": None if measured_kwh is None else 0.0,
    }
    row |= columns
    measured = measured_kwh is not None
    row["covered_s"] = row.get("covered_s", row["duration_s"] if measured else 0.0)
    row["coverage_frac"] = row["covered_s"] / row["duration_s"] if row["duration_s"] else None
    for part in ("resolution_kwh", "sampling_kwh", "gap_kwh"):
        row.setdefault(part, 0.0 if measured else None)
    return row | _totals_of_row(row)


def _totals_of_row(row: dict[str, object]) -> dict[str, object]:
    """Totals; an estimate is from the node's readings, or from its hardware if it has none."""
    measured, estimated = row["measured_kwh"], row["estimated_kwh"]
    parts = dict.fromkeys(PARTS, None if estimated is None else 0.0)
    parts |= {name: row[name] for name in PARTS if name in row}
    if estimated and not any(parts.values()):
        parts["hardware_kwh" if measured is None else "own_readings_kwh"] = estimated
    missing_h = row["share"] * (row["duration_s"] - row["covered_s"]) / 3600
    total = None if estimated is None else (measured or 0.0) + estimated
    largest = max(parts, key=lambda name: parts[name] or 0.0)
    basis = largest.removesuffix("_kwh") if estimated else "none"
    return parts | {
        "unknown_node_h": row.get("unknown_node_h", missing_h if estimated is None else 0.0),
        "total_kwh": total,
        "total_low_kwh": row.get("total_low_kwh", total),
        "total_high_kwh": row.get("total_high_kwh", total),
        "measured_frac": (measured or 0.0) / total if total else None,
        "estimate_basis": None if estimated is None else basis,
    }


def job_nodes_frame(rows: list[dict]) -> pl.DataFrame:
    return conform(JobNodeEnergy, pl.DataFrame(rows, infer_schema_length=None))


def job_energy_frame(job_nodes: pl.DataFrame, owners: list[dict]) -> pl.DataFrame:
    """`schemas.JobEnergy` of jobs whose owners are rows of job_id, user, project, queue."""
    sums = job_nodes.group_by("job_id", maintain_order=True).agg(
        pl.col("cluster").unique().sort().alias("clusters"),
        pl.col("duration_s").max(),
        pl.col("gpu_hours").sum(),
        pl.col("core_hours").sum(),
        pl.len().cast(pl.Int64).alias("n_nodes"),
        pl.when(pl.col("measured_kwh").count() > 0).then(pl.col("measured_kwh").sum()),
        pl.when(pl.col("estimated_kwh").count() > 0).then(pl.col("estimated_kwh").sum()),
        (pl.col("share") * pl.col("covered_s")).sum().alias("covered"),
        (pl.col("share") * pl.col("duration_s")).sum().alias("held"),
        pl.when(pl.col("total_low_kwh").count() > 0).then(pl.col("total_low_kwh").sum()),
        pl.when(pl.col("total_high_kwh").count() > 0).then(pl.col("total_high_kwh").sum()),
        *(pl.when(pl.col(p).is_not_null().all()).then(pl.col(p).sum()) for p in PARTS),
        pl.col("unknown_node_h").sum(),
        pl.when(pl.col("total_kwh").is_not_null().all()).then(pl.col("total_kwh").sum()),
    )
    nothing = {
        "duration_s": 0.0,
        "gpu_hours": 0.0,
        "core_hours": 0.0,
        "n_nodes": 0,
        "started_at": START,
        "unknown_node_h": 0.0,
    }
    frame = (
        pl.DataFrame(owners, infer_schema_length=None)
        .join(sums, on="job_id", how="left")
        .with_columns(
            *(
                pl.col(name).fill_null(value)
                for name, value in nothing.items()
                if name != "started_at"
            ),
            pl.col("clusters").fill_null([]),
            pl.lit("nancy").alias("site"),
        )
    )
    if "started_at" not in frame.columns:
        frame = frame.with_columns(pl.lit(START).alias("started_at"))
    coverage = pl.when(pl.col("held") > 0).then(pl.col("covered") / pl.col("held")).clip(0.0, 1.0)
    total = pl.col("total_kwh")
    largest = pl.max_horizontal(PARTS)
    basis = pl.coalesce(
        pl.when((pl.col(name) == largest) & (largest > 0)).then(pl.lit(name.removesuffix("_kwh")))
        for name in PARTS
    )
    if "similar" not in frame.columns:
        frame = frame.with_columns(similar=pl.int_range(1, pl.len() + 1))
    return conform(
        JobEnergy,
        frame.with_columns(
            pl.when(total > 0)
            .then(pl.col("measured_kwh").fill_null(0.0) / total)
            .clip(0.0, 1.0)
            .alias("measured_frac"),
            pl.when(total.is_not_null()).then(basis.fill_null("none")).alias("estimate_basis"),
            (pl.col("started_at") + pl.duration(seconds="duration_s")).alias("stopped_at"),
            coverage.alias("coverage_frac"),
            (coverage * pl.col("duration_s")).fill_null(0.0).alias("covered_s"),
            pl.lit(None, pl.Float64).alias("mean_power_w"),
            pl.lit([], pl.List(pl.String)).alias("flags"),
        ),
    )


def node_energy_frame(
    rows: list[tuple[str, date, str, float | None, float]],
    *,
    estimated: dict[tuple[str, str], float] | None = None,
    unknown_h: float | None = None,
) -> pl.DataFrame:
    """`schemas.NodeEnergy` from rows of node, day, class, kWh, hours.

    Args:
        rows: The rows.
        estimated: Estimated energy (kWh) by node and class; else 0.
        unknown_h: Unknown time of each row of `no_data`; None: all of its time.
    """
    columns = ("node", "day", "class", "measured_kwh", "duration_s")
    frame = pl.DataFrame(
        [dict(zip(columns, (*row[:4], row[4] * 3600), strict=True)) for row in rows],
        schema={
            "node": pl.String,
            "day": pl.Date,
            "class": pl.String,
            "measured_kwh": pl.Float64,
            "duration_s": pl.Float64,
        },
    )
    is_no_data = pl.col("class") == "no_data"
    hours = pl.col("duration_s") / 3600 if unknown_h is None else pl.lit(unknown_h)
    estimates = [(estimated or {}).get((row[0], row[2]), 0.0) for row in rows]
    frame = frame.with_columns(
        pl.col("node").str.replace(r"-\d+$", "").alias("cluster"),
        pl.col("node").str.starts_with("graffiti").alias("has_gpu"),
        pl.lit(0.0).alias("overcount_kwh"),
        pl.lit(0.0).alias("left_out_kwh"),
        pl.Series("estimated_kwh", estimates, dtype=pl.Float64),
        pl.when(is_no_data).then(hours).otherwise(0.0).alias("unknown_node_h"),
    ).with_columns(
        pl.when(~is_no_data).then("estimated_kwh").alias("estimated_kwh"),
        pl.when(~is_no_data)
        .then(pl.col("measured_kwh").fill_null(0.0) + pl.col("estimated_kwh"))
        .alias("total_kwh"),
    )
    return conform(NodeEnergy, frame)


def invented_study(*, seed: int = 1, n_jobs: int = 400, days: int = 14) -> StudyFrames:
    """Study of `days` days: jobs of 30 people in 4 projects, one paper, three clusters."""
    rng = np.random.default_rng(seed)
    nodes = [f"{cluster}-{i}" for cluster, (n, _) in CLUSTERS.items() for i in range(1, n + 1)]
    owners, rows = [], []
    for job_id in range(1, n_jobs + 1):
        person = int(rng.integers(30)) if job_id > 8 else job_id
        node = nodes[int(rng.integers(len(nodes)))]
        cluster = node.rpartition("-")[0]
        share = float(rng.choice([0.25, 0.5, 1.0])) if CLUSTERS[cluster][1] else 1.0
        hours = float(min(rng.lognormal(-1.0, 1.8), 40.0))
        duration_s = round(hours * 3600)
        coverage = 1.0 if rng.random() < 0.9 else float(rng.uniform(0.5, 1.0))
        kwh = hours * share * (1.4 if CLUSTERS[cluster][1] else 0.18)
        owners.append(
            {
                "job_id": job_id,
                "user": f"u-{person:08x}",
                "project": ["multispeech", "larsen", "capsid", None][min(person // 8, 3)],
                "queue": "production" if rng.random() < 0.8 else "default",
                "started_at": START + timedelta(seconds=int(rng.integers(days * 86400))),
            }
        )
        held = {
            "share": share,
            "duration_s": float(duration_s),
            "gpu_hours": 4 * share * hours if CLUSTERS[cluster][1] else 0.0,
            "core_hours": 16 * share * hours,
        }
        if cluster == UNMEASURED:
            rows.append(job_node_row(job_id, node, None, **held))
            continue
        half = kwh * float(rng.uniform(0.005, 0.05))
        missing = kwh * (1 - coverage)
        rows.append(
            job_node_row(
                job_id,
                node,
                kwh * coverage,
                **held,
                covered_s=duration_s * coverage,
                estimated_kwh=missing,
                resolution_kwh=half,
                sampling_kwh=half / 3,
                gap_kwh=missing / 2,
                total_low_kwh=kwh * 0.95 - missing / 2,
                total_high_kwh=kwh * 1.05 + missing / 2,
            )
        )
    job_nodes = job_nodes_frame(rows)
    job_energy = job_energy_frame(job_nodes, owners)
    return StudyFrames(
        job_energy=job_energy,
        job_nodes=job_nodes,
        node_energy=_node_energy(nodes, days, rng),
        quality=_quality([n for n in nodes if not n.startswith(UNMEASURED)], days, rng),
        papers=pl.DataFrame({"job_id": range(1, 9), "paper": ["enhancement-2025"] * 8}),
        check=simulation_check_frame(),
        estimates=estimates_of_jobs(job_energy),
    )


ESTIMATOR_POWERS = {
    "mlco2@025b988": (250.0, 0.0, 0.0, "tdp"),
    "mlco2_table@025b988": (250.0, 0.0, 0.0, "table"),
    "green_algorithms@3.0": (250.0, 10.0, 0.3725, "tdp"),
    "codecarbon_2@2.8.4": (180.0, 4.0, 0.375, "series+tdp"),
}
"""Power in W of a GPU, a core and a GB of memory, and the basis, by estimator."""


def estimate_row(job_id: int, estimator: str, energy_kwh: float | None, **columns: object) -> dict:
    """Row of `schemas.Estimates`; by default all energy is of GPUs, in measured time."""
    whole = {"gpu_kwh": energy_kwh, "cpu_kwh": 0.0, "memory_kwh": 0.0, "covered_kwh": energy_kwh}
    held = {"gpu_hours": 4.0, "core_hours": 16.0, "memory_gbh": 128.0, "basis": "tdp", "pue": 1.0}
    key = {"job_id": job_id, "estimator": estimator, "energy_kwh": energy_kwh}
    return key | whole | held | columns


def estimates_frame(rows: list[dict]) -> pl.DataFrame:
    empty = pl.DataFrame(Estimates.create_empty())
    filled = [{name: row.get(name) for name in empty.columns} for row in rows]
    return conform(Estimates, pl.DataFrame(filled, schema=empty.schema))


def estimates_of_jobs(job_energy: pl.DataFrame) -> pl.DataFrame:
    """`schemas.Estimates` of jobs; ML CO2 Impact's table lacks the GPUs of every fifth job."""
    rows = []
    for job in job_energy.iter_rows(named=True):
        held = {name: job[name] for name in ("gpu_hours", "core_hours")}
        held |= {"memory_gbh": 8 * job["core_hours"]}
        for label, (gpu_w, core_w, gb_w, basis) in ESTIMATOR_POWERS.items():
            powers = {"gpu_power_w": gpu_w, "core_power_w": core_w, "memory_w_per_gb": gb_w}
            watts = zip(held.values(), powers.values(), strict=True)
            gpu, cpu, memory = (amount * power / 1000 for amount, power in watts)
            lacks = basis == "table" and job["job_id"] % 5 == 0 and gpu > 0
            energy = None if lacks else gpu + cpu + memory
            covered = None if energy is None else energy * (job["coverage_frac"] or 0.0)
            parts = {"gpu_kwh": None if lacks else gpu, "cpu_kwh": cpu, "memory_kwh": memory}
            row = held | powers | parts | {"basis": basis if gpu + cpu > 0 else "none"}
            rows.append(estimate_row(job["job_id"], label, energy, covered_kwh=covered, **row))
    return estimates_frame(rows)


def _node_energy(nodes: list[str], days: int, rng: np.random.Generator) -> pl.DataFrame:
    rows = []
    for node in nodes:
        gpu = node.startswith("graffiti")
        for day in range(days):
            at = START.date() + timedelta(days=day)
            if node.startswith(UNMEASURED):
                rows.append((node, at, "no_data", None, 24.0))
                continue
            parts = rng.dirichlet([6, 2.5 if gpu else 0.01, 2, 0.5, 0.3, 0.2]) * 24
            watts = (1400, 600, 420, 30, 200) if gpu else (190, 150, 90, 15, 60)
            classes = ("job", "stranded", "idle", "standby", "unavailable")
            energies = zip(classes, parts[:5], watts, strict=True)
            rows += [(node, at, name, h * w / 1000, h) for name, h, w in energies]
            rows.append((node, at, "no_data", None, 24 - float(sum(parts[:5]))))
    return node_energy_frame(rows)


def _quality(nodes: list[str], days: int, rng: np.random.Generator) -> pl.DataFrame:
    rows = []
    for node in nodes:
        for day in range(days):
            aside = {
                "n_duplicate": int(rng.integers(0, 40)),
                "n_nan": int(rng.integers(0, 20)),
                "n_not_positive": int(rng.integers(0, 3)),
                "n_spike": int(rng.integers(0, 2)),
                "n_drop_out": 0,
                "n_merged": 0,
                "n_incomplete": 0,
            }
            kept = 17280 - int(rng.integers(0, 600))
            aside["n_stuck"] = int(rng.integers(0, 2) * 720)
            rows.append(
                {
                    "node": node,
                    "day": START.date() + timedelta(days=day),
                    "n_read": kept + sum(aside.values()),
                    "n_kept": kept,
                    **aside,
                    "n_summary": 0,
                    "n_gaps": int(rng.integers(0, 4)),
                }
            )
    return conform(Quality, pl.DataFrame(rows))


def simulation_check_frame() -> pl.DataFrame:
    """`schemas.SimulationCheck` of a site whose sensors have three steps, or none."""
    return conform(
        SimulationCheck,
        pl.DataFrame(
            {
                "sensors": ["1 W", "4 W", "36 W", "no readings", "all"],
                "n_jobs": [190, 90, 55, 30, 365],
                "n_jobs_compared": [120, 55, 30, 0, 205],
                "largest_error_frac": [0.0032, 0.009, 0.062, None, 0.062],
                "median_error_frac": [0.0004, 0.0011, 0.0080, None, 0.0006],
                "inside_frac": [0.971, 0.958, 0.95, 0.9, 0.964],
                "median_width_frac": [0.19, 0.195, 0.24, 0.8, 0.2],
            }
        ),
    )


def runs_of_week() -> pl.DataFrame:
    """Runs of the jobs of `power_week`: two of one run, and one job without a run."""
    rows = [
        ([101, 103], "training_run", "u-00000001"),
        ([102], "debug", "u-00000001"),
        ([104], "inference_run", "u-00000002"),
        ([105, 106], "unknown", None),
        ([107], "idle_hold", "u-00000003"),
    ]
    schema = {"job_ids": pl.List(pl.Int64), "kind": pl.Enum(KINDS), "user": pl.String}
    return pl.DataFrame(rows, schema, orient="row")


def power_week(*, seed: int = 2, step_s: int = 60) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Samples of a node over a week with two gaps, and its allocations."""
    rng = np.random.default_rng(seed)
    held = [
        (101, 3, 40, 0.5),
        (102, 5, 9, 0.25),
        (103, 10, 60, 0.25),
        (104, 44, 100, 0.5),
        (105, 63, 66, 0.25),
        (106, 70, 95, 0.25),
        (107, 104, 140, 1.0),
        (108, 146, 200, 0.25),  # goes on after the week
    ]
    allocations = pl.DataFrame(
        {
            "job_id": [row[0] for row in held],
            "node": "graffiti-3",
            "started_at": [START + timedelta(hours=row[1]) for row in held],
            "stopped_at": [START + timedelta(hours=row[2]) for row in held],
            "share": [row[3] for row in held],
        },
        schema_overrides={
            "started_at": pl.Datetime("us", "UTC"),
            "stopped_at": pl.Datetime("us", "UTC"),
        },
    )
    hours = np.arange(0, 168, step_s / 3600)
    share = sum(row[3] * ((hours >= row[1]) & (hours < row[2])) for row in held)
    watts = 420 + 1100 * share * (0.9 + 0.1 * np.sin(hours * 7)) + rng.normal(0, 25, hours.size)
    kept = ~(((hours > 48) & (hours < 53)) | ((hours > 120) & (hours < 120.4)))
    power = pl.DataFrame(
        {
            "node": "graffiti-3",
            "timestamp": [START + timedelta(hours=float(h)) for h in hours[kept]],
            "power_w": watts[kept],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )
    return power, allocations
