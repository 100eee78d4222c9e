"""Schemas of all tables of the pipeline: columns, types, units, keys and invariants.

The classes are the single source of the schemas. Rules validate tables when they write them, and
`docs/data-dictionary.md` is generated from the classes. Timestamps are UTC with microseconds, days
are UTC days, the unit is part of a column's name, and null means unknown, never zero.

- `raw`: nodes, jobs, allocations, node states, power, rejected rows.
- `energy`: quality of the readings; energy of nodes and jobs.
- `estimates`: hardware inputs, estimates of other tools, their ratio to the measurement.
- `labels`: ledgers, tracked energy, labels of each job.
- `phases`: runs, kinds, phases, ratio of development to training.
- `levels`: energy and carbon of site, overhead, queue, project, user and paper.
- `usage`: active users, notable models, logins behind pseudonyms.
- `validation`: the simulated truth, and recorded runs beside a wattmeter.
- `catalogue`: schema and file of each table, by name.
- `columns`: types of columns that several tables share.
- `writing`: validation and writing of tables.
"""

from __future__ import annotations

from footprint.core.vocabulary import KINDS, PHASES, ROLES
from footprint.schemas.catalogue import TABLES
from footprint.schemas.energy import (
    NODE_CLASSES,
    OVERHEAD_CLASSES,
    JobEnergy,
    JobNodeEnergy,
    NodeEnergy,
    NodePower,
    Quality,
    SensorSpells,
)
from footprint.schemas.estimates import (
    CpuSeries,
    EstimateRatios,
    Estimates,
    GpuPower,
    Hardware,
    Recorded,
)
from footprint.schemas.labels import JobLabels, Ledger, Reconciliation, Tracked
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import PhaseOfJob, PhaseRatio, PowerHistograms, RunOfJob, Runs
from footprint.schemas.raw import (
    Allocations,
    DevicePower,
    DeviceSeries,
    Jobs,
    Nodes,
    Power,
    RejectedRows,
    States,
)
from footprint.schemas.usage import ActiveUsers, Logins, NotableModels
from footprint.schemas.validation import (
    PhaseEvaluation,
    SimulationCheck,
    TrueKinds,
    Truth,
    ValidationRuns,
)
from footprint.schemas.writing import conform, write_table

__all__ = [
    "KINDS",
    "NODE_CLASSES",
    "OVERHEAD_CLASSES",
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
    "JobLabels",
    "JobNodeEnergy",
    "Jobs",
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
    "PowerHistograms",
    "Quality",
    "Reconciliation",
    "Recorded",
    "RejectedRows",
    "RunOfJob",
    "Runs",
    "SensorSpells",
    "SimulationCheck",
    "States",
    "Tracked",
    "TrueKinds",
    "Truth",
    "ValidationRuns",
    "conform",
    "write_table",
]
