"""Every table of the pipeline: its columns, units, meaning, key and invariants.

The classes below are the single source of the schemas: rules validate against them on write, and
`docs/data-dictionary.md` is generated from them. Conventions: timestamps are UTC with microseconds,
days are UTC days, units stand in the column's name, and null means unknown, never zero.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import dataframely as dy
import polars as pl

Timestamp = partial(dy.Datetime, time_zone="UTC", time_unit="us")
Energy = partial(dy.Float64, nullable=True, metadata={"unit": "kWh"})
Seconds = partial(dy.Float64, min=-1e-6, metadata={"unit": "s"})
Watts = partial(dy.Float64, metadata={"unit": "W"})
Count = partial(dy.Int64, min=0, metadata={"unit": "rows"})
Fraction = partial(dy.Float64, nullable=True, min=-1e-9, max=1 + 1e-9)
Text = partial(dy.String, nullable=True)
Key = partial(dy.String, primary_key=True)

NODE_CLASSES = (
    "job",
    "stranded",
    "idle",
    "standby",
    "unavailable",
    "unattributed",
    "no_data",
)
OFFSET_CLASSES = ("stranded", "idle", "standby", "unavailable")


class Nodes(dy.Schema):
    """Hardware of a node, one row for each period in which it did not change."""

    node = Key(description="Short name, as in `graffiti-3`")
    valid_from = Timestamp(
        primary_key=True, description="Start of the period; 1970 when the source gives no date"
    )
    valid_until = Timestamp(nullable=True, description="End of the period; null while it lasts")
    site = dy.String(description="Grid'5000 site")
    cluster = dy.String(description="Cluster of the node")
    cpu_model = Text(description="Processor, as in `Intel Xeon Gold 5220`")
    n_cpus = dy.Int32(min=1, description="Sockets")
    n_cores = dy.Int32(min=1, description="Physical cores, which OAR reserves one by one")
    n_threads = dy.Int32(min=1, description="Hardware threads")
    memory_bytes = dy.Int64(nullable=True, min=0, metadata={"unit": "B"}, description="Main memory")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each core, ascending")
    core_gpus = dy.List(
        dy.UInt8(nullable=True),
        description="GPU that each core of `cores` is reserved with; null: none",
    )
    gpus = dy.List(dy.UInt8(), description="Index of each GPU, in the order of its device name")
    gpu_reservable = dy.List(dy.Bool(), description="Whether each GPU can be reserved")
    gpu_models = dy.List(dy.String(), description="Model of each GPU")
    gpu_power_limits_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="Default power limit of each GPU",
    )
    gpu_memory_bytes = dy.List(
        dy.Int64(nullable=True), metadata={"unit": "B"}, description="Memory of each GPU"
    )
    queues = dy.List(dy.String(), description="OAR queues that may use the node")
    power_metrics = dy.List(
        dy.String(),
        nullable=True,
        description="Power metrics collected unasked; null when the source does not say",
    )
    max_plausible_power_w = Watts(
        min=0,
        description="Readings above are spikes: twice what GPUs, cores, memory and 300 W draw",
    )

    @dy.rule()
    def one_gpu_a_core(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("core_gpus").list.len()

    @dy.rule()
    def all_cores_named(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("n_cores")


class Jobs(dy.Schema):
    """OAR jobs as recorded. Holds logins: stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="OAR's job id, unique within a site")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Login of the owner")
    project = Text(description="Project (granting group) that the job was submitted under")
    queue = Text(description="OAR queue")
    name = Text(description="Name given with `-n`")
    command = Text(description="Command, empty for interactive jobs")
    directory = Text(description="Launching directory")
    request = Text(description="Resources asked for, as OAR words them")
    job_type = Text(description="`INTERACTIVE` or `PASSIVE`")
    types = dy.List(
        dy.String(), description="Types given with `-t`, as in `container`, `inner=123`"
    )
    state = dy.String(description="OAR state in lower case, as in `terminated`")
    array_id = dy.Int64(
        nullable=True, description="First job of the array; null when the source lacks it"
    )
    array_index = dy.Int64(nullable=True, description="Line of the array")
    submitted_at = Timestamp(nullable=True, description="Submission")
    started_at = Timestamp(nullable=True, description="Start; null when it never started")
    stopped_at = Timestamp(
        nullable=True, description="End; null while it runs or when it never started"
    )
    walltime_s = dy.Int64(
        nullable=True, metadata={"unit": "s"}, description="Longest time it may run"
    )
    exit_code = dy.Int64(
        nullable=True,
        description="Raw wait status: shell code x 256, or the signal; null when unknown",
    )
    events = dy.List(
        dy.String(),
        nullable=True,
        description="Kinds of OAR events, in order; null when the source lacks them",
    )
    suspensions = dy.List(
        dy.Struct({"started_at": Timestamp(), "stopped_at": Timestamp(nullable=True)}),
        nullable=True,
        description="Intervals of suspension; null when the source does not tell",
    )

    @dy.rule()
    def stops_after_start(cls) -> pl.Expr:
        return (pl.col("stopped_at") >= pl.col("started_at")).fill_null(True)


