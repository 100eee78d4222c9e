"""Catalogue of all tables: schema and file of each, by name."""

from __future__ import annotations

import dataframely as dy

from footprint.schemas.energy import (
    GatePolicies,
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
from footprint.schemas.gaps import VirtualMeter
from footprint.schemas.labels import GroupLabels, JobLabels, Ledger, Reconciliation, Tracked
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import (
    GroupRuns,
    PhaseEnergies,
    PhaseOfJob,
    PhaseRatio,
    PhaseSensitivities,
    PhaseStages,
    PowerHistograms,
    RunOfJob,
    Runs,
)
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
from footprint.schemas.totals import RatioUncertainty, Uncertainty
from footprint.schemas.usage import ActiveUsers, Logins, NotableModels
from footprint.schemas.validation import (
    AgainstCounters,
    AgainstTruth,
    KindReliability,
    PhaseAccuracy,
    PhaseEvaluation,
    SimulationCheck,
    TrueKinds,
    Truth,
    ValidationRuns,
)

TABLES: dict[str, tuple[type[dy.Schema], str]] = {
    "nodes": (Nodes, "resources/<site>/nodes.parquet"),
    "jobs": (Jobs, "resources/<site>/jobs.parquet"),
    "allocations": (Allocations, "resources/<site>/allocations.parquet"),
    "states": (States, "resources/<site>/states.parquet"),
    "power": (Power, "resources/<site>/power/<metric>/<cluster>/<month>.parquet"),
    "device_power": (DevicePower, "resources/<site>/devices/<metric>/<cluster>/<month>.parquet"),
    "device_series": (DeviceSeries, "resources/<site>/series/<series>/<cluster>/<month>.parquet"),
    "truth": (Truth, "resources/<site>/truth.parquet"),
    "rejected": (RejectedRows, "results/energy/rejected.parquet"),
    "quality": (Quality, "results/energy/quality.parquet"),
    "sensor_spells": (
        SensorSpells,
        "resources/<site>/sensor_spells/<metric>/<cluster>/<month>.parquet",
    ),
    "node_power": (NodePower, "results/energy/node_power/<cluster>.parquet"),
    "job_nodes": (JobNodeEnergy, "results/energy/job_nodes.parquet"),
    "job_energy": (JobEnergy, "results/energy/jobs.parquet"),
    "virtual_meter": (VirtualMeter, "results/energy/virtual_meter.parquet"),
    "node_energy": (NodeEnergy, "results/energy/nodes.parquet"),
    "gate_policies": (GatePolicies, "results/energy/gate_policies.parquet"),
    "hardware": (Hardware, "resources/<site>/hardware.parquet"),
    "recorded": (Recorded, "resources/<site>/recorded.parquet"),
    "ledger": (Ledger, "resources/<site>/ledger.parquet"),
    "tracked": (Tracked, "resources/<site>/tracked.parquet"),
    "gpu_power": (GpuPower, "results/estimates/gpu_power/<cluster>.parquet"),
    "cpu_series": (CpuSeries, "results/estimates/cpu_series/<cluster>.parquet"),
    "estimates": (Estimates, "results/estimates/jobs.parquet"),
    "estimate_ratios": (EstimateRatios, "results/estimates/ratios.parquet"),
    "run_of_job": (RunOfJob, "resources/<site>/run_of_job.parquet"),
    "single_labels": (JobLabels, "resources/<site>/single_labels.parquet"),
    "labels": (JobLabels, "resources/<site>/labels.parquet"),
    "group_labels": (GroupLabels, "resources/<site>/group_labels.parquet"),
    "power_histograms": (PowerHistograms, "results/phases/power_histograms/<cluster>.parquet"),
    "runs": (Runs, "results/phases/runs.parquet"),
    "group_runs": (GroupRuns, "results/phases/group_runs.parquet"),
    "phase_of_job": (PhaseOfJob, "results/phases/jobs.parquet"),
    "phase_ratio": (PhaseRatio, "results/phases/ratio.parquet"),
    "phase_energies": (PhaseEnergies, "results/phases/energies.parquet"),
    "phase_stages": (PhaseStages, "results/phases/stages.parquet"),
    "phase_sensitivities": (PhaseSensitivities, "results/phases/sensitivities.parquet"),
    "ratio_uncertainty": (RatioUncertainty, "results/phases/ratio_uncertainty.parquet"),
    "true_kinds": (TrueKinds, "resources/<site>/true_kinds.parquet"),
    "phase_evaluation": (PhaseEvaluation, "results/phases/evaluation.parquet"),
    "phase_accuracy": (PhaseAccuracy, "results/phases/accuracy.parquet"),
    "kind_reliability": (KindReliability, "results/phases/reliability.parquet"),
    "reconciliation": (Reconciliation, "results/ledger.parquet"),
    "levels": (Levels, "results/levels.parquet"),
    "uncertainty": (Uncertainty, "results/energy/uncertainty.parquet"),
    "against_counters": (AgainstCounters, "results/validation/against_counters.parquet"),
    "simulation_check": (SimulationCheck, "results/energy/simulation_check.parquet"),
    "against_truth": (AgainstTruth, "results/validation/against_truth.parquet"),
    "carbon": (Carbon, "results/carbon.parquet"),
    "active_users": (ActiveUsers, "results/active_users.parquet"),
    "notable_models": (NotableModels, "results/notable_models.parquet"),
    "logins": (Logins, "private/logins.parquet"),
    "validation_runs": (ValidationRuns, "results/validation/runs.parquet"),
}
"""Schema and path of each table, by name, in the order of the data dictionary."""
