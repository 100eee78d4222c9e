"""Tables of runs, of what they were for, and of what development cost beside training."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts
from footprint.vocabulary import KINDS, PHASES, ROLES

N_LEVELS = 40
"""Steps of the histograms of power: 0.025 of the range from idle to the highest power."""


class PowerLevels(dy.Schema):
    """How long the power of a job's node, and of its own GPUs, stood at which level.

    Level 0 is idle power, level 1 the highest; step i of a list counts the seconds from i / 40 to
    (i + 1) / 40, lower ones in the first step and higher in the last.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    idle_power_w = Watts(description="Idle power of the node")
    max_power_w = Watts(description="Highest power of the node")
    node_level_s = dy.List(
        dy.Float64(),
        nullable=True,
        metadata={"unit": "s"},
        description="Seconds at each level of the node",
    )
    gpu_level_s = dy.List(
        dy.Float64(),
        nullable=True,
        metadata={"unit": "s"},
        description="GPU seconds at each level of the GPUs held; null: no readings of them",
    )


class RunOfJob(dy.Schema):
    """Which run each job belongs to: chains of resumed jobs are one. Stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="Job")
    run_id = dy.Int64(description="Run, by the id of its first job")
    merged_by = dy.Enum(
        ["single", "chain", "array"], description="`single`: the job is a run of its own"
    )


class Labelled(dy.Schema):
    """What labels say of each job: files, ledgers, names of jobs. Stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="Job")
    paper = Text(description="Paper")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of its run")
    role = dy.Enum(ROLES, nullable=True, description="`reported`: of the model in the paper")
    phase = dy.Enum(PHASES[:3], nullable=True, description="Phase")


class Runs(dy.Schema):
    """Runs: what each was, what it was for, and why that is thought.

    Without the paper: beside the pseudonym of its owner, it would say who that is.
    """

    run_id = dy.Int64(primary_key=True, description="Run, by the id of its first job")
    job_ids = dy.List(dy.Int64(), description="Its jobs, in the order in which they started")
    merged_by = dy.Enum(["single", "chain", "array"], description="How its jobs were merged")
    user = dy.String(description="Pseudonym of the owner")
    project = Text(description="Project that its jobs were submitted under")
    started_at = Timestamp(nullable=True, description="Start of its first job")
    stopped_at = Timestamp(nullable=True, description="End of its last job")
    duration_s = Seconds(description="Time held by its jobs, inside the window")
    gpu_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="GPUs held x hours")
    energy_kwh = Energy(description="Measured energy of its jobs; null: nothing was measured")
    idle_kwh = Energy(description="The part of it at idle power; null: no levels are known")
    kind = dy.Enum(KINDS, nullable=True, description="What it was; null: it never ran")
    role = dy.Enum(ROLES, nullable=True, description="Whether it serves the reported model")
    role_basis = dy.Enum(
        ["label", "assumed"], nullable=True, description="Whether a label says so; null: no role"
    )
    phase = dy.Enum(PHASES, nullable=True, description="What it counts as; null: it never ran")
    rule = dy.String(description="Rule that decided its kind, as in `plateau`, or `label`")
    evidence = dy.String(description="Values that the rule saw, as JSON")
    confidence = Fraction(description="How often the rule is right; 1 for labels")
    rule_set = dy.String(description="Version of the rules")

    @dy.rule()
    def first_job_names_it(cls) -> pl.Expr:
        return pl.col("job_ids").list.min() == pl.col("run_id")


class PhaseOfJob(dy.Schema):
    """The run of each job, and its kind and phase."""

    job_id = dy.Int64(primary_key=True, description="Job")
    run_id = dy.Int64(description="Run")
    kind = dy.Enum(KINDS, nullable=True, description="What its run was; null: it never ran")
    role = dy.Enum(ROLES, nullable=True, description="Whether it serves the reported model")
    phase = dy.Enum(PHASES, nullable=True, description="What it counts as")
    energy_kwh = Energy(description="Measured energy of the job")


class PhaseRatio(dy.Schema):
    """What development cost beside the training of the reported model, by paper and project."""

    scope = Key(description="`paper` or `project`")
    name = Key(description="Its name")
    n_runs = Count(metadata={"unit": "runs"}, description="Runs that ran")
    n_labelled = Count(
        metadata={"unit": "runs"}, description="Of these, runs whose role a label says"
    )
    role_basis = dy.Enum(
        ["label", "assumed"], nullable=True, description="How the reported training is known"
    )
    energy_kwh = Energy(description="Measured energy of all its runs")
    training_kwh = Energy(description="Of the reported model's training")
    inference_kwh = Energy(description="Of inference with the reported model")
    development_kwh = Energy(description="Of everything else that is known")
    unknown_kwh = Energy(description="Of runs whose kind is unknown")
    idle_kwh = Energy(description="Of the time at idle power inside holds and sessions")
    unmeasured_gpu_h = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPU hours of runs without any measured energy"
    )
    development_coverage_frac = Fraction(
        description="Measured share x time over share x time of all nodes that the jobs of "
        "development held from start to end, outside the study and its window included"
    )
    training_coverage_frac = Fraction(description="The same of the reported model's training")
    ratio = dy.Float64(
        nullable=True,
        description="development_kwh / training_kwh; null: see ratio_reason",
    )
    ratio_reason = Text(
        description="Why the ratio is null: no training is known, or less than 90 % of the time of "
        "a side was measured"
    )
    ratio_low = dy.Float64(nullable=True, description="Least of it over thresholds x 0.5, 1, 2")
    ratio_high = dy.Float64(nullable=True, description="Largest of it over the same")
    ratio_all_unknown = dy.Float64(
        nullable=True, description="The ratio with all unknown energy as development"
    )
    baseline_ratio = dy.Float64(nullable=True, description="The ratio by the exit-state rule")


class TrueKinds(dy.Schema):
    """What each job of the simulated site truly was; null for jobs that never started."""

    job_id = dy.Int64(primary_key=True, description="Job")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the run that it belongs to")
    role = dy.Enum(ROLES, nullable=True, description="Whether it serves the reported model")
    phase = dy.Enum(PHASES[:3], nullable=True, description="Phase")
    paper = Text(description="Paper that it was for")
    chain_id = dy.Int64(nullable=True, description="First job of its chain; null: none")


class PhaseEvaluation(dy.Schema):
    """Kinds found against true kinds, on the simulated site."""

    method = Key(description="`rules`, or `baseline`: the exit-state rule")
    truth = Key(description="True kind of the job")
    kind = Key(description="Kind found")
    n_jobs = Count(
        metadata={"unit": "jobs"}, description="Jobs that held a node of the study in its window"
    )
    energy_kwh = dy.Float64(min=0, metadata={"unit": "kWh"}, description="Their energy")
