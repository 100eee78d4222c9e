"""Tables of runs, of their kinds and phases, and of the ratio of development to training."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import KINDS, PHASES, ROLES
from footprint.schemas.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp, Watts

N_POWER_BINS = 40
"""Bins of a power histogram: each is 1/40 of the difference between idle and highest power."""


class PowerHistograms(dy.Schema):
    """Time of a job by power, for each of its nodes and for its own GPUs.

    Power is scaled from 0 (idle power) to 1 (highest power). Bin i of a histogram contains the
    seconds from i / 40 to (i + 1) / 40. The first bin also contains lower power, the last bin
    higher power.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    idle_power_w = Watts(description="Idle power of the node")
    max_power_w = Watts(description="Highest power of the node")
    node_histogram_s = dy.List(
        dy.Float64(),
        nullable=True,
        metadata={"unit": "s"},
        description="Seconds in each bin of the node's power",
    )
    gpu_histogram_s = dy.List(
        dy.Float64(),
        nullable=True,
        metadata={"unit": "s"},
        description="GPU seconds in each bin of the allocated GPUs' power; null: no readings",
    )


class RunOfJob(dy.Schema):
    """Run of each job; a chain of resumed jobs is one run. The table stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="Job")
    run_id = dy.Int64(description="Run, named by its first job")
    merged_by = dy.Enum(
        ["single", "chain", "array"],
        description="Reason for merging the jobs of the run; `single`: one job alone",
    )


class Runs(dy.Schema):
    """Kind, role and phase of each run, with the rule and the features that decided them.

    The paper is left out: together with the pseudonym it would identify the owner.
    """

    run_id = dy.Int64(primary_key=True, description="Run, named by its first job")
    job_ids = dy.List(dy.Int64(), description="Jobs of the run, ordered by start")
    merged_by = dy.Enum(
        ["single", "chain", "array"], description="Reason for merging the jobs of the run"
    )
    user = dy.String(description="Pseudonym of the owner")
    project = Text(description="Project of the submissions")
    started_at = Timestamp(nullable=True, description="Start of the first job")
    stopped_at = Timestamp(nullable=True, description="End of the last job")
    duration_s = Seconds(description="Allocated time of the jobs within the window")
    gpu_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Allocated GPUs x hours")
    measured_kwh = Energy(description="Measured energy of the jobs; null: nothing was measured")
    idle_kwh = Energy(
        description="Part of measured_kwh at idle power; null: no power histogram of the jobs"
    )
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the run; null: never ran")
    role = dy.Enum(
        ROLES, nullable=True, description="`reported`: the run serves the reported model"
    )
    role_basis = dy.Enum(
        ["label", "assumed"],
        nullable=True,
        description="Whether the role comes from a label or is assumed; null: no role",
    )
    phase = dy.Enum(PHASES, nullable=True, description="Phase of the run; null: never ran")
    rule = dy.String(description="Rule that decided the kind, as in `plateau`; `label`: a label")
    features = dy.String(description="Features that the rule used, as JSON")
    confidence = Fraction(
        description="Part of the energy that the rule classified correctly on simulated sites, at "
        "most 0.95; 1 for labels"
    )
    rule_set = dy.String(description="Version of the rules")

    @dy.rule()
    def first_job_names_it(cls) -> pl.Expr:
        return pl.col("job_ids").list.min() == pl.col("run_id")


class PhaseOfJob(dy.Schema):
    """Run, kind, role and phase of each job."""

    job_id = dy.Int64(primary_key=True, description="Job")
    run_id = dy.Int64(description="Run of the job")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the run; null: never ran")
    role = dy.Enum(
        ROLES, nullable=True, description="`reported`: the run serves the reported model"
    )
    phase = dy.Enum(PHASES, nullable=True, description="Phase of the run; null: never ran")
    measured_kwh = Energy(description="Measured energy of the job")


class PhaseRatio(dy.Schema):
    """Energy of development relative to the reported training, by paper and project."""

    scope = Key(description="`paper` or `project`")
    name = Key(description="Name of the paper or project")
    n_runs = Count(metadata={"unit": "runs"}, description="Number of runs that ran")
    n_labelled = Count(
        metadata={"unit": "runs"}, description="Number of these runs with a labelled role"
    )
    role_basis = dy.Enum(
        ["label", "assumed"],
        nullable=True,
        description="Whether the reported training is labelled or assumed; null: none found",
    )
    measured_kwh = Energy(description="Measured energy of all runs")
    training_kwh = Energy(description="Measured energy of the training of the reported model")
    inference_kwh = Energy(description="Measured energy of inference with the reported model")
    development_kwh = Energy(description="Measured energy of all other runs of known kind")
    unknown_kwh = Energy(description="Measured energy of runs of unknown kind")
    idle_kwh = Energy(
        description="Energy at idle power of runs of the kinds `idle_hold` and `interactive`"
    )
    unmeasured_gpu_h = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPU hours of runs without any measured energy"
    )
    development_coverage_frac = Fraction(
        description="Measured share x time over share x time of all nodes allocated to the jobs of "
        "development from start to end, including nodes and time outside the study"
    )
    training_coverage_frac = Fraction(
        description="Measured share x time over share x time of all nodes allocated to the jobs of "
        "the reported training, including nodes and time outside the study"
    )
    ratio = dy.Float64(
        nullable=True,
        description="R = development_kwh / training_kwh; null: see ratio_reason",
    )
    ratio_reason = Text(
        description="Why the ratio is null: no reported training was found, or less than 90 % of "
        "the time of development or training was measured"
    )
    ratio_low = dy.Float64(
        nullable=True, description="Lowest ratio with the rules' thresholds x 0.5, 1 and 2"
    )
    ratio_high = dy.Float64(
        nullable=True, description="Highest ratio with the rules' thresholds x 0.5, 1 and 2"
    )
    ratio_all_unknown = dy.Float64(
        nullable=True, description="Ratio with unknown_kwh counted as development"
    )
    baseline_ratio = dy.Float64(
        nullable=True, description="Ratio by the baseline, which uses exit states alone"
    )
