"""Tables of what people tracked themselves, and how it fits to OAR's jobs."""

from __future__ import annotations

import dataframely as dy

from footprint.tables.columns import Count, Energy, Fraction, Key, Seconds, Text, Timestamp
from footprint.vocabulary import ALLOWED

ENDS = ("stopped", "seen", "started")


class Ledger(dy.Schema):
    """Everything that was tracked, by the ledgers of `labels.ledgers`. Stays in `resources/`."""

    run = Key(description="Identity that the tracker gave it")
    file = dy.String(description="File of the ledger, without its folder")
    line = Count(metadata={"unit": "line"}, description="Line of its start")
    within = Text(description="What was tracked around it; null: nothing")
    mark = Text(description="`training-run`, `inference-run` or `epoch`; null: none")
    host = Text(description="Machine")
    named_job = dy.Int64(nullable=True, description="Job that it names")
    job_id = dy.Int64(nullable=True, description="Job of the study that it was part of")
    reason = Text(description="Why it is part of no job of the study")
    started_at = Timestamp(description="Start")
    stopped_at = Timestamp(nullable=True, description="End, or the last sign of life")
    duration_s = dy.Float64(
        nullable=True, min=0, metadata={"unit": "s"}, description="From one to the other"
    )
    end = dy.Enum(
        ENDS, description="`stopped`; `seen`: killed after a sign of life; `started`: before one"
    )
    exit_status = dy.Int64(nullable=True, description="Exit status; null: a signal, or not known")
    paper = Text(description="What it says of itself: paper")
    kind = dy.Enum(ALLOWED["kind"], nullable=True, description="Kind of run")
    role = dy.Enum(ALLOWED["role"], nullable=True, description="Role")
    phase = dy.Enum(ALLOWED["phase"], nullable=True, description="Phase")
    gpu_kwh = Energy(description="GPUs that it saw (NVML); null: not read")
    gpu_covered_frac = Fraction(description="Part of the time in which they were read")
    cpu_kwh = Energy(description="Processors of the whole machine (RAPL); null: not read")
    cpu_covered_frac = Fraction(description="Part of the time in which they were read")
    memory_kwh = Energy(description="Memory of the whole machine (RAPL); null: not read")
    memory_covered_frac = Fraction(description="Part of the time in which it was read")


class Tracked(dy.Schema):
    """Device energy that was tracked of a job on a node, summed over what was tracked there."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    n_runs = Count(metadata={"unit": "runs"}, description="Commands and blocks that were tracked")
    duration_s = Seconds(description="Their duration")
    gpu_kwh = Energy(description="GPUs that they saw; null: not known of one of them")
    cpu_kwh = Energy(description="Processors of the whole node; null: not known of one of them")
    memory_kwh = Energy(description="Memory of the whole node; null: not known of one of them")


class Reconciliation(dy.Schema):
    """What the ledgers know and OAR does not, and the reverse."""

    side = Key(description="`ledger` (what was tracked), `lines` (of its files) or `jobs` (OAR's)")
    name = Key(description="What became of them")
    n_rows = dy.Int64(
        nullable=True,
        min=0,
        metadata={"unit": "rows"},
        description="How many; null: too few people",
    )
    gpu_hours = dy.Float64(
        nullable=True, min=0, metadata={"unit": "h"}, description="GPU hours of the jobs"
    )
    energy_kwh = Energy(description="Measured energy of the jobs")
