"""Tables of runs, of their kinds and phases, and of the ratio of development to training."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import KINDS, PHASES, ROLES, STAGES
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
    """Kind, role and phase of each run, with the probability of each kind and what weighed most.

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
    estimated_kwh = Energy(
        description="Estimated energy for the time without measurement, not in measured_kwh; null: "
        "unknown for all jobs"
    )
    total_kwh = Energy(
        description="Measured plus estimated energy of the jobs; null: unknown for all jobs"
    )
    total_low_kwh = Energy(description="Lower end of the 95 % interval of total_kwh")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of total_kwh")
    measured_frac = Fraction(description="measured_kwh / total_kwh")
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
    rule = dy.String(
        description="Source of the kind: `weights`; `label`; `recalibrated` (labelled runs of the "
        "same command, user or project); `interactive` (the job type) or `never_ran`, which are "
        "certain"
    )
    features = dy.String(
        description="The features that raised the log odds of the most probable kind most, with "
        "the amounts, as in `ran 8 to 16 h (+1.2)`, before labels recalibrated it; empty: the kind "
        "does not come from weights"
    )
    confidence = Fraction(
        description="Probability of the most probable kind; 1 for labels and runs that are certain"
    )
    p_interactive = Fraction(description="Probability of the kind `interactive`")
    p_debug = Fraction(description="Probability of the kind `debug`")
    p_idle_hold = Fraction(description="Probability of the kind `idle_hold`")
    p_preprocessing = Fraction(description="Probability of the kind `preprocessing`")
    p_training_run = Fraction(description="Probability of the kind `training_run`")
    p_inference_run = Fraction(description="Probability of the kind `inference_run`")
    rule_set = dy.String(description="Version of the weights")

    @dy.rule()
    def first_job_names_it(cls) -> pl.Expr:
        return pl.col("job_ids").list.min() == pl.col("run_id")


class GroupRuns(dy.Schema):
    """Runs of labelled groups, and whether they agree with their group.

    A run that does not agree keeps the kind found, and neither role nor phase of the group's label.
    """

    group = dy.Int64(
        primary_key=True, min=0, description="Place of the group's row among all label rows"
    )
    run_id = dy.Int64(primary_key=True, description="Run")
    found_kind = dy.Enum(KINDS, description="Kind that the classifier finds")
    label_kind = dy.Enum(KINDS, nullable=True, description="Kind of the group's label")
    total_kwh = Energy(description="Measured plus estimated energy of the run")
    duration_factor = dy.Float64(
        nullable=True,
        min=0,
        description="Duration of the run over the median of its group, weighted by energy",
    )
    power_factor = dy.Float64(
        nullable=True,
        min=0,
        description="Mean power per GPU (per node without GPUs) over the median of the group",
    )
    agrees = dy.Bool(
        description="Whether the duration is within a factor of 3, the power within a factor of 2, "
        "GPUs are used as by most of the group, and no other kind is found with a confidence of "
        "0.75"
    )


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
    estimated_kwh = Energy(
        description="Estimated energy for the time without measurement, not in measured_kwh; null: "
        "unknown"
    )
    total_kwh = Energy(description="Measured plus estimated energy of the job; null: unknown")
    total_low_kwh = Energy(description="Lower end of the 95 % interval of total_kwh")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of total_kwh")
    measured_frac = Fraction(description="measured_kwh / total_kwh")


class PhaseRatio(dy.Schema):
    """Energy of development relative to the reported training, by paper and project."""

    scope = Key(description="`paper` or `project`")
    name = Key(description="Name of the paper or project")
    n_runs = Count(metadata={"unit": "runs"}, description="Number of runs that ran")
    n_labelled = Count(
        metadata={"unit": "runs"}, description="Number of these runs with a labelled role"
    )
    n_uncertain_reported = Count(
        metadata={"unit": "runs"},
        description="Number of reported runs whose kind no label gives and the classifier is "
        "unsure of: which of them trained, and so R, is uncertain",
    )
    role_basis = dy.Enum(
        ["label", "assumed"],
        nullable=True,
        description="Whether the reported training is labelled or assumed; null: none found",
    )
    measured_kwh = Energy(description="Measured energy of all runs")
    estimated_kwh = Energy(description="Estimated energy of all runs, not in measured_kwh")
    total_kwh = Energy(description="Measured plus estimated energy of all runs")
    training_kwh = Energy(description="Total energy of the training of the reported model")
    training_low_kwh = Energy(description="Lower end of the 95 % interval of training_kwh")
    training_high_kwh = Energy(description="Upper end of the 95 % interval of training_kwh")
    inference_kwh = Energy(description="Total energy of inference with the reported model")
    inference_low_kwh = Energy(description="Lower end of the 95 % interval of inference_kwh")
    inference_high_kwh = Energy(description="Upper end of the 95 % interval of inference_kwh")
    development_kwh = Energy(description="Total energy of all other runs of known kind")
    development_low_kwh = Energy(description="Lower end of the 95 % interval of development_kwh")
    development_high_kwh = Energy(description="Upper end of the 95 % interval of development_kwh")
    unknown_kwh = Energy(description="Total energy of runs of unknown kind")
    unknown_low_kwh = Energy(
        description="Lower end of the 95 % interval of unknown_kwh; that of development_kwh "
        "includes these runs"
    )
    unknown_high_kwh = Energy(description="Upper end of the 95 % interval of unknown_kwh")
    idle_kwh = Energy(
        description="Measured energy at idle power of runs of the kinds `idle_hold` and "
        "`interactive`"
    )
    unknown_gpu_h = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPU hours of runs of unknown energy"
    )
    development_measured_frac = Fraction(description="Measured part of development_kwh")
    training_measured_frac = Fraction(description="Measured part of training_kwh")
    development_known_frac = Fraction(
        description="Share x time with measured or estimated energy over share x time of all nodes "
        "allocated to the jobs of development from start to end, including nodes and time outside "
        "the study"
    )
    training_known_frac = Fraction(
        description="Share x time with measured or estimated energy over share x time of all nodes "
        "allocated to the jobs of the reported training, including nodes and time outside the study"
    )
    ratio = dy.Float64(
        nullable=True,
        description="R = development_kwh / training_kwh; null: see ratio_reason",
    )
    ratio_reason = Text(
        description="Why the ratio is null: no reported training was found, labels do not cover "
        "all papers of the project, or the energy is unknown for more than 10 % of the time of "
        "development or training"
    )
    ratio_low = dy.Float64(
        nullable=True,
        description="Lower end of the 95 % interval of ratio, with uncertain kinds of runs",
    )
    ratio_high = dy.Float64(
        nullable=True,
        description="Upper end of the 95 % interval of ratio; null with ratio_low: no upper end",
    )
    ratio_all_unknown = dy.Float64(
        nullable=True, description="Ratio with unknown_kwh counted as development"
    )
    baseline_ratio = dy.Float64(
        nullable=True, description="Ratio by the baseline, which uses exit states alone"
    )

    @dy.rule()
    def ratio_is_inside_its_interval(cls) -> pl.Expr:
        ratio = pl.col("ratio")
        is_inside = (ratio >= pl.col("ratio_low")).fill_null(True)
        return is_inside & (ratio <= pl.col("ratio_high")).fill_null(True)