class Allocations(dy.Schema):
    """What a job held: one row a job and node."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each core held, ascending")
    gpus = dy.List(dy.UInt8(), description="GPUs of which at least one core is held, ascending")
    basis = dy.Enum(
        ["cores", "whole_node"],
        description="`whole_node` when the source names the node but not its cores",
    )


class States(dy.Schema):
    """States of nodes: when they could not be used, and what else a source says of them."""

    node = Key(description="Node")
    started_at = Timestamp(primary_key=True, description="Start of the interval")
    stopped_at = Timestamp(nullable=True, description="End of the interval; null while it lasts")
    state = dy.String(
        description="`absent`, `suspected`, `dead`, `maintenance`, `standby` or `alive`"
    )


class Power(dy.Schema):
    """Power of the nodes of a cluster in a month, sorted by node and time, without duplicates.

    Samples of `max_gap_s` before and after the month are included so that a month integrates by
    itself. Too long for a key check: `partitions.write` compares neighbours instead.
    """

    node = dy.String(description="Node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power read")


class DevicePower(dy.Schema):
    """Power of the single GPUs of a cluster's nodes in a month, sorted, without duplicates.

    Made for the gate `two_part` where the source has such series. Sorted by node, GPU and time;
    readings shortly before the month are included.
    """

    node = dy.String(description="Node")
    gpu = dy.UInt8(description="Index of the GPU in the node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power read")


class DeviceSeries(dy.Schema):
    """Any other series of a cluster's nodes in a month, as it came: sorted, without duplicates."""

    node = dy.String(description="Node")
    labels = dy.String(description='What the series is of, as in `{"gpu":"0"}`; JSON')
    timestamp = Timestamp(description="Time of the reading")
    value = dy.Float64(nullable=True, description="Value; null or NaN as the source had it")


class SetAside(dy.Schema):
    """Rows of the source that the study does not use, by reason."""

    stage = Key(description="`jobs`, `power`, `devices`, `nodes` or `states`")
    source = Key(description="File or service that they came from")
    reason = Key(description="Why they were set aside")
    n_rows = Count(description="How many")
    example = Text(description="One of them, to look it up; never a login")


class Quality(dy.Schema):
    """Readings of a node and day, and what became of them."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    n_read = Count(description="Readings received")
    n_kept = Count(description="Readings integrated")
    n_duplicate = Count(description="Set aside: same node and time as another reading")
    n_nan = Count(description="Set aside: not a number, or no value")
    n_not_positive = Count(description="Set aside: 0 W or less")
    n_spike = Count(description="Set aside: above `max_plausible_power_w`")
    n_stuck = Count(description="Kept, but part of an hour or more at the very same value")
    n_summary = Count(
        description="Stood in for by a mean over 5 minutes, at one value every 5 s of it"
    )
    n_gaps = Count(description="Pairs of neighbours in a month further apart than `max_gap_s`")

    @dy.rule()
    def nothing_lost(cls) -> pl.Expr:
        return pl.col("n_read") == pl.sum_horizontal(
            "n_kept", "n_duplicate", "n_nan", "n_not_positive", "n_spike"
        )


class NodePower(dy.Schema):
    """Idle and maximum power of a node over the study."""

    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    idle_power_w = Watts(
        nullable=True, description="5th percentile of its samples without a job, while on"
    )
    idle_basis = Text(
        description="`samples`, else `configuration`, else `cluster`: the median of its other nodes"
    )
    max_power_w = Watts(nullable=True, description="99.5th percentile of its samples")
    n_idle_samples = Count(description="Samples behind idle_power_w")


class JobNodeEnergy(dy.Schema):
    """Gated energy of a job on one of its nodes, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    share = Fraction(description="Part of the node held, averaged over the time held")
    duration_s = Seconds(description="Time held, inside the window and outside suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPUs held x hours; fractions count"
    )
    core_hours = dy.Float64(min=0, metadata={"unit": "h"}, description="Cores held x hours")
    energy_kwh = Energy(description="Measured and gated; null when nothing was measured")
    covered_s = Seconds(description="Time held with measurement")
    coverage_frac = Fraction(description="covered_s / duration_s, weighted by share x time")
    imputed_kwh = Energy(
        description="Estimate for the time without measurement, to be added; null: unknown"
    )
    quantisation_kwh = Energy(description="Half width at 95 % from the sensor's steps")
    sampling_kwh = Energy(description="Half width at 95 % from power changing between samples")
    gap_kwh = Energy(description="Half width at 95 % of the imputed energy")
    calibration_kwh = Energy(description="Half width at 95 % from the configured calibration")
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")


