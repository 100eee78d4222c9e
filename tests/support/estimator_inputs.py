"""Small invented inputs of estimators, for their tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dataframely as dy
import polars as pl

from footprint.estimators import inputs
from footprint.estimators.inputs import EstimatorInputs
from footprint.hardware import catalogue
from footprint.schemas.energy import JobEnergy, JobNodeEnergy
from footprint.schemas.estimates import Recorded
from footprint.schemas.raw import Allocations, Jobs
from tests.support.api_answers import NOON_S, nodes_table, reference_node

AT_NOON = datetime.fromtimestamp(NOON_S, UTC)
GIB = 2**30
TYPES = {
    "job_id": pl.Int64(),
    "node": pl.String(),
    "cpu_model": pl.String(),
    "n_cpus": pl.Int32(),
    "n_threads": pl.Int32(),
    "n_cores": pl.Int32(),
}
AMOUNT_COLUMNS = ("gpu_hours", "core_hours", "memory_gbh")
SCHEMA = {name: TYPES.get(name, pl.Float64()) for name in inputs.JOB_NODE_COLUMNS}

# Inputs of nodes, as `inputs.collect_inputs` returns them
GRAFFITI: dict[str, Any] = {  # 4 GPUs of 250 W
    "n_cpus": 2,
    "n_cores": 16,
    "tdp_w": 85.0,
    "memory_gb": 128.0,
    "gpu_limit_w": 250.0,
    "gpu_mlco2_w": 250.0,
    "pre_volta_frac": 0.0,
}
GRATOUILLE: dict[str, Any] = GRAFFITI | {  # 1 V100 of 250 W, which ML CO2 Impact swapped: 300 W
    "n_cores": 24,
    "tdp_w": 105.0,
    "gpu_mlco2_w": 300.0,
}
GRIMANI: dict[str, Any] = {  # 2 Kepler cards of 235 W, which have no energy counter
    "n_cpus": 2,
    "n_cores": 12,
    "tdp_w": 85.0,
    "memory_gb": 64.0,
    "gpu_limit_w": 235.0,
    "gpu_mlco2_w": 245.0,
    "pre_volta_frac": 1.0,
}
GRUSS: dict[str, Any] = {  # 2 A40, which ML CO2 Impact lacks
    "n_cpus": 2,
    "n_cores": 48,
    "tdp_w": 155.0,
    "memory_gb": 256.0,
    "gpu_limit_w": 300.0,
    "gpu_mlco2_w": None,
    "pre_volta_frac": 0.0,
}
GROS: dict[str, Any] = {"n_cpus": 1, "n_cores": 18, "tdp_w": 125.0, "memory_gb": 96.0}  # no GPU


def job_node(
    of: dict[str, Any],
    *,
    hours: float,
    cores: float,
    gpus: float = 0,
    coverage: float | None = 1.0,
    **series: Any,
) -> dict[str, Any]:
    """A row of `EstimatorInputs.job_nodes`: cores and GPUs of a node like `of` for some hours."""
    amounts = {
        "gpu_hours": gpus * hours,
        "core_hours": cores * hours,
        "memory_gbh": cores / of["n_cores"] * of["memory_gb"] * hours,
    }
    return of | amounts | {"coverage_frac": coverage} | series


def job_row(job_id: int, rows: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A row of `inputs.EstimatorInputs.jobs` for a job that held `rows`."""
    usual = {name: sum(row[name] for row in rows) for name in AMOUNT_COLUMNS}
    usual |= {"job_id": job_id, "duration_s": 3600.0, "coverage_frac": 1.0, "has_known_nodes": True}
    return usual | changes


def inputs_of_jobs(
    jobs: dict[int, list[dict[str, Any]]],
    *,
    changes: dict[int, dict[str, Any]] | None = None,
    recorded: Sequence[dict[str, Any]] = (),
) -> EstimatorInputs:
    """Inputs of jobs, by their ids, that each held some rows of `job_node`.

    Args:
        jobs: What each job held on each of its nodes; an empty list: nothing.
        changes: Changes to the rows of `inputs.EstimatorInputs.jobs`.
        recorded: Rows of `schemas.Recorded`; the usual `least_node_s` is the duration.
    """
    rows = [
        dict.fromkeys(SCHEMA) | {"job_id": job_id, "node": f"node-{place}"} | row
        for job_id, nodes in jobs.items()
        for place, row in enumerate(nodes, start=1)
    ]
    schema = {
        "job_id": pl.Int64(),
        **dict.fromkeys(("duration_s", "coverage_frac", *AMOUNT_COLUMNS), pl.Float64()),
        "has_known_nodes": pl.Boolean(),
    }
    whole = [
        job_row(job_id, nodes, **(changes or {}).get(job_id, {})) for job_id, nodes in jobs.items()
    ]
    usual = {"tools": "codecarbon", "n_runs": 1}
    return EstimatorInputs(
        pl.LazyFrame(rows, schema=SCHEMA).sort("job_id", "node"),
        pl.LazyFrame(whole, schema=schema),
        frame_of_schema(
            Recorded, *({"least_node_s": row["duration_s"]} | row for row in recorded), **usual
        ),
    )


def frame_of_schema(schema: type[dy.Schema], *rows: dict[str, Any], **usual: Any) -> pl.LazyFrame:
    """Rows of a table, null where a row has no value."""
    empty = pl.DataFrame(schema.create_empty())
    filled = [{name: (usual | row).get(name) for name in empty.columns} for row in rows]
    return pl.LazyFrame(filled, schema=empty.schema)