class PhaseEnergies(dy.Schema):
    """Energy of each phase and of each kind of run, of the site, its projects and its papers.

    Intervals include the kinds of runs, drawn from their probabilities with the errors of meters
    and estimates. Runs of unknown kind have some kind in every draw: the intervals of the other
    parts include them, and that of `unknown` is of their energy alone.
    """

    scope = Key(description="`site`, `project` or `paper`")
    name = Key(description="Name at that scope")
    division = Key(description="`phase` or `kind`: each divides all runs that ran")
    part = Key(description="Phase or kind")
    n_runs = Count(metadata={"unit": "runs"}, description="Number of runs of this part")
    measured_kwh = Energy(description="Measured energy of the runs")
    estimated_kwh = Energy(description="Estimated energy of the runs, not in measured_kwh")
    total_kwh = Energy(
        description="Measured plus estimated energy of the runs; 0 without runs, where runs of "
        "other kinds may be of this one"
    )
    total_low_kwh = Energy(description="Lower end of the 95 % interval of the part's energy")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of the part's energy")
    measured_frac = Fraction(description="measured_kwh / total_kwh")


class PhaseStages(dy.Schema):
    """Energy of development by stage of the work, by paper and project.

    The rows of a paper add up to its development.
    """

    scope = dy.String(description="`paper` or `project`")
    name = dy.String(description="Name of the paper or project")
    stage = dy.Enum(
        STAGES, nullable=True, description="Stage, from labels; null: runs without a labelled stage"
    )
    n_runs = Count(metadata={"unit": "runs"}, description="Number of runs of development")
    measured_kwh = Energy(description="Measured energy of the runs")
    estimated_kwh = Energy(description="Estimated energy of the runs, not in measured_kwh")
    total_kwh = Energy(description="Measured plus estimated energy of the runs")
    total_low_kwh = Energy(description="Lower end of the 95 % interval of total_kwh")
    total_high_kwh = Energy(description="Upper end of the 95 % interval of total_kwh")
    measured_frac = Fraction(description="measured_kwh / total_kwh")

    @dy.rule()
    def each_stage_has_one_row(cls) -> pl.Expr:
        return pl.struct("scope", "name", "stage").is_unique()


class PhaseSensitivities(dy.Schema):
    """Ratio of development to training under other choices, by paper and project with a ratio."""

    scope = Key(description="`paper` or `project`")
    name = Key(description="Name of the paper or project")
    choice = dy.Enum(
        [
            *("membership", "reported_training", "idle_holds"),
            *("unknown_kinds", "thresholds", "gate_policy"),
        ],
        primary_key=True,
        description="`membership`: runs of the paper; `reported_training`: training of the "
        "reported model; `idle_holds`: runs that hold idle nodes; `unknown_kinds`: runs of unknown "
        "kind; `thresholds`: smallest probability of a kind; `gate_policy`: division of shared "
        "nodes",
    )
    value = Key(
        description="Value of the choice, as in `labelled`, `same_people`, `same_folder`, "
        "`same_people_or_folder`, `same_command`, `same_period`, `likely`, `expected` of "
        "`membership`; `label`, `assumed`, `largest`, `longest`, `last`, "
        "`smallest`, `same_command` of "
        "`reported_training`; `lowest`, `highest` over `thresholds`"
    )
    ratio = dy.Float64(
        nullable=True,
        description="Ratio with this value; null: no training, or energy of development or "
        "training unknown for more than 10 % of the time",
    )
    is_headline = dy.Bool(description="Whether `ratio` of the table of ratios uses this value")