class JobEnergy(dy.Schema):
    """Gated energy of a job over all its nodes, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Pseudonym of the owner")
    project = Text(description="Project that the job was submitted under")
    queue = Text(description="OAR queue")
    clusters = dy.List(dy.String(), description="Clusters of its nodes, sorted")
    started_at = Timestamp(nullable=True, description="Start as recorded; null: never started")
    stopped_at = Timestamp(
        nullable=True, description="End as recorded; null: still running or never started"
    )
    duration_s = Seconds(description="Time held, inside the window and outside suspensions")
    gpu_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="GPUs held x hours inside the window"
    )
    core_hours = dy.Float64(
        min=0, metadata={"unit": "h"}, description="Cores held x hours inside the window"
    )
    n_nodes = dy.Int64(min=0, description="Nodes of the study that it held")
    energy_kwh = Energy(description="Measured and gated; null when nothing was measured")
    covered_s = Seconds(description="coverage_frac x duration_s")
    coverage_frac = Fraction(
        description="Measured share x time over held share x time; null: held nothing"
    )
    imputed_kwh = Energy(
        description="Estimate for the time without measurement, to be added; null: unknown"
    )
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")
    mean_power_w = Watts(nullable=True, description="energy_kwh over the time it was measured")
    flags = dy.List(dy.String(), description="What a reader should know, as in `still_running`")


class NodeEnergy(dy.Schema):
    """Where the energy and the time of a node went, by UTC day."""

    node = Key(description="Node")
    day = dy.Date(primary_key=True, description="UTC day")
    cls = dy.Enum(
        NODE_CLASSES, primary_key=True, alias="class", description="What the node was doing"
    )
    cluster = dy.String(description="Cluster of the node")
    has_gpu = dy.Bool(description="Whether the node has reservable GPUs")
    energy_kwh = Energy(description="Energy of the class; null for no_data")
    duration_s = Seconds(
        description="Node time of the class; shares of a node count as shares of time"
    )
    overcount_kwh = Energy(
        description="Counted again by jobs beyond this energy, under the gate `binary`"
    )
    left_out_kwh = Energy(description="Not counted by jobs, under the method `inner_trapezoid`")


class Levels(dy.Schema):
    """Energy at each level of the study, from the site down to the paper."""

    level = Key(description="`site`, `offset`, `queue`, `project`, `user` or `paper`")
    name = Key(description="Name at that level; users are pseudonyms")
    method = Key(description="`bmc`, or the estimator with its version")
    n_jobs = Count(metadata={"unit": "jobs"}, description="Jobs that held a node of the study")
    n_users = dy.Int64(nullable=True, min=0, description="People behind them")
    energy_kwh = Energy(description="Energy of the measured jobs; for `offset`, of the class")
    energy_low_kwh = Energy(
        description="Lower end of the 95 % interval of energy_kwh + imputed_kwh"
    )
    energy_high_kwh = Energy(description="Upper end of the same interval")
    coverage_frac = Fraction(description="Measured share x time over held share x time")
    imputed_kwh = Energy(description="Estimate for the time without measurement, to be added")
    unmeasured_node_h = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "h"},
        description="Node hours of jobs without measurement",
    )
    gpu_node_frac = Fraction(description="Part of energy_kwh on nodes with reservable GPUs")
    gpu_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="GPU hours")
    core_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="Core hours")
    offset_kwh = Energy(
        description="Part of the offset energy given to it by `levels.redistribution`"
    )


class Truth(dy.Schema):
    """Exact energy of each job of the simulated site, inside the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    true_kwh = dy.Float64(
        min=0,
        metadata={"unit": "kWh"},
        description="Integral of the node's power x the share reserved",
    )


class SimulationCheck(dy.Schema):
    """Measured against true energy on the simulated site."""

    sensors = Key(description="Step of the sensor in watts, or `all`")
    n_jobs = Count(metadata={"unit": "jobs"}, description="Jobs measured")
    n_jobs_compared = Count(
        metadata={"unit": "jobs"}, description="Of these, over 10 minutes and fully covered"
    )
    largest_error_frac = dy.Float64(nullable=True, description="Largest error of the jobs compared")
    median_error_frac = dy.Float64(
        nullable=True, description="Median absolute error of the jobs compared"
    )
    inside_frac = Fraction(description="Jobs measured whose truth lies in [low, high]")
    median_width_frac = dy.Float64(
        nullable=True, description="Median of (high - low) / true energy"
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
    "set_aside": (SetAside, "results/energy/set_aside.parquet"),
    "quality": (Quality, "results/energy/quality.parquet"),
    "node_power": (NodePower, "results/energy/node_power/<cluster>.parquet"),
    "job_nodes": (JobNodeEnergy, "results/energy/job_nodes.parquet"),
    "job_energy": (JobEnergy, "results/energy/jobs.parquet"),
    "node_energy": (NodeEnergy, "results/energy/nodes.parquet"),
    "levels": (Levels, "results/levels.parquet"),
    "simulation_check": (SimulationCheck, "results/energy/simulation_check.parquet"),
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
