"""Every table of the pipeline: its columns, units, meaning, key and invariants.

The classes of this package are the single source of the schemas: rules validate against them on
write, and `docs/data-dictionary.md` is generated from them. Conventions: timestamps are UTC with
microseconds, days are UTC days, units stand in the column's name, and null means unknown, never
zero.
"""

from __future__ import annotations

from typing import Any

import dataframely as dy
import polars as pl

from footprint.tables.carbon import Carbon
from footprint.tables.energy import (
    NODE_CLASSES,
    OFFSET_CLASSES,
    JobEnergy,
    JobNodeEnergy,
    Levels,
    NodeEnergy,
    NodePower,
    Quality,
    SensorSpells,
    SimulationCheck,
    Truth,
)
from footprint.tables.estimates import (
    CpuSeries,
    EstimateRatios,
    Estimates,
    GpuPower,
    Hardware,
    Recorded,
    ValidationRuns,
)
from footprint.tables.ledger import Ledger, Reconciliation, Tracked
from footprint.tables.models import NotableModels
from footprint.tables.phases import (
    Labelled,
    PhaseEvaluation,
    PhaseOfJob,
    PhaseRatio,
    PowerLevels,
    RunOfJob,
    Runs,
    TrueKinds,
)
from footprint.tables.raw import (
    Allocations,
    DevicePower,
    DeviceSeries,
    Jobs,
    Nodes,
    Power,
    SetAside,
    States,
)
from footprint.tables.revealed import Logins
from footprint.tables.usage import ActiveUsers
from footprint.vocabulary import KINDS, PHASES, ROLES

__all__ = [
    "KINDS",
    "NODE_CLASSES",
    "OFFSET_CLASSES",
    "PHASES",
    "ROLES",
    "TABLES",
    "ActiveUsers",
    "Allocations",
    "Carbon",
    "CpuSeries",
    "DevicePower",
    "DeviceSeries",
    "EstimateRatios",
    "Estimates",
    "GpuPower",
    "Hardware",
    "JobEnergy",
    "JobNodeEnergy",
    "Jobs",
    "Labelled",
    "Ledger",
    "Levels",
    "Logins",
    "NodeEnergy",
    "NodePower",
    "Nodes",
    "NotableModels",
    "PhaseEvaluation",
    "PhaseOfJob",
    "PhaseRatio",
    "Power",
    "PowerLevels",
    "Quality",
    "Reconciliation",
    "Recorded",
    "RunOfJob",
    "Runs",
    "SensorSpells",
    "SetAside",
    "SimulationCheck",
    "States",
    "Tracked",
    "TrueKinds",
    "Truth",
    "ValidationRuns",
    "conform",
    "write",
]

TABLES: dict[str, tuple[type[dy.Schema], str]] = {
    "nodes": (Nodes, "resources/<site>/nodes.parquet"),
    "jobs": (Jobs, "resources/<site>/jobs.parquet"),
    "allocations": (Allocations, "resources/<site>/allocations.parquet"),
    "states": (States, "resources/<site>/states.parquet"),
    "power": (Power, "resources/<site>/power/<metric>/<cluster>/<month>.parquet"),
    "device_power": (DevicePower, "resources/<site>/devices/<metric>/<cluster>/<month>.parquet"),
    "device_series": (DeviceSeries, "resources/<site>/series/<series>/<cluster>/<month>.parquet"),
    "truth": (Truth, "resources/<site>/truth.parquet"),
    "set_aside": (SetAside, "results/energy/set_aside.parquet"),
    "quality": (Quality, "results/energy/quality.parquet"),
    "sensor_spells": (
        SensorSpells,
        "resources/<site>/sensor_spells/<metric>/<cluster>/<month>.parquet",
    ),
    "node_power": (NodePower, "results/energy/node_power/<cluster>.parquet"),
    "job_nodes": (JobNodeEnergy, "results/energy/job_nodes.parquet"),
    "job_energy": (JobEnergy, "results/energy/jobs.parquet"),
    "node_energy": (NodeEnergy, "results/energy/nodes.parquet"),
    "hardware": (Hardware, "resources/<site>/hardware.parquet"),
    "recorded": (Recorded, "resources/<site>/recorded.parquet"),
    "ledger": (Ledger, "resources/<site>/ledger.parquet"),
    "tracked": (Tracked, "resources/<site>/tracked.parquet"),
    "gpu_power": (GpuPower, "results/estimates/gpu_power/<cluster>.parquet"),
    "cpu_series": (CpuSeries, "results/estimates/cpu_series/<cluster>.parquet"),
    "estimates": (Estimates, "results/estimates/jobs.parquet"),
    "estimate_ratios": (EstimateRatios, "results/estimates/ratios.parquet"),
    "run_of_job": (RunOfJob, "resources/<site>/run_of_job.parquet"),
    "labelled": (Labelled, "resources/<site>/labelled.parquet"),
    "power_levels": (PowerLevels, "results/phases/power_levels/<cluster>.parquet"),
    "runs": (Runs, "results/phases/runs.parquet"),
    "phase_of_job": (PhaseOfJob, "results/phases/jobs.parquet"),
    "phase_ratio": (PhaseRatio, "results/phases/ratio.parquet"),
    "true_kinds": (TrueKinds, "resources/<site>/true_kinds.parquet"),
    "phase_evaluation": (PhaseEvaluation, "results/phases/evaluation.parquet"),
    "reconciliation": (Reconciliation, "results/ledger.parquet"),
    "levels": (Levels, "results/levels.parquet"),
    "simulation_check": (SimulationCheck, "results/energy/simulation_check.parquet"),
    "carbon": (Carbon, "results/carbon.parquet"),
    "active_users": (ActiveUsers, "results/active_users.parquet"),
    "notable_models": (NotableModels, "results/notable_models.parquet"),
    "logins": (Logins, "private/logins.parquet"),
    "validation_runs": (ValidationRuns, "results/validation/runs.parquet"),
}


def conform(schema: type[dy.Schema], frame: pl.LazyFrame | pl.DataFrame) -> Any:
    """Rows of `frame` as `schema` wants them: its columns, their order and dtypes, by its key.

    Raises a dataframely `SchemaError` or `ValidationError` that names the column or rule at fault.
    """
    rows = frame.lazy().collect()
    return schema.validate(schema.cast(rows).sort(schema.primary_key(), maintain_order=True))


def write(schema: type[dy.Schema], frame: pl.LazyFrame | pl.DataFrame, path: str) -> None:
    """Validate a table and write it to Parquet; the same rows give the same bytes."""
    conform(schema, frame).write_parquet(path, compression="zstd", statistics=True)
