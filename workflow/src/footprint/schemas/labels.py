"""Tables of labels: tracked runs, their match with OAR's jobs, and the labels of each job."""

from __future__ import annotations

import dataframely as dy

from footprint.core.vocabulary import KINDS, LABEL_VALUES, PHASES, ROLES, STAGES
from footprint.schemas.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp

RUN_ENDS = ("stopped", "seen", "started")


class Ledger(dy.Schema):
    """Tracked runs in the ledgers of `labels.ledgers`. The table stays in `resources/`."""

    run = Key(description="Identifier given by the tracker")
    file = dy.String(description="File of the ledger, without its folder")
    line = Count(metadata={"unit": "line"}, description="Line that records the start")
    within = Text(description="Tracked run that encloses this one; null: none")
    mark = Text(description="`training-run`, `inference-run` or `epoch`; null: none")
    host = Text(description="Name of the machine")
    named_job = dy.Int64(nullable=True, description="Job recorded by the tracker")
    job_id = dy.Int64(nullable=True, description="Job of the study that contains the run")
    reason = Text(description="Reason why no job of the study contains the run")
    started_at = Timestamp(description="Start")
    stopped_at = Timestamp(nullable=True, description="End, or last record of a run without end")
    duration_s = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "s"},
        description="Time from started_at to stopped_at",
    )
    end = dy.Enum(
        RUN_ENDS,
        description="Last record: `stopped`; `seen`: the run was killed after a periodic record; "
        "`started`: before one",
    )
    exit_status = dy.Int64(nullable=True, description="Exit status; null: a signal, or unknown")
    paper = Text(description="Label of the run: paper")
    kind = dy.Enum(LABEL_VALUES["kind"], nullable=True, description="Label of the run: kind")
    role = dy.Enum(LABEL_VALUES["role"], nullable=True, description="Label of the run: role")
    phase = dy.Enum(LABEL_VALUES["phase"], nullable=True, description="Label of the run: phase")
    stage = dy.Enum(LABEL_VALUES["stage"], nullable=True, description="Label of the run: stage")
    gpu_kwh = Energy(description="Energy of the GPUs visible to the run (NVML); null: not read")
    gpu_covered_frac = Fraction(description="Part of the duration with readings of the GPUs")
    cpu_kwh = Energy(description="Energy of all processors of the machine (RAPL); null: not read")
    cpu_covered_frac = Fraction(description="Part of the duration with readings of the processors")
    memory_kwh = Energy(description="Energy of the machine's memory (RAPL); null: not read")
    memory_covered_frac = Fraction(description="Part of the duration with readings of the memory")


class Tracked(dy.Schema):
    """Device energy of a job on a node, summed over the tracked runs."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    n_runs = Count(metadata={"unit": "runs"}, description="Number of tracked commands and blocks")
    duration_s = Seconds(description="Duration of the tracked runs")
    gpu_kwh = Energy(
        description="Energy of the GPUs visible to the runs; null: unknown for one of the runs"
    )
    cpu_kwh = Energy(
        description="Energy of all processors of the node; null: unknown for one of the runs"
    )
    memory_kwh = Energy(
        description="Energy of the node's memory; null: unknown for one of the runs"
    )


class Reconciliation(dy.Schema):
    """Tracked runs without a job of OAR, jobs without a tracked run, and matches of the two."""

    side = Key(description="`ledger` (tracked runs), `lines` (lines of ledgers) or `jobs` (of OAR)")
    name = Key(description="Outcome of the match")
    n_rows = dy.Int64(
        nullable=True,
        min=0,
        metadata={"unit": "rows"},
        description="Number of rows; null: too few people",
    )
    gpu_hours = dy.Float64(
        nullable=True, min=0, metadata={"unit": "h"}, description="GPU hours of the jobs"
    )
    measured_kwh = Energy(description="Measured energy of the jobs")


class JobLabels(dy.Schema):
    """Labels of each job, from label files, ledgers and job names. Stays in `resources/`.

    Kind, role and phase from the label of a group are included for runs that agree with the group.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    paper = Text(description="Paper")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the job's run")
    role = dy.Enum(ROLES, nullable=True, description="`reported`: serves the model in the paper")
    phase = dy.Enum(PHASES[:3], nullable=True, description="Phase")
    stage = dy.Enum(STAGES, nullable=True, description="Stage of the work on the paper")


class GroupLabels(dy.Schema):
    """Labels of jobs from rows of label files that select a group. Stays in `resources/`.

    Paper and stage hold for every job. Kind, role and phase hold for the runs that agree with the
    group in power and duration. Labels of single runs take precedence.
    """

    job_id = dy.Int64(primary_key=True, description="Job")
    group = Count(metadata={"unit": "row"}, description="Place of the row among all label rows")
    where = dy.String(description="File and line of the row")
    paper = Text(description="Paper")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the runs of the group")
    role = dy.Enum(ROLES, nullable=True, description="`reported`: serves the model in the paper")
    phase = dy.Enum(PHASES[:3], nullable=True, description="Phase")
    stage = dy.Enum(STAGES, nullable=True, description="Stage of the work on the paper")