def described_node(
    name: str, *gpus: tuple[str, str | None], gib: int = 256, **changes: Any
) -> dict[str, Any]:
    """Description of a node with two AMD EPYC 7352 of 155 W, 4 cores, and GPUs (model, limit)."""
    devices = {
        f"nvidia{index}": {"model": model, "cpu_affinity": index % 2, "power_default_limit": limit}
        for index, (model, limit) in enumerate(gpus)
    }
    more = {"main_memory": {"ram_size": gib * GIB}} | ({"gpu_devices": devices} if gpus else {})
    return reference_node(name, **(more | changes))


KEPLER, A40 = ("Tesla K40m", "235.00 W"), ("A40", "300.00 W")
MIXED = nodes_table(described_node("gruss-1", KEPLER, A40))
"""Node with two kinds of GPUs: cores 0 and 1 belong to the Kepler card, 2 and 3 to the A40."""


def tables_of_jobs(
    *jobs: dict[str, Any], nodes: pl.DataFrame = MIXED, **more: pl.LazyFrame
) -> inputs.InputTables:
    """Tables of jobs on single nodes.

    Args:
        jobs: `job_id` and values that differ from the defaults: `node` gruss-1, all 4
            `cores`, no `gpus` (a number), `hours` 1, `started_at` noon, `coverage_frac` 1, no
            `flags`. With `node` None the allocation of the job is unknown.
        nodes: `schemas.Nodes`.
        more: Series and records.
    """
    usual: dict[str, Any] = {"node": "gruss-1", "cores": [0, 1, 2, 3], "gpus": 0.0, "hours": 1.0}
    usual |= {"started_at": AT_NOON, "coverage_frac": 1.0, "flags": []}
    rows = [usual | row for row in jobs]
    for row in rows:
        row |= {
            "duration_s": row["hours"] * 3600,
            "gpu_hours": row["gpus"] * row["hours"],
            "core_hours": len(row["cores"]) * row["hours"],
        }
    on_nodes = [row for row in rows if row["node"] is not None]
    by_job = {row["job_id"]: row for row in rows}.values()
    same: dict[str, Any] = {
        "site": "nancy",
        "user": "amaro",
        "types": [],
        "state": "terminated",
        "clusters": [],
    }
    same |= {"cluster": "gruss", "has_gpu": True, "share": 1.0, "covered_s": 0.0, "n_nodes": 1}
    held_rows = [row | {"gpus": [], "basis": "cores"} for row in on_nodes]
    return inputs.InputTables(
        job_energy=frame_of_schema(JobEnergy, *by_job, **same),
        job_nodes=frame_of_schema(JobNodeEnergy, *on_nodes, **same),
        hardware=catalogue.look_up_hardware(nodes.lazy()).lazy(),
        records=frame_of_schema(Jobs, *by_job, **same),
        allocations=frame_of_schema(Allocations, *held_rows),
        nodes=nodes.lazy(),
        **more,
    )


FIRST_KIND, OTHER_KIND = 21, 22
READ = {"core_use_frac": 0.25, "thread_load_cubed": 0.008}  # a load of a fifth of the threads
SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "whole node": [job_node(GRAFFITI, hours=2, cores=16, gpus=4, coverage=0.75)],
    "part": [job_node(GRAFFITI, hours=3, cores=4, gpus=1)],
    "no GPU": [job_node(GROS, hours=10, cores=18)],
    "two nodes": [
        job_node(GRATOUILLE, hours=2, cores=24, gpus=1),
        job_node(GRATOUILLE, hours=2, cores=12, gpus=0.5, coverage=0.5),
    ],
    "mixed nodes": [
        job_node(GRIMANI, hours=3, cores=12, gpus=2, coverage=0.5),
        job_node(GRUSS, hours=3, cores=24, gpus=1),
    ],
    "no counter": [job_node(GRIMANI, hours=2, cores=6, gpus=1, coverage=None)],
    "read": [job_node(GRAFFITI, hours=3, cores=4, gpus=1, gpu_series_w=180, package_power_w=100)],
    "loaded": [job_node(GRAFFITI, hours=3, cores=4, gpus=1, **READ)],
    "idle": [job_node(GROS, hours=10, cores=18, core_use_frac=0, thread_load_cubed=0)],
    "no time": [job_node(GRAFFITI, hours=0, cores=16, gpus=4, **READ)],
    "never started": [],
    "nodes unknown": [],
}
JOBS = {name: place for place, name in enumerate(SCENARIOS, start=1)} | {
    "one kind": FIRST_KIND,
    "other kind": OTHER_KIND,
}


def scenario_inputs() -> EstimatorInputs:
    """Inputs of all scenarios, and of jobs that held one of two kinds of GPUs of a node."""
    made = inputs_of_jobs(
        {JOBS[name]: rows for name, rows in SCENARIOS.items()},
        changes={JOBS["nodes unknown"]: {"has_known_nodes": False}},
    )
    gathered = inputs.collect_inputs(
        tables_of_jobs(
            {"job_id": FIRST_KIND, "cores": [0, 1], "gpus": 1, "hours": 2},
            {"job_id": OTHER_KIND, "cores": [2, 3], "gpus": 1, "hours": 2},
        )
    )
    return EstimatorInputs(
        pl.concat([made.job_nodes, gathered.job_nodes]),
        pl.concat([made.jobs, gathered.jobs.select(made.jobs.collect_schema().names())]),
        made.recorded,
    )
